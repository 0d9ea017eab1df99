"""Salesforce: what the tools send, what they make of the answers, and that no write is done twice."""

import base64
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import respx

from clew.connectors.salesforce import salesforce
from clew.connectors.salesforce.changes import careful
from clew.core.errors import CallError, Code, Outcome, Retry
from clew.core.host import Question, SilentHost
from clew.core.journal import Journal, State

pytestmark = pytest.mark.anyio

Calling = Any  # the fixture of conftest.py
Tool = Callable[..., Awaitable[dict[str, Any]]]
BASE = "https://acme.my.salesforce.com/services/data/v66.0"
LOST = httpx.ReadTimeout("slow")
ADA, DEAL, ME = "003000000000001AAA", "006000000000001AAA", "005000000000001AAA"
THEN = "2026-02-01T09:30:00.000+0000"


class Person(SilentHost):
    """A host whose person gives one answer to every question."""

    asks = True

    def __init__(self) -> None:
        self.agrees = True
        self.asked: list[Question] = []

    async def confirm(self, question: Question) -> bool:
        self.asked.append(question)
        return self.agrees

    async def progress(self, message: str) -> None:
        """Nothing to show it on."""


@pytest.fixture
def person() -> Person:
    return Person()


@pytest.fixture
def org() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url=BASE, assert_all_called=False) as router:
        yield router


@pytest.fixture
def tool(call: Calling, person: Person) -> Tool:
    call.seconds = 60  # looks begin after seconds, which pass at once here but must be within the deadline

    async def run(name: str, **arguments: Any) -> dict[str, Any]:
        found: dict[str, Any] = await call(salesforce, name, arguments, host=person, base_url=BASE)
        return found

    return run


def row(kind: str, known: str, **fields: Any) -> dict[str, Any]:
    return {"attributes": {"type": kind, "url": f"/services/data/v66.0/sobjects/{kind}/{known}"}, "Id": known, **fields}


def refusal(code: str, message: str = "m", fields: list[str] | None = None) -> list[dict[str, Any]]:
    return [{"errorCode": code, "message": message, "fields": fields or []}]


def field(name: str, kind: str = "string", **more: Any) -> dict[str, Any]:
    plain = {"length": 80, "nillable": True, "createable": True, "updateable": True, "defaultedOnCreate": False}
    rest: dict[str, Any] = {"externalId": False, "restrictedPicklist": False, "picklistValues": [], "referenceTo": []}
    return {"name": name, "label": name, "type": kind, "relationshipName": None, **plain, **rest, **more}


STAGES = [{"value": "Prospecting", "active": True}, {"value": "Closed Won", "active": True}]
OPPORTUNITY = {
    "name": "Opportunity",
    "label": "Opportunity",
    "fields": [
        field("Id", "id", nillable=False, createable=False, updateable=False, defaultedOnCreate=True),
        field("Name", nillable=False),
        field("StageName", "picklist", nillable=False, restrictedPicklist=True, picklistValues=STAGES),
        field("Amount", "currency", length=0),
        field("OwnerId", "reference", label="Owner ID", referenceTo=["User"], relationshipName="Owner"),
        field("Order_No__c", label="Our order number", externalId=True),
        field("LastModifiedDate", "datetime", length=0, nillable=False, createable=False, updateable=False),
    ],
}


def sent(route: respx.Route) -> Any:
    calls: Any = route.calls
    return json.loads(calls.last.request.content)


def asked(route: respx.Route) -> dict[str, str]:
    calls: Any = route.calls
    return dict(calls.last.request.url.params)


async def failed(tool: Tool, name: str, **arguments: Any) -> CallError:
    with pytest.raises(CallError) as caught:
        await tool(name, **arguments)
    return caught.value


async def end_of(journal: Journal) -> State:
    (found,) = await journal.rows()
    return found.state


def me(org: respx.MockRouter) -> None:
    identity = f"https://login.salesforce.com/id/00D000000000001AAA/{ME}"
    org.get("/").respond(json={"sobjects": "/services/data/v66.0/sobjects", "identity": identity})


# Queries.


