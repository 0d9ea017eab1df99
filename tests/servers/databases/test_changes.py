"""Declared writes: what a person is shown, what is changed, and what is refused."""

from typing import Any

import pytest
from tests.servers.databases.worlds import World, sqlite_world

from clew.core.connector import Effect
from clew.core.errors import Code, ConfigurationError, Outcome
from clew.core.policy import Decision, Policy
from clew.servers.databases.guard import check_write
from clew.servers.databases.profile import Profile
from clew.servers.databases.tools import connector_of

pytestmark = pytest.mark.anyio

WRITES: dict[str, Any] = {
    "write": {
        "add_customer": {
            "help": "Add a customer.",
            "sql": "INSERT INTO customers (id, name, email) VALUES (:id, :name, :email)",
            "parameters": {"id": {"type": "integer"}, "name": {}, "email": {"optional": True}},
        },
        "mark_paid": {
            "help": "Mark an invoice as paid.",
            "sql": "UPDATE invoices SET paid = 1 WHERE id = :id AND due < :day",
            "parameters": {"id": {"type": "integer"}, "day": {"type": "date"}},
        },
        "delete_invoices": {
            "help": "Delete a customer's invoices.",
            "sql": "DELETE FROM invoices WHERE customer_id = :customer AND cents > :cents",
            "parameters": {"customer": {"type": "integer"}, "cents": {"type": "integer"}},
            "rows": 10,
        },
    }
}


def paid(world: World, number: int) -> int:
    return int(world.admin(f"SELECT paid FROM invoices WHERE id = {number}")[0][0])


async def test_a_write_changes_and_says_how_many_rows(world: World) -> None:
    world.facts = WRITES
    assert await world("add_customer", id=3, name="Grace", email=None) == {"changed": 1}
    assert list(world.admin("SELECT id, name, email FROM customers WHERE id = 3")) == [(3, "Grace", None)]
    assert await world("mark_paid", id=3, day="2027-01-01") == {"changed": 1}
    assert paid(world, 3) == 1
    assert world.person.asked == []


async def test_what_deletes_asks_and_shows_the_rows_that_are_hit(world: World) -> None:
    world.facts = WRITES
    assert await world("delete_invoices", customer=1, cents=24500) == {"changed": 3}
    (question,) = world.person.asked
    hits: dict[str, Any] = question.preview["hits"]
    assert question.preview["would_change"] == 3
    assert hits["columns"] == ["id", "customer_id", "cents", "due", "paid"]
    assert sorted(row[0] for row in hits["rows"]) == [246, 248, 250]
    assert world.admin("SELECT count(*) FROM invoices")[0][0] == 247


async def test_a_preview_changes_nothing_and_no_is_no(world: World) -> None:
    world.facts = WRITES
    world.person.agrees = False
    error = await world.failed("delete_invoices", customer=1, cents=24500)
    assert (error.code, error.outcome) == (Code.DENIED, Outcome.NOT_APPLIED)
    assert world.person.asked[0].preview["would_change"] == 3
    assert world.admin("SELECT count(*) FROM invoices")[0][0] == 250


async def test_a_policy_that_asks_shows_a_plain_write_too(world: World) -> None:
    world.facts = WRITES
    world.policy = Policy(writes=Decision.ASK)
    assert await world("mark_paid", id=3, day="2027-01-01") == {"changed": 1}
    hits: dict[str, Any] = world.person.asked[0].preview["hits"]
    assert hits["rows"][0][-1] == 0


async def test_a_write_that_hits_too_many_rows_is_taken_back(world: World) -> None:
    world.facts = WRITES
    error = await world.failed("delete_invoices", customer=1, cents=0)
    assert (error.code, error.outcome) == (Code.INVALID_INPUT, Outcome.NOT_APPLIED)
    assert "more than 10 rows" in error.message
    assert world.admin("SELECT count(*) FROM invoices")[0][0] == 250


async def test_a_write_that_hits_nothing_says_so(world: World) -> None:
    world.facts = WRITES
    error = await world.failed("mark_paid", id=999, day="2027-01-01")
    assert (error.code, error.outcome) == (Code.NOT_FOUND, Outcome.NOT_APPLIED)


async def test_a_key_that_is_taken_is_a_conflict_and_not_a_success(world: World) -> None:
    world.facts = WRITES
    error = await world.failed("add_customer", id=1, name="Eve", email=None)
    assert (error.code, error.outcome) == (Code.CONFLICT, Outcome.NOT_APPLIED)
    assert world.admin("SELECT name FROM customers WHERE id = 1")[0][0] == "Ada"


async def test_a_broken_foreign_key_is_refused_and_changed_nothing(world: World) -> None:
    sql = "UPDATE invoices SET customer_id = :customer WHERE id = 1"
    stated = {"help": "Move an invoice.", "sql": sql, "parameters": {"customer": {"type": "integer"}}}
    world.facts = {"write": {"update_owner": stated}}
    error = await world.failed("update_owner", customer=77)
    assert (error.code, error.outcome) == (Code.INVALID_INPUT, Outcome.NOT_APPLIED)
    assert world.admin("SELECT customer_id FROM invoices WHERE id = 1")[0][0] == 2


