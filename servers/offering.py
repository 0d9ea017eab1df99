"""Which tools a server offers, and under which names."""

from collections.abc import Mapping, Sequence

from clew.core.connector import Connector, Tool
from clew.core.errors import ConfigurationError
from clew.core.policy import Policy
from clew.core.values import dataclass


@dataclass(frozen=True, slots=True)
class Bound:
    """A tool under the name this server offers it by."""

    name: str
    connector: Connector
    tool: Tool


@dataclass(frozen=True, slots=True)
class View:
    """What one address offers: all of a server's tools, or those of one connector under their own names."""

    name: str
    connectors: tuple[Connector, ...]
    tools: Mapping[str, Bound]

    def of(self, connector: Connector) -> "View":
        """The part that is one connector's."""
        own = [each for each in self.tools.values() if each.connector is connector]
        return View(
            connector.name, (connector,), {each.tool.name: Bound(each.tool.name, connector, each.tool) for each in own}
        )

    def without(self, hidden: Sequence[str]) -> "View":
        """The same without some tools."""
        return View(self.name, self.connectors, {name: each for name, each in self.tools.items() if name not in hidden})


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
