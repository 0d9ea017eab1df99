"""Where credentials live: encrypted in the database, opened one field at a time, for one request at a time.

Each field is sealed by itself (`sealing`). Its tag also covers tenant, connector, account, field names, row version and
the row's facts: a field that is moved, swapped, rolled back, left alone or given other facts does not open. Nothing
decrypted is kept.
"""

import builtins
import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import field
from types import MappingProxyType

from clew.auth import sealing
from clew.auth.advice import damaged
from clew.auth.facts import Facts
from clew.auth.keys import Keys
from clew.core.connection import Connection
from clew.core.database import Database, Row
from clew.core.errors import ClewError, OutcomeUnknownError, TransientError
from clew.core.secret import Secret
from clew.core.values import dataclass

STEPS = (
    *sealing.STEPS,
    """CREATE TABLE vault_connections (
        tenant TEXT NOT NULL, connector TEXT NOT NULL, account TEXT NOT NULL,
        version BIGINT NOT NULL, fence BIGINT NOT NULL, facts TEXT NOT NULL, sealed TEXT NOT NULL,
        created_at DOUBLE PRECISION NOT NULL, updated_at DOUBLE PRECISION NOT NULL,
        PRIMARY KEY (tenant, connector, account))""",
    *sealing.LATER_STEPS,
)
_READ = "SELECT version, fence, facts, sealed FROM vault_connections WHERE tenant = ? AND connector = ? AND account = ?"
_DELETE = """DELETE FROM vault_connections
    WHERE tenant = ? AND connector = ? AND account = ? AND version = COALESCE(?, version)"""
_WRITE = """INSERT INTO vault_connections
    (tenant, connector, account, version, fence, facts, sealed, created_at, updated_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant, connector, account) DO UPDATE SET
    version = excluded.version,
    fence = excluded.fence, facts = excluded.facts, sealed = excluded.sealed, updated_at = excluded.updated_at"""


_SEEN = 1024
"""Connections whose rows are remembered as they were read last."""


class StaleRecordError(ClewError):
    """Somebody else has changed the record since it was read; nothing was written."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A stored connection without its secrets, readable without any key (so a forged row shows here as it is)."""

    connection: Connection
    version: int
    facts: Facts
    created_at: float
    updated_at: float


