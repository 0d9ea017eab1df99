"""GitHub, its issues and its workflow runs: what the tools send, and what they make of the answers."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from tests.connectors.calling import Calling, Tool
from tests.people import Person

from clew.connectors.github import github
from clew.core.api import Api
from clew.core.connector import Effect
from clew.core.deadline import Deadline
from clew.core.errors import CallError, Code, Outcome
from clew.core.exchange import Trail
from clew.core.host import SilentHost

pytestmark = pytest.mark.anyio

Refusal = Callable[..., Awaitable[CallError]]

DATA = Path(__file__).parent / "data" / "github"
HERE = {"owner": "octocat", "repo": "Hello-World"}
REPO = "/repos/octocat/Hello-World"


def recorded(name: str, **changes: Any) -> Any:
    data = json.loads((DATA / f"{name}.json").read_text())
    return {**data, **changes} if changes else data


def sent(router: respx.MockRouter) -> list[httpx.Request]:
    calls: Any = router.calls
    return [call.request for call in calls]


def body(request: httpx.Request) -> Any:
    return json.loads(request.content)


def test_every_tool_has_an_effect_a_toolset_and_a_short_description() -> None:
    effects = {name: tool.effect.value for name, tool in github.tools.items()}
    assert sorted(name for name, effect in effects.items() if effect == "write") == [
        "add_comment",
        "create_issue",
        "create_pull_request",
        "update_issue",
    ]
    assert sorted(name for name, effect in effects.items() if effect == "destructive") == [
        "delete_comment",
        "merge_pull_request",
    ]
    assert {tool.toolset for tool in github.tools.values()} == {"issues", "pulls", "files", "actions"}
    assert all(len(tool.description) <= 120 for tool in github.tools.values())


async def test_every_request_pins_the_version_names_the_media_type_and_carries_the_token(
    tool: Tool, api_github: respx.MockRouter
) -> None:
    api_github.get(f"{REPO}/issues/1347").respond(json=recorded("issue"))
    await tool("get_issue", number=1347)
    headers = sent(api_github)[-1].headers
    assert headers["x-github-api-version"] == "2022-11-28"
    assert headers["accept"] == "application/vnd.github+json"
    assert headers["authorization"] == "Bearer a-token"
    assert headers["user-agent"].startswith("clew/")


async def test_the_identity_is_the_login(call: Calling, api_github: respx.MockRouter) -> None:
    api_github.get("/user").respond(json={"login": "octocat", "id": 1, "name": "The Octocat"})
    api = Api(call.wire(github), Deadline.after(5), Trail(), Effect.READ, SilentHost())
    assert github.identify is not None
    assert await github.identify(api) == "octocat"


async def test_an_enterprise_server_is_reached_below_its_own_path(call: Calling) -> None:
    with respx.mock(base_url="https://ghe.example.com") as router:
        link = '<https://ghe.example.com/api/v3/repositories/1/issues?page=2>; rel="next"'
        router.get("/api/v3/repos/octocat/Hello-World/issues").side_effect = [
            httpx.Response(200, json=[], headers={"link": link}),
            httpx.Response(200, json=[]),
        ]
        page = await call(github, "list_issues", HERE, base_url="https://ghe.example.com/api/v3")
        await call(
            github, "list_issues", {**HERE, "cursor": page["next_cursor"]}, base_url="https://ghe.example.com/api/v3"
        )
        assert sent(router)[-1].url.path == "/api/v3/repos/octocat/Hello-World/issues"
        assert sent(router)[-1].url.params["page"] == "2"


async def test_an_issue_is_a_thrifty_projection_without_nulls(tool: Tool, api_github: respx.MockRouter) -> None:
    api_github.get(f"{REPO}/issues/1347").respond(json=recorded("issue"))
    assert await tool("get_issue", number=1347) == {
        "number": 1347,
        "title": "Found a bug",
        "state": "open",
        "author": "octocat",
        "assignees": ["hubot"],
        "labels": ["bug"],
        "milestone": "v1.0",
        "comments": 3,
        "created_at": "2026-04-22T13:33:48Z",
        "updated_at": "2026-04-23T08:00:00Z",
        "url": "https://github.com/octocat/Hello-World/issues/1347",
        "body": "I'm having a problem with this.",
    }


async def test_a_long_body_is_cut_and_says_how_long_it_is(tool: Tool, api_github: respx.MockRouter) -> None:
    api_github.get(f"{REPO}/issues/1347").respond(json=recorded("issue", body="x" * 50_000))
    issue = await tool("get_issue", number=1347)
    assert issue["body"] == "x" * 6000 + "…"
    assert issue["body_length"] == 50_000


async def test_an_issue_of_a_deleted_user_without_a_body_is_read(tool: Tool, api_github: respx.MockRouter) -> None:
    api_github.get(f"{REPO}/issues/1347").respond(json=recorded("issue", user=None, body=None, assignees=None))
    issue = await tool("get_issue", number=1347)
    assert not {"author", "body", "body_length"} & issue.keys()
    assert issue["assignees"] == []


async def test_a_field_that_changed_its_type_is_an_error_that_names_it(
    refused: Refusal, api_github: respx.MockRouter
) -> None:
    api_github.get(f"{REPO}/issues/1347").respond(json=recorded("issue", html_url=None))
    error = await refused("get_issue", number=1347)
    assert error.code is Code.CONTRACT_CHANGED
    assert "html_url" in error.message


async def test_listed_issues_leave_out_pull_requests_and_say_so(tool: Tool, api_github: respx.MockRouter) -> None:
    pull = recorded(
        "issue", number=12, pull_request={"url": "https://api.github.com/repos/octocat/Hello-World/pulls/12"}
    )
    api_github.get(f"{REPO}/issues").respond(json=[recorded("issue"), pull])
    page = await tool("list_issues", labels=["bug", "help wanted"], assignee="none", since="2026-01-01T00:00:00Z")
    assert [item["number"] for item in page["items"]] == [1347]
    assert page["pull_requests_left_out"] == 1
    assert "next_cursor" not in page
    assert dict(sent(api_github)[-1].url.params) == {
        "per_page": "20",
        "state": "open",
        "labels": "bug,help wanted",
        "assignee": "none",
        "since": "2026-01-01T00:00:00Z",
    }


async def test_a_next_link_by_repository_number_is_followed_on_the_tools_own_path(
    tool: Tool, api_github: respx.MockRouter
) -> None:
    link = (
        '<https://api.github.com/repositories/1296269/issues?state=all&per_page=20&page=2>; rel="next", '
        '<https://api.github.com/repositories/1296269/issues?state=all&per_page=20&page=9>; rel="last"'
    )
    route = api_github.get(f"{REPO}/issues")
    route.side_effect = [
        httpx.Response(200, json=[recorded("issue")], headers={"link": link}),
        httpx.Response(200, json=[recorded("issue", number=5)]),
    ]
    first = await tool("list_issues", state="all")
    second = await tool("list_issues", state="all", cursor=first["next_cursor"])
    assert [item["number"] for item in second["items"]] == [5]
    assert "next_cursor" not in second
    assert dict(sent(api_github)[-1].url.params) == {"per_page": "20", "state": "all", "page": "2"}


@pytest.mark.parametrize(
    ("query", "kind", "searched"),
    [
        ("repo:octo/app crash", "issue", "repo:octo/app crash is:issue"),
        ("repo:octo/app crash", "pull_request", "repo:octo/app crash is:pull-request"),
        ("is:pr repo:octo/app", "issue", "is:pr repo:octo/app"),
        ("repo:octo/app (is:issue OR is:pull-request)", "issue", "repo:octo/app (is:issue OR is:pull-request)"),
        ("this:is:issue", "issue", "this:is:issue is:issue"),
    ],
)
async def test_a_search_always_says_what_it_is_for(
    tool: Tool, api_github: respx.MockRouter, query: str, kind: str, searched: str
) -> None:
    api_github.get("/search/issues").respond(json={"total_count": 0, "incomplete_results": False, "items": []})
    await tool_search(tool, query=query, kind=kind)
    assert dict(sent(api_github)[-1].url.params) == {"q": searched, "per_page": "20", "page": "1"}


async def tool_search(tool: Tool, **arguments: Any) -> dict[str, Any]:
    return await tool("search_issues", owner=None, repo=None, **arguments)


async def test_a_search_passes_on_that_it_is_incomplete(tool: Tool, api_github: respx.MockRouter) -> None:
    api_github.get("/search/issues").respond(
        json={"total_count": 1, "incomplete_results": True, "items": [recorded("issue")]}
    )
    hits = await tool_search(tool, query="crash")
    assert hits["incomplete_results"] is True
    assert hits["total_count"] == 1
    assert hits["items"][0]["labels"] == ["bug"]


async def test_a_search_pages_up_to_the_thousandth_result(tool: Tool, api_github: respx.MockRouter) -> None:
    answer = {"total_count": 4321, "incomplete_results": False, "items": [recorded("issue")]}
    api_github.get("/search/issues").respond(json=answer)
    first = await tool_search(tool, query="crash", sort="updated")
    assert first["next_cursor"] == "2"
    await tool_search(tool, query="crash", cursor="2")
    assert sent(api_github)[-1].url.params["page"] == "2"
    assert "next_cursor" not in await tool_search(tool, query="crash", cursor="50")


@pytest.mark.parametrize("cursor", ["1", "51", "x", "-2", "2 ", "9" * 5000, "²"])
async def test_a_search_cursor_that_was_never_given_is_refused(
    refused: Refusal, api_github: respx.MockRouter, cursor: str
) -> None:
    error = await refused("search_issues", owner=None, repo=None, query="crash", cursor=cursor)
    assert error.code is Code.INVALID_INPUT
    assert not api_github.calls


async def test_comments_come_ten_at_a_time_and_long_ones_are_cut(tool: Tool, api_github: respx.MockRouter) -> None:
    api_github.get(f"{REPO}/issues/1347/comments").respond(json=[recorded("comment", body="y" * 601)])
    page = await tool("list_comments", number=1347)
    assert page["items"] == [
        {
            "id": 7,
            "author": "octocat",
            "created_at": "2026-04-14T16:00:49Z",
            "body": "y" * 600 + "…",
            "body_length": 601,
        }
    ]
    assert dict(sent(api_github)[-1].url.params) == {"per_page": "10"}


async def test_one_comment_is_read(tool: Tool, api_github: respx.MockRouter) -> None:
    api_github.get(f"{REPO}/issues/comments/7").respond(json=recorded("comment"))
    comment = await tool("get_comment", comment_id=7)
    assert comment["url"].endswith("#issuecomment-7")
    assert comment["body"] == "Me too"


async def test_an_issue_is_created_with_exactly_what_was_given(tool: Tool, api_github: respx.MockRouter) -> None:
    api_github.post(f"{REPO}/issues").respond(201, json=recorded("issue"))
    created = await tool("create_issue", title="Found a bug", labels=["Bug"], assignees=["hubot"])
    assert created["url"] == "https://github.com/octocat/Hello-World/issues/1347"
    assert "not_set" not in created
    assert body(sent(api_github)[-1]) == {"title": "Found a bug", "labels": ["Bug"], "assignees": ["hubot"]}


async def test_labels_that_github_dropped_silently_are_reported(tool: Tool, api_github: respx.MockRouter) -> None:
    api_github.post(f"{REPO}/issues").respond(201, json=recorded("issue", labels=[], assignees=[]))
    created = await tool("create_issue", title="Found a bug", labels=["bug"], assignees=["hubot"])
    assert created["not_set"] == ["label bug", "assignee hubot"]


async def test_an_update_sends_only_the_fields_that_were_given(tool: Tool, api_github: respx.MockRouter) -> None:
    api_github.patch(f"{REPO}/issues/1347").respond(json=recorded("issue", state="closed", labels=[]))
    changed = await tool("update_issue", number=1347, state="closed", state_reason="completed", labels=[])
    assert changed["state"] == "closed"
    assert body(sent(api_github)[-1]) == {"state": "closed", "state_reason": "completed", "labels": []}


async def test_an_update_of_nothing_is_refused_before_anything_is_sent(
    refused: Refusal, api_github: respx.MockRouter
) -> None:
    error = await refused("update_issue", number=1347)
    assert (error.code, error.outcome) == (Code.INVALID_INPUT, Outcome.NOT_APPLIED)
    assert not api_github.calls


async def test_a_comment_is_added(tool: Tool, api_github: respx.MockRouter) -> None:
    api_github.post(f"{REPO}/issues/1347/comments").respond(201, json=recorded("comment"))
    assert await tool("add_comment", number=1347, body="Me too") == {
        "id": 7,
        "url": "https://github.com/octocat/Hello-World/issues/1347#issuecomment-7",
    }
    assert body(sent(api_github)[-1]) == {"body": "Me too"}


async def test_a_comment_is_deleted_after_a_person_saw_it(tool: Tool, api_github: respx.MockRouter) -> None:
    api_github.get(f"{REPO}/issues/comments/7").respond(json=recorded("comment"))
    api_github.delete(f"{REPO}/issues/comments/7").respond(204)
    person = Person(agrees=True)
    assert await tool("delete_comment", comment_id=7, host=person) == {"done": True}
    assert person.asked[0].preview["body"] == "Me too"
    assert sent(api_github)[-1].method == "DELETE"


async def test_a_comment_stays_when_the_person_declines(refused: Refusal, api_github: respx.MockRouter) -> None:
    api_github.get(f"{REPO}/issues/comments/7").respond(json=recorded("comment"))
    assert (await refused("delete_comment", comment_id=7, host=Person(agrees=False))).code is Code.DENIED
    assert [request.method for request in sent(api_github)] == ["GET"]


async def test_workflow_runs_are_listed(tool: Tool, api_github: respx.MockRouter) -> None:
    link = '<https://api.github.com/repositories/1296269/actions/runs?per_page=20&page=2>; rel="next"'
    api_github.get(f"{REPO}/actions/runs").side_effect = [
        httpx.Response(200, json=recorded("runs"), headers={"link": link}),
        httpx.Response(200, json=recorded("runs")),
    ]
    page = await tool("list_workflow_runs", branch="main", status="failure")
    assert page["items"] == [
        {
            "id": 30433642,
            "workflow": "Build",
            "title": "Update README.md",
            "run_number": 562,
            "event": "push",
            "status": "queued",
            "branch": "main",
            "sha": "acb5820ced9479c074f688cc328bf03f341a511d",
            "created_at": "2026-01-22T19:33:08Z",
            "url": "https://github.com/octocat/Hello-World/actions/runs/30433642",
        }
    ]
    assert dict(sent(api_github)[-1].url.params) == {"per_page": "20", "branch": "main", "status": "failure"}
    await tool("list_workflow_runs", branch="main", status="failure", cursor=page["next_cursor"])
    assert sent(api_github)[-1].url.params["page"] == "2"
