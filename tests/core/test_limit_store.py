"""Keepers of budgets: the same answers from memory, from a file and from a server, and never none at all."""

# pyright: reportPrivateUsage=false

import asyncio
import contextlib
import os
import secrets
import socket
import sqlite3
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from clew.core.budgets import CIRCUIT, LEARNED, TRIPS, Level, Terms
from clew.core.errors import ConfigurationError
from clew.core.limit_redis import RedisStore
from clew.core.limit_sqlite import SqliteStore
from clew.core.limit_store import (
    AGAIN_SECONDS,
    Ask,
    LimitStore,
    MemoryStore,
    StoreError,
    Wish,
    parse,
    row,
    take,
)

pytestmark = pytest.mark.anyio

URL = os.environ.get("CLEW_TEST_REDIS_URL", "redis://127.0.0.1:6379/0")
WISH = Wish(60.0, 0.0, "token", 60.0)
TWO = Terms("bucket", 2, 1000.0, 2)


def redis_answers() -> bool:
    parts = urlsplit(URL)
    with contextlib.suppress(OSError), socket.create_connection((parts.hostname or "", parts.port or 6379), 1):
        return True
    return False


def running(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)


def need_redis() -> None:
    if not redis_answers():
        if os.environ.get("CLEW_CI"):
            pytest.fail("no Redis: set CLEW_TEST_REDIS_URL")
        pytest.skip("no Redis: set CLEW_TEST_REDIS_URL")


@contextlib.asynccontextmanager
async def redis_store() -> AsyncGenerator[RedisStore]:
    need_redis()
    store = RedisStore.open(URL, prefix=f"clew-test:{secrets.token_hex(4)}:")
    try:
        yield store
    finally:
        client: Any = store._client
        async for name in client.scan_iter(match=f"{store._prefix}*"):
            await client.delete(name)
        await store.close()


