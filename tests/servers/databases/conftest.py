"""A database of each kind."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.servers.databases.worlds import PRODUCTS, World, world_of


@pytest.fixture(params=PRODUCTS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A database of each kind with two customers and 250 invoices."""
    with world_of(request, tmp_path) as made:
        yield made
