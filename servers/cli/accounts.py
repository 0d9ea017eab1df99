"""`clew auth status` and `auth remove`: what is connected. No connector is loaded for it, so it is quick."""

import asyncio
from argparse import Namespace

from clew.auth.connections import Status, remove
from clew.core.connection import Connection
from clew.core.errors import ConfigurationError
from clew.servers.cli.output import emit_json, talk
from clew.servers.cli.start import begin, check_name, stored_name
from clew.servers.cli.statuspage import show
from clew.servers.settings import Settings
from clew.servers.store import open_store, stored_status
from clew.servers.tenancy import chosen_tenant

LOGIN = 4


def show_status(arguments: Namespace) -> int:
    """What is stored and whether it works; 4 when something needs a new login, 1 when a check could not be made."""
    settings = begin(http=arguments.check, tenant=arguments.tenant)
    arguments.name = stored_name(arguments.name)
    stored = asyncio.run(stored_status(settings, arguments.name))
    if arguments.name and not stored:
        check_name(arguments.name)
    rows = [each.as_dict() | {"check": None} for each in stored]
    if arguments.check and stored:
        from clew.servers.cli.checking import check_all

        rows = asyncio.run(check_all(settings, arguments.name))
    if arguments.json:
        emit_json(rows)
    elif rows:
        show(rows)
    else:
        which, name = (f" of {arguments.name}", arguments.name) if arguments.name else ("", "NAME")
        talk(f"No account{which} is connected. Connect one: clew auth login {name}, or clew auth set {name}")
    if any(each["state"] != "ready" for each in rows) or (arguments.name and not rows):
        return LOGIN
    return 1 if any((each["check"] or "ok") != "ok" for each in rows) else 0


def remove_credential(arguments: Namespace) -> int:
    """Forget one account here."""
    settings = begin(tenant=arguments.tenant)
    arguments.name = stored_name(arguments.name)
    removed = asyncio.run(_remove(settings, str(arguments.name), arguments.account))
    talk(f"{removed} is forgotten here. The provider still honours the credential: revoke it there too.")
    if arguments.json:
        emit_json({"connector": removed.connector, "account": removed.account, "removed": True})
    return 0


async def _remove(settings: Settings, name: str, account: str | None) -> Connection:
    stored = await stored_status(settings, name)
    if not stored:
        check_name(name)
    account = _chosen(name, stored, account)
    async with open_store(settings) as store:
        connection = Connection(await chosen_tenant(settings, store.vault), name, account)
        await remove(store.vault, connection)
    return connection


def _chosen(name: str, stored: list[Status], account: str | None) -> str:
    known = [each.account for each in stored]
    if account in known:
        return account
    if not known:
        raise ConfigurationError(f"no account of {name} is connected; there is nothing to remove.")
    if account is not None:
        raise ConfigurationError(f"{name} has no account {account!r}. There are: {', '.join(known)}.")
    if len(known) > 1:
        raise ConfigurationError(f"{name} has several accounts: {', '.join(known)}. Choose one with --account.")
    return known[0]
