# SPDX-License-Identifier: GPL-2.0-or-later
"""Who listens: at the switch for voices and claims, on the client's segment for answers, on each
processor for standstills. Their output is read while they run."""

import collections
import dataclasses
import json
import os

from ..core import LabError
from ..tools import Tool, _Switch
from .judge import Claim, InOrder, Judge, Voice
from .service import Answer, Service


class _Followed(Tool):
    """A command whose output is lines of its own, besides JSON."""

    def __init__(self, host, **options):
        self._offset = 0
        super().__init__(host, **options)

    def events(self):
        with open(self.output, encoding="ascii") as file:
            return [json.loads(line) for line in file if line[0] == "{" and line[-1] == "\n"]

    def new_lines(self):
        """The lines since the last call."""
        with open(self.output, "rb") as file:
            file.seek(self._offset)
            text = file.read()
        end = text.rfind(b"\n") + 1
        self._offset += end
        return text[:end].decode("ascii").splitlines()


class _Voices(_Followed):
    command = "voices"


class _Ask(_Followed):
    command = "ask"


class _Standstills(_Followed):
    command = "stalls"


class Standstills:
    """When a processor of the machine stood still, as sleepers on each have noticed it."""

    def __init__(self, host, interval_us=500):
        self._slack_ns = interval_us * 1000
        self._sleepers = [
            _Standstills(host, cpu=cpu, follow=True, interval_us=interval_us, threshold_us=500)
            for cpu in sorted(os.sched_getaffinity(0))]
        self.seen = []  # (from, to)

    def read(self):
        for sleeper in self._sleepers:
            for line in sleeper.new_lines():
                event = json.loads(line)
                if event["event"] == "stall":
                    # It may have begun when the sleeper had just gone to sleep.
                    since = event["at_ns"]
                    self.seen.append((since, since + event["length_ns"] + self._slack_ns))

    def cover(self, since_ns, until_ns):
        """Whether one processor stood still for all of that time."""
        self.read()
        return any(since <= since_ns and until_ns <= until for since, until in self.seen)

    def longest_ms(self):
        return max(((until - since) / 1e6 for since, until in self.seen), default=0.0)

    def stop(self):
        for sleeper in self._sleepers:
            sleeper.stop()
        self.read()


class Observers:
    """Starts them all; read() brings the judge and the service up to date."""

    def __init__(self, lab, observer, vips, routers, resolution_ns, undefended):
        self.standstills = Standstills(observer)
        self._order = InOrder()
        self._claims = {}  # host -> its newest
        # Of records, for the picture of a violation.
        self.recent = collections.deque(maxlen=20_000)
        self.judge = Judge(resolution_ns, self.standstills.cover, undefended)
        self.service = Service()
        addresses = [vip.split("/")[0] for vip in vips]
        self._voices = _Voices(_Switch(lab), vip=addresses, ignore=["segment", "island"])
        self._ask = _Ask(observer, vip=addresses, router=[host.mac for host in routers])

    def read(self, everything=False):
        """Judges what has come since the last call."""
        records = [r for r in map(_record, self._voices.new_lines()) if r]
        # One that is not there may be the claim that makes the next voice right.
        lost = [r.count for r in records if isinstance(r, Lost)]
        if lost:
            raise LabError(f"{sum(lost)} frames could not be recorded: this machine is too busy")
        for record in records:
            if isinstance(record, Claim):
                self._claims[record.host] = record
        self._order.add(records)
        ready = self._order.release(everything)
        for record in ready:
            self.judge.feed(record)
        self.recent.extend(ready)
        for line in self._ask.new_lines():
            answer = _answer(line)
            if answer:
                self.service.feed(answer)

    def leader(self):
        """Who has been the last to say that he leads, of those who say so still; None: nobody."""
        led = [claim for claim in self._claims.values() if claim.claim == 3]
        return max(led, key=lambda claim: claim.ns).host if led else None

    def stop(self):
        """Ends them; returns what the tools say of themselves."""
        asked, heard = self._ask.stop(), self._voices.stop()
        self.read(everything=True)
        self.standstills.stop()
        return {"questions": asked["sent"], "longest_pause_ms": asked["longest_pause_ms"],
                "lost_records": heard["lost"],
                "most_frames_in_100_ms": heard["busiest"]}

    def around(self, since_ns, until_ns):
        """The records of that time, equal ones in a row counted."""
        lines, last, count = [], None, 0
        for record in self.recent:
            if not since_ns <= record.ns <= until_ns:
                continue
            if isinstance(record, Claim):
                text = f"{record.host} claims {record.claim} (term {record.term})"
            else:
                text = f"{record.host} speaks"
            if text == last:
                count += 1
                continue
            if count:
                lines.append(f"             … {count} more")
            at = (record.ns - since_ns) / 1e6
            kind = "" if isinstance(record, Claim) else f" ({record.kind}{record.family})"
            lines.append(f"{at:10.3f} ms {text}{kind}")
            last, count = text, 0
        return lines


@dataclasses.dataclass(frozen=True)
class Lost:
    ns: int
    count: int


def _record(line):
    """A line of `labtool voices` as a record."""
    part = line.split()
    if part[0] == "v":
        return Voice(int(part[1]), part[2], part[3], int(part[4]), int(part[5]))
    if part[0] == "c":
        return Claim(int(part[1]), part[2], int(part[3]), int(part[4]))
    if part[0] == "l":
        return Lost(int(part[1]), int(part[2]))
    return None


def _answer(line):
    """A line of `labtool ask` as an answer."""
    part = line.split()
    if part[0] != "a":
        return None
    return Answer(int(part[1]), part[2], part[3] + part[4], int(part[5]))
