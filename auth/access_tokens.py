"""Access tokens that callers show us, as a resource server: a JWT of RFC 9068, or asked about by RFC 7662.

Nothing in a token says how it is to be checked: the issuer, the algorithms and the keys are ours to choose. A token
that is bound to a key (`cnf`) is refused, for nothing here asks for the proof.
"""

import asyncio
import base64
import binascii
import hashlib
import json
import time
import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from clew.auth.answers import Refusal
from clew.auth.discovery import discover
from clew.auth.endpoints import checked_address
from clew.auth.exchange import send
from clew.auth.issuer_keys import IssuerKeys, IssuerOutageError
from clew.auth.oauth import Client, token_request
from clew.auth.schemes import OAuth2
from clew.core.errors import ClewError
from clew.core.fields import as_list, as_object
from clew.core.secret import Secret
from clew.core.values import dataclass

if TYPE_CHECKING:
    import httpx

ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA",
)  # fmt: skip
"""Signatures with a public key. `none` and shared secrets are no signatures here."""
LEEWAY_SECONDS = 60.0
"""By so much clocks may differ."""
_LONGEST = 16 * 1024
_REMEMBERED = 10_000
_GOOD_SECONDS = 30.0
_BAD_SECONDS = 5.0
"""For so long an answer about a token is believed: a token that was taken back works no longer than the first."""
_AT_ONCE = 16
_TYPES = ("at+jwt", "application/at+jwt")
_REQUIRED = ("iss", "exp", "aud", "sub", "client_id", "iat", "jti")


class RefusedTokenError(ClewError):
    """The token is not one to act on; the message says why, and holds nothing of the token."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a good token says. `ends` is epoch seconds, `audiences` whom it is for."""

    issuer: str
    subject: str
    client: str
    scopes: tuple[str, ...]
    audiences: tuple[str, ...]
    ends: float
    claims: Mapping[str, Any] = field(repr=False)


class Verifier(Protocol):
    """Knows whether a token is good. Whom it is for, and what it may do, is for the caller to compare."""

    async def verify(self, token: Secret) -> Accepted:
        """What the token says. Raises `RefusedTokenError`, or `IssuerOutageError` when nobody can tell."""
        ...


class Remembering:
    """A verifier that does not check the same token twice within some seconds, and never past its end."""

    def __init__(self, verifier: Verifier, clock: Callable[[], float] = time.time) -> None:
        self._verifier = verifier
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[float, Accepted | str]] = OrderedDict()
        self._asking: dict[bytes, asyncio.Future[Accepted]] = {}

    async def verify(self, token: Secret) -> Accepted:
        """As `Verifier` says."""
        digest = hashlib.sha256(token.reveal().encode("utf-8", "surrogatepass")).digest()
        until, known = self._known.get(digest, (0.0, ""))
        if until > self._clock():
            if isinstance(known, Accepted):
                return known
            raise RefusedTokenError(known)
        asking = self._asking.get(digest)
        if asking is None:
            # A task of its own: a caller who goes away must not take the answer from those who wait with it.
            asking = asyncio.ensure_future(self._ask(digest, token))
            self._asking[digest] = asking
            asking.add_done_callback(partial(self._answered, digest))
        return await asyncio.shield(asking)

    async def _ask(self, digest: bytes, token: Secret) -> Accepted:
        try:
            found = await self._verifier.verify(token)
        except RefusedTokenError as error:
            self._keep(digest, self._clock() + _BAD_SECONDS, str(error))
            raise
        self._keep(digest, min(self._clock() + _GOOD_SECONDS, found.ends), found)
        return found

    def _answered(self, digest: bytes, done: "asyncio.Future[Accepted]") -> None:
        self._asking.pop(digest, None)
        if not done.cancelled():
            done.exception()  # whoever asked may be gone; then nobody else looks at it

    def _keep(self, digest: bytes, until: float, found: Accepted | str) -> None:
        self._known[digest] = until, found
        self._known.move_to_end(digest)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)


