"""Grants that nobody uses are refreshed before the provider ends them, by one process of many."""

import asyncio
import dataclasses
import time
from collections.abc import Iterator

import pytest
import respx

from clew.auth.facts import Facts
from clew.auth.keepalive import Served, is_idle, kept_alive, sweep
from clew.auth.leases import Leases
from clew.auth.origins import Place
from clew.auth.refresh import Refresher
from clew.auth.vault import Vault
from clew.core.database import Database

from .conftest import BASE_URL, SCHEME, WORK, put_grant, revealed

pytestmark = pytest.mark.anyio

ENGINES = ["sqlite", "postgres"]

DAY = 86400.0
IDLE = dataclasses.replace(SCHEME, idle_seconds=90 * DAY)
HERE = Place(BASE_URL, BASE_URL)
SERVED = {"acme": Served([IDLE], HERE), "keys": Served([], HERE)}


@pytest.fixture
def endpoint() -> Iterator[respx.Route]:
    with respx.mock(assert_all_called=False) as router:
        yield router.post("https://acme.example/token").respond(
            json={"access_token": "access-2", "refresh_token": "refresh-2"}
        )


def facts(days: float, **more: object) -> Facts:
    plain = Facts("oauth2", renewable=True, obtained_at=time.time() - days * DAY)
    return dataclasses.replace(plain, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("stored", "idle"),
    [
        (facts(60), False),
        (facts(70), True),
        (facts(70, renewable=False), False),
        (facts(70, refused_at=1.0), False),
        (facts(8, refresh_expires_at=time.time() + 2 * DAY), True),
        (facts(8, refresh_expires_at=time.time() + 20 * DAY), False),
    ],
)
def test_a_grant_is_idle_when_three_quarters_of_its_time_are_over(stored: Facts, idle: bool) -> None:
    assert is_idle(stored, IDLE) is idle


def test_a_grant_whose_provider_never_ends_it_is_never_idle() -> None:
    assert not is_idle(facts(3000), SCHEME)


async def test_an_idle_grant_is_refreshed_once_by_one_process(
    vault: Vault, leases: Leases, refresher: Refresher, endpoint: respx.Route
) -> None:
    await put_grant(vault, obtained_at=time.time() - 80 * DAY)
    assert await sweep(vault, refresher, SERVED) == [WORK]
    assert await revealed(vault, "refresh_token") == "refresh-2"
    await put_grant(vault, obtained_at=time.time() - 80 * DAY)
    assert await sweep(vault, Refresher(vault, leases), SERVED) == [], "swept within the hour"
    assert endpoint.call_count == 1


async def test_a_grant_in_use_is_left_alone(vault: Vault, refresher: Refresher, endpoint: respx.Route) -> None:
    await put_grant(vault, obtained_at=time.time() - DAY)
    assert await sweep(vault, refresher, SERVED) == []
    assert endpoint.call_count == 0


async def test_a_refresh_that_fails_does_not_end_the_sweep(
    vault: Vault, database: Database, refresher: Refresher, endpoint: respx.Route, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint.respond(503)
    await put_grant(vault, obtained_at=time.time() - 80 * DAY)
    assert await sweep(vault, refresher, SERVED) == []
    assert "acme (work) could not be refreshed" in caplog.text


async def _local(vault: Vault) -> list[str]:
    return ["local"]


async def test_the_background_task_sweeps_and_ends_with_its_block(
    vault: Vault, refresher: Refresher, endpoint: respx.Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clew.auth.keepalive.FIRST_AFTER_SECONDS", 0)
    await put_grant(vault, obtained_at=time.time() - 80 * DAY)
    async with kept_alive(vault, refresher, SERVED, _local):
        while await revealed(vault, "refresh_token") != "refresh-2":  # noqa: ASYNC110  # the task under test stores it
            await asyncio.sleep(0.005)
    await refresher.close()
    assert endpoint.call_count == 1
