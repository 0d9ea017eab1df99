"""A console with things in it: what tests of its pages share."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from html import unescape
from typing import Any

import httpx

from clew.core.approvals import Approval
from clew.core.connection import Connection
from clew.core.host import Question
from clew.core.policy import Channel, Decision, PolicyRule, Ruling
from clew.servers.console.desk import Desk
from clew.servers.console.door import Places
from clew.servers.console.serving import pages_app

PORT = 8767
ORIGIN = f"http://127.0.0.1:{PORT}"
BASE = "/console"


@asynccontextmanager
async def browser(desk: Desk, *, url: str = "", origin: str = ORIGIN) -> AsyncGenerator["Browser"]:
    """A browser without scripts in front of the pages."""
    app = pages_app(desk, Places(PORT, url=url))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=origin) as http:
        yield Browser(http, desk, origin)


class Browser:
    """Follows redirects, keeps cookies, posts the forms of the page it is on, and says where they come from."""

    def __init__(self, http: httpx.AsyncClient, desk: Desk, origin: str) -> None:
        self.http = http
        self.desk = desk
        self.origin = origin
        self.page = httpx.Response(200)

    async def enter(self, person: str = "ada") -> httpx.Response:
        """Come in by a link."""
        ticket = await self.desk.sessions.ticket(person)
        return await self.post(f"{BASE}/enter", {"ticket": ticket.reveal()})

    async def get(self, path: str, **headers: str) -> httpx.Response:
        self.page = await self.http.get(path, headers=headers, follow_redirects=True)
        return self.page

    async def post(self, path: str, fields: dict[str, str], **headers: str) -> httpx.Response:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {"origin": self.origin, "sec-fetch-site": "same-origin", **given}
        sent = {name: value for name, value in sent.items() if value}
        answer = await self.http.post(path, data=fields, headers=sent)
        if answer.is_redirect and answer.headers["location"].startswith("/"):
            answer = await self.get(answer.headers["location"])
        self.page = answer
        return answer

    async def submit(self, path: str, **changed: str) -> httpx.Response:
        """Send the form that leads to `path` as it stands on the page, with these fields changed."""
        return await self.post(path, self.form(path) | changed)

    def form(self, path: str) -> dict[str, str]:
        """The fields of a form as they are filled in."""
        found = re.search(rf'<form[^>]*action="{re.escape(path)}"[^>]*>(.*?)</form>', self.page.text, re.DOTALL)
        assert found, f"no form to {path} on {self.page.url}: {self.page.text[:2000]}"
        inputs = re.findall(r"<input[^>]*>", found[1])
        fields = {_attribute(each, "name"): _attribute(each, "value") for each in inputs}
        for name, text in re.findall(r'<textarea[^>]* name="([^"]+)"[^>]*>\n?(.*?)</textarea>', found[1], re.DOTALL):
            fields[name] = unescape(text)
        return fields


def _attribute(tag: str, name: str) -> str:
    found = re.search(rf'\b{name}="([^"]*)"', tag)
    return unescape(found[1]) if found else ""


def question(tool: str = "delete_contact", **facts: Any) -> Question:
    given: dict[str, Any] = {
        "description": "Delete a contact. It cannot be restored.",
        "connection": Connection("local", "acme", "main"),
        "arguments": {"contact_id": "con_000003"},
        "preview": {"id": "con_000003", "name": "Alan Turing", "company": "Nordwind GmbH"},
    }
    return Question(tool, **{**given, **facts})


def ruling(**facts: Any) -> Ruling:
    rule = PolicyRule(name="deletions", then=Decision.ASK, **facts)
    return Ruling(Decision.ASK, "rule 'deletions'", rule)


async def asked(desk: Desk, about: Question | None = None, how: Ruling | None = None) -> Approval:
    """A question that waits."""
    return await desk.approvals.request(about or question(), how or ruling(), requester="the person at claude")


ONLY_CLI = (Channel.CLI,)
