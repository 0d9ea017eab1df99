"""Prism with GitHub's own OpenAPI description: is every request that the connector sends one that GitHub documents?"""

import base64
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from mcp import Client, types

from testbeds.description import Description
from testbeds.packages import DESCRIPTION, PINNED, script
from testbeds.processes import free_port, plain_environment, serving
from testbeds.recorder import Exchange, Recorder, recording
from testbeds.report import Report, expect, same
from testbeds.subject import set_up
from testbeds.wrong import GITHUB

AT = {"owner": "octocat", "repo": "Hello-World"}
SHA = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
"""The head in the description's example of a pull request."""
HEADERS = {
    "authorization": r"Bearer \S+",
    "accept": r"application/vnd\.github\.?[a-z]*\+json",
    "user-agent": r"clew/\S+",
    "x-github-api-version": r"\d{4}-\d{2}-\d{2}",
}
"""What every request must carry; the description says nothing about it, GitHub's guides do."""

LONG = {"body": "Text", "labels": ["bug", "a b"], "assignees": ["octocat"]}

CALLS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "search_issues": [{"query": "crash"}, {"query": "x", "kind": "pull_request", "sort": "updated", "cursor": "2"}],
    "list_issues": [
        AT,
        {**AT, "state": "all", "labels": ["bug", "a b"], "assignee": "*", "since": "2026-01-01T00:00:00Z"},
    ],
    "get_issue": [{**AT, "number": 1}],
    "list_comments": [{**AT, "number": 1}],
    "get_comment": [{**AT, "comment_id": 1}],
    "create_issue": [{**AT, "title": "Short"}, {**AT, "title": "Long", **LONG}],
    "update_issue": [
        {**AT, "number": 1, "title": "New"},
        {**AT, "number": 1, "title": "New", "state": "closed", "state_reason": "not_planned", **LONG},
    ],
    "add_comment": [{**AT, "number": 1, "body": "Hello"}],
    "delete_comment": [{**AT, "comment_id": 1}],
    "get_pull_request": [{**AT, "number": 1347}],
    "create_pull_request": [
        {**AT, "title": "Short", "head": "topic", "base": "main"},
        {**AT, "title": "Long", "head": "octocat:topic", "base": "main", "body": "Text", "draft": True},
    ],
    "preview_merge": [{**AT, "number": 1347, "sha": SHA}],
    "merge_pull_request": [{**AT, "number": 1347, "sha": SHA}, {**AT, "number": 1347, "sha": SHA, "method": "squash"}],
    "get_file": [
        {**AT, "path": "README.md"},
        {**AT, "path": "docs/a b/ü#?.md", "ref": "feature/x"},
        {**AT, "path": "large.txt"},
    ],
    "list_workflow_runs": [AT, {**AT, "branch": "main", "status": "completed"}],
}
"""Every tool, with the fewest and with the most arguments."""


async def check(report: Report, folder: Path) -> None:
    """Every tool with Prism in front, judged by Prism and by the description."""
    report.versions |= {name: PINNED[name] for name in ("@stoplight/prism-cli", "@octokit/openapi")}
    port = free_port()
    command = [*script("@stoplight/prism-cli", "dist/index.js"), "mock", "-h", "127.0.0.1", "-p", str(port)]
    command.append(str(DESCRIPTION))
    report.say("      prism     reads a description of 12 MB; that takes a while")
    async with serving(command, environment=plain_environment(folder), ready=re.compile("is listening"), seconds=120):
        description = Description.read(DESCRIPTION)
        with recording(f"http://127.0.0.1:{port}", _adapt, _mend) as recorder:
            judge = Judge(recorder, description)
            await report.check("prism", "http", "wrong requests are found wrong", judge.control)
            subject = await set_up(folder / "clew", {"github": recorder.url}, {"github": "bed-token"})
            await report.check("prism", "http", "clew auth set", judge.clean)
            async with subject.http("github") as server, Client(server.found[0], elicitation_callback=_agree) as client:
                names = {tool.name for tool in (await client.list_tools()).tools}
                await report.check("prism", "http", "every tool is in the table", lambda: _complete(names))
                for tool, calls in CALLS.items():
                    work = _Calls(client, judge, tool, calls)
                    await report.check("prism", "http", tool, work.run)


