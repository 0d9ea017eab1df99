"""HubSpot: what the tools send, what they make of the answers, and that no write is done twice."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import respx
from tests.connectors.calling import Calling, Tool, failed
from tests.people import Person

from clew.connectors.hubspot import hubspot
from clew.core.errors import CallError, Code, Outcome, Retry
from clew.core.host import SilentHost
from clew.core.journal import Journal, State

pytestmark = pytest.mark.anyio

OBJECTS = "/crm/objects/2026-09"
LOST = httpx.ReadTimeout("slow")


@pytest.fixture
def crm() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url="https://api.hubapi.com", assert_all_called=False) as router:
        yield router


@pytest.fixture
def tool(call: Calling, person: Person) -> Tool:
    return call.tool(hubspot, person, seconds=60)


def record(known: str = "101", /, **properties: str | None) -> dict[str, Any]:
    return {
        "id": known,
        "properties": {"hs_object_id": known, **properties},
        "createdAt": "2026-01-01T00:00:00.000Z",
        "updatedAt": "2026-02-01T00:00:00.000Z",
        "archived": False,
        "url": f"https://app.hubspot.com/contacts/4711/record/0-1/{known}",
    }


ADA = record(email="ada@home.example", firstname="Ada", lastname="", phone=None)


def refusal(category: str, message: str = "m", **more: Any) -> dict[str, Any]:
    return {"status": "error", "message": message, "correlationId": "c-1", "category": category, **more}


def sent(route: respx.Route) -> Any:
    calls: Any = route.calls
    return json.loads(calls.last.request.content)


def asked(route: respx.Route) -> dict[str, str]:
    calls: Any = route.calls
    return dict(calls.last.request.url.params)


async def end_of(journal: Journal) -> State:
    (row,) = await journal.rows()
    return row.state


# Reading.


async def test_a_search_asks_for_its_projection_alone(tool: Tool, crm: respx.MockRouter) -> None:
    route = crm.post(f"{OBJECTS}/contacts/search").respond(json={"total": 1, "results": [ADA]})
    hits = await tool(
        "search_contacts",
        query="ada",
        where=["lifecyclestage = lead", "createdate >= 2026-01-31", "hs_lead_status in NEW; OPEN", "phone is empty"],
        sort="-createdate",
        show=["tier"],
    )
    assert sent(route) == {
        "limit": 20,
        "properties": [
            "email", "firstname", "lastname", "company", "lifecyclestage", "hubspot_owner_id", "tier",
        ],
        "query": "ada",
        "filterGroups": [
            {
                "filters": [
                    {"propertyName": "lifecyclestage", "operator": "EQ", "value": "lead"},
                    {"propertyName": "createdate", "operator": "GTE", "value": "1769817600000"},
                    {"propertyName": "hs_lead_status", "operator": "IN", "values": ["NEW", "OPEN"]},
                    {"propertyName": "phone", "operator": "NOT_HAS_PROPERTY"},
                ]
            }
        ],
        "sorts": [{"propertyName": "createdate", "direction": "DESCENDING"}],
    }  # fmt: skip
    assert hits == {
        "total_count": 1,
        "items": [
            {
                "id": "101",
                "updated_at": "2026-02-01T00:00:00.000Z",
                "email": "ada@home.example",
                "firstname": "Ada",
                "no_such_property": ["tier"],
            }
        ],
    }


@pytest.mark.parametrize(
    "where", ["lifecyclestage", "= lead", "a ~ b", "createdate > 2026-13-01", "phone is unknown", "Email = a"]
)
async def test_a_condition_that_cannot_be_read_is_refused(tool: Tool, crm: respx.MockRouter, where: str) -> None:
    assert (await failed(tool, "search_deals", where=[where])).code is Code.INVALID_INPUT
    assert crm.calls.call_count == 0


async def test_companies_and_deals_are_searched_alike(tool: Tool, crm: respx.MockRouter) -> None:
    company = record("301", name="Acme", domain="acme.example")
    crm.post(f"{OBJECTS}/companies/search").respond(json={"total": 1, "results": [company]})
    found = await tool("search_companies", where=["domain contains acme"])
    assert (found["items"][0]["name"], found["items"][0]["domain"]) == ("Acme", "acme.example")
    deal = record("201", dealname="Engines", amount="1200.50", dealstage="s1", closedate="2026-12-31T00:00:00Z")
    route = crm.post(f"{OBJECTS}/deals/search").respond(json={"total": 1, "results": [deal]})
    found = await tool("search_deals", where=["associations.contact = 101", "amount < 5000"])
    assert (found["items"][0]["amount"], found["items"][0]["dealstage"]) == ("1200.50", "s1")
    assert sent(route)["filterGroups"][0]["filters"] == [
        {"propertyName": "associations.contact", "operator": "EQ", "value": "101"},
        {"propertyName": "amount", "operator": "LT", "value": "5000"},
    ]


async def test_a_search_is_paged_to_its_end(tool: Tool, crm: respx.MockRouter) -> None:
    route = crm.post(f"{OBJECTS}/contacts/search")
    first = {"total": 21, "results": [ADA] * 20, "paging": {"next": {"after": "20"}}}
    route.side_effect = [httpx.Response(200, json=first), httpx.Response(200, json={"total": 21, "results": [ADA]})]
    page = await tool("search_contacts", query="a")
    assert page["next_cursor"] == "20"
    last = await tool("search_contacts", query="a", cursor=page["next_cursor"])
    assert (sent(route)["after"], len(last["items"]), "next_cursor" in last) == ("20", 1, False)


async def test_a_search_says_where_it_is_cut_off(tool: Tool, crm: respx.MockRouter) -> None:
    more = {"total": 12_000, "results": [ADA] * 20, "paging": {"next": {"after": "9980"}}}
    route = crm.post(f"{OBJECTS}/contacts/search").respond(json=more)
    page = await tool("search_contacts", cursor="9960")
    assert (page["capped"], page["next_cursor"]) == (True, "9980")
    route.respond(json={**more, "paging": {"next": {"after": "10000"}}})
    page = await tool("search_contacts", cursor="9980")
    assert (page["capped"], "next_cursor" in page) == (True, False)


async def test_a_page_that_leads_to_itself_ends_the_paging(tool: Tool, crm: respx.MockRouter) -> None:
    crm.post(f"{OBJECTS}/contacts/search").respond(
        json={"total": 40, "results": [ADA] * 20, "paging": {"next": {"after": "20"}}}
    )
    assert (await failed(tool, "search_contacts", cursor="20")).code is Code.CONTRACT_CHANGED


async def test_a_grant_that_is_revoked_between_pages(tool: Tool, crm: respx.MockRouter) -> None:
    crm.post(f"{OBJECTS}/contacts/search").respond(401, json=refusal("INVALID_AUTHENTICATION"))
    error = await failed(tool, "search_contacts", cursor="20")
    assert (error.code, error.outcome, error.retry) == (Code.AUTH_REVOKED, Outcome.NOT_APPLIED, Retry.AFTER_HUMAN)


@pytest.mark.parametrize(
    ("policy", "code"),
    [("SECONDLY", Code.RATE_LIMITED), ("TEN_SECONDLY_ROLLING", Code.RATE_LIMITED), ("DAILY", Code.QUOTA_EXHAUSTED)],
)
async def test_the_policy_says_which_limit_was_met(
    tool: Tool, crm: respx.MockRouter, call: Calling, policy: str, code: Code
) -> None:
    call.seconds = 0.5
    crm.post(f"{OBJECTS}/deals/search").respond(429, json=refusal("RATE_LIMITS", policyName=policy))
    assert (await failed(tool, "search_deals")).code is code


async def test_a_contact_is_read_by_id_or_address(tool: Tool, crm: respx.MockRouter) -> None:
    linked = {
        "companies": {"results": [{"id": "301", "type": "contact_to_company"}, {"id": "301", "type": "unlabeled"}]},
        "deals": {"results": [{"id": "201", "type": "contact_to_deal"}]},
    }
    route = crm.get(f"{OBJECTS}/contacts/101").respond(json={**ADA, "associations": linked})
    found = await tool("get_contact", contact="101")
    assert (found["companies"], found["deals"], "phone" in found) == (["301"], ["201"], False)
    assert asked(route) == {
        "properties": "email,firstname,lastname,company,lifecyclestage,hubspot_owner_id,phone,jobtitle,hs_lead_status",
        "associations": "companies,deals",
    }
    route = crm.get(f"{OBJECTS}/contacts/ada%2Bx%40home.example").respond(json=ADA)
    assert (await tool("get_contact", contact="ada+x@home.example", show=["phone"]))["id"] == "101"
    assert asked(route)["idProperty"] == "email"


async def test_an_archived_contact_is_shown_as_such(tool: Tool, crm: respx.MockRouter) -> None:
    gone = {**ADA, "archived": True, "archivedAt": "2026-03-01T00:00:00Z"}

    def answer(request: httpx.Request) -> httpx.Response:
        there = request.url.params.get("archived") == "true"
        return httpx.Response(200, json=gone) if there else httpx.Response(404, json=refusal("OBJECT_NOT_FOUND"))

    crm.get(f"{OBJECTS}/contacts/101").side_effect = answer
    assert (await tool("get_contact", contact="101"))["archived_at"] == "2026-03-01T00:00:00Z"
    assert (await failed(tool, "archive_contact", contact_id="101")).code is Code.ALREADY_DONE
    crm.get(f"{OBJECTS}/contacts/102").respond(404, json=refusal("OBJECT_NOT_FOUND"))
    assert (await failed(tool, "get_contact", contact="102")).code is Code.NOT_FOUND
    crm.get(f"{OBJECTS}/deals/102").respond(404, json=refusal("OBJECT_NOT_FOUND"))
    assert (await failed(tool, "get_deal", deal_id="102")).code is Code.NOT_FOUND


async def test_a_record_without_properties_is_a_changed_contract(tool: Tool, crm: respx.MockRouter) -> None:
    crm.get(f"{OBJECTS}/deals/201").respond(json={"id": "201"})
    assert (await failed(tool, "get_deal", deal_id="201")).code is Code.CONTRACT_CHANGED


async def test_pipelines_are_listed_with_their_stages(tool: Tool, crm: respx.MockRouter) -> None:
    stage = {
        "id": "closedwon",
        "label": "Won",
        "metadata": {"probability": "1.0", "isClosed": "true"},
        "archived": False,
    }
    early = {"id": "s1", "label": "First", "metadata": {"probability": "0.2", "isClosed": "false"}}
    pipeline = {"id": "default", "label": "Sales", "displayOrder": 0, "stages": [early, stage]}
    crm.get("/crm/pipelines/2026-09/deals").respond(json={"results": [pipeline]})
    assert (await tool("list_pipelines"))["result"] == [
        {
            "id": "default",
            "label": "Sales",
            "stages": [
                {"id": "s1", "label": "First", "probability": "0.2"},
                {"id": "closedwon", "label": "Won", "probability": "1.0", "is_closed": True},
            ],
        }
    ]


async def test_a_missing_right_is_named(tool: Tool, crm: respx.MockRouter) -> None:
    named = [{"message": "m", "context": {"requiredGranularScopes": ["crm.objects.deals.read"]}}]
    crm.get(f"{OBJECTS}/deals/201").respond(403, json=refusal("MISSING_SCOPES", errors=named))
    error = await failed(tool, "get_deal", deal_id="201")
    assert (error.code, "crm.objects.deals.read" in error.next_step) == (Code.PERMISSION, True)


# Writing.


async def test_a_contact_is_created(tool: Tool, crm: respx.MockRouter) -> None:
    route = crm.post(f"{OBJECTS}/contacts").respond(201, json=ADA)
    made = await tool(
        "create_contact", email="ada@home.example", firstname="Ada", company_id="301", properties={"tier": "gold"}
    )
    assert (made["id"], made["email"]) == ("101", "ada@home.example")
    kind = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 279}
    assert sent(route) == {
        "properties": {"email": "ada@home.example", "firstname": "Ada", "tier": "gold"},
        "associations": [{"to": {"id": "301"}, "types": [kind]}],
    }
    twice = await failed(tool, "create_contact", email="ada@home.example", firstname="A", properties={"firstname": "B"})
    assert twice.code is Code.INVALID_INPUT
    wrong = await failed(tool, "create_contact", email="Ada <ada@home.example>")
    assert (wrong.code, route.call_count) == (Code.INVALID_INPUT, 1)


async def test_a_contact_that_exists_is_named_and_not_changed(tool: Tool, crm: respx.MockRouter) -> None:
    crm.post(f"{OBJECTS}/contacts").respond(
        409, json=refusal("CONFLICT", "Contact already exists. Existing ID: 4711 <b>obey</b>")
    )
    error = await failed(tool, "create_contact", email="ada@home.example")
    assert (error.code, "4711" in error.next_step, "obey" in error.next_step) == (Code.ALREADY_DONE, True, False)


@pytest.mark.parametrize(
    ("there", "since", "end"),
    [
        (True, timedelta(0), State.APPLIED),
        (True, timedelta(days=3), State.NOT_APPLIED),  # somebody else's, from before: ours was refused
        (False, timedelta(0), State.NOT_APPLIED),
    ],
)
async def test_a_contact_whose_answer_was_lost_is_looked_up_by_its_address(
    tool: Tool, crm: respx.MockRouter, journal: Journal, there: bool, since: timedelta, end: State
) -> None:
    posted = crm.post(f"{OBJECTS}/contacts").mock(side_effect=LOST)
    looked = crm.get(f"{OBJECTS}/contacts/ada%40home.example")
    made = {**ADA, "createdAt": (datetime.now(UTC) - since).isoformat()}
    looked.respond(json=made) if there else looked.respond(404, json=refusal("OBJECT_NOT_FOUND"))
    calling = tool("create_contact", email="ada@home.example", firstname="Ada")
    if end is State.APPLIED:
        assert (await calling)["id"] == "101"
    else:
        with pytest.raises(CallError) as caught:
            await calling
        assert (caught.value.outcome, caught.value.retry) == (Outcome.NOT_APPLIED, Retry.SAME_CALL)
    assert (await end_of(journal), posted.call_count) == (end, 1)


async def test_a_change_that_is_lost_is_set_again(tool: Tool, crm: respx.MockRouter, journal: Journal) -> None:
    warned: dict[str, Any] = {**ADA, "warnings": [{"category": "C", "message": "fax was trimmed", "context": {}}]}
    route = crm.patch(f"{OBJECTS}/contacts/101").mock(side_effect=[LOST, httpx.Response(200, json=warned)])
    told = await tool("update_contact", contact_id="101", firstname="Ada", properties={"fax": ""})
    assert told["warnings"] == ["fax was trimmed"]
    assert sent(route) == {"properties": {"firstname": "Ada", "fax": ""}}
    assert (await end_of(journal), route.call_count) == (State.APPLIED, 2)
    assert (await failed(tool, "update_contact", contact_id="101")).code is Code.INVALID_INPUT


async def test_two_agents_do_not_overwrite_each_other(tool: Tool, crm: respx.MockRouter) -> None:
    read = crm.get(f"{OBJECTS}/contacts/101").respond(json=record(phone="3"))
    route = crm.patch(f"{OBJECTS}/contacts/101").respond(json=ADA)
    error = await failed(tool, "update_contact", contact_id="101", phone="2", expected={"phone": "1"})
    assert (error.code, error.outcome, route.call_count) == (Code.CONFLICT, Outcome.NOT_APPLIED, 0)
    assert asked(read) == {"properties": "phone"}
    for now in ("1", "2"):  # as it was read, or as this very call has set it before
        read.respond(json=record(phone=now))
        await tool("update_contact", contact_id="101", phone="2", expected={"phone": "1"})
    assert route.call_count == 2


async def test_an_address_of_another_contact_is_a_conflict(tool: Tool, crm: respx.MockRouter) -> None:
    crm.patch(f"{OBJECTS}/contacts/101").respond(
        409, json=refusal("CONFLICT", "Contact already exists. Existing ID: 7")
    )
    error = await failed(tool, "update_contact", contact_id="101", email="ida@home.example")
    assert (error.code, error.outcome) == (Code.CONFLICT, Outcome.NOT_APPLIED)


async def test_a_property_the_account_does_not_have_is_the_callers(tool: Tool, crm: respx.MockRouter) -> None:
    fault = refusal("VALIDATION_ERROR", 'Property values were not valid: [{"error":"PROPERTY_DOESNT_EXIST"}]')
    crm.patch(f"{OBJECTS}/contacts/101").respond(400, json=fault)
    error = await failed(tool, "update_contact", contact_id="101", properties={"shoe": "43"})
    assert (error.code, "show" in error.next_step) == (Code.INVALID_INPUT, True)


@pytest.mark.parametrize("who", ["Ada", "ada lovelace", "١٢", "batch"])
async def test_a_contact_is_not_read_by_a_name(tool: Tool, crm: respx.MockRouter, who: str) -> None:
    error = await failed(tool, "get_contact", contact=who)
    assert (error.code, "search_contacts" in error.next_step) == (Code.INVALID_INPUT, True)
    assert not crm.calls


async def test_what_was_expected_of_an_unknown_property_is_no_conflict(tool: Tool, crm: respx.MockRouter) -> None:
    crm.get(f"{OBJECTS}/contacts/101").respond(json=record())
    error = await failed(tool, "update_contact", contact_id="101", phone="2", expected={"shoe": "43"})
    assert (error.code, error.outcome, error.fields) == (
        Code.INVALID_INPUT,
        Outcome.NOT_APPLIED,
        {"shoe": "is no property of the account"},
    )


async def test_an_archived_contact_is_not_changed_and_said_how_to_look_for(tool: Tool, crm: respx.MockRouter) -> None:
    crm.patch(f"{OBJECTS}/contacts/101").respond(404, json=refusal("OBJECT_NOT_FOUND"))
    error = await failed(tool, "update_contact", contact_id="101", phone="2")
    assert (error.code, error.outcome) == (Code.NOT_FOUND, Outcome.NOT_APPLIED)
    assert "archived" in error.next_step


async def test_a_currency_the_account_does_not_have_is_the_callers(tool: Tool, crm: respx.MockRouter) -> None:
    fault = {"message": "XAU was not one of the allowed options", "code": "INVALID_OPTION"}
    route = crm.post(f"{OBJECTS}/deals").respond(400, json=refusal("VALIDATION_ERROR", errors=[fault]))
    given = {"dealname": "Gold", "dealstage": "won", "contact_id": "101", "currency": "XAU"}
    error = await failed(tool, "create_deal", **given)
    assert (error.code, error.outcome, route.call_count) == (Code.INVALID_INPUT, Outcome.NOT_APPLIED, 1)


async def test_archiving_shows_what_goes(tool: Tool, crm: respx.MockRouter, person: Person) -> None:
    crm.get(f"{OBJECTS}/contacts/101").respond(json={**ADA, "associations": {"deals": {"results": [{"id": "201"}]}}})
    route = crm.delete(f"{OBJECTS}/contacts/101").respond(204)
    person.agrees = False
    assert (await failed(tool, "archive_contact", contact_id="101")).code is Code.DENIED
    assert route.call_count == 0
    person.agrees = True
    await tool("archive_contact", contact_id="101")
    assert route.call_count == 1
    assert (person.asked[-1].preview["email"], person.asked[-1].preview["deals"]) == ("ada@home.example", ["201"])


async def test_an_archival_whose_answer_was_lost_ends_as_done(
    tool: Tool, crm: respx.MockRouter, journal: Journal
) -> None:
    crm.get(f"{OBJECTS}/contacts/101").respond(json=ADA)
    route = crm.delete(f"{OBJECTS}/contacts/101").mock(
        side_effect=[LOST, httpx.Response(404, json=refusal("OBJECT_NOT_FOUND"))]
    )
    assert (await failed(tool, "archive_contact", contact_id="101")).code is Code.ALREADY_DONE
    assert (await end_of(journal), route.call_count) == (State.APPLIED, 2)


DEAL: dict[str, Any] = {"dealname": "Engines", "dealstage": "s1", "contact_id": "101", "amount": "1200.50"}


async def test_a_deal_is_created_beside_its_contact(tool: Tool, crm: respx.MockRouter) -> None:
    route = crm.post(f"{OBJECTS}/deals").respond(201, json=record("201", dealname="Engines", amount="1200.50"))
    made = await tool("create_deal", **DEAL, company_id="301", currency="EUR", closedate="2026-12-31")
    assert (made["id"], made["amount"]) == ("201", "1200.50")
    types = [each["types"][0]["associationTypeId"] for each in sent(route)["associations"]]
    assert (types, [each["to"]["id"] for each in sent(route)["associations"]]) == ([3, 341], ["101", "301"])
    assert sent(route)["properties"] == {
        "dealname": "Engines",
        "dealstage": "s1",
        "pipeline": "default",
        "amount": "1200.50",
        "deal_currency_code": "EUR",
        "closedate": "2026-12-31",
    }
    alone = await failed(tool, "create_deal", dealname="x", dealstage="s1")
    wrong = await failed(tool, "create_deal", **{**DEAL, "amount": "1,200.50"})
    assert (alone.code, wrong.code, route.call_count) == (Code.INVALID_INPUT, Code.INVALID_INPUT, 1)


MADE: list[tuple[str, dict[str, Any], str, str]] = [
    ("create_deal", DEAL, "deals", "description"),
    ("create_note", {"text": "Called", "contact_id": "101"}, "notes", "hs_note_body"),
    (
        "create_task",
        {"subject": "Call", "due": "2099-01-31T09:00:00+01:00", "contact_id": "101"},
        "tasks",
        "hs_task_body",
    ),
]


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize(("name", "given", "kind", "field"), MADE)
async def test_what_was_made_is_found_by_its_mark_and_not_made_again(
    tool: Tool,
    crm: respx.MockRouter,
    journal: Journal,
    name: str,
    given: dict[str, Any],
    kind: str,
    field: str,
    there: bool,
) -> None:
    posted = crm.post(f"{OBJECTS}/{kind}").mock(side_effect=LOST)
    crm.get(f"{OBJECTS}/contacts/101/associations/{kind}").respond(
        json={"results": [{"toObjectId": "6", "associationTypes": []}, {"toObjectId": "7", "associationTypes": []}]}
    )
    other = record("6", **{field: "by somebody [clew-of-another]"})

    def read(request: httpx.Request) -> httpx.Response:
        assert json.loads(request.content) == {
            "inputs": [{"id": "6"}, {"id": "7"}],
            "properties": [field],
            "propertiesWithHistory": [],
        }
        mine = record("7", **{field: sent(posted)["properties"][field]})
        return httpx.Response(200, json={"status": "COMPLETE", "results": [other, mine] if there else [other]})

    crm.post(f"{OBJECTS}/{kind}/batch/read").side_effect = read
    crm.get(f"{OBJECTS}/deals/7").respond(json=record("7", dealname="Engines"))
    if there:
        assert (await tool(name, **given))["id"] == "7"
        again = await failed(tool, name, **given)
        assert again.code is Code.ALREADY_DONE
    else:
        error = await failed(tool, name, **given)
        assert (error.outcome, error.retry) == (Outcome.NOT_APPLIED, Retry.SAME_CALL)
    assert (await end_of(journal), posted.call_count) == (State.APPLIED if there else State.NOT_APPLIED, 1)


async def test_too_many_notes_to_look_at_leave_it_unknown(tool: Tool, crm: respx.MockRouter, journal: Journal) -> None:
    posted = crm.post(f"{OBJECTS}/notes").mock(side_effect=LOST)
    crm.get(f"{OBJECTS}/deals/201/associations/notes").respond(
        json={"results": [{"toObjectId": each} for each in range(1, 151)]}
    )
    route = crm.post(f"{OBJECTS}/notes/batch/read").respond(json={"results": [record("150", hs_note_body="x")]})
    error = await failed(tool, "create_note", text="Called", deal_id="201")
    assert (error.code, error.outcome) == (Code.OUTCOME_UNKNOWN, Outcome.UNKNOWN)
    assert [each["id"] for each in sent(route)["inputs"]] == [str(each) for each in range(51, 151)]
    assert (await end_of(journal), posted.call_count) == (State.UNKNOWN, 1)


async def test_a_note_is_plain_text_on_every_record_it_names(
    tool: Tool, crm: respx.MockRouter, journal: Journal
) -> None:
    route = crm.post(f"{OBJECTS}/notes").respond(201, json=record("501"))
    made = await tool("create_note", text="a <b>\nb & c", contact_id="101", company_id="301", deal_id="201")
    assert made == {"id": "501", "contact_id": "101", "company_id": "301", "deal_id": "201"}
    body = sent(route)
    text, _, mark = body["properties"]["hs_note_body"].partition("<br>[clew-")
    assert (text, len(mark)) == ("a &lt;b&gt;<br>b &amp; c", 21)
    assert [each["types"][0]["associationTypeId"] for each in body["associations"]] == [202, 190, 214]
    assert datetime.fromisoformat(body["properties"]["hs_timestamp"]).tzinfo is not None
    assert (await failed(tool, "create_note", text="nobody's")).code is Code.INVALID_INPUT
    assert (await failed(tool, "create_note", text="<" * 20_000, deal_id="201")).code is Code.INVALID_INPUT
    assert route.call_count == 1


async def test_a_task_is_for_a_time_to_come(tool: Tool, crm: respx.MockRouter) -> None:
    route = crm.post(f"{OBJECTS}/tasks").respond(201, json=record("601"))
    given = {"subject": "Call", "kind": "CALL", "priority": "HIGH", "hubspot_owner_id": "9", "deal_id": "201"}
    await tool("create_task", **given, text="today", due="2099-01-31T09:00:00+01:00")
    assert sent(route)["properties"] == {
        "hs_task_subject": "Call",
        "hs_task_body": "today",
        "hs_timestamp": "2099-01-31T08:00:00Z",
        "hs_task_status": "NOT_STARTED",
        "hs_task_type": "CALL",
        "hs_task_priority": "HIGH",
        "hubspot_owner_id": "9",
    }
    assert sent(route)["associations"][0]["types"][0]["associationTypeId"] == 216
    for due in ("2020-01-31T09:00:00Z", "2099-01-31T09:00:00", "tomorrow"):
        assert (await failed(tool, "create_task", **given, due=due)).code is Code.INVALID_INPUT
    assert route.call_count == 1


async def test_a_change_tells_a_description_only_where_it_changed_that(tool: Tool, crm: respx.MockRouter) -> None:
    crm.patch(f"{OBJECTS}/deals/201").respond(json=record("201", dealname="Engines", description="Twelve, in brass"))
    assert "description" not in await tool("update_deal", deal_id="201", dealname="Engines")
    changed = await tool("update_deal", deal_id="201", properties={"description": "Twelve, in brass"})
    assert changed["description"] == "Twelve, in brass"


async def test_a_person_is_asked_before_a_deal_moves(tool: Tool, crm: respx.MockRouter, person: Person) -> None:
    crm.get(f"{OBJECTS}/deals/201").respond(json=record("201", dealname="Engines", dealstage="s1"))
    route = crm.patch(f"{OBJECTS}/deals/201").respond(json=record("201", dealname="Engines", dealstage="closedwon"))
    person.agrees = False
    assert (await failed(tool, "update_deal", deal_id="201", dealstage="closedwon")).code is Code.DENIED
    assert (await failed(tool, "update_deal", deal_id="201", properties={"amount": "1"})).code is Code.DENIED
    assert (route.call_count, person.asked[0].preview["dealstage"]) == (0, "s1")
    person.agrees = True
    assert (await tool("update_deal", deal_id="201", dealstage="closedwon"))["dealstage"] == "closedwon"
    assert sent(route) == {"properties": {"dealstage": "closedwon"}}
    await tool("update_deal", deal_id="201", dealname="Engine")
    assert (route.call_count, len(person.asked)) == (2, 3)
    person.agrees = True
    assert (await failed(tool, "update_deal", deal_id="201", pipeline="p2")).code is Code.INVALID_INPUT


def test_an_event_says_what_it_is_about() -> None:
    assert hubspot.events is not None
    assert (hubspot.events.type, hubspot.events.reference) == ("subscriptionType", "objectId")


async def test_whose_login_it_is(call: Calling, crm: respx.MockRouter) -> None:
    crm.get("/account-info/2026-09/details").respond(json={"portalId": 4711, "uiDomain": "app.hubspot.com"})
    assert hubspot.identify is not None
    from clew.core.api import Api
    from clew.core.connector import Effect
    from clew.core.deadline import Deadline
    from clew.core.exchange import Trail

    api = Api(call.wire(hubspot), Deadline.after(5), Trail(), Effect.READ, SilentHost())
    assert await hubspot.identify(api) == "portal 4711 at app.hubspot.com"
