"""Linear: every request is held against the provider's schema before it is answered, and what is made of the answer."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from graphql import build_schema, parse, validate
from graphql.execution.values import get_variable_values
from graphql.language import OperationDefinitionNode
from tests.connectors.calling import Calling
from tests.people import Person

from clew.connectors.linear import linear
from clew.core.errors import CallError, Code, Outcome
from clew.core.events import Wish
from clew.core.host import SilentHost
from clew.core.journal import Journal, State
from clew.core.secret import Secret

pytestmark = pytest.mark.anyio

SCHEMA = build_schema((Path(__file__).parent / "data" / "linear" / "schema.graphql").read_text())
TEAM, STATE, USER, LABEL, PROJECT, ISSUE = (f"{number}f8fad5b-d9cb-469f-a165-70867728950e" for number in range(6))
LOST = httpx.ReadTimeout("slow")
URL = "https://linear.app/acme/issue/ENG-7"
LINE = {
    "id": ISSUE, "identifier": "ENG-7", "title": "Printer on fire", "state": {"name": "Todo"}, "assignee": None,
    "priorityLabel": "High", "dueDate": None, "updatedAt": "2026-01-02T00:00:00.000Z", "archivedAt": None, "url": URL,
}  # fmt: skip
SAVED: dict[str, Any] = {
    "id": ISSUE, "identifier": "ENG-7", "title": "Printer on fire", "state": {"name": "Todo"}, "assignee": None,
    "labels": {"nodes": [{"name": "bug"}]}, "updatedAt": "2026-01-02T00:00:00.000Z", "url": URL,
}  # fmt: skip
STANDING = {"id": ISSUE, "updatedAt": "2026-01-02T00:00:00.000Z", "archivedAt": None, "team": {"id": TEAM}}
COMMENT = {"id": "c1", "body": "Hot.", "createdAt": "2026-01-01T00:00:00Z", "parentId": None, "user": None}
WHOLE: dict[str, Any] = {
    **LINE, "description": "x" * 9000, "estimate": 3, "branchName": "ada/eng-7", "createdAt": "2026-01-01T00:00:00Z",
    "state": {"name": "Todo", "type": "unstarted"}, "team": {"key": "ENG"}, "creator": {"displayName": "ada"},
    "project": {"name": "Fire"}, "cycle": None, "parent": {"identifier": "ENG-1"},
    "labels": {"nodes": [{"name": "bug"}]},
    "children": {"nodes": []}, "comments": {"nodes": [COMMENT], "pageInfo": {"hasNextPage": True, "endCursor": "c"}},
}  # fmt: skip


def refusal(message: str, *, status: int = 400, headers: dict[str, str] | None = None, **facts: Any) -> httpx.Response:
    error = {"message": message, "path": ["x"], "extensions": facts}
    return httpx.Response(status, json={"errors": [error], "data": None}, headers=headers)


GONE = refusal("Entity not found: Issue", type="invalid input", code="INPUT_ERROR")


def page(nodes: list[Any], following: str | None = None) -> dict[str, Any]:
    return {"nodes": nodes, "pageInfo": {"hasNextPage": following is not None, "endCursor": following}}


class Provider:
    """Answers operations by name, one after the other; the last answer stays. Refuses what Linear's schema refuses."""

    def __init__(self, connected: Calling) -> None:
        self.connected = connected
        self.answers: dict[str, list[Any]] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.agrees = Person()

    def says(self, name: str, *answers: Any) -> None:
        self.answers[name] = list(answers)

    def asked_for(self, name: str) -> list[dict[str, Any]]:
        return [variables for asked, variables in self.asked if asked == name]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        document = parse(body["query"])
        assert validate(SCHEMA, document) == []
        (operation,) = document.definitions
        assert isinstance(operation, OperationDefinitionNode)
        coerced = get_variable_values(SCHEMA, operation.variable_definitions or (), body["variables"])
        assert not isinstance(coerced, list), coerced
        declared = {each.variable.name.value for each in operation.variable_definitions or ()}
        assert set(body["variables"]) <= declared
        assert operation.name is not None
        self.asked.append((operation.name.value, body["variables"]))
        answers = self.answers[operation.name.value]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json={"data": answer})

    async def tool(self, name: str, /, **arguments: Any) -> dict[str, Any]:
        found: dict[str, Any] = await self.connected(linear, name, arguments, host=self.agrees)
        return found

    async def refused(self, name: str, /, **arguments: Any) -> CallError:
        with pytest.raises(CallError) as caught:
            await self.tool(name, **arguments)
        return caught.value


