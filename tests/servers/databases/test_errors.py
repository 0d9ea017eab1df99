"""What each database's errors mean: nothing that an agent or an operator wrote ends as a fault that passes."""

import json
from typing import Any

import psycopg.errors
import pytest
from pymysql.constants import ER
from tests.servers.databases.worlds import World, maria_world, postgres_world

from clew.connectors.sql import classify
from clew.core.errors import CallError, Code
from clew.core.response import Response

pytestmark = pytest.mark.anyio


def code_of(**facts: Any) -> str | None:
    verdict = classify(Response(500, {}, json.dumps(facts).encode(), facts, None, "SQL", "sql:"))
    return None if verdict is None else verdict.code


STATES = sorted(
    {state for found in vars(psycopg.errors).values() if isinstance(state := getattr(found, "sqlstate", None), str)}
)
PASSING = {"57014", "57000", "57P01", "57P02", "57P03", "57P05", "25P03", "25P04", "40003"}
PASSING_CLASSES = {"08", "58", "XX", "HV", "F0"}


def test_each_of_postgresql_s_states_has_its_code() -> None:
    """Only what another try can mend is told to pass; the classes are those of the appendix of PostgreSQL's manual."""
    assert len(STATES) > 220
    judged = {state: code_of(sqlstate=state, database="postgresql") for state in STATES}
    assert [state for state, code in judged.items() if code is None] == []
    passing = {state for state, code in judged.items() if code == "transient"}
    assert {state for state in passing if state[:2] not in PASSING_CLASSES} <= PASSING
    assert passing >= PASSING & set(STATES)
    assert judged["40002"] == judged["44000"] == judged["P0001"] == judged["23P01"] == "invalid_input"
    assert judged["55006"] == judged["40001"] == "conflict"


SERVER_S_OWN = {
    "transient": """ERROR_ON_WRITE GET_ERRNO OUTOFMEMORY OUT_OF_RESOURCES UNKNOWN_ERROR ERROR_DURING_COMMIT
        CRASHED_ON_USAGE CRASHED_ON_REPAIR QUERY_INTERRUPTED STACK_OVERRUN_NEED_MORE AUTOINC_READ_FAILED
        SERVER_SHUTDOWN NORMAL_SHUTDOWN GOT_SIGNAL SHUTDOWN_COMPLETE FORCING_CLOSE ABORTING_CONNECTION
        NET_PACKETS_OUT_OF_ORDER NET_READ_ERROR NET_READ_INTERRUPTED NET_ERROR_ON_WRITE NET_WRITE_INTERRUPTED
        NEW_ABORTING_CONNECTION NET_UNCOMPRESS_ERROR QUERY_TIMEOUT HOSTNAME""",
    "conflict": "CHECKREAD LOCK_WAIT_TIMEOUT LOCK_TABLE_FULL LOCK_DEADLOCK CANT_UPDATE_WITH_READLOCK TABLE_DEF_CHANGED "
    "XA_RBTIMEOUT XA_RBDEADLOCK",
    "rate_limited": "CON_COUNT_ERROR TOO_MANY_USER_CONNECTIONS USER_LIMIT_REACHED HOST_IS_BLOCKED CANT_CREATE_THREAD "
    "TOO_MANY_CONCURRENT_TRXS",
    "quota_exhausted": "DISK_FULL RECORD_FILE_FULL TRANS_CACHE_FULL",
    "already_done": "DUP_KEY DUP_ENTRY DUP_ENTRY_WITH_KEY_NAME",
    "not_found": "NO_SUCH_TABLE BAD_TABLE_ERROR BAD_DB_ERROR UNKNOWN_TABLE",
    "contract_changed": "BAD_FIELD_ERROR KEY_DOES_NOT_EXITS SP_DOES_NOT_EXIST VIEW_INVALID",
}


def test_each_of_mariadb_s_errors_has_its_code() -> None:
    """Those of its server that are not about server, locks, rights or names are about the statement."""
    numbers = {name: number for name, number in vars(ER).items() if isinstance(number, int) and number > 1001}
    facts = {"database": "mariadb", "sqlstate": "42000"}  # which it says of much more than the statement
    judged = {name: code_of(errno=number, **facts) for name, number in numbers.items()}
    assert [name for name, code in judged.items() if code is None] == []
    for code, names in SERVER_S_OWN.items():
        wanted = {name for name in names.split() if name in judged}
        assert {name for name in wanted if judged[name] != code} == set(), code
    told = {name for name, code in judged.items() if code == "transient"}
    assert told <= set(SERVER_S_OWN["transient"].split())
    assert code_of(errno=1735, database="mariadb") == "invalid_input"
    assert code_of(errno=2013, database="mariadb") == "transient"


