"""One request through its budgets: which it is charged to, the wait for its moment, and what the answer teaches.

Keys are (provider, bucket, principal, object). Budgets that are not declared are learned from headers and refusals.
"""

import math
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from clew.core.budget_news import adjust, learn, refuse
from clew.core.budgets import CIRCUIT, LEARNED, TRIPS, Level, Terms, begun, delayed, slack
from clew.core.deadline import Deadline
from clew.core.errors import ProviderDownError, RateLimitError
from clew.core.limit_store import Ask, Edit, LimitStore, Mark, MemoryStore, Taken, Wish
from clew.core.limit_turns import Jitter, Sleep, Turn
from clew.core.limits import Limit, News, RateLimitHeaders, object_of
from clew.core.values import dataclass

if TYPE_CHECKING:
    import httpx

PROGRESS_SECONDS = 10.0
"""While a call waits, its host hears of it this often: Copilot cuts off what is silent for 180 s."""

COLD_SECONDS = 0.5
"""How long the first request after a pause may take to arrive: names, handshakes, a process that has just started."""

WARM_SECONDS = 5.0
"""A connection that was used so recently is still open."""

LATE_SECONDS = 0.005
"""A first request that is answered later than this moves the beginning of what it used: the margin may shrink to this
before the window ends, so none of it can be counted on."""

_STEP = 0.002
_SHIFTS = 10_000
Tell = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Declared:
    """What a connector declares about its limits."""

    provider: str
    limits: tuple[Limit, ...] = ()
    signals: tuple[RateLimitHeaders, ...] = ()


@dataclass(frozen=True, slots=True)
class Sending:
    """The request that asks for room: whose credentials, which template, and whether somebody waits for it."""

    principal: str
    route: str
    request: "httpx.Request"
    background: bool = False


@dataclass(slots=True)
class Pass:
    """The right to send one request at `due` (this process's clock), and what it was charged for.

    `early` is when `due` was at the earliest on the keeper's clock: its answer took a moment to reach us.
    """

    asks: tuple[Ask, ...]
    limits: tuple[Limit | None, ...]
    marks: tuple[Mark, ...]
    due: float
    token: str
    early: float = 0.0
    cold: float = 0.0

    def points(self) -> dict[str, float]:
        """What it was charged by the budgets that count something else than requests."""
        pairs = zip(self.asks, self.limits, strict=True)
        return {limit.name: ask.cost for ask, limit in pairs if limit is not None and ask.cost != 1.0}


