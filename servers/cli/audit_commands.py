"""The commands `clew audit` and `clew stats`."""

from clew.servers.cli.grammar import Commands, Parser, add

BY = ("tool", "connector", "account", "tenant", "code", "caller", "day")


def add_audit(commands: Commands) -> None:
    """`clew audit` with its verbs, and `clew stats`."""
    audit = add(
        commands, "audit", "auditing:list_records", "show what was called, by whom, and what became of it",
        "clew audit --failed --since 7d", "clew audit --follow --tool create_issue",
        "clew audit show 4f1c0a9b2d3e4f56", "clew audit verify",
        more="Arguments are recorded without what is personal or secret, results not at all.",
    )  # fmt: skip
    _which(audit)
    audit.add_argument("--follow", action="store_true", help="go on showing calls as they end, until Ctrl-C")
    audit.add_argument("--last", type=int, default=50, metavar="N", help="at most the latest N; 50 unless given")
    verbs = audit.add_subparsers(title="commands", dest="verb", metavar="COMMAND", parser_class=Parser)

    show = add(
        verbs, "show", "auditing:show_record", "tell the story of one call", "clew audit show 4f1c0a9b2d3e4f56",
        more="The reference stands in every error.",
    )  # fmt: skip
    show.add_argument("reference", metavar="REF", help="the reference of a call")

    add(
        verbs, "verify", "auditing:verify_chain", "check that no record was changed, moved, removed or slipped in",
        "clew audit verify", more="Ends with 1 when something is wrong.",
    )  # fmt: skip

    export = add(
        verbs, "export", "auditing:export_records", "print the records as JSON lines",
        "clew audit export --since 30d > audit.jsonl", json=False,
    )  # fmt: skip
    _which(export)

    stats = add(
        commands, "stats", "stats:show_stats", "show how well calls and tasks went, and what they cost",
        "clew stats --since 7d --by connector", "clew stats --html stats.html",
        more="Everything is computed from the audit. A task is a trace, or what a host or --task labels as one.",
    )  # fmt: skip
    stats.add_argument("--since", metavar="7d", default="7d", help="how far back: 24h, 7d, a date; 7d unless given")
    stats.add_argument("--by", choices=BY, default="tool", help=f"one row for each: {', '.join(BY)}")
    stats.add_argument("--html", metavar="FILE", help="write a page with plots instead")


def _which(parser: Parser) -> None:
    parser.add_argument("--since", metavar="7d", default="", help="only calls since then: 24h, 7d, 2026-11-01")
    parser.add_argument("--connector", metavar="NAME", default="", help="only calls of this connector")
    parser.add_argument("--tool", metavar="TOOL", default="", help="only calls of this tool")
    parser.add_argument("--failed", action="store_true", help="only calls that failed")