@pytest.fixture
def api(call: Calling) -> Iterator[Provider]:
    provider = Provider(call)
    with respx.mock(base_url="https://api.linear.app") as router:
        router.post("/graphql").mock(side_effect=provider)
        yield provider


async def test_a_search_says_what_it_wants_and_goes_on_to_the_end(api: Provider) -> None:
    api.says("SearchIssues", {"searchIssues": page([LINE], "a")}, {"searchIssues": page([LINE])})
    given = {"text": "fire", "team": "eng", "state": "open", "assignee": "me", "label": "bug", "project": "Fire"}
    first = await api.tool("search_issues", **given, updated_since="2026-01-01T00:00:00Z")
    last = await api.tool("search_issues", **given, cursor=first["next_cursor"])
    assert first["items"] == [
        {
            "identifier": "ENG-7",
            "title": "Printer on fire",
            "state": "Todo",
            "priority": "High",
            "updated_at": "2026-01-02T00:00:00.000Z",
            "url": URL,
        }
    ]
    assert "next_cursor" not in last
    sent = api.asked_for("SearchIssues")
    assert sent[0] == {
        "term": "fire",
        "archived": False,
        "first": 25,
        "filter": {
            "team": {"key": {"eqIgnoreCase": "eng"}},
            "state": {"type": {"nin": ["completed", "canceled", "duplicate"]}},
            "assignee": {"isMe": {"eq": True}},
            "labels": {"some": {"name": {"eqIgnoreCase": "bug"}}},
            "project": {"name": {"eqIgnoreCase": "Fire"}},
            "updatedAt": {"gte": "2026-01-01T00:00:00Z"},
        },
    }
    assert sent[1]["after"] == "a"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"assignee": "none"}, {"assignee": {"null": True}}),
        ({"assignee": "a@b.example"}, {"assignee": {"email": {"eqIgnoreCase": "a@b.example"}}}),
        (
            {"assignee": "ada"},
            {"assignee": {"or": [{"displayName": {"eqIgnoreCase": "ada"}}, {"name": {"eqIgnoreCase": "ada"}}]}},
        ),
        ({"assignee": USER}, {"assignee": {"id": {"eq": USER}}}),
        ({"team": TEAM, "project": PROJECT}, {"team": {"id": {"eq": TEAM}}, "project": {"id": {"eq": PROJECT}}}),
        ({"state": "In Review"}, {"state": {"name": {"eqIgnoreCase": "In Review"}}}),
    ],
)
async def test_without_words_the_newest_changes_are_listed(
    api: Provider, given: dict[str, Any], sent: dict[str, Any]
) -> None:
    api.says("ListIssues", {"issues": page([])})
    assert (await api.tool("search_issues", **given))["items"] == []
    assert api.asked_for("ListIssues")[0]["filter"] == sent


async def test_my_issues_are_the_open_ones_unless_all_are_wanted(api: Provider) -> None:
    api.says("MyIssues", {"viewer": {"assignedIssues": page([LINE])}})
    await api.tool("list_my_issues")
    await api.tool("list_my_issues", state="all")
    first, second = api.asked_for("MyIssues")
    assert (first["filter"], second["filter"]) == (
        {"state": {"type": {"nin": ["completed", "canceled", "duplicate"]}}},
        {},
    )


async def test_an_issue_comes_with_its_first_comments(api: Provider) -> None:
    api.says("GetIssue", {"issue": WHOLE})
    found = await api.tool("get_issue", issue="ENG-7")
    assert api.asked_for("GetIssue") == [{"id": "ENG-7"}]
    assert len(found.pop("description")) == 8001
    assert found == {
        "id": ISSUE,
        "identifier": "ENG-7",
        "title": "Printer on fire",
        "state": "Todo",
        "state_type": "unstarted",
        "team": "ENG",
        "creator": "ada",
        "priority": "High",
        "estimate": 3,
        "labels": ["bug"],
        "project": "Fire",
        "parent": "ENG-1",
        "children": [],
        "branch": "ada/eng-7",
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-02T00:00:00.000Z",
        "url": URL,
        "comments": [{"id": "c1", "created_at": "2026-01-01T00:00:00Z", "body": "Hot."}],
        "more_comments": True,
    }