@dataclass(slots=True)
class Limiter:
    """The way into the budgets. `clock` is monotonic seconds, `wall` epoch seconds."""

    store: LimitStore = field(default_factory=MemoryStore)
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    buckets: dict[tuple[str, str, str], str] = field(default_factory=dict[tuple[str, str, str], str])
    jitters: dict[str, Jitter] = field(default_factory=dict[str, Jitter])
    shifts: dict[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    turns: dict[tuple[str, ...], Turn] = field(default_factory=dict[tuple[str, ...], Turn])

    def __post_init__(self) -> None:
        if isinstance(self.store, MemoryStore):
            self.store.clock = self.clock

    async def enter(
        self, declared: Declared, sending: Sending, *, deadline: Deadline, sleep: Sleep, tell: Tell
    ) -> tuple[Pass, float]:
        """Wait for room in every budget; the pass, and the seconds waited.

        Raises `RateLimitError` with `retry_after` when the wait does not fit the deadline (nothing is then taken), and
        `ProviderDownError` while the provider does not answer anybody.
        """
        asks, limits = self._asks(declared, sending)
        token = f"{os.getpid()}-{secrets.token_hex(6)}"
        turn = self.turns.setdefault((declared.provider, *(limit.name for limit in limits if limit)), Turn())
        if turn.free_at == -math.inf:  # or the keeper's connection would count as lateness of the first request
            await self.store.read([asks[0].key])
        waited = 0.0
        while True:
            async with turn.mine(self.clock, sleep):
                left = deadline.remaining()
                jitter = self._jitter(declared)
                cold = COLD_SECONDS if self.clock() - jitter.seen > WARM_SECONDS else 0.0
                wish = Wish(max(left - 0.5, 0.0), jitter.margin, token, left + 1.0, sending.background, cold)
                asked = self.clock()
                taken = await self.store.take(asks, wish)
                due = self.clock() + taken.wait
                turn.took(taken, asks[taken.blocked], asked)
            if not taken.ok and (asks[taken.blocked].terms is CIRCUIT or not deadline.fits(taken.wait)):
                raise _refusal(declared, taken, limits[taken.blocked], asks[taken.blocked])
            room = Pass(asks, limits, taken.marks, due, token, asked + taken.wait, cold)
            if taken.wait > 0:
                waited += taken.wait
                try:
                    await self._wait(declared.provider, taken.wait, sleep, tell)
                except BaseException:
                    await self._give_back(room)
                    raise
            if taken.ok and (taken.wait <= _STEP or await self._stands(room)):
                return room, waited

    async def leave(self, room: Pass | None) -> None:
        """The request is over: its concurrency slots are free. Without a pass it never got that far."""
        if room is None:
            return
        for ask in room.asks:
            if ask.terms.kind == "concurrency":
                await self.store.change(ask.key, ask.terms, _freed(room.token))

    async def answered(
        self,
        declared: Declared,
        sending: Sending,
        room: Pass,
        headers: Mapping[str, str],
        data: Any,
        *,
        sent_at: float | None = None,
    ) -> None:
        """Take in what an answer says about budgets, what it really took, and that the provider is there. `sent_at` is
        when the request left, where that is known: a busy machine lets it wait past its moment."""
        late, jitter = self.clock() - room.early, self._jitter(declared)
        behind = 0.0 if sent_at is None else sent_at - room.early
        for ask, mark in zip(room.asks, room.marks, strict=True):
            if ask.terms.kind in {"sliding", "fixed"} and not mark[3] and behind > slack(ask.terms, jitter.margin):
                shift = self._shift(ask, behind - slack(ask.terms, jitter.margin))
                await self.store.change(ask.key, ask.terms, self._delayed(ask, mark, room, behind, shift))
        jitter.observe(late, self.clock())
        for ask, limit, mark in zip(room.asks, room.limits, room.marks, strict=True):
            if ask.terms is CIRCUIT and mark[2] > 0:
                await self.store.change(ask.key, CIRCUIT, _closed)
            if mark[3] and (room.cold or late > LATE_SECONDS):
                await self.store.change(ask.key, ask.terms, _begun(ask.terms, room, mark, late))
            paid = limit.paid(headers, data) if limit else None
            if paid is not None and paid != ask.cost:
                await self.store.change(ask.key, ask.terms, _adjusted(ask.terms, paid - ask.cost))
        for signal in declared.signals:
            news = signal.read(headers, self.wall(), data)
            if news is not None:
                await self._learn(declared, sending, room, signal, news)

    async def refused(
        self, declared: Declared, sending: Sending, room: Pass, seconds: float, *, told: bool = False
    ) -> None:
        """The provider refused for its limits: the whole budget steps back, in every process. `told` says that the
        seconds are the provider's own word."""
        position = _narrowest(room)
        ask, epoch = room.asks[position], room.marks[position][1]
        if ask.terms is LEARNED:  # the answer may have named its bucket for the first time
            ask = self._learned(declared, sending)

        def edit(level: Level, now: float) -> bool:
            refuse(ask.terms, level, seconds, epoch, now, told=told)
            return True

        await self.store.change(ask.key, ask.terms, edit)

    async def failed(self, room: Pass) -> None:
        """The provider's host did not answer, or answered for want of a backend."""
        for ask in room.asks:
            if ask.terms is CIRCUIT:
                await self.store.change(ask.key, CIRCUIT, _tripped)

    async def left(self, declared: Declared, sending: Sending, room: Pass) -> float | None:
        """Seconds until the window that a refused request was charged to ends, when nothing is left in it."""
        keys = dict.fromkeys([*(ask.key for ask in room.asks), self._learned(declared, sending).key])
        now, levels = await self.store.read(list(keys))
        ends = [level.ends - now for level in levels if level.ends > now and level.left < 1]
        return max(ends, default=None)

    def _shift(self, ask: Ask, seconds: float) -> float:
        """By how much a budget's even stream is still to wait, when it has to by `seconds` in each of its windows."""
        now = self.clock()
        began, done = self.shifts.get(ask.key, (-math.inf, 0.0))
        if now - began > ask.terms.per:
            began, done = now, 0.0
        if len(self.shifts) >= _SHIFTS:
            self.shifts.clear()
        self.shifts[ask.key] = began, max(done, seconds)
        return max(seconds - done, 0.0)

    def _delayed(self, ask: Ask, mark: Mark, room: Pass, late: float, shift: float) -> Edit:
        def edit(level: Level, now: float) -> bool:
            at = now - (self.clock() - room.early)  # the keeper's clock is another one
            return level.epoch == mark[1] and delayed(ask.terms, level, ask.cost, at=at, late=late, shift=shift)

        return edit

    def _jitter(self, declared: Declared) -> Jitter:
        return self.jitters.setdefault(declared.provider, Jitter())

    def _asks(self, declared: Declared, sending: Sending) -> tuple[tuple[Ask, ...], tuple[Limit | None, ...]]:
        request, provider = sending.request, declared.provider
        asks = [Ask(_key(provider, "circuit", "", request.url.netloc.decode("ascii")), CIRCUIT)]
        found: list[Limit | None] = [None]
        counted = False
        for limit in declared.limits:
            if limit.covers(request.method, sending.route):
                thing = "" if limit.each is None else _thing(sending, limit.each)
                principal = sending.principal if limit.by == "account" else ""
                asks.append(Ask(_key(provider, limit.name, principal, thing), _terms(limit), limit.charge(request)))
                found.append(limit)
                counted = counted or limit.kind != "concurrency"
        tied = {limit.name for limit in declared.limits}
        if not counted or any(signal.bucket or signal.budget not in tied for signal in declared.signals):
            asks.append(self._learned(declared, sending))
            found.append(None)
        return tuple(asks), tuple(found)

    def _learned(self, declared: Declared, sending: Sending) -> Ask:
        bucket = self.buckets.get((declared.provider, sending.request.method, sending.route), "")
        return Ask(_key(declared.provider, f"learned {bucket}".strip(), sending.principal, ""), LEARNED)

    async def _wait(self, provider: str, seconds: float, sleep: Sleep, tell: Tell) -> None:
        until = self.clock() + seconds
        left = seconds
        while left > 0:
            if left >= 1:
                await tell(f"waiting {left:.0f} s for the rate limit of {provider}")
            step = min(left, PROGRESS_SECONDS)
            await sleep(step)
            left = min(left - step, until - self.clock())

    async def _stands(self, room: Pass) -> bool:
        """Is the moment we slept for still ours? After a refusal nobody's is."""
        counted = [position for position, ask in enumerate(room.asks) if ask.terms is not CIRCUIT]
        now, levels = await self.store.read([room.asks[position].key for position in counted])
        due = now + room.due - self.clock()
        for position, level in zip(counted, levels, strict=True):
            if level.epoch != room.marks[position][1] or level.stop > due + _STEP:
                await self._give_back(room)
                return False
        return True

    async def _give_back(self, room: Pass) -> None:
        """Return what was taken for a request that is not sent, where that is safe: the end of a bucket's queue."""
        await self.leave(room)
        for ask, mark in zip(room.asks, room.marks, strict=False):
            if ask.terms.kind == "bucket":
                await self.store.change(ask.key, ask.terms, _returned(ask, mark[1]))

    async def _learn(
        self, declared: Declared, sending: Sending, room: Pass, signal: RateLimitHeaders, news: News
    ) -> None:
        place = declared.provider, sending.request.method, sending.route
        names = [limit.name if limit else None for limit in room.limits]
        kinds = [ask.terms.kind for ask in room.asks]
        marks: dict[str, float] = {ask.key: mark[0] for ask, mark in zip(room.asks, room.marks, strict=True)}
        for ask, name, kind in zip(room.asks, names, kinds, strict=True):
            if not signal.bucket and name == signal.budget and kind != "concurrency":
                await self.store.change(ask.key, ask.terms, _taught(ask.terms, news, marks[ask.key]))
                return
        bucket = news.bucket or signal.budget
        if self.buckets.get(place, "") != bucket and len(self.buckets) < 10_000:
            self.buckets[place] = bucket
        key = self._learned(declared, sending).key
        await self.store.change(key, LEARNED, _taught(LEARNED, news, marks.get(key, math.inf)))


_TERMS: dict[int, tuple[Limit, Terms]] = {}


def _terms(limit: Limit) -> Terms:
    known = _TERMS.get(id(limit))
    if known is None or known[0] is not limit:
        known = _TERMS[id(limit)] = limit, Terms.of(limit)
    return known[1]


@lru_cache(maxsize=4096)
def _key(provider: str, bucket: str, principal: str, thing: str) -> str:
    return "|".join(part.replace("|", "%7C") for part in (provider, bucket, principal, thing))


def _thing(sending: Sending, position: int) -> str:
    return object_of(sending.route, sending.request.url.raw_path.decode("ascii").partition("?")[0], position)[:200]


def _narrowest(room: Pass) -> int:
    """Which budget a refusal is about, when the answer does not say: the one that counts the fewest requests."""
    weights: list[tuple[int, int]] = []
    for position, (ask, limit) in enumerate(zip(room.asks, room.limits, strict=True)):
        if ask.terms.kind not in {"circuit", "concurrency"}:
            narrow = 4 * (limit.each is not None) + 2 * bool(limit.paths) + bool(limit.methods) if limit else 0
            weights.append((narrow, -position))
    return -max(weights)[1]


def _refusal(declared: Declared, taken: Taken, limit: Limit | None, ask: Ask) -> RateLimitError | ProviderDownError:
    name = declared.provider
    if ask.terms is CIRCUIT:
        return ProviderDownError(
            f"{name} does not answer; the last {TRIPS:.0f} requests failed. Nothing was sent.",
            retry_after=max(taken.wait, 2.0),
        )
    wait = max(taken.wait, 1.0)
    narrow = limit is not None and bool(limit.paths or limit.methods or limit.each is not None)
    others = (
        f"Other tools of {name} have budgets of their own and can be called now."
        if narrow
        else (f"Until then use what does not need {name}.")
    )
    return RateLimitError(
        f"the rate limit of {name} is used up; nothing was sent.",
        retry_after=wait,
        next_step=f"Wait {math.ceil(wait)} s, then make the same call again. {others}",
    )


def _freed(token: str) -> Edit:
    return lambda level, now: level.leases.pop(token, None) is not None


def _closed(level: Level, now: float) -> bool:
    level.left = level.opens = 0.0
    return True


def _tripped(level: Level, now: float) -> bool:
    level.left += 1
    level.last = now
    if level.left >= TRIPS:
        level.opens = max(level.opens, now + 0.5)
    return True


def _begun(terms: Terms, room: Pass, mark: Mark, late: float) -> Edit:
    def edit(level: Level, now: float) -> bool:
        if level.epoch == mark[1]:
            begun(terms, level, late, room.cold)
        return level.epoch == mark[1]

    return edit


def _adjusted(terms: Terms, units: float) -> Edit:
    def edit(level: Level, now: float) -> bool:
        adjust(terms, level, units, now, now)
        return True

    return edit


def _returned(ask: Ask, epoch: int) -> Edit:
    def edit(level: Level, now: float) -> bool:
        if level.epoch == epoch:
            adjust(ask.terms, level, -ask.cost, now, now)
        return level.epoch == epoch

    return edit


def _taught(terms: Terms, news: News, mark: float) -> Edit:
    return lambda level, now: learn(terms, level, news, min(mark, level.total), now)
