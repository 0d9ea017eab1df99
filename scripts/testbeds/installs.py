"""`clew install HOST --check` with an empty home: every host that can be installed here, by its own check."""

import contextlib
import json
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from clew.servers.hosts.catalog import HOSTS
from testbeds import subject
from testbeds.packages import MODULES, NODE, PINNED
from testbeds.processes import plain_environment, run
from testbeds.report import Report, expect, same
from testbeds.subject import CLEW, Subject, set_up

OWN_CHECK = {
    "claude-code": "@anthropic-ai/claude-code",
    "codex": "@openai/codex",
    "gemini": "@google/gemini-cli",
    "opencode": "opencode-ai",
}
"""Hosts that say without a model whether a server works, and the package that each comes from."""
_SERVERS = ("acme", "github")
_SECONDS = 300.0


async def check(report: Report, folder: Path) -> None:
    """Hosts with a check of their own, then the files of those that have none, or are not to be had here."""
    report.versions |= {package: PINNED[package] for package in OWN_CHECK.values()}
    async with contextlib.AsyncExitStack() as stack:
        url, token = await stack.enter_async_context(subject.acme(folder))
        installed = await set_up(folder / "clew", {"acme": url}, {"acme": token, "github": "bed-token"})
        for name in OWN_CHECK:
            await report.check(
                "install", "its own check", HOSTS[name].title, partial(Home(installed, folder).run, name)
            )
        for name, host in HOSTS.items():
            if name not in OWN_CHECK and not host.manual:
                work = partial(Home(installed, folder).run, name)
                await report.check("install", "as it would start it", host.title, work)


class Home:
    """Somebody with a fresh machine, who has clew and one host."""

    def __init__(self, installed: Subject, folder: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=folder))
        ours = {name: text for name, text in installed.environment.items() if name.startswith("CLEW_")}
        path = f"{MODULES / '.bin'}:{NODE.parent}:/usr/bin:/bin"
        self.environment = plain_environment(self.folder, DISABLE_AUTOUPDATER="1", **ours) | {"PATH": path}

    async def clew(self, *words: str) -> tuple[int, list[dict[str, Any]]]:
        """Exit code, and what it says of each host."""
        command = [CLEW, *words, "--json"]
        done = await run(command, environment=self.environment, folder=self.folder, seconds=_SECONDS)
        expect(done.output, done.error)
        return done.code, json.loads(done.output)

    async def run(self, name: str) -> str:
        """Put two connectors in, have them checked, take them out, and be told that nothing is left."""
        if name == "gemini":  # it starts servers only in folders that somebody has said it may trust
            trusted = self.folder / ".gemini" / "trustedFolders.json"
            trusted.parent.mkdir()
            trusted.write_text(json.dumps({str(self.folder): "TRUST_FOLDER"}), encoding="utf-8")
        code, (row,) = await self.clew("install", name, *_SERVERS, "--check")
        expect(code == 0, row)
        said = {server: [each for each in row["checks"] if each["server"] == server] for server in _SERVERS}
        tools: list[str] = []
        for server, checks in said.items():
            expect(checks and all(each["ok"] for each in checks), row)
            expect((name in OWN_CHECK) == any(each["by"] != "clew" for each in checks), row)
            tools += [f"{server} with {each['tools']} tools" for each in checks if each["by"] == "clew"]
        same(0, (await self.clew("uninstall", name, "--all"))[0])
        same(1, (await self.clew("install", name, "--check"))[0])
        by = next((each["by"] for checks in said.values() for each in checks if each["by"] != "clew"), "")
        return f"{', '.join(tools)}{f'; {by} finds both' if by else ''}; taken out again"
