"""Logging in from a page of ours: the redirect comes back to a server, maybe to another worker than it left from.

What ties the answer to the browser that began (`Begun.ties`) is for that browser alone to carry, sealed.
"""

import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from clew.auth.consent import Plan, keep, plan
from clew.auth.facts import Facts
from clew.auth.login import Attempt, redeem
from clew.auth.oauth import Client
from clew.auth.schemes import OAuth2
from clew.auth.sign_in import Begun
from clew.auth.vault import Vault
from clew.core.connection import Connection

if TYPE_CHECKING:
    import httpx


async def begin_login(
    vault: Vault,
    connection: Connection,
    scheme: OAuth2,
    http: "httpx.AsyncClient",
    *,
    client: Client,
    base_url: str,
    redirect_uri: str,
    scopes: Sequence[str] | None,
    origin: str,
) -> Begun:
    """Where the browser is sent. Raises `ConfigurationError` when this login needs what only an operator can say."""
    planned = await plan(
        vault, connection, scheme, http, base_url=base_url, client=client, scopes=scopes, origin=origin
    )
    nonce = secrets.token_urlsafe(24) if "openid" in planned.scopes else ""
    ties = {"state": secrets.token_urlsafe(32), "nonce": nonce, "verifier": secrets.token_urlsafe(48)}
    attempt = _attempt(planned, redirect_uri, ties)
    return Begun(attempt.url(planned.address(planned.scheme.authorize_url)), ties)


async def finish_login(
    vault: Vault,
    connection: Connection,
    scheme: OAuth2,
    http: "httpx.AsyncClient",
    *,
    client: Client,
    base_url: str,
    redirect_uri: str,
    scopes: Sequence[str] | None,
    origin: str,
    ties: Mapping[str, str],
    address: str,
) -> Facts:
    """Store the grant that came back to `address` under `connection`. Raises `LoginError` for what does not fit."""
    planned = await plan(
        vault, connection, scheme, http, base_url=base_url, client=client, scopes=scopes, origin=origin
    )
    attempt = _attempt(planned, redirect_uri, ties)
    grant = await redeem(attempt, planned, attempt.code(address), http)
    return await keep(vault, planned, grant, redirect_uri=redirect_uri, nonce=ties["nonce"] or None)


def _attempt(planned: Plan, redirect_uri: str, ties: Mapping[str, str]) -> Attempt:
    return Attempt(
        planned.scheme, planned.client, redirect_uri, planned.scopes, ties["state"], ties["nonce"] or None,
        ties["verifier"],
    )  # fmt: skip
