# SPDX-License-Identifier: GPL-2.0-or-later
"""ProxySQL, where the machine has it: it is in no Debian suite."""

import shutil

from .core import run

ADMIN = ("admin", "admin-secret")


def missing():
    """Why there is no ProxySQL here, or None."""
    return None if shutil.which("proxysql") else (
        "no proxysql in PATH (no Debian suite has it): the real program is not tried here, its "
        "admin protocol is tested by unit tests")


def program():
    return shutil.which("proxysql")


def admin(host, statement, port=6032):
    """A statement for the admin port on the host's loopback; the rows, tabs between columns."""
    return run(["ip", "netns", "exec", host.namespace, "mariadb", "--no-defaults", "--batch",
                "--skip-column-names", "-h", "127.0.0.1", "-P", port, f"-u{ADMIN[0]}",
                f"-p{ADMIN[1]}", "-e", statement]).stdout.strip()
