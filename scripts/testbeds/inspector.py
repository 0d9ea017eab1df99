"""MCP Inspector's command line: the reference client of the protocol's makers, in both eras, and its schema lint."""

import contextlib
import json
from pathlib import Path
from typing import Any

from testbeds import emulate, subject
from testbeds.packages import PINNED, script
from testbeds.processes import run
from testbeds.report import Report, expect, same
from testbeds.subject import CLEW, ERAS, Subject, set_up

IS_ERROR = 5
"""The Inspector's exit code for a result that says it is an error."""
REPO = {"owner": emulate.OWNER, "repo": "inspected"}
READS: dict[str, tuple[str, dict[str, str]]] = {
    "acme": ("search_contacts", {"text": "books"}),
    "github": ("list_issues", REPO),
}
MISSES: dict[str, tuple[str, dict[str, str]]] = {
    "acme": ("get_contact", {"contact_id": "con_999999"}),
    "github": ("get_issue", {**REPO, "number": "99999"}),
}
DESTROYS: dict[str, tuple[str, dict[str, str]]] = {
    "acme": ("delete_contact", {"contact_id": "con_000001"}),
    "github": ("delete_comment", {**REPO, "comment_id": "1"}),
}


async def check(report: Report, folder: Path) -> None:
    """List with `--strict`, read, and fail, on both connectors over both transports in both eras."""
    report.versions["@modelcontextprotocol/inspector"] = PINNED["@modelcontextprotocol/inspector"]
    async with contextlib.AsyncExitStack() as stack:
        base = await stack.enter_async_context(emulate.github(folder / "emulate", (REPO["repo"],)))
        url, token = await stack.enter_async_context(subject.acme(folder))
        installed = await set_up(folder / "clew", {"github": base, "acme": url}, {"github": "bed-token", "acme": token})
        for name in ("acme", "github"):
            served = await stack.enter_async_context(installed.http(name))
            for transport in ("stdio", "http"):
                target = ["--server-url", served.found[0]] if transport == "http" else _started(installed, name)
                for era in ERAS:
                    eye = Eye(installed, name, era, target)
                    way = f"{transport}, {era}"
                    await report.check("inspector", way, f"{name}: tools/list --strict", eye.lists)
                    await report.check("inspector", way, f"{name}: tools/call of a read tool", eye.reads)
                    await report.check("inspector", way, f"{name}: tools/call that fails", eye.misses)
                    await report.check("inspector", way, f"{name}: tools/call of a destructive tool", eye.destroys)


def _started(installed: Subject, name: str) -> list[str]:
    """The command for the Inspector to start; it passes nothing of its own environment on."""
    settings = [f"{key}={value}" for key, value in installed.environment.items() if key.startswith("CLEW_")]
    return [*(word for setting in settings for word in ("-e", setting)), "--", CLEW, "serve", name]


class Eye:
    """The Inspector, looking at one server in one era."""

    def __init__(self, installed: Subject, name: str, era: str, target: list[str]) -> None:
        self.installed, self.name, self.era, self.target = installed, name, era, target

    async def look(self, *words: str) -> tuple[int, dict[str, Any], str]:
        """Exit code, the result, and what was said beside it."""
        command = script("@modelcontextprotocol/inspector", "clients/launcher/build/index.js")
        command += ["--cli", "--format", "json", "--protocol-era", self.era, *words, *self.target]
        done = await run(command, environment=self.installed.environment, folder=self.installed.home)
        said = " ".join(done.error.split())
        return done.code, json.loads(done.output)["result"] if done.output else {}, said

    async def lists(self) -> str:
        """The list of tools, with no finding of the schema lint, not even a warning."""
        code, result, said = await self.look("--method", "tools/list", "--strict")
        same((0, ""), (code, said))
        return f"{len(result['tools'])} tools, no finding"

    async def reads(self) -> str:
        """A call that succeeds, checked by the Inspector against the output schema."""
        code, result, said = await self._call(*READS[self.name])
        expect(code == 0 and not result.get("isError"), f"exit code {code}: {said}")
        items = result["structuredContent"]["items"]
        expect(items, result)
        return f"{len(items)} items"

    async def misses(self) -> str:
        """A call that fails, which the Inspector must show as the tool's error and not as one of the protocol."""
        code, result, said = await self._call(*MISSES[self.name])
        expect(code == IS_ERROR, f"exit code {code}: {said}")
        same("not_found", result["structuredContent"]["error"]["code"])
        expect("code: not_found" in result["content"][0]["text"], result)
        return "not_found, in both halves"

    async def destroys(self) -> str:
        """A destructive call, which cannot go through because the command line has nobody to ask."""
        code, result, said = await self._call(*DESTROYS[self.name])
        expect(code == IS_ERROR, f"exit code {code}: {said}")
        error = result["structuredContent"]["error"]
        same(("approval_required", "not_applied"), (error["code"], error["outcome"]))
        return "approval_required, nothing done"

    async def _call(self, tool: str, arguments: dict[str, str]) -> tuple[int, dict[str, Any], str]:
        pairs = [word for name, value in arguments.items() for word in ("--tool-arg", f"{name}={value}")]
        return await self.look("--method", "tools/call", "--tool-name", tool, *pairs)
