"""`clew limits`: what is left of the budgets that all processes share."""

import asyncio
import json
import shutil
import sys
import time
from argparse import Namespace
from typing import Any

from clew.core.budgets import TRIPS, Level, Terms, earliest, sized, standing
from clew.core.errors import ConfigurationError
from clew.core.limit_store import LimitStore
from clew.servers.cli.output import Cell, duration, emit, emit_json, is_terminal, table, talk
from clew.servers.cli.start import begin, check_name
from clew.servers.settings import Settings

_ENTER, _CLEAR, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[H\x1b[J", "\x1b[?25h\x1b[?1049l"
"""A screen of its own without a cursor; its top; and back to what was shown before."""

_HEADINGS = ("CONNECTOR", "BUDGET", "LEFT", "NEXT CALL", "STATE", "ALLOWS", "ACCOUNT")
_SOON = 1.0


def show_limits(arguments: Namespace) -> int:
    """Print the table or JSON, once or again and again."""
    settings = begin()
    if arguments.name:
        check_name(arguments.name)
    if arguments.watch and not arguments.json and not is_terminal(sys.stdout):
        raise ConfigurationError("--watch needs a terminal; with --json it prints a line a second.")
    return asyncio.run(_show(settings, arguments))


async def _show(settings: Settings, arguments: Namespace) -> int:
    from clew.servers.store import open_limits

    if not settings.limits and not settings.home.is_dir():
        _print([], arguments)
        return 0
    store = open_limits(settings)
    alone = arguments.watch and not arguments.json
    try:
        if alone:
            print(_ENTER, end="")
        while True:
            _print(await budgets(store, arguments.name), arguments)
            if not arguments.watch:
                return 0
            await asyncio.sleep(1.0)
    finally:
        if alone:
            print(_LEAVE, end="", flush=True)
        await store.close()


def _print(rows: list[dict[str, Any]], arguments: Namespace) -> None:
    if arguments.json:
        if arguments.watch:
            print(json.dumps({"budgets": rows}), flush=True)
        else:
            emit_json({"budgets": rows})
        return
    shown = rows
    if arguments.watch:
        print(_CLEAR, end="")
        shown = rows[: max(shutil.get_terminal_size().lines - 5, 1)]
    table(_HEADINGS, [_cells(row) for row in shown])
    if not rows:
        talk("Nothing has been called in the last hours.")
    if arguments.watch:
        more = f"{len(rows) - len(shown)} more do not fit: name a connector. " if shown != rows else ""
        emit("", f"{time.strftime('%H:%M:%S')}  {more}Ctrl-C ends this.")
        sys.stdout.flush()


async def budgets(store: LimitStore, name: str | None = None) -> list[dict[str, Any]]:
    """What is known of every budget, or of those of one connector."""
    now, found = await store.everything()
    rows = [_row(key, terms, level, now) for key, (terms, level) in sorted(found.items())]
    return [row for row in rows if row and name in (None, row["connector"])]


def _row(key: str, terms: Terms, level: Level, now: float) -> dict[str, Any]:
    """The facts of one budget; empty for a breaker that is closed and for a budget nothing is known of."""
    connector, bucket, principal, thing = (part.replace("%7C", "|") for part in key.split("|"))
    if terms.kind == "circuit" and level.left < TRIPS:
        return {}
    left = standing(terms, level, now)
    wait = max(earliest(terms, level, 1.0, now, 0.0) - now, 0.0)
    if terms.kind == "learned" and left is None and wait <= 0:
        return {}
    size = sized(terms, level)
    amount = level.peak if terms.kind == "learned" else size.amount
    return {
        "connector": connector,
        "budget": f"host {thing}" if terms.kind == "circuit" else " ".join(filter(None, (bucket, thing))),
        "account": principal.removeprefix("local/"),
        "kind": terms.kind,
        "amount": amount or None,
        "per_seconds": None if terms.kind in {"concurrency", "circuit"} else (level.span or size.per),
        "left": None if left is None else round(left, 1),
        "next_call_seconds": None if wait == float("inf") else round(wait, 3),
        "in_use": len([end for end in level.leases.values() if end > now]) if terms.kind == "concurrency" else None,
        "state": _state(terms, level, now, wait),
    }


def _state(terms: Terms, level: Level, now: float, wait: float) -> str:
    if terms.kind == "circuit":
        return "down"
    if level.stop > now:
        return "refused"
    if level.pace > 0:
        return "slowed"
    return "used up" if wait >= _SOON else "open"


def _cells(row: dict[str, Any]) -> list[str | Cell]:
    amount, per, wait = row["amount"], row["per_seconds"], row["next_call_seconds"]
    allows = f"{amount:g}" + ("" if per is None else f" per {duration(per)}") if amount else ""
    if row["kind"] == "concurrency":
        allows += " at once"
    state: str | Cell = row["state"]
    if row["state"] != "open":
        state = Cell(str(row["state"]), "red" if row["state"] == "down" else "yellow")
    if wait is None:
        soon = "when one ends"
    elif wait == 0:
        soon = "now"
    else:
        soon = f"in {wait:.1f} s" if wait < 60 else f"in {duration(wait)}"
    return [
        row["connector"],
        row["budget"],
        "" if row["left"] is None else f"{row['left']:g}",
        soon,
        state,
        allows,
        row["account"],
    ]
