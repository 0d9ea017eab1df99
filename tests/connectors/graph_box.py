"""A mailbox of Microsoft Graph for tests: drafts that keep their id when they are sent, batches, folders."""

import itertools
import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import httpx
import respx

HOST = "https://graph.microsoft.com"
ROOT = f"{HOST}/v1.0"
OWN = "ada@home.example"
NOW = "Sun, 22 Nov 2026 12:00:00 GMT"
EMPTY: dict[str, Any] = {"isDraft": True, "toRecipients": [], "ccRecipients": [], "bccRecipients": []}


def somebody(address: str, name: str = "") -> dict[str, Any]:
    return {"emailAddress": {"address": address, "name": name}}


def message(identity: str, **more: Any) -> dict[str, Any]:
    """A message that was received, with everything that the tools ask for."""
    return {
        "@odata.etag": f'W/"ck-{identity}"',
        "id": identity,
        "changeKey": f"ck-{identity}",
        "conversationId": f"c-{identity}",
        "internetMessageId": f"<{identity}@away.example>",
        "subject": "Plans",
        "from": somebody("grace@away.example", "Grace"),
        "toRecipients": [somebody(OWN)],
        "ccRecipients": [],
        "bccRecipients": [],
        "replyTo": [],
        "receivedDateTime": "2026-11-22T11:00:00Z",
        "isRead": False,
        "isDraft": False,
        "hasAttachments": False,
        "bodyPreview": "Shall  we\r\nmeet?",
        "body": {"contentType": "text", "content": "Shall we\r\nmeet?"},
        "flag": {"flagStatus": "notFlagged"},
        "categories": [],
        **more,
    }


def request_of(route: respx.Route, number: int = -1) -> httpx.Request:
    """One of the requests that came to a route; the last one."""
    calls: Any = route.calls
    found: httpx.Request = calls[number].request
    return found


def refused(status: int, code: str, text: str = "m", *, inner: str = "", **more: Any) -> httpx.Response:
    """An error as Graph writes it, with a more exact code within it."""
    detail = {"request-id": "r1", "date": "2026-11-22T12:00:00", **({"code": inner} if inner else {})}
    error = {"code": code, "message": text, "innerError": detail, **more}
    return httpx.Response(status, json={"error": error}, headers={"request-id": "r1"})


