"""Which tools a server offers, and under which names."""

from collections.abc import Sequence
from dataclasses import dataclass

from clew.core.connector import Connector, Tool
from clew.core.errors import ConfigurationError
from clew.core.policy import Policy


@dataclass(frozen=True, slots=True)
class Bound:
    """A tool under the name this server offers it by."""

    name: str
    connector: Connector
    tool: Tool


def select_tools(connectors: Sequence[Connector], *, policy: Policy, only: Sequence[str] = ()) -> dict[str, Bound]:
    """The tools a server offers, by name; with several connectors the names carry the connector's as prefix.

    `only` keeps the named tools and toolsets, prefixed or not. Raises `ConfigurationError` for a name that is neither.
    """
    unknown = set(only)
    offered: dict[str, Bound] = {}
    for connector in connectors:
        for tool in connector.tools.values():
            name = tool.name if len(connectors) == 1 else f"{connector.name}_{tool.name}"
            names = {tool.name, tool.toolset}
            matched = (names | {f"{connector.name}_{each}" for each in names}) & set(only)
            unknown -= matched
            if (matched or not only) and policy.shows(tool):
                offered[name] = Bound(name, connector, tool)
    if unknown:
        known = sorted({tool.toolset for each in connectors for tool in each.tools.values() if tool.toolset})
        raise ConfigurationError(
            f"no tool or toolset is called {', '.join(sorted(unknown))}. Toolsets: {', '.join(known) or 'none'}; "
            f"'clew show {connectors[0].name}' lists the tools."
        )
    return offered
