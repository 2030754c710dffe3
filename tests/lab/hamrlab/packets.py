# SPDX-License-Identifier: GPL-2.0-or-later
"""What passes a link, recorded, and read again: TCP that was sent twice, what came from where, and
the times between heartbeats.

    seen = Packets(client, "host 192.0.2.100 and tcp")
    ...
    seen.stop()
    seen.retransmissions()

tcpdump writes, so that thousands of packets a second cost little; what it loses it counts."""

import itertools
import re
import struct
import time

from .core import LabError, wait_for

# Ethernet, IP with options, TCP with options.
_STORED = 128
_numbers = itertools.count(1)
_FIN, _SYN, _RST = 1, 2, 4


class Packet:
    """A TCP segment in IPv4, as it was seen."""

    __slots__ = ("ns", "mac", "source", "to", "sequence", "flags", "length")

    def __init__(self, ns, frame):
        self.ns = ns
        self.mac = frame[6:12].hex(":")
        header = 14 + (frame[14] & 15) * 4
        ports = struct.unpack_from("!HH", frame, header)
        self.source, self.to = (frame[26:30], ports[0]), (frame[30:34], ports[1])
        self.sequence, = struct.unpack_from("!I", frame, header + 4)
        self.flags = frame[header + 13]
        self.length = (struct.unpack_from("!H", frame, 16)[0] - (header - 14)
                       - (frame[header + 12] >> 4) * 4)

    def __repr__(self):
        ends = [".".join(map(str, ip)) + f":{port}" for ip, port in (self.source, self.to)]
        return (f"{' > '.join(ends)} at {self.ns / 1e9:.4f}, flags {self.flags:#x}, number "
                f"{self.sequence}, {self.length} bytes")

    @property
    def is_syn(self):
        return self.flags & (_SYN | 16) == _SYN

    @property
    def end(self):
        """Of what it takes of the sender's numbers."""
        return self.sequence + self.length + bool(self.flags & _SYN) + bool(self.flags & _FIN)


class Packets:
    """Records what a filter of tcpdump's lets through, both ways, on eth0 of a host."""

    def __init__(self, host, what):
        name = f"packets-{next(_numbers)}"
        self.file = host.dir / f"{name}.pcap"
        self.process = host.spawn(name, [
            "tcpdump", "--immediate-mode", "-U", "-n", "-Z", "root", "-B", "16384", "-s", _STORED,
            "--time-stamp-precision=nano", "-i", "eth0", "-w", self.file, what])
        wait_for(lambda: self.file.exists() and self.file.stat().st_size, "tcpdump runs")

    def stop(self):
        """Ends it; everything that passed must have been written."""
        self.process.terminate()
        with open(self.process.log, encoding="utf-8") as file:
            said = file.read()
        lost = re.search(r"(\d+) packets? dropped by kernel", said)
        if not lost or int(lost[1]):
            raise LabError(f"the capture is incomplete: {said}")
        return self

    def frames(self):
        """(ns, what was stored of the frame)"""
        data = self.file.read_bytes()
        at = 24
        while at + 16 <= len(data):
            seconds, nanoseconds, stored, _ = struct.unpack_from("=IIII", data, at)
            if at + 16 + stored > len(data):
                return
            yield seconds * 1_000_000_000 + nanoseconds, data[at + 16:at + 16 + stored]
            at += 16 + stored

    def __iter__(self):
        """TCP over IPv4."""
        for ns, frame in self.frames():
            if frame[12:14] == b"\x08\x00" and frame[23] == 6:
                yield Packet(ns, frame)

    def retransmissions(self):
        """Every packet of which the same sender had sent all before. Keep-alives are none: at most
        one byte, just before what is due."""
        ends, again = {}, []
        for packet in self:
            taken = packet.end - packet.sequence
            way = packet.source, packet.to
            if not taken or packet.flags & _RST:
                continue
            known = ends.get(way)
            if packet.flags & _SYN and known is not None and packet.end != known:
                known = None  # the port is used again
            # Numbers go round.
            ahead = 1 if known is None else (packet.end - known + 2**31) % 2**32 - 2**31
            if ahead > 0:
                ends[way] = packet.end % 2**32
            elif not (packet.length <= 1 and ahead == 0 and not packet.flags & (_SYN | _FIN)):
                again.append(packet)
        return again


class Heartbeats(Packets):
    """Those of `sender`, as they come in at `host`."""

    def __init__(self, host, sender, port=8112):
        super().__init__(host, f"udp and src host {sender.ipv4} and dst host {host.ipv4}"
                               f" and dst port {port}")

    def mark(self):
        """gaps() can begin here. By the packets' clock, which is not CLOCK_BOOTTIME."""
        return time.clock_gettime_ns(time.CLOCK_REALTIME)

    def gaps(self, after=0, before=1 << 62):
        """{"beats", "p50_ms", "p99_ms", "max_ms"} of the times between two, as far as written."""
        times = [ns for ns, _ in self.frames() if after <= ns < before]
        lengths = sorted(b - a for a, b in zip(times, times[1:]))
        if not lengths:
            raise LabError("no heartbeats were seen")
        at = {f"p{part}_ms": lengths[min(len(lengths) - 1, len(lengths) * part // 100)]
              for part in (50, 99)}
        return {"beats": len(times)} | {
            key: round(value / 1e6, 2) for key, value in (at | {"max_ms": lengths[-1]}).items()}
