"""What differs between databases: the driver, the way in, who may come in, how reading is enforced, how work is ended.

PostgreSQL, MariaDB, MySQL and SQLite are run by our tests (MySQL as MariaDB). SQL Server and Oracle are in `unproven`.
"""

import sqlite3
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clew.core.errors import InternalError, InvalidInputError, PermissionDeniedError
from clew.servers.databases.profile import Profile

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

CONNECT_SECONDS = 8
CELL = 2000
"""Characters of one value that are shown."""
LARGEST_VALUE = 20_000_000
"""Bytes of one value that SQLite may build."""


@dataclass(frozen=True, slots=True)
class Login:
    """Who comes in, for one connection."""

    user: str = ""
    password: str = ""


class Dialect:
    """The parts that all have in common. `wraps`: the statement can stand in a FROM clause and be given a LIMIT."""

    driver = ""
    extra = "sql"
    wraps = True
    quote = '"'
    transactional = True
    """Is a change taken back by a rollback, DDL aside?"""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile

    def engine(self, login: Login) -> "Engine":
        """An engine whose connections are opened for one operation. Nothing is opened here."""
        from sqlalchemy import URL, create_engine
        from sqlalchemy.pool import NullPool

        url = URL.create(
            self.driver,
            username=login.user or None,
            password=login.password or None,
            host=self.profile.host,
            port=self.profile.port,
            database=self.profile.database,
        )
        return create_engine(url, poolclass=NullPool, connect_args=self.arguments(), hide_parameters=True)

    def arguments(self) -> dict[str, Any]:
        """What the driver is told beside the address."""
        return {}

    def begin(self, connection: "Connection", *, writes: bool, seconds: float) -> None:
        """Begin the transaction, reading only unless `writes`, each statement of at most `seconds`."""
        raise NotImplementedError

    def check_role(self, connection: "Connection") -> None:
        """Raise `PermissionDeniedError` for a role that no transaction could bind."""

    def check_write(self, connection: "Connection", tables: Sequence[str]) -> None:
        """Raise `InvalidInputError` when a change of `tables` could not be taken back."""

    def check_constraints(self, connection: "Connection") -> None:
        """Have the server judge now what it would judge at the commit."""

    def cancel(self, raw: Any, login: Login) -> None:
        """End what the server does for the connection `raw` of the driver. Called from another thread."""
        raw.cancel()

    def quoted(self, name: str) -> str:
        """A name as a statement has it. SQLAlchemy's own quoting doubles each % for the driver, as `execute` does."""
        return f"{self.quote}{name.replace(self.quote, self.quote * 2)}{self.quote}"

    def capped(self, column: str, kind: Any) -> str:
        """The expression for a column, cut by the server where it can be long. `column` is quoted."""
        return column

    def estimates(self, connection: "Connection", schema: str | None) -> dict[str, int]:
        """How many rows the tables have, by the server's statistics."""
        return {}


def scalars(connection: "Connection", sql: str, **values: Any) -> list[Any]:
    """The first column of what a statement of ours finds."""
    from sqlalchemy import text

    return list(connection.execute(text(sql), values).scalars())


def _pairs(connection: "Connection", sql: str, **values: Any) -> dict[str, int]:
    from sqlalchemy import text

    found = connection.execute(text(sql), values).all()
    return {str(name): int(count) for name, count in found if count is not None and count >= 0}


def too_mighty(what: str) -> PermissionDeniedError:
    """A role that no transaction binds is refused."""
    return PermissionDeniedError(
        f"the database's role {what}: no transaction can keep such a role from files and programs of the server.",
        next_step="Ask the person to connect with a role that may only do what the tools need (SELECT on the tables).",
    )


