"""Jira: what the tools send, and what they make of the answers."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import respx
from tests.connectors.calling import Calling, Tool
from tests.connectors.jira_site import ADA, ISSUE, SITE, asked, doc, issue, requests, sent
from tests.people import Person

from clew.connectors.jira import jira
from clew.connectors.jira.provider import points
from clew.core.api import Api
from clew.core.connector import Effect
from clew.core.deadline import Deadline
from clew.core.errors import CallError, Code, Outcome
from clew.core.exchange import Trail
from clew.core.host import SilentHost

pytestmark = pytest.mark.anyio


INTERNAL = {"key": "sd.public.comment", "value": {"internal": True}}


@pytest.fixture
def api() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url=SITE, assert_all_called=False) as router:
        yield router


@pytest.fixture
def run(call: Calling) -> Tool:
    async def run(name: str, **arguments: Any) -> dict[str, Any]:
        host = arguments.pop("host", None)
        result: dict[str, Any] = await call(jira, name, arguments, host=host, base_url=SITE)
        return result

    return run


def test_every_tool_has_an_effect_and_a_short_description() -> None:
    effects = {name: tool.effect for name, tool in jira.tools.items()}
    assert [name for name, effect in effects.items() if effect is Effect.DESTRUCTIVE] == ["delete_issue"]
    assert sorted(name for name, effect in effects.items() if effect is Effect.WRITE) == [
        "add_comment",
        "assign_issue",
        "create_issue",
        "transition_issue",
        "update_issue",
    ]
    assert len(effects) == 14
    assert all(len(tool.description) <= 120 for tool in jira.tools.values())


async def test_the_identity_is_the_address_or_else_the_name(call: Calling, api: respx.MockRouter) -> None:
    route = api.get("/rest/api/3/myself")
    route.side_effect = [httpx.Response(200, json=ADA), httpx.Response(200, json={**ADA, "emailAddress": ""})]
    client = Api(call.wire(jira, SITE), Deadline.after(5), Trail(), Effect.READ, SilentHost())
    assert jira.identify is not None
    assert await jira.identify(client) == "ada@example.com"
    assert await jira.identify(client) == "Ada Lovelace"


async def test_a_search_asks_for_few_fields_and_goes_on_to_the_end(run: Tool, api: respx.MockRouter) -> None:
    route = api.get("/rest/api/3/search/jql")
    custom = {"value": "Gold", "id": "3", "self": "https://x.example"}
    route.side_effect = [
        httpx.Response(200, json={"issues": [issue(customfield_1=custom)], "nextPageToken": "t2", "isLast": False}),
        httpx.Response(200, json={"issues": [issue("ABC-2", assignee=None, customfield_1=None)], "isLast": True}),
    ]
    page = await run("search_issues", jql="project = ABC", fields=["customfield_1"])
    assert asked(route) == {
        "jql": "project = ABC",
        "fields": "summary,status,issuetype,assignee,priority,updated,customfield_1",
        "maxResults": "25",
    }
    assert page["items"] == [
        {
            "key": "ABC-1",
            "summary": "Login fails",
            "status": "To Do",
            "type": "Bug",
            "assignee": "Ada Lovelace",
            "priority": "High",
            "updated": "2026-01-02T10:00:00.000+0000",
            "more": {"customfield_1": "Gold"},
        }
    ]
    last = await run("search_issues", jql="project = ABC", fields=["customfield_1"], cursor=page["next_cursor"])
    assert asked(route)["nextPageToken"] == "t2"
    assert "next_cursor" not in last
    assert "assignee" not in last["items"][0]


async def test_a_search_without_further_fields_shows_none(run: Tool, api: respx.MockRouter) -> None:
    api.get("/rest/api/3/search/jql").respond(json={"issues": [issue()]})
    page = await run("search_issues", jql="project = ABC")
    assert "more" not in page["items"][0]


async def test_an_issue_is_read_with_its_description_as_markdown(run: Tool, api: respx.MockRouter) -> None:
    bold = {"type": "text", "text": "always", "marks": [{"type": "strong"}]}
    described = {"version": 1, "type": "doc", "content": [{"type": "paragraph", "content": [bold]}]}
    other = {"key": "ABC-9", "fields": {"summary": "Session store", "status": {"name": "Done"}}}
    link = {"type": {"inward": "is blocked by", "outward": "blocks"}, "inwardIssue": other}
    found = issue(
        description=described,
        reporter={"displayName": "Grace Hopper"},
        labels=["web"],
        duedate="2026-02-01",
        parent={"key": "ABC-7"},
        subtasks=[{"key": "ABC-2"}],
        issuelinks=[link],
        created="2026-01-01T10:00:00.000+0000",
        resolution=None,
        customfield_2=doc("A note."),
    )
    route = api.get(ISSUE).respond(json=found)
    assert await run("get_issue", issue="ABC-1", fields=["customfield_2"]) == {
        "key": "ABC-1",
        "summary": "Login fails",
        "status": "To Do",
        "type": "Bug",
        "assignee": "Ada Lovelace",
        "assignee_id": ADA["accountId"],
        "reporter": "Grace Hopper",
        "priority": "High",
        "labels": ["web"],
        "due_date": "2026-02-01",
        "parent": "ABC-7",
        "subtasks": ["ABC-2"],
        "links": ["is blocked by ABC-9 (Done): Session store"],
        "created": "2026-01-01T10:00:00.000+0000",
        "updated": "2026-01-02T10:00:00.000+0000",
        "description": "**always**",
        "more": {"customfield_2": "A note."},
    }
    assert asked(route) == {
        "fields": "summary,status,issuetype,assignee,priority,updated,description,reporter,labels,created,duedate,"
        "resolution,parent,subtasks,issuelinks,customfield_2"
    }


async def test_a_long_description_is_cut_and_says_how_long_it_is(run: Tool, api: respx.MockRouter) -> None:
    api.get(ISSUE).respond(json=issue(description=doc("x" * 9000)))
    found = await run("get_issue", issue="ABC-1")
    assert found["description"] == "x" * 6000 + "…"
    assert found["description_length"] == 9000


async def test_comments_are_pages_newest_first(run: Tool, api: respx.MockRouter) -> None:
    route = api.get(f"{ISSUE}/comment")
    line = {
        "id": "1",
        "author": ADA,
        "created": "2026-01-02T10:00:00.000+0000",
        "body": doc("Hello"),
        "jsdPublic": True,
    }
    route.side_effect = [
        httpx.Response(200, json={"startAt": 0, "comments": [line] * 20}),
        httpx.Response(200, json={"startAt": 20, "comments": [{**line, "id": "21", "jsdPublic": False}]}),
    ]
    page = await run("get_comments", issue="ABC-1")
    assert asked(route) == {"orderBy": "-created", "maxResults": "20", "startAt": "0"}
    assert page["items"][0] == {
        "id": "1",
        "author": "Ada Lovelace",
        "created": "2026-01-02T10:00:00.000+0000",
        "text": "Hello",
    }
    last = await run("get_comments", issue="ABC-1", cursor=page["next_cursor"])
    assert asked(route)["startAt"] == "20"
    assert last["items"][0]["internal"] is True
    assert "next_cursor" not in last


async def test_projects_say_what_they_are(run: Tool, api: respx.MockRouter) -> None:
    line = {"key": "ABC", "name": "Alphabet", "projectTypeKey": "software", "archived": False, "id": "1"}
    route = api.get("/rest/api/3/project/search").respond(json={"values": [line, {**line, "archived": True}]})
    page = await run("list_projects", query="alp")
    assert page["items"][0] == {"key": "ABC", "name": "Alphabet", "kind": "software"}
    assert page["items"][1]["archived"] is True
    assert asked(route) == {"query": "alp", "orderBy": "key", "maxResults": "25", "startAt": "0"}
    types = [{"id": "1", "name": "Bug", "subtask": False}, {"id": "2", "name": "Sub-task", "subtask": True}]
    whole = {**line, "lead": ADA, "issueTypes": types, "components": [{"name": "Web"}], "description": ""}
    api.get("/rest/api/3/project/ABC").respond(json=whole)
    found = await run("get_project", project="ABC")
    assert found["issue_types"] == [{"name": "Bug"}, {"name": "Sub-task", "subtask": True}]
    assert (found["lead"], found["components"]) == ("Ada Lovelace", ["Web"])


async def test_transitions_name_where_they_lead_and_what_they_want(run: Tool, api: respx.MockRouter) -> None:
    fields = {
        "resolution": {"required": True, "hasDefaultValue": False},
        "priority": {"required": True, "hasDefaultValue": True},
        "comment": {"required": False},
    }
    ways = [
        {"id": "31", "name": "Close", "to": {"name": "Done"}, "fields": fields},
        {"id": "21", "name": "Start", "to": {"name": "In Progress"}, "fields": {}},
    ]
    route = api.get(ISSUE).respond(json={**issue(), "transitions": ways})
    assert await run("list_transitions", issue="ABC-1") == {
        "key": "ABC-1",
        "summary": "Login fails",
        "status": "To Do",
        "transitions": [
            {"id": "31", "name": "Close", "to": "Done", "required": ["resolution"]},
            {"id": "21", "name": "Start", "to": "In Progress"},
        ],
    }
    assert asked(route) == {"fields": "summary,status", "expand": "transitions,transitions.fields"}


async def test_an_issue_is_created_with_markdown_as_a_document(run: Tool, api: respx.MockRouter) -> None:
    route = api.post("/rest/api/3/issue").respond(201, json={"id": "10002", "key": "ABC-2", "self": "x"})
    due = (datetime.now(UTC) + timedelta(days=3)).date().isoformat()
    made = await run(
        "create_issue",
        project="ABC",
        issue_type="Bug",
        summary="Two\nlines",
        description="It **fails**.",
        labels=["web"],
        priority="High",
        assignee_id=ADA["accountId"],
        parent="ABC-7",
        due_date=due,
        fields={"customfield_1": 3},
    )
    assert made == {"key": "ABC-2", "id": "10002"}
    assert sent(route) == {
        "fields": {
            "project": {"key": "ABC"},
            "issuetype": {"name": "Bug"},
            "summary": "Two lines",
            "description": {
                "version": 1,
                "type": "doc",
                "content": [
                    {
                        "type": "paragraph",
                        "content": [
                            {"type": "text", "text": "It "},
                            {"type": "text", "text": "fails", "marks": [{"type": "strong"}]},
                            {"type": "text", "text": "."},
                        ],
                    }
                ],
            },
            "labels": ["web"],
            "priority": {"name": "High"},
            "assignee": {"accountId": ADA["accountId"]},
            "parent": {"key": "ABC-7"},
            "duedate": due,
            "customfield_1": 3,
        },
        "properties": [{"key": "clew", "value": ""}],
    }


async def test_a_comment_is_internal_unless_a_person_has_said_yes(run: Tool, api: respx.MockRouter) -> None:
    route = api.post(f"{ISSUE}/comment").respond(201, json={"id": "7", "created": "2026-01-02"})
    assert await run("add_comment", issue="ABC-1", text="Hello") == {"id": "7", "created": "2026-01-02"}
    assert sent(route) == {"body": doc("Hello"), "properties": [{"key": "clew", "value": ""}, INTERNAL]}
    person = Person()
    await run("add_comment", issue="ABC-1", text="Hello", to_customer=True, host=person)
    assert len(person.asked) == 1
    assert sent(route)["properties"] == [{"key": "clew", "value": ""}]
    with pytest.raises(CallError):
        await run("add_comment", issue="ABC-1", text="Hello", to_customer=True, host=Person(agrees=False))
    assert route.call_count == 2


async def test_an_update_sends_what_is_given_and_shows_the_issue_then(run: Tool, api: respx.MockRouter) -> None:
    api.get(ISSUE).respond(json=issue(summary="New"))
    route = api.put(ISSUE).respond(204)
    changed = await run("update_issue", issue="ABC-1", summary="New", labels=[])
    assert sent(route) == {"fields": {"summary": "New", "labels": []}, "historyMetadata": {"type": "clew"}}
    assert changed == {
        "key": "ABC-1",
        "summary": "New",
        "status": "To Do",
        "assignee": "Ada Lovelace",
        "updated": "2026-01-02T10:00:00.000+0000",
    }


async def test_a_transition_asks_a_person_and_shows_the_ways(run: Tool, api: respx.MockRouter) -> None:
    ways = [{"id": "31", "name": "Close", "to": {"name": "Done"}}]
    shown = api.get(ISSUE, params={"expand": "transitions,transitions.fields"})
    shown.respond(json={**issue(), "transitions": ways})
    api.get(ISSUE).respond(json=issue(status={"name": "Done"}))
    route = api.post(f"{ISSUE}/transitions").respond(204)
    person = Person()
    arguments = {"issue": "ABC-1", "transition_id": "31", "resolution": "Fixed"}
    changed = await run("transition_issue", **arguments, host=person)
    assert changed["status"] == "Done"
    assert sent(route) == {
        "transition": {"id": "31"},
        "historyMetadata": {"type": "clew"},
        "fields": {"resolution": {"name": "Fixed"}},
    }
    assert len(person.asked) == 1
    with pytest.raises(CallError):
        await run("transition_issue", **arguments, host=Person(agrees=False))
    assert route.call_count == 1


@pytest.mark.parametrize(("assignee", "account"), [(ADA["accountId"], ADA["accountId"]), (None, None)])
async def test_an_account_id_is_assigned_as_it_is(
    run: Tool, api: respx.MockRouter, assignee: str | None, account: str | None
) -> None:
    api.get(ISSUE).respond(json=issue())
    route = api.put(f"{ISSUE}/assignee").respond(204)
    await run("assign_issue", issue="ABC-1", assignee=assignee)
    assert sent(route) == {"accountId": account}


async def test_a_name_is_assigned_when_it_is_one_persons(run: Tool, api: respx.MockRouter) -> None:
    people = [ADA, {"accountId": "557058:1234", "displayName": "Ada Lovelace-King"}]
    found = api.get("/rest/api/3/user/assignable/search").respond(json=people)
    api.get(ISSUE).respond(json=issue())
    route = api.put(f"{ISSUE}/assignee").respond(204)
    await run("assign_issue", issue="ABC-1", assignee="ada lovelace")
    assert sent(route) == {"accountId": ADA["accountId"]}
    assert asked(found) == {"query": "ada lovelace", "issueKey": "ABC-1", "maxResults": "20"}


async def test_people_are_found_for_an_issue_or_a_project(run: Tool, api: respx.MockRouter) -> None:
    route = api.get("/rest/api/3/user/assignable/search").respond(json=[{**ADA, "active": True}])
    found: Any = await run("search_assignees", query="ada", project="ABC")
    assert asked(route) == {"query": "ada", "project": "ABC", "maxResults": "20"}
    person = {
        "account_id": ADA["accountId"],
        "name": "Ada Lovelace",
        "email": "ada@example.com",
        "active": True,
    }
    assert next(iter(found.values())) == [person]


async def test_a_deletion_is_shown_first_and_takes_subtasks_only_when_told(run: Tool, api: respx.MockRouter) -> None:
    api.get(ISSUE).respond(json=issue(subtasks=[{"key": "ABC-2"}], reporter=ADA))
    route = api.delete(ISSUE).respond(204)
    with pytest.raises(CallError) as caught:
        await run("delete_issue", issue="ABC-1", host=Person())
    assert (caught.value.code, route.call_count) == (Code.CONFLICT, 0)
    person = Person()
    await run("delete_issue", issue="ABC-1", with_subtasks=True, host=person)
    assert asked(route) == {"deleteSubtasks": "true"}
    assert "ABC-2" in str(person.asked)
    with pytest.raises(CallError):
        await run("delete_issue", issue="ABC-1", with_subtasks=True, host=Person(agrees=False))
    assert route.call_count == 1


async def test_a_write_that_is_done_is_not_called_failed_when_the_issue_cannot_be_read(
    run: Tool, api: respx.MockRouter
) -> None:
    api.get(ISSUE).respond(500)
    api.put(ISSUE).respond(204)
    with pytest.raises(CallError) as caught:
        await run("update_issue", issue="ABC-1", summary="New")
    assert caught.value.outcome is not Outcome.NOT_APPLIED


def test_points_are_one_for_a_request_and_one_for_each_object_that_is_read() -> None:
    def request(method: str, query: str = "") -> httpx.Request:
        return httpx.Request(method, f"{SITE}/rest/api/3/x{query}")

    assert points(request("POST")) == 1
    assert points(request("GET")) == 2
    assert points(request("GET", "?maxResults=25")) == 26
    assert points(request("GET", "?maxResults=all")) == 2


def test_what_is_left_of_the_hour_is_read_under_both_names() -> None:
    told = '"tenant-app-quota";r=17842;t=2107'
    for name in ("ratelimit", "beta-ratelimit"):
        news = [each.read({name: told}, 1_767_225_600.0) for each in jira.declared.signals]
        (found,) = [each for each in news if each is not None]
        assert (found.remaining, found.reset) == (17842, 2107.0)


async def test_a_token_without_scopes_is_for_the_site_itself(call: Calling) -> None:
    with respx.mock(base_url="https://acme.atlassian.net") as router:
        route = router.get("/rest/api/3/issue/ABC-1").respond(json=issue())
        await call(jira, "get_issue", {"issue": "ABC-1"}, base_url="https://acme.atlassian.net")
        assert requests(route)[0].headers["accept"] == "application/json"


def test_the_same_facts_hold_under_the_name_atlassian() -> None:
    from clew.connectors.atlassian import atlassian

    ours, theirs = jira.schemes[0], atlassian.schemes[0]
    for name in ("authorize_url", "token_url", "refresh_class", "grace_seconds", "token_errors"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert atlassian.tools == {}
