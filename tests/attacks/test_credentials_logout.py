"""Promise 1 at its end: a logout leaves no living token at the provider without saying so.

Revoking an access token ends that one only here (as at GitHub or Slack), so a pair that is overlooked stays alive.
"""

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import httpx
import pytest

from clew.auth.endpoints import Revocation
from clew.auth.facts import Facts
from clew.auth.leases import open_leases
from clew.auth.revocation import Ending, log_out
from clew.auth.schemes import OAuth2
from clew.core.connection import Connection
from clew.core.secret import Secret

from .providers import AcmeProvider, acme
from .refresh_worker import Shifted
from .refreshing import Crew, Ground, Worker, call, crew, on_ground

pytestmark = pytest.mark.anyio

ENGINES = ["sqlite", "postgres"]
WAY: dict[str, Any] = {"url": "{base_url}/oauth/revoke", "token": "access", "kills": "token"}


@pytest.fixture(scope="module")
async def staff() -> AsyncGenerator[Crew]:
    async with crew(2) as started:
        yield started


@pytest.fixture
async def ground(address: str) -> AsyncGenerator[Ground]:
    async with on_ground(address) as opened:
        yield opened


def newest_lives(provider: AcmeProvider) -> bool:
    """Does the provider still take the access token that it gave out last?"""
    state = provider.sandbox.state
    issued = [each for each in state.tokens.__dict__["_tokens"].values() if each.kind == "access"]
    return bool(issued[-1].is_live(state.now()))


async def leave(
    ground: Ground, provider: AcmeProvider, account: str, *, hours_later: float = 0.0, patience: float = 20.0
) -> Ending:
    """Log the account out in this process."""
    database = Shifted(ground.database)
    leases = await open_leases(database)
    database.seconds = hours_later * 3600
    where = Connection("local", "acme", account)
    async with httpx.AsyncClient() as http:
        return await log_out(
            ground.vault, leases, where, [scheme(provider)], http, base_url=provider.url, patience=patience
        )


def scheme(provider: AcmeProvider) -> OAuth2:
    way = provider.scheme.get("revocation")
    settled: dict[str, Any] = {**provider.scheme, "revocation": Revocation(**way) if way else None}
    return OAuth2(**settled)


async def asleep_with_a_new_pair(staff: Crew, ground: Ground, provider: AcmeProvider) -> tuple[Worker, str]:
    """A process that has received a new pair and was stopped before it could store it; and the account."""
    (sleeper,) = await staff.at(ground, provider, 1)
    account = await ground.plant(provider)
    sleeper.say(do="stop", account=account, at="received")
    await sleeper.until_stopped()
    return sleeper, account


@pytest.fixture(params=["one token", "the grant"])
def provider(request: pytest.FixtureRequest) -> Iterator[AcmeProvider]:
    """A sandbox at which an access token is revoked alone, and one at which a refresh token takes its grant along."""
    with acme() as opened:
        if request.param == "one token":
            opened.scheme["revocation"] = WAY
        else:
            opened.scheme["revoke_url"] = WAY["url"]
        yield opened


async def test_a_refresh_under_way_is_not_overtaken(staff: Crew, ground: Ground, provider: AcmeProvider) -> None:
    sleeper, account = await asleep_with_a_new_pair(staff, ground, provider)
    ending = await leave(ground, provider, account, patience=0.3)
    assert (ending.told, ending.forgotten) == ("failed", False)
    assert "being renewed" in ending.why
    assert provider.sandbox.state.requests["POST /oauth/revoke"] == 0
    sleeper.resume()
    assert (await sleeper.hear())["ok"] == 1
    ending = await leave(ground, provider, account)
    assert (ending.told, ending.forgotten, ending.why) == ("revoked", True, "")
    assert (await call([sleeper], account, 3)).errors == {"auth_revoked": 3}
    assert not newest_lives(provider)


async def test_a_logout_waits_for_a_refresh_that_ends(staff: Crew, ground: Ground, provider: AcmeProvider) -> None:
    workers = await staff.at(ground, provider, 2)
    account = await ground.plant(provider)
    provider.slow(0.7)
    calls = asyncio.create_task(call(workers, account, 10))
    async with asyncio.timeout(30):
        while provider.counts().requests < 1:  # noqa: ASYNC110  # another process asks
            await asyncio.sleep(0.005)
    ending = await leave(ground, provider, account)
    await calls
    assert (ending.told, ending.forgotten, ending.why) == ("revoked", True, "")
    assert await ground.vault.get(Connection("local", "acme", account)) is None
    assert not newest_lives(provider)


async def test_a_refresher_that_wakes_up_after_the_logout_revokes_what_it_got(
    staff: Crew, ground: Ground, provider: AcmeProvider
) -> None:
    sleeper, account = await asleep_with_a_new_pair(staff, ground, provider)
    ending = await leave(ground, provider, account, hours_later=1)
    assert ending.forgotten
    assert "never finished" in ending.why, "nobody here can know what the sleeper has got"
    sleeper.resume()
    woken = await sleeper.hear()
    assert woken["ok"] == 0
    assert not newest_lives(provider)
    assert await ground.vault.get(Connection("local", "acme", account)) is None


async def being_revoked(ground: Ground, provider: AcmeProvider, account: str) -> "asyncio.Task[Ending]":
    """A logout of which the provider has heard and has not answered yet."""
    provider.sandbox.fault("slow", path="/oauth/revoke", seconds=0.7, when="after")
    leaving = asyncio.create_task(leave(ground, provider, account))
    async with asyncio.timeout(30):
        while provider.sandbox.state.requests["POST /oauth/revoke"] < 1:  # noqa: ASYNC110  # another thread is asked
            await asyncio.sleep(0.005)
    return leaving


async def overwritten(ground: Ground, provider: AcmeProvider, account: str, *, refreshed: int) -> Ending:
    """Somebody stores another pair while the provider is being told."""
    leaving = await being_revoked(ground, provider, account)
    access, refresh = provider.grant()
    fields = {"access_token": Secret(access), "refresh_token": Secret(refresh)}
    facts = Facts("oauth2", client_id=provider.scheme["client_id"], renewable=True, refreshed=refreshed)
    await ground.vault.put(Connection("local", "acme", account), fields, facts)
    return await leaving


async def test_a_login_made_meanwhile_is_kept_and_told(ground: Ground, provider: AcmeProvider) -> None:
    account = await ground.plant(provider)
    ending = await overwritten(ground, provider, account, refreshed=0)
    assert (ending.told, ending.forgotten, ending.newer) == ("revoked", False, True)
    assert (await ground.record(account)).facts.refreshed == 0
    assert newest_lives(provider)


async def test_a_pair_stored_meanwhile_is_revoked_as_well(ground: Ground, provider: AcmeProvider) -> None:
    """A refresher whose lease had ended stores its pair while the one before is being revoked."""
    account = await ground.plant(provider)
    ending = await overwritten(ground, provider, account, refreshed=1)
    assert (ending.told, ending.forgotten, ending.newer) == ("revoked", True, False)
    assert not newest_lives(provider)
    assert await ground.vault.get(Connection("local", "acme", account)) is None


async def test_facts_that_change_meanwhile_do_not_keep_a_credential(ground: Ground, provider: AcmeProvider) -> None:
    account = await ground.plant(provider)
    leaving = await being_revoked(ground, provider, account)
    record = await ground.record(account)
    await ground.vault.amend(record, dataclasses.replace(record.facts, identity="ada@acme.example"))
    ending = await leaving
    assert (ending.told, ending.forgotten) == ("revoked", True)
    assert provider.sandbox.state.requests["POST /oauth/revoke"] == 1