async def test_comments_teams_and_projects_are_listed(api: Provider) -> None:
    api.says("ListComments", {"issue": {"comments": page([COMMENT])}})
    assert (await api.tool("list_comments", issue="ENG-7"))["items"][0]["body"] == "Hot."
    team = {"id": TEAM, "key": "ENG", "name": "Engine", "states": {"nodes": [{"name": "Todo"}, {"name": "Done"}]}}
    api.says("ListTeams", {"teams": page([team])})
    assert (await api.tool("list_teams"))["items"] == [{**team, "states": ["Todo", "Done"]}]
    project = {
        "id": PROJECT, "name": "Fire", "progress": 0.5, "targetDate": "2026-03-01", "url": "u",
        "status": {"name": "Started"}, "lead": None, "teams": {"nodes": [{"key": "ENG"}]},
    }  # fmt: skip
    api.says("ListProjects", {"projects": page([project])})
    (line,) = (await api.tool("list_projects", name="fi", team="ENG"))["items"]
    assert (line["status"], line["teams"], line["target_date"]) == ("Started", ["ENG"], "2026-03-01")
    assert api.asked_for("ListProjects")[0]["filter"] == {
        "name": {"containsIgnoreCase": "fi"},
        "accessibleTeams": {"some": {"key": {"eqIgnoreCase": "ENG"}}},
    }


NAMES = {
    "workflowStates": {"nodes": [{"id": STATE, "name": "Todo"}]},
    "issueLabels": {"nodes": [{"id": LABEL, "name": "Bug"}]},
    "users": {"nodes": [{"id": USER, "displayName": "ada", "email": "ada@acme.example"}]},
    "projects": {"nodes": [{"id": PROJECT, "name": "Fire"}]},
}
WANTED: dict[str, Any] = {"team": "ENG", "title": "Printer on fire"}


async def test_an_issue_is_made_from_what_people_call_things(api: Provider) -> None:
    engine = {"id": TEAM, "key": "ENG", "name": "Engine"}
    api.says("Team", {"teams": {"nodes": [engine, {"id": USER, "key": "X", "name": "Eng"}]}})  # a key wins over a name
    api.says("Names", NAMES)
    api.says("CreateIssue", {"issueCreate": {"success": True, "issue": SAVED}})
    made = await api.tool(
        "create_issue", **WANTED, description="Help", state="todo", assignee="ada@acme.example", priority="urgent",
        labels=["bug"], project="fire", parent=ISSUE, due_date="2999-01-01",
    )  # fmt: skip
    assert (made["identifier"], made["labels"]) == ("ENG-7", ["bug"])
    (names,) = api.asked_for("Names")
    assert names["states"] == {"name": {"eqIgnoreCase": "todo"}, "team": {"id": {"eq": TEAM}}}
    sent = api.asked_for("CreateIssue")[0]["input"]
    assert len(sent.pop("id")) == 36
    assert sent == {
        "teamId": TEAM,
        "title": "Printer on fire",
        "description": "Help",
        "stateId": STATE,
        "assigneeId": USER,
        "priority": 1,
        "labelIds": [LABEL],
        "projectId": PROJECT,
        "parentId": ISSUE,
        "dueDate": "2999-01-01",
    }


async def test_ids_need_no_look_up(api: Provider) -> None:
    api.says("CreateIssue", {"issueCreate": {"success": True, "issue": SAVED}})
    given = {"state": STATE, "assignee": USER, "labels": [LABEL], "project": PROJECT}
    await api.tool("create_issue", team=TEAM, title="x", **given)
    assert [name for name, _ in api.asked] == ["CreateIssue"]


@pytest.mark.parametrize(
    ("given", "names", "field", "why"),
    [
        ({"assignee": "ada"}, {"users": {"nodes": [{"id": "1"}, {"id": "2"}]}}, "assignee", "fits"),
        ({"assignee": "bob"}, {"users": {"nodes": []}}, "assignee", "does not exist"),
        ({"state": "Nowhere"}, {"workflowStates": {"nodes": []}}, "state", "does not exist"),
        ({"labels": ["bug", "nope"]}, {"issueLabels": NAMES["issueLabels"]}, "labels", "does not exist"),
    ],
)  # fmt: skip
async def test_a_name_that_fits_none_or_several_changes_nothing(
    api: Provider, given: dict[str, Any], names: dict[str, Any], field: str, why: str
) -> None:
    api.says("Names", names)
    error = await api.refused("create_issue", team=TEAM, title="x", **given)
    assert (error.code, error.outcome) == (Code.INVALID_INPUT, Outcome.NOT_APPLIED)
    assert why in error.fields[field]
    assert api.asked_for("CreateIssue") == []


async def test_an_unknown_team_and_a_date_in_the_past_change_nothing(api: Provider) -> None:
    api.says("Team", {"teams": {"nodes": []}})
    assert "list_teams" in (await api.refused("create_issue", **WANTED)).next_step
    for day in ("2020-01-01", "2026-02-31", "tomorrow"):
        error = await api.refused("create_issue", team=TEAM, title="x", due_date=day)
        assert (error.code, list(error.fields)) == (Code.INVALID_INPUT, ["due_date"])
    assert api.asked_for("CreateIssue") == []


