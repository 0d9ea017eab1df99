"""`clew check`: is a connector fit to be published?"""

from clew.servers.cli.grammar import Commands, add, completed


def add_check(commands: Commands) -> None:
    """`clew check`."""
    check = add(
        commands,
        "check",
        "scorecards:check_connectors",
        "examine connectors: what to fix, and where",
        "clew check github",
        "clew check ./mine.py --only chaos,errors",
        "clew check billing --update",
        more="Nothing leaves this machine: the provider is played. Ends with 1 when there is a fault; advice is none.",
    )
    names = check.add_argument("names", nargs="*", metavar="NAME", help="connectors, or Python files that define one")
    completed(names, "connectors")
    check.add_argument("--all", action="store_true", help="every connector that is installed")
    check.add_argument("--only", metavar="A,B", default="", help="only these checks")
    check.add_argument("--update", action="store_true", help="write down what the tools look like now, then examine")
    check.add_argument("--strict", action="store_true", help="end with 1 for advice too")
    check.add_argument(
        "--examples", metavar="FOLDER", help="the recorded examples, unless they lie beside the connector"
    )
