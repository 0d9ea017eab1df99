"""PagerDuty: what the tools send, whom they page only after a yes, and that no incident is opened twice."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import respx
from tests.connectors.calling import Calling, Tool, failed
from tests.people import Person

from clew import Api, Secret
from clew.connectors.pagerduty import pagerduty
from clew.core.connector import Effect
from clew.core.deadline import Deadline
from clew.core.errors import Code, Outcome, Retry
from clew.core.exchange import Trail
from clew.core.host import SilentHost
from clew.core.journal import Journal, State
from clew.core.subscriptions import Wish

pytestmark = pytest.mark.anyio

LOST = httpx.ReadTimeout("slow")
OPEN: dict[str, Any] = {"service_id": "PSERV01", "title": "Checkout is down"}
SERVICE: dict[str, Any] = {
    "id": "PSERV01",
    "name": "Checkout",
    "status": "active",
    "escalation_policy": {"id": "PPOL001", "summary": "Shop"},
}


@pytest.fixture
def pd() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url="https://api.pagerduty.com", assert_all_called=False) as router:
        router.get("/services/PSERV01").respond(json={"service": SERVICE})
        router.get("/oncalls").respond(json={"oncalls": [oncall("Ada", 1), oncall("Ida", 2)], "more": False})
        yield router


@pytest.fixture
def tool(call: Calling, person: Person) -> Tool:
    return call.tool(pagerduty, person, seconds=60)


def oncall(name: str, level: int) -> dict[str, Any]:
    return {
        "user": {"id": f"PU{name.upper()}1", "summary": name},
        "escalation_policy": {"id": "PPOL001", "summary": "Shop"},
        "escalation_level": level,
        "schedule": None,
        "start": "2026-01-01T00:00:00Z",
        "end": None,
    }


def incident(**facts: Any) -> dict[str, Any]:
    return {
        "id": "QINC0001",
        "incident_number": 7,
        "title": "Checkout is down",
        "status": "triggered",
        "urgency": "high",
        "incident_key": "k",
        "service": {"id": "PSERV01", "summary": "Checkout"},
        "assignments": [{"at": "2026-01-01T00:00:00Z", "assignee": {"id": "PUADA1", "summary": "Ada"}}],
        "created_at": datetime.now(UTC).isoformat(),
        "html_url": "https://shop.pagerduty.com/incidents/QINC0001",
        **facts,
    }


def refusal(code: int, *faults: str) -> dict[str, Any]:
    return {"error": {"message": "Arguments Caused Error", "code": code, "errors": list(faults)}}


TAKEN = httpx.Response(400, json=refusal(2002, "Open incident with matching dedup key already exists on this service"))


def sent(route: respx.Route) -> Any:
    calls: Any = route.calls
    return json.loads(calls.last.request.content)


async def end_of(journal: Journal) -> State:
    (row,) = await journal.rows()
    return row.state


async def test_incidents_are_paged_to_the_end(tool: Tool, pd: respx.MockRouter) -> None:
    route = pd.get("/incidents")
    route.side_effect = [
        httpx.Response(200, json={"incidents": [incident()] * 20, "more": True, "offset": 0, "limit": 20}),
        httpx.Response(200, json={"incidents": [incident()], "more": False}),
    ]
    page = await tool("list_incidents", statuses=["triggered", "acknowledged"], service_ids=["PSERV01"])
    calls: Any = route.calls
    assert calls.last.request.url.params.multi_items() == [
        ("limit", "20"),
        ("offset", "0"),
        ("statuses[]", "triggered"),
        ("statuses[]", "acknowledged"),
        ("service_ids[]", "PSERV01"),
        ("sort_by", "created_at:desc"),
    ]
    line = page["items"][0]
    assert (line["service"], line["assignees"], line["incident_number"]) == ("Checkout", ["Ada"], 7)
    last = await tool("list_incidents", cursor=page["next_cursor"])
    assert (calls.last.request.url.params["offset"], "next_cursor" in last) == ("20", False)


async def test_a_grant_that_is_revoked_between_pages(tool: Tool, pd: respx.MockRouter) -> None:
    route = pd.get("/incidents").respond(json={"incidents": [incident()] * 20, "more": True})
    page = await tool("list_incidents")
    route.respond(401, json=refusal(2006))
    error = await failed(tool, "list_incidents", cursor=page["next_cursor"])
    assert (error.code, error.outcome) == (Code.AUTH_REVOKED, Outcome.NOT_APPLIED)


async def test_an_incident_is_read_with_its_notes(tool: Tool, pd: respx.MockRouter) -> None:
    pd.get("/incidents/QINC0001").respond(json={"incident": incident(alert_counts={"all": 3}, priority=None)})
    note = {"id": "PNOTE01", "user": {"id": "PUADA1", "summary": "Ada"}, "content": "looking", "created_at": "x"}
    pd.get("/incidents/QINC0001/notes").respond(json={"notes": [note]})
    found = await tool("get_incident", incident_id="QINC0001")
    assert (found["alerts"], found["notes"][0]["content"], "priority" in found) == (3, "looking", False)
    pd.get("/incidents/QGONE001").respond(404, json=refusal(2100))
    assert (await failed(tool, "get_incident", incident_id="QGONE001")).code is Code.NOT_FOUND
    assert (await failed(tool, "get_incident", incident_id="../users")).code is Code.INVALID_INPUT


async def test_services_and_people_on_call_are_listed(tool: Tool, pd: respx.MockRouter) -> None:
    pd.get("/services").respond(json={"services": [SERVICE], "more": False})
    assert (await tool("list_services", query="check"))["items"][0]["escalation_policy_id"] == "PPOL001"
    people = (await tool("list_oncalls", escalation_policy_ids=["PPOL001"]))["items"]
    assert [(each["user"], each["level"]) for each in people] == [("Ada", 1), ("Ida", 2)]


async def test_a_person_sees_who_would_be_paged(
    tool: Tool, pd: respx.MockRouter, person: Person, journal: Journal
) -> None:
    route = pd.post("/incidents").respond(201, json={"incident": incident()})
    person.agrees = False
    assert (await failed(tool, "create_incident", **OPEN)).code is Code.DENIED
    assert (route.call_count, person.asked[0].preview["reaches"]) == (0, ["Ada"])
    person.agrees = True
    made = await tool("create_incident", **OPEN, details="since 9:00", from_email="ada@shop.example")
    key = sent(route)["incident"].pop("incident_key")
    assert (len(key), made["id"]) == (32, "QINC0001")
    assert {**sent(route)["incident"], "incident_key": ""} == {
        "type": "incident",
        "title": "Checkout is down",
        "service": {"id": "PSERV01", "type": "service_reference"},
        "urgency": "high",
        "body": {"type": "incident_body", "details": "since 9:00"},
        "incident_key": "",
    }
    calls: Any = route.calls
    assert calls.last.request.headers["from"] == "ada@shop.example"


async def test_an_incident_whose_answer_was_lost_is_refused_the_second_time_and_found(
    tool: Tool, pd: respx.MockRouter, journal: Journal
) -> None:
    route = pd.post("/incidents").mock(side_effect=[LOST, TAKEN])
    looked = pd.get("/incidents").respond(json={"incidents": [incident()]})
    assert (await tool("create_incident", **OPEN))["id"] == "QINC0001"
    calls: Any = route.calls
    keys = {json.loads(each.request.content)["incident"]["incident_key"] for each in calls}
    asked: Any = looked.calls
    assert keys == {asked.last.request.url.params["incident_key"]}
    assert (await end_of(journal), route.call_count) == (State.APPLIED, 2)


async def test_an_open_incident_with_the_callers_key_is_not_doubled(tool: Tool, pd: respx.MockRouter) -> None:
    route = pd.post("/incidents").mock(return_value=TAKEN)
    error = await failed(tool, "create_incident", **OPEN, incident_key="checkout")
    assert (error.code, sent(route)["incident"]["incident_key"]) == (Code.ALREADY_DONE, "checkout")


async def test_an_incident_that_was_never_seen_stays_open_to_the_same_call(
    tool: Tool, pd: respx.MockRouter, journal: Journal
) -> None:
    pd.post("/incidents").mock(side_effect=LOST)
    pd.get("/incidents").respond(json={"incidents": [incident(created_at="2020-01-01T00:00:00Z")]})
    error = await failed(tool, "create_incident", **OPEN, incident_key="checkout")
    assert (error.outcome, error.retry) == (Outcome.NOT_APPLIED, Retry.SAME_CALL)


async def test_a_person_is_asked_before_escalation_stops(tool: Tool, pd: respx.MockRouter, person: Person) -> None:
    pd.get("/incidents/QINC0001").respond(json={"incident": incident()})
    pd.get("/incidents/QINC0001/notes").respond(json={"notes": []})
    route = pd.put("/incidents/QINC0001").respond(json={"incident": incident(status="acknowledged")})
    assert (await tool("update_incident", incident_id="QINC0001", title="Down"))["status"] == "acknowledged"
    assert person.asked == []
    await tool("update_incident", incident_id="QINC0001", status="acknowledged", user_ids=["PUIDA1"])
    assert sent(route) == {
        "incident": {
            "type": "incident_reference",
            "status": "acknowledged",
            "assignments": [{"assignee": {"id": "PUIDA1", "type": "user_reference"}}],
        }
    }
    assert person.asked[0].preview["status"] == "triggered"
    person.agrees = False
    assert (await failed(tool, "update_incident", incident_id="QINC0001", urgency="low")).code is Code.DENIED
    assert (await failed(tool, "update_incident", incident_id="QINC0001")).code is Code.INVALID_INPUT
    person.agrees = True
    both = {"user_ids": ["PUIDA1"], "escalation_policy_id": "PPOL001"}
    assert (await failed(tool, "update_incident", incident_id="QINC0001", **both)).code is Code.INVALID_INPUT
    assert route.call_count == 2


@pytest.mark.parametrize("answer", [refusal(2001, "Incident Already Resolved"), refusal(1001)])
@pytest.mark.parametrize(
    ("wanted", "there", "code"),
    [
        ({"status": "resolved"}, {"status": "resolved"}, Code.ALREADY_DONE),
        ({"status": "acknowledged"}, {"status": "acknowledged"}, Code.ALREADY_DONE),
        ({"status": "resolved", "title": "Down"}, {"status": "resolved", "title": "Down"}, Code.ALREADY_DONE),
        ({"status": "acknowledged"}, {"status": "resolved"}, Code.CONFLICT),
        ({"user_ids": ["PUIDA1"]}, {"status": "resolved", "assignments": []}, Code.CONFLICT),
        ({"title": "Down"}, {"status": "resolved"}, Code.CONFLICT),
        ({"escalation_policy_id": "PPOL001"}, {"status": "resolved"}, Code.CONFLICT),
    ],
)
async def test_an_incident_that_is_resolved_already_was_not_changed_by_it(
    tool: Tool, pd: respx.MockRouter, answer: Any, wanted: dict[str, Any], there: dict[str, Any], code: Code
) -> None:
    pd.get("/incidents/QINC0001").respond(json={"incident": incident(**there)})
    pd.get("/incidents/QINC0001/notes").respond(json={"notes": []})
    route = pd.put("/incidents/QINC0001").respond(400, json=answer)
    error = await failed(tool, "update_incident", incident_id="QINC0001", **wanted)
    outcome = Outcome.NOT_APPLIED if code is Code.CONFLICT else Outcome.APPLIED
    assert (error.code, error.outcome, route.call_count) == (code, outcome, 1)
    if code is Code.CONFLICT:
        assert (error.message, "new incident" in error.next_step) == (
            "the incident is resolved; nothing was changed.",
            True,
        )


@pytest.mark.parametrize(
    ("number", "code", "step"),
    [
        (1008, Code.INVALID_INPUT, "from_email"),
        (2011, Code.INVALID_INPUT, "from_email"),
        (1015, Code.CONFLICT, "list_oncalls"),
        (1007, Code.NOT_FOUND, ""),
        (2013, Code.NOT_FOUND, ""),
    ],
)
async def test_an_incident_that_could_reach_nobody_says_what_to_give(
    tool: Tool, pd: respx.MockRouter, number: int, code: Code, step: str
) -> None:
    pd.get("/services/PSERV01").respond(json={"service": {"id": "PSERV01", "name": "Checkout"}})
    route = pd.post("/incidents").respond(400, json=refusal(number))
    error = await failed(tool, "create_incident", **OPEN)
    assert (error.code, error.outcome, route.call_count) == (code, Outcome.NOT_APPLIED, 1)
    assert step in error.next_step


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (httpx.Response(409, json=refusal(1005)), Code.CONFLICT),
        (httpx.Response(402, json=refusal(2014)), Code.PERMISSION),
    ],
)
async def test_refused_changes_end_in_their_codes(
    tool: Tool, pd: respx.MockRouter, answer: httpx.Response, code: Code
) -> None:
    pd.get("/incidents/QINC0001").respond(json={"incident": incident()})
    pd.get("/incidents/QINC0001/notes").respond(json={"notes": []})
    pd.put("/incidents/QINC0001").mock(return_value=answer)
    assert (await failed(tool, "update_incident", incident_id="QINC0001", status="resolved")).code is code


@pytest.mark.parametrize("there", [True, False])
async def test_a_note_is_found_by_its_mark(tool: Tool, pd: respx.MockRouter, journal: Journal, there: bool) -> None:
    route = pd.post("/incidents/QINC0001/notes").mock(side_effect=LOST)

    def listed(request: httpx.Request) -> httpx.Response:
        other = {"id": "PNOTE00", "content": "looking [clew-of-another]"}
        mine = {"id": "PNOTE01", "content": sent(route)["note"]["content"]}
        return httpx.Response(200, json={"notes": [other, mine] if there else [other]})

    pd.get("/incidents/QINC0001/notes").side_effect = listed
    if there:
        assert (await tool("add_note", incident_id="QINC0001", content="looking"))["id"] == "PNOTE01"
    else:
        error = await failed(tool, "add_note", incident_id="QINC0001", content="looking")
        assert (error.outcome, error.retry) == (Outcome.NOT_APPLIED, Retry.SAME_CALL)
    assert (await end_of(journal), route.call_count) == (State.APPLIED if there else State.NOT_APPLIED, 1)


def bound(call: Calling, effect: Effect) -> Api:
    return Api(call.wire(pagerduty), Deadline.after(5), Trail(), effect, SilentHost())


async def test_whose_login_it_is(call: Calling, pd: respx.MockRouter) -> None:
    assert pagerduty.identify is not None
    route = pd.get("/users/me").respond(json={"user": {"id": "PUADA1", "email": "ada@shop.example"}})
    assert await pagerduty.identify(bound(call, Effect.READ)) == "ada@shop.example"
    route.respond(400, json=refusal(2001, "Requires a user"))
    assert await pagerduty.identify(bound(call, Effect.READ)) == "an account key"


async def test_events_are_asked_for_and_given_up(call: Calling, pd: respx.MockRouter) -> None:
    hooks = pagerduty.subscription
    assert hooks is not None
    made = {"id": "PHOOK01", "active": True, "delivery_method": {"secret": "s" * 32}}
    route = pd.post("/webhook_subscriptions").respond(201, json={"webhook_subscription": made})
    wish = Wish(url="https://a.example/in", secret=Secret("x"), types=("incident.triggered",), where={})
    told = await hooks.create(bound(call, Effect.WRITE), wish)
    assert (told.id, told.secret) == ("PHOOK01", Secret("s" * 32))
    assert sent(route)["webhook_subscription"]["events"] == ["incident.triggered"]
    paused = {**made, "delivery_method": {"temporarily_disabled": True}}
    one = pd.get("/webhook_subscriptions/PHOOK01").respond(json={"webhook_subscription": paused})
    seen = await hooks.check(bound(call, Effect.READ), "PHOOK01", {})
    assert seen is not None
    assert not seen.active
    one.respond(404, json=refusal(2100))
    assert await hooks.check(bound(call, Effect.READ), "PHOOK01", {}) is None
    gone = pd.delete("/webhook_subscriptions/PHOOK01").respond(204)
    await hooks.remove(bound(call, Effect.WRITE), "PHOOK01", {})
    assert gone.call_count == 1
