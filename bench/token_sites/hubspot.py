"""HubSpot: ten contacts and a deal. Shapes: developers.hubspot.com/docs/api-reference, CRM objects and engagements v1.

The peer asks /crm/v3, we ask the dated paths; records have the same fields in both. A record has the properties that
were asked for and three that HubSpot always adds.
"""

from typing import Any

import httpx

from bench.tokens_client import node
from bench.tokens_pairs import NOTE, TOKEN, Known, Pair, Tasks
from bench.tokens_upstream import Site

from .shared import PEOPLE, Object, address, day, routed

NAMES = ("Lovelace", "Hopper", "Turing", "Noether", "Curie", "Franklin", "Germain", "Meitner", "Somerville", "Hamilton")
ALWAYS = ("createdate", "hs_object_id", "lastmodifieddate")
USUAL = {"contacts": ("email", "firstname", "lastname"), "deals": ("amount", "closedate", "dealname", "dealstage")}
NUMBERS = {"contacts": "0-1", "deals": "0-3", "notes": "0-46"}
LINE = ["email", "firstname", "lastname", "company", "lifecyclestage", "hubspot_owner_id"]
WHOLE = [*LINE, "phone", "jobtitle", "hs_lead_status"]


def contact(number: int) -> Object:
    """What is known of a contact, by property."""
    last = NAMES[number]
    return {
        "hs_object_id": f"{18742900151 + number * 7}",
        "createdate": f"{day(number)}T09:30:00.000Z",
        "lastmodifieddate": f"{day(number + 3)}T16:05:00.000Z",
        "email": f"{last.lower()}@acme.example.com",
        "firstname": PEOPLE[number % 3].partition(" ")[0],
        "lastname": last,
        "company": "Acme Reports Ltd",
        "lifecyclestage": "opportunity",
        "hubspot_owner_id": "412734881",
        "phone": f"+49 30 5550{number:03}",
        "jobtitle": "Head of Finance",
        "hs_lead_status": "IN_PROGRESS",
    }


def deal() -> Object:
    """What is known of the deal."""
    return {
        "hs_object_id": "31877260415",
        "createdate": f"{day(1)}T09:30:00.000Z",
        "lastmodifieddate": f"{day(4)}T16:05:00.000Z",
        "dealname": "Reports for Acme",
        "amount": "12000",
        "deal_currency_code": "EUR",
        "pipeline": "default",
        "dealstage": "qualifiedtobuy",
        "closedate": f"{day(20)}T00:00:00Z",
        "hubspot_owner_id": "412734881",
        "description": NOTE,
        "hs_is_closed": "false",
        "hs_is_closed_won": "false",
    }


def told(kind: str, facts: Object, wanted: list[str]) -> Object:
    """A record as HubSpot answers it."""
    names = sorted({*(wanted or USUAL.get(kind, ())), *ALWAYS})
    url = f"https://app.hubspot.com/contacts/48211902/record/{NUMBERS[kind]}/{facts['hs_object_id']}"
    known = {"id": facts["hs_object_id"], "properties": {name: facts.get(name) for name in names}}
    times = {"createdAt": facts["createdate"], "updatedAt": facts["lastmodifieddate"]}
    return {**known, **times, "archived": False, "url": url}


def _all(kind: str, facts: Object) -> Object:
    """A record after a write: everything that is set, and what HubSpot computes."""
    names = [name for name in facts if facts[name] is not None]
    return told(kind, facts, names)


def _engagement(_: Any, body: Object) -> Object:
    written = body["metadata"]["body"]
    own = {
        "id": 62418873305,
        "portalId": 48211902,
        "active": True,
        "createdAt": 1795428000000,
        "lastUpdated": 1795428000000,
        "createdBy": 61228311,
        "modifiedBy": 61228311,
        "ownerId": body["engagement"].get("ownerId"),
        "type": "NOTE",
        "timestamp": 1795428000000,
        "source": "INTEGRATION",
        "allAccessibleTeamIds": [],
        "bodyPreview": written[:150],
        "queueMembershipIds": [],
        "bodyPreviewIsTruncated": True,
        "bodyPreviewHtml": f"<html><head></head><body>{written[:150]}</body></html>",
        "gdprDeleted": False,
    }
    near = ("contact", "company", "deal", "owner", "workflow", "ticket", "content", "quote", "marketingEvent")
    linked: dict[str, list[int]] = {f"{name}Ids": [] for name in near}
    linked |= {name: ids for name, ids in body.get("associations", {}).items() if ids}
    return {
        "engagement": own,
        "associations": linked,
        "attachments": [],
        "scheduledTasks": [],
        "metadata": {"body": written},
    }