async def _agree(context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
    return types.ElicitResult(action="accept", content={"approve": True})


async def _complete(names: set[str]) -> str:
    same(names, set(CALLS))
    return f"{len(names)} tools, {sum(map(len, CALLS.values()))} calls"


class Judge:
    """Looks at what the recorder has seen since it looked last."""

    def __init__(self, recorder: Recorder, description: Description) -> None:
        self.recorder = recorder
        self.description = description

    def faults(self, seen: Exchange) -> list[str]:
        """What is wrong with one request: Prism's word, the description's, and the headers."""
        found = [f"Prism: {each}" for each in seen.violations]
        path, _ = _adapt(seen.path, {})
        found += self.description.faults(seen.method, path, seen.query, seen.body)
        found += [f"header {name}: {seen.headers.get(name)}" for name in HEADERS if not _fits(seen, name)]
        if seen.body and seen.headers.get("content-type") != "application/json":
            found.append(f"header content-type: {seen.headers.get('content-type')}")
        return found

    async def control(self) -> str:
        """Send wrong requests and expect that each is noticed, by whom."""
        good = {"authorization": "Bearer x", "user-agent": "clew/0", "x-github-api-version": "2022-11-28"}
        by = Counter[str]()
        async with httpx.AsyncClient(base_url=self.recorder.url, headers=good) as client:
            for method, path, body in GITHUB:
                await client.request(method, path, json=body, headers={"accept": "application/vnd.github+json"})
                faults = self.faults(self.recorder.seen.pop())
                expect(faults, f"nobody noticed {method} {path} {body}")
                by["Prism"] += any(each.startswith("Prism") for each in faults)
                by["the description"] += any(not each.startswith("Prism") for each in faults)
        return f"{len(GITHUB)} of {len(GITHUB)}: " + ", ".join(f"{who} noticed {count}" for who, count in by.items())

    async def clean(self) -> str:
        """The operations that were called; raises when a request was wrong or none was sent."""
        seen, self.recorder.seen[:] = list(self.recorder.seen), []
        expect(seen, "no request was sent")
        for each in seen:
            faults = self.faults(each)
            expect(not faults, f"{each.method} {each.path}?{each.query}: {'; '.join(faults)}")
        routes = Counter(
            f"{each.method} {self.description.route(each.method, _adapt(each.path, {})[0])}" for each in seen
        )
        return ", ".join(f"{count}x {route}" if count > 1 else route for route, count in routes.items())


class _Calls:
    """The calls of one tool, each of which must come back with a result."""

    def __init__(self, client: Client, judge: Judge, tool: str, calls: Sequence[Mapping[str, Any]]) -> None:
        self.client, self.judge, self.tool, self.calls = client, judge, tool, calls

    async def run(self) -> str:
        self.judge.recorder.seen.clear()
        refused: list[Any] = []
        for arguments in self.calls:
            result = await self.client.call_tool(self.tool, dict(arguments))
            if result.is_error:
                refused.append(result.structured_content)
        operations = await self.judge.clean()
        expect(not refused, {"requests are valid, but a result was refused": refused})
        return operations


def _fits(seen: Exchange, name: str) -> bool:
    return re.fullmatch(HEADERS[name], seen.headers.get(name, "")) is not None


def _adapt(path: str, headers: Mapping[str, str]) -> tuple[str, Mapping[str, str]]:
    """Bridge two gaps of the description: it knows none of GitHub's media types, and no file path with a slash."""
    place, mark, query = path.partition("?")
    head, contents, file = place.partition("/contents/")
    return head + contents + file.replace("/", "%2F") + mark + query, {**headers, "accept": "application/json"}


def _mend(path: str, content: bytes) -> bytes:
    """Two examples of the description are not what it describes: one is wrapped, one is not the base64 it says it is.
    And `large.txt` is answered as GitHub answers for a large file, without its content."""
    if re.search(r"/issues/\d+$", path):
        data = json.loads(content)
        return json.dumps(data.get("value", data)).encode()
    if "/contents/" in path:
        large = path.endswith("large.txt")
        told = {"encoding": "none", "content": ""} if large else {"encoding": "base64", "content": _encoded("text\n")}
        return json.dumps({**json.loads(content), **told}).encode()
    return content


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
