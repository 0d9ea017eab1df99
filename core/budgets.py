"""The arithmetic of budgets: when the next request may leave, and what that takes.

Pure: times are seconds on the clock of whoever keeps the level; what news and refusals change is in
`core/budget_news.py`. A caller is handed its moment, which may lie ahead, and sleeps once; nobody polls.
`core/limit_redis.lua` says `earliest` and `commit` again for the server; a test holds both together.

A *bucket* is the generic cell rate algorithm: `even` is when it would be full again. A *window* hands out two streams
that together never exceed its amount in any stretch of its length: an even one, and a small number that may go at once.
So a short window is spread out instead of being emptied and waited for, and no window holds anybody back for more than
about ten seconds while it still has room.
"""

import bisect
import json
from dataclasses import field
from functools import lru_cache
from typing import Literal

from clew.core.limits import LONGEST_WAIT, Limit
from clew.core.values import dataclass

TRIPS = 5.0
"""Failures in a row after which a provider is taken to be down."""

PROBE_SECONDS = 1.0
"""While it is, one request in this many seconds goes out to see whether it is back."""

NEVER = float("inf")
_ENTRIES = 100
_SMOOTHED = 9.8
_SAME = 0.01
"""Seconds by which two readings of a moment may differ: of a process's clock and of the keeper's."""

TermKind = Literal["bucket", "sliding", "fixed", "concurrency", "learned", "circuit"]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a budget allows: `amount` units in `per` seconds, `burst` of them at once; background work leaves the share
    `reserve`.

    `learned` budgets know only what answers say; `circuit` is the breaker of a provider's host.
    """

    kind: TermKind
    amount: float = 0.0
    per: float = 1.0
    burst: float = 0.0
    reserve: float = 0.1

    @classmethod
    def of(cls, limit: Limit) -> "Terms":
        """The terms of a declared limit."""
        if limit.kind in {"bucket", "concurrency"}:
            return cls(limit.kind, limit.amount, limit.per, limit.burst or limit.amount, limit.reserve)
        weighted = callable(limit.cost) or limit.cost != 1 or bool(limit.spent)
        share = 1.0 if weighted else min(max(1 - _SMOOTHED / limit.per, 0.02), 1.0)
        return cls(limit.kind, limit.amount, limit.per, float(int(limit.amount * share)), limit.reserve)

    def dump(self) -> str:
        """One line of JSON."""
        return _line(self)

    @classmethod
    def load(cls, text: str) -> "Terms":
        """The terms as they were dumped."""
        return cls(*json.loads(text))


@lru_cache(maxsize=1024)
def _line(terms: Terms) -> str:
    return json.dumps([terms.kind, terms.amount, terms.per, terms.burst, terms.reserve], separators=(",", ":"))


LEARNED = Terms("learned")
CIRCUIT = Terms("circuit")


@dataclass(slots=True)
class Level:
    """How a budget stands. All times are on the keeper's clock; 0 stands for never.

    `even` the next moment of the even stream (window), or when the bucket is full; `log` the moments and units of the
    other stream; `stop` nothing before; `left` and `ends` what the provider said last; `opens` when the window ahead
    begins; `total` units handed out so far; `epoch` how often all plans were thrown over; `pace` seconds between
    requests learned from refusals; `last` the latest moment handed out; `refused` and `counted` when that was and the
    total then; `peak` and `span` the window's amount and length as the provider says; `leases` slots in use.
    """

    even: float = 0.0
    stop: float = 0.0
    left: float = 0.0
    ends: float = 0.0
    opens: float = 0.0
    total: float = 0.0
    epoch: int = 0
    pace: float = 0.0
    last: float = 0.0
    refused: float = 0.0
    counted: float = 0.0
    peak: float = 0.0
    span: float = 0.0
    log: list[list[float]] = field(default_factory=list[list[float]])
    leases: dict[str, float] = field(default_factory=dict[str, float])

    def dump(self) -> str:
        """One line of JSON."""
        numbers = [self.even, self.stop, self.left, self.ends, self.opens, self.total, self.epoch, self.pace]
        numbers += [self.last, self.refused, self.counted, self.peak, self.span]
        return json.dumps([*numbers, self.log, self.leases], separators=(",", ":"))

    @classmethod
    def load(cls, text: str, now: float) -> "Level":
        """The level as it was dumped; a fresh one when it cannot be right on a clock that says `now`."""
        values = json.loads(text)
        level = cls(*values[:13])
        level.log, level.leases = list(values[13]), dict(values[14])
        sane = max(level.stop, level.opens, level.last, level.refused) <= now + 2 * LONGEST_WAIT
        return level if sane else cls()


@dataclass(frozen=True, slots=True)
class Size:
    """The terms with what the provider said about them: units, seconds, and units at once."""

    amount: float
    per: float
    burst: float

    @property
    def interval(self) -> float:
        """Seconds for one unit to come back."""
        return self.per / self.amount

    def spacing(self, margin: float) -> float:
        """Seconds between two requests of the even stream."""
        return (self.per + margin) / (self.amount - self.burst) if self.amount > self.burst else NEVER


def sized(terms: Terms, level: Level) -> Size:
    """Amount, length and burst: the provider's word where it gave one."""
    if terms.kind == "learned" or level.peak <= 0:
        return Size(terms.amount, terms.per, terms.burst)
    scale = level.peak / terms.amount
    per = level.span or terms.per
    if terms.kind == "bucket":
        return Size(level.peak, per, terms.burst * scale)
    return Size(level.peak, per, float(int(terms.burst * scale)))


