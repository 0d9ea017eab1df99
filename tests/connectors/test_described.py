"""The descriptions that every request in these tests is held against notice what is wrong."""

import json
import re
from typing import Any

import httpx
import pytest
from tests.connectors.described import PLACE, ROOT, Judge, connector, judge, of_testbeds
from tests.connectors.known import STALE

from clew.core.registry import discover

WRONG: dict[str, list[tuple[str, str, Any]]] = {
    "github": list(of_testbeds("wrong").GITHUB),
    "jira": [
        ("GET", "/rest/api/3/isue/ED-1", None),
        ("GET", "/rest/api/3/search/jql?size=3", None),
        ("GET", "/rest/api/3/search/jql?maxResults=many", None),
        ("PUT", "/rest/api/3/issue/ED-1/assignee", {"account": "a"}),
        ("POST", "/rest/api/3/issue", {"fields": []}),
    ],
    "google_calendar": [
        ("GET", "/calendar/v3/calendars/primary/event", None),
        ("GET", "/calendar/v3/calendars/primary/events?orderBy=end", None),
        ("GET", "/calendar/v3/calendars/primary/events?since=x", None),
        ("POST", "/calendar/v3/calendars/primary/events", {"summary": "no times"}),
        ("POST", "/calendar/v3/freeBusy", {"timeMin": "x", "timeMax": "y", "items": [{"name": "x"}]}),
    ],
    "gmail": [
        ("GET", "/gmail/v1/users/me/message", None),
        ("GET", "/gmail/v1/users/me/messages?limit=3", None),
        ("GET", "/gmail/v1/users/me/messages/m1?format=small", None),
        ("POST", "/gmail/v1/users/me/messages/batchModify", {"ids": "m1"}),
    ],
    "hubspot": [
        ("GET", "/crm/objects/2026-09/contacts/1/2", None),
        ("GET", "/crm/objects/2026-09/contacts/1?fields=email", None),
        ("GET", "/crm/objects/2026-09/contacts/1?archived=perhaps", None),
        ("POST", "/crm/objects/2026-09/notes", {"associations": []}),
        ("POST", "/crm/objects/2026-09/notes", {"properties": {"n": 1}, "associations": []}),
        (
            "POST",
            "/crm/objects/2026-09/notes",
            {"properties": {}, "associations": [{"to": {"id": 7}, "types": [{"associationTypeId": 1}]}]},
        ),
        ("PATCH", "/crm/objects/2026-09/deals/1", {"amount": "1"}),
        (
            "POST",
            "/crm/objects/2026-09/deals/search",
            {
                "limit": 20,
                "properties": [],
                "sorts": [],
                "filterGroups": [{"filters": [{"propertyName": "x", "operator": "LIKE"}]}],
            },
        ),
        ("POST", "/crm/objects/2026-09/deals/batch/read", {"inputs": [{"id": "1"}], "properties": []}),
        ("GET", "/crm/objects/2026-09/contacts/1/associations/notes?limit=many", None),
    ],
    "microsoft": [
        ("GET", "/me/message", None),
        ("GET", "/me/messages?$page=3", None),
        ("POST", "/me/messages", {"subject": 7}),
        ("POST", "/me/messages", {"topic": "x"}),
        ("POST", "/me/messages", {"toRecipients": "grace@away.example"}),
        ("PATCH", "/me/events/e1", {"start": {"dateTime": 1}}),
        ("POST", "/me/events/e1/cancel", {"why": "x"}),
        ("POST", "/me/messages/m1/send", {"x": 1}),
    ],
    "pagerduty": [
        ("GET", "/incident", None),
        ("GET", "/incidents?status[]=open", None),
        ("GET", "/incidents?statuses[]=open", None),
        ("GET", "/oncalls?earliest=maybe", None),
        ("POST", "/incidents", {"incident": {"type": "incident", "title": "no service"}}),
        (
            "POST",
            "/incidents",
            {"incident": {"type": "incident", "title": "t", "service": {"id": "P1", "type": "service"}}},
        ),
        ("PUT", "/incidents/P1", {"incident": {"type": "incident", "status": "triggered"}}),
        ("POST", "/incidents/P1/notes", {"note": {"text": "x"}}),
        ("POST", "/webhook_subscriptions", {"webhook_subscription": {"type": "webhook_subscription", "events": []}}),
    ],
    "stripe": list(of_testbeds("wrong").STRIPE),
    "notion": [
        ("GET", "/page/p1", None),
        ("GET", "/users?limit=3", None),
        ("POST", "/comments", {"parent": {"page_id": "p1"}, "rich_text": "not rich"}),
        ("PATCH", "/blocks/b1/children", {"children": [{"paragraph": {"text": []}}]}),
        ("POST", "/data_sources/d1/query", {"page_size": "many"}),
    ],
    "slack": [
        ("POST", "/chat.postMessages", None),
        ("POST", "/chat.postMessage", {"channel": "C1", "text": "x", "mood": "glad"}),
        ("POST", "/conversations.history", {"limit": "3"}),
        ("POST", "/conversations.history", {"channel": "C1", "limit": "many"}),
    ],
    "sendgrid": [
        ("POST", "/mail/sent", {}),
        ("GET", "/suppression/blocks?page=3", None),
        ("POST", "/mail/send", {"from": {"email": "a@b.example"}, "personalizations": [], "content": []}),
    ],
    "zendesk": [
        ("GET", "/ticket", None),
        ("GET", "/tickets/seven", None),
        ("GET", "/tickets?since=x", None),
        ("GET", "/search?sort_by=created_at", None),
        ("GET", "/incremental/tickets/cursor?start_time=today", None),
        ("GET", "/incremental/tickets/cursor", None),
        ("POST", "/tickets", {"ticket": {"subject": "no text"}}),
        ("POST", "/tickets", {"ticket": {"comment": {"text": "x"}}}),
        ("PUT", "/tickets/7", {"ticket": {"status": "done"}}),
        ("PUT", "/tickets/7", {"ticket": {"safe_update": "yes"}}),
        ("PUT", "/tickets/7", {"comment": {"body": "x"}}),
    ],
}
"""Requests that must be found wrong, else nothing found would mean nothing."""

