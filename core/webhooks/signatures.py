"""Signatures over a template, as data: HMAC with a shared secret, and the provider's private keys."""

import hashlib
import hmac
from binascii import b2a_base64, hexlify
from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from clew.core.errors import ConfigurationError
from clew.core.values import dataclass
from clew.core.webhooks.attempts import Attempt, Proven
from clew.core.webhooks.conditions import Condition
from clew.core.webhooks.delivery import Delivery, Reader, Refused, RefusedError, reader, to_bytes
from clew.core.webhooks.keyplaces import KeyUrl
from clew.core.webhooks.publickeys import check_algorithm, verifiers
from clew.core.webhooks.secrets import (
    PUBLIC,
    Encoding,
    Given,
    KeyEncoding,
    check_encodings,
    decoded,
    encoded,
    is_key,
    shared_key,
)
from clew.core.webhooks.shortway import ShortWay, short_way
from clew.core.webhooks.templates import Filling, Template
from clew.core.webhooks.times import Timestamp, items
from clew.core.webhooks.urls import UrlForm, forms

Hash = Literal["md5", "sha1", "sha256", "sha384", "sha512"]
_HASHES = ("md5", "sha1", "sha256", "sha384", "sha512")
_MOST_SIGNATURES = 50
_BODIES = ("body", "sha", "md5", "crc32", "sorted_form", "sorted_json")
"""How pieces of a template begin that change with the body."""


