"""Signing as a provider does, to try a receiver. Only with shared secrets: private keys are theirs."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

from clew.core.errors import ConfigurationError
from clew.core.fields import as_object
from clew.core.values import dataclass
from clew.core.webhooks.attempts import Proof
from clew.core.webhooks.delivery import Delivery
from clew.core.webhooks.scheme import Scheme
from clew.core.webhooks.secrets import encoded
from clew.core.webhooks.sharedsecrets import SharedSecret
from clew.core.webhooks.signatures import Hmac
from clew.core.webhooks.times import Timestamp


@dataclass(slots=True)
class _Draft:
    """A delivery in the making."""

    headers: dict[str, str]
    body: bytes
    url: str
    method: str

    def put(self, place: str, value: str) -> None:
        kind, colon, name = place.partition(":")
        if not colon:
            former = self.headers.get(place)
            self.headers[place] = value if former is None else former + value
        elif kind == "query":
            self.url += f"{'&' if '?' in self.url else '?'}{name}={quote(value)}"
        elif kind == "json" and name.replace(".", "").replace("_", "").replace("-", "").isalnum():
            self._put_json(name.split("."), value)
        else:
            raise ConfigurationError(f"clew cannot sign this scheme: it has a value in {place}.")

    def _put_json(self, way: list[str], value: str) -> None:
        document: Any = json.loads(self.body or b"{}")
        inner = as_object(document)
        for step in way[:-1]:
            inner = as_object(None if inner is None else inner.setdefault(step, {}))
        if inner is None:
            raise ConfigurationError("the body has no place for what this scheme puts into it.")
        inner[way[-1]] = value
        self.body = json.dumps(document, separators=(",", ":")).encode()

    def delivery(self) -> Delivery:
        return Delivery(list(self.headers.items()), self.body, method=self.method, url=self.url)


def sign(
    scheme: Scheme,
    body: bytes,
    secret: str,
    *,
    now: float,
    url: str = "",
    headers: Mapping[str, str] | None = None,
    delivery_id: str = "msg_clew",
    method: str = "POST",
    settings: Mapping[str, str] | None = None,
    proof: Proof | None = None,
) -> Delivery:
    """A delivery that verifies with `secret` at `now`. Raises `ConfigurationError` when only the provider can sign."""
    way = proof or next((each for each in scheme.proofs if isinstance(each, Hmac | SharedSecret)), None)
    draft = _Draft({"Content-Type": "application/json", **(headers or {})}, body, url, method)
    if isinstance(way, SharedSecret):
        if "[" in way.place:
            raise ConfigurationError(f"clew cannot sign this scheme: it has a value in {way.place}.")
        basic = f"Basic {encoded(secret.encode(), 'base64')}"
        draft.put(way.place, basic if way.basic else way.prefix + secret)
    elif isinstance(way, Hmac):
        _sign(way, draft, secret, now=now, delivery_id=delivery_id, settings=settings or {})
    else:
        raise ConfigurationError(f"only the provider can sign for {scheme.name}: it has the private key.")
    return draft.delivery()


def _sign(way: Hmac, draft: _Draft, secret: str, *, now: float, delivery_id: str, settings: Mapping[str, str]) -> None:
    if way.body_hash is not None:
        name = way.body_hash.place.removeprefix("query:")
        found = encoded(hashlib.new(way.body_hash.hash, draft.body).digest(), way.body_hash.encoding)
        draft.url += f"{'&' if '?' in draft.url else '?'}{name}={found}"
    if way.id and not draft.delivery().header(way.id.lower()):
        draft.put(way.id, delivery_id)
    text = ""
    if way.timestamp is not None:
        text = written(way.timestamp, now)
        place = way.timestamp.place if isinstance(way.timestamp.place, str) else way.timestamp.place[0]
        draft.put(place, way.timestamp.prefix + text + (way.separator if place == way.signature else ""))
    draft.put(way.signature, way.sign(draft.delivery(), secret, text, settings))


def written(timestamp: Timestamp, now: float) -> str:
    """A time as a provider writes it."""
    match timestamp.unit:
        case "iso":
            return datetime.fromtimestamp(now, UTC).isoformat().replace("+00:00", "Z")
        case "rfc":
            return format_datetime(datetime.fromtimestamp(now, UTC), usegmt=True)
        case unit:
            return str(int(now * {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}[unit]))
