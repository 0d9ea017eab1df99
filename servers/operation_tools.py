"""`get_operation`: what an agent reads that was told `accepted`. It is offered where a workflow is."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from clew.core.api import Api
from clew.core.connection import Connection
from clew.core.connector import Connector
from clew.core.errors import NotFoundError
from clew.core.journal import Journal, Write
from clew.core.operations import Operation, operation

Handle = Annotated[str, Field(pattern="^[0-9a-f]{24}$", description="`accepted.operation` of the call.")]
Mine = Callable[[Connection, str], bool]
"""Is this connection one that the callers of this tenant work with?"""


class StepLine(BaseModel):
    """A step that was begun, and what is known of it."""

    tool: str
    state: str


class OperationState(BaseModel):
    """How far it is. `state` is running, applied, not_applied or unknown; `undone` are steps that were taken back."""

    operation: str
    tool: str
    state: str
    steps: list[StepLine]
    undone: list[str]
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    started_at: str
    updated_at: str
    next: str


def operation_tools(journal: Journal, mine: Mine) -> Connector:
    """The connector with the one tool."""
    own = Connector("operations", "http://127.0.0.1", title="Operations")

    @own.read(toolset="operations")
    async def get_operation(api: Api, operation: Handle) -> OperationState:
        """Read how far an accepted operation is: its steps, what was undone, its result or error."""
        return await read_operation(journal, mine, operation, api.tenant)

    return own


async def find_operation(journal: Journal, mine: Mine, handle: str, tenant: str) -> Write:
    """The row of an operation. Raises `NotFoundError`, also for one of somebody else."""
    row = await journal.get(handle)
    if row is None or row.id != handle or not mine(row.connection, tenant) or row.request_key.startswith("id:flow "):
        raise NotFoundError(f"there is no operation {handle}, or no longer.")
    return row


async def read_operation(journal: Journal, mine: Mine, handle: str, tenant: str) -> OperationState:
    """An operation as an agent reads it."""
    found = await operation(journal, await find_operation(journal, mine, handle, tenant))
    return OperationState(
        operation=handle,
        tool=found.row.tool,
        state=found.state,
        steps=[StepLine(tool=each.tool, state=each.state) for each in found.steps],
        undone=list(found.undone),
        result=found.result,
        error=found.error,
        started_at=moment(found.row.created_at),
        updated_at=moment(found.updated),
        next=next_of(found),
    )


def next_of(found: Operation) -> str:
    """What to do now."""
    if found.state == "running":
        return "It goes on by itself. Call get_operation again in some seconds."
    if found.state == "applied":
        return "It is done." if found.result else "It is done; its result is no longer kept. Read the object."
    said = (found.error or {}).get("next")
    if said:
        return str(said)
    if found.state == "not_applied":
        return "Nothing of it remains. To try again, make the same call."
    return "It stopped on the way. Make the same call again, with the same request_id: it goes on where it stopped."


def moment(seconds: float) -> str:
    """A time as text, ISO 8601."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
