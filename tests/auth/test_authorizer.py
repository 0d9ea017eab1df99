"""What a call sees of its credential: the right one on every request, renewed in time, else the exact next step."""

import asyncio
import base64
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import respx

from clew.auth.authorizer import VaultAuthorizer, preferred_kind
from clew.auth.facts import Facts
from clew.auth.keys import LocalKeys
from clew.auth.leases import Leases
from clew.auth.oauth import Grant
from clew.auth.refresh import Refresher
from clew.auth.schemes import ApiKey, Basic, Bearer, OAuth2
from clew.auth.vault import Vault, open_vault
from clew.core.credentials import Authorizer, Scheme
from clew.core.database import Database
from clew.core.errors import AuthRevokedError, InternalError, TransientError
from clew.core.secret import Secret

from .conftest import BASE_URL, SCHEME, WORK, put_grant

pytestmark = pytest.mark.anyio

ENGINES = ["sqlite", "postgres"]

PAIR = {"access_token": "access-2", "refresh_token": "refresh-2", "expires_in": 3600}


@pytest.fixture
def endpoint() -> Iterator[respx.Route]:
    with respx.mock(assert_all_called=False) as router:
        yield router.post("https://acme.example/token").respond(json=PAIR)


@pytest.fixture
def authorizer(vault: Vault, refresher: Refresher) -> Authorizer:
    return VaultAuthorizer(WORK, [SCHEME, Bearer("token")], vault, refresher, base_url=BASE_URL)


async def sent(authorizer: Authorizer) -> tuple[str, str]:
    """The Authorization header of a request, and the generation it came from."""
    request = httpx.Request("GET", "https://acme.example/api/x")
    generation = await authorizer.apply(request)
    return request.headers["authorization"], generation


async def test_the_kind_of_the_stored_credential_decides_between_schemes(vault: Vault, authorizer: Authorizer) -> None:
    await vault.put(WORK, {"token": Secret("pat")}, Facts("bearer"))
    assert (await sent(authorizer))[0] == "token pat"
    await put_grant(vault)
    assert (await sent(authorizer))[0] == "Bearer access-1"


async def test_a_new_credential_is_used_by_the_very_next_request(vault: Vault, authorizer: Authorizer) -> None:
    await vault.put(WORK, {"token": Secret("one")}, Facts("bearer"))
    first = await sent(authorizer)
    await vault.put(WORK, {"token": Secret("two")}, Facts("bearer"))
    second = await sent(authorizer)
    assert (first[0], second[0]) == ("token one", "token two")
    assert first[1] != second[1]


async def test_a_missing_credential_names_the_command_that_brings_it(authorizer: Authorizer) -> None:
    with pytest.raises(AuthRevokedError, match=r"No credential of acme \(work\)") as caught:
        await sent(authorizer)
    assert caught.value.next_step == "Ask the person to run: clew auth login acme --account work"


async def test_a_kind_that_the_connector_does_not_take_is_refused(vault: Vault, authorizer: Authorizer) -> None:
    await vault.put(WORK, {"key": Secret("k")}, Facts("api_key"))
    with pytest.raises(AuthRevokedError, match="'api_key', which this connector does not take"):
        await sent(authorizer)


async def test_a_record_that_lacks_a_field_is_refused(vault: Vault, authorizer: Authorizer) -> None:
    await vault.put(WORK, {"other": Secret("k")}, Facts("bearer"))
    with pytest.raises(AuthRevokedError, match="has no token") as caught:
        await sent(authorizer)
    assert "clew auth set acme --account work" in caught.value.next_step


async def test_a_refused_static_credential_names_the_command_and_is_noted_once(
    vault: Vault, authorizer: Authorizer
) -> None:
    await vault.put(WORK, {"token": Secret("pat")}, Facts("bearer"))
    _, generation = await sent(authorizer)
    versions: list[int] = []
    for _ in range(2):
        with pytest.raises(AuthRevokedError) as caught:
            await authorizer.renew(generation)
        assert caught.value.next_step == "Ask the person to run: clew auth set acme --account work"
        record = await vault.get(WORK)
        assert record is not None
        assert record.facts.refused_at is not None
        assert record.facts.generation == generation
        versions.append(record.version)
    assert versions[0] == versions[1]


