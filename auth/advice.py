"""What a person has to do when a credential is missing, dead or damaged: always one exact command."""

import shlex

from clew.core.connection import LOCAL_TENANT, Connection
from clew.core.errors import AuthRevokedError

OAUTH2 = "oauth2"
"""The kind of credential that comes from a login; every other kind is given by hand."""


def connect_command(kind: str, connector: str, account: str | None = None, tenant: str = LOCAL_TENANT) -> str:
    """The command that connects an account: `clew auth login …` for OAuth, `clew auth set …` for what is typed in."""
    words = ["clew", "auth", "login" if kind == OAUTH2 else "set", connector]
    words += ["--account", account] if account else []
    return shlex.join([*words, *tenant_words(tenant)])


def tenant_words(tenant: str) -> list[str]:
    """What names a tenant in a command."""
    return ["--tenant", tenant] if tenant != LOCAL_TENANT else []


def reconnect(connection: Connection, kind: str) -> str:
    """The next step that connects this account again."""
    return (
        f"Ask the person to run: {connect_command(kind, connection.connector, connection.account, connection.tenant)}"
    )


def refused(connection: Connection, kind: str, provider_code: str | None = None) -> AuthRevokedError:
    """The provider does not accept the credential any more, for good."""
    message = f"{connection.connector} no longer accepts the credential of account {connection.account!r}."
    return AuthRevokedError(message, next_step=reconnect(connection, kind), provider_code=provider_code)


def damaged(connection: Connection, why: str, kind: str) -> AuthRevokedError:
    """The stored credential was altered, cut or moved; it is not used and stays as it is."""
    message = f"The stored credential of {connection} is damaged: {why}. It was not used."
    return AuthRevokedError(message, next_step=reconnect(connection, kind))
