"""`clew new`, its options and its help."""

from clew.servers.cli.grammar import Commands, add


def add_new(commands: Commands) -> None:
    """Add the command."""
    new = add(
        commands,
        "new",
        "importing:new",
        "write a connector that you own: a package to fill, or a module from the description of an API",
        "clew new billing",
        "clew new billing --base-url https://api.billing.example --resource invoice --yes",
        "clew new billing --openapi billing.yaml",
        "clew new gh --openapi api.github.com.json --tools list_issues_for_repo,create_issue --auth bearer",
        "clew new shop --openapi https://shop.example/openapi.json --tags orders --effect search_orders=read",
        more="Without --openapi it asks what it has to know; what it writes passes clew check, its own tests and mypy. "
        "With it, and without --tools and --tags, it asks which operations you want; "
        "'clew show openapi:FILE' lists them.",
    )
    new.add_argument("name", metavar="NAME", help="the connector's name: lower-case letters, digits and _")
    new.add_argument("--base-url", metavar="URL", help="where the API is, whatever a description says")
    new.add_argument(
        "--auth", metavar="KIND", help="bearer, basic, api_key:HEADER or none, whatever a description says"
    )
    new.add_argument("--pages", metavar="STYLE", help="of a package: how the API pages: cursor, link, number, next_url")
    new.add_argument(
        "--resource", metavar="WORD", help="of a package: the first thing that agents want to see: invoice"
    )
    new.add_argument("--openapi", metavar="SPEC", help="an OpenAPI 3 or Swagger 2 description, a file or https://…")
    new.add_argument("--tools", metavar="A,B", default="", help="these tools: names, operation ids, or 'GET /path'")
    new.add_argument("--tags", metavar="T,U", default="", help="all tools with these tags")
    new.add_argument("--effect", action="append", default=[], metavar="TOOL=EFFECT", help="read, write or destructive")
    new.add_argument("--output", metavar="PATH", help="where to write it; clew-NAME, or NAME.py with --openapi")
    new.add_argument("--yes", action="store_true", help="ask nothing")
