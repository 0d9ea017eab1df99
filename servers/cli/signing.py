"""`clew webhooks set` and `forget`: what deliveries are verified with. Secrets go into the vault and nowhere else."""

import asyncio
import re
from argparse import Namespace
from dataclasses import replace
from typing import Any

from clew.core.connection import Connection
from clew.core.connector import Connector
from clew.core.errors import ConfigurationError
from clew.core.registry import load
from clew.core.secret import Secret
from clew.servers.cli.naming import check_account
from clew.servers.cli.output import duration, emit_json, talk
from clew.servers.cli.prompt import read_secrets, read_text_file
from clew.servers.cli.start import begin, check_name
from clew.servers.settings import Settings
from clew.servers.store import Store, open_store, tenant_here
from clew.servers.tenancy import chosen_tenant


def set_secret(arguments: Namespace) -> int:
    """Take a signing secret from the person and keep it beside the former one."""
    settings = begin(tenant=arguments.tenant)
    check_name(arguments.name)
    connector = load(arguments.name)
    if not connector.webhook_schemes:
        raise ConfigurationError(f"{connector.name} has no webhooks that clew knows.")
    overlap = _overlap(arguments.overlap)
    settings = replace(settings, tenant=asyncio.run(tenant_here(settings)))
    secret = (
        None
        if arguments.expect
        else _read(arguments, f"{connector.title or connector.name}: {connector.webhook_schemes[0].secret}")
    )
    result = asyncio.run(_set(settings, connector, arguments.account, secret, overlap))
    if arguments.json:
        emit_json(result)
    return 0


def _read(arguments: Namespace, what: str) -> Secret:
    if arguments.file is not None:
        return Secret(read_text_file(arguments.file).strip())
    return read_secrets(("secret",), what=what, file=None, spaces=True)["secret"]


async def _set(
    settings: Settings, connector: Connector, account: str | None, secret: Secret | None, overlap: float
) -> dict[str, Any]:
    from clew.auth.webhook_secrets import add_secret, expect_secret

    async with open_store(settings) as store:
        connection = await account_of(store, connector, account, await chosen_tenant(settings, store.vault))
        if secret is None:
            await expect_secret(store.vault, connection)
            talk(
                f"{connection}: a secret that the provider sends within the hour is taken. Begin its registration now."
            )
            return {"connector": connector.name, "account": connection.account, "expecting": True}
        stored = await add_secret(store.vault, connection, secret, overlap=overlap)
    talk(f"{connection}: the webhook secret is stored. Deliveries go to {path_of(connection)}")
    if len(stored) > 1:
        talk(f"The one before stays valid for {duration(overlap)}.")
    return {
        "connector": connector.name,
        "account": connection.account,
        "path": path_of(connection),
        "live": len(stored),
    }


def forget_secrets(arguments: Namespace) -> int:
    """Forget all secrets of an account: its deliveries are refused from then on."""
    settings = begin(tenant=arguments.tenant)
    check_name(arguments.name)
    connector = load(arguments.name)
    connection = asyncio.run(_forget(settings, connector, arguments.account))
    talk(f"{connection}: its webhook secrets are forgotten; deliveries are refused. The provider was not told.")
    if arguments.json:
        emit_json({"connector": connector.name, "account": connection.account, "forgotten": True})
    return 0


async def _forget(settings: Settings, connector: Connector, account: str | None) -> Connection:
    from clew.auth.webhook_secrets import forget

    async with open_store(settings) as store:
        connection = await account_of(store, connector, account, await chosen_tenant(settings, store.vault))
        if not await forget(store.vault, connection):
            raise ConfigurationError(f"{connection} has no webhook secret.")
    return connection


async def account_of(store: Store, connector: Connector, account: str | None, tenant: str) -> Connection:
    """The account of a tenant that is meant: the named one, the only connected one, else `main`."""
    if account is not None:
        check_account(account)
        return Connection(tenant, connector.name, account)
    stored = [each.connection for each in await store.vault.list(tenant=tenant, connector=connector.name)]
    if len(stored) > 1:
        names = ", ".join(each.account for each in stored)
        raise ConfigurationError(f"{connector.name} has several accounts: {names}. Choose one with --account.")
    return stored[0] if stored else Connection(tenant, connector.name, "main")


def path_of(connection: Connection) -> str:
    """Where a connection's deliveries go, below the server's root."""
    from urllib.parse import quote

    return f"/webhooks/{connection.connector}/{quote(connection.account, safe='@')}"


def _overlap(text: str) -> float:
    found = re.fullmatch(r"(\d{1,4})\s*([mhd]?)", text.strip())
    if found is None or (not found[2] and found[1] != "0"):
        raise ConfigurationError('--overlap must be a time like "30m", "24h" or "7d", or "0".')
    return int(found[1]) * {"m": 60.0, "h": 3600.0, "d": 86400.0, "": 0.0}[found[2]]
