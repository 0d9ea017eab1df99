"""Logging in: authorization code with PKCE, the redirect caught on this machine or pasted by hand.

`state` ties the answer to this login, `iss` (RFC 9207) to this authorization server. The code is exchanged once.
"""

import asyncio
import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from clew.auth.answers import Grant, Refusal
from clew.auth.consent import ENDPOINT_SECONDS, LoginError, Plan, keep, plan, refused
from clew.auth.facts import Facts
from clew.auth.loopback import Loopback
from clew.auth.oauth import Client, authorization_url, code_request, new_verifier
from clew.auth.schemes import OAuth2
from clew.auth.vault import Vault
from clew.core.connection import Connection
from clew.core.errors import quote
from clew.core.secret import Secret
from clew.core.values import dataclass

if TYPE_CHECKING:
    import httpx

__all__ = ["ENDPOINT_SECONDS", "Attempt", "LoginError", "carries", "login", "redeem"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One login under way: what was asked, and the secrets that tie the answer to it."""

    scheme: OAuth2
    client: Client
    redirect_uri: str
    scopes: tuple[str, ...]
    state: str = field(repr=False)
    nonce: str | None = field(default=None, repr=False)
    verifier: str = field(default_factory=new_verifier, repr=False)

    def url(self, authorize_url: str) -> str:
        """The address for the person's browser."""
        return authorization_url(
            self.scheme,
            authorize_url,
            self.client,
            redirect_uri=self.redirect_uri,
            state=self.state,
            verifier=self.verifier,
            scopes=self.scopes,
            nonce=self.nonce,
        )

    def code(self, address: str) -> Secret:
        """The authorization code in a redirect. Raises `LoginError` for a refusal, a forged or a foreign answer."""
        answer = _parameters(address)
        if not carries(address, self.state):
            raise LoginError("This address does not belong to this login (its state is wrong). Start again.")
        issuer = answer.get("iss")
        expected = self.scheme.issuer
        missing = issuer is None and self.scheme.issuer_required
        if expected is not None and (missing or (issuer is not None and issuer != expected)):
            raise LoginError("The answer comes from another authorization server than the one asked. Nothing was sent.")
        if "error" in answer:
            said = quote(answer.get("error_description") or answer["error"])
            raise LoginError(f'The provider did not grant access: "{said}".')
        if not answer.get("code"):
            raise LoginError("This address holds no authorization code. Copy the whole address of the last page.")
        return Secret(answer["code"])


def carries(address: str, state: str) -> bool:
    """Does a redirect belong to the login with this state?"""
    return hmac.compare_digest(_parameters(address).get("state", "").encode(), state.encode())


async def login(
    vault: Vault,
    connection: Connection,
    scheme: OAuth2,
    *,
    base_url: str,
    show: Callable[[str], Awaitable[object]],
    pasted: Callable[[], Awaitable[str]] | None = None,
    client: Client | None = None,
    scopes: Sequence[str] | None = None,
    variables: Mapping[str, str] | None = None,
    origin: str | None = None,
    wait_seconds: float = 300.0,
    http: "httpx.AsyncClient | None" = None,
) -> Facts:
    """Log in, store the grant under `connection` (replacing an older one) and return its facts.

    It may then be used at `origin`, without one that of `base_url`, and nowhere else.

    `show` gets the address to open: print it, open a browser. The end is caught by a loopback listener or, whichever
    comes first, returned by `pasted` (the address of the last page, where the browser runs elsewhere). Raises
    `LoginError` when the person or the provider refuses or nobody answers in time, `ConfigurationError` when no OAuth
    client is known.
    """
    import httpx

    async with httpx.AsyncClient() as own:
        used = http or own
        planned = await plan(
            vault, connection, scheme, used,
            base_url=base_url, client=client, scopes=scopes, variables=variables, origin=origin,
        )  # fmt: skip
        state = secrets.token_urlsafe(32)
        nonce = secrets.token_urlsafe(24) if "openid" in planned.scopes else None
        host, port = planned.scheme.loopback_host, planned.scheme.loopback_port
        async with Loopback(lambda address: carries(address, state), host=host, port=port) as loopback:
            attempt = Attempt(planned.scheme, planned.client, loopback.redirect_uri, planned.scopes, state, nonce)
            url = attempt.url(planned.address(planned.scheme.authorize_url))
            address = await _ending(loopback, url, show, pasted, wait_seconds)
            grant = await redeem(attempt, planned, attempt.code(address), used)
    return await keep(vault, planned, grant, redirect_uri=attempt.redirect_uri, nonce=nonce)


async def _ending(
    loopback: Loopback,
    url: str,
    show: Callable[[str], Awaitable[object]],
    pasted: Callable[[], Awaitable[str]] | None,
    wait_seconds: float,
) -> str:
    """The address where the browser ended, from the listener or by hand, whichever comes first."""

    async def paste() -> str:
        assert pasted is not None
        return (await pasted()).strip()

    ways = [asyncio.ensure_future(loopback.wait())]
    try:
        async with asyncio.timeout(wait_seconds):
            await show(url)
            if pasted is not None:
                ways.append(asyncio.create_task(paste()))
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            return next(iter(done)).result()
    except TimeoutError:
        raise LoginError(f"Nobody finished the login within {wait_seconds:.0f} s. Nothing was stored.") from None
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def redeem(attempt: Attempt, planned: Plan, code: Secret, http: "httpx.AsyncClient") -> Grant:
    """Exchange an authorization code. Raises `LoginError` when the server refuses it."""
    from clew.auth.exchange import exchange

    request = code_request(
        attempt.scheme,
        planned.token_url,
        attempt.client,
        code=code,
        redirect_uri=attempt.redirect_uri,
        verifier=attempt.verifier,
    )
    answer = await exchange(http, attempt.scheme, request, seconds=ENDPOINT_SECONDS)
    if isinstance(answer, Refusal):
        raise refused(planned, answer)
    return answer


def _parameters(address: str) -> dict[str, str]:
    """The query of a redirect, or of just its query pasted; a parameter given twice is not trusted at all."""
    query = urlsplit(address).query if "?" in address else ""
    return {name: values[0] for name, values in parse_qs(query).items() if len(values) == 1}
