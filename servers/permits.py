"""Which tools a scope opens: the table `[http.scopes]` of `clew.toml`."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from fnmatch import fnmatchcase

from clew.core.connector import Effect
from clew.core.errors import ConfigurationError
from clew.core.values import dataclass
from clew.servers.offering import Bound

_EFFECTS = {each.value for each in Effect}


@dataclass(frozen=True, slots=True)
class Permits:
    """Patterns by scope: `github`, `github.issues` (a toolset), `github.list_issues`, each with `*`, and after a colon
    the effect (`*:read`). Without any, a good token opens everything."""

    scopes: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    def __bool__(self) -> bool:
        return bool(self.scopes)

    def opening(self, bound: Bound) -> list[str]:
        """The scopes that open a tool, in the order of the table."""
        return [scope for scope, patterns in self.scopes.items() if any(_fits(each, bound) for each in patterns)]

    def lacks(self, bound: Bound, scopes: Sequence[str]) -> tuple[str, ...]:
        """The scope that a caller with `scopes` needs besides to call the tool; nothing when it may."""
        opening = self.opening(bound) if self.scopes else []
        return () if not opening or not set(opening).isdisjoint(scopes) else (opening[0],)

    def offers(self, bound: Bound) -> bool:
        """Does any scope open it? A tool that none opens is nobody's over HTTP."""
        return not self.scopes or bool(self.opening(bound))


def read_permits(scopes: Mapping[str, tuple[str, ...]], offered: Sequence[Bound]) -> Permits:
    """The table, checked against the tools. Raises `ConfigurationError` for a pattern that fits none of them."""
    for scope, patterns in scopes.items():
        for pattern in patterns:
            _, colon, effect = pattern.partition(":")
            if colon and effect not in _EFFECTS:
                known = ", ".join(sorted(_EFFECTS))
                raise ConfigurationError(f"http.scopes.{scope}: {pattern!r} names no effect; there are: {known}.")
            if not any(_fits(pattern, each) for each in offered):
                raise ConfigurationError(f"http.scopes.{scope}: {pattern!r} fits no tool that is served.")
    return Permits(dict(scopes))


def _fits(pattern: str, bound: Bound) -> bool:
    names, _, effect = pattern.partition(":")
    connector, dot, inside = names.partition(".")
    if effect not in ("", bound.tool.effect.value) or not fnmatchcase(bound.connector.name, connector):
        return False
    return not dot or fnmatchcase(bound.tool.name, inside) or fnmatchcase(bound.tool.toolset, inside)
