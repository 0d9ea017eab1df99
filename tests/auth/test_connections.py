"""Choosing an account, setting, removing and showing credentials."""

import json
import time

import pytest

from clew.auth.connections import account_name, remove, resolve, set_identity, set_token, status
from clew.auth.facts import Facts
from clew.auth.schemes import Basic, Bearer
from clew.auth.vault import Vault
from clew.core.connection import Connection
from clew.core.database import Database
from clew.core.errors import AuthRevokedError, ConfigurationError
from clew.core.secret import Secret

from .conftest import SCHEME, WORK, put_grant, revealed

pytestmark = pytest.mark.anyio

HOME = Connection("local", "acme", "home")
SCHEMES = [Bearer()]


async def test_the_only_account_is_used_without_naming_it(vault: Vault) -> None:
    await set_token(vault, WORK, Bearer(), {"token": Secret("t")})
    await set_token(vault, Connection("local", "beta", "x"), Bearer(), {"token": Secret("t")})
    assert await resolve(vault, "acme", SCHEMES, tenant="local") == WORK
    assert await resolve(vault, "acme", SCHEMES, account="work", tenant="local") == WORK


async def test_several_accounts_are_refused_with_the_choices(vault: Vault) -> None:
    for connection in (WORK, HOME):
        await set_token(vault, connection, Bearer(), {"token": Secret("t")})
    with pytest.raises(ConfigurationError, match=r"several accounts: home, work\. Choose one with --account"):
        await resolve(vault, "acme", SCHEMES, tenant="local")
    assert await resolve(vault, "acme", SCHEMES, account="home", tenant="local") == HOME


async def test_no_account_names_the_command(vault: Vault) -> None:
    with pytest.raises(AuthRevokedError, match="acme is not connected") as caught:
        await resolve(vault, "acme", SCHEMES, tenant="local")
    assert caught.value.next_step == "Ask the person to run: clew auth set acme"
    with pytest.raises(AuthRevokedError) as caught:
        await resolve(vault, "acme", [SCHEME], account="big co", tenant="local")
    assert caught.value.next_step == "Ask the person to run: clew auth login acme --account 'big co'"


async def test_an_unknown_account_is_refused_with_those_that_exist(vault: Vault) -> None:
    await set_token(vault, WORK, Bearer(), {"token": Secret("t")})
    with pytest.raises(AuthRevokedError, match=r"No account 'wrok' of acme is connected\. Known accounts: work"):
        await resolve(vault, "acme", SCHEMES, account="wrok", tenant="local")


async def test_another_tenants_account_is_invisible(vault: Vault) -> None:
    await set_token(vault, Connection("globex", "acme", "work"), Bearer(), {"token": Secret("t")})
    with pytest.raises(AuthRevokedError):
        await resolve(vault, "acme", SCHEMES, tenant="local")
    with pytest.raises(AuthRevokedError) as caught:
        await resolve(vault, "acme", SCHEMES, account="home", tenant="globex")
    assert caught.value.next_step.endswith("clew auth set acme --account home --tenant globex")


async def test_a_pasted_line_break_is_removed(vault: Vault) -> None:
    await set_token(vault, WORK, Bearer(), {"token": Secret("  tok\r\n")})
    assert await revealed(vault, "token") == "tok"


@pytest.mark.parametrize("value", ["", " \n", "a b", "a\nX-Evil: 1", "tök", "a\x00"])
async def test_what_cannot_be_a_token_is_refused_without_showing_it(vault: Vault, value: str) -> None:
    with pytest.raises(ConfigurationError, match="token") as caught:
        await set_token(vault, WORK, Bearer(), {"token": Secret(value)})
    assert value.strip() == "" or value not in str(caught.value)
    assert await vault.get(WORK) is None


async def test_a_password_may_hold_spaces_and_letters_of_any_script(vault: Vault) -> None:
    await set_token(vault, WORK, Basic(), {"username": Secret("ada"), "password": Secret("päss word")})
    assert await revealed(vault, "password") == "päss word"


async def test_exactly_the_schemes_fields_are_wanted(vault: Vault) -> None:
    with pytest.raises(ConfigurationError, match="acme wants username and password"):
        await set_token(vault, WORK, Basic(), {"username": Secret("ada")})


async def test_a_new_token_replaces_a_refused_one_and_its_state(vault: Vault) -> None:
    await vault.put(WORK, {"token": Secret("old")}, Facts("bearer", refused_at=1.0))
    await set_token(vault, WORK, Bearer(), {"token": Secret("new")}, identity="ada", scopes=["repo"])
    (line,) = await status(vault, tenant="local")
    assert (line.state, line.identity, line.scopes, line.next_step) == ("ready", "ada", ("repo",), None)


async def test_an_identity_is_noted_without_touching_the_secrets(vault: Vault) -> None:
    generation = await put_grant(vault)
    await set_identity(vault, WORK, "ada@acme.example")
    record = await vault.get(WORK)
    assert record is not None
    assert (record.facts.identity, record.facts.generation) == ("ada@acme.example", generation)
    await set_identity(vault, HOME, "nobody")
    assert await vault.get(HOME) is None


async def test_a_removed_connection_is_gone(vault: Vault) -> None:
    await set_token(vault, WORK, Bearer(), {"token": Secret("t")})
    assert await remove(vault, WORK)
    assert not await remove(vault, WORK)
    assert await status(vault, tenant="local") == []


async def test_status_tells_ready_expired_refused_and_damaged_apart(vault: Vault, database: Database) -> None:
    now = time.time()

    async def put(account: str, facts: Facts) -> None:
        await vault.put(Connection("local", "acme", account), {"access_token": Secret("t")}, facts)

    await put("a", Facts("oauth2", expires_at=now + 60))
    await put("b", Facts("oauth2", expires_at=now - 60, renewable=True))
    await put("c", Facts("oauth2", expires_at=now - 60))
    await put("d", Facts("oauth2", refused_at=now, refused="invalid_grant"))
    await put("e", Facts("oauth2"))
    await database.execute("UPDATE vault_connections SET facts = '' WHERE account = 'e'")
    lines = await status(vault, connector="acme", tenant="local")
    assert [line.state for line in lines] == ["ready", "ready", "expired", "refused", "damaged"]
    assert [line.next_step for line in lines[:2]] == [None, None]
    assert lines[2].next_step == "clew auth login acme --account c"
    assert lines[0].expires_in == pytest.approx(60, abs=5)
    assert lines[3].refused == "invalid_grant"
    assert json.loads(json.dumps([line.as_dict() for line in lines]))[0]["state"] == "ready"


def test_a_new_account_is_named_by_the_person_or_the_provider() -> None:
    assert account_name("work", "ada") == "work"
    assert account_name(None, "ada") == "ada"
    assert account_name(None, None) == "main"
