"""An event finds the write it confirms: what was accepted, or waited for a person, has its end.

It works from both sides, because an event can be faster than the answer to the write itself: a worker settles writes
when an event comes, and a call that ends with an open write looks for events that came before.
"""

import json
import logging
from collections.abc import Mapping
from typing import Any

from clew.core.connector import Connector
from clew.core.errors import CallError, Code, DeniedError, TransientError
from clew.core.events import DONE, NOT_DONE
from clew.core.fields import MISSING, as_object, look
from clew.core.inbox import Inbox, StoredEvent
from clew.core.journal import Journal, State, Write
from clew.core.mapping import read

log = logging.getLogger(__name__)


class Joining:
    """Joins the events of these connectors to the journal. It is a `Step` of a worker: repeating it changes nothing."""

    def __init__(self, journal: Journal, inbox: Inbox, connectors: Mapping[str, Connector]) -> None:
        self._journal = journal
        self._inbox = inbox
        self._connectors = connectors

    async def __call__(self, event: StoredEvent, payload: str) -> None:
        """Settle the open writes that the event is about. Raises `TransientError` while a call holds one of them."""
        if not event.reference or event.state not in DONE | NOT_DONE:
            return
        where = event.connection
        for write in await self._journal.find(where.connector, event.reference, tenant=where.tenant):
            # Another account's events say nothing about this one's writes.
            if write.connection == where and write.pending:
                await self._settle(write, event, payload)

    async def settle(self, write: Write) -> bool:
        """Settle a write that has just been left open, when its end has come already; False when it has not."""
        if not write.reference:
            return False
        events = await self._inbox.list(connection=write.connection, reference=write.reference, limit=20)
        final = [each for each in events if each.state in DONE | NOT_DONE]
        if not final:
            return False
        payload = await self._inbox.payload(final[0])
        if payload is None:
            return False
        await self._settle(write, final[0], payload)
        return True

    async def _settle(self, write: Write, event: StoredEvent, payload: str) -> None:
        if event.state in NOT_DONE:
            state, answer = State.NOT_APPLIED, {"error": _refused(write, event).as_dict()}
        else:
            state, answer = State.APPLIED, {"result": await self._result(write, event, payload)}
        if await self._journal.complete(write.id, state=state, answer=answer, by="event"):
            log.info("write %s ended by event %s: %s", write.id, event.id, event.state)
            return
        current = await self._journal.get(write.id)
        if current is not None and current.pending:
            raise TransientError("a call works on this write at the moment.")

    async def _result(self, write: Write, event: StoredEvent, payload: str) -> dict[str, Any]:
        """What the tool would return now: from the object in the event, else what it returned, and how it ended."""
        kept = await self._journal.answer(write) or {}
        result = self._mapped(write, event, payload)
        if result is None:
            result = {
                name: value for name, value in (as_object(kept.get("result")) or {}).items() if name != "accepted"
            }
        return {**result, "confirmed": {"state": event.state, "event": event.id}}

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
