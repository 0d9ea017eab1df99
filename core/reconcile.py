"""Writes whose end nobody wrote down, settled in the background: by looking, never by sending.

An agent that was told `unknown` may have found another way meanwhile; only who made the call, by making it again, or a
person has it sent once more.
"""

import logging
import time
from collections.abc import Awaitable, Callable

from clew.core.connector import Connector, Tool
from clew.core.deadline import Deadline
from clew.core.errors import ClewError
from clew.core.journal import RUNNING, Ending, Journal, State, Write
from clew.core.journaling import checking_tools, looker
from clew.core.wire import Wire
from clew.core.writing import Writing

log = logging.getLogger(__name__)

Wires = Callable[[Write], Awaitable[tuple[Connector, Wire] | None]]
"""The way to a row's provider with its credentials; None when this process does not serve it."""

LOOK_SECONDS = 30.0
"""How long one look may take, its waits included."""
_RARELY = 3600.0


async def reconcile(journal: Journal, wires: Wires, *, every: bool = False) -> list[Write]:
    """Settle what can be settled and return the rows as they were. Older rows are looked at less often, unless `every`.

    What fails is logged and left for the next time.
    """
    settled: list[Write] = []
    for row in await journal.rows(states=(State.INTENDED, State.SENT, State.UNKNOWN), limit=1000):
        if journal.is_held(row) or not (every or _is_due(row)):
            continue
        try:
            if await settle(journal, row, wires):
                settled.append(row)
        except ClewError as error:
            log.warning("write %s could not be looked at: %s", row.id, error)
    return settled


def _is_due(row: Write) -> bool:
    """A fresh row at once, then after a quarter of its age, at least once an hour."""
    if row.state is not State.UNKNOWN:
        return True
    now = time.time()
    return now - (row.ended_at or 0.0) >= min(_RARELY, (now - row.created_at) / 4)


async def settle(journal: Journal, row: Write, wires: Wires) -> bool:
    """Settle one row that nobody holds; True when its end is known now."""
    if row.pending == RUNNING:  # a workflow, which goes on: whoever serves it takes it up
        return False
    if row.state is State.INTENDED:  # it was never sent
        taken = await journal.take(row, State.INTENDED)
        return taken is not None and await journal.finish(taken, Ending(state=State.NOT_APPLIED, settled_by="restart"))
    way = await wires(row)
    tool = way[0].tools.get(row.tool) if way is not None else None
    if way is None or tool is None or tool.verify is None:
        if row.state is State.SENT:
            taken = await journal.take(row, State.UNKNOWN)
            if taken is not None:
                await journal.finish(taken, Ending(state=State.UNKNOWN, code=row.code))
        return False
    return await _look(journal, row, tool, way[0], way[1])


async def _look(journal: Journal, row: Write, tool: Tool, connector: Connector, wire: Wire) -> bool:
    arguments = await journal.arguments(row)
    if arguments is None:
        return False
    taken = await journal.take(row, State.UNKNOWN)
    if taken is None:
        return False
    deadline = Deadline.after(LOOK_SECONDS)
    given = {name: value for name, value in arguments.items() if name != "request_id"}
    writing = Writing(
        once=tool.once,
        journal=journal,
        deadline=deadline,
        sleep=wire.sleep,
        checks=checking_tools(connector, tool),
        look=looker(tool, wire, deadline, tool.signature.check(given)),
        timing=tool.verify,
    )
    return await writing.settle(taken)
