"""Real databases of a test's own, each with a role that may read and write its tables and nothing else."""

import os
import secrets
import sqlite3
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from tests.people import Person

from clew.core.audit import Record
from clew.core.call import Call, Walk
from clew.core.connection import Connection
from clew.core.connector import Connector
from clew.core.credentials import Credential
from clew.core.deadline import Deadline
from clew.core.errors import CallError
from clew.core.journal import Journal
from clew.core.policy import Decision, Policy
from clew.core.retry import RetryPolicy
from clew.core.secret import Secret
from clew.core.wire import Wire
from clew.servers.databases.profile import Profile
from clew.servers.databases.tools import connector_of

POSTGRES = os.environ.get("CLEW_TEST_POSTGRES_URL", "postgresql://root@127.0.0.1:5432/postgres")
MARIADB_PORT = int(os.environ.get("CLEW_TEST_MARIADB_PORT", "3306"))

_TABLES = (
    "CREATE TABLE customers (id INTEGER PRIMARY KEY, name VARCHAR(80) NOT NULL, email VARCHAR(80) UNIQUE)",
    "CREATE TABLE invoices (id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL, cents BIGINT NOT NULL, "
    "due DATE, paid SMALLINT NOT NULL DEFAULT 0, FOREIGN KEY (customer_id) REFERENCES customers (id))",
    "INSERT INTO customers VALUES (1, 'Ada', 'ada@example.com'), (2, 'Bob''s', 'bob@example.com')",
)
_INVOICES = "INSERT INTO invoices VALUES " + ", ".join(
    f"({each}, {1 + each % 2}, {each * 100}, '2026-01-{1 + each % 28:02}', {each % 3 % 2})" for each in range(1, 251)
)


@dataclass
class Keys:
    """An authorizer that lends a user name and a password."""

    user: str
    password: str

    async def apply(self, request: httpx.Request) -> str:
        raise AssertionError("a database has no requests")

    async def credential(self) -> Credential:
        return Credential("1", "basic", {"username": Secret(self.user), "password": Secret(self.password)})

    async def renew(self, generation: str) -> None:
        raise AssertionError("a password is not renewed")


async def no_wait(seconds: float) -> None:
    """Stand in for a sleep."""


@dataclass
class World:
    """A database and a role in it; calling it is calling a tool, through the whole walk."""

    address: str
    user: str = ""
    password: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    records: list[Record] = field(default_factory=list[Record])
    person: Person = field(default_factory=Person)
    policy: Policy = field(default_factory=lambda: Policy(writes=Decision.ALLOW))
    journal: Journal | None = None
    _made: tuple[str, int, Connector] | None = None

    @property
    def profile(self) -> Profile:
        return Profile.model_validate({"address": self.address, "name": "shop", **self.facts})

    @property
    def product(self) -> str:
        return self.profile.product

    @property
    def connector(self) -> Connector:
        if self._made is None or self._made[:2] != (self.address, id(self.facts)):
            self._made = self.address, id(self.facts), connector_of(self.profile)
        return self._made[2]

    async def __call__(self, tool: str, /, **arguments: Any) -> Any:
        seconds = arguments.pop("seconds", 30)
        connector = self.connector
        keys: Any = Keys(self.user, self.password) if self.user else None
        async with httpx.AsyncClient(verify=False) as client:
            where = Connection("local", connector.name, "main")
            wire = Wire(connector, where, keys, client, retry=RetryPolicy(attempts=1), sleep=no_wait)
            call = Call(connector.tools[tool], arguments, where, wire, Deadline.after(seconds), self.person)
            result = await Walk(self.policy, self.records.append, self.journal)(call)
        validator: Any = Draft202012Validator(connector.tools[tool].signature.output_schema)
        validator.validate(result)
        return result.get("result", result)

    async def failed(self, tool: str, /, **arguments: Any) -> CallError:
        with pytest.raises(CallError) as caught:
            await self(tool, **arguments)
        return caught.value

    def admin(self, sql: str) -> list[Any]:
        """What the owner of the database sees or does, past everything of ours."""
        raise NotImplementedError


@dataclass
class SqliteWorld(World):
    def admin(self, sql: str) -> list[Any]:
        connection = sqlite3.connect(self.profile.database)
        try:
            with connection:
                return connection.execute(sql).fetchall()
        finally:
            connection.close()


@dataclass
class PostgresWorld(World):
    url: str = ""

    def admin(self, sql: str) -> list[Any]:
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            found = connection.execute(sql.encode())
            return found.fetchall() if found.description else []


@dataclass
class MariaWorld(World):
    database: str = ""

    def admin(self, sql: str) -> list[Any]:
        with maria(self.database) as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())


@contextmanager
def maria(database: str | None = None) -> Generator[Any]:
    """A cursor of MariaDB's administrator, or a skip where there is no server."""
    import pymysql

    try:
        connection: Any = pymysql.connect(host="127.0.0.1", port=MARIADB_PORT, user="root", database=database)
    except pymysql.Error as error:
        pytest.skip(f"no MariaDB at 127.0.0.1:{MARIADB_PORT}: {type(error).__name__}")
    try:
        with connection.cursor() as cursor:
            yield cursor
        connection.commit()
    finally:
        connection.close()


@contextmanager
def sqlite_world(folder: Path) -> Generator[World]:
    made = SqliteWorld(f"sqlite:///{folder / 'shop.db'}")
    sqlite3.connect(made.profile.database).close()
    for statement in (*_TABLES, _INVOICES):
        made.admin(statement)
    yield made


@contextmanager
def postgres_world(url: str) -> Generator[World]:
    from urllib.parse import urlsplit

    parts, name, password = urlsplit(url), f"clew_role_{secrets.token_hex(5)}", secrets.token_hex(16)
    made = PostgresWorld(f"postgresql://{parts.hostname}:{parts.port or 5432}{parts.path}", name, password, url=url)
    for statement in (*_TABLES, _INVOICES):
        made.admin(statement)
    made.admin(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
    made.admin(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}")
    made.admin("ANALYZE")
    try:
        yield made
    finally:
        made.admin("DROP TABLE IF EXISTS invoices, customers CASCADE")
        made.admin(f"DROP OWNED BY {name}")
        made.admin(f"DROP ROLE {name}")


@contextmanager
def maria_world() -> Generator[World]:
    name, password = f"clew_{secrets.token_hex(5)}", secrets.token_hex(16)
    made = MariaWorld(f"mariadb://127.0.0.1:{MARIADB_PORT}/{name}", name, password, database=name)
    with maria() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        for host in ("127.0.0.1", "localhost"):
            cursor.execute(f"CREATE USER '{name}'@'{host}' IDENTIFIED BY '{password}'")
            cursor.execute(f"GRANT ALL PRIVILEGES ON {name}.* TO '{name}'@'{host}'")
    try:
        for statement in (*_TABLES, _INVOICES):
            made.admin(statement)
        yield made
    finally:
        with maria() as cursor:
            cursor.execute(f"DROP DATABASE {name}")
            for host in ("127.0.0.1", "localhost"):
                cursor.execute(f"DROP USER '{name}'@'{host}'")


PRODUCTS = ["sqlite", "postgresql", "mariadb"]


@contextmanager
def world_of(request: pytest.FixtureRequest, folder: Path) -> Generator[World]:
    """A database of the kind that the fixture's parameter names, with two customers and 250 invoices."""
    if request.param == "sqlite":
        with sqlite_world(folder) as made:
            yield made
    elif request.param == "mariadb":
        with maria_world() as made:
            yield made
    else:
        with postgres_world(request.getfixturevalue("postgres_database")) as made:
            yield made
