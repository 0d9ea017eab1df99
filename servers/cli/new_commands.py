"""`clew new`, its options and its help."""

from clew.servers.cli.grammar import Commands, add


def add_new(commands: Commands) -> None:
    """Add the command."""
    new = add(
        commands,
        "new",
        "scaffolding:scaffold",
        "write a package for a connector of your own",
        "clew new billing",
        "clew new billing --base-url https://api.billing.example --resource invoice --yes",
        more="It asks what it has to know. What it writes passes clew check, its own tests and mypy.",
    )
    new.add_argument("name", metavar="NAME", help="the connector's name: lower-case letters, digits and _")
    new.add_argument("--base-url", metavar="URL", help="where the API is")
    new.add_argument("--auth", metavar="KIND", help="bearer, basic, api_key:HEADER or none")
    new.add_argument("--pages", metavar="STYLE", help="how the API pages: cursor, link, number or next_url")
    new.add_argument("--resource", metavar="WORD", help="the first thing that agents want to see: invoice")
    new.add_argument("--output", metavar="FOLDER", help="where to write it; clew-NAME unless given")
    new.add_argument("--yes", action="store_true", help="ask nothing")
