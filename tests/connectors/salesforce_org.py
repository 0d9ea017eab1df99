"""An organization at Salesforce, mocked: what it answers, and what was sent to it."""

import json
from typing import Any

import httpx
import respx

from clew.core.journal import Journal, State

BASE = "https://acme.my.salesforce.com/services/data/v66.0"
LOST = httpx.ReadTimeout("slow")
ADA, DEAL, ME = "003000000000001AAA", "006000000000001AAA", "005000000000001AAA"
THEN = "2026-02-01T09:30:00.000+0000"


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


async def end_of(journal: Journal) -> State:
    (found,) = await journal.rows()
    return found.state


def me(org: respx.MockRouter) -> None:
    identity = f"https://login.salesforce.com/id/00D000000000001AAA/{ME}"
    org.get("/").respond(json={"sobjects": "/services/data/v66.0/sobjects", "identity": identity})