def site() -> tuple[Site, Known]:
    """The account."""
    records = {each["hs_object_id"]: each for each in [*map(contact, range(len(NAMES))), deal()]}
    new = {"hs_object_id": "18742977004", "createdate": f"{day(22)}T10:00:00.000Z"}

    def read(_: Any, body: Object, kind: str) -> Object:
        found = [told(kind, records[each["id"]], body.get("properties", [])) for each in body["inputs"]]
        return _batch(found)

    def _batch(found: list[Object]) -> Object:
        at = {"startedAt": f"{day(22)}T10:00:00.012Z", "completedAt": f"{day(22)}T10:00:00.098Z"}
        return {"status": "COMPLETE", "results": found, **at}

    def made(given: Object) -> Object:
        times = {"lastmodifieddate": new["createdate"]}
        computed = {"hs_is_contact": "true", "hs_pipeline": "contacts-lifecycle-pipeline", "lifecyclestage": "lead"}
        return {**new, **times, **computed, **given}

    def search(_: Any, body: Object, kind: str) -> Object:
        rows = [told(kind, contact(number), body.get("properties", [])) for number in range(len(NAMES))]
        return {"total": len(rows), "results": rows}

    def one(request: httpx.Request, _: Any, kind: str, identity: str) -> Object:
        wanted = [each for each in request.url.params.get("properties", "").split(",") if each]
        return told(kind, records[identity], wanted)

    def change(_: Any, body: Object, kind: str, identity: str) -> Object:
        records[identity] |= body["properties"]
        return _all(kind, records[identity])

    def changes(_: Any, body: Object, kind: str) -> Object:
        return _batch([change(None, each, kind, each["id"]) for each in body["inputs"]])

    def several(_: Any, body: Object, kind: str) -> httpx.Response:
        return httpx.Response(201, json=_batch([_all(kind, made(each["properties"])) for each in body["inputs"]]))

    def make(_: Any, body: Object, kind: str) -> httpx.Response:
        return httpx.Response(201, json=_all(kind, made(body["properties"])))

    at = "/crm/(?:v3/objects|objects/2026-09)/([a-z]+)"
    found = routed(
        [
            ("POST", f"{at}/search", search),
            ("POST", f"{at}/batch/read", read),
            ("POST", f"{at}/batch/create", several),
            ("POST", f"{at}/batch/update", changes),
            ("POST", at, make),
            ("GET", rf"{at}/(\d+)", one),
            ("PATCH", rf"{at}/(\d+)", change),
            ("POST", "/engagements/v1/engagements", _engagement),
        ]
    )
    return found, {"contact": contact(3)["hs_object_id"], "deal": deal()["hs_object_id"]}


def _tasks(known: Known) -> Tasks:
    who, what = known["contact"], known["deal"]
    person = {"email": address("Kovalevskaya X"), "firstname": "Sofya", "lastname": "Kovalevskaya"}
    contacts = {"objectType": "contacts"}
    return (
        (
            "find a contact",
            [("hubspot-search-objects", {**contacts, "query": "acme", "limit": 20, "properties": LINE})],
            [("search_contacts", {"query": "acme"})],
        ),
        (
            "read it",
            [("hubspot-batch-read-objects", {**contacts, "inputs": [{"id": who}], "properties": WHOLE})],
            [("get_contact", {"contact": who})],
        ),
        (
            "create one",
            [("hubspot-batch-create-objects", {**contacts, "inputs": [{"properties": person, "associations": []}]})],
            [("create_contact", {**person, "request_id": "one"})],
        ),
        (
            "change a deal",
            [
                (
                    "hubspot-batch-update-objects",
                    {"objectType": "deals", "inputs": [{"id": what, "properties": {"dealstage": "closedwon"}}]},
                )
            ],
            [("update_deal", {"deal_id": what, "dealstage": "closedwon", "request_id": "two"})],
        ),
        (
            "note a call",
            [
                (
                    "hubspot-create-engagement",
                    {
                        "type": "NOTE",
                        "ownerId": 412734881,
                        "associations": {"contactIds": [int(who)]},
                        "metadata": {"body": NOTE},
                    },
                )
            ],
            [("create_note", {"contact_id": who, "text": NOTE, "request_id": "three"})],
        ),
    )


PAIR = Pair(
    "hubspot",
    "@hubspot/mcp-server 0.4.0",
    node("mcp-hubspot"),
    {"PRIVATE_APP_ACCESS_TOKEN": TOKEN},
    ["api.hubapi.com", "api.hubspot.com"],
    "",
    _tasks,
    site=site,
)
