"""The short way through an HMAC's verification, for what most deliveries are.

It accepts nothing that the long way would not: of whatever it is not sure, it says so and leaves the verdict, and the
words for a refusal, to the long way. What depends on the scheme alone is found out once, when the scheme is declared.
"""

import hashlib
from binascii import b2a_base64, hexlify
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from hmac import compare_digest
from typing import Any, Protocol

from clew.core.secret import Secret
from clew.core.webhooks.conditions import Condition
from clew.core.webhooks.delivery import JOIN, Delivery, Refused, RefusedError
from clew.core.webhooks.secrets import PUBLIC, Encoding, KeyEncoding, decoded_key, encoded
from clew.core.webhooks.templates import Filling, Template
from clew.core.webhooks.times import Timestamp
from clew.core.webhooks.urls import UrlForm


class BodyCheck(Protocol):
    """A hash of the body that is signed in its place."""

    def check(self, delivery: Delivery) -> None:
        """Raise `RefusedError` when the body has another hash."""
        ...


class Way(Protocol):
    """What `Hmac` declares."""

    @property
    def signature(self) -> str: ...
    @property
    def prefix(self) -> str: ...
    @property
    def suffix(self) -> str: ...
    @property
    def separator(self) -> str: ...
    @property
    def encoding(self) -> Encoding: ...
    @property
    def signed(self) -> str: ...
    @property
    def timestamp(self) -> Timestamp | None: ...
    @property
    def id(self) -> str: ...
    @property
    def body_hash(self) -> BodyCheck | None: ...
    @property
    def urls(self) -> tuple[UrlForm, ...]: ...
    @property
    def when(self) -> Mapping[str, str]: ...
    @property
    def hash(self) -> str: ...
    @property
    def key(self) -> KeyEncoding: ...
    @property
    def key_prefix(self) -> str: ...
    @property
    def any_case(self) -> bool: ...
    @property
    def keyed(self) -> bool: ...


Secrets = list[Secret] | tuple[Secret, ...]
Shortly = tuple[int, float | None] | None
ShortWay = Callable[[Delivery, Secrets, float, float | None], Shortly]
"""From a delivery, the secrets, the clock and the tolerance to which secret signed it and when; `None` when the sender
did not use this way. Raises `MismatchError`, or any of `UNSURE`."""

LONGEST = 65_536
"""Bytes of the longest body that is worth it: beyond it the hash is all that costs."""
_MOST_SIGNATURES = 50
_NO_SECRETS = ("{", *PUBLIC)
_BLOCKS = {"md5": 64, "sha1": 64, "sha256": 64, "sha384": 128, "sha512": 128}
_INNER = bytes(each ^ 0x36 for each in range(256))
_OUTER = bytes(each ^ 0x5C for each in range(256))


class UnsureError(Exception):
    """Only the long way can tell."""


class MismatchError(RefusedError):
    """No signature matches, and nothing else is wrong: for a scheme of one way, the last word."""


UNSURE = (UnsureError, RefusedError, LookupError, ValueError)
"""What the short way raises when only the long way can tell."""


def short_way(way: Way, template: Template, condition: Condition) -> ShortWay | None:
    """Compile it; `None` for what stands elsewhere than in headers, and for what needs settings."""
    if not _is_usual(way, template):
        return None
    digest, write = mac(way.hash) if way.keyed else _plain(way.hash), _written(way.encoding)
    signature, candidates_of = _names(way.signature), _candidates(way)
    stamp, read_time = way.timestamp, _time(way)
    name = _names(way.id) if way.id else None
    content_of, body_hash = _content(way, template), way.body_hash
    conditional, holds = bool(way.when), condition.holds
    is_text, key_prefix, key_encoding = way.key == "text" and not way.key_prefix, way.key_prefix, way.key
    is_exact = "url" not in template.uses or way.urls == ("exact",)

    def prove(delivery: Delivery, secrets: Secrets, now: float, tolerance: float | None) -> Shortly:
        given: Any = delivery.once.get(signature[delivery.raw])
        if given is None or (conditional and not holds(delivery)):
            return None
        candidates = candidates_of(given if delivery.raw else given.encode())
        if not candidates:
            return None
        ts = b"" if read_time is None else read_time(delivery)
        identity = b"" if name is None else _read(delivery, name)
        for number, secret in enumerate(secrets):
            text = secret.reveal()
            if not (begin := text.lstrip()) or begin.startswith(_NO_SECRETS):
                raise UnsureError
            key = text.encode() if is_text else decoded_key(text.removeprefix(key_prefix), key_encoding)
            expected = write(digest(key, content_of(delivery, ts, identity, key)))
            for each in candidates:
                if compare_digest(expected, each):
                    if body_hash is not None:
                        body_hash.check(delivery)
                    return number, None if stamp is None else stamp.check(ts.decode(), now, tolerance)
        if is_exact and secrets and all(candidates):
            raise MismatchError(Refused.MISMATCH, "no signature matches")
        raise UnsureError

    return prove


