"""A mailbox of Gmail for tests: drafts that are gone when they are sent, a search by Message-ID, labels."""

import base64
import itertools
import json
import re
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any
from urllib.parse import parse_qs

import httpx
import respx

HOST = "https://gmail.googleapis.com"
ME = f"{HOST}/gmail/v1/users/me"
OWN = "ada@home.example"
NOW = "Sun, 22 Nov 2026 12:00:00 GMT"
NOW_MS = 1795348800000


def encoded(text: str, charset: str = "utf-8") -> str:
    return base64.urlsafe_b64encode(text.encode(charset)).decode().rstrip("=")


def message(
    identity: str, *, labels: tuple[str, ...] = ("INBOX",), text: str = "Hello", **headers: str
) -> dict[str, Any]:
    """A message of one text part, as `format=full` has it."""
    names = {
        "From": "Grace <grace@away.example>",
        "To": OWN,
        "Subject": "Plans",
        "Message-ID": f"<{identity}@away.example>",
    }
    listed = {**names, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return {
        "id": identity,
        "threadId": f"t{identity}",
        "labelIds": list(labels),
        "snippet": "Don&#39;t   worry",
        "internalDate": str(NOW_MS),
        "sizeEstimate": 900,
        "payload": {
            "partId": "",
            "mimeType": "text/plain",
            "filename": "",
            "headers": [{"name": name, "value": value} for name, value in listed.items()],
            "body": {"size": len(text), "data": encoded(text)},
        },
    }


@dataclass
class Box:
    """What Gmail keeps. `lose` are the next answers to drafts/send: `before` it is sent, or `after`."""

    drafts: dict[str, EmailMessage] = field(default_factory=dict[str, EmailMessage])
    sent: dict[str, EmailMessage] = field(default_factory=dict[str, EmailMessage])
    threads: dict[str, str] = field(default_factory=dict[str, str])
    messages: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    lose: list[str] = field(default_factory=list[str])
    refuse: httpx.Response | None = None
    age: float = 5.0
    searchable: bool = True
    lose_stored: bool = False
    numbers: Any = field(default_factory=lambda: itertools.count(1))
    seen: list[httpx.Request] = field(default_factory=list[httpx.Request])

    def mount(self, router: respx.MockRouter) -> "Box":
        router.route(url__startswith=HOST).mock(side_effect=self.answer)
        return self

    def paths(self, method: str = "POST") -> list[str]:
        """The paths that were asked for with this method."""
        return [each.url.path.removeprefix("/gmail/v1/users/me") for each in self.seen if each.method == method]

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        path = request.url.path.removeprefix("/gmail/v1/users/me")
        query = {name: values[0] for name, values in parse_qs(request.url.query.decode()).items()}
        body: Any = json.loads(request.content) if request.content else {}
        if path == "/profile":
            return self._said({"emailAddress": OWN, "historyId": "4711"})
        if path == "/drafts" and request.method == "POST":
            return self._store(body["message"])
        if path == "/drafts/send":
            return self._send(body["id"])
        if path == "/drafts":
            found = [(name, each) for name, each in self.drafts.items() if self._matches(each, query)]
            return self._said({"drafts": [self._named(name) for name, _ in found]} if found else {})
        if path.startswith("/drafts/"):
            return self._draft(request.method, path.rpartition("/")[2])
        if path == "/messages":
            stored = {**{f"m{name}": each for name, each in self.drafts.items()}, **self.sent}
            ids = [name for name, each in stored.items() if self.searchable and self._matches(each, query)]
            return self._said({"messages": [{"id": each} for each in ids]} if ids else {"resultSizeEstimate": 0})
        name = path.rpartition("/")[2]
        if name in self.messages:
            return self._said(self.messages[name])
        labels = ["SENT"] if name in self.sent else ["DRAFT"] if name[1:] in self.drafts else None
        return self._said({"id": name, "threadId": "t1", "labelIds": labels}) if labels else self._gone()

    def _store(self, given: dict[str, str]) -> httpx.Response:
        raw = base64.urlsafe_b64decode(given["raw"] + "==")
        name = f"r{next(self.numbers)}"
        self.drafts[name] = message_from_bytes(raw, policy=policy.default)
        self.threads[name] = given.get("threadId", f"t{name}")
        if self.lose_stored:
            raise httpx.ReadError("reset")
        return self._said(self._named(name))

    def _send(self, name: str) -> httpx.Response:
        lost = self.lose.pop(0) if self.lose else ""
        if lost == "before":
            raise httpx.ReadError("reset")
        if self.refuse is not None:
            return self.refuse
        if name not in self.drafts:
            return self._gone()
        identity = f"s{next(self.numbers)}"
        self.sent[identity] = self.drafts.pop(name)
        if lost == "after":
            raise httpx.ReadError("reset")
        return self._said({"id": identity, "threadId": self.threads[name], "labelIds": ["SENT"]})

    def _draft(self, method: str, name: str) -> httpx.Response:
        if name not in self.drafts:
            return self._gone()
        if method == "DELETE":
            del self.drafts[name]
            return httpx.Response(204)
        mail = self.drafts[name]
        headers = [{"name": each, "value": str(value)} for each, value in mail.items()]
        payload = {"mimeType": "text/plain", "headers": headers, "body": {"data": encoded(str(mail.get_content()))}}
        made = str(int(NOW_MS - self.age * 1000))
        whole = {"id": f"m{name}", "threadId": self.threads[name], "internalDate": made, "payload": payload}
        return self._said({"id": name, "message": whole})

    def _named(self, name: str) -> dict[str, Any]:
        return {"id": name, "message": {"id": f"m{name}", "threadId": self.threads[name]}}

    def _matches(self, mail: EmailMessage, query: dict[str, str]) -> bool:
        wanted = re.fullmatch(r"rfc822msgid:(\S+)", query.get("q", ""))
        return wanted is None or str(mail["Message-ID"]).strip("<>") == wanted[1]

    def _said(self, data: Any) -> httpx.Response:
        return httpx.Response(200, json=data, headers={"date": NOW})

    def _gone(self) -> httpx.Response:
        error = {"code": 404, "message": "Requested entity was not found.", "status": "NOT_FOUND"}
        return httpx.Response(404, json={"error": error})
