"""The approval story with real hosts: headless Claude Code, which cancels every question, Codex's app server, which
passes them on, and MCP Inspector, which cannot ask at all. What a person says elsewhere is said on a terminal."""

import asyncio
import contextlib
import json
import os
import pty
import subprocess
from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from testbeds import subject
from testbeds.inspector import Eye
from testbeds.model import claude_model
from testbeds.packages import CLAUDE, CODEX, PINNED
from testbeds.processes import plain_environment, run
from testbeds.report import Failed, Report, expect, same
from testbeds.subject import CLEW, Subject, set_up

ALAN = {"contact_id": "con_000003"}
_SECONDS = 120.0


async def check(report: Report, folder: Path) -> None:
    """A destructive call from each host: nobody answers, a person answers elsewhere, in the host, or says no."""
    for package in ("@anthropic-ai/claude-code", "@openai/codex", "@modelcontextprotocol/inspector"):
        report.versions[package] = PINNED[package]
    async with contextlib.AsyncExitStack() as stack:
        url, token = await stack.enter_async_context(subject.acme(folder))
        story = Story(await set_up(folder / "clew", {"acme": url}, {"acme": token}), url, token, folder)
        claude = partial(report.check, "consent", "claude -p, stdio")
        await claude("cancels the question; nobody answers elsewhere", story.claude_alone)
        await claude("cancels the question; a person approves on the terminal", story.claude_and_a_person)
        codex = partial(report.check, "consent", "codex app-server, stdio")
        for action in ("decline", "cancel", "accept"):
            await codex(f"its person answers: {action}", partial(story.codex, action))
        inspector = partial(report.check, "consent", "inspector, stdio")
        await inspector("cannot ask; a person approves, and the same call runs", story.inspector)


