"""A grant is refreshed once, kept whatever happens, and given up only when it is really dead."""

import asyncio
import json
import time
from collections.abc import Iterator

import httpx
import pytest
import respx

from clew.auth.facts import Facts
from clew.auth.leases import Lease, Leases, lease_name
from clew.auth.refresh import Refresher
from clew.auth.schemes import OAuth2
from clew.auth.vault import Vault
from clew.core.database import Database
from clew.core.errors import AuthRevokedError, CallError, InternalError, TransientError
from clew.core.secret import Secret

from .conftest import BASE_URL, SCHEME, WORK, put_grant, revealed

pytestmark = pytest.mark.anyio
ENGINES = ["sqlite", "postgres"]

PAIR = {"access_token": "access-2", "refresh_token": "refresh-2", "expires_in": 3600, "scope": "read write"}


@pytest.fixture
def endpoint() -> Iterator[respx.Route]:
    with respx.mock(assert_all_called=False) as router:
        yield router.post("https://acme.example/token").respond(json=PAIR)


async def replace(refresher: Refresher, generation: str, scheme: OAuth2 = SCHEME) -> None:
    await refresher.replace(WORK, generation, scheme, base_url=BASE_URL)


async def facts(vault: Vault) -> Facts:
    record = await vault.get(WORK)
    assert record is not None
    return record.facts


async def test_a_refresh_stores_the_new_pair_and_its_facts(
    vault: Vault, refresher: Refresher, endpoint: respx.Route
) -> None:
    generation = await put_grant(vault)
    await replace(refresher, generation)
    assert (await revealed(vault, "access_token"), await revealed(vault, "refresh_token")) == ("access-2", "refresh-2")
    after = await facts(vault)
    assert after.generation != generation
    assert (after.scopes, after.refreshed, after.client_id) == (("read", "write"), 1, "clew")
    assert after.expires_at is not None
    assert 3590 < after.expires_at - time.time() <= 3600
    assert b"refresh-1" in endpoint.calls.last.request.content


async def test_a_reusable_refresh_token_is_kept_when_the_answer_has_none(
    vault: Vault, refresher: Refresher, endpoint: respx.Route
) -> None:
    endpoint.respond(json={"access_token": "access-2"})
    await replace(refresher, await put_grant(vault))
    assert await revealed(vault, "refresh_token") == "refresh-1"
    assert (await facts(vault)).scopes == ("read",)


async def test_a_grace_keeps_the_previous_refresh_token(
    vault: Vault, refresher: Refresher, endpoint: respx.Route
) -> None:
    scheme = OAuth2(SCHEME.authorize_url, SCHEME.token_url, client_id="clew", refresh_class="D")
    await replace(refresher, await put_grant(vault), scheme)
    assert await revealed(vault, "previous_refresh_token") == "refresh-1"


async def test_many_tasks_share_one_refresh(vault: Vault, refresher: Refresher, endpoint: respx.Route) -> None:
    generation = await put_grant(vault)
    await asyncio.gather(*(replace(refresher, generation) for _ in range(50)))
    assert endpoint.call_count == 1


async def test_a_generation_that_is_gone_needs_no_request(
    vault: Vault, refresher: Refresher, endpoint: respx.Route
) -> None:
    await put_grant(vault)
    await replace(refresher, "an older one")
    assert endpoint.call_count == 0


async def test_a_waiter_for_another_processs_lease_uses_what_that_one_brought(
    vault: Vault, leases: Leases, refresher: Refresher, endpoint: respx.Route
) -> None:
    generation = await put_grant(vault)
    theirs = await leases.acquire(lease_name("refresh", WORK), seconds=60)
    assert theirs is not None
    waiting = asyncio.create_task(replace(refresher, generation))
    await asyncio.sleep(0)
    await put_grant(vault)
    await waiting
    assert endpoint.call_count == 0


