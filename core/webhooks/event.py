"""What a delivery becomes when its sender is proven, and what is said when it is not."""

import hashlib
from collections.abc import Mapping
from typing import Any

from clew.core.fields import MISSING
from clew.core.values import dataclass
from clew.core.webhooks.attempts import Proof
from clew.core.webhooks.delivery import Delivery, Refused
from clew.core.webhooks.scheme import Scheme

SEAL = object()
"""Known to `verify` alone: nobody makes an event of a delivery that was not verified."""


class Event:
    """The verified content of a delivery. Only `verify` makes one."""

    __slots__ = ("_claims", "_proof", "_proven", "_scheme", "delivery")

    def __init__(
        self,
        scheme: Scheme,
        proof: Proof,
        delivery: Delivery,
        seal: object,
        proven: tuple[int | None, float | None],
        *,
        claims: Mapping[str, Any] | None = None,
    ) -> None:
        if seal is not SEAL:
            raise TypeError("an Event is made by verify() alone")
        self._scheme = scheme
        self._proof = proof
        self._claims = claims
        self.delivery = delivery
        self._proven = proven

    def __repr__(self) -> str:
        return f"Event({self.scheme!r}, type={self.type!r}, delivery_id={self.delivery_id!r})"

    @property
    def scheme(self) -> str:
        """The name of the scheme."""
        return self._scheme.name

    @property
    def secret(self) -> int | None:
        """Which secret matched (0: the first), so that an operator sees when an old one is no longer used; `None` for
        a key that the provider publishes."""
        return self._proven[0]

    @property
    def signed_at(self) -> float | None:
        """When it was signed (seconds since 1970), if it says so."""
        return self._proven[1]

    @property
    def claims(self) -> Mapping[str, Any]:
        """The claims of a token."""
        return self._claims or {}

    @property
    def replayable_for(self) -> float | None:
        """How many seconds a copy would be accepted for; `None` means for ever."""
        return self._proof.replayable_for

    @property
    def covers_body(self) -> bool:
        """Is the body signed? Where it is not, ask the provider before acting on it."""
        return self._proof.covers_body

    @property
    def delivery_id(self) -> str | None:
        """The sender's id, which its retries repeat."""
        return self._scheme.first_id(self.delivery)[1]

    @property
    def id_is_signed(self) -> bool:
        """Is the id covered by the signature? If not, somebody who copied the delivery can change it; `body_hash`
        tells copies apart as well."""
        place, _ = self._scheme.first_id(self.delivery)
        return place is not None and self._scheme.signs(place)

    @property
    def type(self) -> str | None:
        """The sender's word for what happened."""
        return self._scheme.first_type(self.delivery)

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