class Story:
    """One Acme, one clew, and whoever calls."""

    def __init__(self, installed: Subject, url: str, token: str, folder: Path) -> None:
        self.installed, self.url, self.token, self.folder = installed, url, token, folder

    async def exists(self) -> bool:
        """Is the contact that should be deleted still there?"""
        async with httpx.AsyncClient(base_url=self.url, headers={"authorization": f"Bearer {self.token}"}) as client:
            return (await client.get("/api/contacts/con_000003")).status_code == 200

    async def claude_alone(self) -> str:
        """The model is told what the call waits for, and nothing was done."""
        shown = await self._claude()
        expect("code: approval_required" in shown and "clew approvals show" in shown, shown)
        same(True, await self.exists())
        return "approval_required, nothing done"

    async def claude_and_a_person(self) -> str:
        """The waiting call goes on by itself once a person has agreed on the terminal."""
        (waiting,) = await self._waiting()
        calling = asyncio.create_task(self._claude())
        same(0, await asyncio.to_thread(self._approve, waiting["id"], "Alan"))
        shown = await calling
        same('{"done":true}', shown)
        same(False, await self.exists())
        return "deleted after a yes on the terminal"

    async def _claude(self) -> str:
        """What the model is shown as the tool's result."""
        home = self.folder / "user"
        home.mkdir(exist_ok=True)
        ours = {name: value for name, value in self.installed.environment.items() if name.startswith("CLEW_")}
        server = {"type": "stdio", "command": CLEW, "args": ["serve", "acme"], "env": ours}
        (home / "mcp.json").write_text(json.dumps({"mcpServers": {"acme": server}}), encoding="utf-8")
        with claude_model("mcp__acme__delete_contact", ALAN) as model:
            environment = plain_environment(
                home, CLAUDE_CONFIG_DIR=str(home / "claude"), CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
                DISABLE_AUTOUPDATER="1", ANTHROPIC_BASE_URL=model.url, ANTHROPIC_API_KEY="stand-in",
                ENABLE_TOOL_SEARCH="false",
            )  # fmt: skip
            words = ["-p", "Delete Alan.", "--mcp-config", str(home / "mcp.json"), "--strict-mcp-config"]
            words += ["--allowedTools", "mcp__acme__delete_contact"]
            done = await run([str(CLAUDE), *words], environment=environment, folder=home, seconds=_SECONDS)
            expect(model.shown, done.output + done.error)
            return model.shown[-1]

    async def _clew(self, *words: str) -> Any:
        done = await run([CLEW, *words, "--json"], environment=self.installed.environment, folder=self.installed.home)
        return json.loads(done.output)

    async def _waiting(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self._clew("approvals", "list")
        return found

    def _approve(self, id: str, name: str) -> int:
        """`clew approvals approve` as somebody at a terminal does it."""
        master, slave = pty.openpty()
        process = subprocess.Popen(
            [CLEW, "approvals", "approve", id], env=self.installed.environment, cwd=self.installed.home,
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        seen = b""
        with contextlib.suppress(OSError):
            while b"[y/N]" not in seen:
                seen += os.read(master, 4096)
            expect(name.encode() in seen, seen.decode(errors="replace"))
            os.write(master, b"y\n")
            while os.read(master, 4096):
                pass
        os.close(master)
        return process.wait(30)

    async def codex(self, action: str) -> str:
        """Its person sees our question, and only a yes lets the call through."""
        async with self._app_server() as server:
            thread = (await server.ask("thread/start", {"cwd": str(self.folder)}))["thread"]["id"]
            call = {
                "threadId": thread,
                "server": "acme",
                "tool": "delete_contact",
                "arguments": {"contact_id": "con_000004"},
            }
            result = await server.ask("mcpServer/tool/call", call, answer=action)
        expect("id: con_000004" in server.asked, server.asked or result)
        structured: dict[str, Any] = result.get("structuredContent") or {}
        error: dict[str, str] = structured.get("error") or {}
        code = error.get("code", "ok")
        same({"accept": "ok", "decline": "denied", "cancel": "approval_required"}[action], code)
        return f"the question was shown, {code}"

    @contextlib.asynccontextmanager
    async def _app_server(self) -> AsyncGenerator["AppServer"]:
        home = self.folder / "codex"
        home.mkdir(exist_ok=True)
        ours = {name: value for name, value in self.installed.environment.items() if name.startswith("CLEW_")}
        lines = [
            "[mcp_servers.acme]",
            f"command = {json.dumps(CLEW)}",
            'args = ["serve", "acme"]',
            "startup_timeout_sec = 60",
        ]
        lines += ["[mcp_servers.acme.env]", *(f"{name} = {json.dumps(value)}" for name, value in ours.items())]
        (home / "config.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
        process = await asyncio.create_subprocess_exec(
            *CODEX, "app-server", env=plain_environment(home, CODEX_HOME=str(home)), cwd=home, limit=2**24,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            server = AppServer(process)
            await server.ask("initialize", {"clientInfo": {"name": "bed", "title": "Bed", "version": "1"}})
            await server.send({"method": "initialized"})
            yield server
        finally:
            assert process.stdin is not None
            process.stdin.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), 10)
            if process.returncode is None:
                process.kill()

    async def inspector(self) -> str:
        """The refusal names what waits; once a person has agreed, the same call runs."""
        where = [f"{name}={value}" for name, value in self.installed.environment.items() if name.startswith("CLEW_")]
        target = [*(word for each in where for word in ("-e", each)), "--", CLEW, "serve", "acme"]
        eye = Eye(self.installed, "acme", "legacy", target)
        words = ["--method", "tools/call", "--tool-name", "delete_contact", "--tool-arg", "contact_id=con_000005"]
        _, refused, _ = await eye.look(*words)
        same("approval_required", refused["structuredContent"]["error"]["code"])
        (waiting,) = [each for each in await self._waiting() if each["arguments"] == {"contact_id": "con_000005"}]
        same(0, await asyncio.to_thread(self._approve, waiting["id"], "Barbara"))
        code, done, said = await eye.look(*words)
        expect(code == 0 and not done.get("isError"), f"exit code {code}: {said}")
        return "refused, approved, done"


class AppServer:
    """JSON-RPC with `codex app-server`; a question to its person is answered as `ask` is told."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._number = 0
        self.asked = ""

    async def send(self, message: dict[str, Any]) -> None:
        """Write one line."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        await self._process.stdin.drain()

    async def ask(self, method: str, params: dict[str, Any], *, answer: str = "cancel") -> dict[str, Any]:
        """One request to its end. Raises `Failed`."""
        self._number += 1
        await self.send({"id": self._number, "method": method, "params": params})
        assert self._process.stdout is not None
        async with asyncio.timeout(_SECONDS):
            async for line in self._process.stdout:
                message = json.loads(line)
                if message.get("method") == "mcpServer/elicitation/request":
                    self.asked = json.dumps(message["params"], ensure_ascii=False)
                    content = {"approve": True} if answer == "accept" else None
                    await self.send({"id": message["id"], "result": {"action": answer, "content": content}})
                elif message.get("id") == self._number and "method" not in message:
                    if "error" in message:
                        raise Failed(json.dumps(message["error"]))
                    found: dict[str, Any] = message["result"]
                    return found
        raise Failed(f"codex ended during {method}")
