"""What a connector's webhooks say, as data: where the type stands, what it is about, what it means for that.

Two models of how things end, and no third: a message is `accepted`, then `deferred`, `delivered`, `bounced`,
`complained` or `suppressed`; a payment `requires_action`, then `succeeded`, `failed` or `cancelled`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from clew.core.connection import Connection
from clew.core.errors import ConfigurationError
from clew.core.fields import MISSING, as_list, as_object, as_text, look, steps
from clew.core.inbox import REMEMBERED, REMEMBERED_SIGNED_TIME, Incoming
from clew.core.subscriptions import Sighting, Subscribed, Subscription, Watch, Wish
from clew.core.values import dataclass

if TYPE_CHECKING:
    from clew.core.webhooks import Event

__all__ = [
    "DELIVERY",
    "DONE",
    "NOT_DONE",
    "PAYMENT",
    "Events",
    "Sighting",
    "Subscribed",
    "Subscription",
    "Watch",
    "Wish",
    "clean",
]

DELIVERY: Sequence[str] = ("accepted", "deferred", "delivered", "bounced", "complained", "suppressed")
PAYMENT: Sequence[str] = ("requires_action", "succeeded", "failed", "cancelled")
DONE = frozenset({"delivered", "bounced", "complained", "suppressed", "succeeded"})
"""States with which a write that was accepted has its end: it happened, whatever became of it then."""
NOT_DONE = frozenset({"failed", "cancelled"})
"""States that say that it did not happen after all."""
_MOST_EVENTS = 2000
_LONGEST = 200
_SURROGATE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """Paths into the body of a delivery, written as in `From`.

    `items` leads to the list of events where a delivery carries several (a body that is a list needs none); the others
    begin at one event. `type` is its kind, else the delivery's own; `action` is added to it after a dot. `id` tells
    events of one delivery apart. `reference` is the provider's id of what it is about, the first path that is there;
    `order` what has to be processed in sequence, else the reference. `occurred` is when it happened: seconds or
    milliseconds since 1970, or ISO 8601. `reference_pattern` is a pattern whose first group is the reference, where
    more stands around it. `marker` is where an event repeats the key or the mark of the write that caused it: by it the
    write is found whose answer was lost. `recipient` is who an event is about, where one write has several. `object`
    leads to the thing itself in the shape that the tools return. `states` says what each type means. `headers` are
    header names by the field under which their values join the body, for providers that send no body at all.
    """

    items: str = ""
    type: str = ""
    action: str = ""
    id: str = ""
    reference: str | tuple[str, ...] = ()
    reference_pattern: str = ""
    marker: str | tuple[str, ...] = ()
    recipient: str = ""
    order: str = ""
    occurred: str = ""
    object: str = ""
    states: Mapping[str, str] = field(default_factory=dict[str, str])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        for path in filter(None, (self.items, self.type, self.action, self.id, *self._references, self.order)):
            steps(path)
        for path in filter(None, (*_several(self.marker), self.recipient)):
            steps(path)
        _check_pattern(self.reference_pattern)
        for path in filter(None, (self.occurred, self.object)):
            steps(path)
        unknown = set(self.states.values()) - {*DELIVERY, *PAYMENT}
        if unknown:
            raise ConfigurationError(f"events have no state {min(unknown)!r}; use {', '.join((*DELIVERY, *PAYMENT))}.")

    @property
    def _references(self) -> tuple[str, ...]:
        return _several(self.reference)

    def marks(self, payload: str) -> list[str]:
        """What of a stored payload may be the key or the mark of a write."""
        data = json.loads(payload) if self.marker else None
        return [found for path in _several(self.marker) if (found := _text(data, path))]

    def party(self, payload: str) -> str:
        """Who a stored payload is about; empty where nobody is named."""
        return _text(json.loads(payload), self.recipient).lower() if self.recipient else ""

    def read(self, connection: Connection, event: "Event") -> list[Incoming]:
        """The events of a verified delivery, ready to be stored. What is not where it should be is left empty."""
        data = event.data
        if self.headers:
            given = {
                name: clean(event.delivery.headers.get(header.lower(), "")) for name, header in self.headers.items()
            }
            data = {**(as_object(data) or {}), **{name: value for name, value in given.items() if value}}
        found = as_list(look(data, self.items) if self.items else data)
        items = found[:_MOST_EVENTS] if found is not None else [data]
        several = found is not None
        return [self._one(connection, event, item, number if several else None) for number, item in enumerate(items)]

    def _one(self, connection: Connection, event: "Event", item: Any, number: int | None) -> Incoming:
        kind = _text(item, self.type) or clean(event.type or "") or "event"
        action = _text(item, self.action)
        reference = next(filter(None, (_text(item, path) for path in self._references)), "")
        trimmed = re.match(self.reference_pattern, reference) if self.reference_pattern else None
        reference = trimmed[1] if trimmed else reference
        payload = item if item is not None else {"body": event.body.decode("utf-8", "replace")}
        name = f"{kind}.{action}" if action else kind
        return Incoming(
            connection,
            _keys(event, _text(item, self.id), number),
            name,
            clean_json(payload),
            order=_text(item, self.order) or reference,
            reference=reference,
            state=self.states.get(name, self.states.get(kind, "")),
            occurred_at=_moment(look(item, self.occurred)) if self.occurred else event.signed_at,
            remembered=_remembered(event),
        )


def seen(connection: Connection, found: Sighting) -> Incoming:
    """What a look found, as an event: stored once however often it is seen."""
    facts = {"reference": found.reference, "recipient": found.recipient, "state": found.state, **found.detail}
    return Incoming(
        connection,
        (f"seen:{found.id}",),
        f"message.{found.state}",
        clean_json(facts),
        order=found.reference,
        reference=found.reference,
        state=found.state,
        remembered=REMEMBERED_SIGNED_TIME,
    )


def _several(paths: str | tuple[str, ...]) -> tuple[str, ...]:
    return ((paths,) if paths else ()) if isinstance(paths, str) else paths


def _check_pattern(pattern: str) -> None:
    try:
        if pattern and re.compile(pattern).groups != 1:
            raise ConfigurationError(f"the pattern {pattern!r} of a reference needs one group.")
    except re.error as error:
        raise ConfigurationError(f"the pattern {pattern!r} of a reference does not compile: {error}.") from None


def _keys(event: "Event", own: str, number: int | None) -> tuple[str, ...]:
    """What makes it a duplicate. An id that is not signed can be changed by whoever copied the delivery: then the body,
    with the time it was signed at, counts as well. An empty body that nothing signs says nothing: two of them are not
    the same event."""
    content = f"body:{event.body_hash}:{event.signed_at or ''}:{'' if number is None else number}"
    if own:
        return (f"event:{own}",)
    if event.delivery_id is None:
        return (content,)
    named = f"id:{event.delivery_id}:{'' if number is None else number}"
    tells = bool(event.body) or event.covers_body
    return (named, content) if tells and not event.id_is_signed else (named,)


def _remembered(event: "Event") -> float:
    if event.replayable_for is None:
        return REMEMBERED
    return max(REMEMBERED_SIGNED_TIME, 2 * event.replayable_for)


def _text(item: Any, path: str) -> str:
    found = look(item, path) if path else MISSING
    return "" if found is MISSING or found is None else clean(as_text(found))


def clean(text: str) -> str:
    """Foreign text that every store takes: no NUL, no half characters, not too long."""
    return _SURROGATE.sub("\ufffd", text[:_LONGEST])


def clean_json(data: Any) -> str:
    """Foreign data as JSON that every store takes."""
    return json.dumps(data, separators=(",", ":"), default=str)


def _moment(value: Any) -> float | None:
    if isinstance(value, str):
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            value = value if re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,9})?", value) else None
        else:
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    if value is None or isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    seconds = float(value)
    return seconds / 1000 if seconds > 1e11 else seconds if 0 <= seconds < 1e11 else None
