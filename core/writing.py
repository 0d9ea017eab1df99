"""One write under way: it is in the journal before its first request leaves, and its end is there before it is told.

The journal is asked at the first request and not earlier: what a tool refuses by itself leaves no row, and a tool whose
first request is the write costs one durable step. A call that finds its answer there ends with `Answered`, which is no
`Exception`, so that no tool catches it by accident.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from clew.core import once as offers
from clew.core.database import to_the_end
from clew.core.deadline import Deadline
from clew.core.errors import (
    ERRORS,
    ActionRequiredError,
    AlreadyDoneError,
    CallError,
    Code,
    ConflictError,
    InternalError,
    Outcome,
    OutcomeUnknownError,
    Retry,
    TransientError,
)
from clew.core.journal import LEASE_SECONDS, Ending, Journal, State, Wanted, Write
from clew.core.outcomes import lost
from clew.core.retry import Sleep

log = logging.getLogger(__name__)

Answer = dict[str, Any]
Looker = Callable[[Write], Awaitable[Mapping[str, Any] | None]]
"""The declared look at the provider: the structured result when the write is there, None when it is not."""

_REPEATS = 2
"""How often one call sends a write again whose answer was lost, where that is safe."""
_MARGIN = 1.0
"""Seconds before the end of the lease in which nothing is sent any more."""

NOTHING_SAID = frozenset(
    {
        Code.AUTH_REVOKED,
        Code.AUTH_EXPIRED,
        Code.PERMISSION,
        Code.QUOTA_EXHAUSTED,
        Code.RATE_LIMITED,
        Code.TRANSIENT,
        Code.PROVIDER_DOWN,
        Code.INTERNAL,
        Code.OUTCOME_UNKNOWN,
        Code.CONTRACT_CHANGED,
    }
)
"""Refusals of a repeat that say nothing about the request before it."""


class Answered(BaseException):
    """The journal knows how this call ends; the tool function goes no further."""


@dataclass(slots=True, eq=False)
class Writing:
    """The journal's side of one call of a write. `Api` tells it of every request; `judge` is told the end.

    `checks` names the tools with which an agent can look. `approved` is False for a call that nobody was asked about
    because its row had an end already: it may read that end and nothing else. `look` is there when the tool declares
    one.
    """

    once: offers.Once | None = None
    journal: Journal | None = None
    wanted: Wanted | None = None
    deadline: Deadline = field(default_factory=lambda: Deadline.after(60))
    sleep: Sleep = asyncio.sleep
    checks: str = ""
    look: Looker | None = None
    timing: offers.Look | None = None
    approved: bool = True
    resumes: bool = False

    row: Write | None = None
    doubt: bool = False
    sent: bool = False
    positions: int = 0
    replayed: bool = False
    follow_up: str = ""
    _tries: int = 0
    _partial: bool = False
    _reference: str | None = None
    _flushed: bool = True
    _seed: str = field(default_factory=lambda: uuid.uuid4().hex)
    _ends: tuple[float, float] = (0.0, 0.0)
    _renewal: asyncio.TimerHandle | None = None
    _renewing: asyncio.Task[None] | None = None
    _said: Answer | CallError | None = None
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)

    # What a tool says about its write.

    def refer(self, reference: str) -> None:
        """What the provider calls the object; in the row before the next request leaves."""
        self._reference, self._flushed = reference, False

    # Before a request leaves.

    async def depart(self, *, safe: bool) -> None:
        """Called before every request: the row is there, and says `sent` before one that may change something."""
        if self.journal is None:
            return
        async with self._opening:
            if self.row is None:
                self.row = await self._opened(State.INTENDED if safe else State.SENT)
                self._hold()
            elif not safe and (self.row.state is State.INTENDED or not self._flushed):
                if not await self.journal.mark_sent(self.row, self._reference):
                    raise self._late()
                self._held()
            self._flushed = True
            self.sent = self.sent or not safe

    def guard(self) -> None:
        """Called as the last thing before a request is written: a process that slept too long does not send."""
        if self.row is not None and not self._fresh():
            raise self._late()

    def _fresh(self) -> bool:
        """By both clocks: one stands still while a machine sleeps, the other can be set."""
        monotonic, wall = self._ends
        return time.monotonic() < monotonic - _MARGIN and time.time() < wall - _MARGIN

    def _late(self) -> CallError:
        return lost("this call slept past its time", left=False, safe=False, provider=self._provider)

    @property
    def _provider(self) -> str:
        return self.wanted.connection.connector if self.wanted is not None else "the provider"

    def hear(self, headers: Mapping[str, str]) -> None:
        """An answer has come; is it one that was given before?"""
        if isinstance(self.once, offers.ProviderKey) and self.once.replayed:
            self.replayed = headers.get(self.once.replayed, "").lower() == "true" or self.replayed

    def dress(self, method: str, more: dict[str, Any], inside: str = "") -> dict[str, Any]:
        """The parts of a request with the provider's key or our mark on them; `inside` is a path before `field`."""
        key, marker = self.key(method)
        kind = self.once
        if marker and isinstance(kind, offers.Marker):
            return _filled(more, inside + kind.field, kind.text.replace("{marker}", marker), add=True)
        if not key or not isinstance(kind, offers.ProviderKey | offers.NaturalKey):
            return more
        if isinstance(kind, offers.ProviderKey) and kind.header:
            return {**more, "headers": {**(more.get("headers") or {}), kind.header: key}}
        return _filled(more, inside + kind.field, key, add=False) if kind.field else more

    def key(self, method: str) -> tuple[str, str]:
        """The provider's key and our mark for the next request of this call: empty where none belongs."""
        position, self.positions = self.positions, self.positions + 1
        seed = self.row.seed if self.row is not None else self._seed
        kind = self.once
        if isinstance(kind, offers.ProviderKey | offers.NaturalKey) and method in kind.methods:
            return offers.key_of(seed, position, kind.form), ""
        if isinstance(kind, offers.Marker) and method in kind.methods:
            return "", self.row.marker if self.row is not None else ""  # without a row nobody would search for it
        return "", ""

    # Meeting the row.

    async def _opened(self, state: State) -> Write:
        """The row, held by this call, in `state`. Raises `Answered` when there is nothing left to do."""
        assert self.journal is not None
        assert self.wanted is not None
        pause = 0.02
        while True:
            met = await self._met(state)
            if met is not None:
                return met
            if not self.deadline.fits(pause):
                raise self._ends_with(self._in_progress())
            await self.sleep(pause)
            pause = min(pause * 1.6, 0.4)

    async def _met(self, state: State) -> Write | None:
        """One look at the row; None: a call works on it, or it has just changed hands."""
        journal, wanted = self.journal, self.wanted
        assert journal is not None
        assert wanted is not None
        if not self.approved:
            row = await journal.peek(wanted)
            if row is None or row.state in (State.INTENDED, State.NOT_APPLIED):
                raise self._ends_with(TransientError("what this call was to read is no longer in the journal."))
        else:
            row, made = await journal.claim(wanted, state=state)
            if made:
                return row
        await self._check_same(row)
        if row.state is State.APPLIED:
            raise self._ends_with(await self._kept(row))
        if journal.is_held(row):
            return None
        if row.state in (State.INTENDED, State.NOT_APPLIED):
            return await journal.take(row, state, anew=row.state is State.NOT_APPLIED)
        return await self._settle(row)

    async def _check_same(self, row: Write) -> None:
        assert self.wanted is not None
        if row.fingerprint != self.wanted.fingerprint:
            raise self._ends_with(
                ConflictError(
                    f"this request_id was used for another {row.tool}, with other arguments; nothing was sent.",
                    next_step="Use a new request_id for a new action, or the same arguments to repeat the former one.",
                )
            )

    async def _settle(self, row: Write) -> Write | None:
        """A row whose request may have happened: found out, or taken to be sent again where that is safe."""
        assert self.journal is not None
        again = offers.repeatable(self.once) and self._in_time(row)
        if self.resumes or (again and self.approved):
            taken = await self.journal.take(row, State.SENT)
            self.doubt = taken is not None
            return taken
        taken = await self.journal.take(row, State.UNKNOWN)
        if taken is None:
            return None
        self.row = taken
        ending, said = await self._looked(taken)
        await self._finish(ending)
        self.row = None
        if ending.state is State.NOT_APPLIED and self.approved:
            return None  # known now: the next look at the row begins it anew
        raise self._ends_with(said)

    async def settle(self, row: Write) -> bool:
        """Look at the provider for a row that this holds; True when its end is known now."""
        self.row = row
        ending, _ = await self._looked(row)
        await self._finish(ending)
        return ending.state is not State.UNKNOWN

    def _in_time(self, row: Write) -> bool:
        """Does the provider still know the key? Clocks differ, so a twentieth of the time is left unused."""
        if not isinstance(self.once, offers.ProviderKey) or self.once.ttl is None:
            return True
        since = row.sent_at or row.created_at
        return 0 <= time.time() - since + 1 < self.once.ttl * 0.95

    async def _kept(self, row: Write) -> Answer | CallError:
        """What a finished write says again."""
        assert self.journal is not None
        assert self.wanted is not None
        try:
            kept = await self.journal.answer(row) or {}
        except InternalError as fault:  # said aloud below: the result is gone, the write is not
            log.error("the answer of write %s cannot be read: %s", row.id, fault)
            kept = {}
        if "error" in kept:
            return error_of(kept["error"])
        result = kept.get("result")
        if self.wanted.request_id is not None and result is not None:
            return dict(result)
        again = (
            "To do it once more, call with a new request_id."
            if result is not None
            else "Its result is no longer kept; read the object. To do it once more, call with a new request_id."
        )
        error = AlreadyDoneError(
            f"this very {row.tool} was done {_ago(row.ended_at)}; nothing was sent again.", next_step=again
        )
        error.result = result
        return error

    def _in_progress(self) -> CallError:
        return TransientError(
            "the same write is in progress in another call; nothing was sent by this one.",
            outcome=Outcome.UNKNOWN,
            next_step="Make the same call again, with the same request_id, to hear how it ended.",
        )

    def _ends_with(self, said: Answer | CallError) -> Answered:
        self._said = said
        return Answered()

    # Holding on to it.

    def _hold(self) -> None:
        self._held()
        loop = asyncio.get_running_loop()
        self._renewal = loop.call_later(LEASE_SECONDS / 3, self._renew)

    def _held(self) -> None:
        self._ends = time.monotonic() + LEASE_SECONDS, time.time() + LEASE_SECONDS

    def _renew(self) -> None:
        self._renewing = asyncio.ensure_future(self._extend())

    async def _extend(self) -> None:
        assert self.journal is not None
        assert self.row is not None
        before = time.monotonic(), time.time()
        try:
            if not await self.journal.extend(self.row):
                return
        except CallError as error:
            log.warning("the lease of write %s could not be renewed: %s", self.row.id, error)
        else:
            self._ends = before[0] + LEASE_SECONDS, before[1] + LEASE_SECONDS
        self._renewal = asyncio.get_running_loop().call_later(LEASE_SECONDS / 3, self._renew)

    def _let_go(self) -> None:
        if self._renewal is not None:
            self._renewal.cancel()
        if self._renewing is not None:
            self._renewing.cancel()

    # The end.

    def said(self) -> Answer:
        """What the journal answers this call. Raises the error, when it is one."""
        if isinstance(self._said, CallError):
            raise self._said
        assert self._said is not None
        return self._said

    @property
    def is_answered(self) -> bool:
        """Has the journal answered this call?"""
        return self._said is not None

    async def succeeded(self, result: Answer, *, changed: bool) -> None:
        """The tool has returned. What changed nothing is no write, and may be done again."""
        if not changed and not self.doubt:
            await self._finish(Ending(state=State.NOT_APPLIED, settled_by="nothing to do"))
            return
        await self._finish(
            Ending(
                state=State.APPLIED,
                answer={"result": result},
                reference=self._reference,
                pending="accepted" if self.follow_up else None,
                settled_by="repeat" if self.doubt else None,
            )
        )

    async def failed(self, error: CallError, *, outcome: Outcome) -> Answer | None:
        """The tool has failed with this outcome of the call. Returns the result when the write turns out to be done,
        None when it shall be sent again, else raises what to tell."""
        if self.row is None or self.journal is None:
            raise error
        if isinstance(error, ActionRequiredError) and (outcome is not Outcome.NOT_APPLIED or self._reference):
            await self._finish(self._kept_error(error, pending="action_required"))
            raise error
        if self.doubt and outcome is not Outcome.UNKNOWN and not self.resumes:
            return await self._judged(error, outcome)
        if outcome is Outcome.APPLIED:
            await self._finish(self._kept_error(error))
            raise error
        if outcome is Outcome.NOT_APPLIED:
            await self._finish(Ending(state=State.NOT_APPLIED, code=error.code))
            raise error
        self._partial = error.outcome is Outcome.NOT_APPLIED
        self.doubt = True
        return await self._unknown(error)

    async def _judged(self, error: CallError, outcome: Outcome) -> Answer | None:
        """A repeat was refused: what does that say about the request before it?"""
        if outcome is Outcome.APPLIED and error.code is not Code.ALREADY_DONE:
            await self._finish(self._kept_error(error))
            raise error
        kind = self.once
        done: tuple[str, ...] = kind.done if isinstance(kind, offers.NaturalKey | offers.Guarded) else ("already_done",)
        chosen = isinstance(kind, offers.NaturalKey) and kind.field and error.code is Code.CONFLICT
        if error.code in done or chosen:
            return await self._done_before(error)
        doubtful = kind.doubtful if isinstance(kind, offers.ProviderKey) else ()
        if error.code in NOTHING_SAID or error.provider_code in doubtful or error.status is None:
            return await self._unknown(error)
        if error.code is Code.CONFLICT and not isinstance(kind, offers.ProviderKey):
            return await self._unknown(error)
        await self._finish(Ending(state=State.NOT_APPLIED, code=error.code, settled_by="repeat"))
        raise error

    async def _done_before(self, error: CallError) -> Answer:
        """The first request has happened; its result is read when the tool declares how."""
        assert self.row is not None
        found = await self._seen(self.row) if self.look is not None else None
        answer = None if found is None else {"result": dict(found)}
        await self._finish(Ending(state=State.APPLIED, answer=answer, reference=self._reference, settled_by="repeat"))
        if found is not None:
            return dict(found)
        raise AlreadyDoneError(
            "the first request did it; its answer was lost.",
            next_step=f"Nothing to do. {self._check_with()}",
            provider_code=error.provider_code,
            provider_message=error.provider_message,
        )

    async def _unknown(self, error: CallError) -> Answer | None:
        """Nobody knows yet: send again where that is safe, else look, else say so."""
        assert self.row is not None
        again = self.positions and offers.repeatable(self.once) and self._in_time(self.row) and self.row.attempts
        wait = 0.1 if self._tries == 0 else 1.0
        lost_again = error.code is Code.OUTCOME_UNKNOWN and not self.replayed
        if again and lost_again and self._tries < _REPEATS and self.deadline.fits(wait) and self._fresh():
            self._tries += 1
            self.positions = 0
            await self.sleep(wait)
            return None
        ending, said = await self._looked(self.row, error)
        await self._finish(ending)
        if isinstance(said, CallError):
            raise said from error
        return said

    async def _looked(self, row: Write, error: CallError | None = None) -> tuple[Ending, Answer | CallError]:
        """Look at the provider as the tool declares it: the end of the row and what to tell."""
        if isinstance(self.once, offers.Draft) and not (self._reference or row.reference):
            return self._not_there()
        if self.look is None or self.timing is None:
            return Ending(state=State.UNKNOWN, code=Code.OUTCOME_UNKNOWN), self._cannot_tell(row, error)
        for number in range(self.timing.tries):
            wait = self.timing.every if number else self._settling(row)
            if not self.deadline.fits(wait):
                break
            await self.sleep(wait)
            try:
                found = await self._seen(row)
            except CallError as failure:
                log.info("the look at write %s failed: %s", row.id, failure.code)
                continue
            if found is not None:
                answer: Answer = dict(found)
                return Ending(state=State.APPLIED, answer={"result": answer}, settled_by="look"), answer
            if number == self.timing.tries - 1:
                return self._not_there()
        return Ending(state=State.UNKNOWN, code=Code.OUTCOME_UNKNOWN), self._cannot_tell(row, error)

    def _settling(self, row: Write) -> float:
        """Seconds until a first look makes sense."""
        assert self.timing is not None
        since = time.time() - (row.sent_at or 0.0)
        return float(min(max(0.0, self.timing.after - since), self.timing.after))

    async def _seen(self, row: Write) -> Mapping[str, Any] | None:
        assert self.look is not None
        return await self.look(row)

    def _not_there(self) -> tuple[Ending, CallError]:
        error = TransientError(
            "the answer was lost, and a look showed that it did not happen.",
            next_step="Make the same call again, with the same request_id.",
        )
        return Ending(state=State.NOT_APPLIED, code=error.code, settled_by="look"), error

    def _cannot_tell(self, row: Write, error: CallError | None) -> CallError:
        """The honest end: unknown, with the way to find out."""
        if error is not None and self.resumes:
            return error
        if error is not None and error.code is not Code.OUTCOME_UNKNOWN:
            error.outcome = Outcome.UNKNOWN
            error.next_step = (
                "Part of this action has happened. Read the current state before doing anything else."
                if self._partial
                else f"Whether the first request happened is not known. {error.next_step}"
            )
            return error
        kind = self.once
        over = isinstance(kind, offers.ProviderKey) and not self._in_time(row)
        why = "the provider has forgotten its key by now, so it is not sent again" if over else "its answer was lost"
        safe = offers.repeatable(kind) and not over
        again = "Or make the same call again: it is not done twice. " if safe else ""
        return OutcomeUnknownError(
            error.message if error is not None else f"this {row.tool} may or may not have happened: {why}.",
            next_step=f"{self._check_with()} {again}Only if it did not happen: call with a new request_id. "
            f"A person can settle it: clew writes resolve {row.id[:12]}",
            retry=Retry.SAME_CALL if safe else None,
            status=error.status if error is not None else None,
            provider_code=error.provider_code if error is not None else None,
            provider_message=error.provider_message if error is not None else None,
            request_id=error.request_id if error is not None else None,
        )

    def _check_with(self) -> str:
        return f"Check with {self.checks}." if self.checks else "Read the current state."

    async def stopped(self, outcome: Outcome) -> None:
        """The call was cut off. What is known is written down, however often the cutting is repeated."""
        state = State.UNKNOWN if outcome is not Outcome.NOT_APPLIED or self.doubt else State.NOT_APPLIED
        await self._finish(Ending(state=state, code="cancelled", reference=self._reference))

    async def broken(self, outcome: Outcome) -> None:
        """The connector has a fault of its own."""
        state = State.UNKNOWN if outcome is not Outcome.NOT_APPLIED or self.doubt else State.NOT_APPLIED
        await self._finish(Ending(state=state, code=Code.INTERNAL, reference=self._reference))

    def _kept_error(self, error: CallError, *, pending: str | None = None) -> Ending:
        return Ending(
            state=State.APPLIED,
            answer={"error": error.as_dict()},
            code=error.code,
            reference=self._reference,
            pending=pending,
        )

    async def _finish(self, ending: Ending) -> None:
        """Write the end down. What has happened has happened: a store that fails now is not the caller's fault."""
        self._let_go()
        if self.row is None or self.journal is None:
            return
        try:
            await to_the_end(self.journal.finish(self.row, ending))
        except CallError as error:
            log.error("the end of write %s could not be kept (%s): %s", self.row.id, ending.state, error)


def _filled(more: dict[str, Any], path: str, text: str, *, add: bool) -> dict[str, Any]:
    body = "form" if more.get("form") is not None else "json"
    return {**more, body: offers.fill(more.get(body), path, text, add=add)}


def error_of(data: Mapping[str, Any]) -> CallError:
    """A kept error, as it was."""
    kind = ERRORS[Code(data["code"])]
    return kind(
        data["message"],
        next_step=data.get("next"),
        outcome=Outcome(data["outcome"]),
        retry=Retry(data["retry"]),
        retry_after=data.get("retry_after_seconds"),
        url=data.get("url"),
        fields=data.get("fields"),
        status=data.get("provider_status"),
        provider_code=data.get("provider_code"),
        provider_message=data.get("provider_message"),
        request_id=data.get("provider_request_id"),
    )


def _ago(ended_at: float | None) -> str:
    seconds = max(0, round(time.time() - (ended_at or time.time())))
    return f"{seconds} s ago" if seconds < 120 else f"{seconds // 60} min ago"
