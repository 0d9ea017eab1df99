"""Keys are replaced under a vault in use; nothing is lost, nothing is disturbed, a crash costs nothing."""

import base64
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from clew.auth import leases as leases_module
from clew.auth.facts import Facts
from clew.auth.keys import LocalKeys, WrongKeyError
from clew.auth.leases import Leases, open_leases
from clew.auth.rotation import LEASE, LEASE_SECONDS, Rotated, Rotation
from clew.auth.vault import Vault, open_vault
from clew.core.connection import Connection
from clew.core.database import Database, open_database
from clew.core.errors import ConfigurationError, TransientError
from clew.core.secret import Secret

from .conftest import WORK, revealed

pytestmark = pytest.mark.anyio
ENGINES = ["sqlite", "postgres"]


@pytest.fixture
def keys(tmp_path: Path) -> LocalKeys:
    return LocalKeys(tmp_path / "master.key", place="file", environ={}, warn=lambda text: None)


@pytest.fixture
def rotation(database: Database, keys: LocalKeys, leases: Leases) -> Rotation:
    return Rotation(database, keys, leases)


async def fill(vault: Vault, count: int = 120, tenants: Sequence[str] = ("local", "globex")) -> list[Connection]:
    connections = [Connection(tenants[n % len(tenants)], "acme", f"a{n:03}") for n in range(count)]
    for connection in connections:
        fields = {"access_token": Secret(f"access {connection}"), "refresh_token": Secret(f"refresh {connection}")}
        await vault.put(connection, fields, Facts("oauth2"))
    return connections


async def all_open(vault: Vault, connections: Sequence[Connection]) -> bool:
    return all([await revealed(vault, "refresh_token", each) == f"refresh {each}" for each in connections])


async def data_key_ids(database: Database) -> set[str]:
    return {row[0] for row in await database.fetch_all("SELECT data_key_id FROM vault_data_keys")}


async def key_ids(database: Database) -> set[str]:
    return {row[0] for row in await database.fetch_all("SELECT key_id FROM vault_data_keys")}


async def test_new_data_keys_seal_every_record_and_the_old_ones_are_removed(
    vault: Vault, database: Database, rotation: Rotation
) -> None:
    connections = await fill(vault)
    before = await data_key_ids(database)
    versions = await database.fetch_all("SELECT account, version FROM vault_connections ORDER BY account")
    done = await rotation.rotate_data()
    assert (done.done, done.total, done.resumed, done.damaged) == (120, 120, False, ())
    after = await data_key_ids(database)
    assert len(after) == 2
    assert not before & after
    assert await all_open(vault, connections)
    assert await database.fetch_all("SELECT account, version FROM vault_connections ORDER BY account") == versions


async def test_a_writer_that_read_before_the_rotation_writes_after_it(
    vault: Vault, database: Database, rotation: Rotation
) -> None:
    await fill(vault, 1, ["local"])
    connection = Connection("local", "acme", "a000")
    read_before = await vault.get(connection)
    assert read_before is not None
    await rotation.rotate_data()
    assert read_before.secret("access_token") == Secret(f"access {connection}")
    await vault.amend(read_before, read_before.facts, {"access_token": Secret("new"), "refresh_token": Secret("pair")})
    assert await revealed(vault, "refresh_token", connection) == "pair"
    assert len(await data_key_ids(database)) == 1


