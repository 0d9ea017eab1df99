"""`clew webhooks subscribe`, `renew` and `status`."""

import asyncio
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clew.core.connection import Connection
from clew.core.errors import ClewError, ConfigurationError
from clew.core.registry import load
from clew.servers.cli.output import Cell, ago, duration, emit_json, table, talk
from clew.servers.cli.signing import account_of, path_of
from clew.servers.cli.start import begin, check_name, stored_name
from clew.servers.settings import Settings
from clew.servers.store import open_events, open_store
from clew.servers.tenancy import chosen_tenant

if TYPE_CHECKING:
    from clew.servers.subscriptions import Health


def subscribe(arguments: Namespace) -> int:
    """Register this server with a provider."""
    settings = begin(http=True, tenant=arguments.tenant)
    check_name(arguments.name)
    root = arguments.url or settings.webhooks.public_url
    if not root:
        raise ConfigurationError("where is this server, as the provider sees it? Give --url, or [webhooks] public_url.")
    where = dict(_pair(each) for each in arguments.set)
    types = [each.strip() for each in arguments.events.split(",") if each.strip()]
    result = asyncio.run(_subscribe(settings, arguments, root, types, where))
    if arguments.json:
        emit_json(result)
    return 0


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise ConfigurationError(f"--set {text}: write NAME=VALUE.")
    return name, value


async def _subscribe(
    settings: Settings, arguments: Namespace, root: str, types: Sequence[str], where: dict[str, str]
) -> dict[str, Any]:
    from clew.servers.runtime import Runtime
    from clew.servers.subscriptions import subscribe as make

    async with Runtime.open(replace(settings, tools=()), [arguments.name]) as runtime:
        (connector,) = runtime.connectors
        connection = await account_of(runtime.store, connector, arguments.account, runtime.tenancy.of())
        made = await make(runtime, connector, connection, root, types=types, where=where)
    url = f"{root.rstrip('/')}{path_of(connection)}"
    talk(f"{connection}: {connector.title or connector.name} delivers to {url}")
    if made.ends_at is not None:
        talk(f"It ends at the provider; a running server renews it, or: clew webhooks renew {connector.name}")
    facts = {"id": made.id, "ends_at": made.ends_at, "active": made.active}
    return {"connector": connector.name, "account": connection.account, "url": url, **facts}


def renew(arguments: Namespace) -> int:
    """Renew subscriptions now: 0, or 1 when one of them could not be."""
    settings = begin(http=True, tenant=arguments.tenant)
    found = asyncio.run(_each(settings, arguments.name, renewing=True, check=True))
    return _shown(found, arguments)


def show_status(arguments: Namespace) -> int:
    """Who may deliver, and how that goes: 0, or 1 when something is wrong."""
    settings = begin(http=arguments.check, tenant=arguments.tenant)
    found = asyncio.run(_each(settings, arguments.name, renewing=False, check=arguments.check))
    return _shown(found, arguments)


def _shown(found: "Sequence[Health]", arguments: Namespace) -> int:
    if arguments.json:
        emit_json([each.as_dict() for each in found])
    elif found:
        table(("ACCOUNT", "SECRETS", "SUBSCRIPTION", "ENDS", "LAST EVENT", "STATE"), [_row(each) for each in found])
    else:
        talk("No account has a webhook secret. Set one: clew webhooks set NAME")
    return 1 if any(each.trouble for each in found) else 0


def _row(each: "Health") -> list[str | Cell]:
    import time

    ends = "" if each.ends_at is None else f"in {duration(each.ends_at - time.time())}"
    last = "" if each.last_event is None else ago(each.last_event)
    state = Cell(each.trouble, "red") if each.trouble else "delivers" if each.checked else "ready"
    return [str(each.connection), str(each.secrets), each.id, ends, last, state]


async def _each(settings: Settings, name: str | None, *, renewing: bool, check: bool) -> "list[Health]":
    from clew.auth.webhook_secrets import receiving
    from clew.servers.runtime import Runtime
    from clew.servers.subscriptions import Health, health
    from clew.servers.subscriptions import renew as renew_one

    wanted = stored_name(name)
    async with open_store(settings) as store:
        stored = await receiving(store.vault, tenant=await chosen_tenant(settings, store.vault))
        mine = [each for each in stored if wanted in (None, each.connector)]
    names = list(dict.fromkeys(each.connector for each in mine))
    if not names:
        return []
    found: list[Health] = []
    async with Runtime.open(replace(settings, tools=()), [name] if name else names) as runtime:
        inbox = await open_events(runtime.store)
        for connection in mine:
            connector = load(name) if name else load(connection.connector)
            try:
                one = await (
                    renew_one(runtime, connector, connection)
                    if renewing
                    else health(runtime, connector, connection, check=check)
                )
            except ClewError as error:
                one = Health(connection, 0, trouble=str(error))
            found.append(replace(one, last_event=await _last(inbox, connection)))
    return found


async def _last(inbox: Any, connection: Connection) -> float | None:
    newest = await inbox.list(connection=connection, limit=1)
    return newest[0].received_at if newest else None
