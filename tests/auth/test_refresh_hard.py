"""The hard corners of a refresh: forced beside unforced, stores that refuse, holders that come back, graces, mints."""

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping

import httpx
import pytest
import respx

from clew.auth.exchange import exchange
from clew.auth.facts import Facts
from clew.auth.keys import LocalKeys
from clew.auth.leases import Leases, lease_name
from clew.auth.oauth import Grant, Refusal, TokenRequest
from clew.auth.refresh import Refresher, Renewal
from clew.auth.schemes import AnyScheme, OAuth2
from clew.auth.vault import Record, Vault
from clew.core.connection import Connection
from clew.core.database import Database
from clew.core.errors import AuthRevokedError, InternalError, TransientError
from clew.core.secret import Secret

from .conftest import BASE_URL, SCHEME, WORK, put_grant, revealed

pytestmark = pytest.mark.anyio

ENGINES = ["sqlite", "postgres"]

NAME = lease_name("refresh", WORK)
GRACE = dataclasses.replace(SCHEME, refresh_class="D")
MINTED = dataclasses.replace(SCHEME, refresh_class="E")


def pair(number: int) -> dict[str, object]:
    return {"access_token": f"access-{number}", "refresh_token": f"refresh-{number}", "expires_in": 3600}


@pytest.fixture
def endpoint() -> Iterator[respx.Route]:
    with respx.mock(assert_all_called=False) as router:
        yield router.post("https://acme.example/token").respond(json=pair(2))


async def replace(refresher: Refresher, generation: str, scheme: AnyScheme = SCHEME) -> Renewal:
    return await refresher.replace(WORK, generation, scheme, base_url=BASE_URL)


async def record_of(vault: Vault) -> Record:
    record = await vault.get(WORK)
    assert record is not None
    return record


