"""Which stored credential a call uses, and what can be said about all of them. Nothing here talks to a terminal."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from clew.auth.advice import connect_command
from clew.auth.authorizer import preferred_kind
from clew.auth.clients import is_app
from clew.auth.facts import Facts
from clew.auth.schemes import Typed
from clew.auth.vault import Summary, Vault
from clew.core.connection import Connection
from clew.core.credentials import Scheme
from clew.core.errors import AuthRevokedError, ConfigurationError
from clew.core.secret import Secret
from clew.core.values import dataclass

State = Literal["ready", "expired", "refused", "damaged"]


@dataclass(frozen=True, slots=True)
class Status:
    """One line of `clew auth status`. Times are in seconds; None means that it does not end or nobody knows.

    `expires_in` is the access token's life; a `renewable` one is replaced by itself, until `login_ends_in`.

    `missing` are scopes that were asked for and not granted, `origin` is where the credential may be sent.
    `next_step` is the command that repairs the connection, None when nothing is wrong.
    """

    connector: str
    account: str
    tenant: str
    kind: str
    state: State
    identity: str | None
    scopes: tuple[str, ...]
    missing: tuple[str, ...]
    expires_in: float | None
    renewable: bool
    login_ends_in: float | None
    refreshed: int
    refused_at: float | None
    refused: str | None
    obtained_at: float
    origin: str | None
    next_step: str | None

    def as_dict(self) -> dict[str, Any]:
        """The same for `--json`."""
        return {name: getattr(self, name) for name in self.__slots__}


async def resolve(
    vault: Vault,
    connector: str,
    schemes: Sequence[Scheme],
    *,
    account: str | None = None,
    tenant: str,
) -> Connection:
    """The connection to use, as `find` finds it."""
    return (await find(vault, connector, schemes, account=account, tenant=tenant)).connection


async def find(
    vault: Vault,
    connector: str,
    schemes: Sequence[Scheme],
    *,
    account: str | None = None,
    tenant: str,
) -> Summary:
    """What is known about the connection to use: the named account, or the only one there is.

    Several and none named is a `ConfigurationError` with the choices (never the most recent one); none at all, or not
    the named one, is an `AuthRevokedError` with the command that connects it.
    """
    stored = await vault.list(tenant=tenant, connector=connector)
    chosen = [each for each in stored if account in (None, each.connection.account)]
    if len(chosen) == 1:
        return chosen[0]
    names = ", ".join(each.connection.account for each in stored)
    if chosen:
        raise ConfigurationError(f"{connector} has several accounts: {names}. Choose one with --account.")
    command = connect_command(preferred_kind(schemes), connector, account, tenant)
    known = f" Known accounts: {names}." if names else ""
    missing = f"No account {account!r} of {connector} is connected." if account else f"{connector} is not connected."
    raise AuthRevokedError(missing + known, next_step=f"Ask the person to run: {command}")


async def set_token(
    vault: Vault,
    connection: Connection,
    scheme: Typed,
    fields: Mapping[str, Secret],
    *,
    identity: str | None = None,
    scopes: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
    origin: str | None = None,
) -> int:
    """Store secrets that a person typed in for `origin`, replacing older ones; the answer is the row's version.

    `fields` must hold exactly `scheme.fields`. Surrounding white space (a pasted line break) is removed; a value that
    cannot stand in a header is a `ConfigurationError`.
    """
    if set(fields) != set(scheme.fields):
        raise ConfigurationError(f"{connection.connector} wants {' and '.join(scheme.fields)}.")
    clean = {name: _clean(name, secret, spaces=scheme.kind == "basic") for name, secret in fields.items()}
    facts = Facts(scheme.kind, identity=identity, scopes=tuple(scopes), variables=dict(variables or {}), origin=origin)
    return await vault.put(connection, clean, facts)


async def set_identity(vault: Vault, connection: Connection, identity: str) -> None:
    """Note what the provider calls this account; the secrets stay. Raises `StaleRecordError` when they changed."""
    record = await vault.get(connection)
    if record is not None and record.facts.identity != identity:
        await vault.amend(record, replace(record.facts, identity=identity))


async def remove(vault: Vault, connection: Connection) -> bool:
    """Forget the credential here (the provider is not told); False when there was none."""
    return await vault.delete(connection)


async def status(vault: Vault, *, tenant: str, connector: str | None = None) -> list[Status]:
    """Every stored connection, by connector and account. Needs no key and no network."""
    now = time.time()
    stored = await vault.list(tenant=tenant, connector=connector)
    return [_status(summary, now) for summary in stored if not is_app(summary.connection)]


def granted(facts: Facts) -> frozenset[str] | None:
    """The scopes that a login brought; None where scopes say nothing (a token that was typed in, no scopes at all)."""
    return frozenset(facts.scopes) if facts.kind == "oauth2" and facts.scopes else None


async def usable_scopes(
    vault: Vault, connector: str, *, account: str | None = None, tenant: str
) -> list[frozenset[str]] | None:
    """What the accounts that a call may use were granted, each; None where there is none, or nobody knows of one."""
    stored = [
        each
        for each in await vault.list(tenant=tenant, connector=connector)
        if account in (None, each.connection.account)
    ]
    known = [granted(each.facts) for each in stored]
    found = [scopes for scopes in known if scopes is not None]
    return found if found and len(found) == len(known) else None


def account_name(account: str | None, identity: str | None) -> str:
    """The name a new connection gets: the one that was asked for, else the provider's, else `main`."""
    return account or identity or "main"


def _status(summary: Summary, now: float) -> Status:
    facts, connection = summary.facts, summary.connection
    state: State = "ready"
    if facts.kind == "damaged":
        state = "damaged"
    elif facts.refused_at is not None:
        state = "refused"
    elif facts.expires_at is not None and facts.expires_at <= now and not facts.renewable:
        state = "expired"
    command = connect_command(facts.kind, connection.connector, connection.account, connection.tenant)
    return Status(
        connector=connection.connector,
        account=connection.account,
        tenant=connection.tenant,
        kind=facts.kind,
        state=state,
        identity=facts.identity,
        scopes=facts.scopes,
        missing=tuple(scope for scope in facts.asked if facts.scopes and scope not in facts.scopes),
        expires_in=None if facts.expires_at is None else facts.expires_at - now,
        renewable=facts.renewable,
        login_ends_in=None if facts.refresh_expires_at is None else facts.refresh_expires_at - now,
        refreshed=facts.refreshed,
        refused_at=facts.refused_at,
        refused=facts.refused,
        obtained_at=facts.obtained_at,
        origin=facts.origin,
        next_step=None if state == "ready" else command,
    )


def _clean(name: str, secret: Secret, *, spaces: bool) -> Secret:
    value = secret.reveal().strip()
    if not value:
        raise ConfigurationError(f"The {name} is empty.")
    if not value.isprintable() or (not spaces and (not value.isascii() or " " in value)):
        raise ConfigurationError(f"The {name} holds characters that no such credential has; was it copied whole?")
    return Secret(value)