class PostgreSQL(Dialect):
    """psycopg. Statements are prepared by the server, which takes one at a time."""

    driver = "postgresql+psycopg"
    _FIXED = frozenset({16, 20, 21, 23, 26, 700, 701, 1082, 1083, 1114, 1184, 1266, 1700, 2950})
    _BYTES = 17

    def arguments(self) -> dict[str, Any]:
        """Encrypted with the system's certificates; every statement prepared, so that none is two."""
        modes = {
            "verify": {"sslmode": "verify-full", "sslrootcert": "system"},
            "encrypt": {"sslmode": "require"},
            "off": {"sslmode": "disable"},
        }
        return {"connect_timeout": CONNECT_SECONDS, "prepare_threshold": 0, **modes[self.profile.security]}

    def begin(self, connection: "Connection", *, writes: bool, seconds: float) -> None:
        """BEGIN READ ONLY: once a statement has run, PostgreSQL lets nobody change that."""
        from sqlalchemy import text

        connection.execution_options(postgresql_readonly=not writes)
        limit = str(int(seconds * 1000))
        first = text(
            "SELECT set_config('statement_timeout', :t, true), set_config('lock_timeout', :l, true), "
            "set_config('idle_in_transaction_session_timeout', '60000', true), set_config('timezone', 'UTC', true)"
        )
        connection.execute(first, {"t": limit, "l": str(min(int(limit), 5000))})

    def check_role(self, connection: "Connection") -> None:
        """No superuser, no server files, no programs."""
        groups = ("pg_read_server_files", "pg_write_server_files", "pg_execute_server_program")
        held = scalars(
            connection,
            "SELECT rolname FROM pg_roles WHERE (rolname = session_user AND rolsuper) OR "
            "(rolname = ANY(:groups) AND pg_has_role(session_user, oid, 'MEMBER'))",
            groups=list(groups),
        )
        if held:
            raise too_mighty("is a superuser or may use files of the server")

    def check_constraints(self, connection: "Connection") -> None:
        """Deferred ones too, so that a preview does not promise what the commit refuses."""
        connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")

    def cancel(self, raw: Any, login: Login) -> None:
        """The protocol's own request, over a connection of its own."""
        raw.cancel_safe(timeout=5.0)

    def capped(self, column: str, kind: Any) -> str:
        """Types of fixed size as they are, all others as text, of binaries the length."""
        if kind in self._FIXED:
            return column
        if kind == self._BYTES:
            return f"'<binary, ' || octet_length({column}) || ' bytes>'"
        return f"left(CAST({column} AS text), {CELL + 1})"

    def estimates(self, connection: "Connection", schema: str | None) -> dict[str, int]:
        """reltuples, which ANALYZE and VACUUM keep."""
        sql = (
            "SELECT c.relname, CAST(c.reltuples AS bigint) FROM pg_class c JOIN pg_namespace n ON n.oid = "
            "c.relnamespace WHERE n.nspname = COALESCE(CAST(:s AS text), current_schema()) "
            "AND c.relkind IN ('r', 'p', 'm')"
        )
        return _pairs(connection, sql, s=schema)


class MariaDB(Dialect):
    """PyMySQL, for MySQL too. It asks the server for one statement at a time and sends no local files."""

    driver = "mysql+pymysql"
    quote = "`"
    _FIXED = frozenset({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 246})
    _MODE = "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO,ONLY_FULL_GROUP_BY"

    def arguments(self) -> dict[str, Any]:
        """Encrypted with the system's certificates; no LOAD DATA LOCAL."""
        found: dict[str, Any] = {
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": int(self.profile.seconds) + 10,
            "local_infile": False,
            "charset": "utf8mb4",
        }
        if self.profile.security != "off":
            context = ssl.create_default_context()
            if self.profile.security == "encrypt":
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            found["ssl"] = context
        else:
            found["ssl_disabled"] = True
        return found

    def begin(self, connection: "Connection", *, writes: bool, seconds: float) -> None:
        """START TRANSACTION READ ONLY refuses DDL too, which would else commit by itself."""
        is_mariadb = bool(getattr(connection.dialect, "is_mariadb", False))
        limit = f"max_statement_time = {seconds:.3f}" if is_mariadb else f"max_execution_time = {int(seconds * 1000)}"
        kind = "READ WRITE" if writes else "READ ONLY"
        for statement in (
            f"SET SESSION {limit}, lock_wait_timeout = 5, innodb_lock_wait_timeout = 5, sql_mode = '{self._MODE}', "
            "time_zone = '+00:00'",
            f"SET SESSION TRANSACTION {kind}",
            f"START TRANSACTION {kind}",
        ):
            connection.exec_driver_sql(statement)

    def check_role(self, connection: "Connection") -> None:
        """No FILE, no SUPER, not everything."""
        grants = scalars(connection, "SHOW GRANTS")
        for grant in grants:
            rights, _, where = str(grant).partition(" ON ")
            listed = {each.strip() for each in rights.removeprefix("GRANT ").split(",")}
            if where.startswith("*.*") and listed & {"ALL PRIVILEGES", "FILE", "SUPER"}:
                raise too_mighty("holds FILE, SUPER or all privileges")

    def check_write(self, connection: "Connection", tables: Sequence[str]) -> None:
        """MyISAM, Aria and MEMORY tables know no rollback: a preview would change them."""
        engines = scalars(
            connection,
            "SELECT DISTINCT engine FROM information_schema.tables WHERE engine IS NOT NULL AND "
            "table_schema = DATABASE() AND table_name IN :names".replace("IN :names", f"IN ({_marks(tables)})"),
            **{f"n{place}": name for place, name in enumerate(tables)},
        )
        others = sorted(str(each) for each in engines if str(each).lower() not in ("innodb", "rocksdb"))
        if others or not engines:
            raise InvalidInputError(
                f"a change of this table could not be taken back (its engine is {', '.join(others) or 'unknown'}).",
                next_step="Tell the person: only tables of a transactional engine (InnoDB) can be changed here.",
            )

    def cancel(self, raw: Any, login: Login) -> None:
        """KILL QUERY, over a connection of its own."""
        engine = self.engine(login)
        with engine.connect() as connection:
            connection.exec_driver_sql(f"KILL QUERY {int(raw.thread_id())}")

    def capped(self, column: str, kind: Any) -> str:
        """Numbers and dates as they are, all others cut."""
        return column if kind in self._FIXED else f"LEFT({column}, {CELL + 1})"

    def estimates(self, connection: "Connection", schema: str | None) -> dict[str, int]:
        """The engine's own guess."""
        sql = (
            "SELECT table_name, table_rows FROM information_schema.tables "
            "WHERE table_schema = COALESCE(:s, DATABASE()) AND table_type = 'BASE TABLE'"
        )
        return _pairs(connection, sql, s=schema)


