"""What the attacks on writes share: Acme with one tool per strategy, and a caller that can be killed at any moment."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from clew.auth.keys import LocalKeys
from clew.auth.records import RecordSealer
from clew.auth.sealing import DataKeys
from clew.auth.vault import open_vault
from clew.core import once
from clew.core.api import Api
from clew.core.call import Call, Walk
from clew.core.connection import LOCAL_TENANT, Connection
from clew.core.connector import Connector
from clew.core.database import Database, open_database
from clew.core.deadline import Deadline
from clew.core.errors import CallError
from clew.core.journal import Journal, open_journal
from clew.core.outcomes import ErrorMap, Rule
from clew.core.versions import Version
from clew.core.wire import Wire
from clew.core.workflow import Flow
from clew.servers.sandbox import SEEDED_PAT

CONNECTION = Connection(LOCAL_TENANT, "acme", "attack")
SETTLING = 0.3
"""Seconds after which Acme has done whatever it received: it answers within milliseconds, and `slow` holds 0.05 s."""

acme = Connector(
    "acme",
    "http://127.0.0.1:9",
    version=Version("2026-07-01", header="Acme-Version"),
    errors=ErrorMap(
        message=("error.message",),
        provider_code=("error.code",),
        rules=(Rule(code="already_done", status=409, body={"error.code": "already_closed"}),),
    ),
)


async def _ticket_of(api: Api, key: str) -> dict[str, Any] | None:
    return _first(await api.get("/api/tickets", query={"external_id": key}))


async def _contact_of(api: Api, email: str) -> dict[str, Any] | None:
    return _first(await api.get("/api/contacts", query={"email": email}))


async def _changed(api: Api, contact_id: str, company: str) -> dict[str, Any] | None:
    found: dict[str, Any] = await api.get("/api/contacts/{}", contact_id)
    return found if found["company"] == company else None


async def _comment_of(api: Api, ticket_id: str, marker: str) -> dict[str, Any] | None:
    found = await api.get("/api/tickets/{}/comments", ticket_id, query={"limit": 100})
    return next((each for each in found["data"] if marker in each["text"]), None)


async def _ticket_like(api: Api, subject: str) -> dict[str, Any] | None:
    found = await api.get("/api/tickets", query={"limit": 100})
    return next((each for each in found["data"] if each["subject"] == subject), None)


def _first(found: Mapping[str, Any]) -> dict[str, Any] | None:
    rows: list[dict[str, Any]] = found["data"]
    return rows[0] if rows else None


def _look(read: once.Reader) -> once.Look:
    return once.Look(read, after=SETTLING, tries=2, every=0.05)


KEY = once.ProviderKey(
    header="Idempotency-Key",
    replayed="Idempotent-Replayed",
    doubtful=("idempotency_key_in_use", "idempotency_key_reused"),
)


@acme.write(once=KEY)
async def pay(api: Api, reference: str) -> dict[str, Any]:
    """Under a key that the provider remembers."""
    body = {"amount": 100, "currency": "EUR", "card": "4242", "reference": reference}
    result: dict[str, Any] = await api.post("/api/payments", json=body)
    return result


@acme.write(once=once.NaturalKey(field="external_id"), verify=_look(_ticket_of))
async def open_ticket(api: Api, subject: str) -> dict[str, Any]:
    """Under an id of ours."""
    result: dict[str, Any] = await api.post("/api/tickets", json={"subject": subject})
    return result


@acme.write(once=once.NaturalKey(), verify=_look(_contact_of))
async def add_contact(api: Api, email: str) -> dict[str, Any]:
    """Under a field that is unique."""
    body = {"email": email, "name": {"given": "A", "family": "B"}}
    result: dict[str, Any] = await api.post("/api/contacts", json=body)
    return result


@acme.write(once=once.Guarded(), verify=_look(_changed))
async def rename(api: Api, contact_id: str, etag: str, company: str) -> dict[str, Any]:
    """Under the version it changes."""
    result: dict[str, Any] = await api.patch(
        "/api/contacts/{}", contact_id, headers={"If-Match": etag}, json={"company": company}
    )
    return result


@acme.write(once=once.Marker(field="text", text=" [{marker}]"), verify=_look(_comment_of))
async def comment(api: Api, ticket_id: str, text: str) -> dict[str, Any]:
    """With a mark that can be searched."""
    result: dict[str, Any] = await api.post("/api/tickets/{}/comments", ticket_id, json={"text": text})
    return result


@acme.write(verify=_look(_ticket_like))
async def open_plain(api: Api, subject: str) -> dict[str, Any]:
    """With a look alone."""
    result: dict[str, Any] = await api.post("/api/tickets", json={"subject": subject})
    return result


@acme.write
async def send(api: Api, subject: str) -> dict[str, Any]:
    """With nothing."""
    body = {"from": "support@acme.example", "to": "a@b.example", "subject": subject, "text": "x"}
    result: dict[str, Any] = await api.post("/api/messages", json=body)
    return result


@acme.workflow()
async def settle_up(flow: Flow, reference: str, ticket_id: str, subject: str) -> dict[str, Any]:
    """Three steps."""
    paid = await flow.step(pay, reference=reference)
    said = await flow.step(comment, ticket_id=ticket_id, text=f"paid {paid['id']}")
    ticket = await flow.step(open_ticket, subject=f"{subject} {said['id']}")
    return {"payment": paid["id"], "comment": said["id"], "ticket": ticket["id"]}


@dataclass(frozen=True)
class Strategy:
    """A tool, the request it sends, and the change at the provider by which its runs are counted."""

    name: str
    tool: str
    method: str
    paths: tuple[str, ...]
    changes: tuple[tuple[str, str], ...]

    def arguments(self, number: str) -> dict[str, Any]:
        """Those of one run."""
        given = dict.fromkeys(acme.tools[self.tool].signature.parameters, f"run {number}")
        fixed = {"contact_id": "con_000001", "ticket_id": "tic_000001", "etag": '"v1"', "email": f"{number}@x.example"}
        return {name: fixed.get(name, value) for name, value in given.items()}


STRATEGIES = (
    Strategy("provider key", "pay", "POST", ("/api/payments",), (("payment", "create"),)),
    Strategy("id of ours", "open_ticket", "POST", ("/api/tickets",), (("ticket", "create"),)),
    Strategy("natural key", "add_contact", "POST", ("/api/contacts",), (("contact", "create"),)),
    Strategy("guarded", "rename", "PATCH", ("/api/contacts",), (("contact", "update"),)),
    Strategy("marker", "comment", "POST", ("/api/tickets",), (("comment", "create"),)),
    Strategy("look", "open_plain", "POST", ("/api/tickets",), (("ticket", "create"),)),
    Strategy("nothing", "send", "POST", ("/api/messages",), (("message", "create"),)),
    Strategy(
        "workflow",
        "settle_up",
        "POST",
        ("/api/payments", "/api/tickets/", "/api/tickets"),
        (("payment", "create"), ("comment", "create"), ("ticket", "create")),
    ),
)


class Token:
    """Acme's personal token, without a vault."""

    async def apply(self, request: httpx.Request) -> str:
        request.headers["authorization"] = f"Bearer {SEEDED_PAT}"
        return "1"

    async def renew(self, generation: str) -> None:
        raise AssertionError("this token does not expire")


