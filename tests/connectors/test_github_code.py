"""GitHub's pull requests and files: what is sent, what is made of the answers, and paths that want to climb."""

import base64
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from tests.connectors.calling import Tool
from tests.people import Person

from clew.core.errors import CallError, Code, Outcome

pytestmark = pytest.mark.anyio

Refusal = Callable[..., Awaitable[CallError]]

DATA = Path(__file__).parent / "data" / "github"
REPO = "/repos/octocat/Hello-World"
HEAD = "6dcb09b5b57875f334f61aebed695e2e4193db5e"


def recorded(name: str, **changes: Any) -> Any:
    data = json.loads((DATA / f"{name}.json").read_text())
    return {**data, **changes} if changes else data


def sent(router: respx.MockRouter) -> list[httpx.Request]:
    calls: Any = router.calls
    return [call.request for call in calls]


def body(request: httpx.Request) -> Any:
    return json.loads(request.content)


async def test_a_pull_request_comes_with_its_files_and_checks(tool: Tool, api_github: respx.MockRouter) -> None:
    api_github.get(f"{REPO}/pulls/12").respond(json=recorded("pull", changed_files=7))
    api_github.get(f"{REPO}/pulls/12/files").respond(json=recorded("pull_files"))
    api_github.get(f"{REPO}/commits/{HEAD}/check-runs").respond(json=recorded("check_runs"))
    review = await tool("get_pull_request", number=12)
    assert review["pull_request"] == {
        "number": 12,
        "title": "Amazing new feature",
        "state": "open",
        "draft": False,
        "merged": False,
        "mergeable_state": "unstable",
        "author": "octocat",
        "head_ref": "new-topic",
        "head_sha": HEAD,
        "base_ref": "main",
        "commits": 3,
        "changed_files": 7,
        "additions": 104,
        "deletions": 4,
        "updated_at": "2026-01-27T19:01:12Z",
        "url": "https://github.com/octocat/Hello-World/pull/12",
        "body": "Please pull these awesome changes in!",
    }
    assert review["files"] == [
        {"path": "src/feature.py", "status": "added", "additions": 103, "deletions": 0},
        {"path": "README.md", "previous_path": "README", "status": "renamed", "additions": 1, "deletions": 4},
    ]
    assert review["checks"] == [
        {"name": "tests", "status": "completed", "conclusion": "failure"},
        {"name": "lint", "status": "in_progress"},
    ]
    assert (review["files_omitted"], review["checks_omitted"]) == (5, 1)
    assert "checks_unreadable" not in review
    assert dict(sent(api_github)[1].url.params) == {"per_page": "30"}


async def test_a_pull_request_without_readable_checks_says_so(tool: Tool, api_github: respx.MockRouter) -> None:
    api_github.get(f"{REPO}/pulls/12").respond(json=recorded("pull"))
    api_github.get(f"{REPO}/pulls/12/files").respond(json=recorded("pull_files"))
    api_github.get(f"{REPO}/commits/{HEAD}/check-runs").respond(
        403, json={"message": "Resource not accessible by personal access token"}
    )
    review = await tool("get_pull_request", number=12)
    assert review["checks_unreadable"] == "GitHub does not show them: permission."
    assert "checks" not in review
    assert "files_omitted" not in review


async def test_checks_that_fail_for_now_fail_the_call_so_that_it_is_made_again(
    refused: Refusal, api_github: respx.MockRouter
) -> None:
    api_github.get(f"{REPO}/pulls/12").respond(json=recorded("pull"))
    api_github.get(f"{REPO}/pulls/12/files").respond(json=recorded("pull_files"))
    api_github.get(f"{REPO}/commits/{HEAD}/check-runs").respond(502)
    assert (await refused("get_pull_request", number=12)).code is Code.TRANSIENT


