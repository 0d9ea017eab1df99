"""Who is this person? OpenID Connect for pages of ours: code, PKCE, nonce and state, and nothing is kept of it.

The provider's word counts when it answers the attempt of this very browser: `state` ties the redirect to it, `iss` (RFC
9207) to the provider, `nonce` the ID token to the attempt, the PKCE verifier the code to us.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any

from clew.auth.answers import Refusal
from clew.auth.consent import ENDPOINT_SECONDS, LoginError
from clew.auth.discovery import Metadata, discover, settled
from clew.auth.exchange import exchange, send
from clew.auth.login import Attempt
from clew.auth.oauth import Client, TokenRequest, code_request
from clew.auth.openid import IdTokenError, check_id_token
from clew.auth.schemes import OAuth2
from clew.core.fields import as_object
from clew.core.secret import Secret
from clew.core.values import dataclass

if TYPE_CHECKING:
    import httpx


@dataclass(frozen=True, slots=True)
class Relying:
    """Us, as one OpenID provider knows us."""

    issuer: str
    client_id: str
    secret: Secret | None = None
    scopes: tuple[str, ...] = ("openid", "email", "profile")


@dataclass(frozen=True, slots=True)
class Begun:
    """One attempt: where the browser is sent, and what must come back with it. `ties` is for this browser alone."""

    url: str
    ties: Mapping[str, str] = field(repr=False)


async def begin(http: "httpx.AsyncClient", relying: Relying, redirect_uri: str) -> Begun:
    """Ask the provider where people log in. Raises `ConfigurationError` when it does not describe itself."""
    metadata = await discover(http, relying.issuer)
    ties = {
        "state": secrets.token_urlsafe(32),
        "nonce": secrets.token_urlsafe(32),
        "verifier": secrets.token_urlsafe(48),
    }
    attempt = _attempt(relying, metadata, redirect_uri, ties)
    return Begun(attempt.url(attempt.scheme.authorize_url), ties)


async def finish(
    http: "httpx.AsyncClient", relying: Relying, redirect_uri: str, ties: Mapping[str, str], address: str
) -> Mapping[str, Any]:
    """The claims about the person who came back to `address`. Raises `LoginError` for everything that does not fit.

    Claims of the userinfo endpoint are added where there is one; those of the ID token are stronger.
    """
    metadata = await discover(http, relying.issuer)
    attempt = _attempt(relying, metadata, redirect_uri, ties)
    request = code_request(
        attempt.scheme, attempt.scheme.token_url, attempt.client,
        code=attempt.code(address), redirect_uri=redirect_uri, verifier=attempt.verifier,
    )  # fmt: skip
    grant = await exchange(http, attempt.scheme, request, seconds=ENDPOINT_SECONDS)
    if isinstance(grant, Refusal):
        raise LoginError(f"The identity provider did not accept the login ({grant.code or grant.verdict}). Try again.")
    if grant.id_token is None:
        raise LoginError("The identity provider sent no ID token; it is asked for the scope openid.")
    try:
        claims = check_id_token(
            grant.id_token, issuer=attempt.scheme.issuer, client_id=relying.client_id, nonce=ties["nonce"]
        )
    except IdTokenError as error:
        raise LoginError(f"The identity that came is not to be trusted: {error}.") from None
    more = await _userinfo(http, metadata, grant.access_token)
    return {**more, **claims} if more.get("sub") == claims.get("sub") else claims


def _attempt(relying: Relying, metadata: Metadata, redirect_uri: str, ties: Mapping[str, str]) -> Attempt:
    scheme = settled(OAuth2(client_id=relying.client_id, scopes=relying.scopes), metadata)
    client = Client(relying.client_id, relying.secret)
    return Attempt(scheme, client, redirect_uri, relying.scopes, ties["state"], ties["nonce"], ties["verifier"])


async def _userinfo(http: "httpx.AsyncClient", metadata: Metadata, token: Secret) -> Mapping[str, Any]:
    """What more the provider says; nothing when it says nothing that can be read."""
    if metadata.userinfo_url is None:
        return {}
    headers = {"Authorization": f"Bearer {token.reveal()}", "Accept": "application/json"}
    answer = await send(http, TokenRequest(metadata.userinfo_url, headers, b"", "GET"), seconds=ENDPOINT_SECONDS)
    if isinstance(answer, Refusal) or answer.status != 200:
        return {}
    try:
        return as_object(json.loads(answer.body)) or {}
    except (ValueError, RecursionError):
        return {}
