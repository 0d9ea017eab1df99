"""The answer of a write to GitHub or Slack is lost: a look tells whether it happened, and it is not done twice."""

import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
import respx
from tests.connectors.calling import Calling, Tool
from tests.people import Person

from clew.connectors.slack import slack
from clew.core.errors import CallError, Outcome
from clew.core.journal import Journal, State

pytestmark = pytest.mark.anyio

REPO = "/repos/octocat/Hello-World"
PULL: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "github" / "pull.json").read_text())
LOST = httpx.ReadTimeout("slow")
FILE = {"id": "F1", "title": "a.txt", "permalink": "https://a.slack.com/files/F1"}
TS = "1767225600.000100"


@pytest.fixture(autouse=True)
def patient(call: Calling) -> None:
    """Looks begin after seconds, which pass at once here but must be within the deadline."""
    call.seconds = 60


@pytest.fixture
def api_slack() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url="https://slack.com/api", assert_all_called=False) as router:
        yield router


async def end_of(journal: Journal) -> tuple[State, str | None]:
    (row,) = await journal.rows()
    return row.state, row.settled_by


def lost(route: respx.Route) -> Callable[[], str]:
    """The route loses its answer; the text that was sent to it."""
    route.side_effect = LOST

    def sent() -> str:
        calls: Any = route.calls
        return str(calls.last.request.content.decode())

    return sent


def issue(**facts: Any) -> dict[str, Any]:
    person = {"login": "ada", "id": 1}
    return {
        "number": 7,
        "title": "t",
        "state": "open",
        "html_url": f"https://github.com{REPO}/issues/7",
        "user": person,
        "labels": [],
        "assignees": [],
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "comments": 0,
        **facts,
    }


@pytest.mark.parametrize("there", [True, False])
async def test_an_issue_is_found_by_its_mark(
    tool: Tool, api_github: respx.MockRouter, journal: Journal, there: bool
) -> None:
    posted = api_github.post(f"{REPO}/issues")
    sent = lost(posted)
    listing = api_github.get(f"{REPO}/issues")
    other = issue(number=6, body="by somebody <!-- clew-of-another -->")

    def listed(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=[other, issue(body=json.loads(sent())["body"])] if there else [other])

    listing.side_effect = listed
    api_github.get(f"{REPO}/issues/7").respond(json=issue())
    await ended(tool("create_issue", title="t"), there, journal)
    assert posted.call_count == 1


@pytest.mark.parametrize("there", [True, False])
async def test_a_comment_is_found_by_its_mark(
    tool: Tool, api_github: respx.MockRouter, journal: Journal, there: bool
) -> None:
    posted = api_github.post(f"{REPO}/issues/7/comments")
    sent = lost(posted)
    line = {"id": 3, "html_url": "https://github.com/c/3"}

    def listed(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=[{**line, "body": json.loads(sent())["body"] if there else "x"}])

    api_github.get(f"{REPO}/issues/7/comments").side_effect = listed
    await ended(tool("add_comment", number=7, body="hello"), there, journal)
    assert posted.call_count == 1


async def test_a_pull_request_is_the_one_of_its_branches(
    tool: Tool, api_github: respx.MockRouter, journal: Journal
) -> None:
    refusal = {"message": "Validation Failed", "errors": [{"message": "A pull request already exists for octocat:x."}]}
    posted = api_github.post(f"{REPO}/pulls").mock(side_effect=[LOST, httpx.Response(422, json=refusal)])
    found = api_github.get(f"{REPO}/pulls").respond(json=[PULL])
    made = await tool("create_pull_request", title="t", head="x", base="main")
    assert made["number"] == PULL["number"]
    calls: Any = found.calls
    assert dict(calls.last.request.url.params) == {"head": "octocat:x", "base": "main", "state": "open"}
    assert (await end_of(journal))[0] is State.APPLIED
    assert posted.call_count == 2  # GitHub itself refuses the second one