@dataclass(frozen=True, slots=True)
class BodyHash:
    """Where a delivery says the hash of its body, when that is signed instead of the body."""

    place: str
    hash: Hash = "sha256"
    encoding: Encoding = "hex"
    prefix: str = ""
    _read: Reader = field(default=lambda delivery: None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_hash(self.hash)
        check_encodings("text", self.encoding)
        object.__setattr__(self, "_read", reader(self.place))

    def check(self, delivery: Delivery) -> None:
        """Raise `RefusedError` when the body has another hash."""
        said = self._read(delivery)
        if said is None:
            raise RefusedError(Refused.MALFORMED, f"there is no {self.place}, the hash of the body")
        found = self.prefix + encoded(hashlib.new(self.hash, delivery.body).digest(), self.encoding)
        if not hmac.compare_digest(to_bytes(said), found.encode()):
            raise RefusedError(Refused.BODY_CHANGED, "the body is not the one whose hash was signed")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signed:
    """What a signature over a template shares, whatever the algorithm."""

    signature: str = ""
    prefix: str = ""
    suffix: str = ""
    separator: str = ""
    encoding: Encoding = "hex"
    signed: str = "{body}"
    timestamp: Timestamp | None = None
    id: str = ""
    body_hash: BodyHash | None = None
    urls: tuple[UrlForm, ...] = ("exact",)
    when: Mapping[str, str] = field(default_factory=dict[str, str])
    _template: Template = field(default_factory=lambda: Template(""), init=False, repr=False, compare=False)
    _signature: Reader = field(default=lambda delivery: None, init=False, repr=False, compare=False)
    _id: Reader | None = field(default=None, init=False, repr=False, compare=False)
    _bare: bool = field(default=False, init=False, repr=False, compare=False)
    _one_url: bool = field(default=False, init=False, repr=False, compare=False)
    _simple: bool = field(default=False, init=False, repr=False, compare=False)
    _verb: bool = field(default=False, init=False, repr=False, compare=False)
    _address: bool = field(default=False, init=False, repr=False, compare=False)
    _condition: Condition = field(default_factory=Condition, init=False, repr=False, compare=False)

    def _compile(self) -> None:
        if not self.signature:
            raise ConfigurationError("a webhook scheme must say where the signature is.")
        template = Template(self.signed)
        if ("ts" in template.uses) and self.timestamp is None:
            raise ConfigurationError("the template uses {ts}, and no timestamp is declared.")
        if ("id" in template.uses) and not self.id:
            raise ConfigurationError("the template uses {id}, and no id is declared.")
        one_url = "url" not in template.uses or self.urls == ("exact",)
        for name, value in (
            ("_template", template),
            ("_signature", reader(self.signature)),
            ("_id", reader(self.id) if self.id else None),
            ("_bare", self.signed == "{body}"),
            ("_address", "url" in template.uses),
            ("_one_url", one_url),
            ("_simple", one_url and template.is_simple),
            ("_verb", "method" in template.uses),
            ("_condition", Condition.of(self.when)),
        ):
            object.__setattr__(self, name, value)

    @property
    def covers_body(self) -> bool:
        """Does the proof fail when a byte of the body changes?"""
        return self.body_hash is not None or any(each.startswith(_BODIES) for each in self._template.uses)

    @property
    def replayable_for(self) -> float | None:
        """Seconds that a copy of a delivery is accepted for; `None` means for ever."""
        return None if self.timestamp is None else self.timestamp.tolerance

    def applies(self, delivery: Delivery) -> bool:
        """Is there a signature of this kind?"""
        text = self._signature(delivery)
        return text is not None and bool(items(text, self.separator, self.prefix)) and self._condition.holds(delivery)

    def signatures(self, delivery: Delivery) -> list[str]:
        """The texts of the signatures, at least one. Raises `RefusedError`."""
        text = self._signature(delivery)
        if text is None:
            raise RefusedError(Refused.NO_SIGNATURE, f"there is no {self.signature}")
        found = items(text, self.separator, self.prefix)
        if self.suffix:
            found = [each.removesuffix(self.suffix) for each in found if each.endswith(self.suffix)]
        found = [each for each in found if each]
        if not found:
            begins = f" that begins with {self.prefix}" if self.prefix else ""
            raise RefusedError(Refused.NO_SIGNATURE, f"{self.signature} holds no signature{begins}")
        if len(found) > _MOST_SIGNATURES:
            raise RefusedError(Refused.MALFORMED, f"{self.signature} holds more than {_MOST_SIGNATURES} signatures")
        return found

    def contents(self, delivery: Delivery, timestamp: str, given: Given, secret: bytes = b"") -> list[bytes]:
        """What may have been signed: one text, or one for each way the sender may have written the URL."""
        if self._bare:
            return [delivery.body]
        found = "" if self._id is None else self._id(delivery)
        if found is None:
            raise RefusedError(Refused.MALFORMED, f"there is no {self.id}, which is signed")
        if self._address and not delivery.url:
            raise RefusedError(Refused.MALFORMED, "the public URL is not known, and it is signed")
        if self._simple:
            joined = self._template.join(
                delivery.body,
                to_bytes(timestamp) if timestamp else b"",
                to_bytes(found) if found else b"",
                to_bytes(delivery.url) if self._address else b"",
                to_bytes(delivery.method.upper()) if self._verb else b"",
                secret,
            )
            return [joined]
        filling = Filling(delivery, delivery.url, timestamp, found, secret, given.settings, self.signature)
        if self._one_url:
            return [self._template.fill(filling)]
        contents: list[bytes] = []
        for url in forms(delivery.url, self.urls):
            filling.url = url
            contents.append(self._template.fill(filling))
        return contents

    def _checked(self, attempt: Attempt, timestamp: str) -> float | None:
        """The rest, once the signature is right."""
        if self.body_hash is not None:
            self.body_hash.check(attempt.delivery)
        if self.timestamp is None:
            return None
        return self.timestamp.check(timestamp, attempt.now, attempt.tolerance)

    def _described(self, algorithm: str) -> str:
        form = f"{algorithm} {self.encoding}, `{self.signature}"
        signed = "body" if self.signed == "{body}" else f"`{self.signed}`".replace("\n", "\\n")
        return f"{form}{': ' + self.prefix if self.prefix else ''}` over {signed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hmac(_Signed):
    """An HMAC with a shared secret over a template.

    `signature` is the place of it; there it stands between `prefix` and `suffix`, in a list divided by `separator`.
    `key` says how the secret is shown (`text`, `base64`, `base64url`, `hex`; the name of a hash: the key is the hash of
    it), after `key_prefix` if it has that. `any_case` accepts hex in
    capitals. `keyed=False` is a plain hash of a template that holds `{secret}`. `urls` are the ways in which the sender
    may have written `{url}`: `exact`, `ports` (with and without the standard port), `decoded` (HubSpot's), `no_query`.
    """

    hash: Hash = "sha256"
    key: KeyEncoding = "text"
    key_prefix: str = ""
    any_case: bool = False
    keyed: bool = True
    _size: int = field(default=0, init=False, repr=False, compare=False)
    _per_secret: bool = field(default=False, init=False, repr=False, compare=False)
    _unchecked: bool = field(default=False, init=False, repr=False, compare=False)
    short: ShortWay | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._compile()
        object.__setattr__(self, "_size", len(self.prefix))
        object.__setattr__(self, "_per_secret", "secret" in self._template.uses)
        object.__setattr__(self, "_unchecked", self.timestamp is None and self.body_hash is None)
        _check_hash(self.hash)
        check_encodings(self.key, self.encoding)
        if not self.keyed and "secret" not in self._template.uses:
            raise ConfigurationError("a plain hash proves nothing unless the template holds {secret}.")
        object.__setattr__(self, "short", short_way(self, self._template, self._condition))

    def prove(self, attempt: Attempt) -> Proven:
        """Try every secret with every signature, in constant time each. Raises `RefusedError`."""
        delivery = attempt.delivery
        texts = attempt.given.texts or attempt.texts()
        found = self._signature(delivery)
        plain = not (self.separator or self.suffix or self.any_case)
        if plain and found is not None and len(found) > self._size and found.startswith(self.prefix):
            candidates = [to_bytes(found[self._size :])]
        else:
            candidates = [to_bytes(each) for each in self.signatures(delivery)]
            if self.any_case:
                candidates = [each.lower() for each in candidates]
        timestamp = "" if self.timestamp is None else self.timestamp.read(delivery)
        number = self._matching(attempt, texts, timestamp, candidates)
        return Proven(number, None if self._unchecked else self._checked(attempt, timestamp))

    def _matching(self, attempt: Attempt, texts: tuple[str, ...], timestamp: str, candidates: list[bytes]) -> int:
        wrong: RefusedError | None = None
        same = None if self._per_secret else self.contents(attempt.delivery, timestamp, attempt.given)
        for number, text in enumerate(texts):
            try:
                secret = shared_key(text, self.key, self.key_prefix)
            except RefusedError as error:
                wrong = error
                continue
            for content in same or self.contents(attempt.delivery, timestamp, attempt.given, secret):
                expected = self._signature_of(secret, content)
                if True in [hmac.compare_digest(expected, each) for each in candidates]:
                    return number
        raise wrong or RefusedError(Refused.MISMATCH, "no signature matches")

    def _signature_of(self, secret: bytes, content: bytes) -> bytes:
        raw = hmac.digest(secret, content, self.hash) if self.keyed else hashlib.new(self.hash, content).digest()
        if self.encoding == "hex":
            return hexlify(raw)
        return b2a_base64(raw, newline=False) if self.encoding == "base64" else encoded(raw, self.encoding).encode()

    def sign(self, delivery: Delivery, secret: str, timestamp: str, settings: Mapping[str, str]) -> str:
        """The text of the signature that a sender would put at the place, for tests and `clew webhooks send`."""
        key = shared_key(secret, self.key, self.key_prefix)
        content = self.contents(delivery, timestamp, Given((), settings), key)[0]
        return self.prefix + self._signature_of(key, content).decode()

    def describe(self) -> str:
        """The way in a few words."""
        return self._described(f"{'HMAC-' if self.keyed else ''}{self.hash.upper().replace('SHA', 'SHA-')}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey(_Signed):
    """A signature by the provider's private key over a template.

    The secrets are public keys: PEM (keys, certificates), base64 DER, raw Ed25519 keys in hex or base64, JWK, JWKS.
    With `certificate` the delivery names where its key is, which must be a host of the provider; keys among the secrets
    are used instead. Secrets that are no keys then are values that `names` (a place) may have, or the setting
    `text_setting`. `key_id` is the place of the name of a key in a JWKS. `key_prefix` is what such keys begin with, if
    anything (`whpk_`). `raw` says that ECDSA signatures are two numbers instead of DER.
    """

    algorithm: str = "ed25519"
    certificate: KeyUrl | None = None
    names: str = ""
    text_setting: str = ""
    key_id: str = ""
    key_prefix: str = ""
    raw: bool = False
    _key_id: Reader | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._compile()
        check_algorithm(self.algorithm)
        check_encodings("text", self.encoding)
        if self.names:
            reader(self.names)
        object.__setattr__(self, "_key_id", reader(self.key_id) if self.key_id else None)

    def prove(self, attempt: Attempt) -> Proven:
        """Try every key with every signature. Raises `RefusedError`."""
        delivery = attempt.delivery
        given = [decoded(each, self.encoding) for each in self.signatures(delivery)]
        timestamp = "" if self.timestamp is None else self.timestamp.read(delivery)
        texts = self._texts(attempt)
        name = (self._key_id(delivery) or "") if self._key_id is not None else ""
        if self.text_setting:
            contents = [text for known in self._known(attempt) for text in self.contents(delivery, timestamp, known)]
        else:
            contents = self.contents(delivery, timestamp, attempt.given)
        number = self._matching(texts, name, contents, given)
        if self.names:
            self._check_name(attempt)
        return Proven(number if attempt.given.texts else None, self._checked(attempt, timestamp))

    def _known(self, attempt: Attempt) -> list[Given]:
        """What is configured, once for each text that stands for the setting."""
        given = attempt.given
        plain = [each for each in given.texts if not is_key(each)]
        return [Given((), {**given.settings, self.text_setting: each}) for each in plain] or [given]

    def _check_name(self, attempt: Attempt) -> None:
        plain = [each for each in attempt.given.texts if not is_key(each)]
        if plain and reader(self.names)(attempt.delivery) not in plain:
            raise RefusedError(Refused.MISMATCH, f"{self.names} is none of those that are configured")

    def _texts(self, attempt: Attempt) -> tuple[str, ...]:
        if self.certificate is not None:
            if not attempt.given.settings:
                attempt.texts()
            return self.certificate.keys(attempt)
        texts = attempt.texts()
        if not self.key_prefix:
            return texts
        fitting = tuple(each for each in texts if each.startswith((self.key_prefix, *PUBLIC)))
        if not fitting:
            raise RefusedError(Refused.BAD_SECRET, f"no configured key begins with {self.key_prefix}")
        return fitting

    def _matching(self, texts: tuple[str, ...], name: str, contents: list[bytes], given: list[bytes]) -> int:
        wrong: RefusedError | None = None
        for number, text in enumerate(texts):
            try:
                keys = verifiers(text, self.algorithm, self.raw)
            except RefusedError as error:
                wrong = error
                continue
            for key_name, is_signed in keys:
                if name and key_name and name != key_name:
                    continue
                for content in contents:
                    if True in [is_signed(each, content) for each in given]:
                        return number
        raise wrong or RefusedError(Refused.MISMATCH, "no signature matches")

    def describe(self) -> str:
        """The way in a few words."""
        return self._described(self.algorithm)


def _check_hash(name: str) -> None:
    if name not in _HASHES:
        raise ConfigurationError(f"there is no hash {name!r}; use one of {', '.join(_HASHES)}.")
