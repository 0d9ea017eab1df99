"""`clew show`: what one connector lets an agent do."""

import asyncio
from argparse import Namespace
from typing import Any

from clew.auth.advice import connect_command
from clew.auth.connections import Status
from clew.core.connector import Connector, Effect, Tool
from clew.core.credentials import Scheme
from clew.core.errors import quote
from clew.core.registry import load
from clew.servers.budget import BUDGET_TOKENS, tool_tokens, warning
from clew.servers.cli.output import emit, emit_json, facts, table, talk
from clew.servers.cli.start import begin
from clew.servers.settings import Settings
from clew.servers.store import stored_status

_LEFT_OUT = 20
"""Operations that are no tools, of which this many are listed."""


def show_connector(arguments: Namespace) -> int:
    """One connector's facts, its tools and, on request, the stages of a call."""
    settings = begin(tenant=arguments.tenant)
    connector = load(arguments.name)
    stages = _stages() if arguments.stages else []
    if arguments.tokens:
        return _show_tokens(connector, arguments.json)
    stored = asyncio.run(stored_status(settings, connector.name))
    if arguments.json:
        data = _facts(connector, settings)
        for entry in data["tools"]:
            entry["lacks"] = list(_lacks(connector.tools[entry["name"]], stored))
        emit_json(data | ({"stages": stages} if stages else {}))
        return 0
    _print_facts(connector, settings)
    emit("")
    rows = [
        (tool.name, tool.effect.value, _confirm(connector, tool) or "-", tool.toolset, tool.description)
        for tool in connector.tools.values()
    ]
    table(("TOOL", "EFFECT", "CONFIRM", "TOOLSET", "DESCRIPTION"), rows)
    hidden = {tool.name: lacks for tool in connector.tools.values() if (lacks := _lacks(tool, stored))}
    if hidden:
        scopes = dict.fromkeys(scope for status in stored for scope in status.scopes)
        scopes |= dict.fromkeys(scope for lacks in hidden.values() for scope in lacks)
        named = ", ".join(f"{name} ({', '.join(lacks)})" for name, lacks in hidden.items())
        emit("", f"Not offered to agents, because no account was granted what they need: {named}.")
        emit(f"To offer them: {connect_command('oauth2', connector.name)} --scopes {','.join(scopes)}")
    _print_left_out(connector)
    if stages:
        emit("", "A call walks through these stages:", *(f"  {stage}" for stage in stages))
    return 0


def _print_left_out(connector: Connector) -> None:
    """What of a description is no tool, and why."""
    if not connector.left_out:
        return
    emit("", f"No tools, of the description's operations: {len(connector.left_out)}.")
    table(("OPERATION", "WHY"), [(quote(name, 80), why) for name, why in list(connector.left_out.items())[:_LEFT_OUT]])
    if len(connector.left_out) > _LEFT_OUT:
        emit(f"… and {len(connector.left_out) - _LEFT_OUT} more; --json names all.")


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


def _lacks(tool: Tool, stored: list[Status]) -> tuple[str, ...]:
    """The scopes that every connected account lacks for this tool; nothing where one has them or nobody knows."""
    missing = [tool.lacks(frozenset(each.scopes) if each.kind == "oauth2" and each.scopes else None) for each in stored]
    return min(missing, key=len) if missing and all(missing) else ()


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
            {name: getattr(limits, name) for name in ("remaining", "used", "reset", "packed", "unit", "bucket")}
            if limits
            else None
        ),
        "rate_limits": [
            {"name": each.name, "kind": each.kind, "amount": each.amount, "per_seconds": each.per}
            for each in declared.limits
        ],
        "docs": connector.docs or None,
        "left_out": dict(connector.left_out),
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
            ("rate limit", "; ".join(map(_budget, data["rate_limits"]))),
            ("told in", _told_in(limits) if limits else ""),
            ("docs", connector.docs),
        ]
    )


def _budget(limit: dict[str, Any]) -> str:
    name = f" ({limit['name']})" if limit["name"] else ""
    if limit["kind"] == "concurrency":
        return f"{limit['amount']:g} at once{name}"
    return f"{limit['amount']:.10g} in {limit['per_seconds']:.10g} s{name}"


def _told_in(limits: dict[str, Any]) -> str:
    """Which headers say what is left."""
    names = [limits[key] for key in ("remaining", "used", "reset", "packed") if limits[key]]
    unit = f" ({limits['unit']})" if limits["reset"] else ""
    return ", ".join(names) + unit


def _way_in(connector: Connector, scheme: dict[str, Any]) -> str:
    verb = "login" if scheme["kind"] == "oauth2" else "set"
    scopes = f"; scopes: {', '.join(scheme['scopes'])}" if scheme["scopes"] else ""
    where = f"; get it at: {scheme['help']}" if scheme["help"] else ""
    return f"clew auth {verb} {connector.name}{where}{scopes}"
