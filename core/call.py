"""One call of one tool, and the straight walk it takes: an ordered, printable list of small stages."""

import logging
import shlex
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field
from typing import Any

from clew.core import audit
from clew.core.api import Api
from clew.core.connection import LOCAL_TENANT, Connection
from clew.core.connector import Effect, Tool
from clew.core.consent import Consent
from clew.core.deadline import Deadline
from clew.core.errors import (
    ActionRequiredError,
    CallError,
    ConfigurationError,
    InternalError,
    Outcome,
    PermissionDeniedError,
)
from clew.core.exchange import Trail
from clew.core.host import Host, SilentHost
from clew.core.journal import Journal
from clew.core.journaling import has_ended, journaled
from clew.core.policy import Decision, Policy
from clew.core.recording import opened, size, timeline
from clew.core.redaction import Names
from clew.core.stated import stated
from clew.core.values import dataclass
from clew.core.wire import Wire

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Call:
    """A tool, its arguments as they came, whose credentials, and how long it may take.

    `identity` is what the provider calls the account, `granted` the scopes it gave, None where nobody knows. `origin`
    says who calls and as part of what, `why` is filled in by the policy, and `versions` are those that the record
    names. `fit` makes a result as small as the caller can take. `confidence` (0 to 1) and `reason` are the agent's own
    words; `notes` go to the agent with the result; `asked_for` is how many seconds a person has just thought.
    """

    tool: Tool
    arguments: Mapping[str, Any]
    connection: Connection
    wire: Wire
    deadline: Deadline
    host: Host = field(default_factory=SilentHost)
    reference: str = field(default_factory=lambda: uuid.uuid4().hex[:16])
    typed: dict[str, Any] = field(default_factory=dict[str, Any])
    trail: Trail = field(default_factory=Trail)
    identity: str | None = None
    granted: frozenset[str] | None = None
    confidence: float | None = None
    reason: str = ""
    notes: list[str] = field(default_factory=list[str])
    asked_for: float = 0.0
    origin: audit.Origin = field(default_factory=audit.Origin)
    why: audit.Why = field(default_factory=audit.Why)
    versions: Mapping[str, str] = field(default_factory=dict[str, str])
    fit: "Fit | None" = None
    outside: "Outside | None" = None  # waits for the end of a call that a person has to confirm elsewhere
    asked: Mapping[str, Any] | None = None  # the caller's arguments as plain data, when a person has changed them
    settled: bool = False  # what it asks for has an end already, so nobody is asked and nothing is done
    within: str = ""  # the step of a workflow that this call is
    row: str = ""  # the row of the journal that this call goes on with
    until: Deadline | None = None  # how long a workflow may take whose caller does not wait for its end


Structured = dict[str, Any]
Fit = Callable[[Call, Structured], Structured]
Outside = Callable[[Call, ActionRequiredError], Awaitable[Structured]]
Proceed = Callable[[Call], Awaitable[Structured]]
Stage = Callable[[Call, Proceed], Awaitable[Structured]]


class Suspend(BaseException):
    """Not an error: the host must answer a question in another round, and the call then starts over.

    Nothing has been changed when it is raised. It is no `Exception`, so no tool can catch it by accident. On its way up
    it is told the `reference` of this round's record, and whether a write has left that is `pending` until a person has
    confirmed it elsewhere.
    """

    reference: str = ""
    pending: bool = False