async def test_a_query_is_sent_with_its_values_and_answered_without_clutter(tool: Tool, org: respx.MockRouter) -> None:
    owner = {"attributes": {"type": "User", "url": "u"}, "Name": "Grace", "Manager": None}
    children = {"totalSize": 3, "done": False, "records": [row("Contact", ADA, LastName="L")]}
    address = {"city": "London", "country": None}
    found = row(
        "Account", "001000000000001AAA", Name="O'Brien", Phone=None, Owner=owner, Contacts=children, Billing=address
    )
    route = org.get("/query").respond(json={"totalSize": 1, "done": True, "records": [found]})
    told = await tool(
        "query_records",
        soql="SELECT Id, Name, Phone, Owner.Name, (SELECT LastName FROM Contacts LIMIT 1)\nFROM Account "
        "WHERE Name = :name AND Website LIKE :%site% AND Id IN :ids",
        values={"name": "O'Brien", "site": "50%_off", "ids": ["a", "b"]},
    )
    assert asked(route)["q"] == (
        "SELECT Id, Name, Phone, Owner.Name, (SELECT LastName FROM Contacts LIMIT 1) FROM Account "
        "WHERE Name = 'O\\'Brien' AND Website LIKE '%50\\%\\_off%' AND Id IN ('a', 'b') LIMIT 50"
    )
    assert told == {
        "total_count": 1,
        "rows": [
            {
                "Id": "001000000000001AAA",
                "Name": "O'Brien",
                "Owner.Name": "Grace",
                "Contacts": [{"Id": ADA, "LastName": "L"}],
                "Contacts (all)": 3,
                "Billing": {"city": "London", "country": None},
            }
        ],
    }
    calls: Any = route.calls
    assert calls.last.request.headers["sforce-query-options"] == "batchSize=200"


@pytest.mark.parametrize(
    ("soql", "values"),
    [
        ("SELECT Id FROM Account WHERE Name = 'Acme'", {}),
        ("SELECT Id FROM Account WHERE Name = :name", {}),
        ("SELECT Id FROM Account WHERE Name = :name", {"name": "a", "other": "b"}),
        ("SELECT Id FROM Account WHERE Name = :name", {"name": {"a": 1}}),
        ("SELECT Id FROM Account WHERE Name IN :names", {"names": []}),
        ("SELECT Id FROM Account WHERE Name LIKE :name%", {"name": 5}),
        ("SELECT Id FROM Account WHERE Name = :name", {"name": "a\x00b"}),
        ("SELECT Id FROM Account WHERE Amount = :n", {"n": float("inf")}),
        ("DELETE FROM Account WHERE Name = :name", {"name": "a"}),
        ("SELECT Id FROM Account FOR UPDATE", {}),
        ("SELECT Id FROM Account FOR  view", {}),
        ("SELECT Id FROM Account UPDATE VIEWSTAT", {}),
        ("SELECT Id FROM Account WHERE Name = \\u0027Acme\\u0027", {}),
        ("SELECT Id FROM Account OFFSET 10", {}),
        ("SELECT Id FROM Account WHERE Name = :name", {"name": "x" * 13_000}),
    ],
)
async def test_a_query_that_cannot_be_sent_safely_is_refused(
    tool: Tool, org: respx.MockRouter, soql: str, values: dict[str, Any]
) -> None:
    assert (await failed(tool, "query_records", soql=soql, values=values)).code is Code.INVALID_INPUT
    assert org.calls.call_count == 0


@pytest.mark.parametrize(
    ("soql", "sends"),
    [
        ("SELECT Id FROM Account", "SELECT Id FROM Account LIMIT 7"),
        ("SELECT Id FROM Account LIMIT 3 OFFSET 2;", "SELECT Id FROM Account LIMIT 3 OFFSET 2"),
        ("SELECT COUNT() FROM Account", "SELECT COUNT() FROM Account"),
        (
            "SELECT COUNT(Id), Type FROM Account GROUP BY Type",
            "SELECT COUNT(Id), Type FROM Account GROUP BY Type LIMIT 7",
        ),
        (
            "SELECT Id FROM Task WHERE CreatedDate > 2026-01-31T09:30:00+01:00 AND ActivityDate = LAST_N_DAYS:30",
            "SELECT Id FROM Task WHERE CreatedDate > 2026-01-31T09:30:00+01:00 AND ActivityDate = LAST_N_DAYS:30 "
            "LIMIT 7",
        ),
    ],
)
async def test_every_query_that_can_have_a_limit_has_one(
    tool: Tool, org: respx.MockRouter, soql: str, sends: str
) -> None:
    route = org.get("/query").respond(json={"totalSize": 0, "done": True, "records": []})
    await tool("query_records", soql=soql, limit=7)
    assert asked(route)["q"] == sends


