"""Promise 1: a refresh token is never burnt. Attacks 1 to 3 with real processes; the long forms are marked slow."""

import asyncio
from collections.abc import AsyncGenerator, Iterator

import pytest

from .providers import SENSIBLE, Counts, OidcProvider, acme, find_oidc, grace, oidc
from .refreshing import Crew, Ground, call, crew, kills, on_ground, pass_time, race, races, tell_kills, tell_races

pytestmark = pytest.mark.anyio

ENGINES = ["sqlite", "postgres"]


@pytest.fixture(scope="module")
async def staff() -> AsyncGenerator[Crew]:
    async with crew(8) as started:
        yield started


@pytest.fixture
async def ground(address: str) -> AsyncGenerator[Ground]:
    async with on_ground(address) as opened:
        yield opened


@pytest.mark.parametrize("by_provider", [False, True], ids=["expired by the clock", "expired by the provider"])
async def test_eight_processes_that_meet_an_expired_token_refresh_it_exactly_once(
    staff: Crew, ground: Ground, by_provider: bool
) -> None:
    with acme() as provider:
        workers = await staff.at(ground, provider, 8)
        round_ = await race(ground, provider, workers, tasks=50, longest=0.5, by_provider=by_provider)
        assert round_.won(400), round_


@pytest.mark.parametrize("with_grace", [False, True], ids=["class C", "class D"])
async def test_a_refresher_that_is_killed_loses_nothing_that_it_could_store(
    staff: Crew, ground: Ground, with_grace: bool
) -> None:
    with grace() if with_grace else acme() as provider:
        done = await kills(staff, ground, provider, runs=4, with_grace=with_grace)
        assert [kill for kill in done if kill.error] == []


ANSWERS = {
    "HTML": ((200, "text/html", "<html>Sign in</html>"), "transient"),
    "200 with an error that passes": ((200, "application/json", '{"error": "temporarily_unavailable"}'), "transient"),
    "200 with an error that means dead": ((200, "application/json", '{"error": "bad_refresh_token"}'), "auth_revoked"),
    "503": ((503, "text/plain", "down"), "transient"),
    "a wrong client": ((401, "application/json", '{"error": "invalid_client"}'), "internal"),
}


@pytest.mark.parametrize("answer", ANSWERS)
async def test_a_token_endpoint_that_lies_is_asked_once_by_all(staff: Crew, ground: Ground, answer: str) -> None:
    with grace() as provider:
        workers = await staff.at(ground, provider, 2)
        account = await ground.plant(provider)
        provider.answer, code = ANSWERS[answer]
        for _ in range(2):
            endings = await call(workers, account, 10)
            assert endings.errors == {code: 20}
        assert provider.counts().requests == 1
        record = await ground.record(account)
        assert (record.facts.refused_at is not None) is (code == "auth_revoked")
        provider.answer = SENSIBLE
        await pass_time(workers, 100)
        endings = await call(workers, account, 10)
        assert endings.ok == (0 if code == "auth_revoked" else 20)


async def test_a_token_endpoint_that_hangs_holds_nobody_for_long(staff: Crew, ground: Ground) -> None:
    with grace() as provider:
        workers = await staff.at(ground, provider, 4, endpoint_seconds=0.4)
        account = await ground.plant(provider)
        provider.answer = None
        endings = await call(workers, account, 10)
        assert endings.errors == {"transient": 40}
        assert endings.slowest < 3
        assert provider.counts().requests == 2, "once, and once more because the answer may have been lost"
        provider.answer = SENSIBLE
        await pass_time(workers, 10)
        assert (await call(workers, account, 10)).ok == 40


async def test_an_outage_of_ten_minutes_is_not_hammered_and_ends_when_it_ends(staff: Crew, ground: Ground) -> None:
    with grace() as provider:
        workers = await staff.at(ground, provider, 4)
        account = await ground.plant(provider)
        provider.answer = (503, "text/html", "<h1>Service Unavailable</h1>")
        for _ in range(60):
            endings = await call(workers, account, 5)
            assert endings.errors == {"transient": 20}
            await pass_time(workers, 10)
        assert 8 <= provider.counts().requests <= 20
        assert (await ground.record(account)).facts.refused_at is None
        provider.answer = SENSIBLE
        await pass_time(workers, 75)
        before = provider.counts()
        assert (await call(workers, account, 5)).ok == 20
        assert (provider.counts() - before).requests == 1


