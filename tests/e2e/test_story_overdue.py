"""The story of an overdue invoice: Stripe says who owes, the reminder bounces, the CRM gets a note, a person is asked.

A scripted agent drives the real server over MCP. What it gets wrong is what agents get wrong: it repeats itself.
"""

import asyncio
import itertools
import json
import os
import pwd
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, types
from tests.servers.cli.conftest import Terminal

from clew.auth.connections import set_token
from clew.auth.schemes import Basic, Bearer
from clew.core.connection import LOCAL_TENANT, Connection
from clew.core.inbox_work import Worker
from clew.core.journal import State
from clew.core.secret import Secret
from clew.servers.mcp import build_server
from clew.servers.runtime import Runtime
from clew.servers.settings import ConnectorSettings, Settings
from clew.servers.watching import watch_once

from .conftest import unavailable
from .overdue_world import (
    ACCOUNT,
    ADA,
    BEA,
    GONE,
    OTHER,
    SALESFORCE_KEY,
    STRIPE_KEY,
    PostOffice,
    Salesforce,
    Stripe,
    large_office,
    mail_programs,
    providers,
    small_office,
)

pytestmark = pytest.mark.anyio
PROGRAM = [sys.executable, "-m", "clew.servers.cli"]
Result = dict[str, Any]


