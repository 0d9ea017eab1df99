"""What stands in a statement reaches the database as it stands there, whatever a driver would read into it."""

from typing import Any

import pytest
from tests.people import Person
from tests.servers.databases.worlds import World, postgres_world, sqlite_world

from clew.core.errors import Code

pytestmark = pytest.mark.anyio

NAMES = [
    "%(x)s", "%s", "%%", "100%", "%%(clew_count)s", "%", ":b", "a :b", "a:b", "::", ":b:", ":clew_count", "a\\:b", "\\",
    "?", "{0}", "$1", "x.y", "a.b.c", "[0]", "'", "''", '"', "`", "count(*)", "ä :ö", "a\nb", "1", "select",
    "__[POSTCOMPILE_x]", "%(clew_count)s", "--x", "/x", ";",
]  # fmt: skip
TABLES_CANNOT = {"mariadb": ("`", "a\nb")}
"""SQLAlchemy cannot read these out of SHOW CREATE TABLE."""


def named(world: World, name: str) -> str:
    """The name as the database has it quoted."""
    return f"`{name.replace('`', '``')}`" if world.product == "mariadb" else '"' + name.replace('"', '""') + '"'


async def test_a_column_may_have_any_name(world: World) -> None:
    for name in NAMES:
        sql = f"SELECT id AS {named(world, name)} FROM customers WHERE id < :most"
        shown = await world("query", sql=sql, params={"most": 2})
        assert (shown["columns"], shown["rows"]) == ([name], [[1]])
    every = ", ".join(f"{place} AS {named(world, name)}" for place, name in enumerate(NAMES))
    shown = await world("query", sql=f"SELECT {every} FROM customers ORDER BY id LIMIT 1")
    assert (shown["columns"], shown["rows"]) == (NAMES, [[*range(len(NAMES))]])


async def test_a_table_and_its_columns_may_have_any_name(world: World) -> None:
    names = [name for name in NAMES if name not in TABLES_CANNOT.get(world.product, ())]
    for name in names:
        quoted = named(world, name)
        world.admin(f"CREATE TABLE {quoted} ({quoted} INTEGER PRIMARY KEY, other INTEGER)")
        world.admin(f"INSERT INTO {quoted} VALUES (7, 1)")
        if world.product == "postgresql":
            world.admin(f"GRANT SELECT, UPDATE ON {quoted} TO {world.user}")
    assert set(names) <= {each["name"] for each in await world("list_tables")}
    world.facts = {
        "write": {
            f"change_{place}": {
                "help": "Change a row.",
                "sql": f"UPDATE {named(world, name)} SET other = :other WHERE {named(world, name)} = :at",
                "parameters": {"at": {"type": "integer"}, "other": {"type": "integer"}},
                "asks": True,
            }
            for place, name in enumerate(names)
        }
    }
    try:
        for place, name in enumerate(names):
            quoted, world.person = named(world, name), Person()
            table = await world("describe_table", table=name)
            assert [(each["name"], each.get("key")) for each in table["columns"]] == [
                (name, "primary"),
                ("other", None),
            ]
            assert (await world("query", sql=f"SELECT * FROM {quoted}"))["columns"] == [name, "other"]
            assert (await world(f"change_{place}", at=7, other=3))["changed"] == 1
            [question] = world.person.asked
            assert question.preview["hits"]["columns"] == [name, "other"]
            assert world.admin(f"SELECT * FROM {quoted}") == [(7, 3)]
    finally:
        for name in names:
            world.admin(f"DROP TABLE {named(world, name)}")


TEXTS = ["%(x)s", "100%", "%%", ":b", "a :b:c", "::", "?", "{0}", "$1", "a\\:b", "\\:\\:"]


async def test_a_text_stays_what_it_is(world: World) -> None:
    for text in TEXTS:
        written = text.replace("\\", "\\\\") if world.product == "mariadb" else text
        sql = f"SELECT '{written}' AS a FROM customers WHERE id = :id"
        assert (await world("query", sql=sql, params={"id": 1}))["rows"] == [[text]]


async def test_a_cast_behind_a_value_is_no_part_of_its_name(postgres_database: str) -> None:
    with postgres_world(postgres_database) as world:
        found = await world("query", sql="SELECT :value::int + 1 AS a, (:list::int[])[1:2] AS b",
                            params={"value": 4, "list": "{5,6,7}"})  # fmt: skip
        assert found["rows"] == [[5, "{5,6}"]]


async def test_a_value_inside_quotes_is_refused(world: World) -> None:
    for sql in ("SELECT ':id' AS a", f"SELECT 1 AS {named(world, ':id')}", "SELECT 'x :id x' AS a"):
        error = await world.failed("query", sql=f"{sql} FROM customers WHERE id = :id", params={"id": 1})
        assert (error.code, "inside quotes" in error.message) == (Code.INVALID_INPUT, True)


async def test_a_driver_s_own_places_for_values_are_no_way_in(world: World) -> None:
    for sql in (
        "SELECT ? AS a",
        "SELECT ?1 AS a",
        "SELECT $1 AS a",
        "SELECT @a AS a",
        "SELECT %s AS a",
        "SELECT $x AS a",
    ):
        assert (await world.failed("query", sql=sql)).code is Code.INVALID_INPUT, sql


async def test_a_column_without_a_name_of_its_own_is_shown(tmp_path: Any) -> None:
    with sqlite_world(tmp_path) as world:
        assert (await world("query", sql="SELECT customers.id FROM customers LIMIT 1"))["columns"] == ["id"]
