"""The commands, their options and their help. Nothing heavy is imported here: every start pays for it."""

import argparse

from clew import __version__
from clew.servers.cli.audit_commands import add_audit
from clew.servers.cli.auth_commands import add_auth
from clew.servers.cli.check_commands import add_check
from clew.servers.cli.consent_commands import add_consent
from clew.servers.cli.console_commands import add_console
from clew.servers.cli.drift_commands import add_drift
from clew.servers.cli.grammar import Commands, Help, Parser, UsageError, account, add, completed, name, tenant
from clew.servers.cli.install_commands import add_install
from clew.servers.cli.new_commands import add_new
from clew.servers.cli.package_commands import add_package
from clew.servers.cli.webhooks_commands import add_webhooks
from clew.servers.cli.writes_commands import add_writes

__all__ = ["SHELLS", "UsageError", "build"]


def build() -> Parser:
    """The whole tree."""
    parser = Parser(
        "clew",
        description="Any third-party API as an MCP server that survives production.",
        epilog="Try it without an account or a network: clew demo\nHelp for one command: clew call --help",
        formatter_class=Help,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"clew {__version__}", help="print the version")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", parser_class=Parser)
    _add_catalog(commands)
    _add_serving(commands)
    add_install(commands)
    add_new(commands)
    add_package(commands)
    add_auth(commands)
    add_audit(commands)
    add_writes(commands)
    add_consent(commands)
    add_console(commands)
    add_webhooks(commands)
    add_check(commands)
    add_drift(commands)
    _add_explain(commands)
    _add_rest(commands)
    return parser


def _add_catalog(commands: Commands) -> None:
    listed = add(
        commands, "list", "listing:list_connectors", "list the connectors, their tools and their accounts", "clew list"
    )
    tenant(listed)
    listed.add_argument("--all", action="store_true", help="also those that have only facts yet, and no tools")
    show = add(commands, "show", "catalog:show_connector", "show what a connector lets an agent do", "clew show github")
    name(show, "a connector, or a Python file that defines one")
    tenant(show)
    show.add_argument("--tokens", action="store_true", help="what each tool costs a model that has it in its context")
    show.add_argument("--stages", action="store_true", help="also print the stages every call walks through")


def _add_serving(commands: Commands) -> None:
    serve = add(
        commands,
        "serve",
        "serving:serve",
        "serve connectors to an MCP host",
        "clew serve github",
        "clew serve github acme --http 127.0.0.1:8000 --read-only",
        "clew serve openapi:billing.yaml --tools list_invoices,get_invoice",
        more="Without --http it speaks over standard input and output, which is how hosts start it.",
        json=False,
    )
    names = serve.add_argument("names", nargs="+", metavar="NAME", help="connectors, or Python files that define one")
    completed(names, "connectors")
    serve.set_defaults(rest="names")
    serve.add_argument("--http", metavar="HOST:PORT", help="serve streamable HTTP on a loopback address")
    serve.add_argument("--read-only", action="store_true", help="offer only tools that change nothing")
    serve.add_argument("--allow-writes", action="store_true", help="do not ask before tools that can be undone")
    serve.add_argument(
        "--discover", action="store_true", help="offer three tools that search, describe and call all others"
    )
    serve.add_argument("--metrics", action="store_true", help="with --http: also serve /metrics for Prometheus")
    serve.add_argument("--tools", metavar="A,B", default="", help="offer only these tools or toolsets")
    account(serve)

    call = add(
        commands,
        "call",
        "calling:call",
        "call one tool and print its result",
        "clew call github list_issues owner=pallets repo=flask",
        "clew call github create_issue owner=o repo=r title='It breaks' labels='[\"bug\"]'",
        more="Values follow the tool's schema; lists and objects are written as JSON. "
        "A tool that cannot be undone shows what it will hit and asks; that needs a terminal.",
    )
    completed(call.add_argument("connector", metavar="CONNECTOR", help="the connector"), "connectors")
    completed(call.add_argument("tool", metavar="TOOL", help="the tool; 'clew show' lists them"), "tools", after=2)
    call.add_argument("pairs", nargs="*", metavar="key=value", help="the tool's arguments")
    call.set_defaults(rest="pairs")
    call.add_argument("--arguments", metavar="FILE", help="a file with the arguments as a JSON object; - is stdin")
    call.add_argument(
        "--task", metavar="LABEL", default="", help="the task that this call is a part of, for clew stats"
    )
    call.add_argument("--deadline", type=float, metavar="S", help="seconds the call may take, at most 600")
    account(call)


