"""What every command line is made of. Nothing heavy is imported here: every start pays for it."""

import argparse
from typing import Any, NoReturn, Protocol

from clew.core.errors import ConfigurationError

_HERE = "clew.servers.cli"


class UsageError(ConfigurationError):
    """The command line itself is wrong."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one sentence."""

    def error(self, message: str) -> NoReturn:
        """Raise `UsageError` instead of printing the usage."""
        raise UsageError(f"{message}. See: {self.prog} --help")


class Help(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of an epilog, and gives the longest command room on its line."""

    def __init__(self, prog: str, **options: Any) -> None:
        super().__init__(prog, **{"max_help_position": 30, **options})
        self._action_max_length = 14  # argparse forgets how far it indents the commands


class Commands(Protocol):
    """Where commands are added: the program itself, or a command that has some of its own."""

    def add_parser(self, name: str, **options: Any) -> Parser:
        """Add one."""
        ...


def add(
    commands: Commands, name: str, run: str, help: str, *examples: str, more: str = "", json: bool = True
) -> Parser:
    """A command. `run` is `module:function` in this package, called with the parsed arguments."""
    parser = commands.add_parser(
        name,
        help=help,
        description=" ".join(filter(None, (help[0].upper() + help[1:] + ".", more))),
        epilog="\n".join(["example:" if len(examples) == 1 else "examples:", *(f"  {each}" for each in examples)]),
        formatter_class=Help,
        allow_abbrev=False,
    )
    parser.set_defaults(run=f"{_HERE}.{run}")
    if json:
        parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def completed(action: argparse.Action, words: str, *, after: int = 0) -> argparse.Action:
    """Let the shell ask `clew completion --words` for an argument; `after` is the word that names the connector."""
    ask = f"clew completion --words {words}"
    own = f":(commandline -opc)[{after + 1}]" if after else ""
    ways = {"bash": f"_clew_{words}", "zsh": f"_clew_{words}", "fish": f"({ask}{own})"}
    setattr(action, "complete", ways if after else {**ways, "tcsh": f"`{ask}`"})  # noqa: B010 - shtab looks for it
    return action


def name(parser: Parser, help: str = "the connector", **options: Any) -> None:
    """The argument that names a connector; the shell can complete it."""
    completed(parser.add_argument("name", metavar="NAME", help=help, **options), "connectors")


def account(parser: Parser, help: str = "which account, when there are several") -> None:
    """The options that name an account: its tenant's, by its name."""
    parser.add_argument("--account", metavar="A", help=help)
    tenant(parser)


def tenant(parser: Parser) -> None:
    """The option that names a tenant."""
    parser.add_argument("--tenant", metavar="T", help="whose accounts; needed once several tenants have some here")
