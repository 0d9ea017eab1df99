"""Who may put events into the inbox: a delivery is verified with the secrets of its connection, or refused.

Secrets stay sealed in memory between deliveries and are opened for one at a time; the vault is read again after a few
seconds, so a forger costs no database work.
"""

import asyncio
import ipaddress
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import field

from clew.auth.vault import Record, Vault
from clew.auth.webhook_secrets import add_secret, expected, live, place_of, receiving
from clew.core import webhooks
from clew.core.connection import LOCAL_TENANT, Connection
from clew.core.connector import Connector
from clew.core.errors import AuthRevokedError
from clew.core.events import Events
from clew.core.values import dataclass
from clew.core.webhooks import Delivery, KeyRing, Refusal
from clew.servers.receiver import Answer, Request

log = logging.getLogger(__name__)

_PLAIN = Events()
_FRESH = 3.0
"""Seconds until a new or revoked secret counts in every process."""
_QUIET = 60.0
"""Seconds between warnings of one kind."""


@dataclass(frozen=True, slots=True)
class Public:
    """How the outside sees this server: `url` (`https://hooks.example.com`), or what trusted proxies say."""

    url: str = ""
    proxies: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()

    def of(self, request: Request) -> str:
        """The URL as the sender saw it."""
        scheme, _, rest = request.url.partition("://")
        host, slash, target = rest.partition("/")
        if self.url:
            return f"{self.url.rstrip('/')}/{target}"
        if self._is_trusted(request.peer):
            scheme = _last(request, b"x-forwarded-proto") or scheme
            host = _last(request, b"x-forwarded-host") or host
        return f"{scheme}://{host}{slash}{target}"

    def _is_trusted(self, peer: str) -> bool:
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self.proxies)


def _last(request: Request, name: bytes) -> str:
    """What the nearest proxy says: the last value of the last header."""
    found = [value for key, value in request.headers if key == name]
    return found[-1].decode("latin-1").rpartition(",")[2].strip() if found else ""


@dataclass(slots=True)
class Admission:
    """Decides about deliveries for these connectors."""

    vault: Vault
    connectors: Mapping[str, Connector]
    keyring: KeyRing
    visit: Callable[[str], None]
    public: Public = field(default_factory=Public)
    tenant: str = LOCAL_TENANT
    _records: dict[Connection, Record | None] = field(default_factory=dict[Connection, Record | None])
    _read_at: float = -_FRESH
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    _warned: dict[str, float] = field(default_factory=dict[str, float])

    async def __call__(self, request: Request) -> Answer:
        """Verify one delivery."""
        connector = self.connectors.get(request.connector)
        if connector is None or not connector.webhook_schemes:
            return Answer(404, b"Refused.\n", why="no such connector")
        connection = Connection(self.tenant, connector.name, request.account)
        await self._refresh()
        record = self._records.get(connection)
        if record is None:
            self._warn(
                f"no secret {connection}",
                f"a delivery for {connector.name} was refused, because that account has no webhook secret. "
                f"Set it: clew webhooks set {connector.name}",
            )
            return Answer(404, b"Refused.\n", why="no secret")
        delivery = Delivery(request.headers, request.body, method=request.method, url=self.public.of(request))
        return await self._judge(connector, connection, record, delivery)

    async def _judge(self, connector: Connector, connection: Connection, record: Record, delivery: Delivery) -> Answer:
        schemes, secrets = connector.webhook_schemes, live(record)
        shaken = webhooks.answer(schemes, delivery, secrets, expecting=expected(record), known=self.keyring.known)
        if isinstance(shaken, Refusal):
            return self._refused(connection, shaken)
        if shaken is not None and not shaken.event:
            return await self._shake(connection, shaken)
        found = await self.keyring.verify(schemes, delivery, secrets)
        if isinstance(found, Refusal):
            return self._refused(connection, found)
        return Answer(events=(connector.events or _PLAIN).read(connection, found))

    async def _shake(self, connection: Connection, shaken: webhooks.Answer) -> Answer:
        if shaken.store is not None:
            await add_secret(self.vault, connection, shaken.store)
            self._read_at = -_FRESH
            log.warning("%s: the provider has sent its webhook secret; it is stored", connection)
        if shaken.visit is not None:
            self.visit(shaken.visit)
        headers = {name.lower(): value for name, value in shaken.headers.items()}
        media = headers.pop("content-type", "text/plain; charset=utf-8")
        headers.pop("x-content-type-options", None)
        pairs = tuple((name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers.items())
        return Answer(shaken.status, shaken.body, media, pairs)

    def _refused(self, connection: Connection, refusal: Refusal) -> Answer:
        self._warn(f"{refusal.code} {connection}", f"a delivery for {connection} was refused: {refusal.reason}.")
        return Answer(401, b"Refused.\n", why=refusal.code.value)

    async def _refresh(self) -> None:
        """Read which connections have secrets, and those sealed, when what is known is a few seconds old."""
        if time.monotonic() - self._read_at < _FRESH:
            return
        async with self._reading:
            if time.monotonic() - self._read_at < _FRESH:
                return
            records: dict[Connection, Record | None] = {}
            for connection in await receiving(self.vault, tenant=self.tenant):
                try:
                    records[connection] = await self.vault.get(place_of(connection))
                except AuthRevokedError as error:  # one damaged row is no reason to refuse the others
                    log.error("%s", error.message)
            self._records, self._read_at = records, time.monotonic()

    def _warn(self, about: str, sentence: str) -> None:
        """A forger must not fill the log."""
        now = time.monotonic()
        if len(self._warned) > 1000:
            self._warned.clear()
        if now - self._warned.get(about, -_QUIET) >= _QUIET:
            self._warned[about] = now
            log.warning("%s", sentence)
