"""What may happen without a person: decided here, in code, before anything leaves.

Rules are tried in their order and the first that fits decides; without one the effect of the tool does: reads are
allowed, writes are asked about once per session, destructive calls every time. Whatever cannot be told is a no.
"""

import time
from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from clew.core.conditions import Condition, ConditionError
from clew.core.connection import Connection
from clew.core.connector import Effect, Tool
from clew.core.hours import Hours
from clew.core.values import dataclass


class Decision(StrEnum):
    """What the policy says about one call."""

    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


class Channel(StrEnum):
    """How a person can be asked: the host's own dialogue, the console page, the command line."""

    HOST = "host"
    CONSOLE = "console"
    CLI = "cli"


class Once(StrEnum):
    """What one yes is good for."""

    CALL = "call"
    SESSION = "session"


@dataclass(frozen=True, slots=True)
class Rate:
    """More than `calls` in `seconds`."""

    calls: int
    seconds: float

    def __str__(self) -> str:
        unit = {60.0: "minute", 3600.0: "hour", 86400.0: "day"}.get(self.seconds, f"{self.seconds:g} s")
        return f"{self.calls}/{unit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRule:
    """When it applies, and what then. Names are patterns (`create_*`); an empty one fits everything.

    `when` must hold of the arguments, `during`/`outside` of the time, `above` of how often the rule was met;
    `confidence` is the least the agent must state, else the rule applies. `approvers` may answer (empty: anybody who
    can), `needed` of them must, over `channels`; an approval is good for `expires` seconds.
    """

    name: str
    then: Decision
    connector: str = ""
    tool: str = ""
    effect: Effect | None = None
    account: str = ""
    tenant: str = ""
    when: tuple[Condition, ...] = ()
    during: Hours | None = None
    outside: Hours | None = None
    above: Rate | None = None
    confidence: float | None = None
    approvers: tuple[str, ...] = ()
    needed: int = 1
    channels: tuple[Channel, ...] = tuple(Channel)
    expires: float = 3600.0

    def names(self, tool: Tool) -> bool:
        """Is it about this tool at all?"""
        return (
            _fits(self.connector, tool.connector)
            and _fits(self.tool, tool.name)
            and (self.effect is None or self.effect is tool.effect)
        )

    @property
    def always(self) -> bool:
        """Does it apply to every call of the tools it names?"""
        parts = (self.account, self.tenant, self.when, self.during, self.outside, self.above)
        return not any(parts) and self.confidence is None


def _fits(pattern: str, name: str) -> bool:
    return not pattern or fnmatchcase(name, pattern)


@dataclass(frozen=True, slots=True)
class Request:
    """One call, as the policy sees it. `preview` is None until it has been fetched (empty: there is none); `met` says
    how often a rule was met in its window, this call included; `confidence` is what the agent states (0 to 1)."""

    tool: Tool
    arguments: Mapping[str, Any]
    connection: Connection
    preview: Mapping[str, Any] | None = None
    confidence: float | None = None
    met: Mapping[str, int] = field(default_factory=dict[str, int])
    now: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True)
class Ruling:
    """A decision and why: the rule that gave it (None: the default), what it says, and what a yes is good for."""

    decision: Decision
    because: str
    rule: PolicyRule | None = None
    once: Once = Once.CALL

    @property
    def channels(self) -> tuple[Channel, ...]:
        """How a person may be asked."""
        return self.rule.channels if self.rule else tuple(Channel)

    @property
    def needed(self) -> int:
        """How many people must agree."""
        return self.rule.needed if self.rule else 1

    @property
    def approvers(self) -> tuple[str, ...]:
        """Who may agree; empty: anybody who can be asked."""
        return self.rule.approvers if self.rule else ()

    @property
    def expires(self) -> float:
        """Seconds for which an approval is good."""
        return self.rule.expires if self.rule else 3600.0


class PreviewNeededError(Exception):
    """A rule looks at the object, which has not been fetched yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The rules of one server and its defaults. `writes` is what happens to writes that no rule names."""

    read_only: bool = False
    writes: Decision = Decision.ASK
    rules: tuple[PolicyRule, ...] = ()

    def judge(self, request: Request) -> Ruling:
        """The ruling on one call. Raises `PreviewNeededError` when a rule must see the object first."""
        if self.read_only and request.tool.effect is not Effect.READ:
            return Ruling(Decision.DENY, "this server is read-only")
        for rule in self.rules:
            if not rule.names(request.tool):
                continue
            try:
                why = _applies(rule, request)
            except ConditionError as error:
                return Ruling(Decision.DENY, f"rule {rule.name!r} cannot be applied: {error}", rule)
            if why is not None:
                return Ruling(rule.then, why, rule)
        return self._default(request.tool)

    def _default(self, tool: Tool) -> Ruling:
        if tool.effect is Effect.READ:
            return Ruling(Decision.ALLOW, "reads are allowed")
        if tool.effect is Effect.DESTRUCTIVE:
            return Ruling(Decision.ASK, "what cannot be taken back is always asked about")
        words = {
            Decision.ASK: "writes are asked about once per session",
            Decision.ALLOW: "the operator allows writes",
            Decision.DENY: "the operator denies writes",
        }
        return Ruling(self.writes, words[self.writes], once=Once.SESSION)

    def shows(self, tool: Tool) -> bool:
        """Is `tool` offered at all? What is always denied is not."""
        if self.read_only and tool.effect is not Effect.READ:
            return False
        for rule in self.rules:
            if rule.names(tool):
                if rule.always:
                    return rule.then is not Decision.DENY
                return True
        return self._default(tool).decision is not Decision.DENY

    def counted(self, tool: Tool) -> tuple[PolicyRule, ...]:
        """The rules that want to know how often they were met."""
        return tuple(rule for rule in self.rules if rule.above is not None and rule.names(tool))

    def wants_confidence(self, tool: Tool) -> bool:
        """Must the agent state how sure it is, and why, when it calls `tool`?"""
        return any(rule.confidence is not None and rule.names(tool) for rule in self.rules)


def _applies(rule: PolicyRule, request: Request) -> str | None:
    """Why the rule applies to the call, or None."""
    where = request.connection
    if not (_fits(rule.account, where.account) and _fits(rule.tenant, where.tenant)):
        return None
    reasons: list[str] = []
    for condition in rule.when:
        if not _holds(condition, request):
            return None
        reasons.append(str(condition))
    for hours, wanted in ((rule.during, True), (rule.outside, False)):
        if hours is not None:
            if hours.covers(request.now) is not wanted:
                return None
            reasons.append(f"{'during' if wanted else 'outside'} {hours}")
    if rule.above is not None:
        if request.met.get(rule.name, 0) <= rule.above.calls:
            return None
        reasons.append(f"more than {rule.above}")
    if rule.confidence is not None:
        stated = request.confidence
        if stated is not None and stated >= rule.confidence:
            return None
        reasons.append(
            f"confidence {'not stated' if stated is None else format(stated, 'g')}, below {rule.confidence:g}"
        )
    return f"rule {rule.name!r}" + (f": {', '.join(reasons)}" if reasons else "")


def _holds(condition: Condition, request: Request) -> bool:
    if not condition.on_preview:
        return condition.holds(request.arguments)
    if request.preview is None:
        raise PreviewNeededError
    return condition.holds({"preview": dict(request.preview)})
