"""What a model is shown by its host: headless Claude Code and Codex against a stand-in for the API of their model."""

import asyncio
import contextlib
import json
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from testbeds import subject
from testbeds.consent import AppServer
from testbeds.model import Model, claude_model, codex_model
from testbeds.packages import CLAUDE, CODEX, PINNED
from testbeds.processes import plain_environment, run
from testbeds.report import Report, expect
from testbeds.subject import CLEW, Subject, set_up

_SECONDS = 120.0
BULKY = '''
from clew import Api, Connector

bulky = Connector("bulky", base_url="https://bulky.example")


@bulky.read
async def pile(api: Api) -> list[dict[str, str]]:
    """List a thousand things."""
    return [{"name": f"thing number {number}", "says": "x" * 60} for number in range(1000)]
'''
Ask = Callable[[str, str, Mapping[str, Any]], Awaitable[Model]]


async def check(report: Report, folder: Path) -> None:
    """Success, error, too much, no approval, and the tools of the first turn."""
    for package in ("@anthropic-ai/claude-code", "@openai/codex"):
        report.versions[package] = PINNED[package]
    async with contextlib.AsyncExitStack() as stack:
        url, token = await stack.enter_async_context(subject.acme(folder))
        installed = await set_up(folder / "clew", {"acme": url}, {"acme": token})
        (folder / "bulky.py").write_text(BULKY, encoding="utf-8")
        hosts = Hosts(installed, folder, {"acme": "acme", "bulky": str(folder / "bulky.py")})
        await hosts.warm()
        for host, ask in (("claude -p, stdio", hosts.claude), ("codex exec, stdio", hosts.codex)):
            seen = partial(report.check, "hosts", host)
            await seen("the tools are there in the first turn", partial(first_turn, ask))
            await seen("a success", partial(success, ask))
            await seen("an error", partial(error, ask))
            await seen("a result that is too long", partial(too_long, ask))
            await seen("a destructive call that nobody approves", partial(unapproved, ask))


async def first_turn(ask: Ask) -> str:
    """The first request that offers the model tools offers ours: a server that is still booting would be missing."""
    model = await ask("acme", "search_contacts", {"text": "books"})
    first = next((each for each in model.offered if each), set[str]())
    ours = sorted(name for name in first if name.startswith("mcp__acme__"))
    expect("mcp__acme__search_contacts" in ours, f"of acme: {ours}; in all {len(first)} tools")
    return f"all {len(ours)}, in the first request"


async def success(ask: Ask) -> str:
    """The items, whichever half the host shows."""
    shown = _last(await ask("acme", "search_contacts", {"text": "books"}))
    expect("con_0" in shown and "@" in shown and '"items"' in shown, shown)
    return "the items, as data"


async def error(ask: Ask) -> str:
    """The code and what to do next."""
    shown = _last(await ask("acme", "get_contact", {"contact_id": "con_999999"}))
    expect("not_found" in shown and "next" in shown and "reference" in shown, shown)
    expect("Traceback" not in shown, shown)
    return "code, next step and reference"


async def too_long(ask: Ask) -> str:
    """What fits, whole, and the way to the rest: no host has to cut it."""
    shown = _last(await ask("bulky", "pile", {}))
    expect("clew://results/" in shown and "thing number 0" in shown, shown)
    expect(len(shown) < 12_000, f"{len(shown)} characters")
    return f"{len(shown)} characters, and the resource that holds the rest"


async def unapproved(ask: Ask) -> str:
    """That nothing was done, and how a person can approve it."""
    shown = _last(await ask("acme", "delete_contact", {"contact_id": "con_000007"}))
    if "requires approval" in shown:  # Codex without anybody to ask does not even send what is marked destructive
        return "the host refuses it by itself, for its hint"
    expect(any(code in shown for code in ("approval_required", "denied")), shown)
    expect('"done":true' not in shown.replace(" ", ""), shown)
    return "approval_required, nothing done" if "approval_required" in shown else "denied, nothing done"


def _last(model: Model) -> str:
    expect(model.shown, f"the host showed the model no result; it offered {model.offered[-1:]}")
    return model.shown[-1]


