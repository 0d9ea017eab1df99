"""Promises: whoever writes the SQL can read what the role may read, for as long as it was said, and do nothing else.

Each attack is made twice: as an agent makes it, and behind the parser's back, where the database alone must hold.
"""

import asyncio
import contextlib
import resource
import socket
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.servers.databases.worlds import (
    PRODUCTS,
    Keys,
    World,
    maria,
    maria_world,
    postgres_world,
    sqlite_world,
    world_of,
)

from clew.core.api import Api
from clew.core.connection import Connection
from clew.core.connector import Effect
from clew.core.deadline import Deadline
from clew.core.errors import CallError, Code, ConfigurationError, Outcome
from clew.core.exchange import Trail
from clew.core.host import SilentHost
from clew.core.retry import RetryPolicy
from clew.core.wire import Wire
from clew.servers.databases.dialects import dialect_of
from clew.servers.databases.profile import read_profile
from clew.servers.databases.rows import Read, read_rows
from clew.servers.databases.session import Session
from clew.servers.databases.tools import connector_of

pytestmark = pytest.mark.anyio


@pytest.fixture(params=PRODUCTS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A database of each kind with two customers and 250 invoices."""
    with world_of(request, tmp_path) as made:
        yield made


@contextlib.asynccontextmanager
async def behind(world: World, seconds: float = 20) -> AsyncGenerator[Any]:
    """`run(work)`: an operation of a read tool, with nothing of ours between `work` and the database."""
    connector = world.connector
    keys: Any = Keys(world.user, world.password) if world.user else None
    async with httpx.AsyncClient(verify=False) as client:
        where = Connection("local", connector.name, "main")
        wire = Wire(connector, where, keys, client, retry=RetryPolicy(attempts=1))

        async def run(work: Any) -> Any:
            api = Api(wire, Deadline.after(seconds), Trail(), Effect.READ, SilentHost())
            session = Session(dialect_of(world.profile), work)
            await api.carry("SQL", "attack", session, safe=True)
            return session.result

        yield run


def state(world: World) -> list[Any]:
    """All that an attack could have changed."""
    return [
        world.admin("SELECT id, name, email FROM customers ORDER BY id"),
        world.admin("SELECT count(*), sum(cents) FROM invoices"),
        len(world.admin(_TABLES_OF[world.product])),
    ]


_TABLES_OF = {
    "sqlite": "SELECT name FROM sqlite_master",
    "postgresql": "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'",
    "mariadb": "SHOW TABLES",
}

EVERYWHERE = [
    "DELETE FROM customers",
    "UPDATE customers SET name = 'x'",
    "INSERT INTO customers VALUES (9, 'x', 'x')",
    "DROP TABLE invoices",
    "CREATE TABLE mine (a INTEGER)",
    "ALTER TABLE customers ADD COLUMN x INTEGER",
    "SELECT 1; DELETE FROM invoices",
    "SELECT 1; DROP TABLE invoices; --",
    "SELECT 1) AS q; DELETE FROM invoices; --",
    "SELECT 1 -- \n; DELETE FROM invoices",
    "SELECT 1 /* ; */ ; DELETE FROM invoices",
    "COMMIT",
    "ROLLBACK; DELETE FROM customers",
    "GRANT ALL ON customers TO PUBLIC",
    "",
    "x",
]
OWN = {
    "postgresql": [
        "WITH gone AS (DELETE FROM customers RETURNING *) SELECT * FROM gone",
        "SELECT * INTO mine FROM customers",
        "COPY (SELECT 1) TO PROGRAM 'touch {canary}'",
        "COPY customers FROM PROGRAM 'echo 9,x,x' CSV",
        "COPY customers TO '{canary}'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT \"pg_read_file\"('/etc/passwd')",
        "SELECT pg_catalog.pg_read_file('/etc/passwd')",
        "SELECT U&\"pg\\005fread_file\"('/etc/passwd')",
        "SELECT lo_import('/etc/passwd')",
        "SELECT lo_export(lo_create(0), '{canary}')",
        "SELECT pg_ls_dir('/')",
        "SELECT set_config('transaction_read_only', 'off', false)",
        "SET TRANSACTION READ WRITE",
        "SET default_transaction_read_only = off",
        "SET SESSION AUTHORIZATION postgres",
        "RESET ROLE",
        "BEGIN READ WRITE",
        "DO $$ BEGIN DELETE FROM customers; END $$",
        "CALL wipe()",
        "SELECT wipe()",
        "SELECT query_to_xml('DELETE FROM customers', true, true, '')",
        "EXPLAIN ANALYZE DELETE FROM customers",
        "LISTEN x",
        "PREPARE p AS DELETE FROM customers",
        "SELECT * FROM customers FOR UPDATE",
        "SELECT pg_terminate_backend(pg_backend_pid())",
        "SELECT nextval('numbers')",
        "LOCK TABLE customers",
        "VACUUM",
        "CREATE EXTENSION dblink",
        "SELECT dblink('host=127.0.0.1', 'SELECT 1')",
        # Functions that run a text as SQL: what the parser would refuse stands where it does not look.
        "SELECT * FROM ts_stat('SELECT to_tsvector(pg_sleep(0)::text)')",
        "SELECT ts_rewrite('a'::tsquery, 'SELECT ''a''::tsquery, ''b''::tsquery FROM pg_sleep(0)')",
        "SELECT * FROM crosstab('SELECT pg_sleep(0)::text, 1, 1') AS t(a text, b int)",
        "SELECT * FROM connectby('customers', 'id', 'id', '1', 0) AS t(a int, b int, c int)",
        "SELECT table_to_xml('customers', true, true, '')",
        "SELECT 1 AS a FROM xmltable('/a' PASSING query_to_xml('SELECT 1', true, true, '') COLUMNS b int)",
        # Functions wherever a statement can hold one
        'SELECT "pg_catalog" . "pg_sleep" (0)',
        "SELECT 1 AS a FROM ROWS FROM (pg_sleep(0)) AS x(a)",
        "SELECT 1 AS a FROM customers, LATERAL pg_sleep(0)",
        "VALUES (pg_sleep(0))",
        "SELECT 1 AS a ORDER BY pg_sleep(0)",
        "SELECT 1 AS a LIMIT (SELECT length(pg_sleep(0)::text))",
        "SELECT count(*) FILTER (WHERE pg_sleep(0) IS NULL) AS a FROM customers",
        "SELECT first_value(pg_sleep(0)) OVER w AS a FROM customers WINDOW w AS (ORDER BY id)",
        "SELECT pg_sleep_for('0 s')",
        "SELECT pg_advisory_lock(77)",
        "SELECT pg_try_advisory_lock_shared(77)",
        "SELECT pg_notify('clew', 'x')",
        "NOTIFY clew",
        "SELECT pg_export_snapshot()",
        "SELECT pg_current_xact_id()",
        "SELECT pg_logical_emit_message(false, 'a', 'b')",
        "SELECT gin_clean_pending_list('x')",
        "SELECT pg_cancel_backend(1)",
        "SELECT current_setting('data_directory')",
        "SELECT pg_stat_file('PG_VERSION')",
        "SELECT lo_from_bytea(0, 'a')",
        "SELECT setval('numbers', 50)",
        "SELECT * FROM customers FOR KEY SHARE",
        "WITH x AS (SELECT * FROM customers FOR NO KEY UPDATE NOWAIT) SELECT * FROM x",
        "SELECT EXISTS (WITH x AS (INSERT INTO customers VALUES (8, 'a', 'a') RETURNING 1) SELECT 1 FROM x)",
        "WITH x AS (SELECT 1) DELETE FROM customers",
        "SELECT '\\'; DELETE FROM customers; --'",
        "SELECT $$'$$; DELETE FROM customers; SELECT $$'$$",
        "SELECT 1 INTO TEMP mine",
        "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
        "DISCARD ALL",
        "MERGE INTO customers USING invoices ON true WHEN MATCHED THEN DELETE",
        "COMMENT ON TABLE customers IS 'x'",
    ],
    "mariadb": [
        "SELECT * FROM customers INTO OUTFILE '{canary}'",
        "SELECT 'x' INTO DUMPFILE '{canary}'",
        "SELECT 1 /*! INTO OUTFILE '{canary}' */",
        "SELECT 1 /*!50000 INTO OUTFILE '{canary}' */",
        "SELECT 1 /*M! INTO OUTFILE '{canary}' */",
        "SELECT LOAD_FILE('/etc/passwd')",
        "LOAD DATA INFILE '/etc/passwd' INTO TABLE customers",
        "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE customers",
        "SET SESSION TRANSACTION READ WRITE",
        "SET @@session.tx_read_only = 0",
        "START TRANSACTION READ WRITE",
        "SELECT @x := 1",
        "TRUNCATE TABLE customers",
        "RENAME TABLE customers TO mine",
        "CREATE TABLE mine AS SELECT * FROM customers",
        "REPLACE INTO customers VALUES (1, 'x', 'x')",
        "CALL wipe()",
        "SELECT wipe()",
        "DO SLEEP(0)",
        "HANDLER customers OPEN",
        "SELECT GET_LOCK('x', 1)",
        "SELECT * FROM customers FOR UPDATE",
        "SELECT * FROM customers LOCK IN SHARE MODE",
        "PREPARE p FROM 'DELETE FROM customers'",
        "EXECUTE IMMEDIATE 'DELETE FROM customers'",
        "FLUSH TABLES",
        "KILL 1",
        "SELECT NEXT VALUE FOR numbers",
        "SELECT 1 # \n; DELETE FROM customers",
        "SELECT `SLEEP`(0)",
        "SELECT 1 AS a FROM customers WHERE SLEEP(0)",
        "SELECT BENCHMARK(1, SHA2('a', 512))",
        "SELECT `load_file`('/etc/passwd')",
        "SELECT LOAD_FILE(0x2f6574632f706173737764)",
        "SELECT 1 UNION SELECT 2 INTO OUTFILE '{canary}'",
        "SELECT * FROM (SELECT 1 INTO OUTFILE '{canary}') t",
        "SELECT 1 INTO @v",
        "SELECT @@datadir",
        "SELECT NEXTVAL(numbers)",
        "SELECT SETVAL(numbers, 100)",
        "SELECT RELEASE_ALL_LOCKS()",
        "SELECT MASTER_GTID_WAIT('0-1-1', 0)",
        "SELECT wsrep_sync_wait_upto_gtid('0-1-1')",
        "SELECT * FROM customers PROCEDURE ANALYSE(10, 2000)",
        "SELECT * FROM (SELECT * FROM customers FOR UPDATE) x",
        "SELECT * FROM customers FOR UPDATE SKIP LOCKED",
        "DELETE FROM customers RETURNING id",
        "WITH x AS (SELECT 1) DELETE FROM customers",
        "BEGIN NOT ATOMIC DELETE FROM customers; END",
        "SET STATEMENT max_statement_time = 0 FOR SELECT 1",
        "LOCK TABLES customers WRITE",
        "XA START 'x'",
        "ANALYZE FORMAT=JSON DELETE FROM customers",
        "OPTIMIZE TABLE customers",
    ],
    "sqlite": [
        "ATTACH DATABASE '{canary}' AS other",
        "PRAGMA writable_schema = ON",
        "PRAGMA query_only = OFF",
        "SELECT * FROM pragma_query_only",
        "SELECT load_extension('{canary}')",
        "SELECT writefile('{canary}', 'x')",
        "VACUUM INTO '{canary}'",
        "REPLACE INTO customers VALUES (1, 'x', 'x')",
        "UPDATE sqlite_master SET sql = ''",
        "CREATE TEMP TABLE mine (a)",
        "CREATE VIRTUAL TABLE mine USING fts5(a)",
        "SELECT fts3_tokenizer('simple', x'00')",
        "BEGIN IMMEDIATE",
        "SAVEPOINT x",
        "REINDEX",
        "DETACH DATABASE main",
    ],
}


def attacks(world: World, canary: Path) -> list[str]:
    return [each.replace("{canary}", str(canary)) for each in [*EVERYWHERE, *OWN[world.product]]]


def prepare(world: World) -> None:
    """Give the attacker what a careless owner may have left: a function that deletes, a sequence."""
    if world.product == "postgresql":
        body = "AS 'DELETE FROM invoices; DELETE FROM customers; SELECT 1' LANGUAGE sql SECURITY DEFINER"
        world.admin("DROP FUNCTION IF EXISTS wipe()")
        world.admin(f"CREATE FUNCTION wipe() RETURNS integer {body}")
        world.admin("CREATE SEQUENCE IF NOT EXISTS numbers")
        world.admin("GRANT ALL ON SEQUENCE numbers TO PUBLIC")
    if world.product == "mariadb":
        world.admin(
            "CREATE FUNCTION wipe() RETURNS INTEGER MODIFIES SQL DATA BEGIN DELETE FROM invoices; "
            "DELETE FROM customers; RETURN 1; END"
        )
        world.admin("CREATE SEQUENCE numbers")


async def test_nothing_but_reading_is_sent(world: World, tmp_path: Path) -> None:
    prepare(world)
    canary, before = tmp_path / "canary", state(world)
    for sql in attacks(world, canary):
        error = await world.failed("query", sql=sql)
        assert error.outcome is Outcome.NOT_APPLIED, sql
        # What looks harmless is refused by the database alone.
        known = (Code.INVALID_INPUT, Code.PERMISSION) if "wipe" in sql or "pragma_" in sql else (Code.INVALID_INPUT,)
        assert error.code in known, (sql, error.as_text())
    assert state(world) == before
    assert not canary.exists()


def _wrapped(world: World, sql: str) -> Callable[[Any], Any]:
    return lambda connection: read_rows(connection, dialect_of(world.profile), Read(sql, {}, 10))


def _bound(sql: str) -> Callable[[Any], Any]:
    from sqlalchemy import text

    return lambda connection: connection.execute(text(sql.replace(":", "\\:"))).close()


def _plain(sql: str) -> Callable[[Any], Any]:
    return lambda connection: connection.exec_driver_sql(sql.replace("%", "%%")).close()


async def test_the_database_holds_where_the_parser_is_fooled(world: World, tmp_path: Path) -> None:
    prepare(world)
    canary, before = tmp_path / "canary", state(world)
    async with behind(world) as run:
        for sql in attacks(world, canary):
            for work in (_wrapped(world, sql), _bound(sql), _plain(sql)):
                with contextlib.suppress(CallError):
                    await run(work)
            assert not canary.exists(), sql
    assert state(world) == before
    if world.product in ("postgresql", "mariadb"):
        taken = (
            "SELECT is_called FROM numbers"
            if world.product == "postgresql"
            else "SELECT next_not_cached_value FROM numbers"
        )
        assert world.admin(taken)[0][0] in (False, 1)


async def test_a_session_cannot_leave_its_read_only_transaction(world: World) -> None:
    """Several statements in one transaction, more than any tool sends: settings, then a write."""
    doors = {
        "postgresql": ["SELECT set_config('transaction_read_only', 'off', false)", "SET TRANSACTION READ WRITE"],
        "mariadb": ["SET SESSION TRANSACTION READ WRITE", "SET @@session.tx_read_only = 0"],
        "sqlite": ["PRAGMA query_only = OFF", "PRAGMA writable_schema = ON"],
    }
    before = state(world)

    def through(door: str) -> Callable[[Any], None]:
        def leave(connection: Any) -> None:
            with contextlib.suppress(Exception):
                connection.exec_driver_sql(door)
            connection.exec_driver_sql("DELETE FROM invoices")
            connection.commit()

        return leave

    async with behind(world) as run:
        for door in doors[world.product]:
            with pytest.raises(CallError):
                await run(through(door))
            assert state(world) == before, door


async def test_a_text_that_a_function_runs_as_sql_reaches_no_network(postgres_database: str) -> None:
    """dblink is refused by its name; ts_stat would run it out of a text, and no read-only transaction prevents it."""
    with postgres_world(postgres_database) as world, socket.socket() as ear:
        ear.bind(("127.0.0.1", 0))
        ear.listen()
        ear.setblocking(False)
        world.admin("CREATE EXTENSION IF NOT EXISTS dblink")
        call = f"dblink_connect('host=127.0.0.1 user=x password=x connect_timeout=1 port={ear.getsockname()[1]}')"
        quoted = call.replace("'", "''")
        hidden = [
            f"SELECT * FROM ts_stat('SELECT to_tsvector({quoted})')",
            f"SELECT ts_rewrite('a'::tsquery, 'SELECT ''a''::tsquery, ''b''::tsquery WHERE {quoted} IS NULL')",
            f"SELECT query_to_xml('SELECT {quoted}', true, true, '')",
        ]
        for sql in (f"SELECT {call}", *hidden):
            assert "is not sent" in (await world.failed("query", sql=sql)).message
            with pytest.raises(BlockingIOError):
                ear.accept()


SESSION = {
    "postgresql": [
        "SELECT pg_advisory_lock(77)",
        "LISTEN clew",
        "SELECT set_config('statement_timeout', '0', false)",
        "SELECT pg_notify('clew', 'x')",
    ],
    "mariadb": ["SELECT GET_LOCK('clew', 0)", "SET SESSION max_statement_time = 0", "SET @x = 1"],
}


async def test_a_session_leaves_nothing_behind(world: World) -> None:
    """Behind the parser: what belongs to a session, and no transaction takes back, ends with the operation."""
    if world.product == "sqlite":
        pytest.skip("it has no sessions")
    async with behind(world) as run:
        for sql in SESSION[world.product]:
            with contextlib.suppress(CallError):
                await run(_plain(sql))
    seen = {
        "postgresql": "SELECT (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = "
        "(SELECT oid FROM pg_database WHERE datname = current_database())) + "
        f"(SELECT count(*) FROM pg_stat_activity WHERE usename = '{world.user}')",
        "mariadb": "SELECT (IS_USED_LOCK('clew') IS NOT NULL) + "
        f"(SELECT count(*) FROM information_schema.processlist WHERE user = '{world.user}')",
    }[world.product]
    async with asyncio.timeout(10):  # a server takes a moment to see that somebody left
        while int((await asyncio.to_thread(world.admin, seen))[0][0]):
            pass


async def test_a_statement_that_lifts_its_own_time_limit_ends_all_the_same(world: World) -> None:
    if world.product == "sqlite":
        pytest.skip("it has no limit of its own to lift")
    world.facts = {"seconds": 1}
    lift, sleep = {
        "postgresql": ("SELECT set_config('statement_timeout', '0', false)", "SELECT pg_sleep(60)"),
        "mariadb": ("SET SESSION max_statement_time = 0", "SELECT SLEEP(60)"),
    }[world.product]

    def work(connection: Any) -> None:
        connection.exec_driver_sql(lift).close()
        connection.exec_driver_sql(sleep).close()

    began = time.monotonic()
    async with behind(world) as run:
        with pytest.raises(CallError, match="longer than"):
            await run(work)
    assert time.monotonic() - began < 15
    await until(world, busy=False)


async def test_the_server_itself_bounds_a_statement(world: World) -> None:
    """Ours ends with our process; the server's holds when that was killed."""
    limit = {"postgresql": "SHOW statement_timeout", "mariadb": "SELECT CAST(@@max_statement_time AS CHAR)"}
    if world.product not in limit:
        pytest.skip("its statements run in this process")
    found: list[str] = []

    def work(connection: Any) -> None:
        found.append(str(connection.exec_driver_sql(limit[world.product]).scalar()))

    async with behind(world) as run:
        await run(work)
    assert 18 <= float(found[0].removesuffix("ms").removesuffix("s")) / (1000 if "ms" in found[0] else 1) <= 20


async def test_reading_stays_reading_where_the_profile_declares_writes(tmp_path: Path) -> None:
    """Then SQLite's file is open for writing, and what keeps a read from it is the allow-list alone."""
    with sqlite_world(tmp_path) as world:
        write = {"help": "Mark an invoice as paid.", "sql": "UPDATE invoices SET paid = 1 WHERE id = 1"}
        world.facts = {"write": {"mark_paid": write}}
        before = state(world)

        def work(connection: Any) -> None:
            with contextlib.suppress(Exception):
                connection.exec_driver_sql("PRAGMA query_only = OFF")
            connection.exec_driver_sql("DELETE FROM invoices")
            connection.commit()

        async with behind(world) as run:
            with pytest.raises(CallError):
                await run(work)
        assert state(world) == before


@pytest.mark.parametrize("alias", ["count(*)", "a, count(*) AS b", '1 AS "b', "b`, count(*) AS `c", "a:b"])
async def test_a_column_s_name_is_no_part_of_the_statement(world: World, alias: str) -> None:
    """The rows are cut in a SELECT around the agent's, which names its columns."""
    quoted = (
        f"`{alias.replace('`', '``')}`" if world.product == "mariadb" else f'"{alias.replace(chr(34), chr(34) * 2)}"'
    )
    shown = await world("query", sql=f"SELECT 5 AS {quoted} FROM customers ORDER BY 1")
    assert (shown["columns"], shown["rows"]) == ([alias], [[5], [5]])


HOSTILE = [
    "customers; DROP TABLE invoices",
    "customers'; DROP TABLE invoices; --",
    'customers"; DROP TABLE invoices; --',
    "customers`; DROP TABLE invoices; --",
    "' OR '1'='1",
    "\\'; DROP TABLE invoices; --",
    "customers/**/UNION/**/SELECT/**/1",
    "%s %(name)s :name {0} ${x}",
    "../../etc/passwd",
    "x" * 128,
    "\u2019 OR 1=1",
]


@pytest.mark.parametrize("text", HOSTILE)
async def test_no_argument_is_ever_sql(world: World, text: str) -> None:
    before = state(world)
    assert (await world.failed("describe_table", table=text)).code is Code.NOT_FOUND
    for tool, more in (("describe_table", {"table": "customers"}), ("list_tables", {})):
        with contextlib.suppress(CallError):
            found = await world(tool, schema=text, **more)
            assert found == []
    sql = "SELECT :value AS value, (SELECT count(*) FROM customers WHERE name = :value) AS found"
    if world.product == "postgresql":
        sql = sql.replace(":value", "CAST(:value AS text)")
    shown = await world("query", sql=sql, params={"value": text})
    assert shown["rows"] == [[text, 0]]
    error = await world.failed("query", sql="SELECT 1 AS a", cursor=text)
    assert error.code is Code.INVALID_INPUT
    error = await world.failed("query", sql="SELECT 1 AS a", params={text: 1})
    assert error.code is Code.INVALID_INPUT
    assert state(world) == before


ENDLESS = {
    "postgresql": "SELECT count(*) AS n FROM generate_series(1, 100000000000) AS a",
    "mariadb": "SELECT count(*) AS n FROM invoices a, invoices b, invoices c, invoices d, invoices e",
    "sqlite": "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) AS n FROM n",
}


def working(world: World) -> int:
    """How many statements of the role the server is still working on."""
    if world.product == "postgresql":
        sql = f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{world.user}' AND state = 'active'"
    else:
        sql = f"SELECT count(*) FROM information_schema.processlist WHERE user = '{world.user}' AND info IS NOT NULL"
    return int(world.admin(sql)[0][0])


async def until(world: World, *, busy: bool) -> None:
    """Ask the server until it works on a statement of the role, or on none."""
    async with asyncio.timeout(15):
        while bool(await asyncio.to_thread(working, world)) is not busy:
            pass


async def test_a_query_that_runs_forever_ends_at_its_bound(world: World) -> None:
    world.facts = {"seconds": 0.5}
    began = time.monotonic()
    error = await world.failed("query", sql=ENDLESS[world.product], seconds=4 if world.product == "sqlite" else 30)
    assert error.code is Code.INVALID_INPUT
    assert "longer than" in error.message
    assert time.monotonic() - began < 15
    if world.product != "sqlite":
        await until(world, busy=False)


async def test_a_call_that_is_given_up_ends_at_the_server(world: World) -> None:
    if world.product == "sqlite":
        pytest.skip("its statements run in this process; the test of bounds shows that they end")
    call = asyncio.create_task(world("query", sql=ENDLESS[world.product]))
    await until(world, busy=True)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await until(world, busy=False)


LARGE = {
    "postgresql": [
        "SELECT repeat('x', 200000000) AS big",
        "SELECT repeat('x', 100000) AS big FROM generate_series(1, 10000)",
        "SELECT CAST(repeat('x', 100000000) AS bytea) AS big",
        "SELECT string_agg(CAST(a AS text), ',') AS big FROM generate_series(1, 10000000) AS a",
    ],
    "mariadb": [
        "SELECT REPEAT('x', 15000000) AS big FROM invoices a, invoices b",
        "SELECT CAST(REPEAT('x', 100000) AS BINARY) AS big FROM invoices a, invoices b",
    ],
    "sqlite": [
        "SELECT hex(zeroblob(9000000)) AS big FROM invoices",
        "SELECT zeroblob(1000000000) AS big",
        "SELECT printf('%.*c', 100000, 'x') AS big FROM invoices a, invoices b",
    ],
}


async def test_a_gigabyte_does_not_arrive(world: World) -> None:
    world.facts = {"seconds": 2}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for sql in LARGE[world.product]:
        with contextlib.suppress(CallError):
            found = await world("query", sql=sql)
            assert sum(len(str(row)) for row in found["rows"]) < 20_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000


async def test_a_role_that_no_transaction_binds_is_not_used(postgres_database: str) -> None:
    with postgres_world(postgres_database) as world:
        world.admin(f"ALTER ROLE {world.user} SUPERUSER")
        error = await world.failed("query", sql="SELECT 1 AS a")
        assert error.code is Code.PERMISSION
        world.admin(f"ALTER ROLE {world.user} NOSUPERUSER")
        assert (await world("query", sql="SELECT 1 AS a"))["rows"] == [[1]]
        world.admin(f"GRANT pg_execute_server_program TO {world.user}")
        assert (await world.failed("query", sql="SELECT 1 AS a")).code is Code.PERMISSION
    with maria_world() as world:
        with maria() as cursor:
            for host in ("127.0.0.1", "localhost"):
                cursor.execute(f"GRANT FILE ON *.* TO '{world.user}'@'{host}'")
        assert (await world.failed("query", sql="SELECT 1 AS a")).code is Code.PERMISSION


async def test_a_wrong_password_is_said_and_never_repeated(world: World) -> None:
    if world.product == "sqlite":
        pytest.skip("a file has no password")
    if world.product == "postgresql":
        world.user = "clew_nobody"
    world.password = "hunter2-hunter2"
    error = await world.failed("query", sql="SELECT 1 AS a")
    assert "hunter2" not in error.as_text()
    assert "hunter2" not in str(world.records)
    assert error.outcome is Outcome.NOT_APPLIED
    if world.product == "mariadb":
        assert error.code is Code.AUTH_REVOKED


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://ada:hunter2@db.example/shop",
        "postgresql://ada@db.example/shop",
        "postgresql://db.example/shop?password=hunter2",
        "postgresql://db.example/shop?options=-cdefault_transaction_read_only%3Doff",
        "mysql://db.example/shop?local_infile=1",
        "file:///etc/passwd",
        "postgresql:///shop",
        "postgresql://db.example:x/shop",
    ],
)
def test_an_address_holds_no_password_and_no_options(address: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_profile(address)
    assert "hunter2" not in str(caught.value)


def test_a_credential_is_bound_to_the_server() -> None:
    here, there = (connector_of(read_profile(f"postgresql://{host}/shop")) for host in ("db.example", "evil.example"))
    assert here.base_url == "sql://db.example:5432"
    assert there.base_url != here.base_url