async def test_returned_rows_are_shown_before_and_after(world: World) -> None:
    if world.product == "mariadb":
        sql = "DELETE FROM invoices WHERE id = :id RETURNING id, cents"
    else:
        sql = "UPDATE invoices SET cents = cents + 1 WHERE id = :id RETURNING id, cents"
    stated = {"help": "Change one.", "sql": sql, "parameters": {"id": {"type": "integer"}}, "asks": True}
    world.facts = {"write": {"update_one": stated}}
    expected = [[7, 700 if world.product == "mariadb" else 701]]
    found = await world("update_one", id=7)
    assert found == {"changed": 1, "returned": {"columns": ["id", "cents"], "rows": expected}}
    shown: dict[str, Any] = world.person.asked[0].preview["returned"]
    assert shown["rows"] == expected


async def test_a_refusal_of_a_trigger_is_no_unknown_outcome(world: World) -> None:
    if world.product == "postgresql":
        world.admin("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no''; END'")
        world.admin("CREATE TRIGGER t BEFORE UPDATE ON invoices FOR EACH ROW EXECUTE FUNCTION refuse()")
    elif world.product == "mariadb":
        world.admin("CREATE TRIGGER t BEFORE UPDATE ON invoices FOR EACH ROW SIGNAL SQLSTATE '45000'")
    else:
        world.admin("CREATE TRIGGER t BEFORE UPDATE ON invoices BEGIN SELECT RAISE(ABORT, 'no'); END")
    world.facts = WRITES
    try:
        error = await world.failed("mark_paid", id=3, day="2027-01-01")
    finally:
        if world.product == "postgresql":
            world.admin("DROP FUNCTION refuse CASCADE")
    assert (error.code, error.outcome) == (Code.INVALID_INPUT, Outcome.NOT_APPLIED)


def test_the_statement_says_whether_it_asks(tmp_path: Any) -> None:
    with sqlite_world(tmp_path) as world:
        world.facts = WRITES
        tools = world.connector.tools
    assert tools["add_customer"].effect is Effect.WRITE
    assert tools["delete_invoices"].effect is Effect.DESTRUCTIVE
    assert "preview_delete_invoices" not in tools
    assert list(tools["mark_paid"].signature.parameters) == ["id", "day"]


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT 1", "only INSERT"),
        ("DROP TABLE customers", "only INSERT"),
        ("DELETE FROM customers", "needs a WHERE"),
        ("UPDATE customers SET name = :name", "needs a WHERE"),
        ("DELETE FROM customers WHERE id = :id; DROP TABLE customers", "one statement"),
        ("UPDATE customers SET name = ':name' WHERE name = :name", "inside quotes"),
        ("UPDATE customers SET name = :other WHERE name = :name", "no value for :other"),
        ("UPDATE customers SET name = pg_read_file(:name) WHERE id = 1", "pg_read_file"),
    ],
)
def test_a_profile_cannot_declare_what_is_no_plain_change(sql: str, says: str) -> None:
    stated: dict[str, Any] = {"help": "x", "sql": sql, "parameters": {"name": {}} if ":name" in sql else {}}
    profile = Profile.model_validate({"address": "sqlite:////x.db", "write": {"update_x": stated}})
    with pytest.raises(ConfigurationError, match=says):
        connector_of(profile)


def test_a_write_may_not_take_the_name_of_another_tool_nor_check_with_none() -> None:
    stated: dict[str, Any] = {"help": "x", "sql": "DELETE FROM t WHERE a = :a", "parameters": {"a": {}}}
    other: dict[str, Any] = {"help": "x", "sql": "SELECT :b AS a", "parameters": {"b": {}}}
    for name, check, says in (
        ("query", "", "already"),
        ("drop_x", "gone", "no declared query"),
        ("drop_x", "list_b", "takes"),
    ):
        facts: dict[str, Any] = {"address": "sqlite:////x.db", "query": {"list_b": other}}
        facts["write"] = {name: {**stated, "check": check}}
        with pytest.raises(ConfigurationError, match=says):
            connector_of(Profile.model_validate(facts))


def test_databases_that_were_never_run_take_no_writes(tmp_path: Any) -> None:
    from clew.servers.databases.profile import read_profile

    path = tmp_path / "x.toml"
    path.write_text("address = 'oracle://h/x'\n[write.update_x]\nhelp = 'x'\nsql = 'DELETE FROM t WHERE a = 1'\n")
    with pytest.raises(ConfigurationError, match="only"):
        read_profile(str(path))


@pytest.mark.parametrize(
    ("product", "sql", "hits"),
    [
        ("postgresql", "UPDATE t AS a SET b = :b WHERE a.c = :c", "SELECT * FROM t AS a WHERE a.c = :c"),
        ("mariadb", "DELETE FROM `t` WHERE c = :c", "SELECT * FROM `t` WHERE c = :c"),
        ("mariadb", "UPDATE a JOIN b ON a.x = b.x SET a.c = 1 WHERE b.d = :d", ""),
        ("postgresql", "WITH g AS (SELECT 1 AS c) DELETE FROM t USING g WHERE t.c = g.c", ""),
        ("postgresql", "INSERT INTO t (a) VALUES (:a) ON CONFLICT (a) DO NOTHING", ""),
    ],
)
def test_the_rows_of_a_preview_are_those_of_the_where(product: str, sql: str, hits: str) -> None:
    assert check_write(sql, product).hits == hits
