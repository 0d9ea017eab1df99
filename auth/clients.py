"""The OAuth client we are at a provider: from the connector's facts, or registered here by the operator.

A registration is a row of the vault of its own, under a connector name that no connector can have.
"""

import shlex
from collections.abc import Mapping
from typing import Protocol

from clew.auth.advice import tenant_words
from clew.auth.endpoints import expand
from clew.auth.facts import Facts
from clew.auth.oauth import Client, shown_identity
from clew.auth.schemes import OAuth2, TokenScheme
from clew.auth.vault import Record, Vault
from clew.core.connection import Connection
from clew.core.errors import ConfigurationError
from clew.core.secret import Secret
from clew.core.values import dataclass

APP = "oauth_app"
"""The kind of a registration's row."""
_PREFIX, _ACCOUNT = "app:", "client"


@dataclass(frozen=True, slots=True)
class App:
    """One registration as it can be shown: the secret stays where it is. `since` is UTC seconds."""

    connector: str
    client_id: str
    proves_with: str
    since: float


def is_app(connection: Connection) -> bool:
    """Is this row something beside the accounts: a registration, the secrets of webhooks?"""
    return ":" in connection.connector


def _place(connector: str, tenant: str) -> Connection:
    return Connection(tenant, f"{_PREFIX}{connector}", _ACCOUNT)


class Material(Protocol):
    """What a token is made from: facts in the open and secrets by name. A vault `Record` is one."""

    @property
    def connection(self) -> Connection:
        """Whose token it will be."""
        ...

    @property
    def facts(self) -> Facts:
        """Client id, scopes, variables."""
        ...

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the secrets."""
        ...

    def secret(self, name: str) -> Secret | None:
        """One secret; None when there is none of this name."""
        ...


async def set_app(
    vault: Vault,
    connector: str,
    client_id: str,
    secrets: Mapping[str, Secret],
    *,
    tenant: str,
    variables: Mapping[str, str] | None = None,
) -> bool:
    """Store a registration: `client_secret`, or `private_key` with `certificate`, or nothing for a public client.

    True when it replaces another one.
    """
    if not client_id.isprintable() or not client_id.strip() or len(client_id) > 500:
        raise ConfigurationError("The client id is empty or holds characters that no client id has.")
    place = _place(connector, tenant)
    former = await vault.get(place)
    facts = Facts(APP, client_id=client_id.strip(), variables=dict(variables or {}))
    await vault.put(place, {**secrets, "client_id": Secret(client_id.strip())}, facts)
    return former is not None


async def remove_app(vault: Vault, connector: str, *, tenant: str) -> bool:
    """Forget a registration; False when there was none."""
    return await vault.delete(_place(connector, tenant))


async def list_apps(vault: Vault, *, tenant: str) -> list[App]:
    """The registrations of a tenant, by connector."""
    found: list[App] = []
    for summary in await vault.list(tenant=tenant):
        if summary.connection.connector.startswith(_PREFIX):
            record = await vault.get(summary.connection)
            fields = record.fields if record else ()
            proof = "certificate" if "certificate" in fields else "private key" if "private_key" in fields else "secret"
            proof = proof if len(fields) > 1 else "nothing (public)"
            name = summary.connection.connector.removeprefix(_PREFIX)
            found.append(App(name, summary.facts.client_id or "", proof, summary.updated_at))
    return found


async def login_client(
    vault: Vault, connection: Connection, scheme: TokenScheme, variables: Mapping[str, str] | None = None
) -> Client:
    """The client for a new login. Where none is known, a `ConfigurationError` with the command that registers one."""
    app = await vault.get(_place(connection.connector, connection.tenant))
    if app is not None:
        return _client(app.facts.client_id or "", app, {**app.facts.variables, **(variables or {})})
    if scheme.client_id:
        return Client(scheme.client_id, values=dict(variables or {}))
    raise ConfigurationError(
        f"No OAuth client for {connection.connector} is configured: register one with the provider, then run "
        + shlex.join(["clew", "auth", "apps", "set", connection.connector, *tenant_words(connection.tenant)])
    )


async def client_of(vault: Vault, record: Material, scheme: TokenScheme) -> Client:
    """The client that got a stored grant, with the secret it has today. Its `dpop_key` is the grant's."""
    client_id = record.facts.client_id or scheme.client_id or ""
    app = await vault.get(_place(record.connection.connector, record.connection.tenant))
    source: Material = app if app is not None and app.facts.client_id == client_id else record
    values = {**(app.facts.variables if app else {}), **record.facts.variables}
    return _client(client_id, source, values, record.secret("dpop_key"))


def refresh_place(record: Record, scheme: OAuth2, base_url: str) -> tuple[OAuth2, str]:
    """The scheme as it was settled at login, and the address that refreshes this grant."""
    from clew.auth.discovery import recalled

    variables = record.facts.variables
    settled = recalled(scheme, variables)
    template = settled.refresh_url or settled.token_url
    return settled, expand(template, base_url=base_url, variables=variables, declared=settled.variables)


def stored_client(record: Material, scheme: TokenScheme) -> Client:
    """The client whose proofs stand in the connection's own row (class E)."""
    client_id = record.facts.client_id or record.facts.variables.get("client_id") or scheme.client_id or ""
    return _client(client_id, record, record.facts.variables, record.secret("dpop_key"))


async def bound_identity(vault: Vault, record: Record, scheme: TokenScheme) -> tuple[Secret, Secret]:
    """The certificate and the key that a connection's tokens are bound to, as they are now."""
    client = await client_of(vault, record, scheme) if isinstance(scheme, OAuth2) else stored_client(record, scheme)
    return shown_identity(client)


def _client(client_id: str, source: Material, values: Mapping[str, str], dpop_key: Secret | None = None) -> Client:
    certificate, key = source.secret("certificate"), source.secret("private_key")
    files = values.get("certificate_file"), values.get("key_file")
    if files[0] and files[1]:
        from clew.auth.certificates import watched

        identity = watched(files[0], files[1])
        certificate, key = identity.certificate, identity.key
    return Client(client_id, source.secret("client_secret"), key, certificate, dpop_key, dict(values))
