"""Reading a command line: what argparse leaves over is explained, or refused in words that repeat no secret."""

import argparse
import difflib
import re
from collections.abc import Sequence

from clew.servers.cli.parser import UsageError, build


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The parsed command line. Raises `UsageError`; leaves with `SystemExit` after `--help` and `--version`."""
    words = list(arguments)
    if words[:1] == ["help"]:
        words = [*words[1:], "--help"]
    parser = build()
    _check_commands(parser, words)
    known, extras = parser.parse_known_args(words)
    rest: str | None = getattr(known, "rest", None)
    if rest and not any(word.startswith("-") for word in extras):
        getattr(known, rest).extend(extras)  # words after an option: argparse has closed the list by then
    elif extras:
        raise UsageError(_refusal(known, extras))
    return known


def _check_commands(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    """Name the nearest command for one that does not exist; a bare group shows its help."""
    for position in (0, 1, 2):
        choices = subcommands(parser)
        if not choices:
            return
        if len(words) == position and parser.get_default("run"):
            return  # the group's own name does something
        if len(words) == position:
            parser.print_help()
            raise SystemExit(0)
        if words[position].startswith("-"):
            return
        if words[position] not in choices:
            near = difflib.get_close_matches(words[position], choices, n=3, cutoff=0.5)
            hint = f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(choices)}."
            raise UsageError(f"{parser.prog} has no command {words[position][:40]!r}. {hint}")
        parser = choices[words[position]]


def _refusal(known: argparse.Namespace, extras: Sequence[str]) -> str:
    """Why left-over arguments are refused. After `clew auth` their values may be secrets and are not repeated."""
    if getattr(known, "name", None) is None or known.command != "auth":
        place = f"clew {known.command}" if known.command else "clew"
        shown = extras if known.command != "auth" else [word.partition("=")[0][:20] for word in extras[:1]]
        return f"unrecognised arguments: {' '.join(shown)}. See: {place} --help"
    options = [word.partition("=")[0] for word in extras if re.match(r"--[a-z][a-z-]{0,20}(=|$)", word)]
    named = f" ({', '.join(options)})" if options else ""
    name = getattr(known, "name", None) or "NAME"
    return (
        f"clew auth {known.verb} does not take this{named}: a secret on the command line can be read by other programs "
        f"and stays in the shell's history. Run 'clew auth {known.takes} {name}' and paste it at the prompt, or "
        f"send it to standard input: clew auth {known.takes} {name} < token.txt. Replace "
        "the secret if it was a real one."
    )


def subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The commands below `parser` by name."""
    for action in parser._actions:  # pyright: ignore[reportPrivateUsage] - there is no public way
        if isinstance(action, argparse._SubParsersAction):  # pyright: ignore[reportPrivateUsage]
            return dict(action.choices)  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
    return {}