@dataclass
class World:
    """Everything that runs, and what the person at the host was asked."""

    runtime: Runtime
    stripe: Stripe
    salesforce: Salesforce
    office: PostOffice
    asked: list[str] = field(default_factory=list[str])

    @asynccontextmanager
    async def host(self, *, asks: bool) -> AsyncGenerator[Client]:
        """A host with a person who agrees, or one that cannot ask anybody."""

        async def agree(context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
            assert isinstance(params, types.ElicitRequestFormParams)
            self.asked.append(params.message)
            return types.ElicitResult(action="accept", content={"approve": True})

        async with Client(build_server(self.runtime), elicitation_callback=agree if asks else None) as client:
            yield client

    async def look_for_reports(self) -> None:
        """What a running server does every few minutes: look into the mailbox, and work on what it found."""
        await self.runtime.store.database.execute("DELETE FROM leases")
        await watch_once(self.runtime)
        worker = Worker(self.runtime.inbox, before=self.runtime.joining, only=("email",))
        while await worker.work():
            pass


async def call(client: Client, tool: str, **arguments: Any) -> Result:
    result = await client.call_tool(tool, arguments)
    told: Result = result.structured_content
    return told


@pytest.fixture(params=["aiosmtpd", pytest.param("postfix", marks=pytest.mark.testbed)])
async def office(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[PostOffice]:
    if request.param == "postfix" and (why := mail_programs().missing()):
        unavailable(why)
    opening = large_office() if request.param == "postfix" else small_office(tmp_path)
    async with opening as found:
        yield found


@pytest.fixture
async def world(office: PostOffice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    for name in [name for name in os.environ if name.startswith("CLEW_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    here = {"HOME": str(tmp_path), "CLEW_HOME": str(home), "CLEW_KEY_PROVIDER": "file"}
    for name, value in {**here, "SSL_CERT_FILE": str(office.certificate)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    stripe, salesforce = Stripe(), Salesforce()
    async with providers(stripe, salesforce) as (at_stripe, at_salesforce):
        places = {"stripe": at_stripe, "salesforce": f"{at_salesforce}/services/data/v66.0"}
        settings = Settings(
            home=home, key_provider="file", deadline=18,
            connectors={name: ConnectorSettings(base_url=url) for name, url in places.items()},
        )  # fmt: skip
        async with Runtime.open(settings, ["stripe", "salesforce", "email"]) as runtime:
            for name, key, origin in (("stripe", STRIPE_KEY, at_stripe), ("salesforce", SALESFORCE_KEY, at_salesforce)):
                where = Connection(LOCAL_TENANT, name, "work")
                await set_token(runtime.vault, where, Bearer(), {"token": Secret(key)}, origin=origin)
            fields = {"username": Secret(office.user), "password": Secret(office.password)}
            where = Connection(LOCAL_TENANT, "email", "work")
            await set_token(runtime.vault, where, Basic(), fields, variables=office.variables)
            yield World(runtime, stripe, salesforce, office)


async def test_an_overdue_invoice_a_bounce_a_note_and_a_person(world: World) -> None:
    async with world.host(asks=True) as agent:
        bounced = await _remind(world, agent)
        await _note_down(world, agent, bounced)
        (bea,) = (
            await call(
                agent,
                "salesforce_query_records",
                soql="SELECT Id, Name, Email, Title FROM Contact WHERE AccountId = :account AND Id != :ada",
                values={"account": ACCOUNT, "ada": ADA},
            )
        )["rows"]
        assert (bea["Id"], bea["Name"], bea["Email"]) == (BEA, "Bea O'Neil", OTHER)
    await _ask_a_person(world, bea)
    await world.look_for_reports()
    await _assert_journal(world, bounced)
    _assert_what_is_outside(world)
    await _assert_audit()


async def _remind(world: World, agent: Client) -> Result:
    """Find who is late, write to them, and hear that nobody is there."""
    invoices = (await call(agent, "stripe_list_invoices", status="open"))["items"]
    late = [one for one in invoices if datetime.fromisoformat(one["due"]).timestamp() < time.time()]
    assert [one["number"] for one in late] == ["A-17"]
    invoice = await call(agent, "stripe_get_invoice", invoice_id=late[0]["id"])
    assert (invoice["customer_email"], invoice["left"]) == (GONE, "50.00")
    letter = {
        "to": [invoice["customer_email"]],
        "subject": f"Invoice {invoice['number']} is overdue",
        "text": f"{invoice['left']} {invoice['currency'].upper()} are still open. Pay here: {invoice['url']}",
    }
    sent = await call(agent, "email_send_message", **letter)
    assert "accepted" in sent, sent
    (shown,) = world.asked
    assert GONE in shown
    assert "A-17" in shown
    assert "50.00 USD" in shown
    again = await call(agent, "email_send_message", **letter)
    assert again["error"]["code"] == "already_done"
    async with asyncio.timeout(60):
        while True:
            status = await call(agent, "email_get_delivery_status", message_id=sent["message_id"])
            if status["state"] == "bounced":
                break
            await asyncio.sleep(0.1)  # the other side may be a real mail server; there is nothing to wait on
    (gone,) = status["recipients"]
    assert (gone["address"], gone["cause"], gone["suppress"]) == (GONE, "hard", True)
    assert "ask the person for another way" in status["next"]
    return {"message_id": sent["message_id"], "diagnostic": gone["diagnostic"], "number": invoice["number"]}


async def _note_down(world: World, agent: Client, bounced: Result) -> None:
    """Put it on the contact's record. The answer is lost behind a gateway, and the agent repeats itself: one note."""
    (ada,) = (
        await call(
            agent,
            "salesforce_query_records",
            soql="SELECT Id, Name FROM Contact WHERE Email = :email",
            values={"email": GONE},
        )
    )["rows"]
    note = {
        "record_id": ada["Id"],
        "title": f"Reminder for {bounced['number']} bounced",
        "text": f"{GONE} does not exist any more: {bounced['diagnostic']}",
    }
    world.salesforce.lost = 1
    made = await call(agent, "salesforce_add_note", **note)
    assert made["record_id"] == ADA, made
    assert (await call(agent, "salesforce_add_note", **note))["error"]["code"] == "already_done"
    (kept,) = world.salesforce.notes
    assert kept["ContentDocumentId"] == made["id"]
    assert f"{GONE} does not exist any more" in kept["text"]
    assert "550 5.1.1" in kept["text"]


async def _ask_a_person(world: World, bea: Result) -> None:
    """Writing to somebody else is not the agent's to decide, and this host cannot ask: it is asked on a terminal."""
    letter = {"to": [bea["Email"]], "subject": "Invoice A-17", "text": "Whom may we send it to?"}
    async with world.host(asks=False) as agent:
        refused = (await call(agent, "email_send_message", **letter))["error"]
        assert (refused["code"], refused["outcome"]) == ("approval_required", "not_applied")
        listed = await _run("approvals", "--json")
        (waiting,) = json.loads(listed)
        assert waiting["id"] in refused["next"]
        assert waiting["preview"]["to"] == [OTHER]
        await asyncio.to_thread(_approve, waiting["id"])
        done = await call(agent, "email_send_message", **letter)
        assert "They wrote: she said so on the phone" in done["note"]
        assert done["recipients"] == [OTHER]


def _approve(known: str) -> None:
    terminal = Terminal([*PROGRAM, "approvals", "approve", known, "--note", "she said so on the phone"])
    terminal.see("Approve this? [y/N]", 60)
    assert OTHER in terminal.seen
    terminal.type("y")
    assert terminal.end() == 0, terminal.seen


async def _run(*words: str) -> str:
    """What a command prints, in a process of its own."""
    process = await asyncio.create_subprocess_exec(*PROGRAM, *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def _assert_journal(world: World, bounced: Result) -> None:
    rows = {(row.tool, row.reference): row for row in await world.runtime.store.journal.rows()}
    notes = [row for (tool, _), row in rows.items() if tool == "add_note"]
    mails = [row for (tool, _), row in rows.items() if tool == "send_message"]
    assert (len(rows), len(notes), len(mails)) == (3, 1, 2)
    assert (notes[0].state, notes[0].attempts) == (State.APPLIED, 1)
    reminder = rows["send_message", bounced["message_id"]]
    assert reminder.state is State.APPLIED
    ended = await world.runtime.store.journal.answer(reminder)
    assert ended is not None
    assert ended["result"]["confirmed"]["recipients"] == {GONE: "bounced"}


def _assert_what_is_outside(world: World) -> None:
    """Nobody but the one customer and the one colleague got mail, once each; Stripe was only read."""
    assert {method for method, _ in world.stripe.asked} == {"GET"}
    if world.office.taken is not None:
        assert [people for _, people, _ in world.office.taken] == [[GONE], [OTHER]]


TOLD = [
    ("list_invoices", "ok", "not_applied", None),
    ("get_invoice", "ok", "not_applied", None),
    ("send_message", "asked", "not_applied", "asked"),
    ("send_message", "ok", "applied", "agreed"),
    ("send_message", "already_done", "applied", None),
    ("get_delivery_status", "ok", "not_applied", None),
    ("query_records", "ok", "not_applied", None),
    ("add_note", "asked", "not_applied", "asked"),
    ("add_note", "ok", "applied", "agreed"),
    ("add_note", "already_done", "applied", None),
    ("query_records", "ok", "not_applied", None),
    ("send_message", "approval_required", "not_applied", "asked"),
    ("send_message", "ok", "applied", "agreed"),
]
"""The story as the audit tells it: tool, code, outcome, and what a person said."""


async def _assert_audit() -> None:
    """Every step is there, in a chain that holds, with who agreed; no key, no address, no text of anybody."""
    assert "The chain holds" in await _run("audit", "verify")
    told = await _run("audit", "--json")
    records: list[Result] = json.loads(told)
    # A slow delivery is looked at more than once, which is no other story.
    steps = [(each["tool"], each["code"], each["outcome"], each.get("answer")) for each in records]
    assert [step for step, _ in itertools.groupby(steps)] == TOLD
    asked, agreed = records[-2], records[-1]
    assert agreed["approval"].startswith(asked["approval"])
    assert agreed["approval"].endswith(f" by {pwd.getpwuid(os.getuid()).pw_name}")
    for private in (GONE, OTHER, STRIPE_KEY, SALESFORCE_KEY, "Lovelace", "O'Neil", "550 5.1.1", "on the phone"):
        assert private not in told
