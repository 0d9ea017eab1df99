"""What results cost a model: the same upstream answers through a peer's server and through `clew serve`.

The upstream is emulate on loopback, or one of token_sites/, seeded anew for each side. Counted is the text that a tool
result holds. A peer has fixed hosts: tokens_preload.cjs sends what it asks of them to loopback, tokens_python/ does so
for one from PyPI. TOKENS_SHOW=1 prints what was counted.
"""

import asyncio
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from bench.token_sites import hubspot, jira, linear, microsoft, notion, shopify
from bench.tokens_client import NODE, PLACE, Session, counter, started
from bench.tokens_pairs import ADA, TOKEN, Calls, Known, Pair
from bench.tokens_pairs import PAIRS as EMULATED
from bench.tokens_upstream import before, serving
from clew.auth.facts import Facts
from clew.core.connection import Connection
from clew.core.secret import Secret
from clew.servers.settings import Settings
from clew.servers.store import open_store

PAIRS = (*EMULATED, hubspot.PAIR, jira.PAIR, linear.PAIR, microsoft.PAIR, notion.PAIR, shopify.PAIR)
CLEW = str(Path(sys.executable).parent / "clew")
PRELOAD = Path(__file__).with_name("tokens_preload.cjs")
PRELOADED = Path(__file__).with_name("tokens_python")


def _free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def upstream(pair: Pair) -> AsyncGenerator[tuple[str, Known]]:
    """A provider on loopback with the pair's seed; its address, and what the tasks need to know of it."""
    if pair.site is not None:
        site, known = pair.site()
        with serving(site) as url:
            yield url, known
        return
    async with _emulated(pair) as (url, known), contextlib.AsyncExitStack() as stack:
        whole = not (pair.beside or pair.complete)
        yield url if whole else stack.enter_context(serving(before(url, pair.beside, pair.complete))), known


@contextlib.asynccontextmanager
async def _emulated(pair: Pair) -> AsyncGenerator[tuple[str, Known]]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        port = _free()
        url = f"http://127.0.0.1:{port}"
        seed = Path(folder) / "seed.json"
        seed.write_text(json.dumps(pair.seed))
        command = [NODE, str(PLACE / "node_modules/emulate/dist/index.js"), "start", "--service", pair.service]
        command += ["--port", str(port), "--base-url", url, "--seed", str(seed)]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, cwd=folder
        )
        try:
            assert process.stdout is not None
            while line := await process.stdout.readline():
                if b"Ready" in line:
                    break
            reading = asyncio.create_task(process.stdout.read())  # else its pipe fills
            login = {"authorization": f"Bearer {TOKEN}"}
            async with httpx.AsyncClient(base_url=url, headers=login, timeout=20) as client:
                yield url, await pair.fill(client)
            reading.cancel()
        finally:
            process.kill()
            await process.wait()


async def _counts(session: Session, tasks: Sequence[tuple[str, Calls]]) -> dict[str, int | None]:
    count = counter()
    found: dict[str, int | None] = {}
    for name, calls in tasks:
        try:
            found[name] = sum([count(await _text(session, tool, given)) for tool, given in calls])
        except LookupError as error:
            print(f"{name}: {error}", file=sys.stderr)
            found[name] = None
    return found


async def _text(session: Session, tool: str, arguments: Mapping[str, Any]) -> str:
    result = await session.ask("tools/call", {"name": tool, "arguments": arguments})
    text = "".join(block["text"] for block in result["content"] if block["type"] == "text")
    if result.get("isError") or not text:
        raise LookupError(f"{tool} answered {text[:400]}")
    if os.environ.get("TOKENS_SHOW"):
        print(f"--- {tool}\n{text[:1500]}", file=sys.stderr)
    return text


