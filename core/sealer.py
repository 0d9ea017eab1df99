"""Encryption at rest for what is kept about calls: results, deliveries, approvals. Core owns the words, auth the
keys."""

from typing import Protocol


class Sealer(Protocol):
    """Seals bytes for one tenant. `label` says what they are and is bound to them: nothing opens in another's place."""

    async def seal(self, data: bytes, *, tenant: str, label: str) -> bytes:
        """Encrypt."""
        ...

    async def open(self, sealed: bytes, *, tenant: str, label: str) -> bytes:
        """Decrypt. Raises `InternalError` for what was altered, was sealed as something else, or whose key is gone."""
        ...
