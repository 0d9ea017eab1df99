"""Promise 1: a stored credential goes to the origin it was stored for, whatever a project's `clew.toml` says."""

import asyncio
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clew.auth.authorizer import VaultAuthorizer
from clew.auth.facts import Facts
from clew.auth.keepalive import Served, sweep
from clew.auth.leases import open_leases
from clew.auth.origins import Place, origin_of
from clew.auth.refresh import Refresher
from clew.core.connection import LOCAL_TENANT, Connection
from clew.core.errors import ConfigurationError, InternalError
from clew.core.secret import Secret
from clew.servers.cli import main
from clew.servers.runtime import Runtime
from clew.servers.sandbox import Sandbox
from clew.servers.settings import load_settings
from clew.servers.store import open_store

from .thief import Thief, listening

LOGIN = Connection(LOCAL_TENANT, "acme", "login")


@pytest.fixture
def thief() -> Iterator[Thief]:
    with listening() as made:
        yield made


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """The provider, named by the user's own file, with a token and a login stored for it."""
    for name in [each for each in os.environ if each.startswith("CLEW_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CLEW_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CLEW_KEY_PROVIDER", "file")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config" / "clew").mkdir(parents=True)
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    with Sandbox() as sandbox:
        (tmp_path / "config" / "clew" / "clew.toml").write_text(f'[connectors.acme]\nbase_url = "{sandbox.url}"\n')
        (tmp_path / "token").write_text(sandbox.pat)
        assert main(["auth", "set", "acme", "--account", "token", "--file", str(tmp_path / "token")]) == 0
        asyncio.run(log_in(sandbox))
        yield sandbox


async def log_in(sandbox: Sandbox) -> None:
    pair = sandbox.log_in()
    fields = {name: Secret(str(pair[name])) for name in ("access_token", "refresh_token")}
    facts = Facts(
        "oauth2", client_id="clew-demo", expires_at=time.time() + 3600, renewable=True, origin=origin_of(sandbox.url)
    )
    async with open_store(load_settings()) as store:
        await store.vault.put(LOGIN, fields, facts)


ORDERS = {
    "a call": ("call", "acme", "get_contact", "contact_id=con_000001", "--account"),
    "a look at the identity": ("auth", "status", "acme", "--check"),
    "a refresh": ("auth", "refresh", "acme", "--account"),
    "a rotation of tokens": ("auth", "rotate", "--tokens"),
    "a logout": ("auth", "logout", "acme", "--account"),
    "the kill switch": ("auth", "revoke", "--all", "--yes"),
}


@pytest.mark.parametrize("account", ["token", "login"])
@pytest.mark.parametrize("order", ORDERS)
def test_a_hostile_project_gets_no_credential(
    acme: Sandbox, thief: Thief, order: str, account: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("clew.toml").write_text(f'[connectors.acme]\nbase_url = "{thief.url}"\n')
    words = ORDERS[order]
    main([*words, account] if words[-1] == "--account" else list(words))
    said = "".join(capsys.readouterr())
    assert thief.heard == []
    if words[-1] == "--account" and (order, account) != ("a refresh", "token"):
        verb = "login" if account == "login" else "set"
        assert f"was stored for {acme.url}" in said
        assert f"leads to {thief.url}" in said
        assert f"clew auth {verb} acme --account {account} --origin {thief.url}" in said
        assert "clew.toml" in said
    Path("clew.toml").unlink()
    capsys.readouterr()
    assert main(["auth", "status", "--check", "--json"]) == 0, "both are still there and still good"
    assert {each["state"] for each in json.loads(capsys.readouterr().out)} == {"ready"}


def test_a_new_credential_is_not_asked_for_on_behalf_of_a_project(
    acme: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("clew.toml").write_text('[connectors.acme]\nbase_url = "https://evil.example"\n')
    given = ["--account", "new", "--file", str(tmp_path / "token")]
    for words in (["auth", "set", "acme", *given], ["auth", "login", "acme", "--no-browser"]):
        assert main(words) == 2
        assert "would send this credential to https://evil.example and not to" in capsys.readouterr().err
    assert main(["auth", "set", "acme", *given, "--origin", "https://other.example"]) == 2
    assert main(["auth", "set", "acme", *given, "--origin", "HTTPS://Evil.Example:443/path"]) == 0
    main(["auth", "status", "--json"])
    stored = {each["account"]: each["origin"] for each in json.loads(capsys.readouterr().out)}
    assert stored == {"token": acme.url, "login": acme.url, "new": "https://evil.example"}


@pytest.mark.anyio
async def test_a_server_that_runs_sends_nothing_after_the_account_was_moved(acme: Sandbox, thief: Thief) -> None:
    """The way to the provider is remembered between calls; what it was made for is looked at in each."""
    async with Runtime.open(load_settings(), ["acme"], account="login") as runtime:
        assert await runtime.identity(runtime.connectors[0]) is not None
        record = await runtime.vault.get(LOGIN)
        assert record is not None
        elsewhere = Facts("oauth2", client_id="clew-demo", renewable=True, origin=thief.url)
        await runtime.vault.amend(record, elsewhere)
        with pytest.raises(ConfigurationError, match="nothing was sent"):
            await runtime.identity(runtime.connectors[0])


@pytest.mark.anyio
async def test_nobody_keeps_a_grant_alive_at_another_origin(acme: Sandbox, thief: Thief) -> None:
    async with open_store(load_settings()) as store:
        refresher = Refresher(store.vault, await open_leases(store.database))
        record = await store.vault.get(LOGIN)
        assert record is not None
        old = Facts("oauth2", client_id="clew-demo", obtained_at=0, refresh_expires_at=1.0, renewable=True,
                    origin=acme.url)  # fmt: skip
        await store.vault.amend(record, old)
        async with Runtime.open(load_settings(), ["acme"]) as runtime:
            schemes = runtime.connectors[0].schemes
        served = {"acme": Served(schemes, Place(thief.url, acme.url))}
        assert await sweep(store.vault, refresher, served) == []
        place = Place(thief.url, thief.url)
        authorizer = VaultAuthorizer(LOGIN, schemes, store.vault, refresher, base_url=thief.url, place=place)
        with pytest.raises(InternalError, match="nothing was sent"):
            await authorizer.renew(old.generation)
        await refresher.close()
    assert thief.heard == []


def test_a_credential_from_before_is_good_for_the_connectors_own_address() -> None:
    declared = "https://api.acme.example/v1"
    Place(declared, declared).check(LOGIN, Facts("oauth2"))
    Place("https://API.acme.example:443/v2", declared).check(LOGIN, Facts("oauth2"))
    for other in ("http://api.acme.example", "https://api.acme.example:444", "https://api.acme.example.evil.example"):
        with pytest.raises(ConfigurationError, match="nothing was sent"):
            Place(other, declared).check(LOGIN, Facts("oauth2"))
    with pytest.raises(ConfigurationError, match="nothing was sent"):
        Place(declared, declared).check(LOGIN, Facts("oauth2", origin="https://ghe.corp.example"))
