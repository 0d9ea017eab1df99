"""Faults of a database for `clew check`: the session and the driver's errors are real, behind them is an empty SQLite
in memory that answers every statement with the same row. The database itself is never asked.
"""

import sqlite3
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from clew.servers.databases.dialects import Dialect, Login

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_ROWS: Mapping[str, str] = {
    "large": "SELECT printf('%.*c', 3000000, 'x') AS name, 1 AS other",
    "type": "SELECT x'00ff' AS name, 9e999 AS other",
}
_PLAIN = "SELECT 'clew' AS name, 1 AS other"
_AT_COMMIT = {"commit_lost": "lost", "commit_conflict": "conflict"}


def errors_of(product: str) -> Mapping[str, Exception]:
    """What the driver raises, by fault; empty for a product whose driver we have never seen raise."""
    if product == "postgresql":
        driver: Any = import_module("psycopg")
        return {
            "refused": driver.OperationalError("connection failed: Connection refused"),
            "lost": driver.OperationalError("consuming input failed: server closed the connection unexpectedly"),
            "timeout": driver.errors.QueryCanceled("canceling statement due to statement timeout"),
            "conflict": driver.errors.SerializationFailure("could not serialize access"),
        }
    if product in ("mariadb", "mysql"):
        driver = import_module("pymysql")
        found: Any = driver.err.OperationalError
        return {
            "refused": found(2003, "Can't connect to MySQL server"),
            "lost": found(2013, "Lost connection to MySQL server during query"),
            "timeout": found(1969, "Query execution was interrupted (max_statement_time exceeded)"),
            "conflict": found(1213, "Deadlock found when trying to get lock; try restarting transaction"),
        }
    if product == "sqlite":
        return {
            "refused": _named("unable to open database file", "SQLITE_CANTOPEN"),
            "lost": _named("disk I/O error", "SQLITE_IOERR"),
            "timeout": _named("interrupted", "SQLITE_INTERRUPT"),
            "conflict": _named("database is locked", "SQLITE_BUSY"),
        }
    return {}


def _named(words: str, name: str) -> Exception:
    made: Any = sqlite3.OperationalError(words)
    made.sqlite_errorname = name
    found: Exception = made
    return found


class Rehearsal(Dialect):
    """A dialect whose every operation ends by `fault`."""

    wraps = True

    def __init__(self, real: Dialect, fault: str) -> None:
        super().__init__(real.profile)
        self.fault, self.quote = fault, '"'

    def _error(self, fault: str) -> Exception:
        from sqlalchemy.exc import OperationalError

        original = errors_of(self.profile.product)[fault]
        return OperationalError(
            None, None, original, connection_invalidated=fault == "lost" and not self.profile.is_file
        )

    def engine(self, login: Login) -> "Engine":
        """SQLite in memory, which is told what every statement finds."""
        from sqlalchemy import create_engine, event
        from sqlalchemy.pool import NullPool

        if self.fault == "refused":
            raise self._error("refused")

        def find(connection: Any, cursor: Any, sent: str, bound: Any, *more: Any) -> tuple[str, Any]:
            about_tables = sent.startswith("PRAGMA") or "sqlite_master" in sent
            return (sent, bound) if about_tables else (_ROWS.get(self.fault, _PLAIN), ())

        def commit(connection: Any) -> None:
            if self.fault in _AT_COMMIT:
                raise self._error(_AT_COMMIT[self.fault])

        made = create_engine(
            "sqlite://", poolclass=NullPool, creator=lambda: sqlite3.connect(":memory:", check_same_thread=False)
        )
        event.listen(made, "before_cursor_execute", find, retval=True)
        event.listen(made, "commit", commit)
        return made

    def begin(self, connection: "Connection", *, writes: bool, seconds: float) -> None:
        """The fault of everything before the commit."""
        if self.fault not in (*_ROWS, *_AT_COMMIT):
            raise self._error(self.fault)
        connection.exec_driver_sql(_PLAIN)  # a transaction is under way from here on