async def test_a_pull_request_is_opened(tool: Tool, api_github: respx.MockRouter) -> None:
    api_github.post(f"{REPO}/pulls").respond(201, json=recorded("pull", draft=True))
    opened = await tool("create_pull_request", title="Amazing", head="octocat:new-topic", base="main", draft=True)
    assert opened == {
        "number": 12,
        "state": "open",
        "draft": True,
        "head_sha": HEAD,
        "url": "https://github.com/octocat/Hello-World/pull/12",
    }
    assert body(sent(api_github)[-1]) == {
        "title": "Amazing",
        "head": "octocat:new-topic",
        "base": "main",
        "draft": True,
    }
    await tool("create_pull_request", title="Amazing", head="new-topic", base="main", body="Why")
    assert body(sent(api_github)[-1])["body"] == "Why"


async def test_what_was_previewed_is_what_is_merged(tool: Tool, api_github: respx.MockRouter) -> None:
    api_github.get(f"{REPO}/pulls/12").respond(json=recorded("pull"))
    api_github.put(f"{REPO}/pulls/12/merge").respond(
        json={"sha": "a" * 40, "merged": True, "message": "Pull Request successfully merged"}
    )
    person = Person(agrees=True)
    merged = await tool("merge_pull_request", number=12, sha=HEAD, method="squash", host=person)
    assert merged == {"merged": True, "sha": "a" * 40}
    assert person.asked[0].preview["head_sha"] == HEAD
    assert body(sent(api_github)[-1]) == {"sha": HEAD, "merge_method": "squash"}


@pytest.mark.parametrize(
    ("now", "code"),
    [
        ({"head": {"ref": "new-topic", "sha": "b" * 40}}, Code.CONFLICT),
        ({"state": "closed"}, Code.CONFLICT),
        ({"state": "closed", "merged": True}, Code.ALREADY_DONE),
    ],
)
async def test_a_merge_that_cannot_be_is_refused_before_a_person_is_asked(
    refused: Refusal, api_github: respx.MockRouter, now: dict[str, Any], code: Code
) -> None:
    api_github.get(f"{REPO}/pulls/12").respond(json=recorded("pull", **now))
    person = Person(agrees=True)
    assert (await refused("merge_pull_request", number=12, sha=HEAD, host=person)).code is code
    assert not person.asked
    assert [request.method for request in sent(api_github)] == ["GET"]


async def test_a_merge_needs_the_whole_sha(refused: Refusal, api_github: respx.MockRouter) -> None:
    assert (await refused("merge_pull_request", number=12, sha=HEAD[:7])).code is Code.INVALID_INPUT
    assert not api_github.calls


@pytest.mark.parametrize(
    ("status", "message", "code", "words"),
    [
        (405, "Pull Request is not mergeable", Code.CONFLICT, "mergeable_state"),
        (405, "Base branch was modified. Review and try the merge again.", Code.CONFLICT, "mergeable_state"),
        (405, "Merge commits are not allowed on this repository.", Code.INVALID_INPUT, "another merge method"),
        (409, "Head branch was modified. Review and try the merge again.", Code.CONFLICT, "Read the object again"),
    ],
)
async def test_a_merge_that_github_refuses_says_what_to_do(
    refused: Refusal, api_github: respx.MockRouter, status: int, message: str, code: Code, words: str
) -> None:
    api_github.get(f"{REPO}/pulls/12").respond(json=recorded("pull"))
    api_github.put(f"{REPO}/pulls/12/merge").respond(status, json={"message": message})
    error = await refused("merge_pull_request", number=12, sha=HEAD, host=Person(agrees=True))
    assert (error.code, error.outcome) == (code, Outcome.NOT_APPLIED)
    assert words in error.next_step


async def test_a_file_comes_decoded_with_its_lines_counted(tool: Tool, api_github: respx.MockRouter) -> None:
    api_github.get(f"{REPO}/contents/docs/notes.txt").respond(json=recorded("content"))
    assert await tool("get_file", path="docs/notes.txt") == {
        "path": "docs/notes.txt",
        "sha": "3d21ec53a331a6f037a91c368710b99387d012c1",
        "size": 24,
        "total_lines": 4,
        "start_line": 1,
        "end_line": 4,
        "text": "one\ntwo\nthree\nfour üml",
    }
    assert sent(api_github)[-1].headers.get_list("accept") == ["application/vnd.github.object+json"]
    assert not sent(api_github)[-1].url.params


