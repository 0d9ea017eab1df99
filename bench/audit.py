"""What the audit costs a call: `python -m bench.audit [--calls N] [--trials N]`.

The walk with a tool that does nothing, with the sink that only logs and with the durable one, in turn, trial by trial.
Printed are microseconds a call; the difference is what evidence costs, redaction, spool, linking and all.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path

import httpx

from clew.core.api import Api
from clew.core.audit_log import AuditLog
from clew.core.call import Call, Walk
from clew.core.connection import LOCAL_TENANT, Connection
from clew.core.connector import Connector
from clew.core.database import open_database
from clew.core.deadline import Deadline
from clew.core.wire import Wire

acme = Connector("acme", "https://api.acme.example")
HERE = Connection(LOCAL_TENANT, "acme", "work")
ARGUMENTS = {"owner": "pallets", "repo": "flask", "title": "It breaks", "body": "word " * 40, "labels": ["bug", "ui"]}


@acme.read
async def nothing(api: Api, owner: str, repo: str, title: str, body: str, labels: list[str]) -> dict[str, str]:
    """Do nothing."""
    return {"done": "yes"}


async def trial(walk: Walk, wire: Wire, calls: int) -> float:
    tool = acme.tools["nothing"]
    began = time.perf_counter()
    for number in range(calls):
        await walk(Call(tool, ARGUMENTS, HERE, wire, Deadline.after(10)))
        if number % 20 == 0:
            await asyncio.sleep(0)
    return (time.perf_counter() - began) / calls * 1e6


async def main(calls: int, trials: int) -> None:
    async with httpx.AsyncClient() as client:
        wire = Wire(acme, HERE, None, client)
        with tempfile.TemporaryDirectory() as folder:
            database = await open_database(Path(folder) / "clew.db")
            async with AuditLog.open(database, Path(folder) / "audit") as kept:
                none, durable = Walk(sink=lambda record: None), Walk(sink=kept, begin=kept.begin)
                await trial(none, wire, 200)
                await trial(durable, wire, 200)
                pairs = [(await trial(none, wire, calls), await trial(durable, wire, calls)) for _ in range(trials)]
                assert await kept.flush()
            await database.close()
    without, audited = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(json.dumps({"walk_us": round(without, 1), "audited_us": round(audited, 1),
                      "audit_us": round(audited - without, 1), "calls": calls, "trials": trials}))  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--trials", type=int, default=5)
    options = parser.parse_args()
    asyncio.run(main(options.calls, options.trials))
