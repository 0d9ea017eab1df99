"""The command `clew console`."""

from clew.servers.cli.grammar import Commands, Parser, add


def add_console(commands: Commands) -> None:
    """`clew console` and `clew console link`."""
    console = add(
        commands, "console", "consoling:serve_console", "open the pages for approvals, connections and audit",
        "clew console", "clew console --http 127.0.0.1:9000 --no-browser", "clew console link",
        more="It serves them on loopback until Ctrl-C. A link opens them that is good once, for five minutes.",
        json=False,
    )  # fmt: skip
    console.add_argument(
        "--http", metavar="HOST:PORT", default="127.0.0.1:8767", help="where; 127.0.0.1:8767 unless given"
    )
    console.add_argument("--no-browser", action="store_true", help="only print the link")
    verbs = console.add_subparsers(title="commands", dest="verb", metavar="COMMAND", parser_class=Parser)
    add(
        verbs, "link", "consoling:print_link", "print a new link to the console that runs", "clew console link",
        more="Needs a terminal: the link lets whoever opens it decide in your name.",
    )  # fmt: skip