async def test_a_range_of_lines_is_cut_out_of_the_asked_revision(tool: Tool, api_github: respx.MockRouter) -> None:
    api_github.get(f"{REPO}/contents/docs/notes.txt").respond(json=recorded("content"))
    part = await tool("get_file", path="/docs/notes.txt", ref="feature/x", start_line=2, end_line=3)
    assert (part["text"], part["start_line"], part["end_line"]) == ("two\nthree", 2, 3)
    assert "next_start_line" not in part
    assert sent(api_github)[-1].url.params["ref"] == "feature/x"


def content(text: bytes, **changes: Any) -> Any:
    return recorded("content", content=base64.encodebytes(text).decode(), size=len(text), **changes)


async def test_a_long_file_is_read_on_where_it_was_cut(tool: Tool, api_github: respx.MockRouter) -> None:
    lines = [f"line {number}" for number in range(1, 3001)]
    api_github.get(f"{REPO}/contents/log").respond(json=content("\n".join(lines).encode()))
    seen: list[str] = []
    start: int | None = 1
    while start is not None:
        part = await tool("get_file", path="log", start_line=start)
        assert len(part["text"]) <= 8000
        seen += part["text"].split("\n")
        start = part.get("next_start_line")
    assert seen == lines


async def test_one_endless_line_is_cut_and_marked(tool: Tool, api_github: respx.MockRouter) -> None:
    api_github.get(f"{REPO}/contents/app.min.js").respond(json=content(b"x" * 20_000 + b"\nend"))
    part = await tool("get_file", path="app.min.js")
    assert (len(part["text"]), part["line_cut"], part["next_start_line"]) == (8000, True, 2)


async def test_lines_that_fill_the_result_exactly_are_whole(tool: Tool, api_github: respx.MockRouter) -> None:
    api_github.get(f"{REPO}/contents/full").respond(json=content(b"a" * 3999 + b"\n" + b"b" * 4000))
    part = await tool("get_file", path="full")
    assert (len(part["text"]), part["end_line"]) == (8000, 2)
    assert not {"next_start_line", "line_cut"} & part.keys()


async def test_an_empty_file_is_empty(tool: Tool, api_github: respx.MockRouter) -> None:
    api_github.get(f"{REPO}/contents/empty").respond(json=content(b""))
    part = await tool("get_file", path="empty")
    assert (part["text"], part["total_lines"], part["end_line"]) == ("", 0, 0)


async def test_a_file_over_one_megabyte_is_read_as_a_blob(tool: Tool, api_github: respx.MockRouter) -> None:
    big = recorded("content", content="", encoding="none", size=2_000_000, path="yarn.lock")
    api_github.get(f"{REPO}/contents/yarn.lock").respond(json=big)
    api_github.get(f"{REPO}/git/blobs/{big['sha']}").respond(
        json={"content": base64.b64encode(b"first\nsecond\n").decode(), "encoding": "base64", "size": 2_000_000}
    )
    part = await tool("get_file", path="yarn.lock", start_line=2)
    assert part["text"] == "second"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (content(b"\x89PNG\r\n\x1a\n\x00\x00"), "binary"),
        (content("größe".encode("latin-1")), "no UTF-8"),
        (recorded("content", content="", encoding="none", size=60_000_000), "at most 5000000"),
        (recorded("content", type="submodule", content=None, encoding=None), "submodule"),
        (recorded("content", type="dir", content=None, encoding=None, entries=[{"name": "a.py"}]), "is a directory"),
    ],
)
async def test_what_is_no_readable_text_file_is_said_to_be_so(
    refused: Refusal, api_github: respx.MockRouter, answer: Any, words: str
) -> None:
    api_github.get(f"{REPO}/contents/thing").respond(json=answer)
    error = await refused("get_file", path="thing")
    assert error.code is Code.INVALID_INPUT
    assert words in error.message
    assert "docs/notes.txt" in error.message


