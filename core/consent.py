"""Asking a person: what is asked, through which channel, and what an answer is worth.

The host's own dialogue comes first. Where the host cannot ask, or nobody answers there, the question is kept as an
approval that people decide elsewhere (the console, the command line); the call waits for it within its deadline, and
the same call made again finds the decision. No answer is a no.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any

from clew.core.api import Api
from clew.core.approvals import Approval, Approvals, State
from clew.core.connector import Effect
from clew.core.deadline import Deadline
from clew.core.errors import AlreadyDoneError, ApprovalRequiredError, DeniedError, quote
from clew.core.host import Question
from clew.core.policy import Channel, Decision, Once, Policy, PreviewNeededError, Request, Ruling
from clew.core.rates import OwnRates, Rates
from clew.core.schema import Signature
from clew.core.values import dataclass

if TYPE_CHECKING:
    from clew.core.call import Call

PATIENCE = 20.0
"""Seconds a first call waits for people who are asked elsewhere; the same call made again waits for its deadline."""
_RESERVE = 15.0
"""Seconds of the deadline that are kept for the action itself."""
_SESSION = 8 * 3600.0
"""Seconds for which a yes for a session is good."""
_LOOK_AGAIN = 1.0
"""Seconds a person may think before the object is fetched again: it may have changed meanwhile."""


@dataclass(slots=True)
class Consent:
    """The policy of one server and what people have agreed to in this process.

    `console` tells the address of the pages where approvals are given, empty while there are none; `rates` counts how
    often rules are met.
    """

    policy: Policy
    approvals: Approvals | None = None
    console: Callable[[], str] = str
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.time
    rates: Rates = field(default_factory=OwnRates)
    _sessions: dict[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])

    async def settle(self, call: "Call", ended: Callable[[], Awaitable[bool]]) -> None:
        """Return when the call may run; raise `DeniedError`, `ApprovalRequiredError` or `AlreadyDoneError` else.

        Nobody is asked about what `ended` says has its end already; the call is marked as settled then.
        """
        ruling, preview = await self._judged(call)
        if ruling.decision is not Decision.ASK or self._agreed_before(call, ruling):
            if getattr(call.host, "refused", False):
                raise DeniedError(f"a person declined {call.tool.name}; nothing was changed.")
            return
        if await ended():
            call.settled = True
        else:
            await self._ask(call, ruling, preview)

    async def permit(self, call: "Call") -> None:
        """Raise `DeniedError` for what is denied, and ask nobody."""
        await self._judged(call)

    async def _judged(self, call: "Call") -> tuple[Ruling, Mapping[str, Any] | None]:
        preview: Mapping[str, Any] | None = None
        met = await self._count(call)
        try:
            ruling = self._ruling(call, None, met)
        except PreviewNeededError:
            preview = await fetch_preview(call)
            ruling = self._ruling(call, preview, met)
        call.why.rule = ruling.because
        if ruling.decision is Decision.DENY:
            raise DeniedError(f"the policy of this server does not allow {call.tool.name}: {ruling.because}.")
        return ruling, preview

    def _ruling(self, call: "Call", preview: Mapping[str, Any] | None, met: Mapping[str, int]) -> Ruling:
        plain = plain_arguments(call)
        now = self.clock()
        request = Request(call.tool, plain, call.connection, preview, call.confidence, met, now)
        ruling = self.policy.judge(request)
        asking = call.wire.connector.asking.get(call.tool.name)
        if ruling.rule is None and ruling.decision is not Decision.DENY and asking and asking.when(call.typed):
            return Ruling(Decision.ASK, f"{call.tool.name} reaches other people this way")
        return ruling

    async def _count(self, call: "Call") -> dict[str, int]:
        """How often each rule with a rate was met in its window, this call included."""
        counts: dict[str, int] = {}
        for rule in self.policy.counted(call.tool):
            assert rule.above is not None
            where = call.connection
            whose = f"{where.tenant}/{where.connector}/{where.account}"
            counts[rule.name] = await self.rates.meet(rule.name, whose, seconds=rule.above.seconds, now=self.clock())
        return counts

    def _agreed_before(self, call: "Call", ruling: Ruling) -> bool:
        """A person who made the call with their own hands, or said yes for the session, is not asked again."""
        if ruling.once is not Once.SESSION:
            return False
        if call.host.own:
            return True
        return bool(call.host.session) and self._sessions.get(_session(call), 0.0) > self.clock()

    async def _ask(self, call: "Call", ruling: Ruling, preview: Mapping[str, Any] | None) -> None:
        question = await ask_about(call, ruling, preview)
        while True:
            if not await self._through_host(call, question, ruling):
                await self._elsewhere(call, question, ruling)
            if call.asked_for < _LOOK_AGAIN:
                return
            call.asked_for = 0.0
            seen, question = question, await ask_about(call, ruling, None)
            if question.digest == seen.digest:
                return

    async def _through_host(self, call: "Call", question: Question, ruling: Ruling) -> bool:
        """Ask in the host's own dialogue, with the call's clock stopped while the person thinks. False when it cannot
        be done there, or the policy wants other people. Whoever makes the call by hand answers there or nowhere."""
        host = call.host
        alone = ruling.needed == 1 and (not ruling.approvers or host.who in ruling.approvers)
        if Channel.HOST not in ruling.channels or not alone or not (host.asks or host.own):
            return False
        left, started = call.deadline.remaining(), time.monotonic()
        call.why.answer, call.why.approval = "asked", host.who
        try:
            agreed = await host.confirm(question) is True
        except ApprovalRequiredError:
            call.why.answer = ""
            if self.approvals is None or host.own:
                raise
            return False
        call.asked_for = time.monotonic() - started
        call.why.answer = "agreed" if agreed else "declined"
        call.why.seconds = max(call.asked_for, getattr(host, "thought", 0.0))  # asked in another round, or in this one
        call.deadline = Deadline.after(max(left, 0.001))
        if not agreed:
            raise DeniedError(f"the person declined {question.tool}; nothing was changed.")
        if ruling.once is Once.SESSION and call.host.session:
            self._sessions[_session(call)] = self.clock() + _SESSION
        return True

    async def _elsewhere(self, call: "Call", question: Question, ruling: Ruling) -> None:
        """Wait for a decision that people give elsewhere."""
        if self.approvals is None:
            raise refused(question, ruling)
        approval = await self.approvals.request(question, ruling, requester=call.host.who)
        started = time.monotonic()
        call.why.answer, call.why.approval = "asked", approval.id
        seen_before = self.clock() - approval.created > 1.0
        patience = call.deadline.remaining() - _RESERVE
        patience = patience if seen_before else min(patience, PATIENCE)
        told = 0.0
        while approval.state is State.PENDING:
            waited = time.monotonic() - started
            if waited >= patience:
                raise self._pending(approval, question)
            if waited >= told:
                await call.host.progress(f"waiting for approval {approval.id}: {self._where(approval)}")
                told += 10.0
            await self.sleep(min(1.0, max(0.05, patience - waited)))
            approval = await self.approvals.get(approval.id)
        await self._decided(call, approval, ruling)
        call.asked_for = 0.0 if approval.edit is not None else time.monotonic() - started

    async def _decided(self, call: "Call", approval: Approval, ruling: Ruling) -> None:
        call.why.answer = "agreed" if approval.state is State.APPROVED else "declined"
        call.why.approval, call.why.seconds = f"{approval.id} by {approval.by}", self.clock() - approval.created
        note = f" They wrote: {quote(approval.note)}" if approval.note else ""
        if approval.state is State.DENIED:
            raise DeniedError(f"{approval.by} declined {call.tool.name}; nothing was changed.{note}")
        if approval.state is State.DONE:
            raise AlreadyDoneError(
                f"{approval.by} has done this by hand; {call.tool.name} was not run.{note}",
                next_step="Go on as if it had been done. Read the object to see how.",
            )
        assert self.approvals is not None
        if approval.state is not State.APPROVED or not await self.approvals.spend(approval):
            raise ApprovalRequiredError(
                f"approval {approval.id} is no longer good ({approval.state.value}); nothing was changed.",
                next_step="Make the same call again to ask once more.",
            )
        if approval.edit is not None:
            await self._take_over(call, approval, ruling)
        if note:
            call.notes.append(f"{approval.by} approved it.{note}")

    @staticmethod
    async def _take_over(call: "Call", approval: Approval, ruling: Ruling) -> None:
        """Run what a person approved instead of what was asked for, if it still is what they saw."""
        assert approval.edit is not None
        call.asked = plain_arguments(call)
        call.typed = call.tool.signature.check(approval.edit.arguments)
        question = await ask_about(call, ruling, None)
        if question.digest != approval.edit.digest:
            raise ApprovalRequiredError(
                f"the object has changed since {approval.by} approved {call.tool.name} with other arguments; "
                "nothing was changed.",
                next_step="Read the object again, then make the call with the arguments that are right now.",
            )
        changed = json.dumps(dict(approval.edit.arguments), ensure_ascii=False, default=str)
        call.notes.append(f"{approval.by} changed the arguments before approving; it ran with {quote(changed, 500)}.")

    def _pending(self, approval: Approval, question: Question) -> ApprovalRequiredError:
        return ApprovalRequiredError(
            f"{question.tool} waits for a person's approval ({approval.id}); nothing was changed yet.",
            next_step=f"Ask the person to decide: {self._where(approval)}. Then make the same call again.",
            url=self._page(approval),
        )

    def _page(self, approval: Approval) -> str | None:
        address = self.console() if Channel.CONSOLE in approval.channels else ""
        return f"{address}/approvals/{approval.id}" if address else None

    def _where(self, approval: Approval) -> str:
        ways = [self._page(approval) or ""]
        ways += [f"clew approvals show {approval.id}"] if Channel.CLI in approval.channels else []
        return " or ".join(filter(None, ways)) or "the policy leaves no way here"


def refused(question: Question, ruling: Ruling) -> ApprovalRequiredError:
    """The refusal of a host that cannot ask, where approvals cannot be kept either."""
    arguments = " ".join(f"{name}=…" for name in question.arguments)
    why = "cannot be taken back and " if ruling.rule is None and ruling.once is Once.CALL else ""
    return ApprovalRequiredError(
        f"{question.tool} {why}needs a person's approval; this host cannot ask for it.",
        next_step=f"Ask the person to run it themselves: clew call {question.connection.connector} "
        f"{question.tool} {arguments} --account {question.connection.account}",
    )


def plain_arguments(call: "Call") -> dict[str, Any]:
    """The typed arguments as plain data, what was not given left out."""
    return call.tool.signature.model.model_validate(call.typed).model_dump(mode="json", exclude_none=True)


async def fetch_preview(call: "Call") -> dict[str, Any]:
    """The object that the call will hit, fetched by us; empty when the tool has no preview."""
    asking = call.wire.connector.asking.get(call.tool.name)
    shows = call.tool.preview or (asking.preview if asking else None)
    if shows is None:
        return {}
    signature = Signature(shows, shows.__name__)
    taken = {name: value for name, value in call.typed.items() if name in signature.parameters}
    shown = await shows(Api(call.wire, call.deadline, call.trail, Effect.READ, call.host), **taken)
    return signature.structured(shown)


async def ask_about(call: "Call", ruling: Ruling, preview: Mapping[str, Any] | None) -> Question:
    """The question about one call, with the object as it is now unless it has just been fetched."""
    tool = call.tool
    shown = await fetch_preview(call) if preview is None else preview
    schema = hashlib.sha256(json.dumps(tool.signature.input_schema, sort_keys=True).encode()).hexdigest()[:16]
    because = ruling.because if ruling.rule is not None or ruling.once is Once.SESSION else ""
    return Question(
        tool.name, tool.description, call.connection, plain_arguments(call), shown, call.identity, schema, because,
        _stated(call),
    )  # fmt: skip


def _stated(call: "Call") -> str:
    """The agent's own words about the call, where the policy wants them."""
    sure = "" if call.confidence is None else f"{call.confidence:.0%} sure"
    return ": ".join(filter(None, (sure, call.reason)))


def _session(call: "Call") -> tuple[str, str]:
    return call.host.session, str(call.connection) + call.connection.tenant