@pytest.mark.parametrize("days", [1, -1])
async def test_a_clock_that_is_off_by_a_day_costs_a_refresh_and_no_more(staff: Crew, ground: Ground, days: int) -> None:
    with acme() as provider:
        workers = await staff.at(ground, provider, 2)
        await workers[0].tell(do="clock", seconds=days * 86400)
        account = await ground.plant(provider)
        for _ in range(3):
            assert (await call(workers, account, 5)).ok == 10
        assert provider.counts().refreshed <= 2
        # An hour passes for everybody, and with it the token's life.
        provider.sandbox.advance(3600)
        for worker, days_off in zip(workers, (days, 0), strict=True):
            await worker.tell(do="clock", seconds=days_off * 86400 + 3600)
        for _ in range(3):
            assert (await call(workers, account, 5)).ok == 10
        counts = provider.counts()
        assert counts.refreshed <= 5
        assert (counts.reused, counts.killed) == (0, 0)


async def test_the_write_of_a_holder_that_slept_past_its_lease_is_refused(staff: Crew, ground: Ground) -> None:
    """It wakes up while the next holder is still asking, so no newer pair is in the store yet."""
    with grace() as provider:
        sleeper, other = await staff.at(ground, provider, 2)
        account = await ground.plant(provider)
        sleeper.say(do="stop", account=account, at="received")
        await sleeper.until_stopped()
        await pass_time([other], 60)
        provider.slow(1.0)
        other.say(do="calls", account=account, tasks=5)
        async with asyncio.timeout(30):
            while provider.counts().requests < 2:  # noqa: ASYNC110  # another process asks
                await asyncio.sleep(0.005)
        sleeper.resume()
        assert (await other.hear())["ok"] == 5
        woken = await sleeper.hear()
        assert woken["passed"].index("fenced") < woken["passed"].index("writing") + 2
        assert "committed" not in woken["passed"]
        assert woken["ok"] == 1
        now = await ground.record(account)
        assert (now.facts.refreshed, now.fence) == (1, 2)


async def test_a_holder_that_slept_before_it_asked_does_not_ask_any_more(staff: Crew, ground: Ground) -> None:
    """Its request would be the second use of the token, and would end the grant of everybody."""
    with acme() as provider:
        sleeper, *others = await staff.at(ground, provider, 3)
        account = await ground.plant(provider)
        sleeper.say(do="stop", account=account, at="asking")
        await sleeper.until_stopped()
        await pass_time(others, 60)
        assert (await call(others, account, 5)).ok == 10
        sleeper.resume()
        woken = await sleeper.hear()
        assert "received" not in woken["passed"]
        assert provider.counts() == Counts(1, 1, 0, 0)
        assert (await call([sleeper, *others], account, 5)).ok == 15


@pytest.mark.slow
async def test_two_hundred_races_are_all_won(staff: Crew, ground: Ground) -> None:
    with acme() as provider:
        done = await races(staff, ground, provider, rounds=200, longest=3)
    print(*tell_races(done), sep="\n")
    assert all(each.won(400) for each in done)


@pytest.mark.slow
@pytest.mark.parametrize("with_grace", [False, True], ids=["class C", "class D"])
async def test_three_hundred_kills_lose_nothing(staff: Crew, ground: Ground, with_grace: bool) -> None:
    with grace() if with_grace else acme() as provider:
        done = await kills(staff, ground, provider, runs=300, with_grace=with_grace)
    print(*tell_kills(done), sep="\n")
    assert [kill for kill in done if kill.error] == []


@pytest.fixture
def certified() -> Iterator[OidcProvider]:
    found = find_oidc()
    if found is None:
        pytest.skip("oidc-provider is not installed; scripts/attack-refresh says how")
    with oidc(*found) as provider:
        yield provider


@pytest.mark.testbed
async def test_a_certified_server_sees_one_refresh_per_race(
    staff: Crew, ground: Ground, certified: OidcProvider
) -> None:
    done = await races(staff, ground, certified, rounds=4, longest=0.5)
    assert all(each.won(400) for each in done), done


@pytest.mark.testbed
async def test_kills_lose_nothing_at_a_certified_server(staff: Crew, ground: Ground, certified: OidcProvider) -> None:
    done = await kills(staff, ground, certified, runs=12, with_grace=False)
    assert [kill for kill in done if kill.error] == []


@pytest.mark.testbed
async def test_a_holder_that_slept_before_it_asked_keeps_the_grant_of_a_certified_server_alive(
    staff: Crew, ground: Ground, certified: OidcProvider
) -> None:
    sleeper, *others = await staff.at(ground, certified, 3)
    account = await ground.plant(certified)
    sleeper.say(do="stop", account=account, at="asking")
    await sleeper.until_stopped()
    await pass_time(others, 60)
    assert (await call(others, account, 5)).ok == 10
    sleeper.resume()
    await sleeper.hear()
    assert certified.counts() == Counts(1, 1, 0, 0)