async def test_the_names_in_a_directory_are_quoted_as_foreign_text(
    refused: Refusal, api_github: respx.MockRouter
) -> None:
    entries = [{"name": "a.py"}, {"name": 'b\n"c'}]
    api_github.get(f"{REPO}/contents/src").respond(json=recorded("content", type="dir", entries=entries))
    assert (await refused("get_file", path="src")).provider_message == "a.py, b 'c"


async def test_content_that_is_not_base64_is_a_changed_contract(refused: Refusal, api_github: respx.MockRouter) -> None:
    api_github.get(f"{REPO}/contents/thing").respond(json=recorded("content", content="%%%"))
    assert (await refused("get_file", path="thing")).code is Code.CONTRACT_CHANGED


@pytest.mark.parametrize(
    ("lines", "words"), [({"start_line": 9}, "has 4 lines"), ({"start_line": 3, "end_line": 2}, "before start_line")]
)
async def test_lines_that_are_not_there_are_refused(
    refused: Refusal, api_github: respx.MockRouter, lines: dict[str, int], words: str
) -> None:
    api_github.get(f"{REPO}/contents/docs/notes.txt").respond(json=recorded("content"))
    assert words in (await refused("get_file", path="docs/notes.txt", **lines)).message


@pytest.mark.parametrize(
    ("arguments", "raw_path"),
    [
        ({"owner": "a/b"}, b"/repos/a%2Fb/Hello-World/issues/1"),
        ({"repo": "x?state=all#"}, b"/repos/octocat/x%3Fstate%3Dall%23/issues/1"),
        ({"repo": "..%2f..%2fuser"}, b"/repos/octocat/..%252f..%252fuser/issues/1"),
        ({"owner": "@evil.example:80"}, b"/repos/%40evil.example%3A80/Hello-World/issues/1"),
    ],
)
async def test_a_name_that_tries_to_leave_its_place_in_the_path_stays_there(
    refused: Refusal, api_github: respx.MockRouter, arguments: dict[str, str], raw_path: bytes
) -> None:
    api_github.route().respond(404, json={"message": "Not Found"})
    assert (await refused("get_issue", number=1, **arguments)).code is Code.NOT_FOUND
    assert sent(api_github)[-1].url.raw_path == raw_path
    assert sent(api_github)[-1].url.host == "api.github.com"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("get_issue", {"owner": "..", "number": 1}),
        ("get_issue", {"owner": "../user", "number": 1}),
        ("get_issue", {"owner": "\\..\\user", "number": 1}),
        ("get_issue", {"repo": ".", "number": 1}),
        ("get_issue", {"owner": "", "number": 1}),
        ("get_issue", {"owner": "a\nb", "number": 1}),
        ("get_file", {"path": "../../../../user"}),
        ("get_file", {"path": "docs/../../x"}),
        ("get_file", {"path": "docs//x"}),
        ("get_file", {"path": ""}),
    ],
)
async def test_a_path_that_climbs_is_refused_before_anything_is_sent(
    refused: Refusal, api_github: respx.MockRouter, name: str, arguments: dict[str, Any]
) -> None:
    assert (await refused(name, **arguments)).code is Code.INVALID_INPUT
    assert not api_github.calls


async def test_the_characters_of_a_file_name_reach_github_quoted(tool: Tool, api_github: respx.MockRouter) -> None:
    api_github.route().respond(json=recorded("content"))
    await tool("get_file", path="docs/what? #1 ü.md")
    assert sent(api_github)[-1].url.raw_path == b"/repos/octocat/Hello-World/contents/docs/what%3F%20%231%20%C3%BC.md"
