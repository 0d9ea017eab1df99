"""Salesforce: what the writing tools send, who is asked before, and that no write is done twice."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import respx
from tests.connectors.calling import Calling, Tool, failed
from tests.connectors.salesforce_org import (
    ADA,
    BASE,
    DEAL,
    LOST,
    ME,
    OPPORTUNITY,
    THEN,
    asked,
    end_of,
    me,
    refusal,
    row,
    sent,
)
from tests.people import Person

from clew.connectors.salesforce import salesforce
from clew.connectors.salesforce.changes import careful
from clew.core.errors import CallError, Code, Outcome
from clew.core.journal import Journal, State

pytestmark = pytest.mark.anyio


@pytest.fixture
def org() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url=BASE, assert_all_called=False) as router:
        yield router


@pytest.fixture
def tool(call: Calling, person: Person) -> Tool:
    return call.tool(salesforce, person, base_url=BASE, seconds=60)


# Writing.


async def test_a_record_is_created(tool: Tool, org: respx.MockRouter) -> None:
    route = org.post("/sobjects/Contact").respond(201, json={"id": ADA, "success": True, "errors": []})
    assert await tool("create_record", object="Contact", values={"LastName": "L", "HasOptedOutOfEmail": True}) == {
        "id": ADA,
        "created": True,
    }
    assert sent(route) == {"LastName": "L", "HasOptedOutOfEmail": True}


async def test_a_refusal_is_told_in_the_words_of_the_schema(tool: Tool, org: respx.MockRouter) -> None:
    org.get("/sobjects/Opportunity/describe").respond(json=OPPORTUNITY)
    org.post("/sobjects/Opportunity").respond(400, json=refusal("INVALID_FIELD", "No such column 'Stagename'"))
    given = {"Stag_Name": "x", "stagename": "Won", "Order_No__c": "n" * 81, "LastModifiedDate": THEN}
    error = await failed(tool, "create_record", object="Opportunity", values=given)
    assert (error.code, error.outcome) == (Code.INVALID_INPUT, Outcome.NOT_APPLIED)
    assert error.fields == {
        "Stag_Name": "is unknown, perhaps StageName",
        "stagename": "is none of Prospecting, Closed Won",
        "Order_No__c": "has more than 80 characters",
        "LastModifiedDate": "cannot be set by this login",
        "Name": "is required",
    }
    org.patch(f"/sobjects/Opportunity/{DEAL}").respond(400, json=refusal("REQUIRED_FIELD_MISSING", fields=["Name"]))
    error = await failed(tool, "update_record", object="Opportunity", record_id=DEAL, values={"Name": None})
    assert (error.code, error.fields) == (Code.INVALID_INPUT, {"Name": "must not be empty"})


async def test_a_duplicate_is_a_conflict_and_not_explained_away(tool: Tool, org: respx.MockRouter) -> None:
    org.post("/sobjects/Lead").respond(400, json=refusal("DUPLICATES_DETECTED", "Use one of these records?"))
    error = await failed(tool, "create_record", object="Lead", values={"LastName": "L", "Company": "C"})
    assert (error.code, error.outcome, org.calls.call_count) == (Code.CONFLICT, Outcome.NOT_APPLIED, 1)


THERE: list[tuple[list[tuple[str, float, dict[str, Any]]], State]] = [
    ([("001", 0.0, {})], State.APPLIED),
    ([], State.NOT_APPLIED),
    ([("001", 0.0, {"LastName": "other", "Subject": "other"})], State.NOT_APPLIED),
    ([("001", 60.0, {})], State.UNKNOWN),  # an equal one from just before, or a clock that is slow
    ([("001", 0.0, {}), ("002", 0.0, {})], State.UNKNOWN),
]
CREATED: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    (
        "create_record",
        {"object": "Contact", "values": {"LastName": "O'Brien", "Age__c": 5, "Note__c": ""}},
        "/sobjects/Contact",
        {"LastName": "O'Brien", "Age__c": 5.0, "Note__c": None},
    ),
    (
        "add_task",
        {"record_id": DEAL, "subject": "Call", "due": "2099-01-31"},
        "/sobjects/Task",
        {
            "WhatId": DEAL,
            "Subject": "Call",
            "Status": "Not Started",
            "Priority": "Normal",
            "ActivityDate": "2099-01-31",
        },
    ),
]


@pytest.mark.parametrize(("there", "end"), THERE)
@pytest.mark.parametrize(("name", "given", "path", "stored"), CREATED)
async def test_what_was_made_is_found_by_content_author_and_time(
    tool: Tool,
    org: respx.MockRouter,
    journal: Journal,
    name: str,
    given: dict[str, Any],
    path: str,
    stored: dict[str, Any],
    there: list[tuple[str, float, dict[str, Any]]],
    end: State,
) -> None:
    me(org)
    posted = org.post(path).mock(side_effect=LOST)
    now = datetime.now(UTC)

    def found(request: httpx.Request) -> httpx.Response:
        query = request.url.params["q"]
        assert f"CreatedById = '{ME}' AND CreatedDate >= {now - timedelta(seconds=301):%Y-%m-%dT%H}" in query
        assert query.startswith(f"SELECT Id, CreatedDate, {', '.join(stored)} FROM {path.rpartition('/')[2]} WHERE")
        rows = [
            row("X", known, CreatedDate=f"{now - timedelta(seconds=ago):%Y-%m-%dT%H:%M:%S.000+0000}", **stored | other)
            for known, ago, other in there
        ]
        return httpx.Response(200, json={"totalSize": len(rows), "done": True, "records": rows})

    org.get("/query").mock(side_effect=found)
    if end is State.APPLIED:
        assert (await tool(name, **given))["id"] == "001"
    else:
        error = await failed(tool, name, **given)
        assert error.outcome is (Outcome.UNKNOWN if end is State.UNKNOWN else Outcome.NOT_APPLIED)
    assert (await end_of(journal), posted.call_count) == (end, 1)


async def test_an_upsert_that_is_lost_is_sent_again(tool: Tool, org: respx.MockRouter, journal: Journal) -> None:
    path = "/sobjects/Contact/Customer__c/C%2F1%27"
    route = org.patch(path).mock(
        side_effect=[LOST, httpx.Response(200, json={"id": ADA, "success": True, "created": False})]
    )
    given = {"object": "Contact", "external_id_field": "Customer__c", "external_id": "C/1'"}
    assert await tool("upsert_record", **given, values={"LastName": "L"}) == {"id": ADA, "created": False}
    assert (route.call_count, await end_of(journal)) == (2, State.APPLIED)


async def test_an_upsert_says_whether_it_created(tool: Tool, org: respx.MockRouter) -> None:
    path, given = "/sobjects/Contact/Customer__c/C-1", {"external_id_field": "Customer__c", "external_id": "C-1"}
    org.patch(path).respond(201, json={"id": ADA, "success": True, "created": True})
    told = await tool("upsert_record", object="Contact", **given, values={"LastName": "L"})
    assert told == {"id": ADA, "created": True}
    org.patch(path).respond(204)
    org.get(path).respond(json=row("Contact", ADA))
    told = await tool("upsert_record", object="Contact", **given, values={"LastName": "M"})
    assert told == {"id": ADA, "created": False}
    org.patch(path).respond(300, json=["/services/data/v66.0/sobjects/Contact/1", "/2"])
    error = await failed(tool, "upsert_record", object="Contact", **given, values={"LastName": "N"})
    assert (error.code, error.outcome) == (Code.CONFLICT, Outcome.NOT_APPLIED)
    twice = await failed(tool, "upsert_record", object="Contact", **given, values={"customer__c": "C-2"})
    assert twice.code is Code.INVALID_INPUT


async def test_a_change_is_guarded_by_the_time_it_was_read_at(tool: Tool, org: respx.MockRouter) -> None:
    route = org.patch(f"/sobjects/Contact/{ADA}").respond(204)
    org.get(f"/sobjects/Contact/{ADA}").respond(json=row("Contact", ADA, Phone="1", LastModifiedDate=THEN))
    given = {"object": "Contact", "record_id": ADA, "values": {"Phone": "1"}}
    told = await tool("update_record", **given, unmodified_since="2026-02-01T10:30:00.000+0100")
    assert told == {"id": ADA, "last_modified": THEN, "fields": {"Phone": "1"}}
    calls: Any = route.calls
    assert calls.last.request.headers["if-unmodified-since"] == "Sun, 01 Feb 2026 09:30:00 GMT"
    for wrong in ("yesterday", "2026-02-01"):
        error = await failed(tool, "update_record", **given, unmodified_since=wrong)
        assert error.code is Code.INVALID_INPUT
    assert route.call_count == 1


async def test_two_agents_that_edit_at_once(tool: Tool, org: respx.MockRouter, journal: Journal) -> None:
    route = org.patch(f"/sobjects/Contact/{ADA}").respond(412)
    given = {"object": "Contact", "record_id": ADA, "values": {"Phone": "1"}, "unmodified_since": THEN}
    error = await failed(tool, "update_record", **given)
    assert (error.code, error.outcome, "get_record" in error.next_step) == (Code.CONFLICT, Outcome.NOT_APPLIED, True)
    assert (route.call_count, await end_of(journal)) == (1, State.NOT_APPLIED)


@pytest.mark.parametrize(("stands", "end"), [("1", State.APPLIED), ("2", State.NOT_APPLIED)])
async def test_a_guarded_change_that_was_lost_is_told_apart(
    tool: Tool, org: respx.MockRouter, journal: Journal, stands: str, end: State
) -> None:
    org.patch(f"/sobjects/Contact/{ADA}").mock(side_effect=[LOST, httpx.Response(412)])
    org.get(f"/sobjects/Contact/{ADA}").respond(json=row("Contact", ADA, Phone=stands, LastModifiedDate=THEN))
    calling = tool("update_record", object="Contact", record_id=ADA, values={"Phone": "1"}, unmodified_since=THEN)
    if end is State.APPLIED:
        assert (await calling)["fields"] == {"Phone": "1"}
    else:
        with pytest.raises(CallError) as caught:
            await calling
        assert caught.value.outcome is Outcome.NOT_APPLIED
    assert await end_of(journal) is end


async def test_a_person_sees_what_would_change_about_money(tool: Tool, org: respx.MockRouter, person: Person) -> None:
    before = row("Opportunity", DEAL, StageName="Prospecting", Amount=1200.0, LastModifiedDate=THEN)
    org.get(f"/sobjects/opportunity/{DEAL}").respond(json=before)
    route = org.patch(f"/sobjects/opportunity/{DEAL}").respond(204)
    person.agrees = False
    given = {"object": "opportunity", "record_id": DEAL, "values": {"stagename": "Closed Won", "Amount": 1200}}
    assert (await failed(tool, "update_record", **given)).code is Code.DENIED
    assert route.call_count == 0
    assert person.asked[0].preview["changes"] == {"stagename": {"now": "Prospecting", "then": "Closed Won"}}
    person.agrees = True
    await tool("update_record", **given)
    assert route.call_count == 1


@pytest.mark.parametrize(
    ("kind", "values", "asks"),
    [
        ("USER", {}, True),
        ("PermissionSetAssignment", {}, True),
        ("AccountShare", {}, True),
        ("Contact", {"ownerid": ME}, True),
        ("OPPORTUNITY", {"AMOUNT": 1}, True),
        ("Contact", {"Phone": "1"}, False),
        ("Opportunity", {"Description": "d"}, False),
    ],
)
def test_what_a_person_is_asked_about(kind: str, values: dict[str, Any], asks: bool) -> None:
    assert careful(kind, values) is asks


async def test_rights_are_not_given_without_a_person(tool: Tool, org: respx.MockRouter, person: Person) -> None:
    person.agrees = False
    rights = {"AssigneeId": ME, "PermissionSetId": "0PS000000000001AAA"}
    assert (await failed(tool, "create_record", object="permissionsetassignment", values=rights)).code is Code.DENIED
    upsert = {"object": "Contact", "external_id_field": "Customer__c", "external_id": "1", "values": {"OwnerId": ME}}
    assert (await failed(tool, "upsert_record", **upsert)).code is Code.DENIED
    task = {"record_id": ADA, "subject": "Call", "owner_id": ME}
    assert (await failed(tool, "add_task", **task)).code is Code.DENIED
    assert (org.calls.call_count, len(person.asked)) == (0, 3)


# Notes and tasks.


def composite(*parts: tuple[str, int, Any]) -> dict[str, Any]:
    return {"compositeResponse": [{"referenceId": n, "httpStatusCode": s, "body": b} for n, s, b in parts]}


async def test_a_note_and_its_link_are_made_together(tool: Tool, org: respx.MockRouter) -> None:
    made = composite(("note", 201, {"id": "069A", "success": True}), ("link", 201, {"id": "06AA", "success": True}))
    route = org.post("/composite").respond(json=made)
    told = await tool("add_note", record_id=DEAL, title=" Called \n Ada", text='a <b>\nb & "c"')
    assert told == {"id": "069A", "record_id": DEAL}
    note, link = sent(route)["compositeRequest"]
    assert (sent(route)["allOrNone"], note["url"], link["url"]) == (
        True,
        "/services/data/v66.0/sobjects/ContentNote",
        "/services/data/v66.0/sobjects/ContentDocumentLink",
    )
    assert (note["body"]["Title"], base64.b64decode(note["body"]["Content"])) == (
        "Called Ada",
        b"a &lt;b&gt;<br>b &amp; &quot;c&quot;",
    )
    assert link["body"] == {"ContentDocumentId": "@{note.id}", "LinkedEntityId": DEAL, "ShareType": "V"}


async def test_a_note_that_was_rolled_back_is_refused_for_its_real_reason(
    tool: Tool, org: respx.MockRouter, journal: Journal
) -> None:
    rolled = refusal("PROCESSING_HALTED", "rolled back")
    gone = refusal("ENTITY_IS_DELETED", "entity is deleted")
    org.post("/composite").respond(json=composite(("note", 400, rolled), ("link", 400, gone)))
    error = await failed(tool, "add_note", record_id=DEAL, title="t", text="x")
    assert (error.code, error.outcome, await end_of(journal)) == (
        Code.NOT_FOUND,
        Outcome.NOT_APPLIED,
        State.NOT_APPLIED,
    )


async def test_an_organization_without_notes_is_told_as_such(tool: Tool, org: respx.MockRouter) -> None:
    unknown = refusal("INVALID_TYPE", "sObject type 'ContentNote' is not supported.")
    halted = refusal("PROCESSING_HALTED", "rolled back")
    org.post("/composite").respond(json=composite(("note", 400, unknown), ("link", 400, halted)))
    error = await failed(tool, "add_note", record_id=DEAL, title="t", text="x")
    assert (error.code, error.outcome, "add_task" in error.next_step) == (Code.PERMISSION, Outcome.NOT_APPLIED, True)


async def test_a_composite_answer_that_names_nothing_is_a_changed_contract(tool: Tool, org: respx.MockRouter) -> None:
    org.post("/composite").respond(json=composite(("other", 201, {"id": "069A", "success": True})))
    error = await failed(tool, "add_note", record_id=DEAL, title="t", text="x")
    assert (error.code, error.outcome) == (Code.CONTRACT_CHANGED, Outcome.APPLIED)


@pytest.mark.parametrize(("there", "end"), [(1, State.APPLIED), (0, State.NOT_APPLIED), (2, State.UNKNOWN)])
async def test_a_note_whose_answer_was_lost_is_looked_for_on_its_record(
    tool: Tool, org: respx.MockRouter, journal: Journal, there: int, end: State
) -> None:
    me(org)
    org.post("/composite").mock(side_effect=LOST)
    links = [{"attributes": {"type": "ContentDocumentLink"}, "ContentDocumentId": f"069{n}"} for n in range(there)]
    route = org.get("/query").respond(json={"totalSize": there, "done": True, "records": links})
    calling = tool("add_note", record_id=DEAL, title="O'Brien \n called", text="x")
    if end is State.APPLIED:
        assert (await calling)["id"] == "0690"
    else:
        with pytest.raises(CallError) as caught:
            await calling
        assert caught.value.outcome is (Outcome.UNKNOWN if there else Outcome.NOT_APPLIED)
    assert f"LinkedEntityId = '{DEAL}' AND ContentDocument.Title = 'O\\'Brien called'" in asked(route)["q"]
    assert await end_of(journal) is end


async def test_a_task_names_people_and_things_apart(tool: Tool, org: respx.MockRouter) -> None:
    route = org.post("/sobjects/Task").respond(201, json={"id": "00T", "success": True, "errors": []})
    await tool("add_task", record_id=ADA, subject="Call", text="soon", priority="High")
    assert sent(route) == {
        "WhoId": ADA, "Subject": "Call", "Status": "Not Started", "Priority": "High", "Description": "soon",
    }  # fmt: skip
    assert (await failed(tool, "add_task", record_id=ADA, subject="Call", due="2020-01-31")).code is Code.INVALID_INPUT
    assert route.call_count == 1
