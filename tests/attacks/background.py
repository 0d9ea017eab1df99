"""What a server does in the background, as a function of the attack."""

import asyncio
from pathlib import Path

import httpx
from tests.attacks.writing import CONNECTION, Token, acme, open_store

from clew.core.connector import Connector
from clew.core.journal import Write
from clew.core.reconcile import reconcile
from clew.core.wire import Wire


def look_once(url: str, address: str, folder: Path) -> None:
    """Reconcile every row once."""

    async def look() -> None:
        database, journal = await open_store(address, folder)
        async with httpx.AsyncClient(verify=False, trust_env=False) as client:

            async def wires(row: Write) -> tuple[Connector, Wire]:
                return acme, Wire(acme, CONNECTION, Token(), client, base_url=url)

            await reconcile(journal, wires, every=True)
        await database.close()

    asyncio.run(look())