async def test_a_static_credential_that_a_person_has_replaced_meanwhile_is_taken(
    vault: Vault, authorizer: Authorizer
) -> None:
    await vault.put(WORK, {"token": Secret("old")}, Facts("bearer"))
    _, generation = await sent(authorizer)
    await vault.put(WORK, {"token": Secret("new")}, Facts("bearer"))
    await authorizer.renew(generation)
    assert (await sent(authorizer))[0] == "token new"


async def test_a_refused_access_token_is_refreshed(vault: Vault, authorizer: Authorizer, endpoint: respx.Route) -> None:
    await put_grant(vault)
    _, generation = await sent(authorizer)
    await authorizer.renew(generation)
    assert (await sent(authorizer))[0] == "Bearer access-2"
    assert endpoint.call_count == 1


async def test_an_access_token_without_refresh_token_needs_a_login(vault: Vault, authorizer: Authorizer) -> None:
    await vault.put(WORK, {"access_token": Secret("a")}, Facts("oauth2", expires_at=1.0))
    header, generation = await sent(authorizer)
    assert header == "Bearer a"
    with pytest.raises(AuthRevokedError) as caught:
        await authorizer.renew(generation)
    assert "clew auth login acme" in caught.value.next_step


async def test_a_token_about_to_end_is_refreshed_before_it_is_sent(
    vault: Vault, authorizer: Authorizer, endpoint: respx.Route
) -> None:
    await put_grant(vault, obtained_at=time.time() - 3600, expires_at=time.time() + 30)
    assert (await sent(authorizer))[0] == "Bearer access-2"


async def test_a_short_lived_token_is_used_for_most_of_its_life(
    vault: Vault, authorizer: Authorizer, endpoint: respx.Route
) -> None:
    await put_grant(vault, obtained_at=time.time(), expires_at=time.time() + 30)
    assert (await sent(authorizer))[0] == "Bearer access-1"
    assert endpoint.call_count == 0


async def test_a_failed_early_refresh_harms_nobody(vault: Vault, authorizer: Authorizer, endpoint: respx.Route) -> None:
    await put_grant(vault, obtained_at=time.time() - 3600, expires_at=time.time() + 30)
    endpoint.respond(503)
    assert (await sent(authorizer))[0] == "Bearer access-1"
    endpoint.respond(400, json={"error": "invalid_grant"})
    assert (await sent(authorizer))[0] == "Bearer access-1"


