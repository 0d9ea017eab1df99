"""An event finds the write it confirms: what was accepted, or waited for a person, has its end.

It works from both sides, because an event can be faster than the answer to the write itself: a worker settles writes
when an event comes, and a call that ends with an open write looks for events that came before.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from clew.core.connector import Connector
from clew.core.errors import CallError, Code, DeniedError, TransientError
from clew.core.events import DELIVERY, DONE, NOT_DONE, PAYMENT, Events
from clew.core.fields import MISSING, as_object, look
from clew.core.inbox import Inbox, StoredEvent
from clew.core.journal import Journal, State, Write
from clew.core.mapping import read
from clew.core.once import FORMS, key_of

log = logging.getLogger(__name__)

_MOST_PARTIES = 50
"""Recipients of one write whose ends are told one by one."""
_REQUESTS = 4
"""Requests of one write whose keys are known again."""


class Joining:
    """Joins the events of these connectors to the journal. It is a `Step` of a worker: repeating it changes nothing."""

    def __init__(self, journal: Journal, inbox: Inbox, connectors: Mapping[str, Connector]) -> None:
        self._journal = journal
        self._inbox = inbox
        self._connectors = connectors

    async def __call__(self, event: StoredEvent, payload: str) -> None:
        """Settle the writes that the event is about. Raises `TransientError` while a call holds one of them."""
        if event.state in DONE | NOT_DONE:
            for write in await self._writes(event, payload):
                await self._end(write, event, payload)

    async def settle(self, write: Write) -> bool:
        """Settle a write that has just been left open, when its end has come already; False when it has not."""
        if not write.reference:
            return False
        events = await self._inbox.list(connection=write.connection, reference=write.reference, limit=50)
        settled = False
        for event in reversed([each for each in events if each.state in DONE | NOT_DONE]):
            payload = await self._inbox.payload(event)
            current = await self._journal.get(write.id)
            if payload is not None and current is not None:
                await self._end(current, event, payload)
                settled = True
        return settled

    async def _writes(self, event: StoredEvent, payload: str) -> list[Write]:
        """Those with its reference, else the open one whose key or mark it repeats: the answer that had the reference
        was lost. Another account's events say nothing about this one's writes."""
        where = event.connection
        found: list[Write] = []
        if event.reference:
            found = await self._journal.find(where.connector, event.reference, tenant=where.tenant)
            found = [write for write in found if write.connection == where]
        facts = self._facts(event)
        marks = facts.marks(payload) if facts is not None and not found else []
        if marks:
            found = [write for write in await self._journal.open_writes(where) if _repeats(marks, write)]
        return found

    async def _end(self, write: Write, event: StoredEvent, payload: str) -> None:
        if write.pending or write.state in (State.UNKNOWN, State.SENT):
            await self._settle(write, event, payload)
        elif write.settled_by == "event":
            await self._amend(write, event, payload)

    async def _settle(self, write: Write, event: StoredEvent, payload: str) -> None:
        if event.state in NOT_DONE:
            state, answer = State.NOT_APPLIED, {"error": _refused(write, event).as_dict()}
        else:
            confirmed = self._confirmed({}, event, payload)
            state, answer = State.APPLIED, {"result": await self._result(write, event, payload, confirmed)}
        if await self._journal.complete(write.id, state=state, answer=answer, by="event"):
            log.info("write %s ended by event %s: %s", write.id, event.id, event.state)
            return
        current = await self._journal.get(write.id)
        if current is not None and (current.pending or current.state in (State.UNKNOWN, State.SENT)):
            raise TransientError("a call works on this write at the moment.")

    async def _amend(self, write: Write, event: StoredEvent, payload: str) -> None:
        """An event ended it before; this one says more: of another recipient, or that it has happened after all."""
        kept = await self._journal.answer(write) or {}
        before = as_object((as_object(kept.get("result")) or {}).get("confirmed")) or {}
        if event.state in NOT_DONE:
            return
        confirmed = self._confirmed(before, event, payload)
        if write.state is State.APPLIED and confirmed == before:
            return
        answer = {"result": await self._result(write, event, payload, confirmed)}
        await self._journal.amend(write, state=State.APPLIED, answer=answer)

    def _confirmed(self, before: Mapping[str, Any], event: StoredEvent, payload: str) -> dict[str, Any]:
        """How it ended, by recipient where an event is about one of several; `state` is the worst."""
        facts = self._facts(event)
        worse = _rank(event.state) > _rank(str(before.get("state", "")))
        confirmed = {**before, "state": event.state, "event": event.id} if worse else dict(before)
        who = facts.party(payload) if facts is not None else ""
        if who:
            people = {name: str(state) for name, state in (as_object(before.get("recipients")) or {}).items()}
            if _rank(event.state) > _rank(people.get(who, "")) and (who in people or len(people) < _MOST_PARTIES):
                confirmed["recipients"] = {**people, who: event.state}
        return confirmed

    def _facts(self, event: StoredEvent) -> Events | None:
        connector = self._connectors.get(event.connection.connector)
        return None if connector is None else connector.events

    async def _result(
        self, write: Write, event: StoredEvent, payload: str, confirmed: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What the tool would return now: from the object in the event, else what it returned, and how it ended."""
        kept = await self._journal.answer(write) or {}
        result = self._mapped(write, event, payload)
        if result is None:
            result = {
                name: value for name, value in (as_object(kept.get("result")) or {}).items() if name != "accepted"
            }
        return {**result, "confirmed": dict(confirmed)}

    def _mapped(self, write: Write, event: StoredEvent, payload: str) -> dict[str, Any] | None:
        connector = self._connectors.get(event.connection.connector)
        tool = connector.tools.get(write.tool) if connector is not None else None
        if connector is None or tool is None or connector.events is None or not connector.events.object:
            return None
        found = look(json.loads(payload), connector.events.object)
        if found is MISSING:
            return None
        try:
            return tool.signature.structured(read(tool.signature.returns, found))
        except (CallError, TypeError) as error:
            log.warning("event %s has not the shape of what %s returns: %s", event.id, write.tool, error)
            return None


def _repeats(marks: Sequence[str], write: Write) -> bool:
    """Does an event that carries these texts say that it comes from this write?"""
    keys = {key_of(write.seed, number, form) for number in range(_REQUESTS) for form in FORMS}
    return any(write.marker in mark or mark in keys for mark in marks)


def _rank(state: str) -> int:
    return max(kind.index(state) if state in kind else -1 for kind in (DELIVERY, PAYMENT))


def _refused(write: Write, event: StoredEvent) -> DeniedError:
    return DeniedError(
        f"{write.tool} did not happen: it {event.state}.",
        next_step="Tell the person. To try again, call with a new request_id.",
        provider_code=event.type,
    )


def ending_of(answer: Mapping[str, Any] | None) -> tuple[dict[str, Any] | None, CallError | None]:
    """A kept answer as a result, or as the error that it was."""
    found = answer or {}
    error = found.get("error")
    if error is None:
        return dict(found.get("result") or {"done": True}), None
    if error.get("code") != Code.DENIED:
        return None, None
    return None, DeniedError(error["message"], next_step=error.get("next"), provider_code=error.get("provider_code"))