@pytest.fixture(params=["memory", "file", "redis"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[LimitStore]:
    if request.param == "redis":
        async with redis_store() as opened:
            yield opened
        return
    opened_here = MemoryStore() if request.param == "memory" else SqliteStore.open(tmp_path / "limits.db")
    yield opened_here
    await opened_here.close()


async def test_units_are_handed_out_and_then_moments(store: LimitStore) -> None:
    asks = [Ask("a", TWO)]
    assert [(await store.take(asks, WISH)).ok for _ in range(2)] == [True, True]
    refused = await store.take(asks, WISH)
    assert (refused.ok, refused.blocked) == (False, 0)
    assert refused.wait == pytest.approx(500, abs=2)
    later = await store.take(asks, Wish(600.0, 0.0))
    assert later.ok
    assert later.wait == pytest.approx(500, abs=2)


async def test_all_budgets_give_or_none_does(store: LimitStore) -> None:
    both = [Ask("wide", Terms("bucket", 100, 1.0, 100)), Ask("narrow", Terms("bucket", 1, 1000.0, 1))]
    assert (await store.take(both, WISH)).ok
    taken = await store.take(both, WISH)
    assert (taken.ok, taken.blocked) == (False, 1)
    _, [wide] = await store.read(["wide"])
    assert wide.total == 1


async def test_slots_are_leased_and_freed(store: LimitStore) -> None:
    asks = [Ask("slots", Terms("concurrency", 1))]
    assert (await store.take(asks, WISH)).ok
    full = await store.take(asks, Wish(60.0, 0.0, "other"))
    assert (full.ok, full.wait) == (False, AGAIN_SECONDS)
    await store.change("slots", asks[0].terms, lambda level, now: level.leases.pop("token", None) is not None)
    assert (await store.take(asks, Wish(60.0, 0.0, "other"))).ok


async def test_a_breaker_is_shared_and_probes_go_one_by_one(store: LimitStore) -> None:
    def trip(level: Level, now: float) -> bool:
        level.left = TRIPS
        return True

    await store.change("host", CIRCUIT, trip)
    asks = [Ask("host", CIRCUIT)]
    probe = await store.take(asks, WISH)
    assert probe.ok
    assert probe.marks[0][2] == TRIPS
    assert (await store.take(asks, WISH)).ok is False


async def test_background_work_books_nothing_ahead(store: LimitStore) -> None:
    slow = [Ask("a", Terms("bucket", 1, 1.0, 1))]
    assert (await store.take(slow, WISH)).ok
    assert (await store.take(slow, Wish(60.0, 0.0, background=True))).ok is False
    assert (await store.take(slow, WISH)).ok


async def test_everything_is_listed_and_unknown_is_fresh(store: LimitStore) -> None:
    await store.take([Ask("a", TWO), Ask("b", LEARNED)], WISH)
    _, found = await store.everything()
    assert {key: terms for key, (terms, _) in found.items()} == {"a": TWO, "b": LEARNED}
    _, [known, unknown] = await store.read(["a", "c"])
    assert known.total == 1
    assert unknown == Level()


async def test_an_edit_that_changes_nothing_writes_nothing(store: LimitStore) -> None:
    await store.change("a", LEARNED, lambda level, now: False)
    _, [level] = await store.read(["a"])
    assert level == Level()


times = st.sampled_from([-50.0, -5.0, -0.5, 0.5, 5.0, 50.0])
moments = st.one_of(st.just(None), times)
levels = st.fixed_dictionaries(
    dict.fromkeys(("even", "stop", "ends", "opens", "last"), moments),
    optional={"left": st.sampled_from([-3.0, 1.0, 7.0]), "pace": st.sampled_from([0.1, 2.0])},
)
kinds = st.sampled_from(["bucket", "sliding", "fixed", "learned", "circuit", "concurrency"])


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    kinds,
    st.sampled_from([(1.0, 1.0), (3.0, 10.0), (50.0, 1.0), (500.0, 3600.0)]),
    st.sampled_from([0.0, 0.5, 1.0]),
    levels,
    st.lists(st.tuples(times, st.sampled_from([1.0, 2.0])), max_size=4),
    st.sampled_from([0, 120]),
    st.sampled_from([(0.0, 0.0), (2.0, 10.0)]),
    st.sampled_from([1.0, 2.0, 0.5]),
    st.sampled_from(
        [Wish(0.0, 0.0), Wish(60.0, 0.05, "t"), Wish(4000.0, 0.1, "t", 9.0, True), Wish(60.0, 0.1, cold=0.5)]
    ),
)
async def test_the_servers_arithmetic_is_ours(
    kind: Any,
    size: tuple[float, float],
    share: float,
    facts: dict[str, Any],
    entries: list[tuple[float, float]],
    many: int,
    told: tuple[float, float],
    cost: float,
    wish: Wish,
) -> None:
    terms = Terms(kind, *size, max(size[0] * share, 1) if kind == "bucket" else float(int(size[0] * share)))
    async with redis_store() as store:
        now, _ = await store.read(["a"])
        level = Level(left=facts.get("left", 0.0), pace=facts.get("pace", 0.0), peak=told[0] * size[0], span=told[1])
        for name in ("even", "stop", "ends", "opens", "last"):
            setattr(level, name, 0.0 if facts[name] is None else now + facts[name])
        level.log = sorted(
            [[now + at, units] for at, units in entries] + [[now - 0.2 + n / 1e4, 1.0] for n in range(many)]
        )
        level.leases = {"a": now + 5, "b": now - 5} if kind == "concurrency" else {}
        await store._client.set(f"{store._prefix}a", row(terms, level))
        theirs = await store.take([Ask("a", terms, cost)], wish)
        began, (now, _) = now, await store.read(["a"])
        assume(now - began < 0.03)  # on a busy machine the two clocks are read too far apart to be compared
        ours = take([Ask("a", terms, cost)], [level], wish, now)
        assert (theirs.ok, theirs.blocked, theirs.marks) == (ours.ok, ours.blocked, ours.marks)
        assert theirs.wait == pytest.approx(ours.wait, abs=0.05)
        if ours.ok and (kind != "circuit" or level.left > 0):
            written = parse(await store._client.get(f"{store._prefix}a"), now)[1]
            for name in ("even", "stop", "left", "ends", "opens", "total", "pace", "last"):
                assert getattr(written, name) == pytest.approx(getattr(level, name), abs=0.05)
            assert sum(units for _, units in written.log) == pytest.approx(sum(units for _, units in level.log))


async def test_processes_share_a_file(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys; from pathlib import Path; from clew.core.limit_sqlite import SqliteStore\n"
        "from clew.core.limit_store import *; from clew.core.budgets import *\n"
        "async def main():\n"
        "    store = SqliteStore.open(Path(sys.argv[1]))\n"
        "    asks = [Ask('a', Terms('bucket', 100, 1e6, 100))]\n"
        "    print(sum([(await store.take(asks, Wish(0.0, 0.0))).ok for _ in range(60)]))\n"
        "asyncio.run(main())\n"
    )
    processes = [running(code, str(tmp_path / "limits.db")) for _ in range(3)]
    assert sum(int(process.communicate()[0]) for process in processes) == 100


async def test_slots_of_a_dead_process_are_free_at_once(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "limits.db")
    gone = running("")
    gone.communicate()
    asks = [Ask("slots", Terms("concurrency", 3))]
    for token in (f"{gone.pid}-x", f"{os.getpid()}-x", "not-a-process"):
        assert (await store.take(asks, Wish(1.0, 0.0, token))).ok
    assert (await store.take(asks, Wish(1.0, 0.0, "1-x"))).ok  # init belongs to somebody else and lives
    assert (await store.take(asks, Wish(1.0, 0.0, "other"))).ok is False
    await store.close()


async def test_a_damaged_file_is_made_anew_and_a_wrong_one_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "limits.db"
    path.write_bytes(b"no database at all, but long enough to be looked at" * 50)
    store = SqliteStore.open(path)
    assert (await store.take([Ask("a", TWO)], WISH)).ok
    await store.close()
    with pytest.raises(StoreError):
        await store.read(["a"])


async def test_a_locked_file_is_waited_for_and_then_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "limits.db"
    store = SqliteStore.open(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.ensure_future(store.take([Ask("a", TWO)], WISH))
    await asyncio.sleep(0)
    other.execute("COMMIT")
    assert (await waiting).ok
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr("clew.core.limit_sqlite._PATIENCE", 0.02)
    with pytest.raises(StoreError, match="locked"):
        await store.take([Ask("a", TWO)], WISH)
    other.close()
    await store.close()


async def test_a_file_that_cannot_be_opened_is_a_fault(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "limits.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError):
        SqliteStore.open(tmp_path / "limits.db")
    other.close()


async def test_budgets_nobody_used_for_hours_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def age(level: Level, now: float) -> bool:
        level.last = now - 20
        return True

    monkeypatch.setattr("clew.core.limit_store.IDLE_SECONDS", 10.0)
    store = SqliteStore.open(tmp_path / "limits.db")
    await store.change("old", Terms("bucket", 2, 1.0, 2), age)
    await store.change("new", TWO, lambda level, now: True)
    await store.take([Ask("a", TWO)], WISH)
    assert "old" not in (await store.everything())[1]
    memory = MemoryStore(clock=lambda: 100_000.0)
    memory.budgets.update({str(number): (TWO, Level(last=1.0)) for number in range(10_000)})
    await memory.take([Ask("a", TWO)], WISH)
    assert set(memory.budgets) == {"a"}
    await memory.take([Ask("a", LEARNED)], WISH)
    assert memory.budgets["a"][0] == LEARNED
    assert memory.budgets["a"][1].total == 2


async def test_a_server_that_is_not_there_is_a_fault_without_its_address() -> None:
    store = RedisStore.open("redis://:hunter2@127.0.0.1:1/0", patience_seconds=0.2)
    with pytest.raises(StoreError) as caught:
        await store.take([Ask("a", TWO)], WISH)
    assert "hunter2" not in str(caught.value)
    await store.close()


async def test_a_wrong_address_or_a_missing_package_is_said_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="redis://HOST"):
        RedisStore.open("http://x")
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(ConfigurationError, match="pip install"):
        RedisStore.open(URL)


async def test_an_edit_is_made_again_when_somebody_else_was_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    async with redis_store() as store:
        seen: list[float] = []

        async def hurried(*args: Any, **kwargs: Any) -> int:
            return 0

        def edit(level: Level, now: float) -> bool:
            seen.append(level.total)
            return True

        swap = store._swap
        store._swap = hurried
        with pytest.raises(StoreError):
            await store.change("a", TWO, edit)
        assert len(seen) > 5
        store._swap = swap
        await store.change("a", TWO, edit)
