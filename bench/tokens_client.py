"""A plain MCP client over stdio for servers of any make, each in an empty home of its own."""

import asyncio
import contextlib
import importlib
import json
import os
import signal
import tempfile
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PLACE = Path(__file__).resolve().parent.parent / ".cache" / "bench" / "tokens"
NODE = str(PLACE / "node_modules/node/bin/node")
APP = (
    '{"installed":{"client_id":"none","client_secret":"none","redirect_uris":["http://localhost:3000/oauth2callback"]}}'
)
"""A Google app, as its servers want it in a file."""


def node(name: str, *more: str) -> list[str]:
    """The command of a server from npm."""
    return [NODE, str(PLACE / "node_modules/.bin" / name), *more]


def counter() -> Callable[[str], int]:
    """Counts tokens in the o200k encoding. Raises `ImportError` without rs-bpe, which only this bench needs."""
    encoding: Any = importlib.import_module("rs_bpe.bpe").openai.o200k_base()
    count: Callable[[str], int] = encoding.count
    return count


@dataclass(slots=True)
class Session:
    """An initialized connection to a server."""

    process: asyncio.subprocess.Process
    number: int = 0

    async def ask(self, method: str, params: Mapping[str, Any]) -> Any:
        """The result of a request; questions of the server to a person are answered with yes. Raises `EOFError`,
        `LookupError`."""
        self.number += 1
        self.send({"id": self.number, "method": method, "params": params})
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            with contextlib.suppress(ValueError):  # some print greetings there
                message = json.loads(line)
                if message.get("method") == "elicitation/create":
                    yes = {"action": "accept", "content": {"approve": True}}
                    self.send({"id": message["id"], "result": yes})
                elif message.get("id") == self.number:
                    if "error" in message:
                        raise LookupError(f"{method}: {message['error']}")
                    return message["result"]
        raise EOFError("the server ended")

    def send(self, message: Mapping[str, Any]) -> None:
        """Write one message."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")


@contextlib.asynccontextmanager
async def started(
    program: Sequence[str],
    environment: Mapping[str, str],
    files: Mapping[str, str],
    seconds: float = 300,
) -> AsyncGenerator[Session]:
    """A server in an empty home that holds `files`; `{home}` in the environment is that folder. Raises `OSError`,
    `TimeoutError`, `EOFError`."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        for name, text in files.items():
            (Path(home) / name).write_text(text)
        given = {name: value.replace("{home}", home) for name, value in environment.items()}
        process = await asyncio.create_subprocess_exec(
            *program,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, "HOME": home, **given},
            cwd=home,
            start_new_session=True,
            limit=50_000_000,
        )
        try:
            async with asyncio.timeout(seconds):
                session = Session(process)
                able: dict[str, Any] = {"elicitation": {}}
                client = {"name": "bench", "version": "1"}
                hello = {"protocolVersion": "2025-06-18", "capabilities": able, "clientInfo": client}
                await session.ask("initialize", hello)
                session.send({"method": "notifications/initialized"})
                yield session
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