def _add_explain(commands: Commands) -> None:
    explain = add(
        commands,
        "explain",
        "explaining:explain",
        "show how a recorded answer of a provider is judged, and which rule says so",
        "clew explain github --status 403 --headers headers.txt --body body.json",
        "clew explain stripe --transport-error read_timeout --method POST",
        "clew explain --batch < recordings.jsonl",
        more="Without --status or --transport-error it reads one JSON document from standard input: "
        '{"request": {"method", "url"}, "status", "headers": [[name, value], …], "body", "now"}. '
        "A provider without a connector is judged by the shapes that many share. A token endpoint's answer is judged "
        "as a refresh; `grant` is then refreshed, dead (log in again), outage (later) or misconfigured (our client).",
    )
    completed(
        explain.add_argument("name", metavar="CONNECTOR", nargs="?", default="", help="the provider"), "connectors"
    )
    explain.add_argument("--status", metavar="N", help="the status of the answer")
    explain.add_argument("--headers", metavar="FILE", help="its headers, one a line; - is stdin")
    explain.add_argument("--body", metavar="FILE", help="its body; - is stdin")
    explain.add_argument("--method", metavar="M", help="the method of the request; GET unless given")
    explain.add_argument("--url", metavar="URL", help="the address of the request")
    explain.add_argument("--now", metavar="T", help="when it was recorded: epoch seconds or a date")
    explain.add_argument("--transport-error", metavar="NAME", help="no answer came: connect_timeout, read_timeout, …")
    explain.add_argument("--token-endpoint", action="store_true", help="the answer is a token endpoint's")
    explain.add_argument("--batch", action="store_true", help="read JSON lines with 'connector', answer JSON lines")


def _add_rest(commands: Commands) -> None:
    add(commands, "demo", "playground:demo", "see a server at work, without account or network", "clew demo")
    sandbox = add(
        commands,
        "sandbox",
        "playground:sandbox",
        "run Acme, a fake provider to try things on",
        "clew sandbox",
        "clew sandbox --port 0 --set rate_limit=10 --set access_token_seconds=5",
    )
    sandbox.add_argument("--port", type=int, default=8765, metavar="N", help="8765, where connector acme looks for it")
    sandbox.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting, repeatable")
    limits = add(
        commands,
        "limits",
        "limits:show_limits",
        "show what is left of every rate limit",
        "clew limits",
        "clew limits github --watch",
        more="These are the budgets that all processes share, as they believe them to stand now.",
    )
    name(limits, "only this connector", nargs="?")
    limits.add_argument("--watch", action="store_true", help="keep showing it, once a second, until Ctrl-C")
    add(commands, "config", "about:show_config", "show every setting and where it comes from", "clew config")
    completion = add(
        commands,
        "completion",
        "completion:show_script",
        "print a completion script for your shell",
        'eval "$(clew completion bash)"                                       in ~/.bashrc',
        "clew completion zsh > ~/.zfunc/_clew                                 with ~/.zfunc in fpath",
        "clew completion fish > ~/.config/fish/completions/clew.fish",
        json=False,
    )
    completion.add_argument("shell", nargs="?", metavar="SHELL", choices=SHELLS, help=", ".join(SHELLS))
    completion.add_argument("--words", help=argparse.SUPPRESS)
    add(commands, "version", "about:show_version", "print the version of clew and of what it runs on", "clew version")


SHELLS = ("bash", "zsh", "tcsh", "fish")
