"""`clew audit`: what was called, the story of one call, and whether the chain holds."""

import asyncio
import json
from argparse import Namespace
from typing import Any

from clew.core.audit_chain import RETENTION, verify
from clew.core.audit_log import read_anchor
from clew.core.audit_reading import FINE, Filter, after, find, last, rounds
from clew.core.database import Database
from clew.core.errors import ConfigurationError
from clew.servers.cli.moments import clock, since
from clew.servers.cli.output import Cell, duration, emit, emit_json, table, talk
from clew.servers.cli.start import begin
from clew.servers.cli.story import tell
from clew.servers.evidence import folder, read_audit
from clew.servers.settings import Settings

_HEADINGS = ("WHEN", "CONNECTOR", "TOOL", "RESULT", "ACCOUNT", "TOOK", "CALLER", "REFERENCE")
_LOOK_EVERY_SECONDS = 0.5


def list_records(arguments: Namespace) -> int:
    """The latest records as a table or JSON lines, once or on and on."""
    if not 0 < arguments.last <= 100_000:
        raise ConfigurationError(f"--last must be from 1 to 100000, not {arguments.last}.")
    wanted = _wanted(arguments)
    return asyncio.run(_list(begin(), arguments, wanted))


async def _list(settings: Settings, arguments: Namespace, wanted: Filter) -> int:
    async with read_audit(settings) as database:
        if database is None:
            found: list[dict[str, Any]] = []
        else:
            found = await last(database, wanted, arguments.last)
        if arguments.follow:
            _lines(found, arguments.json)
            return await _follow(database, wanted, arguments.json)
    if arguments.json:
        emit_json(found)
        return 0
    if found:
        table(_HEADINGS, [_row(each) for each in found])
    else:
        talk("No call fits." if database else "Nothing has been called yet.")
    return 0


async def _follow(database: Database | None, wanted: Filter, as_json: bool) -> int:
    if database is None:
        raise ConfigurationError("nothing has been called yet; there is nothing to follow.")
    row = await database.fetch_one("SELECT MAX(number) FROM audit_records")
    number = int(row[0]) if row and row[0] is not None else 0
    while True:
        async for record in after(database, wanted, number):
            _lines([record], as_json)
            number = record["number"]
        await asyncio.sleep(_LOOK_EVERY_SECONDS)


def _lines(records: list[dict[str, Any]], as_json: bool) -> None:
    for record in records:
        words = [each if isinstance(each, str) else each.text for each in _row(record)]
        print(json.dumps(record) if as_json else "  ".join(words), flush=True)


def show_record(arguments: Namespace) -> int:
    """The story of one call."""
    return asyncio.run(_show(begin(), arguments))


async def _show(settings: Settings, arguments: Namespace) -> int:
    async with read_audit(settings) as database:
        record = await find(database, arguments.reference.strip()) if database else None
        story = await rounds(database, record) if database and record else []
    if record is None:
        raise ConfigurationError(
            f"no record has the reference {arguments.reference[:40]!r}. 'clew audit' lists the latest; records may "
            "have been removed after the time that audit_keep sets, or be in another home or database."
        )
    if arguments.json:
        emit_json({**record, "rounds": [each["reference"] for each in story]} if len(story) > 1 else record)
    else:
        emit(*tell(story))
    return 0


def verify_chain(arguments: Namespace) -> int:
    """Read the whole chain: 0 when it holds, 1 when not."""
    settings = begin()
    return asyncio.run(_verify(settings, arguments))


async def _verify(settings: Settings, arguments: Namespace) -> int:
    async with read_audit(settings) as database:
        if database is None:
            talk("Nothing has been called yet.")
            return 0
        verdict = await verify(database, read_anchor(folder(settings)))
    head = verdict.head
    if arguments.json:
        emit_json({"ok": not verdict.faults, "records": verdict.records, "last": head.number, "hash": head.hash,
                   "faults": list(verdict.faults)})  # fmt: skip
    elif verdict.faults:
        emit(*(f"! {fault}" for fault in verdict.faults))
    else:
        emit(f"The chain holds: {verdict.records} records, the last is {head.number} with hash {head.hash}.")
    return 1 if verdict.faults else 0


def export_records(arguments: Namespace) -> int:
    """Every record as a JSON line, in the order of the chain."""
    wanted = _wanted(arguments)
    return asyncio.run(_export(begin(), wanted))


async def _export(settings: Settings, wanted: Filter) -> int:
    async with read_audit(settings) as database:
        if database is not None:
            async for record in after(database, wanted):
                emit(json.dumps(record, separators=(",", ":")))
    return 0


def _wanted(arguments: Namespace) -> Filter:
    return Filter(since(arguments.since), arguments.connector, arguments.tool, arguments.failed)


def _row(record: dict[str, Any]) -> list[str | Cell]:
    code, outcome = record["code"], record.get("outcome", "")
    result: str | Cell = code
    if code not in FINE:
        doubtful = outcome == "unknown"
        result = Cell(f"{code}, may have happened" if doubtful else code, "red" if doubtful else "yellow")
    asked = {"agreed": ", a person agreed", "declined": ", a person declined"}.get(record.get("answer", ""), "")
    took = f"{record.get('seconds', 0.0):.2f} s" if record.get("seconds", 0.0) < 60 else duration(record["seconds"])
    return [
        clock(record["started"]),
        record["connector"],
        "(old records removed)" if record["tool"] == RETENTION and record["connector"] == "clew" else record["tool"],
        result,
        record.get("account", ""),
        took,
        record.get("caller", "") + asked,
        record["reference"],
    ]
