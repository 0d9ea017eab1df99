"""Shared by all tests: the event loop, a provider on loopback that answers from a script, and stores of each engine."""

import asyncio
import json
import logging
import os
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import hypothesis
import pytest

POSTGRES = os.environ.get("CLEW_TEST_POSTGRES_URL", "postgresql://root@127.0.0.1:5432/postgres")

hypothesis.settings.register_profile("clew", deadline=None)  # a busy machine is not a slow function
hypothesis.settings.load_profile("clew")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def log_levels() -> Iterator[None]:
    """What a command that ran in this process said of its log is not said for the tests after it."""
    kept = {name: logging.getLogger(name).level for name in ("", "clew")}
    yield
    for name, level in kept.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture(scope="session")
def reply() -> Callable[..., bytes]:
    """Build one HTTP answer: `reply(200, {"id": 1}, retry_after="3")`."""

    def build(status: int = 200, body: Any = b"", kind: str = "application/json", **headers: str) -> bytes:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        lines = {"content-type": kind, "content-length": str(len(content)), **named}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"HTTP/1.1 {status} X\r\n{head}\r\n".encode("latin-1") + content

    return build


@pytest.fixture
async def serve() -> AsyncGenerator[Callable[..., Awaitable[tuple[str, list[bytes]]]]]:
    """Start providers: `url, requests = await serve(first, second, …)`; the last reply is given again and again.

    A reply is bytes, or a coroutine function of the connection's reader and writer. Requests are recorded whole.
    """
    servers: list[asyncio.Server] = []
    tasks: set[asyncio.Task[Any]] = set()

    async def start(*replies: Any) -> tuple[str, list[bytes]]:
        requests: list[bytes] = []

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while True:
                    requests.append(await _request(reader))
                    now = replies[min(len(requests), len(replies)) - 1]
                    if not isinstance(now, bytes):
                        await now(reader, writer)
                        break
                    writer.write(now)
                    await writer.drain()
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        servers.append(server)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", requests

    yield start
    for server in servers:
        server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next((line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b"0")
    return head + await reader.readexactly(int(length))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that needs `engine` on SQLite, and on every engine its module lists as `ENGINES`."""
    marked = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    if "engine" in metafunc.fixturenames and "engine" not in marked:
        module = metafunc.definition.getparent(pytest.Module)
        metafunc.parametrize("engine", getattr(module and module.obj, "ENGINES", ["sqlite"]))


@pytest.fixture
def address(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """Where a store of its own for this test is, or will be: a file, or a new database of the PostgreSQL server."""
    if engine == "postgres":
        return str(request.getfixturevalue("postgres_address"))
    return str(tmp_path / "home" / "clew.db")


@pytest.fixture(scope="session")
def postgres_database() -> Iterator[str]:
    """A new PostgreSQL database, dropped at the end whoever still uses it."""
    try:
        import psycopg

        admin = psycopg.connect(POSTGRES, autocommit=True, connect_timeout=3)
    except Exception as error:
        if os.environ.get("CLEW_CI"):
            raise
        pytest.skip(f"no PostgreSQL at CLEW_TEST_POSTGRES_URL or 127.0.0.1:5432: {type(error).__name__}")
    name = f"clew_test_{secrets.token_hex(6)}"
    with admin:
        admin.execute(f'CREATE DATABASE "{name}"'.encode())
    head, _, query = POSTGRES.partition("?")
    yield f"{head.rpartition('/')[0]}/{name}?{query}"
    with psycopg.connect(POSTGRES, autocommit=True) as admin:
        admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())


@pytest.fixture
def postgres_address(postgres_database: str) -> str:
    """An empty schema in that database, which takes a tenth of the time of a new database."""
    import psycopg

    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(postgres_database, autocommit=True) as admin:
        admin.execute(f"CREATE SCHEMA {name}".encode())
    joint = "" if postgres_database.endswith("?") else "&"
    return f"{postgres_database}{joint}options=-csearch_path%3D{name}"
