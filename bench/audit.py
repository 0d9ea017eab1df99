"""What the audit costs a call: `python -m bench.audit [--calls N] [--trials N]`.

A tool that does nothing is called with the whole stage (arguments redacted, record made, spooled, linked into the chain
of a database) and with the stage taken out of the walk, in turn, trial by trial. Printed are microseconds of processor
time a call, of all threads of the process, linking included; the difference is what evidence costs. Where other work
shares the cores, the tenth percentile of the trials is nearer to the truth than their median.
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
async def look(api: Api, owner: str, repo: str, title: str, body: str, labels: list[str]) -> dict[str, str]:
    """Do nothing."""
    return {"done": "yes"}


@acme.write
async def act(api: Api, owner: str, repo: str, title: str, body: str, labels: list[str]) -> dict[str, str]:
    """Do nothing, as a write."""
    return {"done": "yes"}


async def trial(walk: Walk, wire: Wire, tool: str, calls: int, kept: AuditLog) -> float:
    """Microseconds of processor time a call."""
    began = time.process_time()
    for number in range(calls):
        await walk(Call(acme.tools[tool], ARGUMENTS, HERE, wire, Deadline.after(10)))
        if number % 20 == 0:
            await asyncio.sleep(0)
    assert await kept.flush()
    return (time.process_time() - began) / calls * 1e6


async def main(calls: int, trials: int) -> None:
    """Print one line of JSON."""
    found: dict[str, float] = {}
    async with httpx.AsyncClient() as client:
        wire = Wire(acme, HERE, None, client)
        with tempfile.TemporaryDirectory() as folder:
            database = await open_database(Path(folder) / "clew.db")
            async with AuditLog.open(database, Path(folder) / "audit") as kept:
                bare, audited = Walk(), Walk(sink=kept, begin=kept.begin)
                bare.stages = [stage for stage in bare.stages if stage.__name__ != "record"]
                for tool in ("look", "act"):
                    await trial(bare, wire, tool, 200, kept)
                    await trial(audited, wire, tool, 200, kept)
                    pairs = [
                        (await trial(bare, wire, tool, calls, kept), await trial(audited, wire, tool, calls, kept))
                        for _ in range(trials)
                    ]
                    costs = sorted(whole - without for without, whole in pairs)
                    name = "read" if tool == "look" else "write"
                    found[f"{name}_us"] = round(statistics.median(costs), 1)
                    found[f"{name}_us_p10"] = round(costs[len(costs) // 10], 1)
                    found[f"{name}_walk_us"] = round(statistics.median(without for without, _ in pairs), 1)
            await database.close()
    print(json.dumps({**found, "calls": calls, "trials": trials}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--trials", type=int, default=40)
    options = parser.parse_args()
    asyncio.run(main(options.calls, options.trials))
