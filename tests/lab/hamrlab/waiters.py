# SPDX-License-Identifier: GPL-2.0-or-later
"""Many connections that wait, or send now and then: when and how each of them ends.

As a program it is the client's or the server's side; on a host it is started by Waiters and
EchoServer. One process, one thread, for thousands of connections."""

import argparse
import errno
import itertools
import json
import resource
import select
import signal
import socket
import sys
import time

from_package = __name__ != "__main__"
if from_package:
    from .tools import Tool

GREETING = b"hello\n"
_numbers = itertools.count(1)


if from_package:
    class _Program(Tool):
        """This file as a program on a host."""

        def __init__(self, host, *args):  # pylint: disable=super-init-not-called
            self.host = host
            name = f"{self.command}-{next(_numbers)}"
            self.output = host.dir / f"{name}.json"
            self.process = host.spawn(name, [sys.executable, __file__, self.command,
                                             *map(str, args)], output=self.output)

    class EchoServer(_Program):
        """EchoServer(host, port): greets, then sends back what it gets."""

        command = "serve"

        def __init__(self, host, port=7000):
            super().__init__(host, "--port", port)
            self.endpoint = f"{host.ipv4}:{port}"
            self.wait_event("ready")

    class Waiters(_Program):
        """Waiters(client, "192.0.2.100:6446", count=100, send_ms=0): connects, and is ready once
        all have been greeted. stop() gives {"ends": [{"ns", "error", "client"}], "open": n}."""

        command = "wait"

        def __init__(self, host, to, count, send_ms=0, timeout=30):
            super().__init__(host, "--to", to, "--count", count, "--send-ms", send_ms)
            self.wait_event("ready", timeout)

        def ended(self):
            """How many have ended so far; the program prints that every 50 ms."""
            return max((e["ended"] for e in self.events() if e["event"] == "ended"), default=0)


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def boot_ns():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def more_files():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def serve(options):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("0.0.0.0", options.port))
    listener.listen(4096)
    listener.setblocking(False)
    poll, open_ = select.epoll(), {}
    poll.register(listener, select.EPOLLIN)
    say("ready")
    while True:
        for fd, _ in poll.poll(1):
            if fd == listener.fileno():
                accept_all(listener, poll, open_)
                continue
            try:
                data = open_[fd].recv(65536)
                if data:
                    open_[fd].send(data)
                    continue
            except BlockingIOError:
                continue
            except OSError:
                pass
            # It has ended, or reset.
            poll.unregister(fd)
            open_.pop(fd).close()


def accept_all(listener, poll, open_):
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        connection.setblocking(False)
        try:
            connection.send(GREETING)
        except OSError:  # a check that connects and goes
            connection.close()
            continue
        open_[connection.fileno()] = connection
        poll.register(connection, select.EPOLLIN)


class Client:
    """The client's side of all connections."""

    def __init__(self, options):
        self.options = options
        self.poll = select.epoll()
        self.open = {}
        self.greeted = set()
        self.ends = []
        host, port = options.to.rsplit(":", 1)
        self.to = (host.strip("[]"), int(port))
        self.stopped = False
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "stopped", True))

    def connect(self):
        """A hundred at a time, each until it has been greeted."""
        family = socket.AF_INET6 if ":" in self.to[0] else socket.AF_INET
        while len(self.greeted) < self.options.count and not self.stopped:
            while (len(self.open) < self.options.count
                   and len(self.open) - len(self.greeted) < 100):
                connection = socket.socket(family)
                connection.setblocking(False)
                code = connection.connect_ex(self.to)
                if code not in (0, errno.EINPROGRESS):
                    sys.exit(f"connect: {errno.errorcode[code]}")
                self.open[connection.fileno()] = connection
                self.poll.register(connection, select.EPOLLIN)
            self.look(5)
            if self.ends:
                sys.exit(f"a connection ended before it was greeted: {self.ends[0]}")
        say("ready", ns=boot_ns(), connections=len(self.open))

    def look(self, seconds):
        for fd, _ in self.poll.poll(seconds):
            connection = self.open[fd]
            try:
                if connection.recv(65536):
                    self.greeted.add(fd)
                    continue
                end = "EOF"
            except BlockingIOError:
                continue
            except OSError as error:
                end = errno.errorcode[error.errno]
            self.finish(fd, end)

    def finish(self, fd, end):
        self.ends.append({"ns": boot_ns(), "error": end})
        self.poll.unregister(fd)
        self.open.pop(fd).close()

    def send(self):
        for fd in list(self.open):
            try:
                self.open[fd].send(b"x")
            except BlockingIOError:
                pass
            except OSError as error:
                self.finish(fd, errno.errorcode[error.errno])

    def run(self):
        due = time.monotonic()
        told, tell_at = 0, 0.0
        while not self.stopped:
            now = time.monotonic()
            if self.options.send_ms and now >= due:
                due = now + self.options.send_ms / 1000
                self.send()
            if len(self.ends) > told and now >= tell_at:
                told, tell_at = len(self.ends), now + 0.05
                say("ended", ended=told)
            self.look(0.01)
        say("result", ends=self.ends, open=len(self.open))


def main():
    more_files()
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    server = commands.add_parser("serve")
    server.add_argument("--port", type=int, required=True)
    client = commands.add_parser("wait")
    client.add_argument("--to", required=True)
    client.add_argument("--count", type=int, required=True)
    client.add_argument("--send-ms", type=int, default=0)
    options = parser.parse_args()
    if options.command == "serve":
        serve(options)
    clients = Client(options)
    clients.connect()
    clients.run()


if __name__ == "__main__":
    main()