async def test_a_query_is_paged_to_its_end(tool: Tool, org: respx.MockRouter) -> None:
    some = [row("Lead", ADA)]
    first, second = "01g000000000001AAA-200", "01g000000000001AAA-400"
    page = {"totalSize": 3, "done": False, "records": some, "nextRecordsUrl": f"/services/data/v66.0/query/{first}"}
    org.get("/query").respond(json=page)
    given = {"soql": "SELECT Id FROM Lead", "limit": 2000}
    told = await tool("query_records", **given)
    assert told["next_cursor"] == first
    route = org.get(f"/query/{first}").respond(
        json={**page, "nextRecordsUrl": f"https://acme.my.salesforce.com/services/data/v66.0/query/{second}"}
    )
    told = await tool("query_records", **given, cursor=first)
    assert (told["next_cursor"], asked(route)) == (second, {})
    org.get(f"/query/{second}").respond(json={"totalSize": 3, "done": True, "records": some})
    assert "next_cursor" not in await tool("query_records", **given, cursor=second)


@pytest.mark.parametrize(
    "place", ["/services/data/v66.0/query/01g000000000001AAA-200", "/services/apexrest/x", "", None, "../../x"]
)
async def test_a_next_page_that_is_none_ends_the_paging(tool: Tool, org: respx.MockRouter, place: str | None) -> None:
    page: dict[str, Any] = {"totalSize": 3, "done": False, "records": [], "nextRecordsUrl": place}
    org.get("/query/01g000000000001AAA-200").respond(json=page)
    error = await failed(tool, "query_records", soql="SELECT Id FROM Lead", cursor="01g000000000001AAA-200")
    assert error.code is Code.CONTRACT_CHANGED
    bad = await failed(tool, "query_records", soql="SELECT Id FROM Lead", cursor="../sobjects/Lead")
    assert bad.code is Code.INVALID_INPUT


async def test_a_grant_that_is_revoked_between_pages(tool: Tool, org: respx.MockRouter) -> None:
    org.get("/query/01g000000000001AAA-200").respond(401, json=refusal("INVALID_AUTH_HEADER"))
    error = await failed(tool, "query_records", soql="SELECT Id FROM Lead", cursor="01g000000000001AAA-200")
    assert (error.code, error.outcome, error.retry) == (Code.AUTH_REVOKED, Outcome.NOT_APPLIED, Retry.AFTER_HUMAN)


async def test_a_name_that_is_gone_is_the_callers_to_mend(tool: Tool, org: respx.MockRouter) -> None:
    said = "No such column 'Tier__c' on entity 'Account'."
    org.get("/query").respond(400, json=refusal("INVALID_FIELD", said))
    error = await failed(tool, "query_records", soql="SELECT Tier__c FROM Account")
    assert (error.code, error.provider_message) == (Code.INVALID_INPUT, said)
    assert "describe_object" in error.next_step
    org.get("/query").respond(410, json=refusal("UNSUPPORTED_API_VERSION"))
    assert (await failed(tool, "query_records", soql="SELECT Id FROM Account")).code is Code.CONTRACT_CHANGED


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("TotalRequests Limit exceeded.", Code.QUOTA_EXHAUSTED),
        ("ConcurrentPerOrgLongTxn Limit exceeded.", Code.RATE_LIMITED),
        ("ConcurrentRequests (Concurrent API Requests) Limit exceeded.", Code.RATE_LIMITED),
    ],
)
async def test_the_message_says_which_limit_was_met(
    tool: Tool, org: respx.MockRouter, call: Calling, said: str, code: Code
) -> None:
    call.seconds = 0.5
    org.get("/query").respond(403, json=refusal("REQUEST_LIMIT_EXCEEDED", said))
    assert (await failed(tool, "query_records", soql="SELECT Id FROM Account")).code is code


# Search, records, objects.