async def test_a_cancelled_caller_does_not_lose_the_new_pair(
    vault: Vault, refresher: Refresher, endpoint: respx.Route
) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def respond(request: httpx.Request) -> httpx.Response:
        asked.set()
        await answer.wait()
        return httpx.Response(200, json=PAIR)

    endpoint.side_effect = respond
    caller = asyncio.create_task(replace(refresher, await put_grant(vault)))
    await asked.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    answer.set()
    await refresher.close()
    assert await revealed(vault, "refresh_token") == "refresh-2"


async def test_a_dead_grant_names_the_login_command_and_is_not_asked_for_again(
    vault: Vault, refresher: Refresher, endpoint: respx.Route
) -> None:
    endpoint.respond(400, json={"error": "invalid_grant"})
    generation = await put_grant(vault)
    for _ in range(2):
        with pytest.raises(AuthRevokedError) as caught:
            await replace(refresher, generation)
        assert "clew auth login acme --account work" in caught.value.next_step
        assert caught.value.provider_code == "invalid_grant"
    assert endpoint.call_count == 1
    after = await facts(vault)
    assert after.refused == "invalid_grant"
    assert after.refused_at is not None
    assert await revealed(vault, "refresh_token") == "refresh-1"


async def test_dead_is_not_believed_when_somebody_has_stored_a_newer_pair(
    vault: Vault, refresher: Refresher, endpoint: respx.Route
) -> None:
    generation = await put_grant(vault)

    async def lose_the_race(request: httpx.Request) -> httpx.Response:
        await put_grant(vault)
        return httpx.Response(400, json={"error": "invalid_grant"})

    endpoint.side_effect = lose_the_race
    await replace(refresher, generation)
    assert (await facts(vault)).refused_at is None


async def test_a_login_during_a_refresh_wins(vault: Vault, refresher: Refresher, endpoint: respx.Route) -> None:
    generation = await put_grant(vault)

    async def log_in_meanwhile(request: httpx.Request) -> httpx.Response:
        await vault.put(WORK, {"access_token": Secret("fresh"), "refresh_token": Secret("f")}, Facts("oauth2"))
        return httpx.Response(200, json=PAIR)

    endpoint.side_effect = log_in_meanwhile
    await replace(refresher, generation)
    assert await revealed(vault, "access_token") == "fresh"


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(503),
        httpx.Response(200, html="<html>maintenance</html>"),
        httpx.Response(429, json={"error": "invalid_grant"}),
        httpx.Response(302, headers={"location": "https://evil.example/"}),
        httpx.Response(200, content=b"x" * 70_000),
        httpx.ConnectError("refused"),
    ],
)
async def test_an_outage_is_transient_and_the_old_pair_stays(
    vault: Vault, refresher: Refresher, endpoint: respx.Route, answer: httpx.Response | Exception
) -> None:
    endpoint.mock(side_effect=[answer])
    with pytest.raises(TransientError):
        await replace(refresher, await put_grant(vault))
    assert endpoint.call_count == 1
    assert await revealed(vault, "refresh_token") == "refresh-1"
    assert (await facts(vault)).refused_at is None


async def test_a_lost_answer_is_asked_for_once_more(vault: Vault, refresher: Refresher, endpoint: respx.Route) -> None:
    endpoint.mock(side_effect=[httpx.ReadTimeout("lost"), httpx.Response(200, json=PAIR)])
    await replace(refresher, await put_grant(vault))
    assert await revealed(vault, "access_token") == "access-2"


