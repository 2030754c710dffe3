# SPDX-License-Identifier: GPL-2.0-or-later
"""Many MySQL connections, each with a transaction open; on demand each goes on and commits.

As a program it is the client's side of all connections; on a host Transactions starts it. The
protocol is spoken by hand: one process, one thread."""

import argparse
import hashlib
import itertools
import json
import pathlib
import resource
import select
import signal
import socket
import struct
import sys
import time

from_package = __name__ != "__main__"
if from_package:
    from .core import wait_for
    from .mariadb import APPLICATION
    from .tools import Tool

CAPABILITIES = 0x1 | 0x8 | 0x200 | 0x2000 | 0x8000 | 0x80000
PATIENCE_S = 20
TOTAL_RETRANS = 8 + 23 * 4  # in struct tcp_info
_numbers = itertools.count(1)


if from_package:
    class Transactions(Tool):
        """Transactions(client, "192.0.2.100:6446", count=200): is ready once each connection has
        inserted a row. ask() makes each ask something once; commit() makes each insert another row
        and commit, and gives {"committed": n, "errors": [...], "longest_ms", "retransmitted"}."""

        def __init__(self, host, to, count):  # pylint: disable=super-init-not-called
            self.host = host
            name = f"transactions-{next(_numbers)}"
            self.output = host.dir / f"{name}.json"
            self.process = host.spawn(name, [
                sys.executable, __file__, "--to", to, "--count", str(count), "--user",
                APPLICATION[0], "--password", APPLICATION[1], "--note", name], output=self.output)
            self.note = name
            self.wait_event("ready", 60)

        def ask(self):
            """One more statement on each connection; {"asked": n, "errors", "longest_ms"}."""
            before = sum(e["event"] == "asked" for e in self.events())
            self.process.signal(signal.SIGUSR1)
            wait_for(lambda: sum(e["event"] == "asked" for e in self.events()) > before,
                     "every connection has asked", PATIENCE_S + 10)
            return [e for e in self.events() if e["event"] == "asked"][-1]

        def commit(self):
            return self.stop()


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


class Connection:
    """One session, blocking until it has logged in."""

    def __init__(self, to, user, password):
        host, port = to.rsplit(":", 1)
        self.socket = socket.create_connection((host.strip("[]"), int(port)), PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.login(self.packet(), user, password)

    def bytes(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise OSError("the connection has ended")
            data += more
        return data

    def packet(self):
        head = self.bytes(4)
        return self.bytes(int.from_bytes(head[:3], "little"))

    def login(self, greeting, user, password):
        rest = greeting[greeting.index(b"\0", 1) + 1:]
        salt = rest[4:12] + rest[31:43]
        first = hashlib.sha1(password.encode()).digest()
        second = hashlib.sha1(salt + hashlib.sha1(first).digest()).digest()
        answer = bytes(a ^ b for a, b in zip(first, second))
        self.send(struct.pack("<IIB23x", CAPABILITIES, 1 << 24, 33) + user.encode() + b"\0"
                  + bytes([len(answer)]) + answer + b"shop\0mysql_native_password\0", 1)
        self.ok(self.packet())

    def send(self, payload, number=0):
        self.socket.sendall(len(payload).to_bytes(3, "little") + bytes([number]) + payload)

    def begin(self, statement):
        self.send(b"\x03" + statement.encode())

    @staticmethod
    def ok(packet):
        if packet[0] != 0:
            raise OSError(packet[9:].decode(errors="replace"))

    def run(self, statement):
        self.begin(statement)
        self.ok(self.packet())

    def retransmitted(self):
        info = self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
        return struct.unpack_from("I", info, TOTAL_RETRANS)[0]


def all_run(connections, statement):
    """The same on all of them at once; (how many were done, errors, the longest in ms)."""
    poll, waiting, errors, longest, done = select.epoll(), {}, [], 0.0, 0
    for connection in connections:
        try:
            connection.begin(statement)
            waiting[connection.socket.fileno()] = (connection, time.monotonic())
            poll.register(connection.socket, select.EPOLLIN)
        except OSError as error:
            errors.append(str(error))
    end = time.monotonic() + PATIENCE_S
    while waiting and time.monotonic() < end:
        for fd, _ in poll.poll(0.1):
            connection, begun = waiting.pop(fd)
            poll.unregister(fd)
            try:
                connection.ok(connection.packet())
                done += 1
                longest = max(longest, time.monotonic() - begun)
            except OSError as error:
                errors.append(str(error))
    errors += ["no answer"] * len(waiting)
    return done, errors, round(longest * 1000, 3)


def main():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    parser = argparse.ArgumentParser(pathlib.Path(__file__).name)
    for option in ("--to", "--user", "--password", "--note"):
        parser.add_argument(option, required=True)
    parser.add_argument("--count", type=int, required=True)
    options = parser.parse_args()
    signals = (signal.SIGUSR1, signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    insert = f"INSERT INTO shop.orders (note) VALUES ('{options.note}')"
    connections = [Connection(options.to, options.user, options.password)
                   for _ in range(options.count)]
    for connection in connections:
        connection.run("BEGIN")
        connection.run(insert)
    say("ready")
    while signal.sigwait(signals) == signal.SIGUSR1:
        done, errors, longest = all_run(connections, "DO 1")
        say("asked", asked=done, errors=errors, longest_ms=longest)
    _, errors, inserting = all_run(connections, insert)
    committed, more, longest = all_run(connections, "COMMIT")
    say("result", committed=committed, errors=errors + more, longest_ms=max(longest, inserting),
        retransmitted=sum(c.retransmitted() for c in connections))


if __name__ == "__main__":
    main()
