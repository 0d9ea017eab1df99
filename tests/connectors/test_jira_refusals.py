"""Jira refuses, or its answer is lost: the right code, outcome and next step, and nothing done twice."""

import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest
import respx
from tests.connectors.calling import Calling, Tool
from tests.connectors.jira_site import ADA, ISSUE, SITE, asked, issue, requests, said, sent
from tests.people import Person

from clew import Secret, events
from clew.connectors.jira import jira
from clew.core.api import Api
from clew.core.connection import Connection
from clew.core.connector import Effect
from clew.core.deadline import Deadline
from clew.core.errors import CallError, Code, Outcome
from clew.core.exchange import Trail
from clew.core.host import SilentHost
from clew.core.journal import Journal, State
from clew.core.webhooks import Event, Refusal, verify
from clew.core.webhooks.signing import sign

pytestmark = pytest.mark.anyio

Refused = Callable[..., Awaitable[CallError]]
LOST = httpx.ReadTimeout("slow")
SEARCH, PEOPLE = "/rest/api/3/search/jql", "/rest/api/3/user/assignable/search"


@pytest.fixture(autouse=True)
def patient(call: Calling) -> None:
    """Looks begin after seconds, which pass at once here but must be within the deadline."""
    call.seconds = 60


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


@pytest.fixture
def refused(run: Tool) -> Refused:
    async def refused(name: str, **arguments: Any) -> CallError:
        with pytest.raises(CallError) as caught:
            await run(name, **arguments)
        return caught.value

    return refused


@pytest.mark.parametrize(
    ("status", "answer", "code", "step"),
    [
        (404, said("Issue does not exist or you do not have permission to see it."), Code.NOT_FOUND, "search_issues"),
        (400, said("The issue is archived."), Code.CONFLICT, "administrator"),
        (400, said(priority="The priority selected is invalid."), Code.INVALID_INPUT, ""),
        (400, said("It seems that you have tried an illegal workflow operation."), Code.CONFLICT, "list_transitions"),
        (403, said("You do not have permission to edit issues in this project."), Code.PERMISSION, ""),
        (409, said("The issue was changed meanwhile."), Code.CONFLICT, ""),
    ],
)
async def test_a_refused_change_says_what_to_do(
    refused: Refused, api: respx.MockRouter, status: int, answer: dict[str, Any], code: Code, step: str
) -> None:
    api.put(ISSUE).respond(status, json=answer)
    error = await refused("update_issue", issue="ABC-1", summary="New")
    assert (error.code, error.outcome) == (code, Outcome.NOT_APPLIED)
    assert step in error.next_step


@pytest.mark.parametrize(
    ("sentence", "step"),
    [
        ("The value 'NOPE' does not exist for the field 'project'.", "list_projects"),
        ("Unbounded JQL queries are not allowed here. Please add a search restriction to your query.", "project = ABC"),
        ("Error in the JQL Query: Expecting operator but got 'is'.", "JQL"),
        ("Field 'colour' does not exist or you do not have permission to view it.", "JQL"),
    ],
)
async def test_a_refused_search_says_what_to_do(
    refused: Refused, api: respx.MockRouter, sentence: str, step: str
) -> None:
    api.get(SEARCH).respond(400, json=said(sentence))
    error = await refused("search_issues", jql="project = NOPE")
    assert error.code is Code.INVALID_INPUT
    assert step in error.next_step


async def test_wrong_fields_are_named_as_the_tool_names_them(refused: Refused, api: respx.MockRouter) -> None:
    faults = {"issuetype": "Specify a valid issue type", "duedate": "Bad", "<b>odd</b>": "left out"}
    api.post("/rest/api/3/issue").respond(400, json=said(**faults))
    error = await refused("create_issue", project="ABC", issue_type="Bgu", summary="x")
    assert (error.code, error.outcome) == (Code.INVALID_INPUT, Outcome.NOT_APPLIED)
    assert error.message == "jira rejected the arguments: issue_type, due_date."
    assert "get_project" in error.next_step
    assert error.fields == {"issuetype": "Specify a valid issue type", "duedate": "Bad"}


