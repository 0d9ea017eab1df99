"""What a process keeps of its calls: the durable audit, and telemetry where an operator has asked for it."""

import contextlib
import logging
from collections.abc import AsyncGenerator
from dataclasses import field
from functools import lru_cache
from pathlib import Path

from clew import __version__
from clew.core.audit import Record, Sink
from clew.core.audit_log import AuditLog, take_in
from clew.core.connector import Connector
from clew.core.database import Database, open_database
from clew.core.redaction import Names
from clew.core.values import dataclass
from clew.servers.settings import DATABASE, Settings
from clew.servers.telemetry import Telemetry, open_telemetry

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Evidence:
    """The audit of this process, and everything else that wants to see each record. It is the walk's sink."""

    audit: AuditLog
    observers: list[Sink] = field(default_factory=list[Sink])
    telemetry: Telemetry | None = None

    def __call__(self, record: Record) -> None:
        """A call has ended. An observer that fails is no reason to lose a record."""
        self.audit(record)
        for observe in self.observers:
            try:
                observe(record)
            except Exception:
                log.exception("telemetry of call %s failed", record.reference)


@contextlib.asynccontextmanager
async def open_evidence(settings: Settings, database: Database) -> AsyncGenerator[Evidence]:
    """Keep the records of this process while the block runs."""
    async with (
        open_telemetry(metrics=settings.metrics) as telemetry,
        AuditLog.open(database, folder(settings)) as kept,
    ):
        yield Evidence(kept, [telemetry] if telemetry else [], telemetry)


def folder(settings: Settings) -> Path:
    """Where this machine keeps the audit's spools and its anchor."""
    return settings.home / "audit"


def names(settings: Settings) -> Names:
    """Which arguments the operator never, or always, wants to see in a record."""
    return Names(frozenset(settings.audit_hide), frozenset(settings.audit_show))


@lru_cache(maxsize=256)
def versions(connector: Connector) -> dict[str, str]:
    """The versions a record names: of clew, of the package that the connector comes from, of the provider's API."""
    api = connector.version.value if connector.version else ""
    found = {"clew": __version__, "connector": _package_version(connector.name), "api": api}
    return {name: value for name, value in found.items() if value}


def _package_version(name: str) -> str:
    from clew.core.registry import discover

    entry = discover().get(name)
    if entry is None or entry.dist is None:
        return ""
    return __version__ if entry.dist.name == "clew" else f"{entry.dist.name} {entry.dist.version}"


@contextlib.asynccontextmanager
async def read_audit(settings: Settings) -> AsyncGenerator[Database | None]:
    """The database for reading the audit, with what dead processes left taken in; None when nothing was called yet."""
    if not settings.database and not (settings.home / DATABASE).is_file():
        yield None
        return
    database = await open_database(settings.database or settings.home / DATABASE)
    try:
        await take_in(database, folder(settings))
        yield database
    finally:
        await database.close()
