"""Processes of other people's software: each in a group of its own, and stopped by it whatever happens."""

import asyncio
import contextlib
import os
import signal
import socket
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from re import Match, Pattern

from testbeds.report import Failed

_GRACE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Served:
    """A server that is up: what was found in its output, and the lines it wrote since."""

    found: Match[str]
    lines: list[str]


@dataclass(frozen=True, slots=True)
class Done:
    """A process that has ended."""

    code: int
    output: str
    error: str


def plain_environment(home: Path, **more: str) -> dict[str, str]:
    """An environment with nothing of this machine in it but the search path."""
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), "LANG": "C.UTF-8", "NO_COLOR": "1", **more}


def free_port() -> int:
    """A port on 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path | None = None,
    given: str = "",
    seconds: float = 60.0,
) -> Done:
    """Run a command to its end, with `given` on its standard input. Raises `Failed` when it takes longer."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=environment,
        cwd=folder,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(seconds):
            output, error = await process.communicate(given.encode())
    except TimeoutError:
        raise Failed(f"{_name(command)} did not end within {seconds:g} s") from None
    finally:
        await _stop(process)
    assert process.returncode is not None
    return Done(process.returncode, output.decode(errors="replace"), error.decode(errors="replace"))


@contextlib.asynccontextmanager
async def serving(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    ready: Pattern[str],
    folder: Path | None = None,
    seconds: float = 60.0,
) -> AsyncGenerator[Served]:
    """Run a server; yields when a line of its output matches `ready`. Raises `Failed` when that never comes."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=environment,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
        limit=2**20,
    )
    drain: asyncio.Task[None] | None = None
    try:
        found = await _until_ready(process, command, ready, seconds)
        served = Served(found, [])
        drain = asyncio.create_task(_drain(process, served.lines))
        yield served
    finally:
        await _stop(process)
        if drain is not None:
            drain.cancel()
            await asyncio.wait({drain})


async def _until_ready(
    process: asyncio.subprocess.Process, command: Sequence[str], ready: Pattern[str], seconds: float
) -> Match[str]:
    assert process.stdout is not None
    last: deque[str] = deque(maxlen=5)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            async for line in process.stdout:
                last.append(line.decode(errors="replace").strip())
                if found := ready.search(last[-1]):
                    return found
    raise Failed(f"{_name(command)} did not start: {' / '.join(last) or 'it said nothing'}")


async def _drain(process: asyncio.subprocess.Process, lines: list[str]) -> None:
    """Read on, else the server stops when the pipe is full; the last lines are kept."""
    assert process.stdout is not None
    async for line in process.stdout:
        lines.append(line.decode(errors="replace").rstrip())
        del lines[:-200]


async def _stop(process: asyncio.subprocess.Process) -> None:
    """End the process and what it started: politely, then not."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _GRACE_SECONDS)
            if number is signal.SIGTERM and not _group_lives(process.pid):
                return


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _name(command: Sequence[str]) -> str:
    return " ".join(Path(word).name for word in command[:2])