async def test_what_is_no_list_of_faults_names_no_field(refused: Refused, api: respx.MockRouter) -> None:
    api.post("/rest/api/3/issue").respond(400, json=["odd"])
    error = await refused("create_issue", project="ABC", issue_type="Bug", summary="x")
    assert (error.code, error.fields) == (Code.INVALID_INPUT, {})


async def test_points_that_are_used_up_are_not_waited_for(refused: Refused, api: respx.MockRouter) -> None:
    headers = {"RateLimit-Reason": "jira-quota-tenant-based", "Retry-After": "1847"}
    route = api.get(ISSUE).respond(429, headers=headers)
    error = await refused("get_issue", issue="ABC-1")
    assert (error.code, error.retry_after, route.call_count) == (Code.QUOTA_EXHAUSTED, 1847, 1)


async def test_a_grant_that_is_revoked_between_pages_ends_with_that(
    run: Tool, refused: Refused, api: respx.MockRouter
) -> None:
    route = api.get(SEARCH)
    gone = httpx.Response(401, json={"code": 401, "message": "Unauthorized"})
    route.side_effect = [httpx.Response(200, json={"issues": [issue()], "nextPageToken": "t2"}), gone, gone]
    page = await run("search_issues", jql="project = ABC")
    error = await refused("search_issues", jql="project = ABC", cursor=page["next_cursor"])
    assert error.code is Code.AUTH_REVOKED
    assert "jira" in error.next_step
    assert route.call_count == 3


async def test_an_expired_token_is_no_empty_search(refused: Refused, api: respx.MockRouter) -> None:
    headers = {"X-Seraph-LoginReason": "AUTHENTICATED_FAILED"}
    api.get(SEARCH).respond(200, json={"issues": []}, headers=headers)
    assert (await refused("search_issues", jql="project = ABC")).code is Code.AUTH_REVOKED


async def test_a_name_of_two_people_is_nobodys(refused: Refused, api: respx.MockRouter) -> None:
    route = api.get(PEOPLE).respond(json=[ADA, {"accountId": "557058:1", "displayName": "Ada Byron"}])
    error = await refused("assign_issue", issue="ABC-1", assignee="ada")
    assert (error.code, error.outcome) == (Code.INVALID_INPUT, Outcome.NOT_APPLIED)
    assert error.message.startswith("2 people fit")
    assert "search_assignees" in error.next_step
    route.respond(json=[])
    assert (await refused("assign_issue", issue="ABC-1", assignee="nobody")).code is Code.NOT_FOUND


async def test_an_issue_that_another_has_changed_is_left_alone(
    run: Tool, refused: Refused, api: respx.MockRouter
) -> None:
    api.get(ISSUE).respond(json=issue())
    route = api.put(ISSUE).respond(204)
    error = await refused("update_issue", issue="ABC-1", summary="New", updated="2026-01-01T09:00:00.000+0000")
    assert (error.code, error.outcome, route.call_count) == (Code.CONFLICT, Outcome.NOT_APPLIED, 0)
    assert "get_issue" in error.next_step
    await run("update_issue", issue="ABC-1", summary="New", updated="2026-01-02T10:00:00.000+0000")
    assert route.call_count == 1


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("create_issue", {"project": "ABC", "issue_type": "Bug", "summary": "x", "due_date": "2020-01-01"}),
        ("create_issue", {"project": "ABC", "issue_type": "Bug", "summary": "x", "fields": {"summary": "y"}}),
        ("create_issue", {"project": "ABC OR 1=1", "issue_type": "Bug", "summary": "x"}),
        ("update_issue", {"issue": "ABC-1"}),
        ("update_issue", {"issue": "../project/ABC", "summary": "x"}),
        ("search_assignees", {"query": "ada"}),
        ("search_assignees", {"query": "ada", "issue": "ABC-1", "project": "ABC"}),
        ("search_issues", {"jql": "project = ABC", "fields": ["a,b"]}),
    ],
)
async def test_bad_arguments_never_leave(
    refused: Refused, api: respx.MockRouter, name: str, arguments: dict[str, Any]
) -> None:
    error = await refused(name, **arguments)
    assert (error.code, error.outcome) == (Code.INVALID_INPUT, Outcome.NOT_APPLIED)
    assert requests(api) == []


async def end_of(journal: Journal) -> tuple[State, str | None]:
    (row,) = await journal.rows()
    return row.state, row.settled_by


