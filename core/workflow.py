"""Workflows: a tool of several steps, each of them a tool, that goes on where it stopped.

The function is run again from its beginning after a crash; steps that are done are told from the journal, the next one
is done. So it must be deterministic: what it decides may depend on its arguments and on what its steps returned, on
nothing else. A step that is finally refused has the steps before it undone, the last one first, where they say how.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from clew.core.connector import Effect, Tool
from clew.core.errors import CallError, ConfigurationError, Outcome, Retry
from clew.core.journal import Ending, Journal, State, Wanted
from clew.core.settling import error_of

if TYPE_CHECKING:
    from clew.core.api import Api
    from clew.core.call import Call

P = ParamSpec("P")
R = TypeVar("R")
Undo = Callable[[Any], tuple[Callable[..., Awaitable[Any]], Mapping[str, Any]]]
"""Of a step's result: the tool that takes it back, and its arguments."""

_FINAL = frozenset({Retry.NO, Retry.AFTER_FIX, Retry.AFTER_HUMAN})


class Flow:
    """What a workflow function is given: its steps."""

    def __init__(self, call: "Call", run: Callable[["Call"], Awaitable[dict[str, Any]]], journal: Journal) -> None:
        writing = call.trail.writing
        assert writing is not None
        assert writing.row is not None
        self._call = call
        self._run = run
        self._journal = journal
        self._name = f"flow {writing.row.seed}"
        self._count = 0
        self._done: list[tuple[str, Undo | None, Any]] = []
        self._refused: tuple[int, CallError] | None = None
        self._asked = False

    async def step(
        self,
        tool: "Callable[Concatenate[Api, P], Awaitable[R]]",
        undo: Undo | None = None,
        /,
        *args: P.args,
        **arguments: P.kwargs,
    ) -> R:
        """Do a step, or tell how it ended. `undo` says, by the step's result, which tool takes it back.

        Arguments go by name. Raises what the step raises, with the outcome of the whole workflow.
        """
        if args:
            raise ConfigurationError("the arguments of a step go by name.")
        chosen = self._tool(tool)
        self._count += 1
        number = self._count
        if not self._asked:
            self._asked, self._refused = True, await self._refusal()
        if self._refused is not None and self._refused[0] == number:
            await self._undo(chosen, self._refused[1])
        await self._call.host.progress(f"step {number}: {chosen.name}")
        try:
            result = await self._do(chosen, f"{number} {chosen.name}", arguments)
        except CallError as error:
            raise await self._stopped(number, chosen, error) from error
        if chosen.effect is not Effect.READ:
            self._done.append((chosen.name, undo, result))
        typed: R = result
        return typed

    def _tool(self, function: Callable[..., Awaitable[Any]]) -> Tool:
        asked = self._call.tool.effect is Effect.DESTRUCTIVE
        for tool in self._call.wire.connector.tools.values():
            if tool.function is function and (tool.effect is not Effect.DESTRUCTIVE or asked):
                return tool
            if tool.function is function:
                raise ConfigurationError(f"{self._call.tool.name} needs preview=, for its step {tool.name}.")
        raise ConfigurationError(f"a step of {self._call.tool.name} is no tool of its connector.")

    async def _do(self, tool: Tool, name: str, arguments: Mapping[str, Any]) -> Any:
        from clew.core.call import Call

        call, trail = self._call, self._call.trail
        made = Call(
            tool,
            dict(arguments),
            call.connection,
            call.wire,
            call.until or call.deadline,
            call.host,
            origin=call.origin,
            within=f"{self._name} {name}",
        )
        changes = tool.effect is not Effect.READ
        trail.in_flight += changes
        try:
            structured = await self._run(made)
        except CallError as error:
            trail.changed += changes and error.outcome is not Outcome.NOT_APPLIED
            trail.in_flight -= changes
            raise
        trail.changed += changes
        trail.in_flight -= changes
        return tool.signature.typed(structured)

    async def _stopped(self, number: int, tool: Tool, error: CallError) -> CallError:
        """What to tell when a step did not go through."""
        where = f"step {number} ({tool.name})"
        if error.outcome is Outcome.NOT_APPLIED and not self._done:
            return error
        if error.outcome is Outcome.NOT_APPLIED and error.retry in _FINAL and all(undo for _, undo, _ in self._done):
            await self._remember(number, error)
            await self._undo(tool, error)
        return self._resumable(where, error)

    def _resumable(self, where: str, error: CallError) -> CallError:
        done = ", ".join(name for name, _, _ in self._done) or "nothing"
        error.outcome = Outcome.UNKNOWN
        error.message = f"{self._call.tool.name} stopped at {where}; done before: {done}. {error.message}"
        error.args = (error.message,)
        error.next_step = (
            f"{error.next_step} Then make the same call again, with the same request_id: it goes on at {where}."
        )
        return error

    async def _undo(self, tool: Tool, error: CallError) -> None:
        """Take back what was done, the last step first; raises the refusal that caused it."""
        names: list[str] = []
        for name, undo, result in reversed(self._done):
            assert undo is not None
            function, arguments = undo(result)
            try:
                await self._do(self._tool(function), f"undo {name} {len(self._done) - len(names)}", arguments)
            except CallError as failure:
                raise self._resumable(f"undoing {name}", failure) from failure
            names.append(name)
        self._call.trail.changed = 0
        undone = f"Undone: {', '.join(names)}. " if names else ""
        error.message = f"{self._call.tool.name} was refused at {tool.name}. {undone}{error.message}"
        error.args = (error.message,)
        error.outcome = Outcome.NOT_APPLIED
        raise error

    def _note(self) -> Wanted:
        call = self._call
        return Wanted(call.connection, f"{call.tool.name} undo", {}, f"{self._name} undo", 0.0)

    async def _remember(self, number: int, error: CallError) -> None:
        """From now on this run only goes back, also after a crash."""
        row, made = await self._journal.claim(self._note(), state=State.INTENDED)
        if not made:  # left by a process that was killed; only one call holds the workflow's own row
            row = await self._journal.take(row, State.INTENDED) or row
        kept = {"error": error.as_dict(), "step": number}
        await self._journal.finish(row, Ending(state=State.APPLIED, answer=kept, settled_by="undo"))

    async def _refusal(self) -> tuple[int, CallError] | None:
        row = await self._journal.peek(self._note())
        kept = None if row is None else await self._journal.answer(row)
        return None if kept is None else (int(kept["step"]), error_of(kept["error"]))
