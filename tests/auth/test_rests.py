"""After a failure nobody asks for a while, in no process; a person may."""

import itertools
from collections.abc import Iterator

import pytest
import respx

from clew.auth.leases import LONGEST_REST, Lease, Leases, lease_name, open_leases
from clew.auth.refresh import Refresher, Renewal
from clew.auth.vault import Vault
from clew.core.database import Database
from clew.core.errors import InternalError, Retry, TransientError

from .conftest import BASE_URL, SCHEME, WORK, put_grant, revealed

pytestmark = pytest.mark.anyio

ENGINES = ["sqlite", "postgres"]

PAIR = {"access_token": "access-2", "refresh_token": "refresh-2"}
NAME = lease_name("refresh", WORK)


@pytest.fixture
def endpoint() -> Iterator[respx.Route]:
    with respx.mock(assert_all_called=False) as router:
        yield router.post("https://acme.example/token").respond(503)


async def replace(refresher: Refresher, generation: str) -> Renewal:
    return await refresher.replace(WORK, generation, SCHEME, base_url=BASE_URL)


async def age(database: Database, seconds: float) -> None:
    """Let every rest be `seconds` older."""
    await database.execute("UPDATE rests SET ends = ends - ?", seconds)


async def test_an_outage_is_asked_about_once_and_all_processes_rest(
    vault: Vault, leases: Leases, database: Database, refresher: Refresher, endpoint: respx.Route
) -> None:
    generation = await put_grant(vault)
    another_process = Refresher(vault, await open_leases(database))
    for each in (refresher, another_process, refresher):
        with pytest.raises(TransientError) as caught:
            await replace(each, generation)
        assert caught.value.status == 503
        assert caught.value.retry is Retry.AFTER
        assert caught.value.retry_after is not None
        assert 0 < caught.value.retry_after <= 2.4
    assert endpoint.call_count == 1


async def test_after_the_rest_it_is_asked_again_and_success_ends_the_trouble(
    vault: Vault, leases: Leases, database: Database, refresher: Refresher, endpoint: respx.Route
) -> None:
    generation = await put_grant(vault)
    with pytest.raises(TransientError):
        await replace(refresher, generation)
    endpoint.respond(json=PAIR)
    await age(database, 3)
    assert await replace(refresher, generation) is Renewal.REFRESHED
    await refresher.close()  # callers do not wait for the tidying up
    assert await leases.resting(NAME) is None


async def test_a_misconfigured_client_rests_too_and_says_the_same(
    vault: Vault, refresher: Refresher, endpoint: respx.Route
) -> None:
    endpoint.respond(401, json={"error": "invalid_client"})
    generation = await put_grant(vault)
    for _ in range(2):
        with pytest.raises(InternalError) as caught:
            await replace(refresher, generation)
        assert caught.value.provider_code == "invalid_client"
    assert endpoint.call_count == 1


async def test_a_provider_that_asks_for_a_longer_rest_gets_it(
    vault: Vault, leases: Leases, refresher: Refresher, endpoint: respx.Route
) -> None:
    endpoint.respond(429, headers={"retry-after": "90"})
    with pytest.raises(TransientError) as caught:
        await replace(refresher, await put_grant(vault))
    assert caught.value.retry_after == 90


async def test_a_person_need_not_rest(vault: Vault, refresher: Refresher, endpoint: respx.Route) -> None:
    generation = await put_grant(vault)
    with pytest.raises(TransientError):
        await replace(refresher, generation)
    endpoint.respond(json=PAIR)
    assert await refresher.force(WORK, SCHEME, base_url=BASE_URL) is Renewal.REFRESHED
    assert await revealed(vault, "access_token") == "access-2"


async def test_rests_double_up_to_a_bound_and_old_trouble_is_forgotten(leases: Leases, database: Database) -> None:
    rests = [await leases.rest("x", "why") for _ in range(8)]
    for before, after in itertools.pairwise(rests[:5]):
        assert 1.2 * before < after < 3.2 * before
    assert LONGEST_REST * 0.8 <= rests[-1] <= LONGEST_REST * 1.2
    rest = await leases.resting("x")
    assert rest is not None
    assert (rest.failures, rest.reason) == (8, "why")
    await age(database, 3600)
    assert await leases.rest("x", "why") < 3


async def test_a_rest_from_before_a_restart_of_the_machine_is_over(leases: Leases, database: Database) -> None:
    await leases.rest("x", "why")
    await age(database, -86400)
    rest = await leases.resting("x")
    assert rest is not None
    assert rest.left == 0


async def test_a_waiter_that_gets_the_lease_after_a_failure_does_not_ask(
    vault: Vault, leases: Leases, database: Database, endpoint: respx.Route
) -> None:
    class FailedMeanwhile(Leases):
        async def acquire(self, name: str, *, seconds: float) -> Lease | None:
            await leases.rest(name, '["outage", "no_answer", null]')
            return await super().acquire(name, seconds=seconds)

    other = Refresher(vault, FailedMeanwhile(database))
    with pytest.raises(TransientError):
        await replace(other, await put_grant(vault))
    assert endpoint.call_count == 0