def charge(terms: Terms, level: Level, cost: float) -> float:
    """A request can never take more than the whole budget."""
    size = sized(terms, level)
    whole = size.burst if terms.kind == "bucket" else size.amount
    return cost if terms.kind in {"learned", "circuit", "concurrency"} else min(cost, whole)


def slack(terms: Terms, margin: float) -> float:
    """The margin for clocks and latency that a budget needs; a bucket forgives whatever arrives late."""
    return min(margin, 0.02 if terms.kind == "bucket" else max(0.02, 0.01 * terms.per))


def earliest(terms: Terms, level: Level, cost: float, now: float, margin: float, *, background: bool = False) -> float:
    """When a request of `cost` units may leave; `NEVER` while only the end of another request makes room."""
    if terms.kind == "circuit":
        return max(now, level.opens) if level.left >= TRIPS else now
    at = max(now, level.stop, level.opens)
    if level.pace:
        at = max(at, level.last + level.pace)
    held = terms.reserve if background else 0.0
    if terms.kind == "concurrency":
        for token in [token for token, end in level.leases.items() if end <= now]:
            del level.leases[token]
        return at if len(level.leases) + 1 <= max(terms.amount * (1 - held), 1) else NEVER
    size, cost = sized(terms, level), charge(terms, level, cost)
    if terms.kind == "bucket":
        room = max(size.burst * (1 - held), cost)
        at = max(at, level.even + (cost - room) * size.interval + margin)
    told = level.ends > now
    kept = level.peak * held
    if told and at < level.ends and level.left - kept < cost:
        at = level.ends + margin
    paced = level.even if size.amount > size.burst else NEVER
    if terms.kind in {"sliding", "fixed"} and paced > at:
        room = max(size.burst * (1 - held), min(cost, size.burst))
        entries = _live(terms, level, at)
        at = max(at, min(paced, _room(entries, room, cost, at, size.per + margin)))
        if terms.kind == "fixed" and told and at > level.ends + margin:
            entries = [entry for entry in level.log if entry[0] >= level.ends]
            new = level.ends + margin
            at = max(new, min(paced, _room(entries, room, cost, new, size.per + margin)))
    return at


def _live(terms: Terms, level: Level, at: float) -> list[list[float]]:
    """The entries that count at `at`: in a fixed window none from before its beginning."""
    begun = terms.kind == "fixed" and 0 < level.ends <= at
    return [entry for entry in level.log if entry[0] >= level.ends] if begun else level.log


def _room(entries: list[list[float]], burst: float, cost: float, at: float, stretch: float) -> float:
    """The first moment from `at` on whose `stretch` seconds before hold no more than `burst`, `cost` included."""
    used = sum(units for _, units in entries)
    for moment, units in entries:
        if used + cost <= burst:
            break
        used -= units
        at = max(at, moment + stretch)
    return at if used + cost <= burst else NEVER


