"""Can the host use what its file says? Its own check without a model where it has one, and always one of ours.

Ours starts each entry exactly as the host would, with the few variables that hosts pass on, and lists the tools.
"""

import asyncio
import contextlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from clew.core.fields import as_list, as_object
from clew.core.values import dataclass
from clew.servers.hosts.catalog import Host
from clew.servers.hosts.entries import address_of, command_of

SECONDS = 60.0
"""How long a host's own check, or a start of ours, may take."""
_PASSED_ON = (
    "HOME",
    "LOGNAME",
    "PATH",
    "SHELL",
    "TERM",
    "USER",
    "LANG",
    "TMPDIR",
    "APPDATA",
    "SYSTEMROOT",
    "USERPROFILE",
)
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True, slots=True)
class Seen:
    """What a check found of one server. `seconds` is from its start to its list of tools."""

    server: str
    ok: bool
    said: str
    era: str = ""
    tools: int | None = None
    seconds: float | None = None
    by: str = "clew"


async def start(name: str, entry: Mapping[str, Any]) -> Seen:
    """Start one entry as the host would, and ask it for its tools."""
    if address := address_of(entry):
        return await _ask(name, address)
    from mcp import StdioServerParameters
    from mcp.client.stdio import stdio_client

    words, env = command_of(entry)
    inherited = {key: os.environ[key] for key in _PASSED_ON if key in os.environ}
    server = StdioServerParameters(command=words[0], args=words[1:], env={**inherited, **env})
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        seen = await _ask(name, stdio_client(server, errlog=log))
        log.seek(0)
        last = next((line.strip() for line in reversed(log.read().splitlines()) if line.strip()), "")
    return seen if seen.ok or not last else replace(seen, said=f"{seen.said}. It said: {last[:200]}")


async def _ask(name: str, server: Any) -> Seen:
    from mcp import Client

    begun = time.perf_counter()
    try:
        async with asyncio.timeout(SECONDS), Client(server) as client:
            tools = len((await client.list_tools()).tools)
            took = time.perf_counter() - begun
            return Seen(name, True, "it answers", str(client.protocol_version), tools, took)
    except TimeoutError:
        return Seen(name, False, f"no answer within {SECONDS:.0f} s")
    except OSError as error:
        return Seen(name, False, f"it cannot be started: {error.strerror or type(error).__name__}")
    except Exception as error:
        return Seen(name, False, f"it did not answer as an MCP server ({type(error).__name__})")


async def by_host(host: Host, names: list[str]) -> list[Seen] | None:
    """What the host's own check says of these servers; None when it has none, or is not installed."""
    check = _CHECKS.get(host.name)
    program = check and shutil.which(host.programs[0])
    if not check or not program:
        return None
    try:
        async with asyncio.timeout(SECONDS):
            return [each for each in await check(program) if each.server in names]
    except (TimeoutError, OSError, ValueError) as error:
        return [
            Seen(name, False, f"{host.title} gave no verdict ({type(error).__name__})", by=host.title) for name in names
        ]


async def _claude(program: str) -> list[Seen]:
    said = await _output(program, "mcp", "list")
    found = re.findall(r"^([\w.-]+): .* - (.+)$", said, re.MULTILINE)
    return [Seen(name, "Connected" in word, _word(word), by="claude mcp list") for name, word in found]


async def _gemini(program: str) -> list[Seen]:
    said = await _output(program, "mcp", "list")
    found = re.findall(r"^\W*([\w.-]+): .* - (\w[\w ]*)$", said, re.MULTILINE)
    return [Seen(name, word == "Connected", _word(word), by="gemini mcp list") for name, word in found]


async def _opencode(program: str) -> list[Seen]:
    said = await _output(program, "mcp", "list")
    found = re.findall(r"[✓✗○]\s+([\w.-]+)\s+(connected|failed|disabled|needs[ \w]*)", said)
    return [Seen(name, word == "connected", _word(word), by="opencode mcp list") for name, word in found]


async def _codex(program: str) -> list[Seen]:
    """`codex mcp list` does not connect; its app server does."""
    process = await asyncio.create_subprocess_exec(
        program,
        "app-server",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=16 << 20,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        about = {"clientInfo": {"name": "clew", "title": "clew", "version": "0"}}
        messages: list[dict[str, Any]] = [
            {"id": 0, "method": "initialize", "params": about},
            {"method": "initialized"},
            {"id": 1, "method": "mcpServerStatus/list", "params": {}},
        ]
        for message in messages:
            process.stdin.write(json.dumps(message).encode() + b"\n")
        await process.stdin.drain()
        while line := await process.stdout.readline():
            answer = as_object(json.loads(line)) or {}
            if answer.get("id") == 1:
                listed = as_list((as_object(answer.get("result")) or {}).get("data")) or []
                return [_of_codex(each) for each in map(as_object, listed) if each]
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
    return []


def _of_codex(status: dict[str, Any]) -> Seen:
    tools = as_object(status.get("tools")) or {}
    failed = status.get("toolsError")
    return Seen(
        str(status.get("name", "")),
        not failed and len(tools) > 0,
        "it cannot use it" if failed else "connected",
        tools=len(tools),
        by="codex app-server",
    )


async def _output(program: str, *words: str) -> str:
    process = await asyncio.create_subprocess_exec(
        program,
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await process.communicate()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    return _COLOURS.sub("", said.decode(errors="replace"))


def _word(said: str) -> str:
    return re.sub(r"[^\w ,.():'-]", "", said).strip()[:80].lower()


_CHECKS: Mapping[str, Callable[[str], Awaitable[list[Seen]]]] = {
    "claude-code": _claude,
    "gemini": _gemini,
    "opencode": _opencode,
    "codex": _codex,
}
