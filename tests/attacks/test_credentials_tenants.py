"""Promise 1: a tenant's commands and servers reach the connections of that tenant and of nobody else."""

import asyncio
import json
import os
import sqlite3
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from starlette.types import ASGIApp, Receive, Scope, Send

from clew.auth.facts import Facts
from clew.auth.keepalive import Served, sweep
from clew.auth.leases import open_leases
from clew.auth.refresh import Refresher
from clew.auth.webhook_secrets import add_secret
from clew.core.connection import Connection
from clew.core.errors import AuthRevokedError, ConfigurationError, PermissionDeniedError
from clew.core.journal import State, Wanted
from clew.core.secret import Secret
from clew.servers.chores import chores
from clew.servers.cli import main
from clew.servers.cli.parser import build
from clew.servers.guard import configure
from clew.servers.http import create_app, open_listener, shown_address
from clew.servers.rotation import refresh_tokens
from clew.servers.runtime import Runtime
from clew.servers.settings import load_settings
from clew.servers.settling import settle_all
from clew.servers.store import open_store

from .thief import Thief, listening

MINE, THEIRS = Connection("mine", "acme", "work"), Connection("theirs", "acme", "home")
TOKENS = {each: f"token-of-{each.tenant}" for each in (MINE, THEIRS)}
SECRETS = "token-of-theirs", "refresh-of-theirs", "secret-of-theirs", "hook-of-theirs"