def ours(route: respx.Route) -> dict[str, str]:
    """The property with our mark in what was sent last."""
    found: dict[str, str] = sent(route)["properties"][0]
    assert found["value"].startswith("clew-")
    return found


async def test_a_created_issue_is_found_by_its_mark(run: Tool, api: respx.MockRouter, journal: Journal) -> None:
    posted = api.post("/rest/api/3/issue").mock(side_effect=LOST)
    looked = api.get(SEARCH)

    def listed(request: httpx.Request) -> httpx.Response:
        other = {"id": "3", "key": "ABC-3", "properties": {"clew": "clew-of-another"}}
        mine = {"id": "2", "key": "ABC-2", "properties": {"clew": ours(posted)["value"]}}
        return httpx.Response(200, json={"issues": [{"id": "4", "key": "ABC-4"}, other, mine]})

    looked.side_effect = listed
    assert await run("create_issue", project="ABC", issue_type="Bug", summary="x") == {"key": "ABC-2", "id": "2"}
    assert await end_of(journal) == (State.APPLIED, "look")
    assert posted.call_count == 1
    assert asked(looked)["properties"] == "clew"


async def test_an_issue_that_the_search_does_not_know_yet_is_unknown_and_not_made_again(
    refused: Refused, api: respx.MockRouter, journal: Journal
) -> None:
    posted = api.post("/rest/api/3/issue").mock(side_effect=LOST)
    looked = api.get(SEARCH).respond(json={"issues": []})
    for _ in range(2):
        error = await refused("create_issue", project="ABC", issue_type="Bug", summary="x")
        assert (error.code, error.outcome) == (Code.OUTCOME_UNKNOWN, Outcome.UNKNOWN)
    assert (await end_of(journal))[0] is State.UNKNOWN
    assert posted.call_count == 1
    assert looked.call_count >= 3


@pytest.mark.parametrize("there", [True, False])
async def test_a_comment_is_found_by_its_mark(
    run: Tool, refused: Refused, api: respx.MockRouter, journal: Journal, there: bool
) -> None:
    posted = api.post(f"{ISSUE}/comment").mock(side_effect=LOST)
    looked = api.get(f"{ISSUE}/comment")

    def listed(request: httpx.Request) -> httpx.Response:
        other = {"id": "6", "properties": [{"key": "clew", "value": "clew-of-another"}]}
        mine: dict[str, Any] = {"id": "7", "properties": [{"key": "sd.public.comment", "value": {}}, ours(posted)]}
        return httpx.Response(200, json={"comments": [other, mine] if there else [other]})

    looked.side_effect = listed
    if there:
        assert await run("add_comment", issue="ABC-1", text="Hello") == {"id": "7"}
        assert await end_of(journal) == (State.APPLIED, "look")
    else:
        assert (await refused("add_comment", issue="ABC-1", text="Hello")).outcome is Outcome.NOT_APPLIED
        assert await end_of(journal) == (State.NOT_APPLIED, "look")
    assert posted.call_count == 1
    assert asked(looked)["expand"] == "properties"


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("name", ["update_issue", "transition_issue"])
async def test_a_change_is_found_in_the_history_by_its_mark(
    run: Tool, refused: Refused, api: respx.MockRouter, journal: Journal, name: str, there: bool
) -> None:
    moves = name == "transition_issue"
    changed = api.post(f"{ISSUE}/transitions") if moves else api.put(ISSUE)
    changed.mock(side_effect=LOST)

    def shown(request: httpx.Request) -> httpx.Response:
        history = [{"id": "1"}, {"id": "2", "historyMetadata": {"extraData": {"clew": "clew-of-another"}}}]
        if request.url.params.get("expand") == "changelog" and there:
            history.append({"id": "3", "historyMetadata": sent(changed)["historyMetadata"]})
        return httpx.Response(200, json={**issue(), "transitions": [], "changelog": {"histories": history}})

    api.get(ISSUE).side_effect = shown
    arguments: dict[str, Any] = {"transition_id": "31", "host": Person()} if moves else {"summary": "New"}
    if there:
        assert (await run(name, issue="ABC-1", **arguments))["key"] == "ABC-1"
        assert await end_of(journal) == (State.APPLIED, "look")
    else:
        assert (await refused(name, issue="ABC-1", **arguments)).outcome is Outcome.NOT_APPLIED
        assert await end_of(journal) == (State.NOT_APPLIED, "look")
    assert changed.call_count == 1
    assert sent(changed)["historyMetadata"]["extraData"]["clew"].startswith("clew-")


