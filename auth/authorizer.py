"""Puts one connection's stored credential on requests: read, opened, applied, forgotten; renewed when it ends."""

import asyncio
import contextlib
import math
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from clew.auth.advice import connect_command, refused
from clew.auth.certificates import EXTENSION
from clew.auth.clients import bound_identity
from clew.auth.origins import Place
from clew.auth.refresh import Refresher
from clew.auth.schemes import AnyScheme, OAuth2, TokenScheme
from clew.auth.vault import Record, StaleRecordError, Vault
from clew.core.connection import Connection
from clew.core.credentials import Credential, Scheme
from clew.core.errors import AuthRevokedError, CallError, ConfigurationError, InternalError, Retry, TransientError
from clew.core.secret import Secret

if TYPE_CHECKING:
    import httpx

EARLY_SECONDS = 60.0
"""How long before its end a token is renewed where the scheme does not say."""

EARLY_PATIENCE_SECONDS = 2.0
"""How long a call waits for an early refresh before it uses the token that is still good."""

YOUNG_SECONDS = 5.0
"""A token that was refreshed less than this ago and is refused again is not renewed again: loops lock accounts."""


class VaultAuthorizer:
    """The `Authorizer` of one connection over the vault. Nothing decrypted outlives a single `apply`."""

    def __init__(
        self,
        connection: Connection,
        schemes: Sequence[Scheme],
        vault: Vault,
        refresher: Refresher,
        *,
        base_url: str,
        place: Place | None = None,
    ) -> None:
        """`base_url` is the root address of this connection, `place` what it was made from, to be checked each time."""
        self._connection = connection
        self._schemes = [scheme for scheme in schemes if isinstance(scheme, AnyScheme)]
        self._vault = vault
        self._refresher = refresher
        self._base_url = base_url
        self._place = place
        self._judged: tuple[Record, AnyScheme, float] | None = None
        self._proven: tuple[str, str | None] | None = None
        self._early = random.uniform(1.0, 1.5)  # noqa: S311

    async def apply(self, request: "httpx.Request") -> str:
        """Put the credential on `request`; the answer is the generation of the secrets it came from."""
        try:
            record, scheme = await self._ready()
            self._note_proof(request, scheme)
            scheme.apply(request, lambda name: _opened(record, name))
            if isinstance(scheme, TokenScheme) and scheme.certificate_bound:
                request.extensions[EXTENSION] = await bound_identity(self._vault, record, scheme)
            return record.facts.generation
        except ConfigurationError as error:
            raise _operator_fault(error) from error

    async def credential(self) -> Credential:
        """The credential itself, as fresh as `apply` would use it, for a transport that has no requests."""
        try:
            record, scheme = await self._ready()
            names = ("access_token",) if isinstance(scheme, TokenScheme) else scheme.fields
            fields = {name: _opened(record, name) for name in names}
            return Credential(record.facts.generation, record.facts.kind, fields)
        except ConfigurationError as error:
            raise _operator_fault(error) from error

    async def renew(self, generation: str) -> None:
        """Replace the refused secrets; those that only a person can replace end in `AuthRevokedError`."""
        try:
            record, scheme = await self._read()
            if record.facts.generation != generation or self._nonce_was_missing(scheme):
                return
            if self._refresher.renews(record, scheme):
                _check_age(record)
                await self._refresher.replace(self._connection, generation, scheme, base_url=self._base_url)
            else:
                raise await self._refuse(record)
        except ConfigurationError as error:
            raise _operator_fault(error) from error

    def _note_proof(self, request: "httpx.Request", scheme: AnyScheme) -> None:
        if isinstance(scheme, TokenScheme) and scheme.dpop:
            from clew.auth.dpop import known_nonce

            self._proven = str(request.url), known_nonce(str(request.url))

    def _nonce_was_missing(self, scheme: AnyScheme) -> bool:
        """Has the server told us, with its refusal, a nonce that the last proof lacked? Then the token is good."""
        if self._proven is None or not isinstance(scheme, TokenScheme) or not scheme.dpop:
            return False
        from clew.auth.dpop import known_nonce

        (url, used), self._proven = self._proven, None
        return known_nonce(url) not in (None, used)

    async def _ready(self) -> tuple[Record, AnyScheme]:
        """The stored record, refreshed when it is due. What was found out about one holds until another is stored."""
        record = await self._vault.get(self._connection)
        judged = self._judged
        if judged is None or judged[0] is not record:
            record, scheme = self._checked(record)
            judged = self._judged = record, scheme, self._due_at(record, scheme)
        record, scheme, due = judged
        if time.time() > due:
            record = await self._refreshed(record, scheme)
        return record, scheme

    async def _read(self) -> tuple[Record, AnyScheme]:
        return self._checked(await self._vault.get(self._connection))

    def _checked(self, record: Record | None) -> tuple[Record, AnyScheme]:
        if record is None:
            raise not_connected(self._connection, self._schemes)
        if self._place is not None:
            self._place.check(self._connection, record.facts)
        for scheme in self._schemes:
            if scheme.kind == record.facts.kind:
                return record, scheme
        raise AuthRevokedError(
            f"{self._connection} is stored as {record.facts.kind!r}, which this connector does not take.",
            next_step=f"Ask the person to run: {preferred_command(self._connection, self._schemes)}",
        )

    def _due_at(self, record: Record, scheme: AnyScheme) -> float:
        """The epoch second of what the provider wants or of the early lead, a little different in every process.

        The lead is never more than a tenth of the lifetime, so short tokens are used too.
        """
        facts = record.facts
        if not self._refresher.renews(record, scheme):
            return math.inf
        if facts.expires_at is None:
            return math.inf if "access_token" in record.fields else -math.inf
        lead = scheme.early_seconds if isinstance(scheme, TokenScheme) else EARLY_SECONDS
        due = facts.expires_at - min(lead * self._early, (facts.expires_at - facts.obtained_at) / 10)
        if facts.refresh_at is not None and facts.refresh_at < due:
            due = facts.refresh_at + (due - facts.refresh_at) * (self._early - 1) / 5
        return due

    async def _refreshed(self, record: Record, scheme: AnyScheme) -> Record:
        """The record after a refresh. While the old token still lives, one that fails or takes long harms nobody."""
        generation = record.facts.generation
        still_good = record.facts.expires_at is not None and time.time() < record.facts.expires_at
        try:
            async with asyncio.timeout(EARLY_PATIENCE_SECONDS if still_good else None):
                await self._refresher.replace(self._connection, generation, scheme, base_url=self._base_url)
        except (CallError, TimeoutError):
            if still_good:
                return record
            raise
        return (await self._read())[0]

    async def _refuse(self, record: Record) -> AuthRevokedError:
        """Note the first refusal for `clew auth status`; the secrets and their generation stay."""
        if record.facts.refused_at is None:
            with contextlib.suppress(StaleRecordError, CallError):
                await self._vault.amend(record, replace(record.facts, refused_at=time.time()))
        return refused(self._connection, record.facts.kind, record.facts.refused)