@pytest.fixture
def thief(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Thief]:
    """The provider; one account of each tenant is connected to it, with a client and a webhook secret of its own."""
    for name in [each for each in os.environ if each.startswith("CLEW_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CLEW_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CLEW_KEY_PROVIDER", "file")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    with listening() as made:
        Path("clew.toml").write_text(f'[connectors.acme]\nbase_url = "{made.url}"\n')
        asyncio.run(_connect(made.url))
        for each in (MINE, THEIRS):
            Path("secret").write_text(f"secret-of-{each.tenant}")
            words = ["auth", "apps", "set", "acme", "--client-id", f"client-of-{each.tenant}", "--file", "secret"]
            assert main([*words, "--tenant", each.tenant]) == 0
        yield made


async def _connect(url: str) -> None:
    async with open_store(load_settings()) as store:
        for each in (MINE, THEIRS):
            fields = {"access_token": Secret(TOKENS[each]), "refresh_token": Secret(f"refresh-of-{each.tenant}")}
            # Old enough for every chore to want to do something about it.
            facts = Facts("oauth2", client_id="clew-demo", expires_at=time.time() + 3600, renewable=True, origin=url,
                          obtained_at=time.time() - 86400, refresh_expires_at=time.time() + 60)  # fmt: skip
            await store.vault.put(each, fields, facts)
            await add_secret(store.vault, each, Secret(f"hook-of-{each.tenant}"))


def theirs() -> list[tuple[Any, ...]]:
    """The other tenant's rows as they lie in the database."""
    database = sqlite3.connect(f"{os.environ['CLEW_HOME']}/clew.db")
    try:
        return database.execute("SELECT * FROM vault_connections WHERE tenant = 'theirs' ORDER BY connector").fetchall()
    finally:
        database.close()


A = ["--account", "home"]
ORDERS: dict[str, list[list[str]]] = {
    "auth set": [["acme", *A, "--file", "token"]],
    "auth login": [],  # test_a_login_lands_with_its_tenant
    "auth status": [["--check", "--json"], ["acme", "--check"]],
    "auth refresh": [["acme", *A], ["acme"]],
    "auth logout": [["acme", *A], ["acme"]],
    "auth remove": [["acme", *A], ["acme"]],
    "auth revoke": [["--all", "--yes"]],
    "auth rotate": [["--tokens"]],
    "auth export": [["bundle", "--replace", "--passphrase-file", "passphrase"]],
    "auth import": [],  # test_a_bundle_is_imported_for_one_tenant
    "auth apps set": [["acme", "--client-id", "another", "--public"]],
    "auth apps list": [["--json"], []],
    "auth apps remove": [["acme"]],
    "list": [["--json"]],
    "show": [["acme"]],
    "install": [],  # it opens no vault; the server that it writes down refuses to start
    "call": [["acme", "get_contact", "contact_id=con_000001", *A], ["acme", "get_contact", "contact_id=con_000001"]],
    "serve": [],  # test_a_server_serves_its_tenant, test_over_http_the_principal_says_whose
    "webhooks serve": [],
    "webhooks set": [["acme", *A, "--file", "secret"]],
    "webhooks forget": [["acme", *A], ["acme"]],
    "webhooks status": [["--check", "--json"], ["acme"]],
    "webhooks subscribe": [["acme", *A, "--url", "https://hooks.example"]],
    "webhooks renew": [["acme"], []],
    "webhooks send": [
        ["acme", *A, "--to", "http://127.0.0.1:9/webhooks"],
        ["acme", "--to", "http://127.0.0.1:9/hooks"],
    ],
    "check": [["acme", "--live"]],
    "record": [["acme", "get_contact", "contact_id=con_000001", "--into", "examples"]],
}


def test_no_command_that_takes_a_tenant_is_forgotten_here() -> None:
    found: set[str] = set()

    def walk(parser: Any, path: str) -> None:
        for action in parser._actions:
            children: dict[str, Any] = getattr(action, "_name_parser_map", {})
            for name, child in children.items():
                walk(child, f"{path} {name}".strip())
            if "--tenant" in action.option_strings:
                found.add(path)

    walk(build(), "")
    assert found == set(ORDERS)


@pytest.mark.parametrize("named", ["by option", "by setting"])
@pytest.mark.parametrize("order", [each for each, runs in ORDERS.items() if runs])
def test_a_command_reaches_its_tenant_alone(
    thief: Thief, order: str, named: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("token").write_text("another-token")
    Path("passphrase").write_text("correct horse battery")
    before = theirs()
    assert len(before) == 3
    if named == "by setting":
        monkeypatch.setenv("CLEW_TENANT", "mine")
    for words in ORDERS[order]:
        main([*order.split(), *words, *(["--tenant", "mine"] if named == "by option" else [])])
    said = "".join(capsys.readouterr())
    assert "Choose one with --tenant" not in said
    assert theirs() == before
    assert not [line for line in thief.heard if any(each in line for each in SECRETS)]
    assert not any(each in said for each in (*SECRETS, "client-of-theirs"))
    assert order != "list" or "home" not in said


@pytest.mark.parametrize("order", [each for each, runs in ORDERS.items() if runs])
def test_with_several_tenants_and_none_named_nothing_is_done(
    thief: Thief, order: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("token").write_text("another-token")
    Path("passphrase").write_text("correct horse battery")
    before = theirs()
    for words in ORDERS[order]:
        assert main([*order.split(), *words]) == 2, words
    assert "tenants are stored here: local, mine, theirs. Choose one with --tenant" in capsys.readouterr().err
    assert theirs() == before
    assert thief.heard == []
    assert not Path("bundle").exists()


def test_a_project_cannot_choose_the_tenant(thief: Thief, capsys: pytest.CaptureFixture[str]) -> None:
    Path("clew.toml").write_text("tenant = 'theirs'\n" + Path("clew.toml").read_text())
    assert main(["auth", "status"]) == 2
    assert "tenant cannot be set by a project" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", "a b", "../x", "a/b", "theirs\x1frecords", "x" * 129, "-x", "a\n"])
def test_a_tenant_has_a_plain_name(thief: Thief, name: str) -> None:
    assert main(["auth", "status", f"--tenant={name}"]) == 2


def test_a_bundle_is_imported_for_one_tenant(thief: Thief, capsys: pytest.CaptureFixture[str]) -> None:
    Path("passphrase").write_text("correct horse battery")
    given = ["--passphrase-file", "passphrase"]
    assert main(["auth", "export", "bundle", *given, "--tenant", "mine"]) == 0
    before = theirs()
    assert main(["auth", "import", "bundle", *given]) == 2
    assert main(["auth", "import", "bundle", *given, "--replace", "--tenant", "third"]) == 0
    assert theirs() == before
    capsys.readouterr()
    assert main(["auth", "status", "--json", "--tenant", "third"]) == 0
    assert [each["account"] for each in json.loads(capsys.readouterr().out)] == ["work"]


@pytest.mark.anyio
async def test_a_server_serves_its_tenant(thief: Thief) -> None:
    settings = replace(load_settings(), tenant="mine")
    async with Runtime.open(settings, ["acme"]) as runtime:
        (acme,) = runtime.connectors
        assert (await runtime.wire(acme)).connection == MINE
        with pytest.raises(AuthRevokedError, match="No account 'home'"):
            await runtime.wire(acme, "home")
        with pytest.raises(PermissionDeniedError, match="another tenant"):
            await runtime.call("get_contact", {"contact_id": "con_000001"}, tenant="theirs")
    async with Runtime.open(load_settings(), ["acme"]) as runtime:
        with pytest.raises(ConfigurationError, match="mine, theirs"):
            await runtime.call("get_contact", {"contact_id": "con_000001"})
    assert thief.heard == []


@pytest.mark.anyio
async def test_what_a_server_does_by_itself_is_for_its_tenant(thief: Thief) -> None:
    before = theirs()
    settings = replace(load_settings(), tenant="mine")
    async with Runtime.open(settings, ["acme"]) as runtime, chores(runtime):
        (acme,) = runtime.connectors
        left = await _left_open(runtime, THEIRS)
        served = {"acme": Served(acme.schemes, runtime.place(acme))}
        swept = await sweep(
            runtime.vault, runtime.refresher, served, tenants=await runtime.tenancy.served(runtime.vault)
        )
        assert swept == [MINE], "and another tenant's sweep takes no turn away"
        assert [each.connection for each in await refresh_tokens(runtime, [acme])] == [MINE]
        await settle_all(runtime, every=True)
        row = await runtime.store.journal.get(left)
        assert row is not None
        assert row.state is State.UNKNOWN, "nobody has looked with another tenant's account"
        assert not [line for line in thief.heard if any(each in line for each in SECRETS)]
        refresher = Refresher(runtime.vault, await open_leases(runtime.store.database))
        assert await sweep(runtime.vault, refresher, served, tenants=["theirs"]) == [THEIRS]
        await refresher.close()
    changed = [row for row in theirs() if row not in before]
    assert [row[1] for row in changed] == ["acme"], "which only the last sweep did"
    mine = [line for line in thief.heard if "refresh-of-theirs" in line]
    assert len(mine) == 1


async def _left_open(runtime: Runtime, where: Connection) -> str:
    """A write of a process that died after it was sent."""
    wanted = Wanted(where, "create_ticket", {"subject": "never came"}, None, 600.0)
    row, _ = await runtime.store.journal.claim(wanted, state=State.SENT)
    await runtime.store.database.execute("UPDATE writes SET lease_ends = 0")
    return row.id


@dataclass
class Principal:
    """What an authentication in front of the server would leave."""

    tenant: str | None


class Authenticated:
    """Takes a header's word for it, as no real server may."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            told = dict(scope["headers"]).get(b"x-tenant")
            scope["user"] = Principal(told.decode() if told else None)
        await self.app(scope, receive, send)


@asynccontextmanager
async def authenticated(runtime: Runtime) -> AsyncGenerator[str]:
    with open_listener("test", "127.0.0.1", 0) as listener:
        host, port = shown_address(listener)
        server = uvicorn.Server(configure(Authenticated(create_app(runtime, host=host, port=port))))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        yield f"http://{host}:{port}/mcp"
        server.should_exit = True
        await serving


@pytest.mark.anyio
async def test_over_http_the_principal_says_whose(thief: Thief) -> None:
    cases = {"mine": "token-of-mine", "theirs": "token-of-theirs", None: "", "a/b": ""}
    async with Runtime.open(load_settings(), ["acme"]) as runtime, authenticated(runtime) as url:
        for tenant, token in cases.items():
            thief.heard.clear()
            headers = {"x-tenant": tenant} if tenant else {}
            async with (
                httpx2.AsyncClient(headers=headers) as http,
                Client(streamable_http_client(url, http_client=http)) as client,
            ):
                result = await client.call_tool("get_contact", {"contact_id": "con_000001"})
            assert [token in line for line in thief.heard] == ([True] if token else [])
            assert token or "is not set up" in str(result.structured_content)
