"""What the journal costs: `python -m bench.writes [--calls N] [--seconds S]`.

1. One write over loopback HTTP with the journal and without it, in turn, call by call, so that a busy machine burdens
   both: the difference of the medians is the journal's price. On SQLite, and on PostgreSQL with its round trips
   counted by a proxy between.
2. Writes per second that four processes sustain on one SQLite journal: each is claimed, durable, and finished.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from clew.auth.keys import LocalKeys
from clew.auth.records import RecordSealer
from clew.auth.sealing import DataKeys
from clew.auth.vault import open_vault
from clew.core.api import Api
from clew.core.call import Call, Walk
from clew.core.connection import Connection
from clew.core.connector import Connector
from clew.core.database import open_database
from clew.core.deadline import Deadline
from clew.core.journal import Ending, Journal, State, Wanted, open_journal
from clew.core.wire import Wire

POSTGRES = os.environ.get("CLEW_TEST_POSTGRES_URL", "postgresql://root@127.0.0.1:5432/postgres")
WORK = Connection("local", "bench", "work")
bench = Connector("bench", "http://127.0.0.1:9")


@bench.write
async def add(api: Api, text: str) -> dict[str, Any]:
    """Add something."""
    result: dict[str, Any] = await api.post("/things", json={"text": text})
    return result


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A provider that says yes at once."""
    body = b'{"id": 1}'
    head = f"HTTP/1.1 201 X\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    try:
        while line := await reader.readuntil(b"\r\n\r\n"):
            length = next(int(each[15:]) for each in line.lower().split(b"\r\n") if each.startswith(b"content-length:"))
            await reader.readexactly(length)
            writer.write(head + body)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


class Counting:
    """A TCP proxy that counts how often the talk changes direction: round trips."""

    def __init__(self, host: str, port: int) -> None:
        self.target = host, port
        self.trips = 0
        self._last = ""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_connection(*self.target)

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, way: str) -> None:
            while data := await source.read(65536):
                self.trips += way == "up" and self._last != "up"
                self._last = way
                sink.write(data)
            sink.close()

        with contextlib.suppress(asyncio.CancelledError):  # at the end of the measurement
            await asyncio.gather(pump(reader, ours, "up"), pump(theirs, writer, "down"), return_exceptions=True)


async def open_bench_journal(address: str, folder: Path) -> tuple[Any, Journal]:
    """A journal with sealed rows, as a server has it."""
    database = await open_database(address)
    keys = LocalKeys(folder / "master.key", place="file", environ={}, warn=lambda text: None)
    await open_vault(database, keys)
    return database, await open_journal(database, RecordSealer(DataKeys(database, keys)))


async def measure(address: str, folder: Path, calls: int, proxy: Counting | None) -> dict[str, float]:
    """Milliseconds of a call, with and without, and round trips per call."""
    database, journal = await open_bench_journal(address, folder)
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    walks = {"plain": Walk(sink=lambda record: None), "journal": Walk(sink=lambda record: None, journal=journal)}
    times: dict[str, list[float]] = {name: [] for name in walks}
    trips: list[int] = []
    async with httpx.AsyncClient(trust_env=False) as client:
        wire = Wire(bench, WORK, None, client, base_url=url)
        for number in range(calls + 20):
            for name, walk in walks.items():
                made = Call(bench.tools["add"], {"text": f"{number}"}, WORK, wire, Deadline.after(10))
                before = proxy.trips if proxy else 0
                start = time.perf_counter()
                await walk(made)
                if number >= 20:
                    times[name].append((time.perf_counter() - start) * 1000)
                    if name == "journal":
                        trips.append((proxy.trips if proxy else 0) - before)
    server.close()
    await database.close()
    plain, journaled = (statistics.median(times[name]) for name in ("plain", "journal"))
    return {"plain": plain, "journal": journaled, "price": journaled - plain, "trips": statistics.median(trips)}


def sustain(job: tuple[str, str, float, int]) -> int:
    """One process that writes for so many seconds; how many writes it made."""
    address, folder, seconds, number = job

    async def run() -> int:
        database, journal = await open_bench_journal(address, Path(folder))
        end, made = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            wanted = Wanted(WORK, "add", {"text": f"{number} {made}"}, None, 600.0)
            row, _ = await journal.claim(wanted, state=State.SENT)
            await journal.finish(row, Ending(state=State.APPLIED, answer={"result": {"id": made}}))
            made += 1
        await database.close()
        return made

    return asyncio.run(run())


async def fsync_time(folder: Path) -> float:
    """Milliseconds that this disk takes to make one page durable."""
    times: list[float] = []
    with (folder / "probe").open("wb") as file:
        for _ in range(50):
            file.write(b"x" * 4096)
            file.flush()
            start = time.perf_counter()
            os.fsync(file.fileno())
            times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


async def on_postgres(folder: Path, calls: int) -> None:
    """The same over PostgreSQL, in a schema of its own."""
    import psycopg
    from psycopg import conninfo

    at = conninfo.conninfo_to_dict(POSTGRES)
    proxy = Counting(str(at.get("host", "127.0.0.1")), int(at.get("port", 5432)))
    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    name = f"bench_{os.getpid()}"
    with psycopg.connect(POSTGRES, autocommit=True) as admin:
        admin.execute(f"CREATE SCHEMA {name}".encode())
        try:
            user, base = at.get("user", "root"), at.get("dbname", "postgres")
            address = f"postgresql://{user}@127.0.0.1:{port}/{base}?options=-csearch_path%3D{name}"
            show("PostgreSQL", await measure(address, folder, calls, proxy))
        finally:
            admin.execute(f"DROP SCHEMA {name} CASCADE".encode())
    server.close()


def show(engine: str, found: dict[str, float]) -> None:
    """One line."""
    trips = f", {found['trips']:.0f} round trips" if found["trips"] else ""
    print(
        f"{engine}: {found['plain']:.2f} ms without, {found['journal']:.2f} ms with the journal: "
        f"+{found['price']:.2f} ms p50{trips}",
        flush=True,
    )


def main() -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=5.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        print(f"this disk: {asyncio.run(fsync_time(folder)):.2f} ms per fsync", flush=True)
        show("SQLite", asyncio.run(measure(str(folder / "one.db"), folder, arguments.calls, None)))
        asyncio.run(on_postgres(folder, arguments.calls))
        jobs = [(str(folder / "four.db"), text, arguments.seconds, number) for number in range(4)]
        sustain((str(folder / "four.db"), text, 0.1, 9))
        with multiprocessing.get_context("spawn").Pool(4) as pool:
            made = pool.map(sustain, jobs)
        print(f"SQLite, 4 processes: {sum(made) / arguments.seconds:.0f} writes/s, per process {made}")


if __name__ == "__main__":
    main()