def _marks(values: Sequence[str]) -> str:
    return ", ".join(f":n{place}" for place in range(len(values))) or "NULL"


_PRAGMAS = frozenset(
    {"table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "foreign_key_list"}
)


class SQLite(Dialect):
    """The standard library's. SQLite itself asks us, for each part of a statement, whether it may be prepared."""

    driver = "sqlite+pysqlite"

    def engine(self, login: Login) -> "Engine":
        """A file that is never made, opened for reading unless it is written."""
        from sqlalchemy import create_engine
        from sqlalchemy.pool import NullPool

        return create_engine("sqlite+pysqlite://", poolclass=NullPool, creator=self._open, hide_parameters=True)

    def _open(self) -> sqlite3.Connection:
        from urllib.parse import quote

        mode = "rw" if self.profile.write else "ro"
        raw = sqlite3.connect(
            f"file:{quote(self.profile.database)}?mode={mode}", uri=True, timeout=5.0, check_same_thread=False
        )
        raw.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST_VALUE)
        raw.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        return raw

    def begin(self, connection: "Connection", *, writes: bool, seconds: float) -> None:
        """query_only, and an authorizer that knows reading alone; neither can be changed by a statement. A write keeps
        the foreign keys, which SQLite would not."""
        raw: Any = connection.connection.driver_connection
        if not writes:
            connection.exec_driver_sql("PRAGMA query_only = ON")
        else:
            raw.execute("PRAGMA foreign_keys = ON")
            raw.execute("BEGIN IMMEDIATE")
        raw.set_authorizer(_writing if writes else _reading)

    def cancel(self, raw: Any, login: Login) -> None:
        """The statement ends at its next step."""
        raw.interrupt()

    def capped(self, column: str, kind: Any) -> str:
        """Any value may be of any type here."""
        cut = f"substr({column}, 1, {CELL + 1})"
        return f"CASE typeof({column}) WHEN 'text' THEN {cut} WHEN 'blob' THEN {cut} ELSE {column} END"


_READS = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE})
_WRITES = _READS | {
    sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE, sqlite3.SQLITE_TRANSACTION,
    sqlite3.SQLITE_SAVEPOINT,
}  # fmt: skip
_DENIED = frozenset({"load_extension", "fts3_tokenizer", "writefile", "readfile", "edit", "eval"})


def _reading(action: int, first: str | None, second: str | None, *rest: object) -> int:
    if action == sqlite3.SQLITE_FUNCTION:
        return sqlite3.SQLITE_DENY if (second or "").lower() in _DENIED else sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA:
        return sqlite3.SQLITE_OK if (first or "").lower() in _PRAGMAS else sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK if action in _READS else sqlite3.SQLITE_DENY


def _writing(action: int, first: str | None, second: str | None, *rest: object) -> int:
    if action in _WRITES and not (first or "").lower().startswith("sqlite_"):
        return sqlite3.SQLITE_OK
    return _reading(action, first, second)


_PROVEN: dict[str, type[Dialect]] = {
    "postgresql": PostgreSQL,
    "mariadb": MariaDB,
    "mysql": MariaDB,
    "sqlite": SQLite,
}


def dialect_of(profile: Profile) -> Dialect:
    """The dialect of a profile's database."""
    if profile.product in _PROVEN:
        return _PROVEN[profile.product](profile)
    from clew.servers.databases.unproven import UNPROVEN

    kinds: Any = UNPROVEN  # to a checker of files a module that imports this one is another one's
    made: Dialect = kinds[profile.product](profile)
    return made


def need_driver(error: ImportError, dialect: Dialect) -> InternalError:
    """The driver is not installed."""
    package = "clew[sql]" if dialect.extra else "pyodbc"
    return InternalError(
        f"a package for this database is missing ({error.name}).",
        next_step=f"Ask the person who runs the server to install it: pip install '{package}'.",
    )
