"""The commands of `clew approvals` and `clew policy`."""

from clew.servers.cli.grammar import Commands, Parser, add, completed


def add_consent(commands: Commands) -> None:
    """`clew approvals` and `clew policy`."""
    _add_approvals(commands)
    _add_policy(commands)


def _add_approvals(commands: Commands) -> None:
    approvals = add(
        commands,
        "approvals",
        "approving:list_approvals",
        "show what waits for your yes, and decide it",
        "clew approvals",
        "clew approvals show 3f9a1c77b2",
        "clew approvals approve 3f9a1c77b2",
        "clew approvals edit 3f9a1c77b2 amount=50",
        more="An approval is good for exactly one action, once and for a time.",
    )
    approvals.add_argument("--all", action="store_true", help="also those that are decided")
    verbs = approvals.add_subparsers(title="commands", dest="verb", metavar="COMMAND", parser_class=Parser)
    listing = add(verbs, "list", "approving:list_approvals", "show what waits", "clew approvals list --all")
    listing.add_argument("--all", action="store_true", help="also those that are decided")
    acts = {
        "show": ("show_approval", "show one with everything it would do"),
        "approve": ("approve", "say yes; needs a terminal"),
        "deny": ("deny", "say no"),
        "done": ("done", "say that you have done it yourself"),
        "edit": ("edit", "say yes to other arguments; needs a terminal"),
    }
    for verb, (run, help) in acts.items():
        parser = add(verbs, verb, f"approving:{run}", help, f"clew approvals {verb} 3f9a1c77b2")
        parser.add_argument("id", metavar="ID", help="the approval")
        if verb != "show":
            parser.add_argument("--note", metavar="TEXT", default="", help="what the agent should know")
        if verb == "edit":
            parser.add_argument("pairs", nargs="+", metavar="key=value", help="the arguments to change")


def _add_policy(commands: Commands) -> None:
    policy = add(
        commands,
        "policy",
        "policies:show_policy",
        "show what may happen without a person",
        "clew policy",
        "clew policy explain acme delete_contact contact_id=con_000003",
        more="Rules stand under [policy] in your clew.toml; the first that fits decides.",
    )
    verbs = policy.add_subparsers(title="commands", dest="verb", metavar="COMMAND", parser_class=Parser)
    explain = add(
        verbs,
        "explain",
        "policies:explain_policy",
        "show what the policy says about one call",
        "clew policy explain acme delete_contact contact_id=con_000003",
        more="Nothing is sent. A rule about the object itself can only be told when the call is made.",
    )
    completed(explain.add_argument("connector", metavar="CONNECTOR", help="the connector"), "connectors")
    explain.add_argument("tool", metavar="TOOL", help="the tool")
    explain.add_argument("pairs", nargs="*", metavar="key=value", help="its arguments")
    explain.add_argument("--account", metavar="A", default="", help="the account")
    explain.add_argument("--confidence", type=float, metavar="C", help="what the agent would state, 0 to 1")
