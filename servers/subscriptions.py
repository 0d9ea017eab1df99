"""Subscriptions at providers: made, watched, renewed before they end, and made anew when a provider has stopped.

What a provider knows of one is noted beside the webhook secrets of its connection.
"""

import asyncio
import contextlib
import itertools
import json
import logging
import random
import secrets
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from clew.auth.webhook_secrets import add_secret, expect_secret, known, note, notes, place_of
from clew.core.api import Api
from clew.core.connection import Connection
from clew.core.connector import Connector, Effect
from clew.core.deadline import Deadline
from clew.core.errors import ClewError, ConfigurationError
from clew.core.exchange import Trail
from clew.core.host import SilentHost
from clew.core.secret import Secret
from clew.core.subscriptions import OPTIONAL, Subscribed, Wish
from clew.core.values import dataclass
from clew.servers.runtime import Runtime

log = logging.getLogger(__name__)

_FIRST, _EVERY = 10.0, 900.0
"""Seconds until a running server looks at its subscriptions, and between its looks."""
_LOOKED = 0.7 * _EVERY
"""Seconds for which a look of one process does for all."""
_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Health:
    """One connection that may receive. `ends_at` is in seconds since 1970; `trouble` is empty when all is well."""

    connection: Connection
    secrets: int
    id: str = ""
    url: str = ""
    ends_at: float | None = None
    checked: bool = False
    trouble: str = ""
    last_event: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """The same for `--json`."""
        facts = {name: getattr(self, name) for name in self.__slots__ if name != "connection"}
        return {"connector": self.connection.connector, "account": self.connection.account, **facts}


async def subscribe(
    runtime: Runtime,
    connector: Connector,
    connection: Connection,
    root: str,
    *,
    types: Sequence[str] = (),
    where: Mapping[str, str] | None = None,
) -> Subscribed:
    """Register this server with the provider; its secret is in the vault before the first delivery can be good.

    Raises `ConfigurationError` when the connector declares no way, or something that the provider needs is missing.
    """
    way = connector.subscription
    if way is None:
        raise ConfigurationError(
            f"{connector.name}'s webhooks are set up at the provider. Then: clew webhooks set {connector.name}"
        )
    where = dict(where or {})
    missing = [name for name, about in way.where.items() if not where.get(name) and not about.startswith(OPTIONAL)]
    unknown = [name for name in where if name not in way.where]
    if missing:
        raise ConfigurationError(f"{connector.name} wants --set {missing[0]}=…: {way.where[missing[0]]}")
    if unknown:
        raise ConfigurationError(f"{connector.name} has no {unknown[0]}; it takes {', '.join(way.where) or 'nothing'}.")
    url = f"{root.rstrip('/')}/webhooks/{connector.name}/{_quoted(connection.account)}"
    secret = Secret(secrets.token_urlsafe(32))
    # Ours is live before the provider knows it; one that the provider chooses replaces it.
    await add_secret(runtime.vault, connection, secret)
    await expect_secret(runtime.vault, connection)
    api = await _api(runtime, connector, connection)
    made = await way.create(api, Wish(url=url, secret=secret, types=tuple(types), where=where))
    if made.secret is not None:
        await add_secret(runtime.vault, connection, made.secret)
    facts = {"id": made.id, "url": root, "types": ",".join(types), "where": json.dumps(where)}
    since = str(time.time())
    await note(runtime.vault, connection, {**facts, "ends_at": _moment(made), "since": since, "trouble": ""})
    return made


async def renew(runtime: Runtime, connector: Connector, connection: Connection, *, always: bool = True) -> Health:
    """Look at one subscription, and renew or remake it when it ends soon, has stopped, or is gone. `always`: renew it
    however long it has left."""
    record = await runtime.vault.get(place_of(connection))
    kept = notes(record) if record is not None else {}
    way = connector.subscription
    if record is None or way is None or not kept.get("id"):
        return Health(connection, len(known(record)) if record else 0)
    api = await _api(runtime, connector, connection)
    where: dict[str, str] = json.loads(kept.get("where") or "{}")
    found = await way.check(api, kept["id"], where)
    if found is not None and found.active:
        if found.ends_at is None or not (always or _ends_soon(kept, found.ends_at)):
            return await _noted(runtime, connection, kept, found, len(known(record)))
        if way.renew is not None:
            renewed = await way.renew(api, kept["id"], where)
            log.info("the webhook subscription of %s was renewed", connection)
            return await _noted(runtime, connection, kept, renewed, len(known(record)), since=time.time())
        why = "it ends soon"
    else:
        why = "it is gone" if found is None else f"it had stopped{f' ({found.why})' if found.why else ''}"
    log.warning("the webhook subscription of %s is made anew: %s", connection, why)
    if found is not None:
        with contextlib.suppress(ClewError):
            await way.remove(api, kept["id"], where)
    types = [each for each in kept.get("types", "").split(",") if each]
    await subscribe(runtime, connector, connection, kept["url"], types=types, where=where)
    return await health(runtime, connector, connection)


