"""`clew webhooks send`: a signed sample, sent to a receiver."""

import asyncio
import contextlib
import http.client
import json
import secrets
import time
from argparse import Namespace
from urllib.parse import urlsplit

from clew.core.errors import ConfigurationError
from clew.core.registry import discover, load
from clew.core.secret import Secret
from clew.core.webhooks import Delivery, Scheme
from clew.core.webhooks.signing import sign
from clew.servers.cli.output import emit, emit_json, talk
from clew.servers.cli.signing import account_of
from clew.servers.cli.start import begin
from clew.servers.cli.verifying import read_file, read_secret_files
from clew.servers.store import open_store
from clew.servers.tenancy import chosen_tenant
from clew.servers.webhook_schemes import find

_SECONDS = 30.0


def send_delivery(arguments: Namespace) -> int:
    """Sign with the first secret, send, print the answer; 1 unless it is a success."""
    given = read_secret_files(arguments.secret_file) or asyncio.run(_stored(arguments))
    scheme = find(arguments.scheme, runs=arguments.scheme)[0]
    body = read_file(arguments.body, "--body") if arguments.body else sample(arguments.event)
    delivery = sign(
        scheme,
        body,
        given[0].reveal(),
        now=time.time(),
        url=arguments.public_url or arguments.to,
        headers=_named(scheme, arguments.event),
        delivery_id=f"msg_{secrets.token_hex(12)}",
    )
    status, answer = _post(arguments.to, delivery)
    if arguments.json:
        emit_json({"status": status, "body": answer})
    else:
        talk(f"{arguments.to} answered {status}.")
        emit(*([answer] if answer else []))
    return 0 if 200 <= status < 300 else 1


async def _stored(arguments: Namespace) -> list[Secret]:
    """The secrets of a connector's account, the newest first. Raises `ConfigurationError` when there are none."""
    from clew.auth.webhook_secrets import live, place_of

    missing = ConfigurationError("give --secret-file, or store a secret: clew webhooks set NAME")
    settings = begin(tenant=arguments.tenant)
    if arguments.scheme not in discover() or not settings.has_database():
        raise missing
    async with open_store(settings) as store:
        whose = await chosen_tenant(settings, store.vault)
        record = await store.vault.get(
            place_of(await account_of(store, load(arguments.scheme), arguments.account, whose))
        )
        found = live(record) if record is not None else []
    if not found:
        raise missing
    return found


def sample(event: str) -> bytes:
    """A small body that names the event."""
    body = {"id": f"evt_{secrets.token_hex(12)}", "type": event, "created": int(time.time()), "data": {"sample": True}}
    return json.dumps(body, separators=(",", ":")).encode()


def _named(scheme: Scheme, event: str) -> dict[str, str]:
    """The headers in which this provider names the event and the delivery."""
    places = {"type": scheme.event_type, "id": scheme.delivery_id}
    values = {"type": event, "id": f"dlv-{secrets.token_hex(12)}"}
    found: dict[str, str] = {}
    for what, listed in places.items():
        place = listed if isinstance(listed, str) else next(iter(listed), "")
        if place and ":" not in place:
            found[place] = values[what]
    return found


def _post(url: str, delivery: Delivery) -> tuple[int, str]:
    parts = urlsplit(url)
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    if parts.scheme not in kinds or not parts.hostname:
        raise ConfigurationError("--to is an http or https URL.")
    query = urlsplit(delivery.url).query or parts.query
    target = (parts.path or "/") + (f"?{query}" if query else "")
    try:
        connection = kinds[parts.scheme](parts.hostname, parts.port, timeout=_SECONDS)
        with contextlib.closing(connection):
            connection.request(delivery.method, target, delivery.body, delivery.headers)
            answer = connection.getresponse()
            return answer.status, answer.read(100_000).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ConfigurationError(f"{url} does not answer: {type(error).__name__}.") from None
