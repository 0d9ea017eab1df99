"""The commands of `clew webhooks`."""

from clew.servers.cli.grammar import Commands, Help, Parser
from clew.servers.cli.receiving_commands import add_receiving


def add_webhooks(commands: Commands) -> None:
    """`clew webhooks`."""
    webhooks = commands.add_parser(
        "webhooks",
        help="receive what providers send, and see that they do",
        description="Receive what providers send: verified, stored, joined to the call it confirms.",
        epilog="example:\n  clew webhooks serve",
        formatter_class=Help,
        allow_abbrev=False,
    )
    webhooks.set_defaults(takes="set")
    verbs = webhooks.add_subparsers(title="commands", dest="verb", metavar="COMMAND", parser_class=Parser)
    add_receiving(verbs)
