"""Disconnecting tells the provider first, in its own way, and says honestly what it could not do."""

import base64
import dataclasses
import json
from collections.abc import Iterator
from urllib.parse import parse_qs

import httpx
import pytest
import respx

from clew.auth.clients import set_app
from clew.auth.endpoints import Revocation
from clew.auth.facts import Facts
from clew.auth.leases import Leases
from clew.auth.revocation import Ending, log_out
from clew.auth.schemes import Bearer, OAuth2
from clew.auth.vault import Vault
from clew.core.connection import Connection
from clew.core.credentials import Scheme
from clew.core.secret import Secret

from .conftest import BASE_URL, SCHEME, WORK, put_grant

pytestmark = pytest.mark.anyio

REVOKING = dataclasses.replace(SCHEME, revoke_url="{origin}/revoke")


@pytest.fixture
def provider() -> Iterator[respx.MockRouter]:
    with respx.mock(assert_all_called=False) as router:
        router.post("https://acme.example/revoke", name="revoke").respond(200)
        yield router


async def leave(vault: Vault, leases: Leases, scheme: Scheme = REVOKING, connection: Connection = WORK) -> Ending:
    async with httpx.AsyncClient(verify=False) as http:
        return await log_out(vault, leases, connection, [scheme], http, base_url=BASE_URL)


async def test_the_refresh_token_is_revoked_and_the_row_is_gone(
    vault: Vault, leases: Leases, provider: respx.MockRouter
) -> None:
    await put_grant(vault)
    ending = await leave(vault, leases)
    assert (ending.told, ending.forgotten, ending.siblings) == ("revoked", True, ())
    assert parse_qs(provider["revoke"].calls.last.request.content.decode()) == {
        "token": ["refresh-1"],
        "token_type_hint": ["refresh_token"],
        "client_id": ["clew"],
    }
    assert await vault.get(WORK) is None


@pytest.mark.parametrize("fault", [httpx.ConnectError("x"), httpx.ReadTimeout("x"), 503, 429, 401])
async def test_a_provider_that_cannot_be_told_leaves_the_credential_for_another_try(
    vault: Vault, leases: Leases, provider: respx.MockRouter, fault: int | Exception
) -> None:
    await put_grant(vault)
    if isinstance(fault, Exception):
        provider["revoke"].side_effect = fault
    else:
        provider["revoke"].respond(fault, json={"error": "invalid_client"})
    ending = await leave(vault, leases)
    assert (ending.told, ending.forgotten) == ("failed", False)
    assert ending.why
    assert await vault.get(WORK) is not None


@pytest.mark.parametrize("answer", [httpx.Response(400, json={"error": "invalid_token"}), httpx.Response(404)])
async def test_a_credential_that_the_provider_knows_no_more_is_forgotten(
    vault: Vault, leases: Leases, provider: respx.MockRouter, answer: httpx.Response
) -> None:
    await put_grant(vault)
    provider["revoke"].side_effect = [answer]
    ending = await leave(vault, leases)
    assert (ending.told, ending.forgotten) == ("gone", True)


async def test_a_refusal_with_status_200_is_a_refusal(vault: Vault, leases: Leases, provider: respx.MockRouter) -> None:
    await put_grant(vault)
    provider["revoke"].respond(json={"ok": False, "error": "not_authed"})
    assert (await leave(vault, leases)).told == "failed"


async def test_without_a_way_to_tell_the_provider_that_is_said(vault: Vault, leases: Leases) -> None:
    await vault.put(WORK, {"token": Secret("t")}, Facts("bearer"))
    ending = await leave(vault, leases, Bearer(help="https://acme.example/tokens"))
    assert (ending.told, ending.forgotten) == ("impossible", True)
    assert "https://acme.example/tokens" in ending.why


async def test_accounts_of_the_same_grant_are_named(vault: Vault, leases: Leases, provider: respx.MockRouter) -> None:
    facts = Facts("oauth2", client_id="clew", identity="ada@acme.example")
    for account, changed in (
        ("work", facts),
        ("same", facts),
        ("other-person", dataclasses.replace(facts, identity="bob@acme.example")),
        ("other-client", dataclasses.replace(facts, client_id="another")),
    ):
        await vault.put(Connection("local", "acme", account), {"access_token": Secret("a")}, changed)
    assert (await leave(vault, leases)).siblings == ("same",)


async def test_a_github_grant_is_deleted_with_the_clients_own_proof(
    vault: Vault, leases: Leases, provider: respx.MockRouter
) -> None:
    scheme = dataclasses.replace(
        SCHEME,
        revocation=Revocation(
            "https://api.github.com/applications/{client_id}/grant",
            method="DELETE",
            token="access",
            send="json",
            parameter="access_token",
            hint=False,
            auth="basic",
        ),
    )
    await set_app(vault, "acme", "clew", {"client_secret": Secret("s3cret")}, tenant="local")
    await put_grant(vault)
    route = provider.delete("https://api.github.com/applications/clew/grant").respond(204)
    assert (await leave(vault, leases, scheme)).told == "revoked"
    request = route.calls.last.request
    assert json.loads(request.content) == {"access_token": "access-1"}
    assert request.headers["authorization"] == "Basic " + base64.b64encode(b"clew:s3cret").decode()


async def test_a_slack_token_revokes_itself(vault: Vault, leases: Leases, provider: respx.MockRouter) -> None:
    way = Revocation("https://slack.com/api/auth.revoke", token="access", send="none", auth="bearer", kills="token")
    scheme = dataclasses.replace(SCHEME, revocation=way)
    await put_grant(vault)
    route = provider.post("https://slack.com/api/auth.revoke").respond(json={"ok": True, "revoked": True})
    assert (await leave(vault, leases, scheme)).told == "revoked"
    request = route.calls.last.request
    assert (request.headers["authorization"], request.content) == ("Bearer access-1", b"")


async def test_both_tokens_are_revoked_where_one_does_not_take_the_other_along(
    vault: Vault, leases: Leases, provider: respx.MockRouter
) -> None:
    scheme = dataclasses.replace(SCHEME, revocation=Revocation("{origin}/revoke", token="both"))
    sent: list[str] = []

    def note(request: httpx.Request) -> httpx.Response:
        sent.append(parse_qs(request.content.decode())["token"][0])
        return httpx.Response(200)

    provider["revoke"].mock(side_effect=note)
    await put_grant(vault)
    await leave(vault, leases, scheme)
    assert sent == ["refresh-1", "access-1"]


async def test_a_connection_that_is_not_there_is_no_fault(vault: Vault, leases: Leases) -> None:
    ending = await leave(vault, leases, OAuth2())
    assert (ending.told, ending.forgotten) == ("gone", False)
