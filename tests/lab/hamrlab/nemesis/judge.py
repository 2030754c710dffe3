# SPDX-License-Identifier: GPL-2.0-or-later
"""Never two hosts that answer at the same instant: the verdict, from what was seen at the switch.

Pure. Records in, violations out; all instants are nanoseconds of CLOCK_BOOTTIME.

A *voice* is a frame by which a host speaks as the address, stamped right behind its gate. A *claim*
is what the host says of itself in its heartbeats. A *leadership* is the time from a host's first
frame as candidate or leader, having claimed nothing before, to its next frame without a claim: so
terms may begin anew when all agents have been away at once, and a leader that raises its term (rule
M17) goes on with the same leadership. The rules:

  together   Every leadership speaks in one piece. A voice of a leadership is a violation when
             another leadership has spoken for the first time after this one had begun to speak, and
             by more than the resolution before this voice. So A B A is legal when A has begun a
             leadership in between, however quick the handovers are, and never without.
  mute       A host that claims nothing says nothing: a voice is a violation when it is later, by
             more than the resolution, than a heartbeat of its host without a claim. (The gate is
             shut before that frame is made.) A host that has never claimed anything has no voice.

The gate's decision is earlier than the stamp by microseconds, unless the processor stands still in
between, as those of virtual machines do. So a voice is excused, and counted, when a standstill
covers the time from the offence to the stamp: it may have passed the gate in time.

Not voices: segments of connections that exist ("tcp"; the former leader goes on with these for 2 s
after a handover, F16); so neither is an answer to a SYN that had been asked before the offence."""

import dataclasses

CLAIMS = {0: "none", 1: "asking", 2: "candidate", 3: "leader"}
# Kinds that a former leader may send, when they belong to what was asked while it led.
_OF_FLOWS = ("synack", "rst")
_MAXIMUM_EXAMPLES = 20


@dataclasses.dataclass(frozen=True)
class Voice:
    ns: int
    host: str
    kind: str
    family: int = 4
    asked_ns: int = 0


@dataclasses.dataclass(frozen=True)
class Claim:
    ns: int
    host: str
    claim: int
    term: int


@dataclasses.dataclass(frozen=True)
class Violation:
    rule: str
    voice: Voice
    since_ns: int
    why: str

    @property
    def late_ns(self):
        return self.voice.ns - self.since_ns

    def __str__(self):
        return (f"{self.rule}: {self.voice.host} spoke ({self.voice.kind}, IPv{self.voice.family}) "
                f"{self.late_ns / 1e6:.3f} ms too late: {self.why}")


@dataclasses.dataclass
class Leadership:
    """What one host said between two frames without a claim."""
    host: str
    term: int
    leads: bool
    began_ns: int
    first_ns: int | None = None
    last_ns: int | None = None
    voices: int = 0


class Judge:
    """feed() records in the order of their instants; the result is in the attributes.

    `stood_still(from_ns, to_ns)`: whether a processor stood still for all of that time.
    `undefended(host, ns)`: whether somebody had taken this host's gate away at that time."""

    def __init__(self, resolution_ns, stood_still=None, undefended=None):
        self._resolution_ns = resolution_ns
        self._stood_still = stood_still or (lambda since, until: False)
        self._undefended = undefended or (lambda host, ns: False)
        self._current = {}      # host -> its leadership
        self._silent_since = {}  # host -> when it said that it claims nothing
        self._spoken = []       # leaderships in the order of their first voices, the newest ones
        self.violations = []
        self.tolerated = []     # (why, violation), the first ones
        self.violation_count = 0
        self.voices = {}        # kind -> how many
        self.leaderships = 0    # that have spoken
        self.changes_ns = []    # from the last voice of a leader to the first of the next host
        self.excused = {"resolution": 0, "flows": 0, "standstill": 0, "undefended": 0}
        self.latest_ns = 0      # the latest of those within the resolution
        self.terms = set()      # of leaders

    def feed(self, record):
        if isinstance(record, Claim):
            self._claimed(record)
        else:
            self._spoke(record)

    def _claimed(self, claim):
        current = self._current.get(claim.host)
        if claim.claim < 2:
            self._current[claim.host] = None
            if current or claim.host not in self._silent_since:
                self._silent_since[claim.host] = claim.ns
            return
        leads = claim.claim == 3
        if leads:
            self.terms.add(claim.term)
        # A leader that is a candidate again, or another candidacy, has let go in between.
        if current is None or (claim.term != current.term and not (current.leads and leads)):
            self._current[claim.host] = Leadership(claim.host, claim.term, leads, claim.ns)
        else:
            current.leads, current.term = leads, claim.term

    def _spoke(self, voice):
        name = f"{voice.kind}{voice.family}"
        self.voices[name] = self.voices.get(name, 0) + 1
        if voice.kind == "tcp":
            return
        current = self._current.get(voice.host)
        if current is None:
            since = self._silent_since.get(voice.host, 0)
            self._offence("mute", voice, since, "it had said that it claims nothing" if since
                          else "it has never claimed anything")
            return
        if current.first_ns is None:
            self._first_voice(current, voice)
        else:
            other = next((l for l in self._spoken if l.host != voice.host
                          and l.first_ns > current.first_ns), None)
            if other:
                self._offence("together", voice, other.first_ns, f"{other.host} had begun to speak "
                              f"in term {other.term}, this host still claims term {current.term}")
                return
        current.voices += 1
        current.last_ns = voice.ns

    def _first_voice(self, current, voice):
        current.first_ns = voice.ns
        self.leaderships += 1
        former = self._spoken[-1] if self._spoken else None
        if former and former.host != current.host:
            self.changes_ns.append(voice.ns - former.last_ns)
        # Older ones cannot be a voice's offence: each host's own is at most as old as its newest.
        self._spoken = [l for l in self._spoken if l.host != current.host] + [current]

    def _offence(self, rule, voice, since_ns, why):
        late = voice.ns - since_ns
        offence = Violation(rule, voice, since_ns, why)
        excuse = None
        if late <= self._resolution_ns:
            excuse = "resolution"
            self.latest_ns = max(self.latest_ns, late)
        elif voice.kind in _OF_FLOWS and 0 < voice.asked_ns <= since_ns + self._resolution_ns:
            excuse = "flows"
        elif self._stood_still(since_ns, voice.ns - self._resolution_ns):
            excuse = "standstill"
        elif self._undefended(voice.host, voice.ns):
            excuse = "undefended"
        if excuse:
            self.excused[excuse] += 1
            if len(self.tolerated) < _MAXIMUM_EXAMPLES:
                self.tolerated.append((excuse, offence))
        else:
            self.violation_count += 1
            if len(self.violations) < _MAXIMUM_EXAMPLES:
                self.violations.append(offence)


class InOrder:
    """Brings records into the order of their instants: two processors stamp, one reader reads.

    release() gives what is older than the newest by `slack_ns`, or everything at the end."""

    def __init__(self, slack_ns=200_000_000):
        self._slack_ns = slack_ns
        self._waiting = []

    def add(self, records):
        self._waiting.extend(records)

    def release(self, everything=False):
        # Of one instant the claim comes first.
        self._waiting.sort(key=lambda r: (r.ns, isinstance(r, Voice)))
        if everything or not self._waiting:
            out, self._waiting = self._waiting, []
            return out
        limit = self._waiting[-1].ns - self._slack_ns
        cut = next(i for i, r in enumerate(self._waiting) if r.ns > limit)
        out, self._waiting = self._waiting[:cut], self._waiting[cut:]
        return out
