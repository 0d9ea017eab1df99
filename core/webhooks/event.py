"""What a delivery becomes when its sender is proven, and what is said when it is not."""

import hashlib
from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field
from typing import Any

from clew.core.fields import MISSING
from clew.core.webhooks.delivery import Delivery, Refused

SEAL = object()
"""Known to `verify` alone: nobody makes an event of a delivery that was not verified."""


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """The verified content of a delivery. Only `verify` makes one.

    `secret` is the position of the secret that matched (0: the first; `None`: a key that the provider publishes), so
    that an operator sees when an old one is no longer used. `delivery_id` is the sender's id, which its retries repeat;
    where `id_is_signed` is false somebody who copied the delivery can change it, and `body_hash` tells copies apart as
    well. `type` is the sender's word for what happened. `signed_at` is in seconds since 1970. `replayable_for` is how
    many seconds a copy would be accepted for; `None` means for ever.
    """

    scheme: str
    delivery: Delivery
    secret: int | None
    delivery_id: str | None
    id_is_signed: bool
    type: str | None
    signed_at: float | None
    replayable_for: float | None
    claims: Mapping[str, Any]
    seal: InitVar[object]
    covers_body: bool = True
    _nothing: None = field(default=None, init=False, repr=False)

    def __post_init__(self, seal: object) -> None:
        if seal is not SEAL:
            raise TypeError("an Event is made by verify() alone")

    @property
    def body(self) -> bytes:
        """The raw body."""
        return self.delivery.body

    @property
    def body_hash(self) -> str:
        """SHA-256 of the raw body, in hex."""
        return hashlib.sha256(self.delivery.body).hexdigest()

    @property
    def data(self) -> Any:
        """The body as plain data: JSON, or the fields of a form (lists where a field repeats); `None` when neither."""
        found = self.delivery.json
        if found is not MISSING:
            return found
        if not self.delivery.body or not self.delivery.is_form or self.delivery.header("content-type") is None:
            return None
        fields: dict[str, Any] = {}
        for name, value in self.delivery.form:
            former = fields.get(name)
            if former is None:
                fields[name] = value
            else:
                fields[name] = [*former, value] if isinstance(former, list) else [former, value]
        return fields


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a delivery is no event: a stable code and a sentence without secrets.

    `fetch` is the URL of a key of the provider that must be fetched first; it is on a host of the provider.
    """

    code: Refused
    reason: str
    fetch: str | None = None
