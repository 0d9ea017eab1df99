"""The commands, their options and their help. Nothing heavy is imported here: every start pays for it."""

import argparse
from typing import Any, NoReturn, Protocol

from clew import __version__
from clew.core.errors import ConfigurationError

_HERE = "clew.servers.cli"


class UsageError(ConfigurationError):
    """The command line itself is wrong."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one sentence."""

    def error(self, message: str) -> NoReturn:
        """Raise `UsageError` instead of printing the usage."""
        raise UsageError(f"{message}. See: {self.prog} --help")


class _Help(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of an epilog, and gives the longest command room on its line."""

    def __init__(self, prog: str, **options: Any) -> None:
        super().__init__(prog, **{"max_help_position": 30, **options})
        self._action_max_length = 14  # argparse forgets how far it indents the commands


class _Commands(Protocol):
    def add_parser(self, name: str, **options: Any) -> Parser: ...


def build() -> Parser:
    """The whole tree."""
    parser = Parser(
        "clew",
        description="Any third-party API as an MCP server that survives production.",
        epilog="Try it without an account or a network: clew demo\nHelp for one command: clew call --help",
        formatter_class=_Help,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"clew {__version__}", help="print the version")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", parser_class=Parser)
    _add_catalog(commands)
    _add_serving(commands)
    _add_auth(commands)
    _add_explain(commands)
    _add_rest(commands)
    return parser


def _add(
    commands: _Commands, name: str, run: str, help: str, *examples: str, more: str = "", json: bool = True
) -> Parser:
    parser = commands.add_parser(
        name,
        help=help,
        description=" ".join(filter(None, (help[0].upper() + help[1:] + ".", more))),
        epilog="\n".join(["example:" if len(examples) == 1 else "examples:", *(f"  {each}" for each in examples)]),
        formatter_class=_Help,
        allow_abbrev=False,
    )
    parser.set_defaults(run=f"{_HERE}.{run}")
    if json:
        parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def completed(action: argparse.Action, words: str, *, after: int = 0) -> argparse.Action:
    """Let the shell ask `clew completion --words` for an argument; `after` is the word that names the connector."""
    ask = f"clew completion --words {words}"
    own = f":(commandline -opc)[{after + 1}]" if after else ""
    ways = {"bash": f"_clew_{words}", "zsh": f"_clew_{words}", "fish": f"({ask}{own})"}
    setattr(action, "complete", ways if after else {**ways, "tcsh": f"`{ask}`"})  # noqa: B010 - shtab looks for it
    return action


def _name(parser: Parser, help: str = "the connector", **options: Any) -> None:
    completed(parser.add_argument("name", metavar="NAME", help=help, **options), "connectors")


def _account(parser: Parser, help: str = "which account, when there are several") -> None:
    parser.add_argument("--account", metavar="A", help=help)


def _add_catalog(commands: _Commands) -> None:
    listed = _add(
        commands, "list", "catalog:list_connectors", "list the connectors, their tools and their accounts", "clew list"
    )
    listed.add_argument("--all", action="store_true", help="also those that have only facts yet, and no tools")
    show = _add(
        commands, "show", "catalog:show_connector", "show what a connector lets an agent do", "clew show github"
    )
    _name(show, "a connector, or a Python file that defines one")
    show.add_argument("--stages", action="store_true", help="also print the stages every call walks through")


def _add_serving(commands: _Commands) -> None:
    serve = _add(
        commands,
        "serve",
        "serving:serve",
        "serve connectors to an MCP host",
        "clew serve github",
        "clew serve github acme --http 127.0.0.1:8000 --read-only",
        more="Without --http it speaks over standard input and output, which is how hosts start it.",
        json=False,
    )
    names = serve.add_argument("names", nargs="+", metavar="NAME", help="connectors, or Python files that define one")
    completed(names, "connectors")
    serve.set_defaults(rest="names")
    serve.add_argument("--http", metavar="HOST:PORT", help="serve streamable HTTP on a loopback address")
    serve.add_argument("--read-only", action="store_true", help="offer only tools that change nothing")
    serve.add_argument("--tools", metavar="A,B", default="", help="offer only these tools or toolsets")
    _account(serve)

    call = _add(
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
    call.add_argument("--deadline", type=float, metavar="S", help="seconds the call may take, at most 600")
    _account(call)


def _add_auth(commands: _Commands) -> None:
    auth = commands.add_parser(
        "auth",
        help="connect accounts, see them, forget them",
        description="Connect accounts, see them, forget them. Credentials are stored encrypted.",
        epilog="example:\n  clew auth set github",
        formatter_class=_Help,
        allow_abbrev=False,
    )
    auth.set_defaults(takes="set")
    verbs = auth.add_subparsers(title="commands", dest="verb", metavar="COMMAND", parser_class=Parser)
    store = _add(
        verbs,
        "set",
        "storing:set_credential",
        "store a token, a key or a password",
        "clew auth set github",
        "clew auth set github --account work < token.txt",
        more="It is asked for at a hidden prompt, else read from standard input, one field a line.",
    )
    _name(store)
    _account(store, "a name of yours for the account; without it, what the provider calls it")
    store.add_argument(
        "--kind", choices=KINDS, metavar="K", help=f"which kind, when there are several: {', '.join(KINDS)}"
    )
    store.add_argument("--file", metavar="F", help="read it from this file (a key file in PEM or JSON, too)")
    _values(store)

    login = _add(
        verbs,
        "login",
        "login:log_in",
        "log in with the browser",
        "clew auth login acme",
        "clew auth login acme --no-browser --scopes contacts:read,tickets:read",
        "clew auth login acme --device",
        "clew auth login generic --issuer https://id.example.com",
    )
    _name(login)
    _account(login, "a name of yours for the account; without it, what the provider calls it")
    way = login.add_mutually_exclusive_group()
    way.add_argument("--device", action="store_true", help="show a code to enter on another device")
    way.add_argument("--no-browser", action="store_true", help="only print the address to open")
    login.add_argument("--scopes", metavar="A,B", help="ask for these scopes instead of those that the tools need")
    login.add_argument("--issuer", metavar="URL", help="an authorization server that describes itself")
    _values(login)

    status = _add(
        verbs, "status", "accounts:show_status", "show the connected accounts", "clew auth status --check",
        more="Ends with 4 when one of them needs a new login.",
    )  # fmt: skip
    _name(status, "only this connector", nargs="?")
    status.add_argument("--check", action="store_true", help="ask each provider whether it accepts the credential")

    refresh = _add(
        verbs, "refresh", "renewing:refresh", "get a new access token now", "clew auth refresh acme --account work",
    )  # fmt: skip
    _name(refresh)
    _account(refresh)

    logout = _add(
        verbs, "logout", "leaving:log_out", "revoke a credential at the provider and forget it",
        "clew auth logout github --account work",
    )  # fmt: skip
    _name(logout)
    _account(logout)

    revoke = _add(
        verbs, "revoke", "leaving:revoke_all", "revoke every credential at once",
        "clew auth revoke --all", "clew auth revoke --all --connector github --yes",
        more="The kill switch: each provider is told, with a result per credential. Asks first.",
    )  # fmt: skip
    revoke.add_argument("--all", action="store_true", required=True, help="yes, all of them")
    revoke.add_argument("--connector", metavar="C", help="only this connector's")
    revoke.add_argument("--tenant", metavar="T", help="another tenant than this machine's own")
    revoke.add_argument("--yes", action="store_true", help="do not ask (needed without a terminal)")

    _add_apps(verbs)

    remove = _add(
        verbs, "remove", "accounts:remove_credential", "forget a stored credential",
        "clew auth remove github --account work",
    )  # fmt: skip
    _name(remove)
    _account(remove)

    _add_keeping(verbs)


def _add_keeping(verbs: _Commands) -> None:
    """What keeps the vault itself."""
    rotate = _add(
        verbs, "rotate", "rotating:rotate", "replace the vault's keys, or renew the tokens in it",
        "clew auth rotate", "clew auth rotate --keys", "clew auth rotate --tokens",
        more="Without options: the wrapping key and the data keys. Servers go on; after a crash, run it again.",
    )  # fmt: skip
    rotate.add_argument("--keys", action="store_true", help="wrap the data keys with a new key")
    rotate.add_argument("--data", action="store_true", help="seal every record again with new data keys")
    rotate.add_argument("--tokens", action="store_true", help="refresh every renewable token at its provider")

    export = _add(
        verbs, "export", "bundles:export_file", "write the connected accounts to an encrypted file",
        "clew auth export accounts.clew", "clew auth export accounts.clew --passphrase-file secret.txt",
        more="The passphrase is asked for at a hidden prompt, else read from standard input.",
    )  # fmt: skip
    importing = _add(
        verbs, "import", "bundles:import_file", "read connected accounts from an encrypted file",
        "clew auth import accounts.clew",
    )  # fmt: skip
    for parser, what in ((export, "a file that exists"), (importing, "accounts that are connected here already")):
        parser.add_argument("bundle", metavar="FILE", help="the encrypted file")
        parser.add_argument("--passphrase-file", metavar="F", help="read the passphrase from this file")
        parser.add_argument("--replace", action="store_true", help=f"replace {what}")


def _add_apps(verbs: _Commands) -> None:
    apps = verbs.add_parser(
        "apps",
        help="your own client id and secret at a provider",
        description="Register your own OAuth client per provider. Its secret is stored encrypted.",
        epilog="example:\n  clew auth apps set github --client-id Iv1.0123456789abcdef",
        formatter_class=_Help,
        allow_abbrev=False,
    )
    apps.set_defaults(takes="apps set")
    verbs = apps.add_subparsers(title="commands", dest="app_verb", metavar="COMMAND", parser_class=Parser)
    store = _add(
        verbs, "set", "apps:set_app", "store a client", "clew auth apps set github --client-id Iv1.0123 < secret.txt",
        more="The secret is asked for at a hidden prompt, else read from standard input.",
    )  # fmt: skip
    _name(store)
    store.add_argument("--client-id", metavar="ID", required=True, help="the client id; it is not secret")
    store.add_argument("--file", metavar="F", help="read the secret from this file")
    proof = store.add_mutually_exclusive_group()
    proof.add_argument("--public", action="store_true", help="a public client: it has no secret")
    proof.add_argument("--private-key", metavar="F", help="it signs with this key (PEM) instead of a secret")
    store.add_argument("--certificate", metavar="F", help="the certificate (PEM) that belongs to the private key")
    store.add_argument("--key-id", metavar="K", help="the key's id at the provider")
    _add(verbs, "list", "apps:list_apps", "show the clients", "clew auth apps list")
    _name(_add(verbs, "remove", "apps:remove_app", "forget a client", "clew auth apps remove github"))


def _values(parser: Parser) -> None:
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a value of this account, such as a host"
    )


def _add_explain(commands: _Commands) -> None:
    explain = _add(
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


def _add_rest(commands: _Commands) -> None:
    _add(commands, "demo", "playground:demo", "see a server at work, without account or network", "clew demo")
    sandbox = _add(
        commands,
        "sandbox",
        "playground:sandbox",
        "run Acme, a fake provider to try things on",
        "clew sandbox",
        "clew sandbox --port 0 --set rate_limit=10 --set access_token_seconds=5",
    )
    sandbox.add_argument("--port", type=int, default=8765, metavar="N", help="8765, where connector acme looks for it")
    sandbox.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting, repeatable")
    limits = _add(
        commands,
        "limits",
        "limits:show_limits",
        "show what is left of every rate limit",
        "clew limits",
        "clew limits github --watch",
        more="These are the budgets that all processes share, as they believe them to stand now.",
    )
    _name(limits, "only this connector", nargs="?")
    limits.add_argument("--watch", action="store_true", help="keep showing it, once a second, until Ctrl-C")
    _add(commands, "config", "about:show_config", "show every setting and where it comes from", "clew config")
    completion = _add(
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
    _add(commands, "version", "about:show_version", "print the version of clew and of what it runs on", "clew version")


KINDS = (
    "bearer", "api_key", "basic", "oauth1", "aws", "client_credentials", "jwt_bearer", "session", "token_exchange",
    "aws_web_identity",
)  # fmt: skip
SHELLS = ("bash", "zsh", "tcsh", "fish")
