"""The durable state of one process: the database that the settings name, and the vault in it."""

import contextlib
import logging
from collections.abc import AsyncGenerator

from clew.auth.connections import Status, status
from clew.auth.keys import Keys
from clew.auth.places import open_keys
from clew.auth.records import RecordSealer
from clew.auth.sealing import DataKeys
from clew.auth.vault import Vault, open_vault
from clew.core.connection import LOCAL_TENANT
from clew.core.database import Database, open_database
from clew.core.inbox import Inbox, open_inbox
from clew.core.journal import Journal, open_journal
from clew.core.limit_fallback import FallbackStore
from clew.core.limit_store import LimitStore, MemoryStore, StoreError
from clew.core.values import dataclass
from clew.servers.settings import DATABASE, Settings
from clew.servers.tenancy import chosen_tenant

log = logging.getLogger(__name__)

KEY = "master.key"
LIMITS = "limits.db"


@dataclass(frozen=True, slots=True)
class Store:
    """An open database, the vault in it, the keys that it is sealed with and the journal of writes."""

    database: Database
    vault: Vault
    keys: Keys
    journal: Journal

    @property
    def sealer(self) -> RecordSealer:
        """Encryption of what is kept about calls."""
        return RecordSealer(DataKeys(self.database, self.keys))


@contextlib.asynccontextmanager
async def open_store(settings: Settings) -> AsyncGenerator[Store]:
    """Open the database (without a setting the file in `settings.home`), made when it is not there; close it after."""
    keys = open_keys(settings.key_provider, settings.home / KEY, former=settings.old_key_providers)
    database = await open_database(settings.database or settings.home / DATABASE)
    try:
        vault = await open_vault(database, keys)
        journal = await open_journal(database, RecordSealer(DataKeys(database, keys)), window=settings.repeat_window)
        yield Store(database, vault, keys, journal)
        journal.presence.leave()
    finally:
        await database.close()


async def open_events(store: Store) -> Inbox:
    """The inbox in the database; its payloads are sealed with the vault's keys."""
    return await open_inbox(store.database, RecordSealer(DataKeys(store.database, store.keys)))


def open_limits(settings: Settings) -> LimitStore:
    """The shared rate limits: a file beside the vault, or the Redis that is configured with that file behind it."""
    from clew.core.limit_sqlite import SqliteStore

    try:
        here: LimitStore = SqliteStore.open(settings.home / LIMITS)
    except StoreError as error:
        log.warning("rate limits are kept in this process alone: %s", error)
        here = MemoryStore()
    else:
        here = FallbackStore(here, MemoryStore(), "the file of the rate limits")
    if not settings.limits:
        return here
    from clew.core.limit_redis import RedisStore

    return FallbackStore(RedisStore.open(settings.limits), here, "Redis")


async def tenant_here(settings: Settings) -> str:
    """The tenant that a command is about, before it asks anybody for anything. Creates nothing."""
    if settings.tenant or not settings.has_database():
        return settings.tenant or LOCAL_TENANT
    async with open_store(settings) as store:
        return await chosen_tenant(settings, store.vault)


async def stored_status(settings: Settings, connector: str | None = None) -> list[Status]:
    """What is stored, without its secrets. Creates nothing: without a database there is nothing to tell."""
    if not settings.has_database():
        return []
    async with open_store(settings) as store:
        return await status(store.vault, tenant=await chosen_tenant(settings, store.vault), connector=connector)
