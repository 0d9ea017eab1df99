"""The commands of `clew webhooks`."""

from clew.servers.cli.grammar import Commands, Help, Parser, account, add
from clew.servers.cli.receiving_commands import add_receiving


def add_webhooks(commands: Commands) -> None:
    """`clew webhooks`."""
    webhooks = commands.add_parser(
        "webhooks",
        help="receive what providers send, verify it, try it",
        description="Receive what providers send: verified, stored, joined to the call that it confirms.",
        epilog="example:\n  clew webhooks verify github --headers headers.txt --body body.json --secret-file secret",
        formatter_class=Help,
        allow_abbrev=False,
    )
    verbs = webhooks.add_subparsers(title="commands", dest="webhooks_verb", metavar="COMMAND", parser_class=Parser)
    webhooks.set_defaults(takes="set")
    add_receiving(verbs)
    verify = add(
        verbs,
        "verify",
        "verifying:verify_delivery",
        "say whether a recorded delivery is genuine, and why not",
        "clew webhooks verify stripe --headers headers.txt --body body.json --secret-file secret.txt",
        "clew webhooks verify ./scheme.toml --headers headers.txt --body - --url https://example.com/hooks",
        "clew webhooks verify --batch < deliveries.jsonl",
        more="Prints a verdict and a reason as JSON; ends with 0 when it is valid, with 1 when not. SCHEME is a "
        "connector, a named scheme (docs/events.md lists them), or a TOML, JSON or Python file that declares one. "
        'With --batch it reads JSON lines {"scheme", "method", "url", "headers": [[name, value], …], "body_b64", '
        '"secrets": […], "now", "tolerance_s"}, where "scheme" may be an object that declares one.',
    )
    verify.add_argument("scheme", metavar="SCHEME", nargs="?", default="", help="how the sender signs")
    verify.add_argument("--headers", metavar="FILE", help="its headers, one a line; - is stdin")
    verify.add_argument("--body", metavar="FILE", help="its raw body; - is stdin")
    verify.add_argument("--url", metavar="U", default="", help="the public URL, as the sender saw it")
    verify.add_argument("--method", metavar="M", default="POST", help="the method; POST unless given")
    _secret(verify)
    verify.add_argument("--now", metavar="UNIX", help="when it arrived: epoch seconds or a date")
    verify.add_argument("--tolerance", metavar="S", type=float, help="seconds that its timestamp may differ")
    verify.add_argument("--batch", action="store_true", help="read JSON lines, answer JSON lines")

    send = add(
        verbs,
        "send",
        "sending:send_delivery",
        "sign a sample delivery as the provider would, and send it",
        "clew webhooks send stripe --event charge.failed --secret-file secret.txt --to http://127.0.0.1:8000/webhooks",
        "clew webhooks send acme --account work --to http://127.0.0.1:8080/webhooks/acme/work",
        more="For trying a receiver without a tunnel. Without --secret-file a connector's stored secret signs. Ends "
        "with 1 when the receiver does not answer with success.",
    )
    schemes = add(
        verbs, "schemes", "listing_schemes:list_schemes", "show how providers sign", "clew webhooks schemes",
    )  # fmt: skip
    schemes.add_argument("--markdown", action="store_true", help="as the table of docs/events.md")

    send.add_argument("scheme", metavar="NAME", help="a connector, a named scheme, or a file that declares one")
    account(send)
    send.add_argument("--event", metavar="TYPE", default="clew.test", help="the type of the event")
    send.add_argument("--body", metavar="FILE", help="the body instead of a sample; - is stdin")
    send.add_argument("--to", metavar="URL", required=True, help="the receiver")
    send.add_argument("--public-url", metavar="U", help="the URL that is signed, when a proxy makes it another one")
    _secret(send)


def _secret(parser: Parser) -> None:
    parser.add_argument(
        "--secret-file",
        action="append",
        default=[],
        metavar="F",
        help="secrets or keys: one a line, or PEM, or JSON; repeatable",
    )
