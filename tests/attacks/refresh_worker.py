"""A process that makes calls with a stored grant, in the command of its parent: JSON lines in, JSON lines out.

python refresh_worker.py '{"address": …, "base_url": …, "scheme": {…}, "endpoint_seconds": …}'

{"do": "calls", "account": "a", "tasks": 50}       -> {"ok": 50, "errors": {}, "seconds": 0.8, "slowest": 0.7}
{"do": "clock", "seconds": 86400}                   moves this process's clock
{"do": "advance", "seconds": 5}                     moves the clock that leases and rests go by
{"do": "kill", "account": "a", "at": …}             forks a process that makes one call and is killed under way
{"do": "stop", "account": "a", "at": "received"}    makes one call and stops itself (SIGSTOP) at that point
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

import httpx

from clew.auth import exchange as exchanging
from clew.auth.authorizer import VaultAuthorizer
from clew.auth.endpoints import Revocation
from clew.auth.keeper import Pair, renewed
from clew.auth.keys import LocalKeys
from clew.auth.leases import Leases, open_leases
from clew.auth.oauth import Client, Grant, Refusal, refresh_request
from clew.auth.refresh import Refresher, Renewal
from clew.auth.schemes import AnyScheme, OAuth2, expand
from clew.auth.vault import StaleRecordError, Vault, open_vault
from clew.core.connection import Connection
from clew.core.database import Batched, Database, Row, Statement, Transaction, Value, open_database
from clew.core.errors import AuthRevokedError, CallError, TransientError

OURS = str(Path(exchanging.__file__).parent.parent.resolve())
EXCHANGING: dict[str, Any] = exchanging.__dict__
REAL_TIME = time.time
Point = Callable[[str], None]


class Shifted(Database):
    """A database whose shared clock can be moved by hand."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.seconds = 0.0

    async def now(self) -> float:
        return await self._database.now() + self.seconds

    @property
    def shared(self) -> bool:
        return self._database.shared

    def state(self) -> int | None:
        return self._database.state()

    async def migrate(self, component: str, steps: Sequence[str]) -> None:
        await self._database.migrate(component, steps)

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        return self._database.transaction()

    async def batch(self, statements: Sequence[Statement], *, durable: bool = True) -> list[Batched]:
        shifted = f"(clew_now() + {self.seconds})"
        moved = [(sql.replace("clew_now()", shifted), given) for sql, given in statements]
        return await self._database.batch(moved, durable=durable)

    async def execute(self, sql: str, *parameters: Value) -> int:
        return await self._database.execute(sql, *parameters)

    async def fetch_one(self, sql: str, *parameters: Value) -> Row | None:
        return await self._database.fetch_one(sql, *parameters)

    async def fetch_all(self, sql: str, *parameters: Value) -> list[Row]:
        return await self._database.fetch_all(sql, *parameters)

    async def close(self) -> None:
        await self._database.close()


class Caller:
    """One process's vault, refresher and HTTP client."""

    def __init__(self, setting: Mapping[str, Any], database: Shifted, vault: Vault, refresher: Refresher) -> None:
        self.setting = setting
        self.database = database
        self.vault = vault
        self.refresher = refresher
        way = setting["scheme"].get("revocation")
        settled: dict[str, Any] = {**setting["scheme"], "revocation": Revocation(**way) if way else None}
        self.scheme = OAuth2(**settled)
        self.http = httpx.AsyncClient(limits=httpx.Limits(max_connections=10), timeout=60)

    def authorizer(self, account: str) -> VaultAuthorizer:
        connection = Connection("local", "acme", account)
        base_url = self.setting["base_url"]
        return VaultAuthorizer(connection, [self.scheme], self.vault, self.refresher, base_url=base_url)

    async def call(self, authorizer: VaultAuthorizer) -> str:
        """One call as the wire makes it: at most one renewal. Returns `ok` or the code of its error."""
        try:
            for _ in range(2):
                request = self.http.build_request("GET", self.setting["base_url"] + "/api/me")
                generation = await authorizer.apply(request)
                answer = await self.http.send(request)
                if answer.status_code != 401:
                    return "ok" if answer.status_code == 200 else str(answer.status_code)
                await authorizer.renew(generation)
        except CallError as error:
            if isinstance(error, TransientError) and error.retry_after is None:
                return f"{error.code}_at_once"
            return str(error.code)
        return "refused_twice"

    async def calls(self, account: str, tasks: int) -> dict[str, Any]:
        authorizer = self.authorizer(account)
        took: list[float] = []

        async def one() -> str:
            started = time.perf_counter()
            ended = await self.call(authorizer)
            took.append(time.perf_counter() - started)
            return ended

        started = time.perf_counter()
        endings = Counter(await asyncio.gather(*(one() for _ in range(tasks))))
        ok = endings.pop("ok", 0)
        return {"ok": ok, "errors": endings, "seconds": time.perf_counter() - started, "slowest": max(took)}