def preferred_kind(schemes: Sequence[Scheme]) -> str:
    """The kind to ask a person for: a login when this connector has an OAuth client, else what can be typed in."""
    for scheme in schemes:
        if not isinstance(scheme, OAuth2) or scheme.client_id is not None:
            return scheme.kind
    return schemes[0].kind if schemes else "bearer"


def preferred_command(connection: Connection, schemes: Sequence[Scheme]) -> str:
    """The command that connects this account in the preferred way."""
    return connect_command(preferred_kind(schemes), connection.connector, connection.account, connection.tenant)


def not_connected(connection: Connection, schemes: Sequence[Scheme]) -> AuthRevokedError:
    """There is no credential of this account."""
    message = f"No credential of {connection} is stored."
    return AuthRevokedError(message, next_step=f"Ask the person to run: {preferred_command(connection, schemes)}")


def _check_age(record: Record) -> None:
    age = time.time() - record.facts.obtained_at
    if record.facts.refreshed and 0 <= age < YOUNG_SECONDS:
        raise TransientError(
            f"{record.connection.connector} refuses a token of account {record.connection.account!r} "
            "that it gave out a moment ago.",
            retry_after=YOUNG_SECONDS - age,
        )


def _opened(record: Record, name: str) -> Secret:
    secret = record.secret(name)
    if secret is None:
        command = connect_command(
            record.facts.kind, record.connection.connector, record.connection.account, record.connection.tenant
        )
        message = f"The stored credential of {record.connection} has no {name}."
        raise AuthRevokedError(message, next_step=f"Ask the person to run: {command}")
    return secret


def _operator_fault(error: ConfigurationError) -> InternalError:
    """What only the operator can correct (a missing key, a wrong address), as an error an agent can be shown."""
    return InternalError(
        f"The stored credentials cannot be used: {error}",
        next_step="Ask the person who runs the server to correct this.",
        retry=Retry.AFTER_HUMAN,
    )
