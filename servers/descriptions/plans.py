"""One tool as data, and the connector around it: what `live` serves and what `writing` writes."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from difflib import get_close_matches
from typing import Any, Literal

from clew.core.connector import Effect
from clew.core.credentials import Scheme
from clew.core.errors import ConfigurationError
from clew.core.once import Once
from clew.core.outcomes import ErrorMap
from clew.core.pages import Paginator
from clew.core.values import dataclass
from clew.core.versions import Version
from clew.servers.descriptions.envelopes import Part
from clew.servers.descriptions.names import snake
from clew.servers.descriptions.shapes import Shape

Where = Literal["path", "query", "header", "body", "whole"]


@dataclass(frozen=True, slots=True)
class Argument:
    """A parameter of a tool and where its value goes: `wire` is its name there. `joined` lists are sent with commas."""

    name: str
    wire: str
    where: Where
    shape: Shape
    required: bool
    help: str = ""
    joined: bool = False


@dataclass(frozen=True, slots=True)
class Envelope:
    """A SOAP message: what writes it from arguments, its media type and `SOAPAction` (SOAP 1.1), and how the answer is
    read."""

    write: Callable[[Mapping[str, Any]], bytes]
    content_type: str
    action: str
    part: Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One request as a tool. `result` is None when nothing comes back; with `pages` it is the type of an item.

    `fixed` are query parameters with the same value in every request, `form` says that the body is no JSON. With an
    `envelope` it is a SOAP message.
    """

    method: str
    path: str
    arguments: tuple[Argument, ...] = ()
    result: Shape | None = None
    at: str = ""
    pages: Paginator | None = None
    form: bool = False
    fixed: Mapping[str, str] = field(default_factory=dict[str, str])
    scopes: tuple[str, ...] = ()
    once: Once | None = None
    envelope: Envelope | None = None

    def of(self, where: Where) -> tuple[Argument, ...]:
        """The arguments that go there; those of the path in its order."""
        return tuple(each for each in self.arguments if each.where == where)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """An operation that can be a tool. `preview` names the offer whose result a person is shown first."""

    name: str
    operation: str
    method: str
    path: str
    effect: Effect
    doc: str
    toolset: str
    plan: Plan
    preview: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What a description says about an API. `left_out` are operations that are no tools, each with the reason.

    `notes` are for the person: what was not understood, and what was decided.
    """

    name: str
    title: str
    base_url: str
    schemes: tuple[Scheme, ...] = ()
    version: Version | None = None
    errors: ErrorMap = field(default_factory=ErrorMap)
    graphql: str = "/graphql"
    docs: str = ""
    offers: Mapping[str, Offer] = field(default_factory=dict[str, Offer])
    left_out: Mapping[str, str] = field(default_factory=dict[str, str])
    notes: tuple[str, ...] = ()

    def why_left_out(self) -> str:
        """The five commonest reasons, with how many operations each keeps out; empty where none is left out."""
        reasons = Counter(self.left_out.values()).most_common(5)
        return "; ".join(f"{count} because {why}" for why, count in reasons)

    def chosen(self, tools: Sequence[str] = (), toolsets: Sequence[str] = ()) -> list[Offer]:
        """The offers of these names, operation ids, or `METHOD /path`s, those of these toolsets, and the previews they
        need; without any name all. Raises `ConfigurationError` for a name that nothing has."""
        if not tools and not toolsets:
            return list(self.offers.values())
        wanted: dict[str, Offer] = {}
        for name in tools:
            found = [each for each in self.offers.values() if name in _names(each)]
            if not found:
                why = next((why for left, why in self.left_out.items() if f" {left} ".find(f" {name} ") >= 0), "")
                said = f": it is left out, {why}" if why else _near(name, self.offers)
                raise ConfigurationError(f"there is no operation {name[:80]!r}{said}.")
            wanted |= {each.name: each for each in found}
        for toolset in toolsets:
            among = {each.name: each for each in self.offers.values() if each.toolset == snake(toolset)}
            if not among:
                known = sorted({each.toolset for each in self.offers.values() if each.toolset})
                raise ConfigurationError(f"there is no tag {toolset[:80]!r}; there are {', '.join(known) or 'none'}.")
            wanted |= among
        wanted |= {each.preview: self.offers[each.preview] for each in list(wanted.values()) if each.preview}
        return [each for each in self.offers.values() if each.name in wanted]


def _near(name: str, offers: Mapping[str, Offer]) -> str:
    """The tools that may have been meant, for an error. Nobody knows the names of a thousand operations by heart."""
    found = get_close_matches(name[:80].lower(), list(offers), n=3, cutoff=0.6)
    return f"; the nearest: {', '.join(found)}" if found else ""


def _names(offer: Offer) -> tuple[str, ...]:
    return offer.name, offer.operation, f"{offer.method} {offer.path}"
