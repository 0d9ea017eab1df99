"""An operator's own OAuth client: one record, never a connection, and always with today's secret."""

import pytest

from clew.auth.clients import client_of, list_apps, login_client, remove_app, set_app
from clew.auth.connections import status
from clew.auth.facts import Facts
from clew.auth.vault import Vault
from clew.core.connection import Connection
from clew.core.errors import ConfigurationError
from clew.core.secret import Secret

from .conftest import SCHEME, WORK, put_grant

pytestmark = pytest.mark.anyio


async def test_a_registration_is_used_before_the_connectors_own_client(vault: Vault) -> None:
    assert (await login_client(vault, WORK, SCHEME)).id == "clew"
    assert not await set_app(vault, "acme", "own", {"client_secret": Secret("s")}, tenant="local")
    client = await login_client(vault, WORK, SCHEME)
    assert (client.id, client.secret) == ("own", Secret("s"))
    assert await set_app(vault, "acme", "own2", {}, tenant="local")
    assert (await login_client(vault, WORK, SCHEME)).secret is None


async def test_a_registration_is_no_account(vault: Vault) -> None:
    await set_app(vault, "acme", "own", {"client_secret": Secret("s")}, tenant="local")
    assert await status(vault, tenant="local") == []
    (app,) = await list_apps(vault, tenant="local")
    assert (app.connector, app.client_id, app.proves_with) == ("acme", "own", "secret")
    assert await remove_app(vault, "acme", tenant="local")
    assert not await remove_app(vault, "acme", tenant="local")
    assert await list_apps(vault, tenant="local") == []


async def test_a_grant_is_refreshed_with_the_secret_of_today(vault: Vault) -> None:
    await set_app(vault, "acme", "clew", {"client_secret": Secret("old")}, tenant="local")
    await put_grant(vault)
    await set_app(vault, "acme", "clew", {"client_secret": Secret("new")}, tenant="local")
    record = await vault.get(WORK)
    assert record is not None
    assert (await client_of(vault, record, SCHEME)).secret == Secret("new")


async def test_a_grant_of_another_client_does_not_get_the_registrations_secret(vault: Vault) -> None:
    await vault.put(
        WORK, {"access_token": Secret("a"), "client_secret": Secret("its own")}, Facts("oauth2", client_id="first")
    )
    await set_app(vault, "acme", "second", {"client_secret": Secret("s2")}, tenant="local")
    record = await vault.get(WORK)
    assert record is not None
    client = await client_of(vault, record, SCHEME)
    assert (client.id, client.secret) == ("first", Secret("its own"))


async def test_tenants_do_not_share_registrations(vault: Vault) -> None:
    await set_app(vault, "acme", "own", {"client_secret": Secret("s")}, tenant="t1")
    assert (await login_client(vault, Connection("t2", "acme", "x"), SCHEME)).id == "clew"


@pytest.mark.parametrize("client_id", ["", "  ", "a\nb", "x" * 501])
async def test_a_client_id_that_cannot_be_one_is_refused(vault: Vault, client_id: str) -> None:
    with pytest.raises(ConfigurationError, match="client id"):
        await set_app(vault, "acme", client_id, {}, tenant="local")
