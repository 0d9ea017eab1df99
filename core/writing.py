"""One write under way: it is in the journal before its first request leaves, and its end is there before it is told.

The journal is asked at the first request and not earlier: what a tool refuses by itself leaves no row, and a tool whose
first request is the write costs one durable step. A call that finds its answer there ends with `Answered`, which is no
`Exception`, so that no tool catches it by accident.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from clew.core import once as offers
from clew.core.database import to_the_end
from clew.core.errors import (
    AlreadyDoneError,
    CallError,
    ConfigurationError,
    ConflictError,
    InternalError,
    Outcome,
    TransientError,
)
from clew.core.holding import Answer
from clew.core.journal import RUNNING, State, Wanted, Write
from clew.core.settling import Settling, error_of
from clew.core.values import dataclass

log = logging.getLogger(__name__)


class Answered(BaseException):
    """The journal knows how this call ends; the tool function goes no further."""


@dataclass(slots=True, eq=False)
class Writing(Settling):
    """The journal's side of one call of a write. `Api` tells it of every request, the walk's stage of its end."""

    # What a tool says about its write.

    def refer(self, reference: str) -> None:
        """What the provider calls the object; in the row before the next request leaves."""
        self._reference, self._flushed = reference, False

    # A workflow whose caller does not wait for its end.

    async def promise(self) -> str | None:
        """From now on this goes on without its caller. The handle, or None while there is nothing to go on with, or it
        has its end already."""
        if self.row is None or self.journal is None or not await self.journal.promise(self.row):
            return None
        self.row = replace(self.row, pending=RUNNING)
        return self.row.id

    async def forsake(self, code: str) -> None:
        """Nobody takes this up again once it is cut off."""
        assert self.row is not None
        assert self.journal is not None
        await self.journal.forsake(self.row.id, code=code)
        self.row = replace(self.row, pending=None)

    # Before a request leaves.

    async def depart(self, *, safe: bool) -> None:
        """Called before every request: the row is there, and says `sent` before one that may change something."""
        if self.journal is None:
            return
        async with self._opening:
            if self.row is None:
                first = safe or self._reference is not None  # a reference must be in the row before anything leaves
                self.row = await self._opened(State.INTENDED if first else State.SENT)
                self._hold()
            if not safe and (self.row.state is State.INTENDED or not self._flushed):
                if not await to_the_end(self.journal.mark_sent(self.row, self._reference)):
                    raise self._late()
                reference, attempts = self._reference or self.row.reference, self.row.attempts + 1
                self.row = replace(self.row, state=State.SENT, reference=reference, attempts=attempts)
                self._held()
            self._flushed = self._flushed or not safe
            self.sent = self.sent or not safe

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

    def own_id(self) -> str:
        """The id that the object has which this write makes, by the row or, without a journal, by the call."""
        if not isinstance(self.once, offers.NaturalKey):
            raise ConfigurationError("a write that names what it makes needs once=NaturalKey(…).")
        return offers.key_of(self.row.seed if self.row is not None else self._seed, 0, self.once.form)

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
                raise self._ends_with(await self._in_progress())
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
            row, made = await self._claimed(wanted, state)
            if made:
                return row
        await self._check_same(row)
        if row.state is State.APPLIED:
            raise self._ends_with(await self._kept(row))
        if journal.is_held(row):
            return None
        if row.state in (State.INTENDED, State.NOT_APPLIED):
            return await self._taken(row, state, anew=row.state is State.NOT_APPLIED)
        return await self._settle(row)

    # A row is ours at the moment it is taken, also for a call that is cut off just then: it says how it ended, instead
    # of leaving a row that nobody knows anything of.

    async def _claimed(self, wanted: Wanted, state: State) -> tuple[Write, bool]:
        async def claim() -> tuple[Write, bool]:
            assert self.journal is not None
            row, made = await self.journal.claim(wanted, state=state)
            self.row = row if made else None
            return row, made

        return await to_the_end(claim())

    async def _taken(self, row: Write, state: State, *, anew: bool = False, doubt: bool = False) -> Write | None:
        async def take() -> Write | None:
            assert self.journal is not None
            self.row = await self.journal.take(row, state, anew=anew)
            self.doubt = doubt and self.row is not None
            return self.row

        return await to_the_end(take())

    async def _check_same(self, row: Write) -> None:
        assert self.wanted is not None
        if row.fingerprint != self.wanted.fingerprint and not self.wanted.row:
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
            return await self._taken(row, State.SENT, doubt=True)
        taken = await self._taken(row, State.UNKNOWN, doubt=True)
        if taken is None:
            return None
        ending, said = await self._looked(taken)
        await self._finish(ending)
        self.row = None
        if ending.state is State.NOT_APPLIED and self.approved:
            return None  # known now: the next look at the row begins it anew
        raise self._ends_with(said)

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

    async def _in_progress(self) -> Answer | CallError:
        assert self.journal is not None
        assert self.wanted is not None
        row = await self.journal.peek(self.wanted)
        if row is not None and row.pending == RUNNING:
            return accepted(row.id)
        return TransientError(
            "the same write is in progress in another call; nothing was sent by this one.",
            outcome=Outcome.UNKNOWN,
            next_step="Make the same call again, with the same request_id, to hear how it ended.",
        )

    def _ends_with(self, said: Answer | CallError) -> Answered:
        self._said = said
        return Answered()


def accepted(identity: str) -> Answer:
    """What a call is told whose workflow goes on without it."""
    return {
        "accepted": {
            "operation": identity,
            "next": f"It goes on by itself. Read how far it is, and its end, with get_operation and {identity}.",
        }
    }


def _filled(more: dict[str, Any], path: str, text: str, *, add: bool) -> dict[str, Any]:
    body = "form" if more.get("form") is not None else "json"
    return {**more, body: offers.fill(more.get(body), path, text, add=add)}


def _ago(ended_at: float | None) -> str:
    seconds = max(0, round(time.time() - (ended_at or time.time())))
    return f"{seconds} s ago" if seconds < 120 else f"{seconds // 60} min ago"