class JwtVerifier:
    """Checks the signature with the issuer's keys and the claims with our own rules.

    `strict` wants what RFC 9068 wants: the type `at+jwt`, which keeps ID tokens out, and all of its claims. Without it
    a token of any type is taken that has issuer, audience, subject and end.
    """

    def __init__(
        self,
        keys: IssuerKeys,
        issuer: str,
        *,
        algorithms: Sequence[str] = ALGORITHMS,
        strict: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._algorithms = tuple(algorithms)
        self._strict = strict
        self._clock = clock

    async def verify(self, token: Secret) -> Accepted:
        """As `Verifier` says."""
        text = token.reveal()
        header = _header(text)
        algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ")
        if algorithm not in self._algorithms:
            raise RefusedTokenError("it is not signed with an algorithm that is taken here")
        if "crit" in header or "b64" in header:
            raise RefusedTokenError("its header wants what is not understood here")
        if self._strict and (not isinstance(kind, str) or kind.lower() not in _TYPES):
            raise RefusedTokenError("it is no access token by its type")
        if kid is not None and not isinstance(kid, str):
            raise RefusedTokenError("its header cannot be read")
        key = await self._keys.find(kid, algorithm)
        if key is None:
            raise RefusedTokenError("it is signed with a key that its issuer does not have")
        claims = _verified(text, key, algorithm)
        if claims.get("iss") != self._issuer:
            raise RefusedTokenError("it comes from another issuer")
        lacks = [name for name in (_REQUIRED if self._strict else ()) if name not in claims]
        if lacks:
            raise RefusedTokenError(f"it lacks {', '.join(lacks)}")
        return accepted(claims, self._issuer, self._clock())


class IntrospectionVerifier:
    """Asks the authorization server about a token, as `client`. `address` is where; without it the metadata says so."""

    def __init__(
        self,
        http: "httpx.AsyncClient",
        issuer: str,
        client: Client,
        address: str = "",
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._http = http
        self._issuer = issuer
        self._client = client
        self._address = address
        self._clock = clock
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def verify(self, token: Secret) -> Accepted:
        """As `Verifier` says."""
        if len(token.reveal()) > _LONGEST:
            raise RefusedTokenError("it is too long")
        async with self._room:
            said = await self._asked(token)
        if said.get("active") is not True:
            raise RefusedTokenError("its issuer says that it is not active")
        if said.get("iss", self._issuer) != self._issuer:
            raise RefusedTokenError("it comes from another issuer")
        return accepted({**said, "iss": self._issuer}, self._issuer, self._clock())

    async def _asked(self, token: Secret) -> Mapping[str, Any]:
        fields = {"token": token.reveal(), "token_type_hint": "access_token"}
        scheme = OAuth2(client_id=self._client.id, client_auth="basic")
        try:
            address = await self._place()
            answer = await send(self._http, token_request(scheme, address, self._client, fields), seconds=5.0)
        except ClewError as error:
            raise IssuerOutageError(f"{self._issuer} cannot be asked: {error}") from None
        if isinstance(answer, Refusal) or answer.status != 200:
            why = answer.code if isinstance(answer, Refusal) else str(answer.status)
            raise IssuerOutageError(f"{self._issuer} does not say whether a token is good ({why}).")
        try:
            return as_object(json.loads(answer.body)) or {}
        except (ValueError, RecursionError):
            raise IssuerOutageError(f"{self._issuer} gave an answer that cannot be read.") from None

    async def _place(self) -> str:
        if not self._address:
            found = (await discover(self._http, self._issuer, seconds=5.0)).addresses.get("introspect_url")
            if found is None:
                raise IssuerOutageError("it names no introspection endpoint.")
            self._address = found
        return checked_address(self._address)


def accepted(claims: Mapping[str, Any], issuer: str, now: float) -> Accepted:
    """The claims that every way has in common, checked. Raises `RefusedTokenError`."""
    ends, begins, made = (_moment(claims, name) for name in ("exp", "nbf", "iat"))
    if ends is None or ends + LEEWAY_SECONDS <= now:
        raise RefusedTokenError("it has ended" if ends is not None else "it names no end")
    if (begins or 0.0) > now + LEEWAY_SECONDS or (made or 0.0) > now + LEEWAY_SECONDS:
        raise RefusedTokenError("it is not good yet")
    if claims.get("cnf") is not None:
        raise RefusedTokenError("it is bound to a key, and no proof of that key is taken here")
    subject, client = claims.get("sub"), claims.get("client_id", claims.get("azp", ""))
    if not isinstance(subject, str) or not subject or len(subject) > 255 or not isinstance(client, str):
        raise RefusedTokenError("it does not say whose it is")
    return Accepted(issuer, subject, client, _scopes(claims), _texts(claims.get("aud")), ends, claims)


def _moment(claims: Mapping[str, Any], name: str) -> float | None:
    """A moment in epoch seconds; None when it is not named. Raises `RefusedTokenError` for what is none."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e12 < value < 1e12:
        raise RefusedTokenError(f"its {name} is no time")
    return float(value)


def _scopes(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """`scope` as RFC 9068 has it, or the lists that some servers send (`scp`)."""
    found = claims.get("scope", claims.get("scp"))
    listed = found.split() if isinstance(found, str) else _texts(found)
    return tuple(dict.fromkeys(listed))


def _texts(value: object) -> tuple[str, ...]:
    items = [value] if isinstance(value, str) else as_list(value) or []
    return tuple(item for item in items if isinstance(item, str))


def _header(text: str) -> Mapping[str, Any]:
    if len(text) > _LONGEST:
        raise RefusedTokenError("it is too long")
    head, _, rest = text.partition(".")
    try:
        found = as_object(json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))))
    except (binascii.Error, ValueError, RecursionError):
        found = None
    if found is None or rest.count(".") != 1:
        raise RefusedTokenError("it cannot be read")
    return found


def _verified(text: str, key: Any, algorithm: str) -> Mapping[str, Any]:
    from joserfc import jwt
    from joserfc.errors import JoseError
    from joserfc.jws import JWSRegistry

    registry = JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    try:
        with warnings.catch_warnings():  # that RFC 9864 calls EdDSA otherwise is no news for whoever runs this
            warnings.simplefilter("ignore")
            return jwt.decode(text, key, algorithms=[algorithm], registry=registry).claims
    except (JoseError, ValueError, TypeError, RecursionError):
        raise RefusedTokenError("its signature is not good") from None
