"""Data keys: one random key per tenant, wrapped by a key-encryption key, that seals and opens single fields.

A sealed field is base64 of one byte of format, 8 bytes of data-key id, 12 of nonce, the ciphertext and 16 of tag.
"""

import base64
import binascii
import os
import time
from dataclasses import field
from typing import TYPE_CHECKING

from clew.auth.keys import Keys, WrongKeyError
from clew.core.database import Database, Transaction
from clew.core.values import dataclass

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

STEPS = (
    """CREATE TABLE vault_data_keys (
        tenant TEXT NOT NULL, data_key_id TEXT NOT NULL, key_id TEXT NOT NULL, wrapped BLOB NOT NULL,
        created_at DOUBLE PRECISION NOT NULL, PRIMARY KEY (tenant, data_key_id))""",
)
LATER_STEPS = ("ALTER TABLE vault_data_keys ADD COLUMN wrapped_at DOUBLE PRECISION",)
_FORMAT = b"\x01"
_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class DataKey:
    """A tenant's unwrapped data key."""

    id: bytes
    _cipher: "AESGCM" = field(repr=False)

    def seal(self, text: str, bound: bytes) -> str:
        """Seal `text`; it opens only with the same `bound`."""
        return base64.b64encode(self.seal_bytes(text.encode(), bound)).decode()

    def seal_bytes(self, data: bytes, bound: bytes) -> bytes:
        """Seal `data` without the base64."""
        nonce = os.urandom(12)
        return _FORMAT + self.id + nonce + self._cipher.encrypt(nonce, data, bound)

    def open(self, sealed: str, bound: bytes) -> str:
        """Return the text. Raises `ValueError` when anything was altered."""
        return self.open_bytes(binascii.a2b_base64(sealed, strict_mode=True), bound).decode()

    def open_bytes(self, content: bytes, bound: bytes) -> bytes:
        """Return what was sealed with `seal_bytes`. Raises `ValueError` when anything was altered."""
        if content[:1] != _FORMAT or content[1:9] != self.id:
            raise ValueError("sealed with another data key")
        try:
            return self._cipher.decrypt(content[9:21], content[21:], bound)
        except Exception as error:
            from cryptography.exceptions import InvalidTag  # here: every call opens a field, and few fail

            if not isinstance(error, InvalidTag):
                raise
            raise ValueError("the authentication tag does not fit") from None


def header_of(data_key_id: bytes) -> str:
    """How every field sealed with this data key begins."""
    return base64.b64encode(_FORMAT + data_key_id).decode()


def key_id_of(sealed: str) -> bytes:
    """The data-key id in a sealed field's header. Raises `ValueError` when there is no such header."""
    return key_id_in(base64.b64decode(sealed[:12], validate=True))


def key_id_in(sealed: bytes) -> bytes:
    """The same for sealed bytes."""
    header = sealed[:9]
    if len(header) != 9 or header[:1] != _FORMAT:
        raise ValueError("not in the vault's format")
    return header[1:]


class DataKeys:
    """The data keys of all tenants; unwrapped ones stay in memory (the secrets they open never do)."""

    def __init__(self, database: Database, keys: Keys) -> None:
        self._database = database
        self._keys = keys
        self._unwrapped: dict[tuple[str, bytes], DataKey] = {}

    async def get(self, tenant: str, data_key_id: bytes) -> DataKey | None:
        """One data key; None when the tenant has none of this id. `WrongKeyError` when it cannot be unwrapped."""
        known = self._unwrapped.get((tenant, data_key_id))
        if known is not None:
            return known
        row = await self._database.fetch_one(
            "SELECT key_id, wrapped FROM vault_data_keys WHERE tenant = ? AND data_key_id = ?",
            tenant,
            data_key_id.hex(),
        )
        if row is None:
            return None
        provider = await self._keys.find(row[0])
        return self._remember(
            tenant, data_key_id, await provider.unwrap(row[1], context=context_of(tenant, data_key_id))
        )

    async def current(self, tenant: str) -> DataKey:
        """The tenant's newest data key, made when it has none."""
        return await self._existing(tenant, await newest(self._database, tenant) or await self._create(tenant, None))

    async def renew(self, tenant: str, former: bytes) -> DataKey:
        """A data key newer than `former`: one that somebody has made meanwhile, else a new one."""
        return await self._existing(tenant, await self._create(tenant, former))

    async def _existing(self, tenant: str, data_key_id: bytes) -> DataKey:
        data_key = await self.get(tenant, data_key_id)
        if data_key is None:
            raise WrongKeyError(
                f"The data key of tenant {tenant} was removed from the vault: restore it from a backup."
            )
        return data_key

    async def _create(self, tenant: str, former: bytes | None) -> bytes:
        """Make a data key. It is wrapped before other writers are kept out, for that may be a call to another machine;
        two processes still never make two, and a rotation of the wrapping key is not missed."""
        while True:
            data_key_id, data_key = os.urandom(8), os.urandom(32)
            present = await _wrapping_key(self._database)
            provider = await (self._keys.choose() if present is None else self._keys.find(present))
            wrapped = await provider.wrap(data_key, context=context_of(tenant, data_key_id))
            async with self._database.transaction() as tx:
                existing = await newest(tx, tenant)
                if existing is not None and existing != former:
                    return existing
                if await _wrapping_key(tx) != present:
                    continue
                row = await tx.fetch_one("SELECT MAX(created_at) FROM vault_data_keys WHERE tenant = ?", tenant)
                # Clocks of machines differ; the newest key must be the newest for all.
                now = max(time.time(), (row[0] or 0.0) + 0.001 if row else 0.0)
                await tx.execute(
                    "INSERT INTO vault_data_keys (tenant, data_key_id, key_id, wrapped, created_at, wrapped_at) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    tenant,
                    data_key_id.hex(),
                    provider.key_id,
                    wrapped,
                    now,
                    now,
                )
            return data_key_id

    def _remember(self, tenant: str, data_key_id: bytes, key: bytes) -> DataKey:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if len(self._unwrapped) >= _REMEMBERED:
            self._unwrapped.clear()
        return self._unwrapped.setdefault((tenant, data_key_id), DataKey(data_key_id, AESGCM(key)))


async def newest(at: Transaction, tenant: str) -> bytes | None:
    """The id of the tenant's newest data key."""
    row = await at.fetch_one(
        "SELECT data_key_id FROM vault_data_keys WHERE tenant = ? ORDER BY created_at DESC LIMIT 1", tenant
    )
    return None if row is None else bytes.fromhex(row[0])


async def _wrapping_key(at: Transaction) -> str | None:
    """The key that wraps the vault's data keys so far: a new one beside it would be one more to lose."""
    row = await at.fetch_one("SELECT key_id FROM vault_data_keys ORDER BY created_at DESC LIMIT 1")
    return None if row is None else str(row[0])


def context_of(tenant: str, data_key_id: bytes) -> bytes:
    """What a wrapped data key is bound to."""
    return b"clew data key\x00" + data_key_id + tenant.encode()
