"""emulate: a GitHub with state, of which every tool is used through `clew serve` and the MCP client."""

import base64
import contextlib
import json
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from mcp import Client, types
from mcp.client.stdio import stdio_client

from testbeds.packages import PINNED, script
from testbeds.processes import free_port, plain_environment, serving
from testbeds.report import Report, expect, same
from testbeds.subject import ERAS, Subject, set_up

OWNER, TOKEN = "octocat", "bed-token"
ISSUES, COMMENTS = 45, 12
QUOTA = 5000
"""Calls per hour and token that emulate counts, as GitHub does."""
WAYS = tuple(f"{transport}, {era}" for transport in ("stdio", "http") for era in ERAS)


@contextlib.asynccontextmanager
async def github(folder: Path, repositories: tuple[str, ...]) -> AsyncGenerator[str]:
    """emulate's GitHub with `repositories` that hold issues, comments, files and a branch; yields its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [*script("emulate", "dist/index.js"), "start", "--service", "github", "--port", str(port)]
    command += ["--base-url", url, "--seed", str(_write_seed(folder, repositories))]
    async with serving(command, environment=plain_environment(folder), ready=re.compile("Ready"), folder=folder):
        async with httpx.AsyncClient(base_url=url, headers={"authorization": "Bearer setting-up"}) as client:
            for name in repositories:
                await _fill(client, f"/repos/{OWNER}/{name}")
        yield url


def _write_seed(folder: Path, repositories: tuple[str, ...]) -> Path:
    repos = [{"owner": OWNER, "name": name, "auto_init": True} for name in repositories]
    users = [{"login": OWNER, "name": "The Octocat"}]
    seed = {"tokens": {TOKEN: {"login": OWNER, "scopes": ["repo"]}}, "github": {"users": users, "repos": repos}}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "seed.json"
    path.write_text(json.dumps(seed), encoding="utf-8")
    return path


async def _fill(client: httpx.AsyncClient, repo: str) -> None:
    async def send(method: str, path: str, **body: Any) -> Any:
        answer = await client.request(method, repo + path, json=body)
        expect(answer.is_success, f"emulate refused {method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    for number in range(1, ISSUES + 1):
        await send("POST", "/issues", title=f"Issue {number}", body="seeded", labels=["seeded"])
    for number in range(1, COMMENTS + 1):
        await send("POST", "/issues/1/comments", body=f"Comment {number}")
    lines = "\n".join(f"line {number}" for number in range(1, 31))
    await _put(send, "src/deep folder/lines.txt", lines + "\n", "main")
    head = (await client.get(f"{repo}/git/ref/heads/main")).json()["object"]["sha"]
    await send("POST", "/git/refs", ref="refs/heads/feature", sha=head)
    made = await _put(send, "docs/new.md", "# New\n", "feature")
    check = {"name": "build", "status": "completed", "conclusion": "success"}
    await send("POST", "/check-runs", head_sha=made["commit"]["sha"], **check)


async def _put(send: Callable[..., Awaitable[Any]], path: str, text: str, branch: str) -> Any:
    content = base64.b64encode(text.encode()).decode()
    return await send("PUT", f"/contents/{path}", message=f"Add {path}", content=content, branch=branch)


@dataclass(slots=True)
class Visit:
    """One client on one server, with a person who answers `answer` when asked."""

    client: Client
    repo: str
    asked: list[str]
    answer: list[str]
    notes: dict[str, Any] = field(default_factory=dict[str, Any])
    used: set[str] = field(default_factory=set[str])

    async def send(self, tool: str, arguments: dict[str, Any]) -> types.CallToolResult:
        """Call a tool, and remember that it was called."""
        self.used.add(tool)
        return await self.client.call_tool(tool, arguments)

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool on the repository; its result, which must stand in both halves."""
        result = await self.send(tool, {"owner": OWNER, "repo": self.repo, **arguments})
        found = _structured(result)
        expect(not result.is_error, found or _text(result))
        same(found, json.loads(_text(result)))
        return found

    async def refused(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool that must fail; its error, whose message must stand in both halves."""
        result = await self.send(tool, {"owner": OWNER, "repo": self.repo, **arguments})
        expect(result.is_error, f"{tool} did not fail: {result.structured_content}")
        error: dict[str, Any] = _structured(result)["error"]
        expect(error["message"] in _text(result) and f"code: {error['code']}" in _text(result), _text(result))
        return error


def _structured(result: types.CallToolResult) -> dict[str, Any]:
    found: dict[str, Any] = result.structured_content or {}
    return found


def _text(result: types.CallToolResult) -> str:
    return "".join(block.text for block in result.content if isinstance(block, types.TextContent))


@contextlib.asynccontextmanager
async def visit(subject: Subject, url: str, way: str, *, asks: bool = True) -> AsyncGenerator[Visit]:
    """A client that came this way: `stdio` or `http` (to `url`), and the era it asks for. A stdio server that wrote to
    standard error has failed at the end."""
    transport, _, era = way.partition(", ")
    asked: list[str] = []
    answer = ["accept"]

    async def person(context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
        asked.append(params.message)
        action: Any = answer[0]
        return types.ElicitResult(action=action, content={"approve": True} if action == "accept" else None)

    mode: Any = "legacy" if era == "legacy" else "auto"
    with (subject.home / "stderr.txt").open("w+", encoding="utf-8") as said:
        server: Any = url if transport == "http" else stdio_client(subject.stdio("github"), errlog=said)
        callback = person if asks else None
        async with Client(server, mode=mode, elicitation_callback=callback, read_timeout_seconds=60) as client:
            same(ERAS[era], client.protocol_version)
            yield Visit(client, _repository(way), asked, answer)
        said.seek(0)
        same("", said.read())


def _repository(way: str) -> str:
    return way.replace(", ", "-")


async def _lists(at: Visit) -> str:
    tools = (await at.client.list_tools()).tools
    hints = [tool.annotations for tool in tools if tool.annotations]
    same(len(tools), len(hints))
    expect(all(tool.output_schema for tool in tools), "a tool has no output schema")
    destructive = [tool.name for tool in tools if tool.annotations and tool.annotations.destructive_hint]
    same(["delete_comment", "merge_pull_request"], sorted(destructive))
    at.notes["tools"] = {tool.name for tool in tools}
    return f"{len(tools)} tools, {len(destructive)} destructive"


def _is_ours(text: str, body: str) -> None:
    """What was written, and below it the mark by which a lost answer is found again; GitHub's pages do not show it."""
    expect(re.fullmatch(re.escape(text) + r"\n\n<!-- clew-[0-9a-f]{20} -->", body), body)


async def _creates(at: Visit) -> str:
    made = await at.call("create_issue", title="Made by a tool", body="ünïcode ✓", labels=["seeded"])
    at.notes["issue"] = made["number"]
    read = await at.call("get_issue", number=made["number"])
    same(("Made by a tool", "open", OWNER), (read["title"], read["state"], read["author"]))
    _is_ours("ünïcode ✓", read["body"])
    return "reads as written, with its letters beyond ASCII"


async def _updates(at: Visit) -> str:
    number = at.notes["issue"]
    await at.call("update_issue", number=number, title="Renamed", state="closed", state_reason="completed")
    read = await at.call("get_issue", number=number)
    same(("Renamed", "closed"), (read["title"], read["state"]))
    _is_ours("ünïcode ✓", read["body"])
    return "title and state changed, body kept"


async def _pages(at: Visit) -> str:
    found, pages = await _all_pages(at, "list_issues", state="all")
    numbers = [issue["number"] for issue in found]
    same(len(numbers), len(set(numbers)))
    expect(set(range(1, ISSUES + 1)) <= set(numbers), f"only {len(numbers)} issues came")
    same(3, pages)
    return f"{len(numbers)} issues on {pages} pages, none twice"


async def _searches(at: Visit) -> str:
    arguments = {"query": f"repo:{OWNER}/{at.repo} label:seeded is:open"}
    seen: list[int] = []
    while True:
        result = await at.send("search_issues", arguments)
        page = _structured(result)
        expect(not result.is_error, page)
        seen += [item["number"] for item in page["items"]]
        if "next_cursor" not in page:
            break
        arguments["cursor"] = page["next_cursor"]
    same(page["total_count"], len(set(seen)))
    same(ISSUES, len(seen))
    return f"{len(seen)} of {page['total_count']} hits"


async def _all_pages(at: Visit, tool: str, **arguments: Any) -> tuple[list[dict[str, Any]], int]:
    page = await at.call(tool, **arguments)
    items, pages = list(page["items"]), 1
    while cursor := page.get("next_cursor"):
        expect(pages < 20, f"{tool} does not come to an end")
        page = await at.call(tool, **arguments, cursor=cursor)
        items, pages = items + page["items"], pages + 1
    return items, pages


async def _comments(at: Visit) -> str:
    made = await at.call("add_comment", number=1, body="to be deleted")
    at.notes["comment"] = made["id"]
    found, pages = await _all_pages(at, "list_comments", number=1)
    same(made["id"], found[-1]["id"])
    _is_ours("to be deleted", found[-1]["body"])
    same((COMMENTS + 1, 2), (len(found), pages))
    return f"{len(found)} comments on {pages} pages, ours is the last"


async def _declines(at: Visit) -> str:
    at.answer[0] = "decline"
    error = await at.refused("delete_comment", comment_id=at.notes["comment"])
    same(("denied", "not_applied"), (error["code"], error["outcome"]))
    _is_ours("to be deleted", (await at.call("get_comment", comment_id=at.notes["comment"]))["body"])
    return "denied, and the comment is still there"


async def _deletes(at: Visit) -> str:
    at.answer[0] = "accept"
    before = len(at.asked)
    await at.call("delete_comment", comment_id=at.notes["comment"])
    same(before + 1, len(at.asked))
    expect("to be deleted" in at.asked[-1], f"the question shows no preview: {at.asked[-1]}")
    error = await at.refused("get_comment", comment_id=at.notes["comment"])
    same("not_found", error["code"])
    return "asked once, with the comment's text; then it is gone"


async def _reads_files(at: Visit) -> str:
    part = await at.call("get_file", path="src/deep folder/lines.txt", start_line=3, end_line=5)
    same(("line 3\nline 4\nline 5", 30), (part["text"], part["total_lines"]))
    other = await at.call("get_file", path="docs/new.md", ref="feature")
    same("# New", other["text"])
    same("not_found", (await at.refused("get_file", path="docs/new.md"))["code"])
    return "lines 3 to 5 of 30; a file that only another branch has"


async def _opens_pull(at: Visit) -> str:
    made = await at.call("create_pull_request", title="Add docs", head="feature", base="main", body="Please.")
    at.notes["pull"] = made["number"]
    at.notes["sha"] = made["head_sha"]
    review = await at.call("get_pull_request", number=made["number"])
    pull = review["pull_request"]
    same(
        ("open", made["head_sha"], "feature", "main"),
        tuple(pull[k] for k in ("state", "head_sha", "head_ref", "base_ref")),
    )
    same([{"name": "build", "status": "completed", "conclusion": "success"}], review["checks"])
    return "with its head, base and check"


async def _merges(at: Visit) -> str:
    number, sha = at.notes["pull"], at.notes["sha"]
    before = len(at.asked)
    error = await at.refused("merge_pull_request", number=number, sha="0" * 40)
    same(("conflict", before), (error["code"], len(at.asked)))
    seen = await at.call("preview_merge", number=number, sha=sha)
    expect(seen["title"] in "Add docs", seen)
    merged = await at.call("merge_pull_request", number=number, sha=sha, method="squash")
    same((True, before + 1), (merged["merged"], len(at.asked)))
    same(True, (await at.call("get_pull_request", number=number))["pull_request"]["merged"])
    again = await at.refused("merge_pull_request", number=number, sha=sha)
    same(("already_done", before + 1), (again["code"], len(at.asked)))
    return "another head: conflict, nobody asked; then asked once and merged; again: already_done"


async def _lists_runs(at: Visit) -> str:
    same([], (await at.call("list_workflow_runs"))["items"])
    return "none: emulate offers no way to make a run"


async def _misses(at: Visit) -> str:
    issue = await at.refused("get_issue", number=99999)
    same(("not_found", "not_applied", "after_fix"), (issue["code"], issue["outcome"], issue["retry"]))
    comment = await at.refused("add_comment", number=99999, body="x")
    same(("not_found", "not_applied"), (comment["code"], comment["outcome"]))
    return "not_found for a read and for a write"


async def _rejects(at: Visit) -> str:
    made = await at.refused("create_pull_request", title="Nothing to merge", head="main", base="main")
    same(("invalid_input", "not_applied"), (made["code"], made["outcome"]))
    return "invalid_input, not_applied"


STORY: Mapping[str, Callable[[Visit], Awaitable[str]]] = {
    "tools/list": _lists,
    "create_issue is read back by get_issue": _creates,
    "update_issue is read back": _updates,
    "list_issues follows GitHub's Link header": _pages,
    "search_issues pages through its hits": _searches,
    "add_comment is read back by list_comments": _comments,
    "delete_comment, the person says no": _declines,
    "delete_comment, the person says yes": _deletes,
    "get_file": _reads_files,
    "create_pull_request is read back by get_pull_request": _opens_pull,
    "merge_pull_request, asked and guarded by its head": _merges,
    "list_workflow_runs": _lists_runs,
    "404": _misses,
    "422": _rejects,
}


async def check(report: Report, folder: Path) -> None:
    """The whole story over both transports and in both eras, then a spent quota."""
    report.versions["emulate"] = PINNED["emulate"]
    repositories = tuple(_repository(way) for way in WAYS)
    async with github(folder / "emulate", repositories) as base:
        subject = await set_up(folder / "clew", {"github": base}, {"github": TOKEN})
        async with subject.http("github") as served:
            url = served.found[0]
            for way in WAYS:
                await _tell(report, subject, url, way)
            await _spend(base)
            for way in WAYS:
                await report.check("github", way, "a spent quota (403)", partial(_limited, subject, url, way))
            same([], served.lines)


async def _tell(report: Report, subject: Subject, url: str, way: str) -> None:
    async def story() -> str:
        async with visit(subject, url, way) as at:
            for title, act in STORY.items():
                await report.check("github", way, title, partial(act, at))
            same(at.notes["tools"], at.used)
        return f"all {len(at.used)} tools were called, on one connection; nothing on standard error"

    await report.check("github", way, "the connection opens and ends", story)
    await report.check("github", way, "a client that cannot ask a person", partial(_silent, subject, url, way))


async def _silent(subject: Subject, url: str, way: str) -> str:
    async with visit(subject, url, way, asks=False) as at:
        comment = (await at.call("list_comments", number=1))["items"][0]["id"]
        error = await at.refused("delete_comment", comment_id=comment)
        same(("approval_required", "not_applied"), (error["code"], error["outcome"]))
        await at.call("get_comment", comment_id=comment)
    return "approval_required, and the comment is still there"


async def _spend(base: str) -> None:
    """Use up the token's budget for this hour, as another program with the same token would."""
    async with httpx.AsyncClient(base_url=base, headers={"authorization": f"Bearer {TOKEN}"}) as client:
        for _ in range(QUOTA):
            if (await client.get("/user")).headers["x-ratelimit-remaining"] == "0":
                return


async def _limited(subject: Subject, url: str, way: str) -> str:
    async with visit(subject, url, way) as at:
        started = time.monotonic()
        error = await at.refused("get_issue", number=1)
        expect(time.monotonic() - started < 5, "the call was held back")
        same(("rate_limited", "not_applied", "after"), (error["code"], error["outcome"], error["retry"]))
        seconds = error["retry_after_seconds"]
        expect(3000 < seconds <= 3700, f"retry_after_seconds is {seconds}")
    return "rate_limited, not_applied, come back within the hour; answered at once"