@dataclass
class Box:
    """What Exchange keeps. `lose` are the next answers to a send: `before` it is sent, or `after`. `slow` sent messages
    have no copy yet."""

    messages: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    folders: dict[str, str] = field(default_factory=dict[str, str])
    lose: list[str] = field(default_factory=list[str])
    refuse: httpx.Response | None = None
    made_at: str = "2026-11-22T11:59:55Z"
    lose_stored: bool = False
    slow: bool = False
    doubled: int = 1
    adds: list[str] = field(default_factory=list[str])
    parts: dict[str, httpx.Response] = field(default_factory=dict[str, httpx.Response])
    numbers: Any = field(default_factory=lambda: itertools.count(1))
    seen: list[httpx.Request] = field(default_factory=list[httpx.Request])

    def mount(self, router: respx.MockRouter) -> "Box":
        router.route(url__startswith=ROOT).mock(side_effect=self.answer)
        return self

    def asked(self, method: str = "POST") -> list[str]:
        """The paths that were asked for with this method."""
        return [each.url.path.removeprefix("/v1.0") for each in self.seen if each.method == method]

    def body(self, path: str) -> Any:
        """What was sent to a path at last."""
        found = [each for each in self.seen if each.url.path.endswith(path) and each.content]
        return json.loads(found[-1].content)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        assert 'IdType="ImmutableId"' in request.headers["prefer"]
        path = request.url.path.removeprefix("/v1.0")
        query = {name: values[0] for name, values in parse_qs(request.url.query.decode()).items()}
        body: Any = json.loads(request.content) if request.content else {}
        if path == "/me":
            return self._said({"mail": OWN, "userPrincipalName": "ada@tenant.example"})
        if path.startswith("/me/mailFolders"):
            return self._folder(path, query)
        if path == "/$batch":
            return self._batch(body["requests"])
        if path == "/me/messages":
            return self._store(body) if request.method == "POST" else self._marked(query)
        identity, _, action = path.removeprefix("/me/messages/").partition("/")
        if action == "createReply":
            return self._reply(identity, body["Message"])
        if action == "send":
            return self._send(identity)
        if action == "attachments":
            known = self.messages[identity]
            known["changeKey"] += "+"
            known["attachments"] = [*known.get("attachments", []), {"id": "a1", "name": body["name"]}] * self.doubled
            return self._said({"id": "a1"}, 201)
        return self._one(request.method, identity)

    def _store(self, given: dict[str, Any], **more: Any) -> httpx.Response:
        name = f"d{next(self.numbers)}"
        known = {
            "internetMessageId": f"<{name}@home.example>",
            "changeKey": f"ck-{name}",
            "conversationId": f"c-{name}",
        }
        more = {"from": somebody(OWN), "createdDateTime": self.made_at, "webLink": "https://outlook.example/x", **more}
        self.messages[name] = {**EMPTY, "id": name, **known, **given, **more}
        if self.lose_stored:
            raise httpx.ReadError("reset")
        return self._said(self.messages[name], 201)

    def _reply(self, identity: str, given: dict[str, Any]) -> httpx.Response:
        original = self.messages[identity]
        to = [*given.get("toRecipients", []), *map(somebody, self.adds)]
        return self._store({**given, "toRecipients": to}, subject=f"RE: {original['subject']}")

    def _send(self, identity: str) -> httpx.Response:
        lost = self.lose.pop(0) if self.lose else ""
        if lost == "before":
            raise httpx.ReadError("reset")
        if self.refuse is not None:
            return self.refuse
        if identity not in self.messages or not self.messages[identity]["isDraft"]:
            return refused(404, "ErrorItemNotFound")
        self.messages[identity]["isDraft"] = False
        if lost == "after":
            raise httpx.ReadError("reset")
        return httpx.Response(202, headers={"date": NOW})

    def _one(self, method: str, identity: str) -> httpx.Response:
        found = self.messages.get(identity)
        if found is None or (self.slow and not found["isDraft"]):
            return refused(404, "ErrorItemNotFound")
        if method == "DELETE":
            del self.messages[identity]
            return httpx.Response(204)
        return self._said(found)

    def _marked(self, query: dict[str, str]) -> httpx.Response:
        wanted = re.search(r"ep/value eq '([0-9a-f]{32})'", query.get("$filter", ""))
        assert wanted is not None, query
        marks: dict[str, list[dict[str, str]]] = {
            name: each.get("singleValueExtendedProperties") or [] for name, each in self.messages.items()
        }
        return self._said(
            {
                "value": [
                    self.messages[name] for name, each in marks.items() if any(wanted[1] == p["value"] for p in each)
                ]
            }
        )

    def _folder(self, path: str, query: dict[str, str]) -> httpx.Response:
        wanted = re.fullmatch(r"displayName eq '(.*)'", query.get("$filter", ""))
        outer = path.split("/")[3] if path.endswith("/childFolders") else ""
        inside = [(name, known) for name, known in self.folders.items() if name.rpartition("/")[0] == outer]
        named = [(name.rpartition("/")[2], known) for name, known in inside]
        found = [(name, known) for name, known in named if wanted is None or name == wanted[1].replace("''", "'")]
        return self._said({"value": [{"id": known, "displayName": name} for name, known in found]})

    def _batch(self, requests: list[dict[str, Any]]) -> httpx.Response:
        """The parts in another order than they were asked for, as Graph may give them."""
        rows: list[dict[str, Any]] = []
        for each in reversed(requests):
            assert each["headers"]["Prefer"] == 'IdType="ImmutableId"'
            identity = each["url"].split("/")[3]
            said = self.parts.get(f"{each['method']} {identity}") or self.parts.get(identity)
            if said is None and identity not in self.messages:
                said = refused(404, "ErrorItemNotFound")
            said = said or httpx.Response(200, json={"id": identity})
            rows.append(
                {"id": each["id"], "status": said.status_code, "headers": dict(said.headers), "body": said.json()}
            )
        return self._said({"responses": rows})

    def _said(self, data: Any, status: int = 200) -> httpx.Response:
        return httpx.Response(status, json=data, headers={"date": NOW})