async def test_words_are_searched_for_and_never_read_as_a_query(tool: Tool, org: respx.MockRouter) -> None:
    hits = [row("Contact", ADA, Name="Ada", Email=None), row("Invoice__c", "a01000000000001AAA", Name="I-1")]
    route = org.get("/parameterizedSearch").respond(json={"searchRecords": hits})
    told = await tool("search_records", words="ada} RETURNING User(Id)", objects=["Contact", "Invoice__c"])
    assert told["result"] == [
        {"object": "Contact", "id": ADA, "fields": {"Name": "Ada"}},
        {"object": "Invoice__c", "id": "a01000000000001AAA", "fields": {"Name": "I-1"}},
    ]
    calls: Any = route.calls
    assert calls.last.request.url.params.multi_items() == [
        ("q", "ada} RETURNING User(Id)"),
        ("sobject", "Contact"),
        ("sobject", "Invoice__c"),
        ("overallLimit", "20"),
        ("Contact.fields", "Id,Name,Email,Phone,AccountId"),
        ("Invoice__c.fields", "Id,Name"),
    ]
    org.get("/parameterizedSearch").respond(json={"searchRecords": [{"Id": ADA}]})
    assert (await failed(tool, "search_records", words="ada")).code is Code.CONTRACT_CHANGED


async def test_a_record_is_read_to_its_usual_fields(tool: Tool, org: respx.MockRouter) -> None:
    there = row("Contact", ADA, Name="Ada", Email="ada@home.example", Phone=None, LastModifiedDate=THEN)
    route = org.get(f"/sobjects/contact/{ADA}").respond(json=there)
    told = await tool("get_record", object="contact", record_id=ADA)
    fields = {"Name": "Ada", "Email": "ada@home.example"}
    assert told == {"id": ADA, "object": "contact", "last_modified": THEN, "fields": fields}
    assert asked(route)["fields"] == "Name,Email,Phone,Title,AccountId,OwnerId,LastModifiedDate"
    route = org.get("/sobjects/Invoice__c/a01000000000001AAA").respond(
        json=row("Invoice__c", "a01000000000001AAA", Total__c=5.0, Note__c="n" * 3000)
    )
    told = await tool("get_record", object="Invoice__c", record_id="a01000000000001AAA")
    assert (asked(route), told["fields"]["Total__c"], len(told["fields"]["Note__c"])) == ({}, 5.0, 2001)


async def test_a_field_that_is_hidden_or_gone_is_named_and_the_rest_is_read(tool: Tool, org: respx.MockRouter) -> None:
    org.get("/sobjects/Opportunity/describe").respond(json=OPPORTUNITY)

    def answer(request: httpx.Request) -> httpx.Response:
        if "Tier__c" in request.url.params["fields"]:
            return httpx.Response(400, json=refusal("INVALID_FIELD", "No such column 'Tier__c'"))
        return httpx.Response(200, json=row("Opportunity", DEAL, Name="Engines", LastModifiedDate=THEN))

    route = org.get(f"/sobjects/Opportunity/{DEAL}").mock(side_effect=answer)
    told = await tool("get_record", object="Opportunity", record_id=DEAL, show=["Name", "Tier__c"])
    assert (told["fields"], told["no_such_field"]) == ({"Name": "Engines"}, ["Tier__c"])
    assert asked(route)["fields"] == "Name,LastModifiedDate"


@pytest.mark.parametrize("wrong", ["Name,Id", "Owner.Name", "a b", "Name' OR Id != '", ""])
async def test_a_name_that_is_none_is_refused(tool: Tool, org: respx.MockRouter, wrong: str) -> None:
    calls: list[tuple[str, dict[str, Any]]] = [
        ("get_record", {"object": wrong, "record_id": ADA}),
        ("get_record", {"object": "Contact", "record_id": ADA, "show": [wrong]}),
        ("create_record", {"object": "Contact", "values": {wrong: "x"}}),
        ("update_record", {"object": "Contact", "record_id": ADA, "values": {wrong: "x"}}),
        ("get_record", {"object": "Contact", "record_id": wrong}),
    ]
    for name, given in calls:
        assert (await failed(tool, name, **given)).code is Code.INVALID_INPUT
    assert org.calls.call_count == 0


async def test_a_deleted_record_is_not_found(tool: Tool, org: respx.MockRouter) -> None:
    org.get(f"/sobjects/Contact/{ADA}").respond(404, json=refusal("ENTITY_IS_DELETED", "entity is deleted"))
    assert (await failed(tool, "get_record", object="Contact", record_id=ADA)).code is Code.NOT_FOUND


