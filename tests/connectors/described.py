"""Is every request that a connector sends, in whatever test, one that its provider's own description allows?

`descriptions/` holds what the tests need of the descriptions; `scripts/cut-descriptions` cuts it. The `call` of
conftest.py judges each request of the connectors that have one, as it stands when it leaves, credential and all.
"""

import importlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from clew import Connector
from clew.core.registry import discover
from clew.core.wire import Wire

ROOT = Path(__file__).resolve().parent.parent.parent
PLACE = Path(__file__).resolve().parent / "descriptions"


@dataclass(frozen=True)
class Known:
    """What a description gets wrong of one operation: a fault, as a pattern, and how that is known."""

    operation: str
    fault: str
    why: str
    when: Callable[[httpx.Request], bool] = lambda request: True


def _templated(request: httpx.Request) -> bool:
    return "template_id" in json.loads(request.content)


_NEWER = "twilio/sendgrid-oai, tsg_suppressions_v3, has it: this description is older"
STALE: Mapping[str, Sequence[Known]] = {
    "google_calendar": (
        Known(
            "PATCH /calendar/v3/calendars/{calendarId}/events/{eventId}",
            r"body (start|end)\.(date|dateTime|timeZone): None is not of type 'string'",
            "null takes a field away: developers.google.com/workspace/calendar/api/guides/performance, Patch semantics",
        ),
    ),
    "jira": (
        Known(
            "PUT /rest/api/3/issue/{issueIdOrKey}/assignee",
            "body accountId: None is not of type 'string'",
            "its words allow null, for nobody; its schema forgets it",
        ),
    ),
    "sendgrid": (
        Known("GET /suppression/bounces", "query parameter (limit|offset) is unknown", _NEWER),
        Known(
            "DELETE /suppression/bounces/{email}",
            "query parameter email_address is missing",
            "the path names it; twilio/sendgrid-oai, tsg_suppressions_v3, asks for nothing else",
        ),
        Known(
            "POST /mail/send",
            r"body \.: '(subject|content)' is a required property",
            "its words say that a template's subject and content stand in for these",
            _templated,
        ),
    ),
}

UNDESCRIBED: Mapping[str, tuple[str, str]] = {
    "jira": (
        r"(POST|GET|DELETE) /rest/webhooks/1\.0/webhook(/[^/]+)?",
        "documented on a page of its own: developer.atlassian.com/cloud/jira/platform/webhooks",
    ),
}
"""Operations that a provider documents, though not in its description; and where."""

Asked = tuple[str, str, str, bytes]
"""Method, path, query and body of a request."""


def _predecessor(method: str, path: str, query: str, body: bytes) -> Asked:
    """Jira's description is older than this search, which pages by a token where the older one counts."""
    if path == "/rest/api/3/search/jql":
        return method, "/rest/api/3/search", re.sub(r"nextPageToken=[^&]*", "startAt=1", query), body
    return method, path, query, body


READ_AS: Mapping[str, Callable[[str, str, str, bytes], Asked]] = {"jira": _predecessor}
"""How a request is put into the words of an older description."""


def _description() -> Any:
    """The class that the test beds judge by, too."""
    sys.path.append(str(ROOT / "scripts"))
    try:
        return importlib.import_module("testbeds.description").Description
    finally:
        sys.path.pop()


class Judge:
    """Says of requests what a description does not know or does not allow."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.description = _description()(json.loads((PLACE / f"{name}.json").read_text(encoding="utf-8")))

    def faults(self, request: httpx.Request, base_url: str) -> list[str]:
        """What is wrong with a request, without what the description is known to be wrong about.

        `base_url` is where the connection's API lives: its path stands for that of the description's server.
        """
        method, path, query, body = self._asked(request, base_url)
        headers = {name.lower(): value for name, value in request.headers.items()}
        found: list[str] = self.description.faults(method, path, query, body, headers)
        operation = f"{method} {self.description.route(method, path) or path}"
        return [f"{operation}: {each}" for each in found if not self._known(operation, each, request)]

    def operation(self, request: httpx.Request, base_url: str) -> str | None:
        """Which operation of the description a request is."""
        method, path, _, _ = self._asked(request, base_url)
        route = self.description.route(method, path)
        return route and f"{method} {route}"

    def _asked(self, request: httpx.Request, base_url: str) -> Asked:
        """A request in the description's words. An address that is not under the connection's is no operation."""
        place = request.url.raw_path.decode("ascii")
        base = httpx.URL(base_url)
        ours = base.raw_path.decode("ascii").rstrip("/")
        if request.url.host != base.host or not place.startswith(ours):
            place = str(request.url)
        path, _, query = place.removeprefix(ours).partition("?")
        asked = request.method, path, query, request.content
        return READ_AS[self.name](*asked) if self.name in READ_AS else asked

    def _known(self, operation: str, fault: str, request: httpx.Request) -> bool:
        beside, _ = UNDESCRIBED.get(self.name, ("", ""))
        if re.fullmatch(beside, operation) and fault.startswith("there is no "):
            return True
        return any(
            each.operation == operation and re.fullmatch(each.fault, fault) and each.when(request)
            for each in STALE.get(self.name, ())
        )


@cache
def judge(name: str) -> Judge | None:
    """The judge of a connector's requests; `None` where there is no description."""
    return Judge(name) if (PLACE / f"{name}.json").is_file() else None


def faults(wire: Wire, by: str, requests: Iterable[httpx.Request]) -> list[str]:
    """What is wrong with requests; nothing where the provider has no description here, or a test made up the connector.

    Where CLEW_PROOFS names a file, it tells `scripts/proofs` of each request and of the tool that sent it.
    """
    name, place = wire.connector.name, os.environ.get("CLEW_PROOFS")
    judging = judge(name)
    if judging is None or wire.connector is not connector(name):
        return []
    found: list[str] = []
    for each in requests:
        found += judging.faults(each, wire.base_url)
        if place:
            facts = {"connector": name, "tool": by, "operation": judging.operation(each, wire.base_url)}
            with Path(place).open("a", encoding="utf-8") as file:
                file.write(f"{json.dumps(facts)}\n")
    return found


@cache
def connector(name: str) -> Connector:
    """The connector that clew has under this name."""
    found: Connector = discover()[name].load()
    return found
