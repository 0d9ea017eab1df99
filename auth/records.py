"""Encryption of what is kept about calls (results, deliveries, approvals), under the vault's keys.

Such records have a data key of their own per tenant. Rotation makes a newer one and keeps the former for as long as
anything sealed with it may be read: unlike credentials, records are written once and end by themselves.
"""

import time
from collections.abc import Callable

from clew.auth.sealing import DataKey, DataKeys, key_id_in
from clew.core.errors import InternalError

_MARK = "\x1frecords"
KEPT = 400 * 86400.0
"""Seconds for which a data key of records is kept: longer than any retention."""
_REMEMBERED = 300.0
"""Seconds for which the newest data key is not looked up again; one that a rotation has replaced still opens."""


def tenant_of_records(tenant: str) -> str:
    """The name under which a tenant's data keys for records are kept. No tenant has such a name."""
    return tenant + _MARK


def is_of_records(tenant: str) -> bool:
    """Is it the name of data keys for records?"""
    return tenant.endswith(_MARK)


class RecordSealer:
    """The `Sealer` of core, over the vault's data keys."""

    def __init__(self, data_keys: DataKeys, clock: Callable[[], float] = time.monotonic) -> None:
        self._data_keys = data_keys
        self._clock = clock
        self._current: dict[str, tuple[float, DataKey]] = {}

    async def seal(self, data: bytes, *, tenant: str, label: str) -> bytes:
        """Encrypt for one tenant; it opens only under the same label."""
        until, data_key = self._current.get(tenant, (0.0, None))
        if data_key is None or self._clock() > until:
            data_key = await self._data_keys.current(tenant_of_records(tenant))
            self._current[tenant] = self._clock() + _REMEMBERED, data_key
        return data_key.seal_bytes(data, _bound(tenant, label))

    async def open(self, sealed: bytes, *, tenant: str, label: str) -> bytes:
        """Decrypt. Raises `InternalError`, without a word of the content."""
        what = label.partition(" ")[0]
        try:
            data_key = await self._data_keys.get(tenant_of_records(tenant), key_id_in(sealed))
            if data_key is None:
                raise InternalError(f"the key of this {what} is gone from the vault.")
            return data_key.open_bytes(sealed, _bound(tenant, label))
        except ValueError:
            raise InternalError(f"this {what} was altered in the database.") from None


def _bound(tenant: str, label: str) -> bytes:
    return f"clew record\x00{tenant}\x00{label}".encode()