async def test_a_change_sends_only_what_is_given(api: Provider) -> None:
    api.says("Standing", {"issue": STANDING})
    api.says("Names", {"issueLabels": {"nodes": [{"id": LABEL, "name": "bug"}, {"id": STATE, "name": "hot"}]}})
    api.says("UpdateIssue", {"issueUpdate": {"success": True, "issue": SAVED}})
    read_at = STANDING["updatedAt"]
    await api.tool(
        "update_issue", issue="ENG-7", assignee="none", add_labels=["bug"], remove_labels=["Hot"],
        unless_changed_since=read_at,
    )  # fmt: skip
    assert api.asked_for("UpdateIssue") == [
        {"id": ISSUE, "input": {"assigneeId": None, "addedLabelIds": [LABEL], "removedLabelIds": [STATE]}}
    ]


async def test_an_issue_that_is_archived_or_was_changed_meanwhile_is_left_alone(api: Provider) -> None:
    api.says("Standing", {"issue": {**STANDING, "archivedAt": "2026-01-01T00:00:00Z"}})
    error = await api.refused("update_issue", issue="ENG-7", title="x")
    assert (error.code, error.outcome, "restore" in error.next_step) == (Code.CONFLICT, Outcome.NOT_APPLIED, True)
    api.says("Standing", {"issue": STANDING})
    error = await api.refused("update_issue", issue="ENG-7", title="x", unless_changed_since="2026-01-01T00:00:00.000Z")
    assert (error.code, "get_issue" in error.next_step) == (Code.CONFLICT, True)
    assert (await api.refused("update_issue", issue="ENG-7")).code is Code.INVALID_INPUT
    assert api.asked_for("UpdateIssue") == []


async def test_an_unknown_issue_is_not_found(api: Provider) -> None:
    for name in ("GetIssue", "AddComment"):
        api.says(name, GONE)
    assert (await api.refused("get_issue", issue="ENG-999")).code is Code.NOT_FOUND
    error = await api.refused("add_comment", issue="ENG-999", body="x")
    assert (error.code, error.outcome) == (Code.NOT_FOUND, Outcome.NOT_APPLIED)


async def test_a_comment_is_added(api: Provider) -> None:
    api.says("AddComment", {"commentCreate": {"success": True, "comment": {"id": "c2", "url": "u"}}})
    assert await api.tool("add_comment", issue="ENG-7", body="Hi", reply_to="c1") == {"id": "c2", "url": "u"}
    sent = api.asked_for("AddComment")[0]["input"]
    assert len(sent.pop("id")) == 36
    assert sent == {"issueId": "ENG-7", "body": "Hi", "parentId": "c1"}


async def test_an_issue_is_shown_before_it_is_archived(api: Provider) -> None:
    api.says("GetIssue", {"issue": WHOLE})
    api.says("ArchiveIssue", {"issueArchive": {"success": True}})
    await api.tool("archive_issue", issue="ENG-7")
    assert api.agrees.asked[0].preview["title"] == "Printer on fire"
    assert api.asked_for("ArchiveIssue") == [{"id": "ENG-7"}]


async def test_a_mutation_that_did_nothing_is_no_success(api: Provider) -> None:
    api.says("GetIssue", {"issue": WHOLE})
    api.says("ArchiveIssue", {"issueArchive": {"success": False}})
    error = await api.refused("archive_issue", issue="ENG-7")
    assert (error.code, error.outcome) == (Code.CONFLICT, Outcome.NOT_APPLIED)
    told = 'a comment that says {"success": false}'
    api.says("AddComment", {"commentCreate": {"success": True, "comment": {"id": "c2", "url": told}}})
    assert (await api.tool("add_comment", issue="ENG-7", body=told))["url"] == told


@pytest.mark.parametrize("status", [200, 400, 429])
async def test_the_limit_is_told_by_its_code_and_its_end_in_milliseconds(api: Provider, status: int) -> None:
    reset = str(int((time.time() + 900) * 1000))
    said = {"X-RateLimit-Requests-Remaining": "0", "X-RateLimit-Requests-Reset": reset}
    api.says("ListTeams", refusal("Rate limit exceeded", status=status, code="RATELIMITED", headers=said))
    error = await api.refused("list_teams")
    assert error.code is Code.RATE_LIMITED
    assert error.retry_after is not None
    assert 890 < error.retry_after < 905


