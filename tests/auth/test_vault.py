"""Promise 1: what is stored is unreadable, cannot be altered or moved unseen, and no stale writer overwrites it."""

# ruff: noqa: ASYNC240

import base64
import dataclasses
import json
import logging
import traceback
from pathlib import Path

import pytest

from clew.auth.facts import Facts
from clew.auth.keys import LocalKeys, WrongKeyError
from clew.auth.vault import StaleRecordError, Vault, open_vault
from clew.core.connection import Connection
from clew.core.database import Database, open_database
from clew.core.errors import AuthRevokedError
from clew.core.secret import Secret

from .conftest import MASTER_KEY, WORK, revealed

pytestmark = pytest.mark.anyio
ENGINES = ["sqlite", "postgres"]

HOME = Connection("local", "acme", "home")
OTHER_TENANT = Connection("globex", "acme", "work")
CANARY = "canary-5f1c9b7e2a"


async def put(vault: Vault, connection: Connection = WORK, token: str = CANARY) -> int:
    return await vault.put(connection, {"token": Secret(token)}, Facts("bearer"))


async def column(database: Database, name: str, connection: Connection = WORK) -> str:
    row = await database.fetch_one(
        f"SELECT {name} FROM vault_connections WHERE tenant = ? AND connector = ? AND account = ?",
        connection.tenant,
        connection.connector,
        connection.account,
    )
    assert row is not None
    return str(row[0])


async def overwrite(database: Database, name: str, value: str | int, connection: Connection = WORK) -> None:
    changed = await database.execute(
        f"UPDATE vault_connections SET {name} = ? WHERE tenant = ? AND connector = ? AND account = ?",
        value,
        connection.tenant,
        connection.connector,
        connection.account,
    )
    assert changed == 1


async def test_what_was_put_is_got_back(vault: Vault) -> None:
    facts = Facts("oauth2", scopes=("read",), identity="ada", expires_at=5.0, variables={"shop": "a"})
    await vault.put(WORK, {"access_token": Secret("a"), "refresh_token": Secret("ü")}, facts)
    record = await vault.get(WORK)
    assert record is not None
    assert record.facts == facts
    assert record.fields == ("access_token", "refresh_token")
    assert await revealed(vault, "refresh_token") == "ü"
    assert record.secret("nothing") is None
    assert await vault.get(HOME) is None


async def test_another_process_with_the_same_key_reads_it(address: str, vault: Vault, keys: LocalKeys) -> None:
    await put(vault)
    database = await open_database(address)
    assert await revealed(await open_vault(database, keys), "token") == CANARY
    await database.close()


