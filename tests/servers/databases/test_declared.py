"""Declared queries: tools of their own with typed parameters."""

from pathlib import Path

import pytest
from tests.servers.databases.worlds import maria_world, sqlite_world

from clew.core.errors import Code, ConfigurationError
from clew.servers.databases.tools import open_sql

pytestmark = pytest.mark.anyio

LATE = {
    "help": "List unpaid invoices that were due before a day.",
    "sql": "SELECT id, due FROM invoices WHERE paid = :paid AND due < :day ORDER BY id",
    "parameters": {"day": {"type": "date"}, "paid": {"type": "integer"}},
}


@pytest.mark.parametrize("product", ["sqlite", "mariadb"])
async def test_a_declared_query_is_a_tool_with_typed_parameters(product: str, tmp_path: Path) -> None:
    with sqlite_world(tmp_path) if product == "sqlite" else maria_world() as world:
        world.facts = {"query": {"list_late": LATE}, "free_queries": False}
        assert sorted(world.connector.tools) == ["describe_table", "list_late", "list_tables"]
        found = await world("list_late", day="2026-01-03", paid=0)
        assert found["columns"] == ["id", "due"]
        assert {row[1] for row in found["rows"]} == {"2026-01-01", "2026-01-02"}
        for wrong in ({"day": "x", "paid": 0}, {"day": "2026-01-03", "paid": "0 OR 1=1"}, {"day": "2026-01-03"}):
            assert (await world.failed("list_late", **wrong)).code is Code.INVALID_INPUT


def test_a_profile_cannot_declare_a_query_that_writes(tmp_path: Path) -> None:
    profile = tmp_path / "shop.toml"
    profile.write_text("address = 'sqlite:///shop.db'\n[query.wipe]\nhelp = 'x'\nsql = 'DELETE FROM customers'\n")
    with pytest.raises(ConfigurationError):
        open_sql(str(profile))


@pytest.mark.parametrize("product", ["mssql", "oracle"])
def test_databases_that_were_never_run_still_make_a_connector_that_reads(product: str) -> None:
    connector = open_sql(f"{product}://db.example.com/shop")
    assert sorted(connector.tools) == ["describe_table", "list_tables", "query"]
