"""Salesforce: what the reading tools send, and what they make of the answers."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import respx
from tests.connectors.calling import Calling, Tool, failed
from tests.connectors.salesforce_org import (
    ADA,
    BASE,
    DEAL,
    ME,
    OPPORTUNITY,
    THEN,
    asked,
    me,
    refusal,
    row,
)
from tests.people import Person

from clew.connectors.salesforce import salesforce
from clew.core.errors import CallError, Code, Outcome, Retry
from clew.core.host import SilentHost

pytestmark = pytest.mark.anyio


@pytest.fixture
def org() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url=BASE, assert_all_called=False) as router:
        yield router


@pytest.fixture
def tool(call: Calling, person: Person) -> Tool:
    return call.tool(salesforce, person, base_url=BASE, seconds=60)


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


# The login.


async def test_whose_login_it_is(call: Calling, org: respx.MockRouter) -> None:
    from clew.core.api import Api
    from clew.core.connector import Effect
    from clew.core.deadline import Deadline
    from clew.core.exchange import Trail

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