async def open_store(address: str, folder: Path) -> tuple[Database, Journal]:
    """The journal as a server opens it, with keys in a file."""
    database = await open_database(address)
    keys = LocalKeys(folder / "master.key", place="file", environ={}, warn=lambda text: None)
    await open_vault(database, keys)
    return database, await open_journal(database, RecordSealer(DataKeys(database, keys)))


async def call(
    url: str,
    address: str,
    folder: Path,
    tool: str,
    arguments: Mapping[str, Any],
    seconds: float,
    ready: Callable[[], object] = lambda: None,
) -> Any:
    """One call of one process, from an open store to a closed one; `ready` is called when it begins."""
    database, journal = await open_store(address, folder)
    async with httpx.AsyncClient(verify=False, trust_env=False) as client:
        wire = Wire(acme, CONNECTION, Token(), client, base_url=url)
        made = Call(acme.tools[tool], arguments, CONNECTION, wire, Deadline.after(seconds))
        ready()
        try:
            return await Walk(sink=lambda record: None, journal=journal)(made)
        finally:
            await database.close()


def fork_call(
    url: str, address: str, folder: Path, tool: str, arguments: Mapping[str, Any], seconds: float = 20
) -> "Caller":
    """The same in a process of its own: a fork, so that it is under way within a millisecond."""
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:  # pragma: no cover - another process
        code = 1
        try:
            os.close(out)
            begun = lambda: os.write(into, b" ")  # noqa: E731
            try:
                said = {"ok": asyncio.run(call(url, address, folder, tool, arguments, seconds, begun))}
            except CallError as error:
                said = {"error": error.as_dict()}
            os.write(into, json.dumps(said).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(into)
    return Caller(pid, out)


@dataclass
class Caller:
    """A call in a process of its own."""

    pid: int
    out: int

    def kill_after(self, seconds: float) -> bool:
        """Kill it with SIGKILL so many seconds after its call began; False when it was faster."""
        os.read(self.out, 1)
        time.sleep(seconds)
        done, _ = os.waitpid(self.pid, os.WNOHANG)
        if done:
            self.pid = 0
            return False
        os.kill(self.pid, signal.SIGKILL)
        return True

    def wait(self) -> dict[str, Any] | None:
        """What it said; None when it was killed before."""
        text = b""
        while part := os.read(self.out, 65536):
            text += part
        os.close(self.out)
        if self.pid:
            os.waitpid(self.pid, 0)
        return json.loads(text) if text.strip() else None
