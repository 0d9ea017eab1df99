"""`clew list`: which connectors there are, what they let an agent do, and whose accounts are connected.

What stands in the index of our own connectors is not imported for a list; everybody else's modules are.
"""

import asyncio
from argparse import Namespace
from collections.abc import Sequence
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

from clew.auth.advice import connect_command
from clew.core.errors import ConfigurationError
from clew.core.registry import discover
from clew.servers.cli.output import Cell, ago, emit_json, table, talk
from clew.servers.cli.start import begin
from clew.servers.connector_index import Listed, indexed, listed
from clew.servers.settings import Settings

if TYPE_CHECKING:
    from clew.auth.connections import Status


def list_connectors(arguments: Namespace) -> int:
    """Every connector, also one that cannot be loaded."""
    settings = begin(tenant=arguments.tenant)
    stored = _stored(settings)
    known = indexed()
    entries = [
        _entry(found, known.get(found.value), [each for each in stored if each.connector == name])
        for name, found in discover().items()
    ]
    if not arguments.all:
        entries = [entry for entry in entries if entry["state"] == "broken" or any(entry["tools"].values())]
    if arguments.json:
        emit_json(entries)
    elif entries:
        table(("CONNECTOR", "TOOLS", "ACCOUNTS", "STATE"), [_row(entry) for entry in entries])
    else:
        talk("No connector is installed, or CLEW_CONNECTORS lets none through.")
    return 0


def entry_of(name: str, tenant: str | None = None) -> dict[str, Any] | None:
    """What the list says of one connector; None when there is none of this name."""
    found = discover().get(name)
    if found is None:
        return None
    stored = [each for each in _stored(begin(tenant=tenant)) if each.connector == name]
    return _entry(found, indexed().get(found.value), stored)


def _stored(settings: Settings) -> "Sequence[Status]":
    """The stored accounts. Without a database nothing of the vault needs to be imported."""
    if not settings.has_database():
        return ()
    from clew.servers.store import stored_status

    return asyncio.run(stored_status(settings))


def _entry(found: EntryPoint, facts: Listed | None, stored: "Sequence[Status]") -> dict[str, Any]:
    accounts = [{"account": each.account, "state": each.state, "identity": each.identity} for each in stored]
    entry: dict[str, Any] = {"name": found.name, "title": "", "tools": {}, "accounts": accounts}
    try:
        facts = facts or listed(found)
    except ConfigurationError as error:
        return entry | {"state": "broken", "detail": str(error)}
    except Exception as error:  # somebody else's module, and the list must not die of it
        return entry | {"state": "broken", "detail": f"cannot be loaded: {type(error).__name__}"}
    return entry | {"title": facts["title"], "tools": facts["tools"], **_state(found.name, facts, stored)}


def _state(name: str, facts: Listed, stored: "Sequence[Status]") -> dict[str, str]:
    broken = [each for each in stored if each.state != "ready"]
    if facts["kind"] is None:
        return {"state": "ready", "detail": "ready, needs no account"}
    if not stored:
        return {"state": "not connected", "detail": f"not connected: {connect_command(facts['kind'], name)}"}
    if not broken:
        return {"state": "ready", "detail": "ready"}
    first = broken[0]
    when = f" {ago(first.refused_at)}" if first.refused_at else ""
    return {"state": first.state, "detail": f"{first.account}: {first.state}{when}: {first.next_step}"}


def _row(entry: dict[str, Any]) -> list[str | Cell]:
    effects = {"read": "read", "write": "write", "destructive": "destr."}
    tools = "  ".join(f"{count:2} {effects[effect]}" for effect, count in entry["tools"].items() if count)
    accounts = ", ".join(each["account"] for each in entry["accounts"])
    detail = entry["detail"]
    if entry["state"] in ("broken", "refused", "damaged", "expired"):
        return [entry["name"], tools, accounts, Cell(detail, "red")]
    return [entry["name"], tools, accounts, detail if entry["state"] == "ready" else Cell(detail, "yellow")]