async def test_other_processes_read_and_write_all_through_it(
    address: str, vault: Vault, database: Database, keys: LocalKeys, leases: Leases
) -> None:
    connections = await fill(vault)
    other_database = await open_database(address)
    other = await open_vault(other_database, keys)
    seen: list[bool] = []
    rotation = Rotation(database, keys, leases, report=lambda progress: written.append(progress.done))
    written: list[int] = []

    class Busy(Leases):
        """Between any two batches another process reads everything and stores a new pair."""

        async def left(self, lease: leases_module.Lease) -> float:
            seen.append(await all_open(other, connections))
            record = await other.get(connections[0])
            assert record is not None
            await other.amend(record, record.facts, {"access_token": Secret(f"new {len(seen)}")})
            return await super().left(lease)

    rotation = Rotation(database, keys, Busy(database))
    await rotation.rotate_keys()
    await rotation.rotate_data()
    assert len(seen) >= 4
    assert all(seen)
    assert await revealed(vault, "access_token", connections[0]) == f"new {len(seen)}"
    assert await all_open(vault, connections)
    await other_database.close()


async def test_a_new_wrapping_key_takes_over_every_data_key_and_touches_no_record(
    vault: Vault, database: Database, rotation: Rotation, tmp_path: Path
) -> None:
    connections = await fill(vault, 4)
    records = await database.fetch_all("SELECT * FROM vault_connections ORDER BY tenant, account")
    before = await key_ids(database)
    done = await rotation.rotate_keys()
    assert (done.done, done.resumed) == (2, False)
    assert await key_ids(database) == {done.key_id}
    assert {done.key_id} != before
    assert await database.fetch_all("SELECT * FROM vault_connections ORDER BY tenant, account") == records
    fresh = await open_vault(database, LocalKeys(tmp_path / "master.key", place="file", environ={}))
    assert await all_open(fresh, connections)
    only_new = tmp_path / "only-new.key"
    only_new.write_text((tmp_path / "master.key").read_text().split()[0])
    only_new.chmod(0o600)
    assert await all_open(await open_vault(database, LocalKeys(only_new, place="file", environ={})), connections)


async def test_a_second_rotation_makes_another_key_and_both_stay_readable(
    vault: Vault, database: Database, rotation: Rotation, keys: LocalKeys
) -> None:
    await fill(vault, 2)
    first, second = await rotation.rotate_keys(), await rotation.rotate_keys()
    assert first.key_id != second.key_id
    assert (await keys.find(str(first.key_id))).key_id == first.key_id
    assert (await keys.choose()).key_id == second.key_id


async def test_a_new_key_in_the_environment_takes_over_without_making_one(
    vault: Vault, database: Database, leases: Leases, tmp_path: Path
) -> None:
    connections = await fill(vault, 2)
    new = base64.b64encode(b"n" * 32).decode()
    keys = LocalKeys(tmp_path / "master.key", environ={"CLEW_MASTER_KEY": new})
    rotation = Rotation(database, keys, leases)
    assert (await rotation.rotate_keys()).resumed
    with pytest.raises(ConfigurationError, match="which only you can change"):
        await rotation.rotate_keys()
    only_environment = LocalKeys(tmp_path / "none", place="env", environ={"CLEW_MASTER_KEY": new})
    assert await all_open(await open_vault(database, only_environment), connections)


async def test_a_new_key_in_front_of_the_old_one_in_the_environment_works_for_both(
    vault: Vault, database: Database, leases: Leases, tmp_path: Path
) -> None:
    old, new = (base64.b64encode(letter * 32).decode() for letter in (b"o", b"n"))
    environ = {"CLEW_MASTER_KEY": old}
    first = await open_vault(database, LocalKeys(tmp_path / "x", place="env", environ=environ))
    await first.put(WORK, {"token": Secret("t")}, Facts("bearer"))
    both = LocalKeys(tmp_path / "x", place="env", environ={"CLEW_MASTER_KEY": f"{new},{old}"})
    assert await revealed(await open_vault(database, both), "token") == "t"
    assert (await Rotation(database, both, leases).rotate_keys()).resumed
    new_only = LocalKeys(tmp_path / "x", place="env", environ={"CLEW_MASTER_KEY": new})
    assert await revealed(await open_vault(database, new_only), "token") == "t"


class Crash(Exception):
    """Stands for the end of the process between two batches."""


