"""One receiver and worker in a process of its own, made of the product's parts; the worker's effects are counted.

    python receiver_process.py '{"home": "…", "database": "…", "port": 18080}'

An effect and the check of its order are written in the transaction that marks the event as done.
"""

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from clew.connectors.acme import acme
from clew.core.database import Transaction
from clew.core.inbox import StoredEvent
from clew.core.inbox_work import Worker
from clew.core.intake import Intake
from clew.core.secret import Secret
from clew.core.webhooks import KeyRing
from clew.servers.admission import Admission
from clew.servers.guard import configure
from clew.servers.http import open_listener
from clew.servers.mailroom import Mailroom
from clew.servers.program import set_up_logging
from clew.servers.receiver import Receiver
from clew.servers.receiving import create_app
from clew.servers.settings import Settings
from clew.servers.store import open_events, open_store

STEPS = [
    "CREATE TABLE effects (event TEXT PRIMARY KEY, times BIGINT NOT NULL)",
    "CREATE TABLE turns (reference TEXT PRIMARY KEY, seq BIGINT NOT NULL, broken BIGINT NOT NULL)",
]


async def count(event: StoredEvent, payload: str, tx: Transaction) -> None:
    """The effect of an event: its line counted, and the turn of its reference moved on."""
    key = json.loads(payload)["data"]["n"]
    await tx.execute(
        "INSERT INTO effects (event, times) VALUES (?, 1) ON CONFLICT (event) DO UPDATE SET times = effects.times + 1",
        str(key),
    )
    await tx.execute(
        "INSERT INTO turns (reference, seq, broken) VALUES (?, ?, 0) ON CONFLICT (reference) DO UPDATE SET "
        "broken = turns.broken + CASE WHEN excluded.seq > turns.seq THEN 0 ELSE 1 END, seq = excluded.seq",
        event.reference,
        event.seq,
    )


async def main(plan: dict[str, Any]) -> None:
    settings = Settings(home=Path(plan["home"]), database=Secret(plan["database"]), key_provider="file")
    async with open_store(settings) as store, httpx.AsyncClient() as client:
        await store.database.migrate("effects", STEPS)
        inbox = await open_events(store)
        worker = Worker(inbox, count, lease_seconds=plan.get("lease", 2.0), shortest_rest=0.05)
        intake = Intake(inbox, worker.nudge)

        async def fetch(url: str) -> bytes:
            return (await client.get(url)).content

        receiver = Receiver(Admission(store.vault, {"acme": acme}, KeyRing(fetch), print), intake)
        app = create_app(Mailroom(inbox, intake, worker, lambda: receiver))
        working = asyncio.create_task(worker.run())
        with open_listener("", "127.0.0.1", plan["port"], shared=True) as listener:
            print(listener.getsockname()[1], flush=True)
            await uvicorn.Server(configure(app, lifespan="off", listener=listener)).serve(sockets=[listener])
        working.cancel()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    set_up_logging("error", tracebacks=True)
    asyncio.run(main(json.loads(sys.argv[1])))
