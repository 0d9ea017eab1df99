"""The secrets that a connection's webhooks are verified with: several live ones, each with an end or without.

They are a row of the vault of their own, under a connector name that no connector can have: a new login replaces the
connection's row, and must not take them along.
"""

import time
from collections.abc import Mapping
from dataclasses import replace

from clew.auth.facts import Facts
from clew.auth.vault import Record, StaleRecordError, Vault
from clew.core.connection import Connection
from clew.core.errors import ConfigurationError, TransientError
from clew.core.secret import Secret
from clew.core.values import dataclass

KIND = "webhook_secrets"
"""The kind of their row."""
OVERLAP = 24 * 3600.0
"""Seconds that the former secrets stay live beside a new one."""
PREFIX = "webhook:"
_EXPECTING = "expecting_until"
_MOST = 8
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Known:
    """One stored secret without its value. Times are UTC seconds since 1970; `until` is None when it has no end."""

    name: str
    since: float
    until: float | None


def place_of(connection: Connection) -> Connection:
    """Where a connection's webhook secrets are kept."""
    return Connection(connection.tenant, f"{PREFIX}{connection.connector}", connection.account)


def live(record: Record, now: float | None = None) -> list[Secret]:
    """The secrets that are valid now, the newest first. Raises `AuthRevokedError` when the row was altered."""
    moment = time.time() if now is None else now
    found = [(each, record.secret(each.name)) for each in known(record)]
    return [secret for each, secret in found if secret is not None and (each.until is None or each.until > moment)]


def known(record: Record) -> list[Known]:
    """What is stored, the newest first."""
    found: list[Known] = []
    for name in filter(_is_secret, record.fields):
        since, _, until = record.facts.variables.get(name, "0/").partition("/")
        found.append(Known(name, float(since), float(until) if until else None))
    return sorted(found, key=lambda each: each.since, reverse=True)


async def add_secret(vault: Vault, connection: Connection, secret: Secret, *, overlap: float = OVERLAP) -> list[Known]:
    """Store a new secret; those before it stay live for `overlap` seconds. Returns what is stored now."""
    if not secret.reveal().strip():
        raise ConfigurationError("The secret is empty.")
    place = place_of(connection)
    for _ in range(_TRIES):
        now = time.time()
        record = await vault.get(place)
        fields: dict[str, Secret] = {}
        ends: dict[str, str] = {}
        for each in (known(record) if record else [])[: _MOST - 1]:
            until = min(each.until or now + overlap, now + overlap)
            former = record.secret(each.name) if record and until > now else None
            if former is not None and former.reveal() != secret.reveal():
                fields[each.name], ends[each.name] = former, f"{each.since}/{until}"
        name = f"secret_{int(now * 1e6)}"
        kept = {f"note.{key}": value for key, value in (notes(record) if record else {}).items() if key != _EXPECTING}
        facts = Facts(KIND, variables={**kept, **ends, name: f"{now}/"})
        try:
            await vault.put(place, {**fields, name: secret}, facts, expect_version=record.version if record else 0)
        except StaleRecordError:
            continue
        stored = await vault.get(place)
        return known(stored) if stored else []
    raise TransientError(f"Others keep changing the webhook secrets of {connection}; nothing was stored.")


async def note(vault: Vault, connection: Connection, facts: Mapping[str, str]) -> None:
    """Remember facts about the subscription beside the secrets, such as its id at the provider; empty ones go."""
    place = place_of(connection)
    record = await vault.get(place)
    merged = {**(record.facts.variables if record else {}), **{f"note.{name}": each for name, each in facts.items()}}
    stored = Facts(KIND, variables={name: each for name, each in merged.items() if each})
    fields = {name: record.secret(name) for name in record.fields} if record else {}
    kept = {name: secret for name, secret in fields.items() if secret is not None}
    # A row of the vault has at least one sealed field; before the first secret comes it is one that nobody uses.
    await vault.put(place, kept or {"none": Secret("none")}, stored, expect_version=record.version if record else 0)


async def expect_secret(vault: Vault, connection: Connection, *, seconds: float = 3600.0) -> None:
    """A registration is under way: for a while the provider may send the secret itself."""
    await note(vault, connection, {_EXPECTING: str(time.time() + seconds)})


def expected(record: Record) -> bool:
    """Is one?"""
    return float(notes(record).get(_EXPECTING, "0")) > time.time()


def notes(record: Record) -> dict[str, str]:
    """Those facts."""
    found = record.facts.variables.items()
    return {name.removeprefix("note."): value for name, value in found if name.startswith("note.")}


async def forget(vault: Vault, connection: Connection) -> bool:
    """Forget all webhook secrets of a connection; False when there were none."""
    return await vault.delete(place_of(connection))


async def receiving(vault: Vault, *, tenant: str) -> list[Connection]:
    """The connections that have webhook secrets."""
    found = [each.connection for each in await vault.list(tenant=tenant)]
    return [
        replace(each, connector=each.connector.removeprefix(PREFIX))
        for each in found
        if each.connector.startswith(PREFIX)
    ]


def _is_secret(name: str) -> bool:
    return name.startswith("secret_")