async def test_an_assignment_is_made_again_and_leads_to_the_same(
    run: Tool, api: respx.MockRouter, journal: Journal
) -> None:
    api.get(ISSUE).respond(json=issue())
    put = api.put(f"{ISSUE}/assignee").mock(side_effect=[LOST, httpx.Response(204)])
    await run("assign_issue", issue="ABC-1", assignee=ADA["accountId"])
    assert (await end_of(journal))[0] is State.APPLIED
    assert put.call_count == 2


async def test_a_deletion_whose_answer_is_lost_is_done_when_the_issue_is_gone(
    refused: Refused, api: respx.MockRouter, journal: Journal
) -> None:
    api.get(ISSUE).respond(json=issue())
    gone = httpx.Response(404, json=said("Issue does not exist or you do not have permission to see it."))
    deleted = api.delete(ISSUE).mock(side_effect=[LOST, gone])
    error = await refused("delete_issue", issue="ABC-1", host=Person())
    assert (error.code, error.outcome) == (Code.ALREADY_DONE, Outcome.APPLIED)
    assert (await end_of(journal))[0] is State.APPLIED
    assert deleted.call_count == 2


def client(call: Calling) -> Api:
    return Api(call.wire(jira, SITE), Deadline.after(5), Trail(), Effect.WRITE, SilentHost())


async def test_a_webhook_is_made_with_our_secret_looked_at_and_removed(call: Calling, api: respx.MockRouter) -> None:
    assert jira.subscription is not None
    hooks = "/rest/webhooks/1.0/webhook"
    made = api.post(hooks).respond(201, json={"self": f"{SITE}{hooks}/72", "enabled": True})
    where = {"jql": "project = ABC"}
    wish = events.Wish(url="https://in.example/jira", secret=Secret("s3cret"), where=where)
    subscribed = await jira.subscription.create(client(call), wish)
    assert subscribed.id == "72"
    assert sent(made) == {
        "name": "clew",
        "url": "https://in.example/jira",
        "events": ["jira:issue_created", "jira:issue_updated", "jira:issue_deleted", "comment_created"],
        "filters": {"issue-related-events-section": "project = ABC"},
        "excludeBody": False,
        "secret": "s3cret",
    }
    looked = api.get(f"{hooks}/72")
    looked.side_effect = [httpx.Response(200, json={"enabled": False}), httpx.Response(404)]
    found = await jira.subscription.check(client(call), "72", where)
    assert found is not None
    assert (found.active, found.why) == (False, "it is switched off")
    assert await jira.subscription.check(client(call), "72", where) is None
    removed = api.delete(f"{hooks}/72").respond(204)
    await jira.subscription.remove(client(call), "72", where)
    assert removed.call_count == 1


async def test_a_webhook_without_an_id_is_a_changed_contract(call: Calling, api: respx.MockRouter) -> None:
    assert jira.subscription is not None
    api.post("/rest/webhooks/1.0/webhook").respond(201, json={})
    with pytest.raises(CallError) as caught:
        await jira.subscription.create(client(call), events.Wish(url="https://in.example", secret=Secret("s")))
    assert (caught.value.code, caught.value.outcome) == (Code.CONTRACT_CHANGED, Outcome.APPLIED)


async def test_a_delivery_of_the_site_says_what_happened_to_which_issue() -> None:
    assert jira.events is not None
    data = {"timestamp": 1767225600000, "webhookEvent": "jira:issue_updated", "issue": {"id": "1", "key": "ABC-1"}}
    (scheme,) = jira.webhook_schemes
    delivery = sign(scheme, json.dumps(data).encode(), "s3cret", now=1767225600.0)
    event = verify(scheme, delivery, [Secret("s3cret")], now=1767225600.0)
    assert isinstance(event, Event)
    (read,) = jira.events.read(Connection("local", "jira", "work"), event)
    assert (read.type, read.reference, read.order) == ("jira:issue_updated", "ABC-1", "1")
    assert isinstance(verify(scheme, delivery, [Secret("another")], now=1767225600.0), Refusal)
