"""Durable deliveries a second: `python bench/receiver.py [sqlite|postgres] [processes] [deliveries]`.

Receivers in processes of their own on one port (as `clew webhooks serve --share-port`), each with its worker; the
sender, in another process, keeps 64 deliveries in flight. A delivery counts when it was answered with 2xx, that is,
verified and flushed to disk. PostgreSQL: a database at CLEW_TEST_POSTGRES_URL, made for the run and dropped.
"""

import asyncio
import multiprocessing
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.attacks.delivering import Fleet, Sender, percentile, prepare  # noqa: E402

POSTGRES = os.environ.get("CLEW_TEST_POSTGRES_URL", "postgresql://root@127.0.0.1:5432/postgres")
CONNECTIONS, ROUNDS = 64, 3


def send(port: int, secret: str, first: int, count: int) -> tuple[float, list[float]]:
    """Send so many deliveries; the seconds of all, and of each."""
    sender = Sender(port, secret)
    started = time.monotonic()
    asyncio.run(sender.send(range(first, first + count), connections=CONNECTIONS))
    return time.monotonic() - started, sender.seconds


@contextmanager
def database(kind: str, home: Path) -> Iterator[str]:
    """Where the store is."""
    if kind == "sqlite":
        yield str(home / "clew.db")
        return
    import psycopg

    name = f"clew_bench_{secrets.token_hex(4)}"
    with psycopg.connect(POSTGRES, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"'.encode())
    head, _, query = POSTGRES.partition("?")
    try:
        yield f"{head.rpartition('/')[0]}/{name}{'?' if query else ''}{query}"
    finally:
        with psycopg.connect(POSTGRES, autocommit=True) as admin:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def main(kind: str = "sqlite", processes: str = "2", deliveries: str = "4000") -> None:
    count = int(deliveries)
    with tempfile.TemporaryDirectory() as folder, database(kind, Path(folder)) as address:
        secret = asyncio.run(prepare(Path(folder), address))
        with Fleet(Path(folder), address, int(processes)) as fleet, multiprocessing.Pool(1) as pool:
            pool.apply(send, (fleet.port, secret, 0, 200))
            for number in range(ROUNDS):
                taken, seconds = pool.apply(send, (fleet.port, secret, (number + 1) * 1_000_000, count))
                print(
                    f"{kind}, {processes} processes: {count / taken:6.0f} deliveries/s, "
                    f"p50 {percentile(seconds, 0.5) * 1e3:5.1f} ms, p99 {percentile(seconds, 0.99) * 1e3:6.1f} ms"
                )


if __name__ == "__main__":
    main(*sys.argv[1:])