class Walk:
    """The stages of a call, folded into one function. `str(walk)` prints them in order.

    Without a policy, writes are allowed: whoever makes a call in code is the operator.
    """

    def __init__(
        self,
        policy: Policy | None = None,
        sink: audit.Sink = audit.log_record,
        journal: Journal | None = None,
        *,
        consenting: Consent | None = None,
        begin: audit.Sink | None = None,
        names: Names | None = None,
    ) -> None:
        self.consenting = consenting or Consent(policy or Policy(writes=Decision.ALLOW))
        self.sink = sink
        self.writes = journal
        self.begin = begin
        self.names = names
        self.stages: Sequence[Stage] = (self.record, self.check, self.consent, self.journal, self.run)

    def __str__(self) -> str:
        names = [stage.__name__ for stage in self.stages] + [f"  {stage.__name__}" for stage in Wire.stages()]
        return "\n".join(names)

    async def __call__(self, call: Call) -> Structured:
        """Take the walk. Raises `CallError` and nothing else, but for cancellation and `Suspend`."""
        return await self._from(0)(call)

    def _from(self, position: int, stages: Sequence[Stage] = ()) -> Proceed:
        chosen = stages or self.stages

        async def proceed(call: Call) -> Structured:
            stage, began = chosen[position], time.monotonic()
            try:
                return await stage(call, self._from(position + 1, chosen))
            finally:
                call.trail.marks.append((stage.__name__, began, time.monotonic() - began))

        return proceed

    async def step(self, call: Call) -> Structured:
        """The walk of a workflow's step, and of one that goes on: what the policy denies stays denied, and nobody is
        asked again."""
        return await self._from(0, [self.permit if stage == self.consent else stage for stage in self.stages])(call)

    async def record(self, call: Call, proceed: Proceed) -> Structured:
        """Every call leaves a record; faults of ours become `internal` with a reference to the log."""
        tool = call.tool
        started = time.monotonic()
        record = opened(call.reference, tool, call.connection, call.arguments, self.names)
        record.identity, record.origin, record.why, record.versions = (
            call.identity,
            call.origin,
            call.why,
            call.versions,
        )
        self._told(self.begin, record)
        try:
            result = await self._to_its_end(call, proceed)
            result = call.fit(call, result) if call.fit else result
            record.outcome = Outcome.APPLIED if call.trail.changed else Outcome.NOT_APPLIED
            record.tokens_out = audit.tokens(size(result))
            return {**result, "note": " ".join(call.notes)} if call.notes and "note" not in result else result
        except CallError as error:
            raise self._settled(error, call, record) from error.__cause__
        except Suspend as suspended:
            record.code, record.outcome = "asked", Outcome.NOT_APPLIED
            suspended.reference = call.reference
            raise
        except Exception as error:
            log.exception("call %s of %s.%s failed", call.reference, tool.connector, tool.name)
            fault = InternalError(f"{tool.name} failed inside the connector.", outcome=call.trail.outcome())
            raise self._settled(fault, call, record) from error
        except BaseException:
            record.code, record.outcome = "cancelled", call.trail.outcome()
            raise
        finally:
            call.trail.closed = True
            record.seconds = round(time.monotonic() - started, 4)
            record.attempts = call.trail.attempts
            record.stages = timeline(call.trail.marks, started)
            self._told(self.sink, record)

    @staticmethod
    async def _to_its_end(call: Call, proceed: Proceed) -> Structured:
        """What happens outside belongs to the call, and to its record."""
        try:
            return await proceed(call)
        except ActionRequiredError as error:
            if call.outside is None:
                raise
            try:
                result = await call.outside(call, error)
            except Suspend as suspended:
                suspended.pending = True
                raise
            call.trail.changed += 1
            return result

    @staticmethod
    def _told(sink: audit.Sink | None, record: audit.Record) -> None:
        """What happened has happened: a sink that fails must not turn it into an error."""
        try:
            if sink is not None:
                sink(record)
        except Exception:
            log.exception("the record of call %s could not be kept", record.reference)

    @staticmethod
    def _settled(error: CallError, call: Call, record: audit.Record) -> CallError:
        """The error with its reference, and with the outcome of the whole call rather than of its last request."""
        if error.outcome is Outcome.NOT_APPLIED and call.trail.outcome() is Outcome.UNKNOWN:
            error.outcome = Outcome.UNKNOWN
            error.next_step = "Part of this action has happened. Read the current state before doing anything else."
        error.reference = call.reference
        record.code, record.outcome = error.code, error.outcome
        record.provider_code, record.retry = error.provider_code, error.retry
        record.tokens_out = audit.tokens(len(error.as_text()))
        return error

    async def check(self, call: Call, proceed: Proceed) -> Structured:
        """Arguments are checked against the schema and typed, and the scopes against those that were granted."""
        call.typed = call.tool.signature.check(self._stated(call))
        missing = call.tool.lacks(call.granted)
        if missing:
            raise PermissionDeniedError(
                f"{call.tool.name} needs {', '.join(missing)}, which the account {call.connection.account!r} was not "
                "granted.",
                next_step=_wider(call, missing),
            )
        return await proceed(call)

    def _stated(self, call: Call) -> Mapping[str, Any]:
        """The arguments without what the policy has the agent state about the call itself."""
        if not self.consenting.policy.wants_confidence(call.tool):
            return call.arguments
        arguments, call.confidence, call.reason = stated(call.tool, call.arguments)
        return arguments

    async def consent(self, call: Call, proceed: Proceed) -> Structured:
        """Allow, refuse, or ask a person, who sees the object as we fetched it. No answer is a no."""
        await self.consenting.settle(_same(call), ended=lambda: has_ended(_same(call), self.writes))
        return await proceed(call)

    async def permit(self, call: Call, proceed: Proceed) -> Structured:
        """A step of a workflow: nobody is asked, for the yes was to the whole; what is denied stays denied."""
        await self.consenting.permit(_same(call))
        return await proceed(call)

    async def journal(self, call: Call, proceed: Proceed) -> Structured:
        """Writes only: durable before they leave, done once, and told again to whoever repeats them."""
        if call.tool.effect is Effect.READ and not call.within:
            return await proceed(call)
        return await journaled(_same(call), _same(proceed), self.writes)

    async def run(self, call: Call, proceed: Proceed) -> Structured:
        """The tool function itself, and its result as plain data."""
        if call.tool.workflow:
            given: Any = self._flow(call)
        else:
            given = Api(call.wire, call.deadline, call.trail, call.tool.effect, call.host)
        return call.tool.signature.structured(await call.tool.function(given, **call.typed))

    def _flow(self, call: Call) -> Any:
        from clew.core.workflow import Flow

        if self.writes is None:
            raise ConfigurationError(f"{call.tool.name} has several steps and needs the journal of a server.")
        return Flow(_same(call), _same(self.step), self.writes)


def _same(own: Any) -> Any:
    """A thing of this module, for modules that know it under its import name; to a checker of files those are two."""
    return own


def _wider(call: Call, missing: Sequence[str]) -> str:
    """The login that asks for everything granted so far and for what this tool lacks."""
    where = call.connection
    scopes = ",".join([*sorted(call.granted or ()), *missing])
    words = ["clew", "auth", "login", where.connector, "--account", where.account, "--scopes", scopes]
    words += ["--tenant", where.tenant] if where.tenant != LOCAL_TENANT else []
    return f"Ask the person to run: {shlex.join(words)}"
