"""The official conformance suite in both revisions: every required scenario against a fixture, and against every
connector the scenarios that any server can be asked."""

import asyncio
import json
import os
import re
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from clew.core.registry import discover, load
from testbeds.packages import NODE, PINNED, ROOT, script
from testbeds.processes import plain_environment, run, serving
from testbeds.report import Report, expect

PACKAGE = "@modelcontextprotocol/conformance"
REVISIONS = {"legacy": "2025-11-25", "modern": "2026-07-28"}
GENERIC = {
    "2025-11-25": (
        "server-initialize", "ping", "tools-list", "server-sse-multiple-streams", "resources-list",
        "dns-rebinding-protection", "server-session-lifecycle",
    ),
    "2026-07-28": (
        "server-stateless", "tools-list", "server-sse-multiple-streams", "resources-list", "caching",
        "sep-2164-resource-not-found", "dns-rebinding-protection", "http-header-validation",
        "input-required-result-unsupported-methods", "input-required-result-validate-input",
    ),
}  # fmt: skip
"""Scenarios that need no tool of the suite's own."""
FIXTURES_ONLY = {
    "sep-2575-server-rejects-undeclared-capability", "sep-2575-missing-capability-http-400",
    "sep-2575-http-server-no-independent-requests-on-stream", "sep-2575-server-no-log-without-loglevel",
    "sep-2549-prompts-list-caching-hints",
}  # fmt: skip
"""Checks inside them that do: a tool of the suite's, or prompts, which connectors have none of."""
_AT_ONCE = 2


async def check(report: Report, folder: Path) -> None:
    """Run both revisions against everything, one process serving all of it over HTTP."""
    report.versions[PACKAGE] = PINNED[PACKAGE]
    # All connectors are served by the same code, so in CI one stands for them; the long form asks each.
    names = ["acme"] if os.environ.get("CLEW_CI") else [name for name in sorted(discover()) if load(name).tools]
    server = [sys.executable, str(ROOT / "tests" / "conformance" / "server.py"), str(folder / "clew")]
    environment = plain_environment(folder)
    ready = re.compile(r"^(\{.*\})$")
    async with serving([*server, "fixture", *names], environment=environment, ready=ready, seconds=120) as served:
        addresses: dict[str, str] = json.loads(served.found[1])
        for era, revision in REVISIONS.items():
            suite = Suite(folder, revision)
            await report.check("conformance", era, "all required scenarios", partial(suite.required, addresses))
        turn = asyncio.Semaphore(_AT_ONCE)

        async def generic(name: str, era: str, revision: str) -> None:
            async with turn:
                suite = Suite(folder, revision)
                work = partial(suite.generic, addresses[name])
                await report.check("conformance", era, f"{name}: the scenarios for any server", work)

        await asyncio.gather(*(generic(name, era, each) for name in names for era, each in REVISIONS.items()))


class Suite:
    """The suite in one revision."""

    def __init__(self, folder: Path, revision: str) -> None:
        self.folder, self.revision = folder, revision

    async def run(self, url: str) -> tuple[int, str, dict[str, list[dict[str, Any]]]]:
        """Exit code, what was said, and the checks by scenario."""
        out = self.folder / f"{self.revision}-{url.rpartition(':')[2].partition('/')[0]}"
        command = script(PACKAGE, "dist/index.js")
        command += ["server", "--url", url, "--requirements", self.revision, "-o", str(out)]
        environment = {**plain_environment(self.folder), "PATH": f"{NODE.parent}:/usr/bin:/bin"}
        done = await run(command, environment=environment, seconds=180)
        found: dict[str, list[dict[str, Any]]] = {}
        for path in sorted(out.glob("*/checks.json")):
            scenario = re.sub(r"^server-|-\d{4}-\d\d-\d\dT.*$", "", path.parent.name)
            found[scenario] = json.loads(path.read_text(encoding="utf-8"))
        return done.code, done.output + done.error, found

    async def required(self, addresses: dict[str, str]) -> str:
        """The suite's own verdict, which ends with 0 when every required scenario passed, and its count."""
        code, said, found = await self.run(addresses["fixture"])
        failed = [line.strip() for line in said.splitlines() if line.startswith("✗")]
        expect(code == 0 and found, f"exit code {code}: {'; '.join(failed) or said[-500:]}")
        left_out = re.search(r"Not scored for \S+: (\d+) scenario\(s\) run", said)
        scored = len(found) - int(left_out[1] if left_out else 0)
        passed = sum(each["status"] == "SUCCESS" for each in _flat(found))
        return f"{scored} of {scored} required scenarios; {passed} checks passed"

    async def generic(self, url: str) -> str:
        """The checks that are not about a tool of the suite's."""
        _, said, found = await self.run(url)
        wanted = {name: found.get(name, []) for name in GENERIC[self.revision]}
        missing = [name for name, checks in wanted.items() if not checks]
        expect(not missing, f"did not run: {', '.join(missing)}; {said[-300:]}")
        checks = [each for each in _flat(wanted) if each["id"] not in FIXTURES_ONLY]
        failed = [f"{each['id']}: {each.get('errorMessage')}" for each in checks if each["status"] == "FAILURE"]
        expect(not failed, "; ".join(failed))
        return f"{len(wanted)} scenarios, {sum(each['status'] == 'SUCCESS' for each in checks)} checks passed"


def _flat(found: dict[str, list[dict[str, Any]]]) -> Iterable[dict[str, Any]]:
    return (check for checks in found.values() for check in checks)