async def test_an_object_is_described_shortly(tool: Tool, org: respx.MockRouter) -> None:
    org.get("/sobjects/Opportunity/describe").respond(json=OPPORTUNITY)
    told = await tool("describe_object", object="Opportunity")
    assert (told["name"], told["other_fields"]) == ("Opportunity", 2)
    assert told["fields"] == [
        {"name": "Name", "type": "string", "required": True, "length": 80},
        {"name": "StageName", "type": "picklist", "required": True, "values": ["Prospecting", "Closed Won"]},
        {"name": "Amount", "type": "currency"},
        {"name": "OwnerId", "type": "reference", "refers_to": ["User"], "relation": "Owner"},
        {
            "name": "Order_No__c", "type": "string", "label": "Our order number", "external_id": True, "length": 80,
        },
    ]  # fmt: skip
    needed = await tool("describe_object", object="Opportunity", fields="required")
    assert [each["name"] for each in needed["fields"]] == ["Name", "StageName"]
    some = await tool("describe_object", object="Opportunity", fields="all", contains="modified")
    assert [(each["name"], each["read_only"]) for each in some["fields"]] == [("LastModifiedDate", True)]


async def test_objects_are_found_by_name_or_label(tool: Tool, org: respx.MockRouter) -> None:
    kinds = [
        {"name": "Invoice__c", "label": "Rechnung", "queryable": True, "createable": True},
        {"name": "InvoiceShare", "label": "Share", "queryable": True, "createable": False},
        {"name": "InvoiceFeed", "label": "Feed", "queryable": False, "createable": False},
    ]
    org.get("/sobjects").respond(json={"sobjects": kinds})
    told = (await tool("list_objects", contains="INVOICE"))["result"]
    assert told == [
        {"name": "Invoice__c", "label": "Rechnung", "writable": True},
        {"name": "InvoiceShare", "label": "Share"},
    ]
    assert len((await tool("list_objects", contains="rechn"))["result"]) == 1


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
    told = await tool("add_note", record_id=DEAL, title=" Called \n Ada", text="a <b>\nb & c")
    assert told == {"id": "069A", "record_id": DEAL}
    note, link = sent(route)["compositeRequest"]
    assert (sent(route)["allOrNone"], note["url"], link["url"]) == (
        True,
        "/services/data/v66.0/sobjects/ContentNote",
        "/services/data/v66.0/sobjects/ContentDocumentLink",
    )
    assert (note["body"]["Title"], base64.b64decode(note["body"]["Content"])) == (
        "Called Ada",
        b"a &lt;b&gt;<br>b &amp; c",
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
    calling = tool("add_note", record_id=DEAL, title="O'Brien called", text="x")
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


# The login.


async def test_whose_login_it_is(call: Calling, org: respx.MockRouter) -> None:
    from clew.core.api import Api
    from clew.core.connector import Effect
    from clew.core.deadline import Deadline
    from clew.core.wire import Trail

    me(org)
    org.get(f"/sobjects/User/{ME}").respond(json=row("User", ME, Username="ada@acme.example"))
    assert salesforce.identify is not None
    api = Api(call.wire(salesforce, BASE), Deadline.after(5), Trail(), Effect.READ, SilentHost())
    assert await salesforce.identify(api) == "ada@acme.example"
    org.get("/").respond(json={"identity": "https://login.salesforce.com/other"})
    with pytest.raises(CallError) as caught:
        await salesforce.identify(api)
    assert caught.value.code is Code.CONTRACT_CHANGED


def test_the_host_comes_from_the_token_and_can_only_be_salesforces() -> None:
    from clew.auth.answers import Grant, judge
    from clew.auth.origins import connection_url

    (scheme,) = (each for each in salesforce.schemes if each.kind == "oauth2")

    def kept(address: str) -> dict[str, str]:
        body = {"access_token": "00D!x", "instance_url": address, "id": "https://login.salesforce.com/id/1/2"}
        grant = judge(scheme, 200, json.dumps(body).encode(), now=time.time())  # type: ignore[arg-type]
        assert isinstance(grant, Grant)
        return dict(grant.variables)

    for address in ("https://acme.my.salesforce.com", "https://acme--dev.sandbox.my.salesforce.com/"):
        found = connection_url(salesforce.base_url, salesforce.schemes, kept(address))
        assert found == f"{address.rstrip('/')}/services/data/v66.0"
    for hostile in (
        "https://acme.my.salesforce.com.evil.example",
        "https://evil.example/my.salesforce.com",
        "http://a.b",
    ):
        assert "instance_url" not in kept(hostile)
