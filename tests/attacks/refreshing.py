"""The attacks on refreshes: crews of real processes against one store and one authorization server."""

import asyncio
import base64
import contextlib
import json
import os
import random
import signal
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from clew.auth.facts import Facts
from clew.auth.keys import LocalKeys
from clew.auth.vault import Record, Vault, open_vault
from clew.core.connection import Connection
from clew.core.database import Database, open_database
from clew.core.secret import Secret

from .providers import Counts, Provider

KEY = base64.b64encode(b"a" * 32).decode()
WORKER = Path(__file__).with_name("refresh_worker.py")


@dataclass(slots=True)
class Ground:
    """The store under attack."""

    address: str
    database: Database
    vault: Vault
    grants: int = 0

    async def plant(self, provider: Provider, *, expires_in: float = -1.0) -> str:
        """Store a new grant whose access token ends in so many seconds; returns the account's name."""
        access, refresh = provider.grant()
        self.grants += 1
        account = f"a{self.grants}"
        facts = Facts(
            "oauth2",
            client_id=provider.scheme["client_id"],
            obtained_at=0.0,
            expires_at=time.time() + expires_in,
            renewable=True,
        )
        fields = {"access_token": Secret(access), "refresh_token": Secret(refresh)}
        await self.vault.put(Connection("local", "acme", account), fields, facts)
        return account

    async def record(self, account: str) -> Record:
        """What is stored now."""
        record = await self.vault.get(Connection("local", "acme", account))
        assert record is not None
        return record


@asynccontextmanager
async def on_ground(address: str) -> AsyncGenerator[Ground]:
    """Open the store of this address, a file or a server."""
    database = await open_database(address)
    keys = LocalKeys(Path("unused"), place="env", environ={"CLEW_MASTER_KEY": KEY})
    try:
        yield Ground(address, database, await open_vault(database, keys))
    finally:
        await database.close()


