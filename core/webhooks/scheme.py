"""A provider's webhooks as facts: how they are proven, what names them, which handshakes they begin with."""

import re
from dataclasses import field
from itertools import takewhile

from clew.core.errors import ConfigurationError
from clew.core.values import dataclass
from clew.core.webhooks.attempts import Proof
from clew.core.webhooks.delivery import JOIN, Delivery, Reader, reader
from clew.core.webhooks.handshakes import Handshake
from clew.core.webhooks.shortway import ShortWay

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,59}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """How one provider's deliveries are verified.

    `proof` is one way or several; a sender uses one of them and any that holds is enough, so list only ways that are
    as strong as you want. `delivery_id` and `event_type` are places, of which the first that is there counts; `A + B`
    is an id of two parts.
    `secret` tells an operator what to configure, in the provider's words; `source` is where these facts were read.
    """

    name: str
    proof: Proof | tuple[Proof, ...]
    title: str = ""
    delivery_id: str | tuple[str, ...] = ()
    event_type: str | tuple[str, ...] = ()
    handshakes: tuple[Handshake, ...] = ()
    secret: str = "the signing secret"  # noqa: S105 - words for people
    source: str = ""
    proofs: tuple[Proof, ...] = field(default=(), init=False, repr=False, compare=False)
    _ids: tuple[Reader, ...] = field(default=(), init=False, repr=False, compare=False)
    _types: tuple[Reader, ...] = field(default=(), init=False, repr=False, compare=False)
    _headers: tuple[Reader, ...] = field(default=(), init=False, repr=False, compare=False)
    conditional: bool = field(default=False, init=False, repr=False, compare=False)
    elsewhere: bool = field(default=False, init=False, repr=False, compare=False)
    short_ways: tuple[tuple[Proof, ShortWay], ...] = field(default=(), init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigurationError(f"webhook scheme name {self.name!r}: use lower-case letters, digits, - and _.")
        proofs = self.proof if isinstance(self.proof, tuple) else (self.proof,)
        if not proofs:
            raise ConfigurationError(f"webhook scheme {self.name} has no proof.")
        object.__setattr__(self, "proofs", proofs)
        ids, types = _several(self.delivery_id), _several(self.event_type)
        object.__setattr__(self, "_ids", tuple(map(reader, ids)))
        object.__setattr__(self, "_types", tuple(map(reader, types)))
        # What stands in the body is found once; fields of a form and headers may be there twice.
        twice = [place for place in (*ids, *types) if not place.startswith("json:")]
        object.__setattr__(self, "_headers", tuple(map(reader, twice)))
        object.__setattr__(self, "conditional", any(getattr(each, "when", None) for each in proofs))
        ways = takewhile(lambda way: way[1] is not None, ((each, getattr(each, "short", None)) for each in proofs))
        object.__setattr__(self, "short_ways", tuple(ways))
        object.__setattr__(self, "elsewhere", any(":" in place for place in twice))

    def check_names(self, delivery: Delivery) -> None:
        """Raise `RefusedError` when a header that names the delivery or its type is there twice."""
        if delivery.repeats or self.elsewhere:
            for read in self._headers:
                read(delivery)

    def first_id(self, delivery: Delivery) -> tuple[str | None, str | None]:
        """The place of the delivery's id, and the id."""
        for place, read in zip(_several(self.delivery_id), self._ids, strict=True):
            found = read(delivery)
            if found:
                return place, found
        return None, None

    def first_type(self, delivery: Delivery) -> str | None:
        """The type of the event."""
        return next(filter(None, (read(delivery) for read in self._types)), None)

    @property
    def covers_body(self) -> bool:
        """Do all its ways fail when a byte of the body changes?"""
        return all(each.covers_body for each in self.proofs)

    def signs(self, place: str) -> bool:
        """Is what stands at a place covered by every proof?"""
        if JOIN in place:
            return all(self.signs(each) for each in place.split(JOIN))
        kind = place.partition(":")[0] if ":" in place else "header"
        if kind in ("json", "form"):
            return self.covers_body
        return all(place.lower() == str(getattr(each, "id", "")).lower() for each in self.proofs)


def _several(places: str | tuple[str, ...]) -> tuple[str, ...]:
    return ((places,) if places else ()) if isinstance(places, str) else places