class SlowEndpoint:
    """Answers pair 2, 3, … one after another, each when it is told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.go = asyncio.Event()
        self.arrived = asyncio.Event()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        number = self.asked + 1
        self.arrived.set()
        await self.go.wait()
        return httpx.Response(200, json=pair(number))


async def test_a_forced_refresh_never_joins_an_unforced_one(
    vault: Vault, refresher: Refresher, endpoint: respx.Route
) -> None:
    slow = SlowEndpoint()
    endpoint.side_effect = slow
    unforced = asyncio.create_task(replace(refresher, await put_grant(vault)))
    await slow.arrived.wait()
    forced = [asyncio.create_task(refresher.force(WORK, SCHEME, base_url=BASE_URL)) for _ in range(3)]
    slow.go.set()
    assert await unforced is Renewal.REFRESHED
    assert await asyncio.gather(*forced) == [Renewal.REFRESHED] * 3
    assert slow.asked == 2, "the three forced ones had not been sent yet, so one answer is new enough for all"
    assert b"refresh-2" in endpoint.calls.last.request.content


async def test_a_forced_refresh_never_joins_a_forced_one_that_was_sent_before(
    vault: Vault, refresher: Refresher, endpoint: respx.Route
) -> None:
    slow = SlowEndpoint()
    endpoint.side_effect = slow
    await put_grant(vault)
    first = asyncio.create_task(refresher.force(WORK, SCHEME, base_url=BASE_URL))
    await slow.arrived.wait()
    second = asyncio.create_task(refresher.force(WORK, SCHEME, base_url=BASE_URL))
    slow.go.set()
    await asyncio.gather(first, second)
    assert slow.asked == 2
    assert await revealed(vault, "access_token") == "access-3"


async def test_a_forced_refresh_of_nothing_names_the_login(refresher: Refresher, endpoint: respx.Route) -> None:
    with pytest.raises(AuthRevokedError, match="No credential") as caught:
        await refresher.force(WORK, SCHEME, base_url=BASE_URL)
    assert "clew auth login acme --account work" in caught.value.next_step


async def test_a_person_may_ask_again_about_a_grant_that_was_said_to_be_dead(
    vault: Vault, refresher: Refresher, endpoint: respx.Route
) -> None:
    generation = await put_grant(vault)
    record = await record_of(vault)
    await vault.amend(record, dataclasses.replace(record.facts, refused_at=1.0, refused="invalid_grant"))
    with pytest.raises(AuthRevokedError):
        await replace(refresher, generation)
    await refresher.force(WORK, SCHEME, base_url=BASE_URL)
    assert (await record_of(vault)).facts.refused_at is None


class FullDisk(Vault):
    """A vault whose writes fail while `full`. Later ones are `taken`; their writer hears of it when it is `known`."""

    def __init__(self, database: Database, keys: LocalKeys) -> None:
        super().__init__(database, keys)
        self.full = True
        self.taken, self.known = asyncio.Event(), asyncio.Event()

    async def put(
        self,
        connection: Connection,
        fields: Mapping[str, Secret],
        facts: Facts,
        *,
        expect_version: int | None = None,
        fence: int | None = None,
    ) -> int:
        if self.full:
            raise InternalError("The disk that holds the vault is full; nothing was written.")
        version = await super().put(connection, fields, facts, expect_version=expect_version, fence=fence)
        self.taken.set()
        await self.known.wait()
        return version


@pytest.fixture
def full(database: Database, vault: Vault, keys: LocalKeys) -> FullDisk:
    return FullDisk(database, keys)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clew.auth.keeper.PATIENCE_SECONDS", 0.1)


@pytest.mark.usefixtures("impatient")
async def test_a_new_pair_that_cannot_be_stored_is_kept_and_stored_later(
    vault: Vault,
    full: FullDisk,
    leases: Leases,
    endpoint: respx.Route,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    generation = await put_grant(vault)
    refresher = Refresher(full, leases)
    for _ in range(2):
        with pytest.raises(InternalError, match="kept in memory and tried again") as caught:
            await replace(refresher, generation)
        assert "without stopping it" in caught.value.next_step
    assert "cannot be stored" in caplog.text
    assert endpoint.call_count == 1, "while the new pair waits the old one is not used again"
    assert await leases.acquire(NAME, seconds=30) is None, "nor may another process use it"
    full.full = False
    async with asyncio.timeout(10):
        await full.taken.wait()
    assert await revealed(vault, "access_token") == "access-2"
    assert await replace(refresher, generation) is Renewal.STILL_VALID, "even before it is known to be stored"
    full.known.set()
    monkeypatch.undo()  # a busy machine is patient at the end
    await refresher.close()
    assert await leases.acquire(NAME, seconds=30) is not None
    assert "access-2" not in caplog.text
    assert "refresh-2" not in caplog.text


@pytest.mark.usefixtures("impatient")
async def test_a_pair_that_is_lost_with_the_process_is_told(
    vault: Vault, full: FullDisk, leases: Leases, endpoint: respx.Route, caplog: pytest.LogCaptureFixture
) -> None:
    generation = await put_grant(vault)
    refresher = Refresher(full, leases)
    with pytest.raises(InternalError):
        await replace(refresher, generation)
    await refresher.close()
    assert "acme (work) could not be stored and is lost" in caplog.text


@pytest.mark.usefixtures("impatient")
async def test_a_pair_that_could_not_be_stored_gives_way_to_a_login(
    vault: Vault, full: FullDisk, leases: Leases, endpoint: respx.Route
) -> None:
    generation = await put_grant(vault)
    refresher = Refresher(full, leases)
    with pytest.raises(InternalError):
        await replace(refresher, generation)
    newer = Facts("oauth2")
    await vault.put(WORK, {"access_token": Secret("of-the-login")}, newer)
    full.full = False
    await refresher.close()
    assert await revealed(vault, "access_token") == "of-the-login"


async def test_facts_that_changed_during_a_refresh_stay_changed(
    vault: Vault, refresher: Refresher, endpoint: respx.Route
) -> None:
    generation = await put_grant(vault)

    async def name_meanwhile(request: httpx.Request) -> httpx.Response:
        record = await record_of(vault)
        await vault.amend(record, dataclasses.replace(record.facts, identity="ada"))
        return httpx.Response(200, json=pair(2))

    endpoint.side_effect = name_meanwhile
    assert await replace(refresher, generation) is Renewal.REFRESHED
    after = await record_of(vault)
    assert after.facts.identity == "ada"
    assert await revealed(vault, "refresh_token") == "refresh-2"


async def test_the_write_of_a_holder_whose_lease_was_taken_over_is_refused_and_comes_again_only_if_it_is_needed(
    vault: Vault, leases: Leases, database: Database, endpoint: respx.Route
) -> None:
    """The next holder is out of luck (503); the pair of the first one, which woke up late, is all there is."""
    generation = await put_grant(vault)
    sleeper, next_holder = Refresher(vault, leases), Refresher(vault, leases)
    refused: list[int] = []

    asked: list[httpx.Request] = []

    async def oversleep(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if len(asked) > 1:
            return httpx.Response(503)
        before = (await record_of(vault)).version
        await database.execute("UPDATE leases SET ends = 1")
        with contextlib.suppress(TransientError):
            await replace(next_holder, generation)
        refused.append((await record_of(vault)).version - before)
        return httpx.Response(200, json=pair(2))

    endpoint.side_effect = oversleep
    assert await replace(sleeper, generation) is Renewal.REFRESHED
    assert refused == [1], "the next holder wrote its fence before it asked"
    after = await record_of(vault)
    assert after.fence == 3, "the sleeper's own fence, 1, was refused; it took a lease of its own again"
    assert await revealed(vault, "refresh_token") == "refresh-2"
    await sleeper.close()
    await next_holder.close()


async def test_a_request_that_would_be_sent_after_its_time_is_not_sent(endpoint: respx.Route) -> None:
    request = TokenRequest("https://acme.example/token", {}, b"")
    async with httpx.AsyncClient(verify=False) as http:
        answer = await exchange(http, SCHEME, request, seconds=1, send_before=time.monotonic() - 0.001)
    assert isinstance(answer, Refusal)
    assert (answer.verdict, answer.code, answer.lost) == ("outage", "too_late", False)
    assert endpoint.call_count == 0


async def test_a_request_that_was_held_up_on_its_open_connection_is_not_sent() -> None:
    received = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.extend(await reader.read())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    request = TokenRequest(f"http://127.0.0.1:{port}/token", {}, b"secret")
    # The clock of the process is past its time as soon as the connection is open.
    moments = iter([0.0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("clew.auth.exchange.time.monotonic", lambda: next(moments, 99.0))
        async with httpx.AsyncClient(verify=False) as http:
            answer = await exchange(http, SCHEME, request, seconds=1, send_before=1.0)
    server.close()
    await server.wait_closed()
    assert isinstance(answer, Refusal)
    assert answer.code == "too_late"
    assert received == b""


def answers(by_token: Mapping[str, httpx.Response]) -> Callable[[httpx.Request], httpx.Response]:
    def respond(request: httpx.Request) -> httpx.Response:
        return next(answer for token, answer in by_token.items() if f"token={token}".encode() in request.content)

    return respond


async def test_within_its_grace_the_previous_token_is_tried_before_dead_is_believed(
    vault: Vault, refresher: Refresher, endpoint: respx.Route
) -> None:
    await replace(refresher, await put_grant(vault), GRACE)
    dead = httpx.Response(400, json={"error": "invalid_grant"})
    endpoint.side_effect = answers({"refresh-2": dead, "refresh-1": httpx.Response(200, json=pair(3))})
    await replace(refresher, (await record_of(vault)).facts.generation, GRACE)
    assert await revealed(vault, "refresh_token") == "refresh-3"


async def test_after_its_grace_the_previous_token_is_not_tried(
    vault: Vault, refresher: Refresher, endpoint: respx.Route
) -> None:
    await replace(refresher, await put_grant(vault), GRACE)
    endpoint.respond(400, json={"error": "invalid_grant"})
    short = dataclasses.replace(GRACE, grace_seconds=0.0)
    before = endpoint.call_count
    with pytest.raises(AuthRevokedError):
        await replace(refresher, (await record_of(vault)).facts.generation, short)
    assert endpoint.call_count == before + 1


async def test_a_lost_answer_in_class_d_is_asked_for_again_with_the_token_in_its_grace(
    vault: Vault, refresher: Refresher, endpoint: respx.Route
) -> None:
    sent: list[bytes] = []

    def lose_the_first(request: httpx.Request) -> httpx.Response:
        sent.append(request.content)
        if len(sent) == 1:
            raise httpx.ReadTimeout("lost")
        return httpx.Response(200, json=pair(3))

    endpoint.side_effect = lose_the_first
    await replace(refresher, await put_grant(vault), GRACE)
    assert [b"refresh-1" in body for body in sent] == [True, True]
    assert await revealed(vault, "previous_refresh_token") == "refresh-1"


class Mint:
    """A class-E minter that answers what it is told."""

    def __init__(self, *answers: Grant | Refusal) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(
        self,
        http: httpx.AsyncClient,
        record: Record,
        scheme: AnyScheme,
        *,
        base_url: str,
        seconds: float,
        send_before: float,
    ) -> Grant | Refusal:
        self.asked += 1
        assert isinstance(scheme, OAuth2)
        assert record.secret("client_secret") == Secret("s")
        return self.answers.pop(0)


async def put_mintable(vault: Vault) -> str:
    facts = Facts("oauth2", client_id="service")
    await vault.put(WORK, {"client_secret": Secret("s")}, facts)
    return facts.generation


async def test_class_e_is_minted_again_and_a_lost_answer_just_repeated(vault: Vault, leases: Leases) -> None:
    mint = Mint(Refusal("outage", "no_answer", lost=True), Grant(Secret("minted"), expires_at=time.time() + 60))
    refresher = Refresher(vault, leases, minters={"oauth2": mint})
    assert await replace(refresher, await put_mintable(vault), MINTED) is Renewal.REFRESHED
    assert mint.asked == 2
    assert await revealed(vault, "access_token") == "minted"
    assert await revealed(vault, "client_secret") == "s"
    await refresher.close()


async def test_a_refused_mint_rests_and_is_not_given_up_for_ever(
    vault: Vault, leases: Leases, database: Database
) -> None:
    mint = Mint(Refusal("dead", "invalid_grant"), Grant(Secret("minted")))
    refresher = Refresher(vault, leases, minters={"oauth2": mint})
    generation = await put_mintable(vault)
    for _ in range(2):
        with pytest.raises(AuthRevokedError):
            await replace(refresher, generation, MINTED)
    assert mint.asked == 1
    await database.execute("UPDATE rests SET ends = ends - 60")
    await replace(refresher, generation, MINTED)
    assert await revealed(vault, "access_token") == "minted"
    await refresher.close()


async def test_class_a_is_never_refreshed(vault: Vault, refresher: Refresher, endpoint: respx.Route) -> None:
    await put_grant(vault, expires_at=1.0)
    record = await record_of(vault)
    assert not refresher.renews(record, dataclasses.replace(SCHEME, refresh_class="A"))
    assert refresher.renews(record, SCHEME)
