"""A person may name another authorization server than a connector's own; nothing of the one goes to the other."""

from dataclasses import replace

import httpx
import pytest
import respx

from clew.auth.consent import plan
from clew.auth.discovery import recalled
from clew.auth.oauth import Client
from clew.auth.schemes import OAuth2, Variable
from clew.auth.vault import Vault

from .conftest import BASE_URL, WORK

pytestmark = pytest.mark.anyio

SCHEME = OAuth2(
    authorize_url="https://own.example/authorize",
    token_url="https://own.example/token",
    refresh_url="https://own.example/refresh",
    revoke_url="https://own.example/revoke",
    discovery_url="{issuer}",
    variables={"issuer": Variable(pattern=r"https?://\S+", optional=True)},
)
OTHER = "http://127.0.0.1:1"
METADATA = {"issuer": OTHER, "authorization_endpoint": f"{OTHER}/a", "token_endpoint": f"{OTHER}/t"}


async def test_without_a_name_the_declared_addresses_count_and_nobody_is_asked(vault: Vault) -> None:
    with respx.mock:  # any request would fail
        async with httpx.AsyncClient() as http:
            planned = await plan(vault, WORK, SCHEME, http, base_url=BASE_URL, client=Client("me"))
    assert planned.scheme == SCHEME
    assert recalled(SCHEME, planned.variables) == SCHEME


async def test_a_named_server_replaces_every_address_now_and_at_later_refreshes(vault: Vault) -> None:
    with respx.mock(base_url=OTHER) as router:
        router.get("/.well-known/openid-configuration").respond(json=METADATA)
        async with httpx.AsyncClient() as http:
            named = {"issuer": OTHER}
            planned = await plan(vault, WORK, SCHEME, http, base_url=BASE_URL, client=Client("me"), variables=named)
    later = recalled(SCHEME, planned.variables)
    for scheme in (planned.scheme, later):
        assert (scheme.authorize_url, scheme.token_url) == (f"{OTHER}/a", f"{OTHER}/t")
        assert (scheme.refresh_url, scheme.revoke_url, scheme.revocation) == (None, None, None)
    assert later.issuer == OTHER
    assert replace(later, issuer=SCHEME.issuer).scopes == SCHEME.scopes
