"""What has changed at providers, for people and for programs."""

import asyncio
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict

from clew.core.drift import ANNOUNCED, BREAKING
from clew.core.drift_log import Change, open_drift
from clew.servers.cli.output import Cell, ago, emit, emit_json, table
from clew.servers.cli.start import begin, check_name, stored_name
from clew.servers.settings import Settings


def show_drift(arguments: Namespace) -> int:
    """Changes and announcements, the latest first."""
    settings = begin()
    if arguments.name is not None:
        check_name(arguments.name)
    changes = asyncio.run(changes_at(settings, stored_name(arguments.name)))
    if arguments.json:
        emit_json([asdict(each) for each in changes])
        return 0
    announced = [each for each in changes if each.change == ANNOUNCED]
    for each in announced:
        emit(f"{each.connector} announces: {each.path} {each.seen} (since {ago(each.first_seen)})")
    rows = [_row(each) for each in changes if each.change != ANNOUNCED]
    if rows:
        table(("CONNECTOR", "MODEL", "FIELD", "CHANGE", "SEEN", "SINCE", "ANSWERS"), rows)
    elif not announced:
        emit("Nothing has changed, as far as the answers of this installation show.")
    return 0


async def changes_at(settings: Settings, connector: str | None = None) -> Sequence[Change]:
    """What has changed. Creates nothing: without a database nothing was seen."""
    from clew.servers.store import open_store

    if not settings.has_database():
        return []
    async with open_store(settings) as store:
        return await (await open_drift(store.database)).changes(connector)


def _row(each: Change) -> Sequence[str | Cell]:
    word = each.change.replace("_", " ")
    seen = f"{each.seen}, not {each.expected}" if each.expected else each.seen
    change: str | Cell = Cell(word, "red") if each.change in BREAKING else word
    share = f"{each.count} of {each.looked_at}"
    return (each.connector, each.model, each.path, change, seen, ago(each.first_seen), share)
