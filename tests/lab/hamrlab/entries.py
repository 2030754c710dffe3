# SPDX-License-Identifier: GPL-2.0-or-later
"""Entries in a host's table of connections, made by hand: tens of thousands in a second, without a
socket or a packet.

    fill(router, 5000)                               # what has nothing to do with any address
    occupy(router, vip, "192.0.2.21:3306", range(1024, 30000))   # the ports towards a backend
    flows(router, "192.0.2.50", "192.0.2.100:6446", "192.0.2.21:3306", range(20000, 30000))
    usage(router); flush(router)

As a program it does that in the namespace it runs in."""

import argparse
import errno
import pathlib
import socket
import struct
import sys

from_package = __name__ != "__main__"
if from_package:
    from .core import LabError

_NETLINK_NETFILTER, _NEW = 12, 1 << 8  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_NEW
_REQUEST, _CREATE, _EXCLUSIVE, _ACK = 0x1, 0x400, 0x200, 0x4
_SEEN_REPLY, _ASSURED, _CONFIRMED = 1 << 1, 1 << 2, 1 << 3
_ESTABLISHED, _LIBERAL = 3, 8
_IN_A_BLOCK = 150


if from_package:
    def _run(host, *args):
        done = host.run(sys.executable, __file__, *map(str, args), check=False, timeout=120)
        if done.returncode:
            raise LabError(f"entries on {host.name}: {done.stdout}{done.stderr}".rstrip())
        return int(done.stdout)

    def fill(host, count, seconds=3600):
        """As many entries of UDP as fit, at most `count`; returns how many were made."""
        return _run(host, "fill", "--count", count, "--seconds", seconds)

    def occupy(host, source, backend, ports):
        """The ways (source, port) -> backend are in use."""
        return _run(host, "occupy", "--source", source, "--to", backend, "--from", ports.start,
                    "--below", ports.stop)

    def flows(host, client, vip, backend, ports):
        """Established, translated connections of that client from these ports; as the backend sees
        them they come from the same ports of the VIP."""
        return _run(host, "flows", "--source", client, "--vip", vip, "--to", backend, "--from",
                    ports.start, "--below", ports.stop)

    def usage(host):
        """(entries, the most there may be)"""
        return tuple(int(host.sysctl(f"net.netfilter.nf_conntrack_{name}"))
                     for name in ("count", "max"))

    def forget(host, *options):
        """conntrack -D: `forget(host, "-p", "udp")`."""
        host.run("conntrack", "-D", *options, check=False, timeout=60)


def attribute(kind, data, nested=False):
    return (struct.pack("=HH", 4 + len(data), kind | (0x8000 if nested else 0)) + data
            + b"\0" * (-len(data) % 4))


def tuple_of(source, to, protocol, ports):
    return (attribute(1, attribute(1, source) + attribute(2, to), True)
            + attribute(2, attribute(1, bytes([protocol])) + attribute(2, ports[0])
                        + attribute(3, ports[1]), True))


def translation(address, port):
    both = attribute(1, address) + attribute(2, address)
    return both + attribute(3, attribute(1, port) + attribute(2, port), True)


def number(value):
    return struct.pack("!H", value)


def entry(source, to, protocol, ports, seconds, extra=b""):
    """A request for one entry; what comes back is the mirror of what goes there."""
    body = (struct.pack("=BBH", socket.AF_INET, 0, 0)
            + attribute(1, tuple_of(source, to, protocol, ports), True)
            + attribute(2, tuple_of(to, source, protocol, ports[::-1]), True)
            + attribute(3, struct.pack("!I", _SEEN_REPLY | _ASSURED | _CONFIRMED))
            + attribute(7, struct.pack("!I", seconds)) + extra)
    return struct.pack("=IHHII", 16 + len(body), _NEW,
                       _REQUEST | _CREATE | _EXCLUSIVE | _ACK, 0, 0) + body


def established():
    tcp = (attribute(1, bytes([_ESTABLISHED])) + attribute(2, b"\x07") + attribute(3, b"\x07")
           + attribute(4, bytes([_LIBERAL, _LIBERAL])) + attribute(5, bytes([_LIBERAL, _LIBERAL])))
    return attribute(4, attribute(1, tcp, True), True)


class Table:
    """The namespace's table; counts what it took."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
        for option in (32, 33):  # SO_SNDBUFFORCE, SO_RCVBUFFORCE
            self.socket.setsockopt(socket.SOL_SOCKET, option, 4 << 20)
        self.socket.setsockopt(270, 10, 1)  # SOL_NETLINK, NETLINK_CAP_ACK
        self.socket.bind((0, 0))
        self.block = []
        self.answers = bytearray(65536)
        self.made = 0
        self.full = False

    def add(self, request):
        self.block.append(request)
        if len(self.block) == _IN_A_BLOCK:
            self.send()

    def send(self):
        if not self.block:
            return
        self.socket.send(b"".join(self.block))
        left, self.block = len(self.block), []
        while left:
            for at in range(0, self.socket.recv_into(self.answers), 36):
                left -= 1
                code = -struct.unpack_from("=i", self.answers, at + 16)[0]
                if code in (0, errno.EEXIST):
                    self.made += code == 0
                elif code == errno.ENOMEM:
                    self.full = True
                else:
                    sys.exit(f"refused: {errno.errorcode.get(code, code)}")


def fill_table(table, options):
    here = socket.inet_aton("203.0.113.1")
    for index in range(options.count):
        if table.full:
            break
        # Documentation's addresses; the port is the protocol's "discard".
        source = socket.inet_aton(f"198.51.100.{1 + index // 60000}")
        table.add(entry(source, here, socket.IPPROTO_UDP,
                        (number(1024 + index % 60000), number(9)), options.seconds))


def split(endpoint):
    address, port = endpoint.rsplit(":", 1)
    return socket.inet_aton(address), number(int(port))


def occupy_ports(table, options):
    (to, port), source = split(options.to), socket.inet_aton(options.source)
    for own in range(options.first, options.below):
        table.add(entry(source, to, socket.IPPROTO_TCP, (number(own), port), options.seconds,
                        established()))


def make_flows(table, options):
    (to, port), (vip, vip_port) = split(options.to), split(options.vip)
    source = socket.inet_aton(options.source)
    for own in range(options.first, options.below):
        ways = (attribute(13, translation(to, port), True)
                + attribute(6, translation(vip, number(own)), True))
        table.add(entry(source, vip, socket.IPPROTO_TCP, (number(own), vip_port),
                        options.seconds, established() + ways))


def main():
    parser = argparse.ArgumentParser(pathlib.Path(__file__).name)
    parser.add_argument("what", choices=["fill", "occupy", "flows"])
    for option in ("--source", "--to", "--vip"):
        parser.add_argument(option)
    parser.add_argument("--count", type=int)
    parser.add_argument("--from", dest="first", type=int)
    parser.add_argument("--below", type=int)
    parser.add_argument("--seconds", type=int, default=3600)
    options = parser.parse_args()
    table = Table()
    {"fill": fill_table, "occupy": occupy_ports, "flows": make_flows}[options.what](table, options)
    table.send()
    print(table.made)


if __name__ == "__main__":
    main()