async def test_a_merge_that_happened_is_told_by_the_pull_request(
    tool: Tool, api_github: respx.MockRouter, journal: Journal
) -> None:
    number, sha = PULL["number"], PULL["head"]["sha"]
    done = {**PULL, "merged": True, "state": "closed", "merge_commit_sha": "f" * 40}
    shown = api_github.get(f"{REPO}/pulls/{number}")
    shown.side_effect = [httpx.Response(200, json=PULL), *[httpx.Response(200, json=done)] * 3]
    merged = api_github.put(f"{REPO}/pulls/{number}/merge").mock(
        side_effect=[LOST, httpx.Response(405, json={"message": "Pull Request is not mergeable"})]
    )
    told = await tool("merge_pull_request", number=number, sha=sha, host=Person())
    assert told == {"merged": True, "sha": "f" * 40}
    assert (await end_of(journal))[0] is State.APPLIED
    assert merged.call_count == 2  # the second one names the same commit, and is refused


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize(("name", "path"), [("post_message", "history"), ("reply", "replies")])
async def test_a_message_is_found_by_its_metadata(
    call: Calling, api_slack: respx.MockRouter, journal: Journal, name: str, path: str, there: bool
) -> None:
    posted = api_slack.post("/chat.postMessage")
    sent = lost(posted)

    def listing(request: httpx.Request) -> httpx.Response:
        mine = json.loads(dict(parse_qsl(sent()))["metadata"])
        other = {"event_type": "clew_write", "event_payload": {"id": "clew-of-another"}}
        messages = [{"ts": "1.0", "text": "hello", "metadata": other}, {"ts": TS, "text": "hello", "metadata": mine}]
        return httpx.Response(200, json={"ok": True, "messages": messages if there else messages[:1]})

    looked = api_slack.post(f"/conversations.{path}")
    looked.side_effect = listing
    more = {"thread_ts": TS} if name == "reply" else {}
    given = {"channel": "C1", "text": "hello", **more}
    await ended(call(slack, name, given), there, journal)
    assert posted.call_count == 1
    calls: Any = looked.calls
    assert dict(parse_qsl(calls.last.request.content.decode()))["include_all_metadata"] == "true"


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize(("more", "path"), [({}, "history"), ({"thread_ts": TS}, "replies")])
async def test_a_file_is_found_by_the_message_that_shows_it(
    call: Calling, api_slack: respx.MockRouter, journal: Journal, more: dict[str, str], path: str, there: bool
) -> None:
    address = {"ok": True, "upload_url": "https://files.slack.com/upload/v1/A", "file_id": "F1"}
    api_slack.post("/files.getUploadURLExternal").respond(json=address)
    api_slack.post("https://files.slack.com/upload/v1/A").respond(200, text="OK")
    shared = api_slack.post("/files.completeUploadExternal")
    lost(shared)
    messages = [{"ts": TS, "files": [{**FILE, "id": "F0"}]}, *([{"ts": TS, "files": [FILE]}] if there else [])]
    api_slack.post(f"/conversations.{path}").respond(json={"ok": True, "messages": messages})
    given = {"channel": "C1", "filename": "a.txt", "content": "x", **more}
    made = await ended(call(slack, "upload_file", given), there, journal)
    assert made == (FILE if there else None)
    assert shared.call_count == 1


async def test_a_busy_channel_leaves_it_unknown(call: Calling, api_slack: respx.MockRouter, journal: Journal) -> None:
    address = {"ok": True, "upload_url": "https://files.slack.com/upload/v1/A", "file_id": "F1"}
    api_slack.post("/files.getUploadURLExternal").respond(json=address)
    api_slack.post("https://files.slack.com/upload/v1/A").respond(200, text="OK")
    lost(api_slack.post("/files.completeUploadExternal"))
    api_slack.post("/conversations.history").respond(json={"ok": True, "messages": [], "has_more": True})
    with pytest.raises(CallError) as caught:
        await call(slack, "upload_file", {"channel": "C1", "filename": "a.txt", "content": "x"})
    assert caught.value.outcome is Outcome.UNKNOWN
    assert (await end_of(journal))[0] is State.UNKNOWN


async def ended(calling: Awaitable[dict[str, Any]], there: bool, journal: Journal) -> dict[str, Any] | None:
    """The result of what was found; else it did not happen, and the same call may do it."""
    if there:
        made = await calling
        assert await end_of(journal) == (State.APPLIED, "look")
        return made
    with pytest.raises(CallError) as caught:
        await calling
    assert caught.value.outcome is Outcome.NOT_APPLIED
    assert await end_of(journal) == (State.NOT_APPLIED, "look")
    return None
