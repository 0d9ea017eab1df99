"""The journal's stage of the walk: a write is run under its row, and every way it can end is written there."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from clew.core.api import Api
from clew.core.connector import Connector, Effect, Tool
from clew.core.deadline import Deadline
from clew.core.errors import AlreadyDoneError, CallError, Outcome
from clew.core.exchange import Trail
from clew.core.holding import Looker
from clew.core.host import SilentHost
from clew.core.journal import Journal, State, Wanted, Write
from clew.core.once import Look, NaturalKey, ProviderKey, key_of
from clew.core.wire import Wire
from clew.core.writing import Writing

if TYPE_CHECKING:
    from clew.core.call import Call

Structured = dict[str, Any]


async def journaled(
    call: "Call", proceed: Callable[["Call"], Awaitable[Structured]], journal: Journal | None
) -> Structured:
    """Run the rest of the walk for a write, sent again where that is safe. Raises what `Walk` raises."""
    writing = call.trail.writing = _writing(call, journal)
    trail = call.trail
    while True:
        try:
            if journal is not None and (call.within or call.tool.workflow):
                await writing.depart(safe=not call.tool.workflow)
            result = await proceed(call)
            changed = bool(call.within) or trail.outcome() is not Outcome.NOT_APPLIED
            await writing.succeeded(result, changed=changed)
            return _told(result, writing)
        except CallError as error:
            found = await _after(error, writing, trail)
            if found is not None:
                return found
        except Exception:
            await writing.broken(trail.outcome())
            raise
        except BaseException:
            if writing.is_answered:  # by `Answered`, or by a group of tasks that holds it
                return _answered(call, writing)
            await writing.stopped(trail.outcome())
            raise


def _answered(call: "Call", writing: Writing) -> Structured:
    """What the journal says. A call that comes back from the page on which its person confirmed the write has that end
    for its own: it was asked for in an earlier round, and a person can be faster than the host."""
    returns = getattr(call.host, "continues", False)
    try:
        result = writing.said()
    except AlreadyDoneError as error:
        if error.result is None or not returns:
            raise
        result = dict(error.result)
    if returns and "accepted" not in result:
        call.trail.changed += 1
    return result


async def _after(error: CallError, writing: Writing, trail: Trail) -> Structured | None:
    outcome = error.outcome
    if outcome is Outcome.NOT_APPLIED and trail.outcome() is Outcome.UNKNOWN:
        outcome = Outcome.UNKNOWN
    try:
        found = await writing.failed(error, outcome=outcome)
    except CallError as told:
        if told.outcome is Outcome.NOT_APPLIED and writing.row is not None:
            trail.changed = 0
        raise
    trail.changed = 0 if found is None else 1
    return found


def _told(result: Structured, writing: Writing) -> Structured:
    if not writing.follow_up:
        return result
    handle = {"write": writing.row.id} if writing.row is not None else {}
    return {**result, "accepted": {"next": writing.follow_up, **handle}}


async def has_ended(call: "Call", journal: Journal | None) -> bool:
    """Does the journal know the end of what this call asks for, or a way to look that needs nobody's yes?"""
    if journal is None or call.tool.effect is Effect.READ:
        return False
    row = await journal.peek(wanted(call, journal))
    if row is None:
        return False
    begun = row.state in (State.SENT, State.UNKNOWN)  # a workflow's row is made after the person's yes to all of it
    looks = row.state is State.UNKNOWN and call.tool.verify is not None
    return row.state is State.APPLIED or looks or (begun and call.tool.workflow)


def wanted(call: "Call", journal: Journal) -> Wanted:
    """What the call asks for, as the journal compares it."""
    plain = call.tool.signature.model.model_validate(call.typed).model_dump(mode="json", exclude_none=True)
    given = call.within or call.arguments.get("request_id")
    return Wanted(call.connection, call.tool.name, plain, given, journal.window, call.row, call.asked)


def _writing(call: "Call", journal: Journal | None) -> Writing:
    tool, wire = call.tool, call.wire
    return Writing(
        once=tool.once,
        journal=journal,
        wanted=wanted(call, journal) if journal is not None else None,
        deadline=call.deadline,
        sleep=wire.sleep,
        checks=checking_tools(wire.connector, tool),
        look=looker(tool, wire, call.deadline, call.typed, journal) if tool.verify is not None else None,
        timing=tool.verify,
        approved=not call.settled,
        resumes=tool.workflow,
    )


def looker(
    tool: Tool, wire: Wire, deadline: Deadline, arguments: Mapping[str, Any], journal: Journal | None = None
) -> Looker:
    """The tool's declared look, as a function of the row. What it asks for is a read and leaves no trace in the row.

    With a `journal` it looks for what the row says was sent: a person may have changed what the caller asked for.
    """
    timing = tool.verify
    assert isinstance(timing, Look)

    async def look(row: Write) -> Mapping[str, Any] | None:
        api = Api(wire, deadline, Trail(), Effect.READ, SilentHost())
        form = tool.once.form if isinstance(tool.once, ProviderKey | NaturalKey) else "hex"
        facts: dict[str, Any] = {"marker": row.marker, "reference": row.reference, "sent_at": row.sent_at}
        facts["key"] = key_of(row.seed, 0, form)
        sent = await journal.arguments(row) if journal is not None else None
        given = arguments if sent is None else tool.signature.check(sent)
        found = await timing.read(api, **timing.takes({**facts, **given}))
        return None if found is None else tool.signature.structured(found)

    return look


def checking_tools(connector: Connector, tool: Tool) -> str:
    """The read tools with which an agent can see whether a write happened."""
    declared = [tool.preview, tool.verify.read if tool.verify else None]
    names = [each.name for each in connector.tools.values() if each.function in declared]
    near = [
        each.name
        for each in connector.tools.values()
        if each.effect is Effect.READ and each.toolset == tool.toolset and each.toolset
    ]
    return " or ".join(dict.fromkeys(names or near[:2]))
