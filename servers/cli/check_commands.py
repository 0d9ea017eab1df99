"""`clew check`: is a connector fit to be published?"""

from clew.servers.cli.grammar import Commands, account, add, completed


def add_check(commands: Commands) -> None:
    """`clew check` and `clew record`."""
    check = add(
        commands,
        "check",
        "scorecards:check_connectors",
        "examine connectors: what to fix, and where",
        "clew check github",
        "clew check ./mine.py --only chaos,errors",
        "clew check billing --update",
        "clew check billing --live",
        more="Nothing leaves this machine without --live: the provider is played. Ends with 1 when there is a fault; "
        "advice is none.",
    )
    names = check.add_argument("names", nargs="*", metavar="NAME", help="connectors, or Python files that define one")
    completed(names, "connectors")
    check.add_argument("--all", action="store_true", help="every connector that is installed")
    check.add_argument("--only", metavar="A,B", default="", help="only these checks")
    check.add_argument("--update", action="store_true", help="write down what the tools look like now, then examine")
    check.add_argument(
        "--live",
        action="store_true",
        help="make the recorded reads again at the provider and show what has changed; --update keeps the new answers",
    )
    account(check)
    check.add_argument("--strict", action="store_true", help="end with 1 for advice too")
    check.add_argument(
        "--examples", metavar="FOLDER", help="the recorded examples, unless they lie beside the connector"
    )

    record = add(
        commands,
        "record",
        "example_recording:record",
        "make one real call and keep it as an example that clew check replays",
        "clew record github get_issue owner=pallets repo=flask number=1",
        more="Secrets are refused, names and addresses replaced. It goes to examples/NAME/VERSION by the connector.",
    )
    completed(record.add_argument("connector", metavar="CONNECTOR", help="the connector, or its file"), "connectors")
    completed(record.add_argument("tool", metavar="TOOL", help="the tool"), "tools", after=2)
    record.add_argument("pairs", nargs="*", metavar="key=value", help="the tool's arguments")
    record.set_defaults(rest="pairs")
    record.add_argument("--arguments", metavar="FILE", help="a file with the arguments as a JSON object; - is stdin")
    record.add_argument("--label", metavar="WORD", default="", help="tells several examples of one tool apart")
    record.add_argument("--into", metavar="FOLDER", help="the folder of all examples, unless beside the connector")
    account(record)