async def test_an_endpoint_that_hangs_ends_in_time(vault: Vault, leases: Leases, endpoint: respx.Route) -> None:
    asked: list[httpx.Request] = []

    async def hang(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        await asyncio.Event().wait()
        raise AssertionError

    endpoint.side_effect = hang
    refresher = Refresher(vault, leases, endpoint_seconds=1.5)
    with pytest.raises(TransientError):
        await replace(refresher, await put_grant(vault))
    assert len(asked) == 2
    await refresher.close()


async def test_a_refused_client_is_the_operators_business(
    vault: Vault, refresher: Refresher, endpoint: respx.Route
) -> None:
    endpoint.respond(401, json={"error": "invalid_client", "error_description": "no such client"})
    with pytest.raises(InternalError) as caught:
        await replace(refresher, await put_grant(vault))
    assert "client's id and secret" in caught.value.next_step
    assert (await facts(vault)).refused_at is None


async def test_each_caller_gets_an_error_of_its_own(vault: Vault, refresher: Refresher, endpoint: respx.Route) -> None:
    endpoint.respond(503)
    generation = await put_grant(vault)
    errors = await asyncio.gather(*(replace(refresher, generation) for _ in range(3)), return_exceptions=True)
    assert all(isinstance(error, CallError) for error in errors)
    assert len({id(error) for error in errors}) == 3
    assert endpoint.call_count == 1


async def test_the_lease_is_given_back_after_success_and_failure(
    vault: Vault, leases: Leases, refresher: Refresher, endpoint: respx.Route
) -> None:
    endpoint.mock(side_effect=[httpx.Response(503), httpx.Response(200, json=PAIR)])
    generation = await put_grant(vault)
    with pytest.raises(TransientError):
        await replace(refresher, generation)
    await refresher.force(WORK, SCHEME, base_url=BASE_URL)
    assert await leases.acquire(lease_name("refresh", WORK), seconds=1) is not None


async def test_a_holder_that_overslept_its_lease_cannot_overwrite_the_next_ones_pair(
    vault: Vault, leases: Leases, database: Database, refresher: Refresher, endpoint: respx.Route
) -> None:
    generation = await put_grant(vault)

    asked: list[httpx.Request] = []

    async def oversleep(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if len(asked) > 1:
            return httpx.Response(200, json={"access_token": "of-the-next", "refresh_token": "n"})
        await database.execute("UPDATE leases SET ends = 0")
        await replace(next_holder, generation)
        return httpx.Response(200, json=PAIR)

    next_holder = Refresher(vault, leases)
    endpoint.side_effect = oversleep
    await replace(refresher, generation)
    await next_holder.close()
    assert await revealed(vault, "access_token") == "of-the-next"


async def test_a_grant_without_refresh_token_needs_a_login(
    vault: Vault, refresher: Refresher, endpoint: respx.Route
) -> None:
    stored = Facts("oauth2")
    await vault.put(WORK, {"access_token": Secret("a")}, stored)
    with pytest.raises(AuthRevokedError, match="no longer accepts"):
        await replace(refresher, stored.generation)
    assert endpoint.call_count == 0


async def test_a_confidential_client_authenticates_with_its_stored_secret(
    vault: Vault, refresher: Refresher, endpoint: respx.Route
) -> None:
    stored = Facts("oauth2", client_id="own")
    secrets = {"access_token": Secret("a"), "refresh_token": Secret("r"), "client_secret": Secret("s")}
    await vault.put(WORK, secrets, stored)
    scheme = OAuth2(SCHEME.authorize_url, SCHEME.token_url, client_auth="basic")
    await replace(refresher, stored.generation, scheme)
    assert endpoint.calls.last.request.headers["authorization"] == "Basic b3duOnM="
    assert await revealed(vault, "client_secret") == "s"


async def test_neither_errors_nor_logs_show_a_token(
    vault: Vault, refresher: Refresher, endpoint: respx.Route, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    endpoint.respond(401, json={"error": "invalid_client"})
    with pytest.raises(InternalError) as caught:
        await replace(refresher, await put_grant(vault))
    shown = caplog.text + caught.value.as_text() + json.dumps(caught.value.as_dict()) + repr(caught.value.__cause__)
    for token in ("access-1", "refresh-1"):
        assert token not in shown


class LateLeases(Leases):
    """Leases that are granted just after another process has finished its refresh."""

    def __init__(self, database: Database, vault: Vault) -> None:
        super().__init__(database)
        self.vault = vault

    async def acquire(self, name: str, *, seconds: float) -> Lease | None:
        await put_grant(self.vault)
        return await super().acquire(name, seconds=seconds)


async def test_after_the_lease_the_store_is_read_again(
    vault: Vault, leases: Leases, database: Database, endpoint: respx.Route
) -> None:
    generation = await put_grant(vault)
    refresher = Refresher(vault, LateLeases(database, vault))
    await replace(refresher, generation)
    await refresher.close()
    assert endpoint.call_count == 0
