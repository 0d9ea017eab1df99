"""Operations: workflows whose callers do not wait for their end. The handle is the id of the workflow's row."""

from typing import Any

from clew.core.journal import RUNNING, Journal, State, Write
from clew.core.values import dataclass

_ENDED = {State.APPLIED: "applied", State.NOT_APPLIED: "not_applied"}


@dataclass(frozen=True, slots=True)
class Step:
    """A step that was begun: its tool, and the state of its row."""

    tool: str
    state: str


@dataclass(frozen=True, slots=True)
class Operation:
    """How far a workflow is. `state` is `running`, or its outcome; times are epoch seconds.

    `steps` are those that were begun, `undone` those that were taken back. `result` or `error` is what the call would
    have ended with; neither is there when it is no longer kept.
    """

    row: Write
    state: str
    steps: tuple[Step, ...] = ()
    undone: tuple[str, ...] = ()
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    updated: float = 0.0


async def operation(journal: Journal, row: Write) -> Operation:
    """Read the operation of a workflow's row. Raises `InternalError` when what is kept of it does not open."""
    steps: list[Step] = []
    undone: list[str] = []
    updated = [row.ended_at or row.sent_at or row.created_at]
    for each in await journal.steps(row):
        updated.append(each.ended_at or each.sent_at or each.created_at)
        number, _, name = each.request_key.removeprefix(f"id:flow {row.seed} ").partition(" ")
        if number != "undo":
            steps.append(Step(each.tool, each.state.value))
        elif name and each.state is State.APPLIED:
            undone.append(name.partition(" ")[0])
    kept = await journal.answer(row) or {}
    goes_on = row.state in (State.SENT, State.INTENDED) and (row.pending == RUNNING or journal.is_held(row))
    return Operation(
        row,
        "running" if goes_on else _ENDED.get(row.state, "unknown"),
        tuple(steps),
        tuple(undone),
        kept.get("result"),
        kept.get("error"),
        max(updated),
    )