class Naive(Refresher):
    """What others do, for comparison: refresh without any lock, or under one lock in the process with a second look."""

    def __init__(self, vault: Vault, leases: Leases, *, locked: bool) -> None:
        super().__init__(vault, leases)
        self.vault = vault
        self.lock = asyncio.Lock() if locked else contextlib.nullcontext()
        self.http = httpx.AsyncClient()

    async def replace(self, connection: Connection, generation: str, scheme: AnyScheme, *, base_url: str) -> Renewal:
        async with self.lock:
            record = await self.vault.get(connection)
            assert record is not None
            assert isinstance(scheme, OAuth2)
            if record.facts.generation != generation:
                return Renewal.STILL_VALID
            token = record.secret("refresh_token")
            assert token is not None
            url = expand(scheme.token_url, base_url=base_url)
            request = refresh_request(scheme, url, Client(scheme.client_id or ""), refresh_token=token)
            answer = await exchanging.exchange(self.http, scheme, request, seconds=30)
            if isinstance(answer, Refusal):
                raise AuthRevokedError("The provider refused the refresh token.")
            pair = Pair(connection, generation, answer, {})
            fields = {"access_token": answer.access_token, "refresh_token": answer.refresh_token or token}
            await self.vault.put(connection, fields, renewed(record.facts, pair))
            return Renewal.REFRESHED

    async def close(self) -> None:
        await super().close()
        await self.http.aclose()


@asynccontextmanager
async def calling(setting: Mapping[str, Any]) -> AsyncGenerator[Caller]:
    database = Shifted(await open_database(setting["address"]))
    vault = await open_vault(database, LocalKeys(Path("unused"), place="env"))
    leases = await open_leases(database)
    pattern = setting.get("pattern", "clew")
    refresher = Refresher(vault, leases, endpoint_seconds=setting["endpoint_seconds"])
    if pattern != "clew":
        refresher = Naive(vault, leases, locked=pattern != "no lock")
    caller = Caller(setting, database, vault, refresher)
    yield caller
    await refresher.close()
    await caller.http.aclose()
    await database.close()


def observe(vault: Vault, at: Point) -> Any:
    """Call `at` with the name of each point that a refresh passes; returns what stood in `exchange` before."""
    ask, amend = exchanging.exchange, vault.amend

    async def watched(*args: Any, **options: Any) -> Grant | Refusal:
        at("asking")
        answer = await ask(*args, **options)
        at("received" if isinstance(answer, Grant) else "refused")
        return answer

    async def write(*args: Any, **options: Any) -> int:
        at("writing")
        try:
            version = await amend(*args, **options)
        except StaleRecordError:
            at("fenced")
            raise
        at("committed")
        return version

    exchanging.exchange = watched
    vault.amend = write  # type: ignore[method-assign]
    return ask


class Killer:
    """Kills this process at the n-th line of Python after its start, in any thread; -1 only counts."""

    def __init__(self, line: int, *, ours: bool) -> None:
        self.line = line
        self.ours = ours
        self.on = False
        self.count = 0

    def __call__(self, frame: FrameType, event: str, arg: object) -> Any:
        if not self.on or (self.ours and not frame.f_code.co_filename.startswith(OURS)):
            return None
        if event == "line":
            self.count += 1
            if self.count == self.line:
                os.kill(os.getpid(), signal.SIGKILL)
        return self