def mac(name: str) -> Callable[[bytes, bytes], bytes]:
    """HMAC as RFC 2104 writes it, of two calls of the hash: OpenSSL 3 takes half a microsecond more."""
    new, block = getattr(hashlib, name), _BLOCKS[name]

    def digest(key: bytes, content: bytes) -> bytes:
        if len(key) > block:
            key = new(key).digest()
        key = key.ljust(block, b"\0")
        found: bytes = new(key.translate(_OUTER) + new(key.translate(_INNER) + content).digest()).digest()
        return found

    return digest


def _plain(name: str) -> Callable[[bytes, bytes], bytes]:
    """The hash of a content that holds the key."""
    new = getattr(hashlib, name)

    def digest(key: bytes, content: bytes) -> bytes:
        found: bytes = new(content).digest()
        return found

    return digest


def _is_usual(way: Way, template: Template) -> bool:
    stamp = way.timestamp
    places = [way.signature, *((way.id,) if way.id else ()), *((stamp.place,) if stamp is not None else ())]
    return (
        all(isinstance(each, str) and each != "body" and ":" not in each and JOIN not in each for each in places)
        and (stamp is None or not (stamp.optional or stamp.item is not None))
        and not any(each.startswith("setting:") for each in template.uses)
        and not way.suffix
        and way.urls[0] != "no_query"
    )


def _names(place: str) -> tuple[str, bytes]:
    """A header's name, for headers that came as text and for those that came as bytes."""
    return place.lower(), place.lower().encode()


def _read(delivery: Delivery, names: tuple[str, bytes]) -> bytes:
    found = delivery.once[names[delivery.raw]]
    if not found.isascii():
        raise UnsureError
    value: bytes = found if delivery.raw else found.encode()
    return value


def _candidates(way: Way) -> Callable[[bytes], Sequence[bytes]]:
    """From the value of the header to the signatures in it."""
    prefix, separator = way.prefix.encode(), way.separator.encode()
    size, any_case = len(prefix), way.any_case

    def listed(given: bytes) -> Sequence[bytes]:
        found = [each[size:] for each in given.split(separator) if each.startswith(prefix)]
        if len(found) > _MOST_SIGNATURES:
            raise UnsureError
        return [each.lower() for each in found] if any_case else found

    def alone(given: bytes) -> Sequence[bytes]:
        if not given.startswith(prefix):
            return ()
        return (given[size:].lower(),) if any_case else (given[size:],)

    return listed if separator else alone


def _time(way: Way) -> Callable[[Delivery], bytes] | None:
    """What reads the text of the timestamp."""
    stamp = way.timestamp
    if stamp is None:
        return None
    names = _names(str(stamp.place))
    begins, separator = stamp.prefix.encode(), stamp.separator.encode()
    size = len(begins)

    def packed(delivery: Delivery) -> bytes:
        whole = _read(delivery, names)
        items = whole.split(separator) if separator else (whole,)
        (found,) = [each[size:] for each in items if each.startswith(begins)]
        return found

    return packed if begins or separator else partial(_read, names=names)


def _content(way: Way, template: Template) -> Callable[[Delivery, bytes, bytes, bytes], bytes]:
    """From a delivery, its timestamp and id, and the key, to what was signed, with the URL exactly as it is."""
    join, fill, place = template.join, template.fill, way.signature
    address, verb = "url" in template.uses, "method" in template.uses

    def joined(delivery: Delivery, ts: bytes, identity: bytes, key: bytes) -> bytes:
        if address and not delivery.url:
            raise UnsureError
        url = delivery.url.encode() if address else b""
        return join(delivery.body, ts, identity, url, delivery.method.upper().encode() if verb else b"", key)

    def filled(delivery: Delivery, ts: bytes, identity: bytes, key: bytes) -> bytes:
        if address and not delivery.url:
            raise UnsureError
        return fill(Filling(delivery, delivery.url, ts.decode(), identity.decode(), key, None, place))

    if way.signed == "{body}":
        return lambda delivery, ts, identity, key: delivery.body
    return joined if template.is_simple else filled


def _written(encoding: Encoding) -> Callable[[bytes], bytes]:
    match encoding:
        case "hex":
            return hexlify
        case "base64":
            return partial(b2a_base64, newline=False)
        case _:
            return lambda content: encoded(content, encoding).encode()
