"""Webhook secrets in the vault: several at once, each with its end, untouched by a new login."""

import pytest

from clew.auth.connections import status
from clew.auth.vault import Vault
from clew.auth.webhook_secrets import (
    add_secret,
    expect_secret,
    expected,
    forget,
    known,
    live,
    note,
    notes,
    place_of,
    receiving,
)
from clew.core.connection import Connection
from clew.core.errors import ConfigurationError
from clew.core.secret import Secret

pytestmark = pytest.mark.anyio
ENGINES = ["sqlite", "postgres"]
WORK = Connection("local", "acme", "work")


async def values(vault: Vault, at: float | None = None) -> list[str]:
    record = await vault.get(place_of(WORK))
    return [secret.reveal() for secret in live(record, at)] if record else []


async def test_the_former_secret_is_live_until_its_overlap_ends(vault: Vault) -> None:
    await add_secret(vault, WORK, Secret("first"))
    stored = await add_secret(vault, WORK, Secret("second"), overlap=100)
    assert await values(vault) == ["second", "first"]
    assert stored[0].until is None
    assert stored[1].until is not None
    assert await values(vault, at=stored[1].until + 1) == ["second"]
    await add_secret(vault, WORK, Secret("third"), overlap=0)
    assert await values(vault) == ["third"]


async def test_the_same_secret_again_is_one_secret(vault: Vault) -> None:
    await add_secret(vault, WORK, Secret("first"))
    await add_secret(vault, WORK, Secret("first"))
    assert await values(vault) == ["first"]


async def test_there_are_never_more_than_eight(vault: Vault) -> None:
    for number in range(10):
        await add_secret(vault, WORK, Secret(f"secret {number}"))
    assert len(await values(vault)) == 8


async def test_an_empty_secret_is_refused(vault: Vault) -> None:
    with pytest.raises(ConfigurationError):
        await add_secret(vault, WORK, Secret("  "))


async def test_they_are_no_account(vault: Vault) -> None:
    await add_secret(vault, WORK, Secret("first"))
    assert await status(vault, tenant="local") == []
    assert await receiving(vault, tenant="local") == [WORK]
    assert await forget(vault, WORK)
    assert not await forget(vault, WORK)
    assert await receiving(vault, tenant="local") == []


async def test_a_registration_under_way_ends_with_its_secret(vault: Vault) -> None:
    await note(vault, WORK, {"id": "whk_1"})
    await expect_secret(vault, WORK)
    record = await vault.get(place_of(WORK))
    assert record is not None
    assert expected(record)
    assert live(record) == []
    await add_secret(vault, WORK, Secret("from the provider"))
    record = await vault.get(place_of(WORK))
    assert record is not None
    assert not expected(record)
    assert notes(record)["id"] == "whk_1"
    await note(vault, WORK, {"id": ""})
    record = await vault.get(place_of(WORK))
    assert record is not None
    assert "id" not in notes(record)
    assert await values(vault) == ["from the provider"]
    assert [each.until for each in known(record)] == [None]