def commit(terms: Terms, level: Level, cost: float, *, at: float, now: float, margin: float, cold: float = 0.0) -> bool:
    """Take `cost` units at `at`, a moment not before `earliest`. True when that began the use of a whole budget.

    The provider's clock starts when such a request arrives. While we are `cold`, that may be many milliseconds later
    than we think: a bucket then counts on coming back only after so many seconds, until `begun` knows better.
    """
    if terms.kind == "circuit":
        if level.left >= TRIPS:
            level.opens = at + PROBE_SECONDS
        return False
    opened = False
    size, cost = sized(terms, level), charge(terms, level, cost)
    if terms.kind == "bucket":
        opened = level.even <= now
        full = at if at > level.even + margin else level.even  # the margin shifts moments, it must not slow the rate
        level.even = full + cost * size.interval + (cold if opened else 0.0)
    elif terms.kind in {"sliding", "fixed"}:
        if 0 < level.ends <= now:
            level.log = _live(terms, level, now)
        while level.log and level.log[0][0] <= now - size.per - margin:
            level.log.pop(0)
        spacing = size.spacing(margin)
        opened = not level.log and level.even <= now - size.per
        if level.even <= at and spacing < NEVER:
            level.even = at + cost * spacing
        else:
            _note(level.log, at, cost, size.per / _ENTRIES)
    if level.ends > 0:
        _count(terms, level, cost, at=at, now=now, margin=margin)
    if level.pace:
        idle = max(at - level.last - level.pace, 0.0)
        quicker = 1 - 5e-6 * (level.total - level.counted) - idle / 300
        level.pace = level.pace * quicker if quicker > 0 and level.pace > 0.001 else 0.0
    level.total += cost
    level.last = max(level.last, at)
    return opened


def begun(terms: Terms, level: Level, late: float, cold: float) -> None:
    """The request that began the use of a budget was answered `late` seconds after its moment."""
    late = max(late, 0.0)
    if terms.kind == "bucket":
        level.even += late - cold
    else:
        level.even += late
        level.log = [[moment + late, units] for moment, units in level.log]


def delayed(terms: Terms, level: Level, cost: float, *, at: float, late: float, shift: float) -> bool:
    """The request of about the moment `at` left `late` seconds after it: the provider counts it for that much longer.

    Where it is entered it moves. The even stream as a whole waits for `shift` seconds: nobody knows which of its
    moments it was, and one wait covers all that were late together. True when that changed something.
    """
    moved = next((entry for entry in level.log if abs(entry[0] - at) <= _SAME and entry[1] >= cost), None)
    if moved is not None:
        moved[1] -= cost
        level.log = [entry for entry in level.log if entry[1] > 0]
        bisect.insort(level.log, [at + late, cost])
    if shift > 0 and sized(terms, level).spacing(0.0) < NEVER:
        level.even += shift
        return True
    return moved is not None


def _note(log: list[list[float]], at: float, cost: float, slice_seconds: float) -> None:
    """Enter units; in a long log neighbours become one entry at the later moment, which errs to the safe side."""
    if len(log) >= _ENTRIES and 0 <= at - log[-1][0] <= slice_seconds:
        log[-1] = [at, log[-1][1] + cost]
    else:
        bisect.insort(log, [at, cost])


def _count(terms: Terms, level: Level, cost: float, *, at: float, now: float, margin: float) -> None:
    """Charge what the provider said is left. A learned window that is empty is followed by one of the same size."""
    learned = terms.kind == "learned" and level.peak > 0
    if at < level.ends:
        level.left -= cost
    elif not learned:
        level.ends = level.ends if level.ends > now else 0.0
    elif level.ends > now and level.left >= cost:  # later for another budget's sake: charged to the window we know
        level.left -= cost
    else:
        level.opens = level.ends + margin if level.ends > now else 0.0
        level.ends = max(level.ends, now) + level.span
        level.left = level.peak - cost


def standing(terms: Terms, level: Level, now: float) -> float | None:
    """Units that could leave at once; None when nothing is known."""
    told = level.left if level.ends > now else None
    size = sized(terms, level)
    match terms.kind:
        case "concurrency":
            own: float | None = terms.amount - sum(end > now for end in level.leases.values())
        case "bucket":
            own = size.burst - max(level.even - now, 0.0) / size.interval
        case "sliding" | "fixed":
            used = sum(units for moment, units in level.log if moment > now - size.per)
            own = size.burst - used + (1.0 if level.even <= now else 0.0)
        case _:
            own = None
    known = [each for each in (told, own) if each is not None]
    return max(min(known), 0.0) if known else None
