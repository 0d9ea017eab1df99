"""Rotation: new keys for a vault that stays in use, resumable after a crash at any point.

Key rotation wraps every data key again with a newer key-encryption key; no record is touched. Data rotation makes a
newer data key for each tenant, seals every record again (row by row, compare-and-swap, the row's version unchanged, so
a refresh under way is not disturbed) and removes the former data key once nothing is sealed with it.
A run that finds the rest of an interrupted one finishes that instead of starting anew.
"""

import asyncio
import json
import math
import random
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from clew.auth import sealing
from clew.auth.facts import Facts
from clew.auth.keys import Keys, WrongKeyError
from clew.auth.leases import Lease, Leases
from clew.auth.records import KEPT, is_of_records
from clew.auth.vault import binding_of
from clew.core.connection import Connection
from clew.core.database import Database, Row
from clew.core.errors import TransientError
from clew.core.values import dataclass

LEASE = "vault rotation"
LEASE_SECONDS = 30.0
_BATCH = 50


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation did, or has done so far. `what` is `keys` or `data`.

    `total` counts data keys or records, `done` those that are now under the new key, `resumed` says that an interrupted
    rotation was finished, `damaged` names records that do not open: they stay, with the data key they may need.
    """

    what: str
    done: int = 0
    total: int = 0
    resumed: bool = False
    key_id: str | None = None
    damaged: tuple[str, ...] = ()


Report = Callable[[Rotated], None]


def _silent(progress: Rotated) -> None:
    pass


class Rotation:
    """Rotates one vault. Tables are the vault's; `leases` keeps two processes from doing the same work."""

    def __init__(self, database: Database, keys: Keys, leases: Leases, *, report: Report = _silent) -> None:
        self._database = database
        self._keys = keys
        self._data_keys = sealing.DataKeys(database, keys)
        self._leases = leases
        self._report = report
        self._lease: Lease | None = None

    async def due(self, seconds: float) -> bool:
        """Whether some tenant's newest data key is older than this many seconds."""
        row = await self._database.fetch_one(
            "SELECT MIN(newest) FROM (SELECT MAX(created_at) AS newest FROM vault_data_keys GROUP BY tenant) AS ages"
        )
        return row is not None and row[0] is not None and time.time() - row[0] > seconds

    async def rotate_keys(self) -> Rotated:
        """Wrap every data key with a newer key; both open what they wrapped as long as both are there.

        Raises `ConfigurationError` when only the operator can put a new key, `TransientError` when another process
        rotates, `WrongKeyError` when a data key does not open (it stays as it is; the others are done).
        """
        async with self._alone():
            started = time.time()
            target = await self._keys.choose()
            rest = await self._database.fetch_all("SELECT 1 FROM vault_data_keys WHERE key_id <> ?", target.key_id)
            if not rest:
                target = await self._keys.renew()
            progress = Rotated("keys", resumed=bool(rest), key_id=target.key_id)
            failed: dict[tuple[str, str], WrongKeyError] = {}
            while rows := [
                row for row in await self._wrapped_before(target.key_id, started, bool(rest)) if row[:2] not in failed
            ]:
                for tenant, data_key_id, key_id, wrapped in rows:
                    context = sealing.context_of(tenant, bytes.fromhex(data_key_id))
                    try:
                        data_key = await (await self._keys.find(key_id)).unwrap(wrapped, context=context)
                    except WrongKeyError as error:
                        failed[tenant, data_key_id] = error
                        continue
                    await self._database.execute(
                        "UPDATE vault_data_keys SET key_id = ?, wrapped = ?, wrapped_at = ? "
                        "WHERE tenant = ? AND data_key_id = ? AND wrapped = ?",
                        target.key_id,
                        await target.wrap(data_key, context=context),
                        max(time.time(), started),
                        tenant,
                        data_key_id,
                        wrapped,
                    )
                    progress = replace(progress, done=progress.done + 1, total=max(progress.total, len(rows)))
                    self._report(progress)
                await self._stay_alone()
            for reason in failed.values():
                raise reason
        return progress

    async def _wrapped_before(self, key_id: str, started: float, resumed: bool) -> list[Row]:
        """The data keys that are still to do; a cloud's key keeps its id while what is behind it changes."""
        return await self._database.fetch_all(
            "SELECT tenant, data_key_id, key_id, wrapped FROM vault_data_keys "
            "WHERE key_id <> ? OR COALESCE(wrapped_at, 0) < ? ORDER BY tenant, created_at",
            key_id,
            0.0 if resumed else started,
        )

    async def rotate_data(self) -> Rotated:
        """Seal every record of every tenant with a newer data key."""
        async with self._alone():
            count = await self._database.fetch_one("SELECT COUNT(*) FROM vault_connections")
            progress = Rotated("data", total=int(count[0]) if count else 0)
            tenants = await self._database.fetch_all("SELECT DISTINCT tenant FROM vault_data_keys ORDER BY tenant")
            for (tenant,) in tenants:
                progress = await self._rotate_tenant(tenant, progress)
        return progress

    async def _rotate_tenant(self, tenant: str, before: Rotated) -> Rotated:
        former = await sealing.newest(self._database, tenant)
        assert former is not None
        progress, resumed = replace(before, damaged=()), False
        if await self._has_several(tenant) and not is_of_records(tenant):
            progress = await self._seal_all(tenant, await self._data_keys.current(tenant), progress)
            resumed = progress.done > before.done
        if not resumed:
            progress = replace(progress, damaged=())
            progress = await self._seal_all(tenant, await self._data_keys.renew(tenant, former), progress)
        if not progress.damaged:
            await self._remove_former(tenant)
        return replace(progress, resumed=before.resumed or resumed, damaged=before.damaged + progress.damaged)

    async def _has_several(self, tenant: str) -> bool:
        row = await self._database.fetch_one("SELECT COUNT(*) FROM vault_data_keys WHERE tenant = ?", tenant)
        return row is not None and row[0] > 1

    async def _seal_all(self, tenant: str, data_key: sealing.DataKey, progress: Rotated) -> Rotated:
        """Seal what is not sealed with this data key, in batches that each keep the vault busy for milliseconds."""
        after = ("", "")
        while True:
            rows = await self._database.fetch_all(
                "SELECT connector, account, version, facts, sealed FROM vault_connections "
                "WHERE tenant = ? AND (connector, account) > (?, ?) ORDER BY connector, account LIMIT ?",
                tenant,
                *after,
                _BATCH,
            )
            if not rows:
                return progress
            changes: list[tuple[Row, str]] = []
            for row in rows:
                connection = Connection(tenant, row[0], row[1])
                try:
                    sealed = await self._sealed_again(connection, row, data_key)
                except (ValueError, TypeError):
                    progress = replace(progress, damaged=(*progress.damaged, str(connection)))
                else:
                    changes += [(row, sealed)] if sealed is not None else []
            await self._store(tenant, changes)
            after = (rows[-1][0], rows[-1][1])
            progress = replace(progress, done=progress.done + len(changes))
            self._report(progress)
            await self._stay_alone()

    async def _sealed_again(self, connection: Connection, row: Row, data_key: sealing.DataKey) -> str | None:
        """The fields under the new data key, None when they are already. Raises `ValueError` for a damaged row."""
        _, _, version, text, content = row
        Facts.decode(text)
        fields: dict[str, str] = dict(json.loads(content))
        (data_key_id,) = {sealing.key_id_of(value) for value in fields.values()}
        if data_key_id == data_key.id:
            return None
        former = await self._data_keys.get(connection.tenant, data_key_id)
        if former is None:
            raise ValueError("sealed for another tenant")
        bound = binding_of(connection, version, text, fields)
        sealed = {
            name: data_key.seal(former.open(value, bound + name.encode()), bound + name.encode())
            for name, value in fields.items()
        }
        return json.dumps(sealed, sort_keys=True)

    async def _store(self, tenant: str, changes: list[tuple[Row, str]]) -> None:
        """Whoever wrote a row meanwhile has sealed it with the new data key already, so his stays."""
        if not changes:
            return
        async with self._database.transaction() as tx:
            for (connector, account, version, _, content), sealed in changes:
                await tx.execute(
                    "UPDATE vault_connections SET sealed = ? "
                    "WHERE tenant = ? AND connector = ? AND account = ? AND version = ? AND sealed = ?",
                    sealed,
                    tenant,
                    connector,
                    account,
                    version,
                    content,
                )

    async def _remove_former(self, tenant: str) -> None:
        """Remove data keys that seal nothing any more; no writer can use one meanwhile."""
        async with self._database.transaction() as tx:
            present = await sealing.newest(tx, tenant)
            before = time.time() - KEPT if is_of_records(tenant) else math.inf
            for (data_key_id,) in await tx.fetch_all(
                "SELECT data_key_id FROM vault_data_keys WHERE tenant = ? AND created_at < ?", tenant, before
            ):
                header = sealing.header_of(bytes.fromhex(data_key_id))
                used = await tx.fetch_one(
                    "SELECT 1 FROM vault_connections WHERE tenant = ? AND sealed LIKE ? LIMIT 1", tenant, f"%{header}%"
                )
                if used is None and bytes.fromhex(data_key_id) != present:
                    await tx.execute(
                        "DELETE FROM vault_data_keys WHERE tenant = ? AND data_key_id = ?", tenant, data_key_id
                    )

    @asynccontextmanager
    async def _alone(self) -> AsyncGenerator[None]:
        """Hold the lease; wait for one whose holder has crashed, but not for one who works on."""
        give_up_at = time.monotonic() + LEASE_SECONDS + 5
        while (lease := await self._leases.acquire(LEASE, seconds=LEASE_SECONDS)) is None:
            if time.monotonic() > give_up_at:
                raise TransientError("Another process is rotating this vault's keys at the moment.")
            await asyncio.sleep(random.uniform(0.1, 0.3))  # noqa: S311
        self._lease = lease
        try:
            yield
        finally:
            await self._leases.release(self._lease)

    async def _stay_alone(self) -> None:
        assert self._lease is not None
        if await self._leases.left(self._lease) > LEASE_SECONDS / 2:
            return
        await self._leases.release(self._lease)
        lease = await self._leases.acquire(LEASE, seconds=LEASE_SECONDS)
        if lease is None:
            raise TransientError("Another process has taken over the rotation of this vault's keys.")
        self._lease = lease