@dataclass(frozen=True, slots=True)
class Record:
    """One stored credential as it was read; its fields are still sealed."""

    connection: Connection
    version: int
    fence: int
    facts: Facts
    _sealed: Mapping[str, str] = field(repr=False)
    _data_key: sealing.DataKey = field(repr=False)
    _bound: bytes = field(repr=False)

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the stored fields."""
        return tuple(self._sealed)

    def secret(self, name: str) -> Secret | None:
        """Open one field; None when it is not stored. Raises `AuthRevokedError` when the record was altered."""
        if name not in self._sealed:
            self._open(next(iter(self._sealed)))  # each tag covers the names of all: it tells whether one was removed
            return None
        return self._open(name)

    def _open(self, name: str) -> Secret:
        try:
            return Secret(self._data_key.open(self._sealed[name], self._bound + name.encode()))
        except ValueError:
            raise damaged(self.connection, f"its {name} does not open", self.facts.kind) from None


@dataclass(slots=True)
class _Seen:
    """A row as it was read, what was made of it, and the state of the store in which it was last the same."""

    row: Row
    record: Record
    state: int | None = None


class Vault:
    """The store of credentials, over any `Database` and any `Keys`. Make one with `open_vault`."""

    def __init__(self, database: Database, keys: Keys) -> None:
        self._database = database
        self._data_keys = sealing.DataKeys(database, keys)
        self._seen: dict[Connection, _Seen] = {}
        self._listed: dict[tuple[str, str | None], tuple[int, tuple[Summary, ...]]] = {}

    async def get(self, connection: Connection) -> Record | None:
        """Read one record with its fields still sealed; None when there is none.

        Raises `AuthRevokedError` naming the connection when the row is damaged, `WrongKeyError` without the right key.
        """
        state, seen = self._database.state(), self._seen.get(connection)
        if seen is not None and state is not None and seen.state == state:
            return seen.record
        row = await self._database.fetch_one(_READ, *_key(connection))
        if row is None:
            return None
        if seen is not None and seen.row == row:
            seen.state = state
            return seen.record
        record = await self._record(connection, row)
        if record is None:
            # A rotation may have sealed the row again and removed its old data key since it was read.
            again = await self._database.fetch_one(_READ, *_key(connection))
            record = await self._record(connection, again) if again is not None and again != row else None
            if record is None and again is not None:
                raise damaged(connection, "it was sealed for another tenant", "")
        return record

    async def _record(self, connection: Connection, row: Row) -> Record | None:
        """None when the tenant has no such data key."""
        version, fence, text, content = row
        try:
            facts, sealed, data_key_id, bound = _parsed(connection, version, text, content)
        except (ValueError, TypeError):
            raise damaged(connection, "its row cannot be read", "") from None
        data_key = await self._data_keys.get(connection.tenant, data_key_id)
        if data_key is None:
            return None
        record = Record(connection, version, fence, facts, sealed, data_key, bound)
        # The same row is read by every call. What was made of it is still sealed, so it may be remembered.
        if len(self._seen) >= _SEEN:
            self._seen.clear()
        self._seen[connection] = _Seen(row, record)
        return record

    async def put(
        self,
        connection: Connection,
        fields: Mapping[str, Secret],
        facts: Facts,
        *,
        expect_version: int | None = None,
        fence: int | None = None,
    ) -> int:
        """Store secret fields and facts as a whole, durable when this returns, and return the new version.

        With `expect_version` (0: there must be none) it happens only while the row still has that version and, with
        `fence`, no holder of a later lease has written; otherwise `StaleRecordError`. Without it the row is replaced.
        """
        if not fields:
            raise ValueError("a record without secrets")
        facts_text = facts.encode()
        try:
            version = None
            while version is None:
                version = await self._put(connection, fields, facts_text, expect_version, fence)
        except OutcomeUnknownError as error:
            if expect_version is None:
                raise
            # Compare-and-swap: if the write has happened, a second one is refused as stale and harms nothing.
            raise TransientError(error.message) from error
        return version

    async def _put(
        self,
        connection: Connection,
        fields: Mapping[str, Secret],
        text: str,
        expect_version: int | None,
        fence: int | None,
    ) -> int | None:
        """None when the data key has been replaced meanwhile: nothing may be sealed with the old one any more."""
        data_key = await self._data_keys.current(connection.tenant)
        async with self._database.transaction() as tx:
            if await sealing.newest(tx, connection.tenant) != data_key.id:
                return None
            row = await tx.fetch_one(_READ, *_key(connection))
            version, last_fence = row[:2] if row else (0, 0)
            if expect_version not in (None, version) or (fence is not None and fence < last_fence):
                raise StaleRecordError(f"{connection} was changed by somebody else.")
            now = time.time()
            # A first version is the clock's microseconds: a connection deleted and made again never repeats one.
            new_version = version + 1 if row else int(now * 1e6)
            bound = binding_of(connection, new_version, text, fields)
            sealed = {name: data_key.seal(secret.reveal(), bound + name.encode()) for name, secret in fields.items()}
            await tx.execute(
                _WRITE,
                *_key(connection),
                new_version,
                max(last_fence, fence or 0),
                text,
                json.dumps(sealed, sort_keys=True),
                now,
                now,
            )
        return new_version

    async def amend(
        self,
        record: Record,
        facts: Facts,
        fields: Mapping[str, Secret | None] | None = None,
        *,
        fence: int | None = None,
    ) -> int:
        """Write a record again with other facts and some fields replaced (None removes one), if it is still current."""
        merged = {name: record.secret(name) for name in record.fields} | dict(fields or {})
        kept = {name: secret for name, secret in merged.items() if secret is not None}
        return await self.put(record.connection, kept, facts, expect_version=record.version, fence=fence)

    async def delete(self, connection: Connection, *, expect_version: int | None = None) -> bool:
        """Remove a record, with `expect_version` only while it has that version; False when there was none."""
        return bool(await self._database.execute(_DELETE, *_key(connection), expect_version))

    async def tenants(self) -> builtins.list[str]:
        """The tenants that have anything stored; needs no key."""
        found: builtins.list[str] = []
        while row := await self._database.fetch_one(
            "SELECT MIN(tenant) FROM vault_connections WHERE tenant > ?", found[-1] if found else ""
        ):
            if row[0] is None:
                break
            found.append(row[0])
        return found

    async def list(self, *, tenant: str, connector: str | None = None) -> builtins.list[Summary]:
        """The stored connections of a tenant, by connector and account; needs no key."""
        state, listed = self._database.state(), self._listed.get((tenant, connector))
        if listed is not None and state is not None and listed[0] == state:
            return [*listed[1]]
        rows = await self._database.fetch_all(
            "SELECT connector, account, version, facts, created_at, updated_at FROM vault_connections "
            "WHERE tenant = ? AND connector = COALESCE(?, connector) ORDER BY connector, account",
            tenant,
            connector,
        )
        found = [
            Summary(Connection(tenant, name, account), version, _readable(text), created_at, updated_at)
            for name, account, version, text, created_at, updated_at in rows
        ]
        if state is not None:
            if len(self._listed) >= _SEEN:
                self._listed.clear()
            self._listed[tenant, connector] = state, tuple(found)
        return found


async def open_vault(database: Database, keys: Keys) -> Vault:
    """Make the vault's tables when they are missing and return the vault; touches no key until one is needed."""
    await database.migrate("vault", STEPS)
    return Vault(database, keys)


def _key(connection: Connection) -> tuple[str, str, str]:
    return connection.tenant, connection.connector, connection.account


def _parsed(
    connection: Connection, version: int, text: str, content: str
) -> tuple[Facts, Mapping[str, str], bytes, bytes]:
    """A row as it is read: facts, sealed fields, data-key id and binding."""
    sealed: dict[str, str] = dict(json.loads(content))
    (data_key_id,) = {sealing.key_id_of(value) for value in sealed.values()}
    return Facts.decode(text), MappingProxyType(sealed), data_key_id, binding_of(connection, version, text, sealed)


def binding_of(connection: Connection, version: int, facts: str, fields: Iterable[str]) -> bytes:
    """What a field's tag covers besides the field; a JSON list ends itself, so the field's name can follow it."""
    digest = hashlib.sha256(facts.encode()).hexdigest()
    return json.dumps(["clew vault", *_key(connection), version, digest, sorted(fields)]).encode()


def _readable(text: str) -> Facts:
    try:
        return Facts.decode(text)
    except (ValueError, TypeError):
        return Facts(kind="damaged", obtained_at=0.0)
