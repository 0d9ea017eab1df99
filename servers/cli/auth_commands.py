"""The commands of `clew auth`."""

from clew.servers.cli.grammar import Commands, Help, Parser, account, add, name, tenant

KINDS = (
    "bearer", "api_key", "basic", "oauth1", "aws", "client_credentials", "jwt_bearer", "session", "token_exchange",
    "aws_web_identity", "wsse",
)  # fmt: skip


def add_auth(commands: Commands) -> None:
    """`clew auth`."""
    auth = commands.add_parser(
        "auth",
        help="connect accounts, see them, forget them",
        description="Connect accounts, see them, forget them. Credentials are stored encrypted.",
        epilog="example:\n  clew auth set github",
        formatter_class=Help,
        allow_abbrev=False,
    )
    auth.set_defaults(takes="set")
    verbs = auth.add_subparsers(title="commands", dest="verb", metavar="COMMAND", parser_class=Parser)
    store = add(
        verbs,
        "set",
        "storing:set_credential",
        "store a token, a key or a password",
        "clew auth set github",
        "clew auth set github --account work < token.txt",
        more="It is asked for at a hidden prompt, else read from standard input, one field a line.",
    )
    name(store)
    account(store, "a name of yours for the account; without it, what the provider calls it")
    store.add_argument(
        "--kind", choices=KINDS, metavar="K", help=f"which kind, when there are several: {', '.join(KINDS)}"
    )
    store.add_argument("--file", metavar="F", help="read it from this file (a key file in PEM or JSON, too)")
    _values(store)

    login = add(
        verbs,
        "login",
        "login:log_in",
        "log in with the browser",
        "clew auth login acme",
        "clew auth login acme --no-browser --scopes contacts:read,tickets:read",
        "clew auth login acme --device",
        "clew auth login generic --issuer https://id.example.com",
    )
    name(login)
    account(login, "a name of yours for the account; without it, what the provider calls it")
    way = login.add_mutually_exclusive_group()
    way.add_argument("--device", action="store_true", help="show a code to enter on another device")
    way.add_argument("--no-browser", action="store_true", help="only print the address to open")
    login.add_argument("--scopes", metavar="A,B", help="ask for these scopes instead of those that the tools need")
    login.add_argument("--issuer", metavar="URL", help="an authorization server that describes itself")
    _values(login)

    status = add(
        verbs, "status", "accounts:show_status", "show the connected accounts", "clew auth status --check",
        more="Ends with 4 when one of them needs a new login.",
    )  # fmt: skip
    name(status, "only this connector", nargs="?")
    tenant(status)
    status.add_argument("--check", action="store_true", help="ask each provider whether it accepts the credential")

    refresh = add(
        verbs, "refresh", "renewing:refresh", "get a new access token now", "clew auth refresh acme --account work",
    )  # fmt: skip
    name(refresh)
    account(refresh)

    logout = add(
        verbs, "logout", "leaving:log_out", "revoke a credential at the provider and forget it",
        "clew auth logout github --account work",
    )  # fmt: skip
    name(logout)
    account(logout)

    revoke = add(
        verbs, "revoke", "leaving:revoke_all", "revoke every credential at once",
        "clew auth revoke --all", "clew auth revoke --all --connector github --yes",
        more="The kill switch: each provider is told, with a result per credential. Asks first.",
    )  # fmt: skip
    revoke.add_argument("--all", action="store_true", required=True, help="yes, all of them")
    revoke.add_argument("--connector", metavar="C", help="only this connector's")
    tenant(revoke)
    revoke.add_argument("--yes", action="store_true", help="do not ask (needed without a terminal)")

    _add_apps(verbs)

    remove = add(
        verbs, "remove", "accounts:remove_credential", "forget a stored credential",
        "clew auth remove github --account work",
    )  # fmt: skip
    name(remove)
    account(remove)

    _add_keeping(verbs)


def _add_keeping(verbs: Commands) -> None:
    """What keeps the vault itself."""
    rotate = add(
        verbs, "rotate", "rotating:rotate", "replace the vault's keys, or renew the tokens in it",
        "clew auth rotate", "clew auth rotate --keys", "clew auth rotate --tokens",
        more="Without options: the wrapping key and the data keys. Servers go on; after a crash, run it again.",
    )  # fmt: skip
    rotate.add_argument("--keys", action="store_true", help="wrap the data keys with a new key")
    rotate.add_argument("--data", action="store_true", help="seal every record again with new data keys")
    rotate.add_argument("--tokens", action="store_true", help="refresh every renewable token at its provider")
    rotate.add_argument("--tenant", metavar="T", help="whose tokens; the vault's keys are everybody's")

    export = add(
        verbs, "export", "bundles:export_file", "write the connected accounts to an encrypted file",
        "clew auth export accounts.clew", "clew auth export accounts.clew --passphrase-file secret.txt",
        more="The passphrase is asked for at a hidden prompt, else read from standard input.",
    )  # fmt: skip
    importing = add(
        verbs, "import", "bundles:import_file", "read connected accounts from an encrypted file",
        "clew auth import accounts.clew",
    )  # fmt: skip
    for parser, what in ((export, "a file that exists"), (importing, "accounts that are connected here already")):
        parser.add_argument("bundle", metavar="FILE", help="the encrypted file")
        tenant(parser)
        parser.add_argument("--passphrase-file", metavar="F", help="read the passphrase from this file")
        parser.add_argument("--replace", action="store_true", help=f"replace {what}")


def _add_apps(verbs: Commands) -> None:
    apps = verbs.add_parser(
        "apps",
        help="your own client id and secret at a provider",
        description="Register your own OAuth client per provider. Its secret is stored encrypted.",
        epilog="example:\n  clew auth apps set github --client-id Iv1.0123456789abcdef",
        formatter_class=Help,
        allow_abbrev=False,
    )
    apps.set_defaults(takes="apps set")
    verbs = apps.add_subparsers(title="commands", dest="app_verb", metavar="COMMAND", parser_class=Parser)
    store = add(
        verbs, "set", "apps:set_app", "store a client", "clew auth apps set github --client-id Iv1.0123 < secret.txt",
        more="The secret is asked for at a hidden prompt, else read from standard input.",
    )  # fmt: skip
    name(store)
    tenant(store)
    store.add_argument("--client-id", metavar="ID", required=True, help="the client id; it is not secret")
    store.add_argument("--file", metavar="F", help="read the secret from this file")
    proof = store.add_mutually_exclusive_group()
    proof.add_argument("--public", action="store_true", help="a public client: it has no secret")
    proof.add_argument("--private-key", metavar="F", help="it signs with this key (PEM) instead of a secret")
    store.add_argument("--certificate", metavar="F", help="the certificate (PEM) that belongs to the private key")
    store.add_argument("--key-id", metavar="K", help="the key's id at the provider")
    tenant(add(verbs, "list", "apps:list_apps", "show the clients", "clew auth apps list"))
    remove = add(verbs, "remove", "apps:remove_app", "forget a client", "clew auth apps remove github")
    name(remove)
    tenant(remove)


def _values(parser: Parser) -> None:
    parser.add_argument(
        "--origin", metavar="URL", help="yes, send it there, although only this folder's clew.toml says so"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a value of this account, such as a host"
    )