async def test_no_byte_of_a_secret_reaches_files_reprs_logs_or_tracebacks(
    tmp_path: Path, vault: Vault, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await put(vault)
    record = await vault.get(WORK)
    assert record is not None
    text = "".join([repr(record), str(record), repr(vault), repr(await vault.list(tenant="local")), caplog.text])
    await overwrite(database, "version", 1)
    damaged = await vault.get(WORK)
    assert damaged is not None
    try:
        damaged.secret("token")
    except AuthRevokedError as error:
        text += "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
        text += error.as_text()
    assert "does not open" in text
    for spelling in (CANARY, base64.b64encode(CANARY.encode()).decode(), CANARY.encode().hex(), MASTER_KEY):
        assert spelling not in text
        for file in tmp_path.rglob("clew.db*"):
            assert spelling.encode() not in file.read_bytes(), file


async def test_a_record_keeps_no_decrypted_secret(vault: Vault) -> None:
    await put(vault)
    record = await vault.get(WORK)
    assert record is not None
    assert record.secret("token") is not record.secret("token")


async def test_sealing_the_same_secret_twice_gives_different_bytes(vault: Vault, database: Database) -> None:
    await put(vault)
    first = await column(database, "sealed")
    await put(vault)
    assert await column(database, "sealed") != first


@pytest.mark.parametrize("victim", [HOME, OTHER_TENANT])
async def test_a_credential_copied_to_another_row_does_not_open(
    vault: Vault, database: Database, victim: Connection
) -> None:
    await put(vault)
    await put(vault, victim, "of the victim")
    for name in ("sealed", "facts", "version"):
        value = await column(database, name)
        await overwrite(database, name, int(value) if name == "version" else value, victim)
    with pytest.raises(AuthRevokedError, match=f"{victim.account}") as caught:
        await revealed(vault, "token", victim)
    assert "clew auth set acme --account" in caught.value.next_step


async def test_fields_swapped_within_a_row_do_not_open(vault: Vault, database: Database) -> None:
    await vault.put(WORK, {"username": Secret("a"), "password": Secret("b")}, Facts("basic"))
    sealed = json.loads(await column(database, "sealed"))
    swapped = {"username": sealed["password"], "password": sealed["username"]}
    await overwrite(database, "sealed", json.dumps(swapped))
    record = await vault.get(WORK)
    assert record is not None
    for name in ("username", "password"):
        with pytest.raises(AuthRevokedError, match=rf"acme \(work\) is damaged: its {name} does not open"):
            record.secret(name)


async def test_a_field_that_was_removed_is_missed(vault: Vault, database: Database) -> None:
    await vault.put(WORK, {"access_token": Secret("a"), "refresh_token": Secret("b")}, Facts("oauth2"))
    sealed = json.loads(await column(database, "sealed"))
    await overwrite(database, "sealed", json.dumps({"access_token": sealed["access_token"]}))
    record = await vault.get(WORK)
    assert record is not None
    for name in ("access_token", "refresh_token"):
        with pytest.raises(AuthRevokedError, match="damaged"):
            record.secret(name)


async def test_an_older_version_of_a_row_does_not_open_in_place_of_the_newer(vault: Vault, database: Database) -> None:
    await put(vault, token="old")
    old = await column(database, "sealed")
    await put(vault, token="new")
    await overwrite(database, "sealed", old)
    with pytest.raises(AuthRevokedError, match="damaged"):
        await revealed(vault, "token")


async def test_forged_facts_do_not_open(vault: Vault, database: Database) -> None:
    await put(vault)
    forged = dataclasses.replace(Facts.decode(await column(database, "facts")), variables={"host": "evil.example"})
    await overwrite(database, "facts", forged.encode())
    with pytest.raises(AuthRevokedError, match="damaged"):
        await revealed(vault, "token")


async def test_every_flipped_bit_and_every_truncation_is_refused(vault: Vault, database: Database) -> None:
    await put(vault, token="ab")
    content = base64.b64decode(json.loads(await column(database, "sealed"))["token"])
    changed = [content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :] for at in range(len(content))]
    changed += [content[:length] for length in range(len(content))]
    for bad in changed:
        await overwrite(database, "sealed", json.dumps({"token": base64.b64encode(bad).decode()}))
        with pytest.raises(AuthRevokedError, match=r"acme \(work\) is damaged"):
            await revealed(vault, "token")


@pytest.mark.parametrize("sealed", ["", "[]", "{}", "null", '{"token": 5}', '{"token": "é"}', '["token"]', "\x01"])
async def test_a_row_that_is_no_record_is_refused_and_named(vault: Vault, database: Database, sealed: str) -> None:
    await put(vault)
    await overwrite(database, "sealed", sealed)
    with pytest.raises(AuthRevokedError, match=r"acme \(work\) is damaged: its row cannot be read"):
        await vault.get(WORK)


async def test_damaged_facts_are_refused_and_listed_as_damaged(vault: Vault, database: Database) -> None:
    await put(vault)
    await overwrite(database, "facts", '{"kind"')
    with pytest.raises(AuthRevokedError, match="damaged"):
        await vault.get(WORK)
    assert [summary.facts.kind for summary in await vault.list(tenant="local")] == ["damaged"]


async def test_a_data_key_moved_to_another_tenant_is_refused(vault: Vault, database: Database, keys: LocalKeys) -> None:
    await put(vault)
    await database.execute("UPDATE vault_data_keys SET tenant = 'globex'")
    await database.execute("UPDATE vault_connections SET tenant = 'globex'")
    with pytest.raises(WrongKeyError, match="Nothing was changed"):
        await (await open_vault(database, keys)).get(OTHER_TENANT)


async def test_a_wrong_key_is_a_clear_error_and_nothing_is_overwritten(
    tmp_path: Path, vault: Vault, database: Database
) -> None:
    await put(vault)
    before = await database.fetch_all("SELECT * FROM vault_data_keys, vault_connections")
    wrong_keys = LocalKeys(
        tmp_path / "no.key", place="env", environ={"CLEW_MASTER_KEY": base64.b64encode(b"w" * 32).decode()}
    )
    wrong = await open_vault(database, wrong_keys)
    for attempt in (wrong.get(WORK), put(wrong), put(wrong, HOME), put(wrong, OTHER_TENANT)):
        with pytest.raises(
            WrongKeyError, match=r"sealed with the key [0-9a-f]{16}.*CLEW_MASTER_KEY.*Nothing was changed"
        ):
            await attempt
    assert await database.fetch_all("SELECT * FROM vault_data_keys, vault_connections") == before
    assert await revealed(vault, "token") == CANARY