def _ends_soon(kept: Mapping[str, str], ends_at: float) -> bool:
    """Is less left than a third of its time? Two looks of a running server always fit in before the end."""
    now = time.time()
    whole = ends_at - float(kept.get("since") or now)
    return ends_at - now < max(whole / 3, 2.5 * _EVERY)


async def _noted(
    runtime: Runtime,
    connection: Connection,
    kept: Mapping[str, str],
    found: Subscribed,
    secrets_: int,
    *,
    since: float | None = None,
) -> Health:
    trouble = "" if found.active else f"the provider has stopped delivering: {found.why or 'it does not say why'}"
    facts = {"id": found.id, "ends_at": _moment(found), "trouble": trouble}
    if since is not None:
        facts["since"] = str(since)
    if any(kept.get(name, "") != fact for name, fact in facts.items()):
        await note(runtime.vault, connection, facts)
    return Health(connection, secrets_, found.id, kept.get("url", ""), found.ends_at, True, trouble)


async def health(runtime: Runtime, connector: Connector, connection: Connection, *, check: bool = False) -> Health:
    """How one connection's deliveries go; with `check` the provider is asked."""
    record = await runtime.vault.get(place_of(connection))
    if record is None:
        return Health(connection, 0, trouble="no secret")
    kept, way, count = notes(record), connector.subscription, len(known(record))
    if check and way is not None and kept.get("id"):
        api = await _api(runtime, connector, connection)
        found = await way.check(api, kept["id"], json.loads(kept.get("where") or "{}"))
        if found is None:
            return Health(
                connection, count, kept["id"], kept.get("url", ""), None, True, "the provider has no such one"
            )
        return await _noted(runtime, connection, kept, found, count)
    ends_at = float(kept["ends_at"]) if kept.get("ends_at") else None
    over = "it has ended" if ends_at is not None and ends_at < time.time() else ""
    return Health(
        connection, count, kept.get("id", ""), kept.get("url", ""), ends_at, False, kept.get("trouble") or over
    )


@contextlib.asynccontextmanager
async def kept_subscribed(runtime: Runtime) -> AsyncGenerator[None]:
    """Look at the subscriptions of the served connectors while the block runs."""
    task = asyncio.create_task(_look_on(runtime), name="clew subscriptions")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _look_on(runtime: Runtime) -> None:
    pause = _FIRST
    while any(each.subscription is not None for each in runtime.connectors):
        await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311
        await look_once(runtime)
        pause = _EVERY


async def look_once(runtime: Runtime) -> list[Health]:
    """Look at the subscriptions of the served connectors, unless another process has done so just now."""
    found: list[Health] = []
    mine = [each for each in runtime.connectors if each.subscription is not None]
    tenants: Sequence[str] = ()
    with contextlib.suppress(ClewError):
        tenants = await runtime.tenancy.served(runtime.vault)
    for connector, tenant in itertools.product(mine, tenants):
        name = json.dumps(["webhook subscriptions", tenant, connector.name])
        with contextlib.suppress(ClewError):
            if await runtime.refresher.leases.acquire(name, seconds=_LOOKED) is not None:
                found += await look(runtime, connector, tenant)
    return found


async def look(runtime: Runtime, connector: Connector, tenant: str) -> list[Health]:
    """Look at every subscription of a tenant's at a connector, and renew what has to be."""
    found: list[Health] = []
    for stored in await runtime.vault.list(tenant=tenant, connector=connector.name):
        try:
            found.append(await renew(runtime, connector, stored.connection, always=False))
        except ClewError as error:
            log.warning("the webhook subscription of %s could not be checked: %s", stored.connection, error)
    return found


async def _api(runtime: Runtime, connector: Connector, connection: Connection) -> Api:
    wire = await runtime.wire(connector, connection.account, tenant=connection.tenant)
    return Api(wire, Deadline.after(_SECONDS), Trail(), Effect.WRITE, SilentHost())


def _moment(found: Subscribed) -> str:
    return "" if found.ends_at is None else str(found.ends_at)


def _quoted(account: str) -> str:
    from urllib.parse import quote

    return quote(account, safe="@")
