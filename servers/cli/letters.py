"""`clew webhooks dead`: events that could not be processed, and another try for them."""

import asyncio
from argparse import Namespace
from typing import Any

from clew.core.errors import ConfigurationError
from clew.core.inbox import Status
from clew.servers.cli.output import ago, emit_json, table, talk
from clew.servers.cli.start import begin
from clew.servers.settings import Settings
from clew.servers.store import open_events, open_store


def show_dead(arguments: Namespace) -> int:
    """List dead letters, or give them new tries."""
    settings = begin()
    if arguments.replay or arguments.all:
        count = asyncio.run(_replay(settings, arguments.replay))
        talk(
            f"{count} of them will be tried again by the next server that runs."
            if count
            else "There is none to try again."
        )
        if arguments.json:
            emit_json({"replayed": count})
        return 0
    found = asyncio.run(_dead(settings))
    if arguments.json:
        emit_json(found)
    elif found:
        rows = [(each["id"], each["connection"], each["type"], each["why"], ago(each["received_at"])) for each in found]
        table(("EVENT", "ACCOUNT", "TYPE", "WHY", "CAME"), rows)
        talk("Try again: clew webhooks dead --replay ID, or --all")
    else:
        talk("Every event was processed, or still will be.")
    return 0


async def _dead(settings: Settings) -> list[dict[str, Any]]:
    async with open_store(settings) as store:
        found = await (await open_events(store)).list(status=Status.DEAD, limit=500)
    return [
        {
            "id": each.id,
            "connection": str(each.connection),
            "type": each.type,
            "reference": each.reference,
            "why": each.trouble,
            "attempts": each.attempts,
            "received_at": each.received_at,
        }
        for each in found
    ]


async def _replay(settings: Settings, event_id: str | None) -> int:
    from clew.core.inbox_work import replay

    async with open_store(settings) as store:
        inbox = await open_events(store)
        if event_id is not None and await inbox.get(event_id) is None:
            raise ConfigurationError("there is no event of this id.")
        return await replay(inbox, event_id)
