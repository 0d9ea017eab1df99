"""`clew list` and `clew show`: which connectors there are and what they let an agent do."""

import asyncio
from argparse import Namespace
from collections import Counter
from typing import Any

from clew.auth.advice import connect_command
from clew.auth.authorizer import preferred_kind
from clew.auth.connections import Status
from clew.core.connector import Connector, Effect, Tool
from clew.core.credentials import Scheme
from clew.core.errors import ConfigurationError
from clew.core.registry import discover, load
from clew.servers.budget import BUDGET_TOKENS, tool_tokens, warning
from clew.servers.cli.output import Cell, ago, emit, emit_json, facts, table, talk
from clew.servers.cli.start import begin
from clew.servers.settings import Settings
from clew.servers.store import stored_status


def list_connectors(arguments: Namespace) -> int:
    """Every connector, also one that cannot be loaded."""
    settings = begin()
    stored = asyncio.run(stored_status(settings))
    entries = [_entry(name, [each for each in stored if each.connector == name]) for name in discover()]
    if not arguments.all:
        entries = [entry for entry in entries if entry["state"] == "broken" or any(entry["tools"].values())]
    if arguments.json:
        emit_json(entries)
    elif entries:
        table(("CONNECTOR", "TOOLS", "ACCOUNTS", "STATE"), [_row(entry) for entry in entries])
    else:
        talk("No connector is installed, or CLEW_CONNECTORS lets none through.")
    return 0


def _entry(name: str, stored: list[Status]) -> dict[str, Any]:
    accounts = [{"account": each.account, "state": each.state, "identity": each.identity} for each in stored]
    entry: dict[str, Any] = {"name": name, "title": "", "tools": {}, "accounts": accounts}
    try:
        connector = load(name)
    except ConfigurationError as error:
        return entry | {"state": "broken", "detail": str(error)}
    except Exception as error:  # somebody else's module, and the list must not die of it
        return entry | {"state": "broken", "detail": f"cannot be loaded: {type(error).__name__}"}
    effects = Counter(tool.effect.value for tool in connector.tools.values())
    return entry | {
        "title": connector.title or name,
        "tools": {effect.value: effects[effect.value] for effect in Effect},
        **_state(connector, stored),
    }


def _state(connector: Connector, stored: list[Status]) -> dict[str, str]:
    broken = [each for each in stored if each.state != "ready"]
    if not connector.schemes:
        return {"state": "ready", "detail": "ready, needs no account"}
    if not stored:
        command = connect_command(preferred_kind(connector.schemes), connector.name)
        return {"state": "not connected", "detail": f"not connected: {command}"}
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


def show_connector(arguments: Namespace) -> int:
    """One connector's facts, its tools and, on request, the stages of a call."""
    settings = begin()
    connector = load(arguments.name)
    stages = _stages() if arguments.stages else []
    if arguments.tokens:
        return _show_tokens(connector, arguments.json)
    if arguments.json:
        emit_json(_facts(connector, settings) | ({"stages": stages} if stages else {}))
        return 0
    _print_facts(connector, settings)
    emit("")
    rows = [
        (tool.name, tool.effect.value, _confirm(connector, tool) or "-", tool.toolset, tool.description)
        for tool in connector.tools.values()
    ]
    table(("TOOL", "EFFECT", "CONFIRM", "TOOLSET", "DESCRIPTION"), rows)
    if stages:
        emit("", "A call walks through these stages:", *(f"  {stage}" for stage in stages))
    return 0


def _show_tokens(connector: Connector, as_json: bool) -> int:
    costs = sorted(((tool_tokens(tool), name) for name, tool in connector.tools.items()), reverse=True)
    total, heavy = sum(cost for cost, _ in costs), warning(connector.tools.values())
    if as_json:
        emit_json({"tools": {name: cost for cost, name in costs}, "total": total, "budget": BUDGET_TOKENS})
        return 0
    table(("TOOL", "TOKENS"), [*((name, str(cost)) for cost, name in costs), ("all", str(total))])
    if heavy:
        talk(f"clew: {heavy}")
    return 0


def _confirm(connector: Connector, tool: Tool) -> str | None:
    """When a person is asked: `always`, `sometimes` by the arguments, or None for never."""
    if tool.effect is Effect.DESTRUCTIVE:
        return "always"
    return "sometimes" if tool.name in connector.asking else None


def _stages() -> list[str]:
    from clew.core.call import Walk

    return str(Walk()).splitlines()


def _facts(connector: Connector, settings: Settings) -> dict[str, Any]:
    version, declared = connector.version, connector.declared
    limits = declared.signals[0] if declared.signals else None
    return {
        "name": connector.name,
        "title": connector.title or connector.name,
        "base_url": settings.of(connector.name).base_url or connector.base_url,
        "base_url_declared": connector.base_url,
        "version": version.value if version else None,
        "version_sent_as": (version.header or version.parameter) if version else None,
        "auth": [_scheme(scheme) for scheme in connector.schemes],
        "identity_call": connector.identify is not None,
        "rate_limit_headers": (
            {"remaining": limits.remaining, "reset": limits.reset, "unit": limits.unit, "bucket": limits.bucket}
            if limits
            else None
        ),
        "rate_limits": [
            {"name": each.name, "kind": each.kind, "amount": each.amount, "per_seconds": each.per}
            for each in declared.limits
        ],
        "docs": connector.docs or None,
        "tools": [
            {
                "name": tool.name,
                "effect": tool.effect.value,
                "confirm": _confirm(connector, tool) or "never",
                "preview": getattr(tool.preview, "__name__", None),
                "toolset": tool.toolset or None,
                "description": tool.description,
                "input_schema": tool.signature.input_schema,
            }
            for tool in connector.tools.values()
        ],
    }


def _scheme(scheme: Scheme) -> dict[str, Any]:
    scopes = getattr(scheme, "scopes", ())
    return {"kind": scheme.kind, "scopes": list(scopes), "help": getattr(scheme, "help", "") or None}


def _print_facts(connector: Connector, settings: Settings) -> None:
    data = _facts(connector, settings)
    override = data["base_url"] != connector.base_url
    limits = data["rate_limit_headers"]
    facts(
        [
            ("connector", f"{data['title']} ({connector.name})" if connector.title else connector.name),
            ("base URL", data["base_url"] + (f" (configured; declared: {connector.base_url})" if override else "")),
            ("API version", f"{data['version']} ({data['version_sent_as']})" if data["version"] else ""),
            *[(f"auth {scheme['kind']}", _way_in(connector, scheme)) for scheme in data["auth"]],
            ("auth", "" if connector.schemes else "none needed"),
            ("rate limit", f"{limits['remaining']}, {limits['reset']} ({limits['unit']})" if limits else ""),
            ("docs", connector.docs),
        ]
    )


def _way_in(connector: Connector, scheme: dict[str, Any]) -> str:
    verb = "login" if scheme["kind"] == "oauth2" else "set"
    scopes = f"; scopes: {', '.join(scheme['scopes'])}" if scheme["scopes"] else ""
    where = f"; get it at: {scheme['help']}" if scheme["help"] else ""
    return f"clew auth {verb} {connector.name}{where}{scopes}"
