"""Records of calls are sealed per tenant and label, and outlive the rotation of the vault's keys."""

import time
from pathlib import Path

import pytest

from clew.auth.keys import LocalKeys
from clew.auth.leases import Leases
from clew.auth.records import KEPT, RecordSealer
from clew.auth.rotation import Rotation
from clew.auth.sealing import DataKeys
from clew.auth.vault import Vault
from clew.core.database import Database
from clew.core.errors import InternalError

pytestmark = pytest.mark.anyio


@pytest.fixture
def keys(tmp_path: Path) -> LocalKeys:
    return LocalKeys(tmp_path / "master.key", place="file", environ={}, warn=lambda text: None)


@pytest.fixture
def sealer(vault: Vault, database: Database, keys: LocalKeys) -> RecordSealer:
    return RecordSealer(DataKeys(database, keys))


async def test_a_record_opens_only_for_its_tenant_and_under_its_label(sealer: RecordSealer) -> None:
    sealed = await sealer.seal(b"pay 100", tenant="local", label="result 7")
    assert b"100" not in sealed
    assert await sealer.open(sealed, tenant="local", label="result 7") == b"pay 100"
    await sealer.seal(b"other", tenant="globex", label="result 7")
    for tenant, label in (("globex", "result 7"), ("local", "result 8")):
        with pytest.raises(InternalError, match=r"this result was altered|key of this result is gone"):
            await sealer.open(sealed, tenant=tenant, label=label)


@pytest.mark.parametrize("damage", [b"", b"\x01", b"\x02" * 40])
async def test_a_damaged_record_is_named_and_not_shown(sealer: RecordSealer, damage: bytes) -> None:
    with pytest.raises(InternalError, match="this approval was altered"):
        await sealer.open(damage, tenant="local", label="approval 1")


async def test_rotated_keys_open_old_records_and_seal_new_ones(
    sealer: RecordSealer, database: Database, keys: LocalKeys, leases: Leases
) -> None:
    old = await sealer.seal(b"first", tenant="local", label="result 1")
    rotation = Rotation(database, keys, leases)
    for _ in range(2):
        await rotation.rotate_data()
    await rotation.rotate_keys()
    later = RecordSealer(DataKeys(database, keys))
    new = await later.seal(b"second", tenant="local", label="result 2")
    assert new[1:9] != old[1:9]
    assert await later.open(old, tenant="local", label="result 1") == b"first"
    assert await sealer.open(new, tenant="local", label="result 2") == b"second"


async def test_a_key_that_no_kept_record_can_need_is_removed(
    sealer: RecordSealer, database: Database, keys: LocalKeys, leases: Leases
) -> None:
    old = await sealer.seal(b"first", tenant="local", label="result 1")
    await database.execute("UPDATE vault_data_keys SET created_at = ?", time.time() - KEPT - 1)
    await Rotation(database, keys, leases).rotate_data()
    with pytest.raises(InternalError, match="key of this result is gone"):
        await RecordSealer(DataKeys(database, keys)).open(old, tenant="local", label="result 1")


async def test_the_newest_key_is_looked_up_again_after_a_while(
    vault: Vault, database: Database, keys: LocalKeys, leases: Leases
) -> None:
    now = [0.0]
    sealer = RecordSealer(DataKeys(database, keys), clock=lambda: now[0])
    first = await sealer.seal(b"1", tenant="local", label="result 1")
    await Rotation(database, keys, leases).rotate_data()
    assert (await sealer.seal(b"2", tenant="local", label="result 2"))[1:9] == first[1:9]
    now[0] = 301.0
    assert (await sealer.seal(b"3", tenant="local", label="result 3"))[1:9] != first[1:9]
