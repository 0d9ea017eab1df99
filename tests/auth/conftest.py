"""A vault on a real file, a key from the environment, and an authorization server that answers what it is told."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clew.auth.facts import Facts
from clew.auth.keys import LocalKeys
from clew.auth.leases import Leases, open_leases
from clew.auth.refresh import Refresher
from clew.auth.schemes import OAuth2
from clew.auth.vault import Vault, open_vault
from clew.core.connection import Connection
from clew.core.database import Database, open_database
from clew.core.secret import Secret

MASTER_KEY = base64.b64encode(b"k" * 32).decode()
WORK = Connection("local", "acme", "work")
BASE_URL = "https://acme.example/api"
SCHEME = OAuth2(
    authorize_url="{origin}/authorize",
    token_url="{origin}/token",
    scopes=("read", "write"),
    client_id="clew",
    help="https://acme.example/apps",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "clew.db"


@pytest.fixture
async def database(address: str) -> AsyncIterator[Database]:
    opened = await open_database(address)
    yield opened
    await opened.close()


@pytest.fixture
def keys(tmp_path: Path) -> LocalKeys:
    return LocalKeys(tmp_path / "master.key", environ={"CLEW_MASTER_KEY": MASTER_KEY})


@pytest.fixture
async def vault(database: Database, keys: LocalKeys) -> Vault:
    return await open_vault(database, keys)


@pytest.fixture
async def leases(database: Database) -> Leases:
    return await open_leases(database)


@pytest.fixture
async def refresher(vault: Vault, leases: Leases) -> AsyncIterator[Refresher]:
    opened = Refresher(vault, leases)
    yield opened
    await opened.close()


async def put_grant(
    vault: Vault, *, expires_at: float | None = None, obtained_at: float = 0.0, connection: Connection = WORK
) -> str:
    """Store an OAuth grant whose tokens are `access-1` and `refresh-1`; the answer is its generation."""
    facts = Facts(
        "oauth2", scopes=("read",), client_id="clew", expires_at=expires_at, obtained_at=obtained_at, renewable=True
    )
    await vault.put(connection, {"access_token": Secret("access-1"), "refresh_token": Secret("refresh-1")}, facts)
    return facts.generation


async def revealed(vault: Vault, name: str, connection: Connection = WORK) -> str | None:
    """One stored field in the clear."""
    record = await vault.get(connection)
    secret = record.secret(name) if record else None
    return secret.reveal() if secret else None