@pytest.mark.parametrize("what", ["data", "keys"])
async def test_an_interrupted_rotation_is_finished_and_not_begun_anew(
    vault: Vault, database: Database, keys: LocalKeys, leases: Leases, what: str
) -> None:
    connections = await fill(vault, 120, ["t1", "t2", "t3"] if what == "keys" else ["local"])

    def crash(progress: Rotated) -> None:
        raise Crash

    crashing = Rotation(database, keys, leases, report=crash)
    with pytest.raises(Crash):
        await (crashing.rotate_data() if what == "data" else crashing.rotate_keys())
    assert await all_open(vault, connections)
    between = await (data_key_ids(database) if what == "data" else key_ids(database))
    assert len(between) == 2
    rotation = Rotation(database, keys, leases)
    done = await (rotation.rotate_data() if what == "data" else rotation.rotate_keys())
    assert done.resumed
    after = await (data_key_ids(database) if what == "data" else key_ids(database))
    assert len(after) == 1
    assert after < between
    assert await all_open(vault, connections)


async def test_a_damaged_record_is_named_and_keeps_its_data_key(
    vault: Vault, database: Database, rotation: Rotation
) -> None:
    connections = await fill(vault, 3, ["local"])
    row = await database.fetch_one("SELECT facts FROM vault_connections WHERE account = 'a001'")
    assert row is not None
    await database.execute("UPDATE vault_connections SET facts = ? WHERE account = 'a001'", row[0] + " ")
    done = await rotation.rotate_data()
    assert done.damaged == ("acme (a001)",)
    assert done.done == 2
    await database.execute("UPDATE vault_connections SET facts = ? WHERE account = 'a001'", row[0])
    assert await all_open(vault, connections)
    assert (await rotation.rotate_data()).damaged == ()
    assert await all_open(vault, connections)


async def test_with_the_wrong_key_nothing_is_rotated_or_overwritten(
    vault: Vault, database: Database, leases: Leases, tmp_path: Path
) -> None:
    await fill(vault, 3)
    before = await database.fetch_all("SELECT * FROM vault_data_keys, vault_connections ORDER BY 1, 2, 8")
    wrong = LocalKeys(tmp_path / "wrong.key", place="file", environ={}, warn=lambda text: None)
    rotation = Rotation(database, wrong, leases)
    for attempt in (rotation.rotate_keys(), rotation.rotate_data()):
        with pytest.raises(WrongKeyError):
            await attempt
    assert await database.fetch_all("SELECT * FROM vault_data_keys, vault_connections ORDER BY 1, 2, 8") == before


async def test_one_process_rotates_at_a_time_and_one_that_lost_its_turn_stops(
    vault: Vault, database: Database, keys: LocalKeys, leases: Leases
) -> None:
    await fill(vault, 120, ["local"])

    class Slow(Leases):
        """The lease is over before the first batch is; another process takes it."""

        async def left(self, lease: leases_module.Lease) -> float:
            await super().release(lease)
            assert await super().acquire(LEASE, seconds=LEASE_SECONDS) is not None
            return 0.0

    with pytest.raises(TransientError, match="taken over"):
        await Rotation(database, keys, Slow(database)).rotate_data()


async def test_the_policy_asks_for_a_rotation_only_when_one_is_due(
    vault: Vault, database: Database, rotation: Rotation
) -> None:
    assert not await rotation.due(0)
    await fill(vault, 2)
    assert not await rotation.due(3600)
    await database.execute("UPDATE vault_data_keys SET created_at = ? WHERE tenant = 'globex'", time.time() - 7200)
    assert await rotation.due(3600)
    await rotation.rotate_data()
    assert not await rotation.due(3600)


async def test_an_empty_vault_is_rotated_without_a_word(database: Database, keys: LocalKeys) -> None:
    await open_vault(database, keys)
    assert await Rotation(database, keys, await open_leases(database)).rotate_data() == Rotated("data")
