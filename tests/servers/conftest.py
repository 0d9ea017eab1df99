"""A running Acme and a runtime connected to it."""

from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest

from clew.auth.connections import set_token
from clew.auth.schemes import Bearer
from clew.core.connection import LOCAL_TENANT, Connection
from clew.core.policy import Decision, Policy
from clew.core.secret import Secret
from clew.servers.runtime import Runtime
from clew.servers.sandbox import Sandbox
from clew.servers.settings import ConnectorSettings, Settings

FREE = Policy(writes=Decision.ALLOW)


@pytest.fixture
def sandbox() -> Generator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def settings(tmp_path: Path, sandbox: Sandbox) -> Settings:
    connectors = {"acme": ConnectorSettings(base_url=sandbox.url)}
    return Settings(home=tmp_path / "home", key_provider="file", connectors=connectors, deadline=16, policy=FREE)


@pytest.fixture
async def runtime(settings: Settings, sandbox: Sandbox) -> AsyncGenerator[Runtime]:
    async with Runtime.open(settings, ["acme"]) as opened:
        connection = Connection(LOCAL_TENANT, "acme", "main")
        await set_token(opened.vault, connection, Bearer(), {"token": Secret(sandbox.pat)}, origin=sandbox.url)
        yield opened
