"""`clew auth apps`: your own OAuth client at a provider. The secret goes into the vault and nowhere else."""

import asyncio
from argparse import Namespace
from dataclasses import replace
from typing import Any

from clew.auth.advice import OAUTH2, connect_command
from clew.auth.certificates import read_identity
from clew.auth.schemes import TokenScheme
from clew.core.errors import ConfigurationError
from clew.core.registry import load
from clew.core.secret import Secret
from clew.servers.cli.output import ago, emit_json, table, talk
from clew.servers.cli.prompt import read_secrets, read_text_file
from clew.servers.cli.start import begin, check_name
from clew.servers.settings import Settings
from clew.servers.store import open_store, tenant_here
from clew.servers.tenancy import chosen_tenant


def set_app(arguments: Namespace) -> int:
    """Store a client for one connector."""
    settings = begin(tenant=arguments.tenant)
    check_name(arguments.name)
    connector = load(arguments.name)
    if not any(isinstance(each, TokenScheme) for each in connector.schemes):
        raise ConfigurationError(f"{connector.name} has no OAuth login, so a client would be of no use.")
    settings = replace(settings, tenant=asyncio.run(tenant_here(settings)))
    secrets = _secrets(arguments, connector.title or connector.name)
    replaced = asyncio.run(_set(settings, arguments, secrets))
    done = "is replaced" if replaced else "is stored"
    login = connect_command(OAUTH2, connector.name, None, settings.tenant)
    talk(f"The OAuth client of {connector.name} {done}. Next: {login}")
    if arguments.json:
        emit_json({"connector": connector.name, "client_id": arguments.client_id, "replaced": replaced})
    return 0


def _secrets(arguments: Namespace, title: str) -> dict[str, Secret]:
    if arguments.public:
        return {}
    if arguments.private_key:
        key = Secret(read_text_file(arguments.private_key))
        if not arguments.certificate:
            return {"private_key": key}
        certificate = Secret(read_text_file(arguments.certificate))
        read_identity(certificate, key)
        return {"private_key": key, "certificate": certificate}
    if arguments.certificate:
        raise ConfigurationError("--certificate wants --private-key too.")
    return read_secrets(("client_secret",), what=title, file=arguments.file, spaces=False)


async def _set(settings: Settings, arguments: Namespace, secrets: dict[str, Secret]) -> bool:
    from clew.auth import clients

    variables = {"key_id": arguments.key_id} if arguments.key_id else {}
    async with open_store(settings) as store:
        return await clients.set_app(
            store.vault, arguments.name, arguments.client_id, secrets, tenant=settings.tenant, variables=variables
        )


def list_apps(arguments: Namespace) -> int:
    """The registered clients; their secrets are not shown."""
    settings = begin(tenant=arguments.tenant)
    rows = asyncio.run(_list(settings))
    if arguments.json:
        emit_json(rows)
    elif rows:
        shown = [(each["connector"], each["client_id"], each["proves_with"], ago(each["since"])) for each in rows]
        table(("CONNECTOR", "CLIENT ID", "PROVES ITSELF WITH", "STORED"), shown)
    else:
        talk("No OAuth client is registered. Register one: clew auth apps set NAME --client-id ID")
    return 0


async def _list(settings: Settings) -> list[dict[str, Any]]:
    from clew.auth import clients

    async with open_store(settings) as store:
        found = await clients.list_apps(store.vault, tenant=await chosen_tenant(settings, store.vault))
    return [{name: getattr(each, name) for name in each.__slots__} for each in found]


def remove_app(arguments: Namespace) -> int:
    """Forget a client, and say which accounts were connected with it."""
    settings = begin(tenant=arguments.tenant)
    removed, users = asyncio.run(_remove(settings, arguments.name))
    if not removed:
        raise ConfigurationError("no OAuth client is registered for this connector.")
    talk(f"The OAuth client of {arguments.name} is forgotten here.")
    if users:
        talk(f"These accounts were connected with it and cannot be refreshed any more: {', '.join(users)}.")
    if arguments.json:
        emit_json({"connector": arguments.name, "removed": True, "accounts": users})
    return 0


async def _remove(settings: Settings, name: str) -> tuple[bool, list[str]]:
    from clew.auth import clients

    async with open_store(settings) as store:
        tenant = await chosen_tenant(settings, store.vault)
        apps = {each.connector: each for each in await clients.list_apps(store.vault, tenant=tenant)}
        removed = await clients.remove_app(store.vault, name, tenant=tenant)
        known = apps.get(name)
        stored = await store.vault.list(tenant=tenant, connector=name)
        users = [each.connection.account for each in stored if known and each.facts.client_id == known.client_id]
    return removed, users
