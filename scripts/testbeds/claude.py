"""Claude Code: `claude mcp add` and the health check of `claude mcp list`, with an empty home and no account."""

import contextlib
import re
from functools import partial
from pathlib import Path

from testbeds import emulate, subject
from testbeds.packages import CLAUDE, PINNED
from testbeds.processes import plain_environment, run
from testbeds.report import Report, expect, same
from testbeds.subject import CLEW, Subject, set_up


async def check(report: Report, folder: Path) -> None:
    """Both servers over both transports, and one that cannot work."""
    report.versions["@anthropic-ai/claude-code"] = PINNED["@anthropic-ai/claude-code"]
    async with contextlib.AsyncExitStack() as stack:
        base = await stack.enter_async_context(emulate.github(folder / "emulate", ("listed",)))
        url, token = await stack.enter_async_context(subject.acme(folder))
        installed = await set_up(folder / "clew", {"github": base, "acme": url}, {"github": "bed-token", "acme": token})
        user = User(folder / "user")
        for name in ("acme", "github"):
            served = await stack.enter_async_context(installed.http(name))
            title = f"claude mcp add, {name}"
            await report.check("claude", "stdio", title, partial(user.add_stdio, installed, name))
            await report.check("claude", "http", title, partial(user.add_http, name, served.found[0]))
        await user.add("broken", "--", "/bin/false")
        await report.check("claude", "stdio", "a server that cannot work", user.lists_broken)
        for name in ("acme", "github"):
            for transport in ("stdio", "http"):
                await report.check(
                    "claude", transport, f"claude mcp list, {name}", partial(user.lists, name, transport)
                )


class User:
    """Somebody with a fresh machine and no account."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.mkdir()
        self.said: dict[str, str] = {}

    async def claude(self, *words: str) -> tuple[int, str]:
        """Exit code and everything that was said."""
        environment = plain_environment(
            self.home,
            CLAUDE_CONFIG_DIR=str(self.home / "claude"),
            CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
            DISABLE_AUTOUPDATER="1",
        )
        done = await run([str(CLAUDE), "mcp", *words], environment=environment, folder=self.home)
        return done.code, done.output + done.error

    async def add(self, *words: str) -> None:
        """`claude mcp add --scope user …`."""
        code, said = await self.claude("add", "--scope", "user", *words)
        same((0, True), (code, "Added" in said))

    async def add_stdio(self, installed: Subject, name: str) -> str:
        """As an operator writes it down: the command and, because this is no real home, where its state is."""
        settings = [f"{key}={value}" for key, value in installed.environment.items() if key.startswith("CLEW_")]
        pairs = [word for setting in settings for word in ("-e", setting)]
        await self.add(f"{name}-stdio", *pairs, "--", CLEW, "serve", name)
        return "added"

    async def add_http(self, name: str, url: str) -> str:
        """By address."""
        await self.add("--transport", "http", f"{name}-http", url)
        return "added"

    async def lists_broken(self) -> str:
        """Ask for the health of all, and find the broken one broken: so the others' word can be trusted."""
        code, said = await self.claude("list")
        same(0, code)
        self.said = dict(re.findall(r"^([a-z-]+): .* - (.+)$", said, re.MULTILINE))
        expect("Failed to connect" in self.said.get("broken", ""), said)
        return self.said["broken"]

    async def lists(self, name: str, transport: str) -> str:
        """What that list said of one server."""
        said = self.said.get(f"{name}-{transport}", "nothing")
        expect(said.endswith("Connected"), said)
        return said