async def theirs(pair: Pair) -> dict[str, int | None]:
    """Tokens of the peer's results, by task; None for a task of which a call failed."""
    async with upstream(pair) as (url, known):
        hosts = json.dumps(dict.fromkeys(pair.hosts, url))
        given = {name: value.replace("{url}", url) for name, value in pair.environment.items()}
        environment = {**given, "TOKENS_HOSTS": hosts, "PYTHONPATH": str(PRELOADED)}
        program = [*pair.program]
        if program[0] == NODE:
            program[1:1] = ["--require", str(PRELOAD)]
        async with started(program, environment, pair.files) as session:
            return await _counts(session, [(name, calls) for name, calls, _ in pair.tasks(known)])


async def ours(pair: Pair) -> dict[str, int | None]:
    """Tokens of our results, by task; None for a task of which a call failed."""
    async with upstream(pair) as (url, known):
        with tempfile.TemporaryDirectory() as home:
            settings = Path(home) / "clew.toml"
            settings.write_text(f'[connectors.{pair.connector}]\nbase_url = "{url}{pair.base}"\n')
            environment = {
                "CLEW_HOME": f"{home}/state",
                "CLEW_CONFIG": str(settings),
                "CLEW_KEY_PROVIDER": "file",
                "CLEW_ALLOW_WRITES": "1",
            }
            await _store(pair, environment, url)
            async with started([CLEW, "serve", pair.connector], environment, {}) as session:
                return await _counts(session, [(name, calls) for name, _, calls in pair.tasks(known)])


async def _store(pair: Pair, environment: Mapping[str, str], origin: str) -> None:
    if pair.scopes:  # a login with a browser would end like this
        async with open_store(Settings(home=Path(environment["CLEW_HOME"]), key_provider="file")) as store:
            facts = Facts("oauth2", scopes=tuple(pair.scopes), identity=ADA["email"], origin=origin)
            await store.vault.put(Connection("local", pair.connector, "bench"), {"access_token": Secret(TOKEN)}, facts)
        return
    done = await asyncio.to_thread(
        subprocess.run,
        [CLEW, "auth", "set", pair.connector, "--account", "bench"],
        input=TOKEN + "\n",
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LookupError(f"clew auth set: {done.stderr.strip()}")


HEAD = """| connector | against | task | theirs | ours | ratio |
| --- | --- | --- | --- | --- | --- |"""


def rows(wanted: Sequence[str]) -> list[str]:
    """The table, a line for each task, one for all five, and one for all pairs. A pair that failed is told on standard
    error."""
    lines: list[str] = []
    totals: list[tuple[str, int, int]] = []
    for pair in PAIRS:
        if wanted and pair.connector not in wanted:
            continue
        try:
            them, us = asyncio.run(theirs(pair)), asyncio.run(ours(pair))
        except (OSError, EOFError, TimeoutError, LookupError, httpx.HTTPError) as error:
            print(f"{pair.connector}: {type(error).__name__}: {error}", file=sys.stderr)
            continue
        both = [(their, our) for name in them if (their := them[name]) is not None and (our := us[name]) is not None]
        total = f"together ({len(both)})", sum(their for their, _ in both), sum(our for _, our in both)
        totals.append(total)
        for name, their, our in [*((name, them[name], us[name]) for name in them), total]:
            figures = [f"{their}", f"{our}", f"{our / their:.2f}"] if their and our else ["", "", ""]
            lines.append(f"| {' | '.join([pair.connector, pair.peer, name, *figures])} |")
            print(lines[-1], flush=True)
    if len(totals) > 1:
        them_all, us_all = sum(their for _, their, _ in totals), sum(our for _, _, our in totals)
        middle = statistics.median(our / their for _, their, our in totals)
        lines.append(f"| all ({len(totals)}) | | together | {them_all} | {us_all} | {us_all / them_all:.2f} |")
        lines.append(f"| all ({len(totals)}) | | median of the ratios | | | {middle:.2f} |")
        print("\n".join(lines[-2:]), flush=True)
    return lines
