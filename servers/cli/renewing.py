"""`clew auth refresh`: a new access token now, whatever the old one's state."""

import asyncio
from argparse import Namespace
from dataclasses import replace
from typing import Any

from clew.auth.connections import find
from clew.auth.schemes import Minted, OAuth2
from clew.core.errors import ConfigurationError
from clew.core.registry import load
from clew.servers.cli.output import duration, emit_json, talk
from clew.servers.cli.start import begin, check_name
from clew.servers.settings import Settings


def refresh(arguments: Namespace) -> int:
    """Refresh one account and say how long the new token lives."""
    settings = begin(http=True, tenant=arguments.tenant)
    check_name(arguments.name)
    result = asyncio.run(_refresh(settings, arguments.name, arguments.account))
    ends = result["expires_in"]
    life = f" It ends in {duration(ends)}." if ends is not None else ""
    talk(f"{arguments.name}: account {result['account']!r} has a new access token.{life}")
    if arguments.json:
        emit_json(result)
    return 0


async def _refresh(settings: Settings, name: str, account: str | None) -> dict[str, Any]:
    from clew.servers.runtime import Runtime

    connector = load(name)
    async with Runtime.open(replace(settings, tools=()), [name]) as runtime:
        tenant = runtime.tenancy.of()
        known = await find(runtime.vault, name, connector.schemes, account=account, tenant=tenant)
        scheme = next((each for each in connector.schemes if each.kind == known.facts.kind), None)
        if not isinstance(scheme, OAuth2 | Minted):
            raise ConfigurationError(f"{known.connection} holds what a person typed in; there is nothing to refresh.")
        base_url = runtime.place(connector).url(connector.schemes, known.connection, known.facts)
        await runtime.refresher.force(known.connection, scheme, base_url=base_url)
        now = await find(runtime.vault, name, connector.schemes, account=known.connection.account, tenant=tenant)
    ends = now.facts.expires_at
    left = None if ends is None else round(ends - now.facts.obtained_at)
    return {
        "connector": name,
        "account": known.connection.account,
        "expires_in": left,
        "refreshed": now.facts.refreshed,
    }
