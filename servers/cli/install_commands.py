"""The commands `clew install`, `clew uninstall` and `clew doctor`."""

from clew.servers.cli.grammar import Commands, Parser, account, add, completed


def add_install(commands: Commands) -> None:
    """`clew install`, `clew uninstall` and `clew doctor`."""
    install = add(
        commands,
        "install",
        "installing:install",
        "put connectors into an agent host: Claude, Cursor, VS Code, …",
        "clew install cursor github",
        "clew install --all-detected github slack",
        "clew install codex github --read-only --print",
        "clew install claude-code --check",
        more="Without arguments it shows the hosts, and what each has of clew. The host's file keeps its comments and "
        "its order, a copy is kept beside it, and no secret is written: credentials stay in the vault.",
    )
    _targets(install)
    install.add_argument("--check", action="store_true", help="then let the host, and clew itself, prove that it works")
    install.add_argument("--print", dest="show", action="store_true", help="print the entry and write nothing")
    install.add_argument(
        "--link", action="store_true", help="print a link that makes the host ask (cursor, vscode, goose)"
    )
    install.add_argument("--as", dest="alias", metavar="N", help="one server of this name, with all the connectors")
    install.add_argument("--replace", action="store_true", help="also when an entry of this name is not clew's")
    install.add_argument("--url", metavar="URL", help="a running `clew serve --http`, instead of starting one")
    install.add_argument("--read-only", action="store_true", help="offer only tools that change nothing")
    install.add_argument("--allow-writes", action="store_true", help="do not ask before tools that can be undone")
    install.add_argument("--discover", action="store_true", help="offer three tools that search, describe and call all")
    install.add_argument("--tools", metavar="A,B", default="", help="offer only these tools or toolsets")
    account(install)
    uninstall = add(
        commands,
        "uninstall",
        "installing:uninstall",
        "take connectors out of an agent host",
        "clew uninstall cursor github",
        "clew uninstall --all-detected --all",
        more="Only entries that start clew are touched.",
    )
    _targets(uninstall)
    uninstall.add_argument("--all", action="store_true", help="everything that starts clew")

    doctor = add(
        commands,
        "doctor",
        "doctoring:doctor",
        "look whether everything here is as it should be, and say what helps",
        "clew doctor",
        "clew doctor --offline --json",
        more="It looks at the program, the settings, the vault, the accounts, the hosts and the providers, and changes "
        "nothing.",
    )
    doctor.add_argument("--offline", action="store_true", help="ask no provider")


def _targets(parser: Parser) -> None:
    names = parser.add_argument("names", nargs="*", metavar="NAME", help="the host, then the connectors")
    completed(names, "hosts")
    parser.set_defaults(rest="names")
    parser.add_argument(
        "--all-detected", action="store_true", help="every host that is found here; NAMEs are connectors"
    )
    parser.add_argument("--project", metavar="FOLDER", nargs="?", const=".", help="the host's file in a project")
    parser.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
