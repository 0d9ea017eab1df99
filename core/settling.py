"""How a write ended: what an answer, a refusal, a lost answer or a look says about it, and what the agent is told."""

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from clew.core import once as offers
from clew.core.errors import (
    ERRORS,
    ActionRequiredError,
    AlreadyDoneError,
    CallError,
    Code,
    Outcome,
    OutcomeUnknownError,
    Retry,
    TransientError,
)
from clew.core.holding import Answer, Holding
from clew.core.journal import RUNNING, Ending, State, Write
from clew.core.values import dataclass

log = logging.getLogger(__name__)

_REPEATS = 2
"""How often one call sends a write again whose answer was lost, where that is safe."""

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


@dataclass(slots=True, eq=False)
class Settling(Holding):
    """The ends of a write."""

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
        if self.row is None:
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
            await self._finish(Ending(state=State.NOT_APPLIED, code=error.code, answer=self._for_later(error)))
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
        if isinstance(kind, offers.NaturalKey) and kind.field and self.look is not None:
            return await self._unknown(error)  # a refusal whose words nobody knows may mean that our id is taken
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
        if isinstance(said, CallError):
            await self._finish(replace(ending, answer=self._for_later(said)))
            raise said from error
        await self._finish(ending)
        return said

    def _for_later(self, error: CallError) -> Answer | None:
        """The error, kept where the caller is not there any more to be told."""
        return {"error": error.as_dict()} if self._promised else None

    @property
    def _promised(self) -> bool:
        return self.row is not None and self.row.pending == RUNNING

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
        """The call was cut off. What is known is written down, however often the cutting is repeated; what goes on
        without its caller is let go of, for another process to take up."""
        if self._promised:
            await self._finish(Ending(state=State.SENT, pending=RUNNING))
            return
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
