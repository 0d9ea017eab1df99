"""`clew writes`, the background look of a server, and the journal at work in a whole runtime."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests.people import Person

from clew.auth.connections import set_token
from clew.auth.schemes import Bearer
from clew.core.connection import LOCAL_TENANT, Connection
from clew.core.errors import OutcomeUnknownError, TransientError
from clew.core.journal import State, Wanted, Write
from clew.core.secret import Secret
from clew.servers.chores import chores
from clew.servers.cli import main
from clew.servers.runtime import Runtime
from clew.servers.sandbox import Sandbox
from clew.servers.settings import Settings, load_settings
from clew.servers.settling import settle_all
from clew.servers.store import open_store

ADA = Connection(LOCAL_TENANT, "acme", "ada")


@pytest.fixture
def sandbox() -> Any:
    with Sandbox() as running:
        yield running


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox) -> Settings:
    for name in [each for each in os.environ if each.startswith("CLEW_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CLEW_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CLEW_KEY_PROVIDER", "file")
    (tmp_path / "clew.toml").write_text(f'[connectors.acme]\nbase_url = "{sandbox.url}"\n')
    monkeypatch.chdir(tmp_path)
    settings = load_settings()
    asyncio.run(_connect(settings, sandbox))
    return settings


async def _connect(settings: Settings, sandbox: Sandbox) -> None:
    async with open_store(settings) as store:
        await set_token(store.vault, ADA, Bearer(), {"token": Secret(sandbox.pat)}, origin=sandbox.url)


async def _left(settings: Settings, tool: str, arguments: dict[str, Any]) -> Write:
    """A row as a killed process leaves it."""
    async with open_store(settings) as store:
        row, _ = await store.journal.claim(Wanted(ADA, tool, arguments, None, 600.0), state=State.SENT)
        await store.database.execute("UPDATE writes SET lease_ends = 0")
        return row


def _printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_an_empty_journal_says_so(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["writes"]) == 0
    assert "Nothing was written yet" in capsys.readouterr().err
    assert main(["writes", "show", "abc"]) == 2


def test_writes_are_listed_and_shown(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["call", "acme", "create_ticket", "subject=x", "request_id=one"]) == 0
    assert main(["call", "acme", "create_ticket", "subject=x", "request_id=one"]) == 0
    capsys.readouterr()
    assert main(["writes", "--json"]) == 0
    (row,) = _printed(capsys)
    assert (row["tool"], row["state"], row["request_id"]) == ("create_ticket", "applied", "one")
    assert main(["writes", "show", row["id"][:8], "--json"]) == 0
    assert _printed(capsys)["answer"]["result"]["subject"] == "x"
    assert main(["writes", "show", row["id"]]) == 0
    assert main(["writes"]) == 0
    assert "create_ticket" in capsys.readouterr().out
    assert main(["writes", "resolve", row["id"], "--applied"]) == 2
    assert "nothing to settle" in capsys.readouterr().err


def test_a_person_or_the_connector_settles_what_is_open(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    message = asyncio.run(_left(settings, "send_message", {}))
    ticket = asyncio.run(_left(settings, "create_ticket", {"subject": "never came"}))
    assert main(["writes", "--unknown", "--json"]) == 0
    assert len(_printed(capsys)) == 2
    assert main(["writes", "resolve", ticket.id, "--verify"]) == 0
    assert "not_applied" in capsys.readouterr().err
    assert main(["writes", "resolve", message.id, "--verify"]) == 1
    assert "cannot tell" in capsys.readouterr().err
    assert main(["writes", "resolve", message.id, "--applied", "--json"]) == 0
    assert _printed(capsys)["settled_by"] == "person"


def test_a_server_looks_at_open_writes_when_it_starts(settings: Settings) -> None:
    row = asyncio.run(_left(settings, "create_ticket", {"subject": "never came"}))

    async def serve() -> State:
        async with Runtime.open(settings, ["acme"]) as runtime, chores(runtime):
            while True:
                found = await runtime.store.journal.get(row.id)
                assert found is not None
                if found.state is not State.SENT and not found.held:
                    return found.state
                await asyncio.sleep(0.02)

    assert asyncio.run(asyncio.wait_for(serve(), 20)) is State.NOT_APPLIED


def test_a_refund_is_one_action_with_one_question(settings: Settings, sandbox: Sandbox) -> None:
    async def refund() -> None:
        async with Runtime.open(settings, ["acme"]) as runtime:
            wire = await runtime.wire(runtime.connectors[0])
            made = await runtime.client.post(
                f"{sandbox.url}/api/payments",
                json={"amount": 500, "currency": "EUR", "card": "4242"},
                headers={"authorization": f"Bearer {sandbox.pat}", "acme-version": "2026-07-01"},
            )
            given = {
                "payment_id": made.json()["id"],
                "ticket_id": "tic_000001",
                "to": "ada@acme.example",
                "request_id": "one",
            }
            sandbox.fault("drop_after_commit", method="POST", path="/api/messages", times=3)
            with pytest.raises(OutcomeUnknownError, match="stopped at step 3"):
                await runtime.call("refund_and_notify", given, host=Person())
            result = await runtime.call("refund_and_notify", given)
            assert result["refund"]["amount"] == 500
            assert await settle_all(runtime) == []
            runtime.closing = True
            with pytest.raises(TransientError, match="shutting down"):
                await runtime.call("refund_and_notify", given)
            await runtime.drain(0.1)
            assert wire.connector.name == "acme"

    asyncio.run(refund())
    done = [(each.resource, each.action) for each in sandbox.state.commits]
    assert done == [("payment", "create"), ("refund", "create"), ("message", "create"), ("comment", "create")]