@pytest.mark.parametrize(
    ("kind", "message", "code"),
    [
        ("OverflowError", "Python int too large to convert to SQLite INTEGER", "invalid_input"),
        ("DataError", "PostgreSQL text fields cannot contain NUL (0x00) bytes", "invalid_input"),
        ("UnicodeEncodeError", "surrogates not allowed", "invalid_input"),
        ("OperationalError", "something", "transient"),
        ("KeyError", "something", None),
    ],
)
def test_a_driver_s_error_without_a_code_goes_by_its_class(kind: str, message: str, code: str | None) -> None:
    assert code_of(kind=kind, message=message, database="x") == code


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('connection failed: FATAL:  password authentication failed for user "x"', "auth_revoked"),
        ('FATAL:  role "x" does not exist', "auth_revoked"),
        ("FATAL:  no pg_hba.conf entry for host", "auth_revoked"),
        ('FATAL:  database "x" does not exist', "not_found"),
        ("FATAL:  sorry, too many clients already", "rate_limited"),
        ("FATAL:  the database system is starting up", "transient"),
        ("connection timeout expired", "transient"),
        ("failed to resolve host 'x': Name or service not known", "transient"),
    ],
)
def test_a_refusal_before_the_session_says_whose_fault_it_is(message: str, code: str) -> None:
    assert code_of(message=message, kind="OperationalError", reached=False, database="postgresql") == code


@pytest.mark.parametrize("name", ["SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_CORRUPT", "SQLITE_IOERR_FSYNC"])
def test_a_fault_of_sqlite_s_file_is_nobody_s_mistake(name: str) -> None:
    assert code_of(name=name, message="disk I/O error", database="sqlite") == "transient"


async def refused(world: World, sql: str) -> CallError:
    return await world.failed("query", sql=sql)


WRONG = {
    "mariadb": [
        "SELECT * FROM invoices PARTITION (p9)",
        "SELECT id FROM customers GROUP BY nothing",
        "SELECT customers.id FROM customers JOIN invoices ON id = 1",
        "SELECT nothing(1) AS a",
        "SELECT (SELECT id FROM customers) AS a",
        "SELECT id FROM customers USE INDEX (none)",
        "SELECT GROUP_CONCAT(1 ORDER BY 9) AS a",
        "SELECT CAST('x' AS DATE) + no AS a FROM customers",
        "SELECT 18446744073709551615 + 1 AS a",
        "SELECT * FROM customers WHERE id = ROW(1, 2)",
        "SELECT 'a' REGEXP '(' AS a",
    ],
    "postgresql": [
        "SELECT id FROM customers GROUP BY nothing",
        "SELECT id FROM customers JOIN invoices ON true",
        "SELECT nothing(1) AS a",
        "SELECT (SELECT id FROM customers) AS a",
        "SELECT 1 / 0 AS a",
        "SELECT 'x'::int AS a",
        "SELECT 'a' ~ '(' AS a",
        "SELECT name + 1 AS a FROM customers",
        "SELECT max(count(*)) AS a FROM customers",
        "SELECT 'x'::nothing AS a",
    ],
    "sqlite": [
        "SELECT nothing(1) AS a",
        "SELECT no FROM customers",
        "SELECT id FROM customers JOIN invoices ON 1",
        "SELECT sum(count(*)) AS a FROM customers",
        "SELECT name COLLATE nothing AS a FROM customers",
        "SELECT json_extract('{', '$') AS a",
        "SELECT abs(-9223372036854775808) AS a",
        "SELECT 1 AS a UNION SELECT 1, 2",
        "SELECT substr(1) AS a",
    ],
}


async def test_a_wrong_statement_is_the_agent_s_to_mend(world: World) -> None:
    for sql in WRONG[world.product]:
        error = await refused(world, sql)
        assert (sql, error.code) == (sql, Code.INVALID_INPUT)
    error = await refused(world, "SELECT * FROM nowhere")
    assert (error.code, error.next_step[:16]) == (Code.NOT_FOUND, "Call list_tables")


async def test_a_value_that_no_column_holds_is_the_agent_s_to_mend(world: World) -> None:
    sql = "SELECT id FROM customers WHERE id = :id"
    if world.product == "postgresql":
        sql = "SELECT id FROM customers WHERE id = CAST(:id AS int)"
    for value in (2**70, "\ud800", "a\0b") if world.product != "mariadb" else ("\ud800",):
        try:
            assert (await world("query", sql=sql, params={"id": value}))["rows"] == []
        except CallError as error:
            assert (value, error.code) == (value, Code.INVALID_INPUT)  # noqa: PT017 - one of both


async def test_a_declared_query_whose_column_is_gone_says_that_the_database_has_changed(world: World) -> None:
    world.facts = {"query": {"list_names": {"help": "List names.", "sql": "SELECT gone FROM customers"}}}
    assert (await world.failed("list_names")).code is Code.CONTRACT_CHANGED


async def test_a_table_that_is_in_use_is_a_conflict(postgres_database: str) -> None:
    import psycopg

    with postgres_world(postgres_database) as world, psycopg.connect(postgres_database) as other:
        world.facts = {"seconds": 2}
        other.execute("LOCK TABLE customers IN ACCESS EXCLUSIVE MODE")
        error = await world.failed("query", sql="SELECT id FROM customers")
        assert error.code in (Code.CONFLICT, Code.INVALID_INPUT)


async def test_mariadb_refuses_a_partition_that_is_not_there() -> None:
    with maria_world() as world:
        world.admin("CREATE TABLE parts (id INTEGER) PARTITION BY HASH (id) PARTITIONS 2")
        assert (await refused(world, "SELECT * FROM parts PARTITION (p9)")).code is Code.INVALID_INPUT
        assert (await world("query", sql="SELECT * FROM parts PARTITION (p0)"))["rows"] == []
