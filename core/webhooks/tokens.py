"""JSON Web Tokens as proof: signed by keys that the provider publishes, or with a shared secret.

The algorithms are the scheme's, never the token's choice; keys named inside a token (`jku`, `x5u`, `jwk`, `x5c`) are
not looked at.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal
from urllib.parse import parse_qsl, quote, urlsplit

from clew.core.errors import ConfigurationError
from clew.core.fields import as_list, as_object, as_text
from clew.core.values import dataclass
from clew.core.webhooks.attempts import Attempt, Proven
from clew.core.webhooks.conditions import Condition
from clew.core.webhooks.delivery import Delivery, Refused, RefusedError, lister
from clew.core.webhooks.keyplaces import fetched, is_pinned
from clew.core.webhooks.publickeys import is_signed_by, public_keys
from clew.core.webhooks.secrets import PUBLIC, Encoding, encoded, is_key, unpadded

_ALGORITHMS = {
    "RS256": "rsa-sha256", "RS384": "rsa-sha384", "RS512": "rsa-sha512", "PS256": "rsa-pss-sha256",
    "PS384": "rsa-pss-sha384", "PS512": "rsa-pss-sha512", "ES256": "ecdsa-p256-sha256", "ES384": "ecdsa-p384-sha384",
    "ES512": "ecdsa-p521-sha512", "EdDSA": "ed25519", "HS256": "sha256", "HS384": "sha384", "HS512": "sha512",
}  # fmt: skip
_LARGEST = 16_384
LEEWAY = 10.0
"""Seconds that a token's times may differ from our clock."""
Audience = Literal["setting", "url", "any"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Jwt:
    """A signed token in a header, a query or the body; every token where `place` branches.

    `algorithms` are those that the provider uses, all with public keys or all with a secret (HS…). `keys_url` is where
    its keys are published (JWKS, or PEM with `{kid}` in the URL); keys among the secrets are used instead. `issuer` is
    a pattern. `audience`: `setting` wants the configured one, `url` the configured one or else the URL of the delivery,
    `any` looks at none. `claims` maps claims to patterns; `{name}` in a pattern is the setting of that name, quoted,
    and a claim whose pattern's setting is not configured is not looked at. `body_hash` is the claim that holds the hash
    of the body, `url_hash` the one that holds the SHA-256 of the URL (then an empty body needs no hash), `query_hash`
    the one that holds Atlassian's hash of the request. `max_age` is in seconds since `iat`.
    A secret that is no key names the audience or, with an @, the setting `email`. `pins` are settings that must be
    configured when the keys are the provider's published ones, with which it signs for others as well. `named=False`:
    only settings name the audience, because the secrets are those of another way beside this one.
    """

    place: str = "Authorization"
    prefix: str = ""
    algorithms: tuple[str, ...] = ("RS256",)
    keys_url: str = ""
    issuer: str = ""
    audience: Audience = "setting"
    claims: Mapping[str, str] = field(default_factory=dict[str, str])
    require: tuple[str, ...] = ("exp",)
    body_hash: str = ""
    body_hash_encoding: Encoding = "hex"
    url_hash: str = ""
    query_hash: str = ""
    max_age: float | None = None
    pins: tuple[str, ...] = ()
    named: bool = True
    when: Mapping[str, str] = field(default_factory=dict[str, str])
    _condition: Condition = field(default_factory=Condition, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        lister(self.place)
        unknown = [each for each in self.algorithms if each not in _ALGORITHMS]
        if unknown or not self.algorithms:
            raise ConfigurationError(f"no such JWT algorithm: {', '.join(unknown) or 'none'}. 'none' is none.")
        if len({each.startswith("HS") for each in self.algorithms}) > 1:
            raise ConfigurationError("a token's algorithms are either all with a secret (HS…) or all with public keys.")
        for pattern in (self.issuer, *self.claims.values()):
            _compile(pattern, {})
        object.__setattr__(self, "_condition", Condition.of(self.when))

    @property
    def covers_body(self) -> bool:
        """Only by a hash of it."""
        return bool(self.body_hash)

    @property
    def replayable_for(self) -> float | None:
        """As long as the token says, which the provider decides."""
        return self.max_age

    @property
    def symmetric(self) -> bool:
        """Does a shared secret sign?"""
        return self.algorithms[0].startswith("HS")

    def applies(self, delivery: Delivery) -> bool:
        """Is there a token?"""
        return any(lister(self.place)(delivery)) and self._condition.holds(delivery)

    def prove(self, attempt: Attempt) -> Proven:
        """Verify every token. Raises `RefusedError`."""
        found = [self._bare(each) for each in lister(self.place)(attempt.delivery)]
        if not found:
            raise RefusedError(Refused.NO_SIGNATURE, f"there is no token in {self.place}")
        proven = [self._verified(each, attempt) for each in found]
        return proven[0]

    def _bare(self, text: str) -> str:
        if text[: len(self.prefix)].lower() != self.prefix.lower() or len(text) == len(self.prefix):
            raise RefusedError(Refused.NO_SIGNATURE, f"{self.place} holds no token")
        return text[len(self.prefix) :].strip()

    def _verified(self, token: str, attempt: Attempt) -> Proven:
        header, claims, content, signature = _parsed(token)
        name = header.get("alg")
        if name not in self.algorithms:
            raise RefusedError(Refused.ALGORITHM, "the token is signed with an algorithm that this provider never uses")
        if "crit" in header:
            raise RefusedError(Refused.ALGORITHM, "the token has critical extensions that nobody here knows")
        self._check_links(header)
        number = self._signer(str(name), header, content, signature, attempt)
        self._check_times(claims, attempt)
        self._check_claims(claims, attempt)
        issued = claims.get("iat")
        return Proven(number, float(issued) if isinstance(issued, int | float) else None, claims)

    def _check_links(self, header: Mapping[str, Any]) -> None:
        """A link to a key is never followed; one to somebody else's host is worth a word of its own."""
        host = urlsplit(self.keys_url).hostname or ""
        for link in ("jku", "x5u"):
            if link in header and not is_pinned(str(header[link]), re.escape(host), r"/.*"):
                raise RefusedError(Refused.FOREIGN_HOST, f"the token's {link} is not an address of the provider")

    def _signer(
        self, name: str, header: Mapping[str, Any], content: bytes, signature: bytes, attempt: Attempt
    ) -> int | None:
        algorithm = _ALGORITHMS[name]
        if self.symmetric:
            for position, text in enumerate(attempt.texts()):
                if text.lstrip().startswith(PUBLIC) or text.lstrip()[:1] == "{":
                    raise RefusedError(Refused.BAD_SECRET, "a public key is configured where a secret belongs")
                if hmac.compare_digest(hmac.digest(text.encode(), content, algorithm), signature):
                    return position
            raise RefusedError(Refused.MISMATCH, "the token is not signed with a configured secret")
        wanted = header.get("kid")
        for number, text in self._key_texts(header, attempt):
            for key_id, key in public_keys(text, algorithm):
                if wanted is not None and key_id and key_id != wanted:
                    continue
                if is_signed_by(key, algorithm, signature, content, raw=True):
                    return number
        raise RefusedError(Refused.MISMATCH, "the token is not signed by a key of the provider")

    def _key_texts(self, header: Mapping[str, Any], attempt: Attempt) -> list[tuple[int | None, str]]:
        given = [(number, text) for number, text in enumerate(attempt.given.texts) if is_key(text)]
        if given:
            return list(given)
        if not self.keys_url:
            raise RefusedError(Refused.NO_SECRET, "no key of the provider is configured")
        missing = [each for each in self.pins if each not in self._settings(attempt)]
        if missing or not (attempt.given.texts or attempt.given.settings):
            what = missing[0] if missing else "audience"
            raise RefusedError(Refused.NO_SECRET, f"no {what} is configured: the provider signs for others, too")
        kid = header.get("kid")
        if "{kid}" in self.keys_url and not (isinstance(kid, str) and re.fullmatch(r"[A-Za-z0-9_-]{1,100}", kid)):
            raise RefusedError(Refused.MALFORMED, "the token does not name its key")
        return [(None, fetched(self.keys_url.replace("{kid}", str(kid)), attempt))]

    def _check_times(self, claims: Mapping[str, Any], attempt: Attempt) -> None:
        for claim in self.require:
            if claim not in claims:
                raise RefusedError(Refused.CLAIM, f"the token has no {claim}")
        times = {claim: claims[claim] for claim in ("exp", "nbf", "iat") if claim in claims}
        if not all(_is_number(each) for each in times.values()):
            raise RefusedError(Refused.MALFORMED, "a time of the token is no number")
        now = attempt.now
        if now >= times.get("exp", now + 1) + LEEWAY:
            raise RefusedError(Refused.TOO_OLD, "the token has expired")
        if times.get("nbf", now) > now + LEEWAY or times.get("iat", now) > now + max(LEEWAY, attempt.tolerance or 60):
            raise RefusedError(Refused.IN_FUTURE, "the token is not valid yet")
        if self.max_age is not None:
            limit = self.max_age if attempt.tolerance is None else attempt.tolerance
            if now - times.get("iat", 0) > limit:
                raise RefusedError(Refused.TOO_OLD, f"the token is older than {limit:.0f} s")

    def _check_claims(self, claims: Mapping[str, Any], attempt: Attempt) -> None:
        settings = self._settings(attempt)
        if self.issuer and not re.fullmatch(_compile(self.issuer, settings), str(claims.get("iss", ""))):
            raise RefusedError(Refused.CLAIM, "the token is from another issuer")
        if self.audience != "any":
            self._check_audience(claims.get("aud"), settings, attempt.delivery)
        for claim, pattern in self.claims.items():
            if any(name not in settings for name in re.findall(r"\{([a-z_]+)\}", pattern)):
                continue
            values = [as_text(claims[each]) for each in claim.split("|") if each in claims]
            if not any(re.fullmatch(_compile(pattern, settings), each) for each in values):
                raise RefusedError(Refused.CLAIM, f"the token's {claim} is not the expected one")
        if self.url_hash:
            found = hashlib.sha256(attempt.delivery.url.encode("utf-8", "surrogatepass")).hexdigest()
            if not hmac.compare_digest(str(claims.get(self.url_hash, "")).encode("utf-8", "replace"), found.encode()):
                raise RefusedError(Refused.CLAIM, f"the token's {self.url_hash} is of another URL")
        empty = self.url_hash and not attempt.delivery.body and self.body_hash not in claims
        if self.body_hash and not empty:
            found = encoded(hashlib.sha256(attempt.delivery.body).digest(), self.body_hash_encoding)
            if not hmac.compare_digest(str(claims.get(self.body_hash, "")).encode("utf-8", "replace"), found.encode()):
                raise RefusedError(Refused.BODY_CHANGED, "the body is not the one whose hash was signed")
        if self.query_hash:
            said = str(claims.get(self.query_hash, "")).encode("utf-8", "replace")
            found = query_hash(attempt.delivery, settings.get("base_url", ""))
            # A token made for a page, not for a request, has this instead of a hash; it opens nothing here.
            if not hmac.compare_digest(said, found.encode()):
                raise RefusedError(Refused.CLAIM, f"the token's {self.query_hash} is of another request")

    def _settings(self, attempt: Attempt) -> dict[str, str]:
        settings = dict(attempt.given.settings)
        if self.named and not self.symmetric:
            for text in attempt.given.texts:
                if not is_key(text):
                    settings.setdefault("email" if "@" in text else "audience", text)
        return settings

    def _check_audience(self, claim: Any, settings: Mapping[str, str], delivery: Delivery) -> None:
        wanted = settings.get("audience", "")
        allowed = {wanted}
        if not wanted and self.audience == "url":
            allowed = {delivery.url, delivery.url.partition("?")[0]}
        allowed.discard("")
        if not allowed:
            raise RefusedError(Refused.NO_SECRET, "no audience is configured: any token of this issuer would do")
        said = as_list(claim)
        if not any(each in allowed for each in ([claim] if said is None else said) if isinstance(each, str)):
            raise RefusedError(Refused.CLAIM, "the token is for another audience")

    def describe(self) -> str:
        """The way in a few words."""
        extra = f", body hash in `{self.body_hash}`" if self.body_hash else ""
        prefix = f": {self.prefix.strip()}" if self.prefix else ""
        return f"JWT {'/'.join(self.algorithms)}, `{self.place}{prefix}`{extra}"


def query_hash(delivery: Delivery, base_url: str = "") -> str:
    """Atlassian's hash of method, path and query of a request; the path counts from `base_url` on."""
    parts = delivery.parts
    base = urlsplit(base_url).path.rstrip("/")
    path = parts.path.removeprefix(base) if parts.path.startswith(f"{base}/") else parts.path
    path = "/" + path.strip("/").replace("&", "%26")
    values: dict[str, list[str]] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name != "jwt":
            values.setdefault(_quoted(name), []).append(_quoted(value))
    query = "&".join(f"{name}={','.join(sorted(values[name]))}" for name in sorted(values))
    text = f"{delivery.method.upper()}&{path}&{query}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _quoted(text: str) -> str:
    return quote(text, safe="~")


def _parsed(token: str) -> tuple[dict[str, Any], dict[str, Any], bytes, bytes]:
    """Header, claims, what was signed, the signature. Raises `RefusedError`."""
    parts = token.split(".") if len(token) <= _LARGEST and token.isascii() else []
    try:
        header, claims = (as_object(json.loads(unpadded(each))) for each in (parts[0], parts[1]))
        signature = unpadded(parts[2])
        if len(parts) != 3 or header is None or claims is None:
            raise ValueError
    except (ValueError, IndexError, RecursionError):
        raise RefusedError(Refused.MALFORMED, "the token is damaged") from None
    return header, claims, f"{parts[0]}.{parts[1]}".encode(), signature


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12


def _compile(pattern: str, settings: Mapping[str, str]) -> str:
    filled = re.sub(r"\{([a-z_]+)\}", lambda match: re.escape(settings.get(match[1], "")), pattern)
    try:
        re.compile(filled)
    except re.error as error:
        raise ConfigurationError(f"the pattern {pattern!r} does not compile: {error}.") from None
    return filled