class Hosts:
    """Both hosts, with the same servers in their own files."""

    def __init__(self, installed: Subject, folder: Path, servers: Mapping[str, str]) -> None:
        self._servers = servers
        self._home = folder / "user"
        self._home.mkdir()
        found = installed.environment.items()
        self._ours = {name: value for name, value in found if name.startswith("CLEW_") and name != "CLEW_ALLOW_WRITES"}

    async def warm(self) -> None:
        """Start each server once as its hosts do, which `clew install --check` does too: it then knows what to answer
        at once. Codex ends a session within two seconds, so it is its own health check that is waited for."""
        await self._health_of_codex()
        for what in self._servers.values():
            environment = plain_environment(self._home, **self._ours)
            started = StdioServerParameters(command=CLEW, args=["serve", what], env=environment, cwd=self._home)
            async with Client(stdio_client(started), mode="auto") as client:
                await client.list_tools()

    async def _health_of_codex(self) -> None:
        self._configure_codex("http://127.0.0.1:1")
        process = await asyncio.create_subprocess_exec(
            *CODEX, "app-server", env=self._for_codex, cwd=self._home, limit=2**24, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            server = AppServer(process)
            await server.ask("initialize", {"clientInfo": {"name": "bed", "title": "Bed", "version": "1"}})
            await server.send({"method": "initialized"})
            await server.ask("mcpServerStatus/list", {})
        finally:
            assert process.stdin is not None
            process.stdin.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), 10)
            if process.returncode is None:
                process.kill()

    async def claude(self, server: str, tool: str, arguments: Mapping[str, Any]) -> Model:
        """`claude -p`."""
        entries = {
            name: {"type": "stdio", "command": CLEW, "args": ["serve", what], "env": self._ours}
            for name, what in self._servers.items()
        }
        (self._home / "mcp.json").write_text(json.dumps({"mcpServers": entries}), encoding="utf-8")
        with claude_model(f"mcp__{server}__{tool}", arguments) as model:
            environment = plain_environment(
                self._home, CLAUDE_CONFIG_DIR=str(self._home / "claude"), CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
                DISABLE_AUTOUPDATER="1", ANTHROPIC_BASE_URL=model.url, ANTHROPIC_API_KEY="stand-in",
                ENABLE_TOOL_SEARCH="false",
            )  # fmt: skip
            words = ["-p", "Do it.", "--mcp-config", str(self._home / "mcp.json"), "--strict-mcp-config"]
            words += ["--allowedTools", f"mcp__{server}__{tool}"]
            done = await run([str(CLAUDE), *words], environment=environment, folder=self._home, seconds=_SECONDS)
            expect(model.offered, done.output + done.error)
            return model

    async def codex(self, server: str, tool: str, arguments: Mapping[str, Any]) -> Model:
        """`codex exec`."""
        with codex_model(server, tool, arguments) as model:
            self._configure_codex(model.url)
            words = ["exec", "--skip-git-repo-check", "--json", "Do it."]
            done = await run([*CODEX, *words], environment=self._for_codex, folder=self._home, seconds=_SECONDS)
            expect(model.offered, done.output + done.error)
            return model

    @property
    def _for_codex(self) -> dict[str, str]:
        return plain_environment(self._home, CODEX_HOME=str(self._home / "codex"))

    def _configure_codex(self, model: str) -> None:
        lines = [
            'model = "stand-in"', 'model_provider = "bed"', 'approval_policy = "never"', "[model_providers.bed]",
            'name = "bed"', f'base_url = "{model}/v1"', 'wire_api = "responses"',
        ]  # fmt: skip
        for name, what in self._servers.items():
            lines += [f"[mcp_servers.{name}]", f"command = {json.dumps(CLEW)}"]
            lines += [f"args = {json.dumps(['serve', what])}", "startup_timeout_sec = 60"]
            lines += [f"[mcp_servers.{name}.env]", *(f"{key} = {json.dumps(it)}" for key, it in self._ours.items())]
        (self._home / "codex").mkdir(exist_ok=True)
        (self._home / "codex" / "config.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