class Worker:
    """One process of a crew, obeying one order at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.waiting = 0

    @classmethod
    async def start(cls, *arguments: str) -> "Worker":
        """Start a process; it is ready when it has said so."""
        environment = {**os.environ, "CLEW_MASTER_KEY": KEY, "PYTHONPATH": os.pathsep.join(sys.path)}
        pipe = asyncio.subprocess.PIPE
        worker = cls(
            await asyncio.create_subprocess_exec(
                sys.executable, str(WORKER), *arguments, stdin=pipe, stdout=pipe, env=environment
            )
        )
        worker.waiting = 1
        return worker

    async def tell(self, **order: Any) -> Any:
        """Give an order and wait for the answer."""
        self.say(**order)
        return await self.hear()

    def say(self, **order: Any) -> None:
        """Give an order."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        self.waiting += 1

    async def hear(self) -> Any:
        """Wait for an answer."""
        assert self.process.stdout is not None
        answer = json.loads(await asyncio.wait_for(self.process.stdout.readline(), 120))
        self.waiting -= 1
        return answer

    async def until_stopped(self) -> None:
        """Wait until the process has stopped itself."""
        async with asyncio.timeout(30):
            while _state(self.process.pid) != "T":  # noqa: ASYNC110  # nobody tells us
                await asyncio.sleep(0.002)

    def resume(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    async def end(self) -> None:
        """Kill it."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


def _state(process_id: int) -> str:
    return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]


class Crew:
    """Processes that serve one attack after another: to start one takes longer than most attacks."""

    def __init__(self) -> None:
        self._workers: list[Worker] = []
        self.forker: Worker

    async def start(self, size: int) -> None:
        """Start `size` workers and the one that forks."""
        self._workers = [await Worker.start() for _ in range(size)]
        self.forker = await Worker.start("forks")
        for worker in (*self._workers, self.forker):
            assert await worker.hear() == "ready"

    async def end(self) -> None:
        """Kill them all."""
        for worker in (*self._workers, self.forker):
            await worker.end()

    async def at(
        self, ground: Ground, provider: Provider, size: int, *, endpoint_seconds: float = 10.0, pattern: str = "clew"
    ) -> list[Worker]:
        """So many workers with this store open; one that an attack before has left in the middle is replaced.

        Other patterns than ours are for comparison.
        """
        for index, worker in enumerate(self._workers[:size]):
            if worker.waiting:
                await worker.end()
                self._workers[index] = await Worker.start()
                await self._workers[index].hear()
        chosen = self._workers[:size]
        setting = {**settings(ground, provider, endpoint_seconds), "pattern": pattern}
        await asyncio.gather(*(worker.tell(do="open", **setting) for worker in chosen))
        return chosen


def settings(ground: Ground, provider: Provider, endpoint_seconds: float) -> dict[str, Any]:
    """What a worker must know."""
    return {
        "address": ground.address,
        "base_url": provider.url,
        "scheme": provider.scheme,
        "endpoint_seconds": endpoint_seconds,
    }


@asynccontextmanager
async def crew(size: int) -> AsyncGenerator[Crew]:
    """A crew that ends with the block."""
    made = Crew()
    try:
        await made.start(size)
        yield made
    finally:
        await made.end()


async def call(workers: list[Worker], account: str, tasks: int) -> "Endings":
    """All workers make `tasks` calls each, at the same time."""
    answers = await asyncio.gather(*(worker.tell(do="calls", account=account, tasks=tasks) for worker in workers))
    endings = Endings()
    for answer in answers:
        endings.ok += answer["ok"]
        endings.errors.update(answer["errors"])
        endings.slowest = max(endings.slowest, answer["slowest"])
    return endings


async def pass_time(workers: list[Worker], seconds: float) -> None:
    """Move the clock that leases and rests go by, so that nobody has to wait for them."""
    await asyncio.gather(*(worker.tell(do="advance", seconds=seconds) for worker in workers))


@dataclass(slots=True)
class Endings:
    """How calls ended: successes, errors by code, the longest in seconds."""

    ok: int = 0
    errors: Counter[str] = field(default_factory=Counter[str])
    slowest: float = 0.0


@dataclass(frozen=True, slots=True)
class Race:
    """One round of attack 1."""

    ok: int
    errors: Mapping[str, int]
    counts: Counts
    delay: float
    slowest: float

    def won(self, calls: int) -> bool:
        """Exactly one refresh, no second use, no dead family, every call a success."""
        return self.ok == calls and self.counts == Counts(1, 1, 0, 0)


async def race(
    ground: Ground, provider: Provider, workers: list[Worker], *, tasks: int, longest: float, by_provider: bool
) -> Race:
    """All meet one expired token; the token endpoint takes up to `longest` seconds, before or after its work.

    `by_provider`: the token looks good to us and is refused.
    """
    account = await ground.plant(provider, expires_in=3600 if by_provider else -1)
    if by_provider:
        provider.expire()
    delay = random.uniform(0, longest)
    provider.slow(delay, after=random.random() < 0.5)
    before = provider.counts()
    endings = await call(workers, account, tasks)
    return Race(endings.ok, dict(endings.errors), provider.counts() - before, delay, endings.slowest)


@dataclass(frozen=True, slots=True)
class Kill:
    """One run of attack 2. `passed` are the points the victim reached, `stored` says that its pair was in the store."""

    passed: tuple[str, ...]
    carried_out: bool
    stored: bool
    endings: Endings
    after: Endings
    requests: int
    killed: int
    error: str = ""

    @property
    def where(self) -> str:
        """The last point that the victim had passed."""
        return next((name for name in ("committed", "writing", "received", "asking") if name in self.passed), "before")

    @property
    def ending(self) -> str:
        """Where the victim died and what became of the grant, for the table."""
        return f"{self.where:9}  {'carried out' if self.carried_out else 'not sent   '}  {self.fate}"

    @property
    def fate(self) -> str:
        """What the survivors met."""
        if self.endings.errors:
            return "auth_revoked" if set(self.endings.errors) == {"auth_revoked"} else f"?? {dict(self.endings.errors)}"
        return "recovered" if not self.stored else "stored, used by all"


async def kill_refresher(
    ground: Ground,
    provider: Provider,
    forker: Worker,
    survivors: list[Worker],
    *,
    at: Mapping[str, Any],
    tasks: int,
) -> Kill:
    """One process is killed in the middle of a refresh; the others then want the token, twice."""
    setting = settings(ground, provider, 10.0)
    account = await ground.plant(provider)
    generation = (await ground.record(account)).facts.generation
    before = provider.counts()
    passed = await forker.tell(do="kill", setting=setting, account=account, at=at)
    stored = (await ground.record(account)).facts.generation != generation
    await dealt_with(provider, before)
    carried_out = (provider.counts() - before).refreshed > 0
    await pass_time(survivors, 60)
    endings = await call(survivors, account, tasks)
    between = provider.counts()
    after = await call(survivors, account, tasks)
    counts = provider.counts()
    return Kill(
        tuple(line.split()[0] for line in passed),
        carried_out,
        stored,
        endings,
        after,
        (counts - before).requests,
        (counts - before).killed,
        "" if counts == between else f"asked again: {counts - between}",
    )


async def dealt_with(provider: Provider, before: Counts) -> None:
    """Wait until the provider is done with what a dead process sent.

    In life nobody asks again before the lease has ended, half a minute later; here that time is skipped.
    """
    with contextlib.suppress(urllib.error.HTTPError):  # whatever the answer: what came earlier has been read by then
        await asyncio.to_thread(urllib.request.urlopen, f"{provider.url}/api/me", timeout=10)
    give_up_at = time.monotonic() + 1
    while (seen := provider.counts() - before).requests > seen.refreshed and time.monotonic() < give_up_at:  # noqa: ASYNC110
        await asyncio.sleep(0.002)


def judge_kill(kill: Kill, *, calls: int, grace: bool) -> str:
    """What is wrong with a run; empty when nothing is."""
    if kill.error:
        return kill.error
    if "ended" in kill.passed:
        return "" if kill.endings.ok == kill.after.ok == calls else "it was not even killed"
    if {"received", "committed"} <= set(kill.passed) and not kill.stored:
        return "a pair that was stored is gone"
    if kill.requests > 3:
        return f"{kill.requests} requests to the token endpoint"
    if kill.stored or not kill.carried_out or grace:
        fine = kill.endings.ok == kill.after.ok == calls and kill.killed == 0
        return "" if fine else f"not recovered: {kill.endings.errors} {kill.after.errors}, {kill.killed} killed"
    honest = {"auth_revoked"} == set(kill.endings.errors) == set(kill.after.errors) and kill.endings.ok == 0
    return "" if honest else f"not honest: {kill.endings} {kill.after}"


def random_point(number: int) -> dict[str, Any]:
    """When to kill: at a line of ours or at any line of Python after the request is begun or its answer is there, or
    so much later. The numbers are a little more than what a refresh takes."""
    since = ("asking", "received")[number % 2]
    match number // 2 % 3:
        case 0:
            return {"since": since, "line": random.randint(1, LINES[since, True]), "ours": True}
        case 1:
            return {"since": since, "line": random.randint(1, LINES[since, False]), "ours": False}
        case _:
            return {"since": since, "seconds": random.uniform(0, 0.04 if since == "asking" else 0.008)}


LINES = {("asking", True): 360, ("asking", False): 68_000, ("received", True): 170, ("received", False): 1_970}
"""How many lines of ours, and of all Python, run from there until the row is committed (counted on CPython 3.11)."""


async def races(staff: Crew, ground: Ground, provider: Provider, *, rounds: int, longest: float) -> list[Race]:
    """Attack 1 again and again: 8 processes with 50 tasks each."""
    workers = await staff.at(ground, provider, 8)
    return [
        await race(ground, provider, workers, tasks=50, longest=longest, by_provider=number % 2 == 1)
        for number in range(rounds)
    ]


async def kills(staff: Crew, ground: Ground, provider: Provider, *, runs: int, with_grace: bool) -> list[Kill]:
    """Attack 2 again and again, at a random point each time."""
    survivors = await staff.at(ground, provider, 2)
    done: list[Kill] = []
    for number in range(runs):
        provider.slow(random.uniform(0, 0.02), after=random.random() < 0.7)
        kill = await kill_refresher(
            ground,
            provider,
            staff.forker,
            survivors,
            at=random_point(number),
            tasks=3,
        )
        done.append(replace(kill, error=judge_kill(kill, calls=6, grace=with_grace)))
    return done


def tell_races(done: list[Race]) -> list[str]:
    """The table of attack 1."""
    won = sum(each.won(400) for each in done)
    refreshes = Counter(each.counts.refreshed for each in done)
    slowest = max(each.slowest - each.delay for each in done)
    return [
        f"rounds {len(done)}, won {won}, calls ok {sum(each.ok for each in done)} of {400 * len(done)}",
        f"refreshes per round {dict(refreshes)}, second uses {sum(each.counts.reused for each in done)}, "
        f"families killed {sum(each.counts.killed for each in done)}",
        f"the slowest of 400 calls took {slowest:.2f} s more than the token endpoint",
        *(f"LOST: {each}" for each in done if not each.won(400)),
    ]


def tell_kills(done: list[Kill]) -> list[str]:
    """The table of attack 2: how far the victim was, whether its request was carried out, what the survivors met."""
    table = Counter(kill.ending for kill in done)
    wrong = [kill for kill in done if kill.error]
    return [
        f"runs {len(done)}, wrong {len(wrong)}, most requests to the token endpoint in a run "
        f"{max(kill.requests for kill in done)}",
        *(f"  {number:4}  {ending}" for ending, number in sorted(table.items())),
        *(f"WRONG: {kill}" for kill in wrong),
    ]