async def test_a_grant_that_is_revoked_between_two_pages(api: Provider) -> None:
    revoked = refusal("Authentication required", status=401, type="authentication error", code="AUTHENTICATION_ERROR")
    api.says("MyIssues", {"viewer": {"assignedIssues": page([LINE], "a")}}, revoked)
    first = await api.tool("list_my_issues")
    error = await api.refused("list_my_issues", cursor=first["next_cursor"])
    assert (error.code, error.outcome) == (Code.AUTH_REVOKED, Outcome.NOT_APPLIED)


TAKEN = refusal("Issue with id already exists", type="invalid input", code="INPUT_ERROR")
MADE: dict[str, Any] = {
    "create_issue": ("CreateIssue", "issueCreate", "issue", {"team": TEAM, "title": "x"}, "MadeIssue", SAVED),
    "add_comment": (
        "AddComment", "commentCreate", "comment", {"issue": "ENG-7", "body": "x"}, "MadeComment",
        {"id": "c2", "url": "u"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("tool", MADE)
@pytest.mark.parametrize("first", [LOST, httpx.Response(502)])
@pytest.mark.parametrize("second", [TAKEN, refusal("Argument Validation Error", type="invalid input")])
async def test_what_was_made_before_its_answer_was_lost_is_found_by_our_id(
    api: Provider, journal: Journal, tool: str, first: Any, second: Any
) -> None:
    mutation, _, thing, given, look, made = MADE[tool]
    api.says(mutation, first, second)
    api.says(look, {thing: made})
    assert (await api.tool(tool, **given))["id"] == made["id"]
    one, two = (sent["input"]["id"] for sent in api.asked_for(mutation))
    assert one == two == api.asked_for(look)[0]["id"]
    (row,) = await journal.rows()
    assert row.state is State.APPLIED


@pytest.mark.parametrize("tool", MADE)
async def test_what_was_not_made_is_made_by_the_repeat_with_the_same_id(
    api: Provider, journal: Journal, tool: str
) -> None:
    mutation, payload, thing, given, _, made = MADE[tool]
    api.says(mutation, LOST, {payload: {"success": True, thing: made}})
    assert (await api.tool(tool, **given))["id"] == made["id"]
    one, two = (sent["input"]["id"] for sent in api.asked_for(mutation))
    assert one == two


async def test_a_change_whose_answer_is_lost_sets_the_same_state_again(api: Provider, journal: Journal) -> None:
    api.says("Standing", {"issue": STANDING})
    api.says("UpdateIssue", LOST, {"issueUpdate": {"success": True, "issue": SAVED}})
    await api.tool("update_issue", issue="ENG-7", priority="low")
    assert api.asked_for("UpdateIssue") == [{"id": ISSUE, "input": {"priority": 4}}] * 2


async def test_a_write_whose_answers_stay_lost_is_unknown_and_says_how_to_look(api: Provider, journal: Journal) -> None:
    api.says("UpdateIssue", LOST)
    api.says("Standing", {"issue": STANDING})
    error = await api.refused("update_issue", issue="ENG-7", priority="low")
    assert (error.code, error.outcome) == (Code.OUTCOME_UNKNOWN, Outcome.UNKNOWN)
    assert "it is not done twice" in error.next_step


async def test_who_is_connected(api: Provider, call: Calling) -> None:
    from clew.core.api import Api
    from clew.core.connector import Effect
    from clew.core.deadline import Deadline
    from clew.core.exchange import Trail

    def bound(effect: Effect) -> Api:
        return Api(call.wire(linear), Deadline.after(5), Trail(), effect, SilentHost())

    api.says("Account", {"viewer": {"email": "ada@acme.example", "organization": {"urlKey": "acme"}}})
    assert linear.identify is not None
    assert await linear.identify(bound(Effect.READ)) == "ada@acme.example in acme"

    hooks = linear.subscription
    assert hooks is not None
    api.says("CreateWebhook", {"webhookCreate": {"webhook": {"id": "w1"}}})
    wish = Wish(url="https://a.example/in", secret=Secret("s" * 32), types=("Issue",), where={"team": "all"})
    assert (await hooks.create(bound(Effect.WRITE), wish)).id == "w1"
    assert api.asked_for("CreateWebhook")[0]["input"]["allPublicTeams"] is True
    api.says("Webhook", {"webhook": {"id": "w1", "enabled": False}}, GONE)
    seen = await hooks.check(bound(Effect.READ), "w1", {})
    assert seen is not None
    assert not seen.active
    assert await hooks.check(bound(Effect.READ), "w1", {}) is None
    api.says("DeleteWebhook", {"webhookDelete": {"success": True}})
    await hooks.remove(bound(Effect.WRITE), "w1", {})
    assert api.asked_for("DeleteWebhook") == [{"id": "w1"}]