async def test_a_lost_data_key_is_named_and_no_new_one_takes_its_place(
    vault: Vault, database: Database, keys: LocalKeys
) -> None:
    await put(vault)
    await database.execute("DELETE FROM vault_data_keys")
    with pytest.raises(AuthRevokedError, match="damaged"):
        await (await open_vault(database, keys)).get(WORK)


async def test_each_tenant_has_its_own_data_key(vault: Vault, database: Database) -> None:
    await put(vault)
    await put(vault, HOME)
    await put(vault, OTHER_TENANT)
    rows = await database.fetch_all("SELECT tenant, data_key_id FROM vault_data_keys ORDER BY tenant")
    assert [tenant for tenant, _ in rows] == ["globex", "local"]
    assert len({data_key_id for _, data_key_id in rows}) == 2


async def test_only_the_expected_version_is_replaced(vault: Vault) -> None:
    version = await put(vault)
    new = await vault.put(WORK, {"token": Secret("b")}, Facts("bearer"), expect_version=version)
    assert new == version + 1
    for stale in (version, 0, new + 1):
        with pytest.raises(StaleRecordError):
            await vault.put(WORK, {"token": Secret("c")}, Facts("bearer"), expect_version=stale)
    assert await revealed(vault, "token") == "b"


async def test_a_first_write_can_insist_on_being_first(vault: Vault) -> None:
    await vault.put(WORK, {"token": Secret("a")}, Facts("bearer"), expect_version=0)
    with pytest.raises(StaleRecordError):
        await vault.put(WORK, {"token": Secret("b")}, Facts("bearer"), expect_version=0)


async def test_a_connection_made_again_never_repeats_a_version(vault: Vault) -> None:
    version = await put(vault)
    assert await vault.delete(WORK)
    assert not await vault.delete(WORK)
    assert await put(vault) > version


async def test_a_holder_of_an_older_lease_cannot_write(vault: Vault) -> None:
    version = await vault.put(WORK, {"token": Secret("a")}, Facts("bearer"), fence=7)
    with pytest.raises(StaleRecordError):
        await vault.put(WORK, {"token": Secret("b")}, Facts("bearer"), expect_version=version, fence=6)
    await vault.put(WORK, {"token": Secret("c")}, Facts("bearer"), expect_version=version, fence=7)
    assert await revealed(vault, "token") == "c"


async def test_an_amended_record_keeps_what_was_not_named(vault: Vault) -> None:
    await vault.put(WORK, {"a": Secret("1"), "b": Secret("2"), "c": Secret("3")}, Facts("bearer"))
    record = await vault.get(WORK)
    assert record is not None
    await vault.amend(record, dataclasses.replace(record.facts, identity="ada"), {"b": Secret("two"), "c": None})
    after = await vault.get(WORK)
    assert after is not None
    assert after.fields == ("a", "b")
    assert (await revealed(vault, "a"), await revealed(vault, "b")) == ("1", "two")
    assert after.facts.identity == "ada"
    with pytest.raises(StaleRecordError):
        await vault.amend(record, record.facts)


async def test_a_record_without_secrets_is_not_stored(vault: Vault) -> None:
    with pytest.raises(ValueError, match="without secrets"):
        await vault.put(WORK, {}, Facts("bearer"))


async def test_the_list_has_no_secrets_needs_no_key_and_stays_within_the_tenant(
    tmp_path: Path, vault: Vault, database: Database
) -> None:
    await put(vault)
    await put(vault, HOME)
    await put(vault, Connection("local", "beta", "x"))
    await put(vault, OTHER_TENANT)
    keyless = Vault(database, LocalKeys(tmp_path / "none", place="env", environ={}))
    everything = await keyless.list(tenant="local")
    assert [str(summary.connection) for summary in everything] == ["acme (home)", "acme (work)", "beta (x)"]
    assert [str(summary.connection) for summary in await keyless.list(tenant="local", connector="beta")] == ["beta (x)"]


async def test_facts_written_by_a_newer_version_are_read() -> None:
    text = json.dumps({"kind": "bearer", "colour": "blue"})
    assert Facts.decode(text).kind == "bearer"
    with pytest.raises(ValueError, match="kind"):
        Facts.decode("{}")