CASES = [(name, *each) for name, rows in WRONG.items() for each in rows]


def judged(name: str) -> Judge:
    found = judge(name)
    assert found is not None
    return found


@pytest.mark.parametrize(("name", "method", "path", "body"), CASES)
def test_a_wrong_request_is_found_wrong(name: str, method: str, path: str, body: Any) -> None:
    base = re.sub(r"\{[^}]+\}", "x", connector(name).base_url)
    request = httpx.Request(method, f"{base}{path}", **_sent(name, body))
    # What a description asks of all requests, which these have not, would hide that one is not found wrong.
    assert [each for each in judged(name).faults(request, base) if ": header parameter " not in each]


def _sent(name: str, body: Any) -> dict[str, Any]:
    if name == "slack":
        return {"data": body}
    if name == "stripe":
        return {"content": body, "headers": {"content-type": "application/x-www-form-urlencoded"} if body else {}}
    return {"json": body}


def test_a_request_to_another_host_is_found_wrong() -> None:
    request = httpx.Request("GET", "https://api.github.example/user")
    assert judged("github").faults(request, "https://api.github.com") != []
    assert judged("github").faults(request, "https://api.github.example") == []


def test_every_description_is_controlled_and_names_its_source() -> None:
    described = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in PLACE.glob("*.json")}
    assert set(described) == set(WRONG)
    assert set(STALE) <= set(described)
    for name, each in described.items():
        assert set(each["info"]["x-source"]) - {"commits"} == {"package", "version", "files"}
        operations = {f"{method.upper()} {path}" for path, item in each["paths"].items() for method in item}
        assert {known.operation for known in STALE.get(name, ())} <= operations


def test_the_page_of_proofs_has_every_connector_and_the_descriptions_as_they_are() -> None:
    page = (ROOT / "docs" / "proofs.md").read_text(encoding="utf-8")
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in page.splitlines() if line.startswith("| ")}
    assert {name for name in discover() if connector(name).tools} - {"acme"} <= set(rows)
    for path in PLACE.glob("*.json"):
        source = json.loads(path.read_text(encoding="utf-8"))["info"]["x-source"]
        assert f"{source['package']} {source['version']}" in page


@pytest.mark.parametrize("name", ["linear", "shopify"])
def test_every_operation_in_graphql_is_asked_for_in_these_tests(name: str) -> None:
    """There each is held against the provider's schema, with its variables, before it is answered."""
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "connectors" / name).glob("*.py"))
    asked = (ROOT / "tests" / "connectors" / f"test_{name}.py").read_text(encoding="utf-8")
    operations = set(re.findall(r"\b(?:query|mutation) ([A-Z]\w+)\s*[({]", sources))
    assert len(operations) > 10
    assert {each for each in operations if f'"{each}"' not in asked} == set()
