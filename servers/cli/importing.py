"""`clew new NAME --openapi SPEC`: a description becomes a module that its author owns."""

import re
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path

from clew.core.connector import Effect
from clew.core.errors import ConfigurationError
from clew.core.values import dataclass
from clew.servers.cli.output import emit_json, is_terminal, table, talk
from clew.servers.cli.start import begin
from clew.servers.descriptions.plans import Described, Offer

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_MOST_UNASKED = 40
"""Tools that are written without anybody having chosen them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What of a description is wanted. With `ask` a person at a terminal chooses when nothing is named."""

    tools: Sequence[str] = ()
    tags: Sequence[str] = ()
    effects: Mapping[str, Effect] = field(default_factory=dict[str, Effect])
    auth: str | None = None
    base_url: str | None = None
    ask: bool = False


def new(arguments: Namespace) -> int:
    """Write the module and say what is in it."""
    if not arguments.openapi:
        from clew.servers.cli.scaffolding import scaffold

        return scaffold(arguments)
    begin(http=True)
    target = Path(arguments.output or f"{arguments.name}.py")
    wish = Wish(
        tools=_words(arguments.tools),
        tags=_words(arguments.tags),
        effects=dict(map(_effect, arguments.effect)),
        auth=arguments.auth,
        base_url=arguments.base_url,
        ask=not arguments.yes,
    )
    found, offers = write_connector_from_openapi(arguments.name, arguments.openapi, target, wish)
    if arguments.json:
        emit_json(
            {
                "file": str(target),
                "tools": [
                    {"name": each.name, "effect": each.effect.value, "operation": each.operation} for each in offers
                ],
                "left_out": dict(found.left_out),
                "notes": list(found.notes),
            }
        )
        return 0
    table(("TOOL", "EFFECT", "FROM"), [(each.name, each.effect.value, f"{each.method} {each.path}") for each in offers])
    for each in found.notes:
        talk(f"Note: {each}.")
    if not found.schemes:
        talk("Note: no way to authenticate is declared; add auth=Bearer() or the like if the API wants one.")
    if found.left_out:
        talk(f"No tools: {found.why_left_out()}.")
    talk(f"Wrote {target}. It is yours: read it, then try: clew show ./{target}")
    return 0


def write_connector_from_openapi(name: str, spec: str, target: Path, wish: Wish) -> tuple[Described, list[Offer]]:
    """Write the connector module `target` from an OpenAPI description; what was found, and what became tools.

    `spec` is a file or an https address. Raises `ConfigurationError`, also when `target` is there already.
    """
    from clew.servers.descriptions.openapi import OPTIONS, described
    from clew.servers.descriptions.sources import Source, content_of, document_of, read_source
    from clew.servers.descriptions.writing import module_of

    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"connector name {name[:60]!r}: use lower-case letters, digits and _, at most 40.")
    if target.exists():
        raise ConfigurationError(f"{target} is there already; nothing was written.")
    source = read_source(spec, OPTIONS)
    said = {key: value for key, value in (("auth", wish.auth), ("base_url", wish.base_url)) if value}
    source = Source(source.place, {**source.options, **said})
    root = document_of(content_of(source), source.place)
    found = described(root, source, name=name, anywhere=True, effects=wish.effects)
    tools, tags = wish.tools, wish.tags
    if not tools and not tags and len(found.offers) > 1:
        if wish.ask and is_terminal(sys.stdin):
            tools, tags = _asked(found)
        elif len(found.offers) > _MOST_UNASKED:
            raise ConfigurationError(
                f"the description has {len(found.offers)} operations: choose with --tools or --tags. "
                f"'clew show openapi:{source.place}' lists them."
            )
    offers = found.chosen(tools, tags)
    if not offers:
        raise ConfigurationError("the description has no operation that can be a tool.")
    try:
        target.write_text(module_of(found, offers, source=Path(source.place).name), encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{target} cannot be written: {error.strerror}.") from None
    return found, offers


def _asked(found: Described) -> tuple[list[str], list[str]]:
    """What a person at the terminal chooses: tools and tags. Raises `ConfigurationError` for nothing of a long list."""
    tags = Counter(each.toolset for each in found.offers.values() if each.toolset)
    if len(found.offers) <= _MOST_UNASKED or not tags:
        talk(*(f"  {each.name:<40}  {each.effect.value:<11}  {each.doc}" for each in found.offers.values()))
    else:
        talk(
            f"{len(found.offers)} operations with these tags:", *(f"  {tag:<40} {count}" for tag, count in tags.items())
        )
    print("Which tools or tags, separated by commas (nothing: all)? ", end="", file=sys.stderr, flush=True)
    words = _words(sys.stdin.readline())
    if not words and len(found.offers) > _MOST_UNASKED:
        raise ConfigurationError(f"{len(found.offers)} tools are more than an agent can use; nothing was written.")
    return [each for each in words if each not in tags], [each for each in words if each in tags]


def _words(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _effect(text: str) -> tuple[str, Effect]:
    tool, _, effect = text.partition("=")
    if not tool or effect not in {each.value for each in Effect}:
        raise ConfigurationError(f"--effect wants TOOL=read, TOOL=write or TOOL=destructive, not {text[:60]!r}.")
    return tool, Effect(effect)
