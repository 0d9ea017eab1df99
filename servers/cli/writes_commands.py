"""The commands of `clew writes`."""

from clew.servers.cli.grammar import Commands, Parser, add


def add_writes(commands: Commands) -> None:
    """`clew writes`."""
    writes = add(
        commands,
        "writes",
        "writes:list_writes",
        "show what was written, and settle what is unknown",
        "clew writes --unknown",
        "clew writes show 3f9a1c",
        "clew writes resolve 3f9a1c --verify",
        more="Every write of every tool is in the journal before it leaves. Ids may be shortened.",
    )
    writes.add_argument("--unknown", action="store_true", help="only those whose outcome is not known")
    writes.add_argument("--limit", type=int, default=50, metavar="N", help="how many, the newest first; 50")
    verbs = writes.add_subparsers(title="commands", dest="verb", metavar="COMMAND", parser_class=Parser)
    show = add(verbs, "show", "writes:show_write", "show one write", "clew writes show 3f9a1c")
    resolve = add(
        verbs,
        "resolve",
        "writes:resolve_write",
        "settle a write whose outcome is unknown",
        "clew writes resolve 3f9a1c --verify",
        "clew writes resolve 3f9a1c --not-applied",
        more="Look at the provider yourself, or let the connector look where it can. Nothing is sent again.",
    )
    for parser in (show, resolve):
        parser.add_argument("id", metavar="ID", help="the write")
    how = resolve.add_mutually_exclusive_group(required=True)
    how.add_argument("--applied", action="store_true", help="it did happen")
    how.add_argument("--not-applied", action="store_true", help="it did not; the same call may do it")
    how.add_argument("--verify", action="store_true", help="let the connector look")
