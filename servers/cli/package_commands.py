"""`clew package`, its options and its help."""

from clew.servers.cli.grammar import Commands, Help, Parser, add, name


def add_package(commands: Commands) -> None:
    """`clew package mcpb` and `clew package registry`."""
    package = commands.add_parser(
        "package",
        help="make a bundle or a registry entry of a connector",
        description="Make a bundle or a registry entry of a connector. Neither holds a secret.",
        epilog="example:\n  clew package mcpb github",
        formatter_class=Help,
        allow_abbrev=False,
    )
    package.set_defaults(takes="mcpb")
    kinds = package.add_subparsers(title="commands", dest="verb", metavar="COMMAND", parser_class=Parser)
    bundle = add(
        kinds,
        "mcpb",
        "packaging:make_bundle",
        "write an MCPB bundle, which a person installs by opening it",
        "clew package mcpb github",
        "clew package mcpb github --output dist/github.mcpb",
        more="The host makes the environment with uv. No secret is in it and none is asked for.",
    )
    name(bundle, "an installed connector")
    bundle.add_argument("--output", metavar="FILE", default="", help="where to write it; NAME.mcpb unless given")
    entry = add(
        kinds,
        "registry",
        "packaging:show_entry",
        "print the server.json that registries of MCP servers take",
        "clew package registry github --namespace io.github.you",
        "clew package registry github --namespace com.example --url https://mcp.example.com/github/mcp",
    )
    name(entry, "an installed connector")
    entry.add_argument("--namespace", metavar="NAME", required=True, help="yours, in reverse DNS: io.github.you")
    entry.add_argument("--url", metavar="URL", default="", help="where it is served over HTTP")