async def test_an_early_refresh_that_takes_long_is_not_waited_for(
    vault: Vault, authorizer: Authorizer, refresher: Refresher, endpoint: respx.Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clew.auth.authorizer.EARLY_PATIENCE_SECONDS", 0.05)
    await put_grant(vault, obtained_at=time.time() - 3600, expires_at=time.time() + 30)
    answer = asyncio.Event()

    async def hang(request: httpx.Request) -> httpx.Response:
        await answer.wait()
        return httpx.Response(200, json=PAIR)

    endpoint.side_effect = hang
    assert (await sent(authorizer))[0] == "Bearer access-1"
    answer.set()
    await refresher.close()
    assert (await sent(authorizer))[0] == "Bearer access-2"


async def test_a_token_is_refreshed_when_the_provider_wants_it_long_before_its_end(
    vault: Vault, authorizer: Authorizer, endpoint: respx.Route
) -> None:
    endpoint.respond(json={**PAIR, "expires_in": 86400, "refresh_in": 43200})
    await put_grant(vault, expires_at=time.time() - 1)
    await sent(authorizer)
    record = await vault.get(WORK)
    assert record is not None
    assert record.facts.refresh_at is not None
    assert abs(record.facts.refresh_at - time.time() - 43200) < 10
    await sent(authorizer)
    assert endpoint.call_count == 1
    await vault.amend(record, replace(record.facts, refresh_at=time.time() - 20_000))
    await sent(authorizer)
    assert endpoint.call_count == 2


async def test_a_token_that_is_refused_right_after_its_refresh_is_not_refreshed_over_and_over(
    vault: Vault, authorizer: Authorizer, endpoint: respx.Route
) -> None:
    await put_grant(vault)
    _, generation = await sent(authorizer)
    await authorizer.renew(generation)
    _, generation = await sent(authorizer)
    with pytest.raises(TransientError) as caught:
        await authorizer.renew(generation)
    assert caught.value.retry_after is not None
    assert 0 < caught.value.retry_after <= 5
    assert endpoint.call_count == 1


async def test_a_token_of_class_a_never_expires(vault: Vault, refresher: Refresher, endpoint: respx.Route) -> None:
    authorizer = VaultAuthorizer(WORK, [replace(SCHEME, refresh_class="A")], vault, refresher, base_url=BASE_URL)
    await put_grant(vault, expires_at=1.0)
    header, generation = await sent(authorizer)
    assert header == "Bearer access-1"
    with pytest.raises(AuthRevokedError):
        await authorizer.renew(generation)
    assert endpoint.call_count == 0


async def test_a_connection_of_class_e_gets_its_first_token_when_it_is_needed(vault: Vault, leases: Leases) -> None:
    async def mint(http: object, record: object, scheme: object, **times: object) -> Grant:
        return Grant(Secret("minted"), expires_at=time.time() + 3600)

    refresher = Refresher(vault, leases, minters={"oauth2": mint})
    authorizer = VaultAuthorizer(WORK, [replace(SCHEME, refresh_class="E")], vault, refresher, base_url=BASE_URL)
    await vault.put(WORK, {"client_secret": Secret("s")}, Facts("oauth2"))
    assert (await sent(authorizer))[0] == "Bearer minted"
    await refresher.close()


async def test_an_ended_token_during_an_outage_is_transient(
    vault: Vault, authorizer: Authorizer, endpoint: respx.Route
) -> None:
    await put_grant(vault, expires_at=time.time() - 1)
    endpoint.respond(503)
    with pytest.raises(TransientError):
        await sent(authorizer)


async def test_an_ended_token_of_a_dead_grant_needs_a_login(
    vault: Vault, authorizer: Authorizer, endpoint: respx.Route
) -> None:
    await put_grant(vault, expires_at=time.time() - 1)
    endpoint.respond(400, json={"error": "invalid_grant"})
    with pytest.raises(AuthRevokedError):
        await sent(authorizer)


async def test_the_operators_faults_reach_an_agent_as_an_internal_error(
    tmp_path: Path, vault: Vault, database: Database, leases: Leases
) -> None:
    await put_grant(vault)
    wrong = LocalKeys(tmp_path / "x", place="env", environ={"CLEW_MASTER_KEY": base64.b64encode(b"w" * 32).decode()})
    other = await open_vault(database, wrong)
    authorizer = VaultAuthorizer(WORK, [SCHEME], other, Refresher(other, leases), base_url=BASE_URL)
    with pytest.raises(InternalError, match="sealed with the key"):
        await sent(authorizer)


async def test_a_token_endpoint_that_is_not_https_gets_no_token(vault: Vault, refresher: Refresher) -> None:
    await put_grant(vault)
    authorizer = VaultAuthorizer(WORK, [SCHEME], vault, refresher, base_url="http://acme.example")
    _, generation = await sent(authorizer)
    with pytest.raises(InternalError, match="not an https address"):
        await authorizer.renew(generation)


@pytest.mark.parametrize(
    ("schemes", "kind"),
    [
        ([OAuth2("https://a", "https://b"), Bearer()], "bearer"),
        ([SCHEME, Bearer()], "oauth2"),
        ([OAuth2("https://a", "https://b")], "oauth2"),
        ([ApiKey(header="x")], "api_key"),
        ([Basic()], "basic"),
    ],
)
def test_a_login_is_advised_only_when_there_is_a_client_for_it(schemes: list[Scheme], kind: str) -> None:
    assert preferred_kind(schemes) == kind
