"""Do our tools send what other clients of Salesforce send for the same? jsforce and simple-salesforce, both as
recorded by `scripts/salesforce-requests`: Salesforce describes its API for each organization only, with no OpenAPI
description of requests to judge these by.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from tests.connectors.calling import Calling
from tests.connectors.salesforce_org import BASE, ME, OPPORTUNITY
from tests.people import Person

from clew.connectors.salesforce import salesforce
from clew.connectors.salesforce.provider import user_id
from clew.connectors.salesforce.soql import literal, quoted
from clew.core.api import Api
from clew.core.connector import Effect
from clew.core.deadline import Deadline
from clew.core.exchange import Trail
from clew.core.host import SilentHost

pytestmark = pytest.mark.anyio

KEPT = json.loads((Path(__file__).parent / "data" / "salesforce" / "clients.json").read_text(encoding="utf-8"))
ID, VALUES = "003000000000001AAA", {"LastName": "O'Brien", "Amount__c": 12.5, "Active__c": True, "Phone": None}
QUERY = {
    "soql": "SELECT Id, Owner.Name FROM Account WHERE Name LIKE :part% AND Rank__c > :rank LIMIT 50",
    "values": {"part": "O'Br", "rank": 3},
}
ON = {"object": "Contact"}
TASKS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "query": ("query_records", QUERY),
    "next page": ("query_records", {**QUERY, "cursor": "01g000000000001AAA-200"}),
    "describe": ("describe_object", ON),
    "list objects": ("list_objects", {"contains": "Contact"}),
    "read": ("get_record", {"object": "Invoice__c", "record_id": ID}),
    "read fields": ("get_record", {**ON, "record_id": ID, "show": ["LastName"]}),
    "create": ("create_record", {**ON, "values": VALUES}),
    "update": ("update_record", {**ON, "record_id": ID, "values": VALUES}),
    "upsert": ("upsert_record", {**ON, "external_id_field": "Key__c", "external_id": "A-7", "values": VALUES}),
}
"""What the recording calls it, and our tool for it. Without chosen fields only an unknown object is read whole."""


def told(request: httpx.Request) -> dict[str, Any]:
    body = json.loads(request.content) if request.content else None
    path = request.url.path.rstrip("/").replace("Invoice__c", "Contact")
    return {"method": request.method, "path": path, "query": dict(request.url.params), "body": body}


def answered(request: httpx.Request) -> httpx.Response:
    if request.method != "GET":
        return httpx.Response(201, json={"id": ID, "success": True, "errors": [], "created": True})
    if "/query" in request.url.path:
        return httpx.Response(200, json={"totalSize": 0, "done": True, "records": []})
    if request.url.path.endswith("/sobjects"):
        return httpx.Response(200, json={"sobjects": []})
    if request.url.path.endswith("/describe"):
        return httpx.Response(200, json=OPPORTUNITY)
    if request.url.path.rstrip("/").endswith("/v66.0"):
        return httpx.Response(200, json={"identity": f"https://login.salesforce.com/id/00D000000000001AAA/{ME}"})
    return httpx.Response(200, json={"attributes": {"type": "Contact"}, "Id": ID, "LastName": "O'Brien"})


@pytest.mark.parametrize(
    ("client", "task"), [(client, task) for client, tasks in KEPT["requests"].items() for task in tasks]
)
async def test_a_tool_sends_what_the_client_sends(call: Calling, client: str, task: str) -> None:
    seen: list[httpx.Request] = []

    def keep(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return answered(request)

    with respx.mock(base_url=BASE, assert_all_called=False) as org:
        org.route().mock(side_effect=keep)
        if task == "identity":
            wire = call.wire(salesforce, BASE)
            await user_id(Api(wire, Deadline.after(5), Trail(), Effect.READ, SilentHost()))
        else:
            tool, arguments = TASKS[task]
            await call(salesforce, tool, arguments, host=Person(), base_url=BASE)
    assert KEPT["requests"][client][task] in [told(each) for each in seen]


@pytest.mark.parametrize(("value", "like", "theirs"), KEPT["literals"])
def test_a_value_is_written_as_the_client_writes_it(value: Any, like: bool, theirs: str) -> None:
    ours = quoted(value, like=True)[1:-1] if like else literal(value)
    # A list may have spaces in it, and a double quotation mark in a text needs no backslash.
    assert ours.replace(", ", ",") == theirs.replace('\\"', '"')


def test_every_task_was_recorded_of_a_client() -> None:
    recorded = {task for tasks in KEPT["requests"].values() for task in tasks}
    assert recorded == {*TASKS, "identity"}
