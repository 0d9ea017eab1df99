"""Where budgets are kept, and the one step that all keepers do at once: find a moment in every budget, and take it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Protocol

from clew.core.budgets import NEVER, Level, Terms, commit, earliest, slack
from clew.core.values import dataclass

Edit = Callable[[Level, float], bool]
"""Changes a level at a time (the keeper's clock); False when nothing has to be written."""

Mark = tuple[float, int, float, int]

AGAIN_SECONDS = 0.03
"""When to ask again for a slot that only the end of another request can free."""

BOOKED_SECONDS = 0.02
"""Background work takes no moment further ahead than this, so that whoever is waited for goes first."""

IDLE_SECONDS = 7200.0
"""A budget that nobody touched for so long is forgotten, unless its window is longer."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Units wanted from one budget."""

    key: str
    terms: Terms
    cost: float = 1.0


@dataclass(frozen=True, slots=True)
class Wish:
    """How units are wanted: at most `longest` seconds from now, `margin` seconds of caution, which lease to note for
    concurrency slots and for how many seconds, and for how many seconds a first request may be on its way (`cold`)."""

    longest: float
    margin: float
    token: str = ""
    lease: float = 60.0
    background: bool = False
    cold: float = 0.0


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of it. When `ok` the request may leave in `wait` seconds; otherwise nothing was taken, and asking
    again makes sense in `wait` seconds. `blocked` is the ask that decided; `marks` hold total, epoch and failures of
    each, and 1 when this began the use of it."""

    ok: bool
    wait: float
    blocked: int = 0
    marks: tuple[Mark, ...] = ()


class LimitStore(Protocol):
    """Budgets shared by whoever uses the same keeper. Faults of the keeper are `StoreError`."""

    async def take(self, asks: Sequence[Ask], wish: Wish) -> Taken:
        """Take units from all budgets at one moment, or from none."""
        ...

    async def change(self, key: str, terms: Terms, edit: Edit) -> None:
        """Read a budget, edit it, write it, as one step."""
        ...

    async def read(self, keys: Sequence[str]) -> tuple[float, list[Level]]:
        """The keeper's clock and the levels, fresh ones for unknown keys."""
        ...

    async def everything(self) -> tuple[float, dict[str, tuple[Terms, Level]]]:
        """The keeper's clock and all budgets by key."""
        ...

    async def close(self) -> None:
        """Release files and connections."""
        ...


class StoreError(Exception):
    """The keeper cannot be reached or used."""


def take(asks: Sequence[Ask], levels: Sequence[Level], wish: Wish, now: float) -> Taken:
    """Find the first moment at which all budgets have room, and take it in each; the levels are changed in place."""
    at, blocked = now, 0
    for position, (ask, level) in enumerate(zip(asks, levels, strict=True)):
        margin = slack(ask.terms, wish.margin)
        moment = earliest(ask.terms, level, ask.cost, now, margin, background=wish.background)
        if moment > at:
            at, blocked = moment, position
    if at == NEVER:
        return Taken(False, AGAIN_SECONDS, blocked)
    if at > now and asks[blocked].terms.kind == "circuit":
        return Taken(False, at - now, blocked)
    if at - now > (BOOKED_SECONDS if wish.background else wish.longest):
        return Taken(False, at - now, blocked)
    marks: list[Mark] = []
    for ask, level in zip(asks, levels, strict=True):
        opened = commit(
            ask.terms, level, ask.cost, at=at, now=now, margin=slack(ask.terms, wish.margin), cold=wish.cold
        )
        if ask.terms.kind == "concurrency":
            level.leases[wish.token] = at + wish.lease
        marks.append((level.total, level.epoch, level.left, int(opened)))
    return Taken(True, at - now, blocked, tuple(marks))


def row(terms: Terms, level: Level) -> str:
    """A budget as it is written down."""
    return f"{terms.dump()}\n{level.dump()}"


def parse(text: str, now: float) -> tuple[Terms, Level]:
    """A budget as it was written down."""
    return Terms.load(text.partition("\n")[0]), read_level(text, now)


def read_level(text: str, now: float) -> Level:
    """How it stands, for whoever knows its terms."""
    return Level.load(text.partition("\n")[2], now)


def idle(terms: Terms, level: Level, now: float) -> bool:
    """Can this budget be forgotten?"""
    latest = max(level.last, level.stop, level.refused, level.opens, level.ends)
    return latest + max(IDLE_SECONDS, terms.per) < now


@dataclass(slots=True)
class MemoryStore:
    """Budgets of this process alone. `clock` is monotonic seconds."""

    clock: Callable[[], float] = time.monotonic
    budgets: dict[str, tuple[Terms, Level]] = field(default_factory=dict[str, tuple[Terms, Level]])

    async def take(self, asks: Sequence[Ask], wish: Wish) -> Taken:
        """Take units; nothing is waited for, so nobody can come between."""
        return take(asks, [self._level(ask.key, ask.terms) for ask in asks], wish, self.clock())

    def _level(self, key: str, terms: Terms) -> Level:
        found = self.budgets.get(key)
        if found is not None and found[0] == terms:
            return found[1]
        if found is None and len(self.budgets) >= 10_000:
            now = self.clock()
            for old in [each for each, (its, level) in self.budgets.items() if idle(its, level, now)]:
                del self.budgets[old]
        level = found[1] if found else Level()
        self.budgets[key] = terms, level
        return level

    async def change(self, key: str, terms: Terms, edit: Edit) -> None:
        """Edit a budget in place."""
        edit(self._level(key, terms), self.clock())

    async def read(self, keys: Sequence[str]) -> tuple[float, list[Level]]:
        """The levels, not copied."""
        return self.clock(), [self.budgets[key][1] if key in self.budgets else Level() for key in keys]

    async def everything(self) -> tuple[float, dict[str, tuple[Terms, Level]]]:
        """All budgets."""
        return self.clock(), dict(self.budgets)

    async def close(self) -> None:
        """Nothing to release."""