async def be_killed(setting: Mapping[str, Any], account: str, at: Mapping[str, Any], report: int) -> None:
    """Make one call; the points it passes are written to `report` as they happen.

    `at` says when to die: at a line of Python or after so many seconds, counted from the point `since`.
    """
    killer = Killer(at.get("line", -1), ours=at.get("ours", True))

    def point(name: str) -> None:
        killer.on = False
        os.write(report, f"{name} {killer.count}\n".encode())
        if name == "committed" and "line" in at and at["line"] > 0:
            # Whatever comes after is no longer between the request and the row.
            os.kill(os.getpid(), signal.SIGKILL)
        started = killer.count > 0
        if name == at["since"] and "seconds" in at:
            threading.Thread(target=_kill_after, args=(at["seconds"],), daemon=True).start()
        elif name == at["since"]:
            started = True
            sys.settrace(killer)
        killer.on = started

    threading.settrace(killer)  # the store's thread starts with the store
    async with calling(setting) as caller:
        observe(caller.vault, point)
        os.write(report, f"ended {await caller.call(caller.authorizer(account))}\n".encode())


def _kill_after(seconds: float) -> None:
    time.sleep(seconds)
    os.kill(os.getpid(), signal.SIGKILL)


def fork_and_kill(setting: Mapping[str, Any], account: str, at: Mapping[str, Any]) -> list[str]:
    """The points that the killed process had passed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        with contextlib.suppress(BaseException):
            asyncio.run(be_killed(setting, account, at, writing))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as lines:
        passed = [line.strip() for line in lines]
    os.waitpid(child, 0)
    return passed


def stop_at(wanted: str, passed: list[str], caller: Caller) -> Point:
    def point(name: str) -> None:
        passed.append(name)
        if name == wanted and passed.count(name) == 1:
            os.kill(os.getpid(), signal.SIGSTOP)
            # It was woken up a minute later.
            EXCHANGING["time"] = SimpleNamespace(monotonic=lambda: time.monotonic() + 60)
            caller.database.seconds += 60

    return point


def move_clock(seconds: float) -> None:
    time.time = lambda: REAL_TIME() + seconds


async def stop_under_way(caller: Caller, account: str, at: str) -> dict[str, Any]:
    passed: list[str] = []
    before = observe(caller.vault, stop_at(at, passed, caller))
    try:
        return {**await caller.calls(account, 1), "passed": passed}
    finally:
        EXCHANGING.update(exchange=before, time=time)


async def serve() -> None:
    """Obey the parent until it closes the pipe."""
    async with contextlib.AsyncExitStack() as opened:
        caller: Caller | None = None
        while line := await asyncio.to_thread(sys.stdin.readline):
            order = json.loads(line)
            answer: Any = None
            match order.pop("do"):
                case "open":
                    await opened.aclose()
                    move_clock(0)
                    caller = await opened.enter_async_context(calling(order))
                case "calls":
                    answer = await caller.calls(**order)  # type: ignore[union-attr]
                case "clock":
                    move_clock(order["seconds"])
                case "advance":
                    caller.database.seconds += order["seconds"]  # type: ignore[union-attr]
                case _:
                    answer = await stop_under_way(caller, **order)  # type: ignore[arg-type]
            print(json.dumps(answer), flush=True)


def fork_on_demand() -> None:
    """A process without a loop of its own, warm, so that its forks start in no time."""
    while line := sys.stdin.readline():
        order = json.loads(line)
        print(json.dumps(fork_and_kill(order["setting"], order["account"], order["at"])), flush=True)


if __name__ == "__main__":
    print(json.dumps("ready"), flush=True)
    if sys.argv[1:] == ["forks"]:
        fork_on_demand()
    else:
        asyncio.run(serve())
