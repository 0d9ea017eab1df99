"""The commands of `clew webhooks` that receive: a server, secrets, subscriptions, dead letters."""

from clew.servers.cli.grammar import Commands, account, add, completed, name, tenant


def add_receiving(verbs: Commands) -> None:
    """Add them to the group."""
    serve = add(
        verbs, "serve", "receiving:serve", "receive deliveries, and nothing else",
        "clew webhooks serve", "clew webhooks serve github --http 0.0.0.0:8080",
        more="'clew serve --http' receives them as well. Put TLS in front of it, and set [webhooks] public_url.",
        json=False,
    )  # fmt: skip
    names = serve.add_argument(
        "names", nargs="*", metavar="NAME", help="connectors; all that have a secret unless given"
    )
    completed(names, "connectors")
    serve.add_argument(
        "--http", metavar="HOST:PORT", default="127.0.0.1:8080", help="where; 127.0.0.1:8080 unless given"
    )
    tenant(serve)
    serve.add_argument("--share-port", action="store_true", help="several processes may serve the same port")

    store = add(
        verbs, "set", "signing:set_secret", "store the secret that a provider signs deliveries with",
        "clew webhooks set github", "clew webhooks set stripe --account work < secret.txt",
        more="It is asked for at a hidden prompt, else read from standard input. The former one stays valid for a day.",
    )  # fmt: skip
    name(store)
    account(store)
    store.add_argument("--file", metavar="F", help="read it from this file (also a public key, or settings in JSON)")
    store.add_argument(
        "--overlap", metavar="T", default="24h", help='how long the former secret stays valid: "24h", "0"'
    )
    store.add_argument("--expect", action="store_true", help="the provider will send it itself, within the hour")

    forget = add(
        verbs, "forget", "signing:forget_secrets", "forget the secrets of an account", "clew webhooks forget acme"
    )
    name(forget)
    account(forget)

    status = add(
        verbs, "status", "subscribing:show_status", "show who may deliver, and how that goes", "clew webhooks status",
        more="With --check each provider is asked whether it still delivers. Ends with 1 when something is wrong.",
    )  # fmt: skip
    name(status, "only this connector", nargs="?")
    tenant(status)
    status.add_argument("--check", action="store_true", help="ask the providers, too")

    subscribe = add(
        verbs, "subscribe", "subscribing:subscribe", "ask a provider to deliver events here",
        "clew webhooks subscribe acme --url https://hooks.example.com",
        "clew webhooks subscribe github --set repository=pallets/flask --events issues,issue_comment",
        more="The secret that it gives goes into the vault.",
    )  # fmt: skip
    name(subscribe)
    account(subscribe)
    subscribe.add_argument("--url", metavar="URL", help="this server's public root; [webhooks] public_url unless given")
    subscribe.add_argument("--events", metavar="A,B", default="", help="only these types")
    subscribe.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="what the provider wants to know, such as where",
    )

    renew = add(
        verbs, "renew", "subscribing:renew", "renew subscriptions that end, and those that stopped",
        "clew webhooks renew", "clew webhooks renew github",
        more="A running server does this by itself.",
    )  # fmt: skip
    name(renew, "only this connector", nargs="?")
    tenant(renew)

    dead = add(
        verbs, "dead", "letters:show_dead", "show events that could not be processed", "clew webhooks dead",
        "clew webhooks dead --replay evt_64a1b2c3d4e5f", "clew webhooks dead --all",
    )  # fmt: skip
    which = dead.add_mutually_exclusive_group()
    which.add_argument("--replay", metavar="ID", help="try this one again")
    which.add_argument("--all", action="store_true", help="try all of them again")
