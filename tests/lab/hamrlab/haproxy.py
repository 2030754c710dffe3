# SPDX-License-Identifier: GPL-2.0-or-later
"""HAProxy on a host, started by the lab itself (where no agent does it), and its stats socket."""

import csv
import shutil
import socket

from .core import LabError, run

_CONFIG = """global
    stats socket {socket} mode 600 level admin
defaults
    mode tcp
    timeout connect 1s
    timeout client 1h
    timeout server 1h
    default-server inter 200ms fall 2 rise 2
{sections}"""

_LISTEN = """listen {name}
    bind {bind}
{servers}"""


_ONE_SERVER = """global
    stats socket {dir}/haproxy.sock mode 600 level admin
defaults
    mode tcp
    timeout connect 1s
    timeout client 1h
    timeout server 1h
listen rw
    bind 0.0.0.0:6446
    server db1 192.0.2.21:3306
"""


def missing():
    """Why there is no HAProxy here, or None."""
    return None if shutil.which("haproxy") else "haproxy is not installed"


def one_server(host):
    """Writes haproxy.cfg into the host's directory: one listener, 6446, and one server, db1."""
    (host.dir / "haproxy.cfg").write_text(_ONE_SERVER.replace("{dir}", str(host.dir)),
                                          encoding="ascii")


def ask(path, command, timeout=5):
    """One command to a stats socket; its answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(str(path))
            connection.sendall(command.encode() + b"\n")
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        except OSError as error:
            raise LabError(f"{path}: {error}") from error
    return answer.decode(errors="replace")


def servers(path):
    """{(section, server): status} as `show stat` tells: "UP", "DOWN", "no check", "UP 1/2"."""
    rows = csv.DictReader(ask(path, "show stat").removeprefix("# ").splitlines())
    return {(row["pxname"], row["svname"]): row["status"] for row in rows}


class Haproxy:
    """With a configuration of its own: sections as {"name": (bind, ["192.0.2.21:3306", …])}."""

    def __init__(self, host, sections):
        self.host = host
        self.socket = host.dir / "haproxy.sock"
        self.config = host.dir / "haproxy.cfg"
        self.process = None
        texts = [_LISTEN.format(name=name, bind=bind, servers="".join(
            f"    server s{number} {target} check\n" for number, target in enumerate(targets, 1)))
            for name, (bind, targets) in sections.items()]
        self.config.write_text(_CONFIG.format(socket=self.socket, sections="".join(texts)),
                               encoding="utf-8")

    def start(self):
        run(["haproxy", "-c", "-q", "-f", self.config])
        self.process = self.host.spawn("haproxy", ["haproxy", "-db", "-f", self.config])
        return self

    def servers(self):
        return servers(self.socket)
