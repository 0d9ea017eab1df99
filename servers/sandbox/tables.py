"""Rows, and the tables that hold them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]
"""One stored object. Keys that begin with `_` are Acme's own and never leave it."""


class Table:
    """Rows of one kind in order of creation, with ids like `con_000001` that sort in the same order."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._count = 0
        self._rows: dict[str, Row] = {}

    def add(self, fields: Row) -> Row:
        """Store a new row and return it."""
        self._count += 1
        row: Row = {"id": f"{self._prefix}_{self._count:06d}", "_version": 1, **fields}
        self._rows[row["id"]] = row
        return row

    def get(self, identifier: str) -> Row | None:
        """Return the row, or None."""
        return self._rows.get(identifier)

    def remove(self, identifier: str) -> None:
        """Forget the row."""
        del self._rows[identifier]

    def find(self, **wanted: object) -> Row | None:
        """Return the first row whose fields equal those given, or None."""
        return next((row for row in self if all(row[key] == value for key, value in wanted.items())), None)

    def __iter__(self) -> Iterator[Row]:
        return iter(list(self._rows.values()))

    def __len__(self) -> int:
        return len(self._rows)


def show(row: Row) -> Row:
    """Return the row as it leaves Acme."""
    return {key: value for key, value in row.items() if not key.startswith("_")}


@dataclass(slots=True)
class Store:
    """The tables, empty."""

    contacts: Table = field(default_factory=lambda: Table("con"))
    tickets: Table = field(default_factory=lambda: Table("tic"))
    comments: Table = field(default_factory=lambda: Table("com"))
    payments: Table = field(default_factory=lambda: Table("pay"))
    refunds: Table = field(default_factory=lambda: Table("ref"))
    messages: Table = field(default_factory=lambda: Table("msg"))
    invoices: Table = field(default_factory=lambda: Table("inv"))
    webhooks: Table = field(default_factory=lambda: Table("whk"))
