"""The keys an authorization server signs with (RFC 7517), as they are now: fetched when needed, kept, rotated.

Whoever sends a token chooses its `kid`, so an unknown one makes us look again only now and then: a flood of invented
ones costs the authorization server nothing.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from clew.auth.answers import Refusal
from clew.auth.discovery import discover
from clew.auth.endpoints import checked_address
from clew.auth.exchange import send
from clew.auth.oauth import TokenRequest
from clew.core.errors import ClewError, ConfigurationError
from clew.core.fields import as_list, as_object

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)

FRESH_SECONDS = 600.0
"""For how long fetched keys are not looked at again: a key that was taken back is believed no longer."""
UNKNOWN_SECONDS = 30.0
"""Seconds between looks for keys that we do not know."""
RETRY_SECONDS = 5.0
"""Seconds between looks that failed."""
STALE_SECONDS = 24 * 3600.0
"""For how long fetched keys are good while the server cannot be asked."""
_PATIENCE = 5.0
_MOST_KEYS = 100
_LEAST_RSA_BITS = 2048


class IssuerOutageError(ClewError):
    """The authorization server cannot be asked, so nobody knows whether a token is good."""


class IssuerKeys:
    """The public keys of one issuer; `address` is where they are, without it the issuer's metadata says so."""

    def __init__(
        self,
        http: "httpx.AsyncClient",
        issuer: str,
        address: str = "",
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = http
        self._issuer = issuer
        self._address = address
        self._clock = clock
        self._keys: list[Any] = []
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._failed = False
        self._busy = asyncio.Lock()
        self.fetches = 0

    async def find(self, kid: str | None, algorithm: str) -> Any:
        """The key that a token of this `kid` and `alg` must be signed with; None when the issuer has none such.

        Raises `IssuerOutageError` when that cannot be found out.
        """
        found = self._pick(kid, algorithm)
        if self._is_due(known=found is not None):
            async with self._busy:
                if self._is_due(known=self._pick(kid, algorithm) is not None):
                    await self._fetch()
            found = self._pick(kid, algorithm)
        if self._age() > STALE_SECONDS or (found is None and self._failed):
            raise IssuerOutageError(f"the keys of {self._issuer} cannot be fetched.")
        return found

    def _age(self) -> float:
        return float("inf") if self._fetched_at is None else self._clock() - self._fetched_at

    def _is_due(self, *, known: bool) -> bool:
        """Is it time to look again?"""
        since = float("inf") if self._tried_at is None else self._clock() - self._tried_at
        if self._failed:
            return since >= RETRY_SECONDS
        return since >= (FRESH_SECONDS if known else UNKNOWN_SECONDS)

    def _pick(self, kid: str | None, algorithm: str) -> Any:
        """The one key that fits. Without a `kid` only an issuer with a single fitting key is understood."""
        fitting = [key for key in self._keys if _fits(key, algorithm)]
        named = [key for key in fitting if key.get("kid") == kid] if kid is not None else fitting
        return named[0] if len(named) == 1 else None

    async def _fetch(self) -> None:
        self._tried_at = self._clock()
        self.fetches += 1
        try:
            self._keys = await self._read()
        except ClewError as error:
            self._failed = True
            log.warning("the keys of %s cannot be fetched: %s", self._issuer, error)
            return
        self._failed, self._fetched_at = False, self._clock()

    async def _read(self) -> list[Any]:
        if not self._address:
            metadata = await discover(self._http, self._issuer, seconds=_PATIENCE)
            if metadata.keys_url is None:
                raise ConfigurationError(f"{self._issuer} does not say where its keys are.")
            self._address = metadata.keys_url
        request = TokenRequest(checked_address(self._address), {"Accept": "application/json"}, b"", "GET")
        answer = await send(self._http, request, seconds=_PATIENCE)
        if isinstance(answer, Refusal):
            raise IssuerOutageError(answer.code)
        try:
            listed = as_list((as_object(json.loads(answer.body)) or {}).get("keys")) if answer.status == 200 else None
        except (ValueError, RecursionError):
            listed = None
        if listed is None:
            raise IssuerOutageError(f"no keys in the answer ({answer.status})")
        return [key for each in listed[:_MOST_KEYS] if (key := _imported(as_object(each))) is not None]


def _imported(facts: dict[str, Any] | None) -> Any:
    """A public key for signatures; None for all others. A shared secret is never one, whatever a key set says."""
    from joserfc import jwk
    from joserfc.errors import JoseError

    if facts is None or facts.get("kty") not in ("RSA", "EC", "OKP") or facts.get("use", "sig") != "sig":
        return None
    public = {name: value for name, value in facts.items() if name not in ("d", "p", "q", "dp", "dq", "qi", "oth")}
    try:
        key: Any = jwk.import_key(public)
        weak = facts["kty"] == "RSA" and key.public_key.key_size < _LEAST_RSA_BITS
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return None if weak else key


def _fits(key: Any, algorithm: str) -> bool:
    """May this key have made a signature of this algorithm?"""
    from joserfc.errors import JoseError
    from joserfc.jws import JWSRegistry

    if key.get("alg") not in (None, algorithm):
        return False
    try:
        JWSRegistry.algorithms[algorithm].check_key(key)
    except (JoseError, KeyError, ValueError):
        return False
    return True
