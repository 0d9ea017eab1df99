"""`clew webhooks serve`."""

import asyncio
import signal
from argparse import Namespace
from collections.abc import Sequence

from clew.core.errors import ConfigurationError
from clew.servers.cli.output import talk
from clew.servers.cli.serving import HTTP_SECONDS, until_stopped
from clew.servers.cli.start import begin
from clew.servers.settings import Settings
from clew.servers.tenancy import chosen_tenant


def serve(arguments: Namespace) -> int:
    """Receive deliveries until a signal comes: 0, or 130 after Ctrl-C."""
    settings = begin(http=True, tracebacks=True, tenant=arguments.tenant)
    stopped = asyncio.run(_serve(settings, arguments))
    return 130 if stopped == signal.SIGINT else 0


async def _serve(settings: Settings, arguments: Namespace) -> int | None:
    from clew.servers.chores import chores
    from clew.servers.receiving import serve_deliveries
    from clew.servers.runtime import Runtime

    names = arguments.names or await _names(settings)
    async with Runtime.open(settings, names) as runtime, chores(runtime) as mailroom:
        runtime.tenancy.of()
        served = [each.name for each in runtime.connectors if each.webhook_schemes]
        if not served:
            raise ConfigurationError(f"{', '.join(names)} has no webhooks that clew knows.")

        def ready(url: str) -> None:
            talk(
                f"clew: receiving at {url}/webhooks/{{connector}}/{{account}} for {', '.join(served)}. Ctrl-C stops it."
            )

        serving = serve_deliveries(mailroom, arguments.http, ready, share_port=arguments.share_port)
        stopped, _ = await until_stopped(serving, seconds=HTTP_SECONDS, cancel=False)
    return stopped


async def _names(settings: Settings) -> Sequence[str]:
    """The connectors that have a webhook secret."""
    from clew.auth.webhook_secrets import receiving
    from clew.servers.store import open_store

    async with open_store(settings) as store:
        tenant = await chosen_tenant(settings, store.vault)
        names = sorted({each.connector for each in await receiving(store.vault, tenant=tenant)})
    if not names:
        raise ConfigurationError("no account has a webhook secret yet. Set one: clew webhooks set NAME")
    return names
