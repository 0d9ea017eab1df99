"""One record for every call, successful or not, that a person can read.

A record holds what happened and nothing that must not be kept: arguments are there as `redaction` lets them through,
what a provider said only as its code, results not at all.
"""

import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from clew.core.values import dataclass

log = logging.getLogger("clew.audit")

_PLAIN = re.compile(r"[A-Za-z0-9_.:/+=-]{1,100}")
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str).encode


@dataclass(slots=True)
class Attempt:
    """One request of a call: route is the path template, so no argument and no secret is in it.

    `began` is epoch seconds; `seconds` its duration, of which `waited` went by until there was room in the budgets.
    `stages` tells how long each took, in seconds. `units` is its cost in budgets that do not count requests.
    """

    method: str
    route: str
    status: int | None = None
    code: str | None = None
    waited: float = 0.0
    began: float = 0.0
    seconds: float = 0.0
    request_id: str | None = None
    stages: dict[str, float] = field(default_factory=dict[str, float])
    units: dict[str, float] = field(default_factory=dict[str, float])

    def spent(self, stage: str, seconds: float) -> None:
        """So long did a stage take; nothing worth telling is not told."""
        if seconds >= 0.00005:
            self.stages[stage] = round(seconds, 4)

    def as_dict(self) -> dict[str, Any]:
        """The facts that say something."""
        facts: dict[str, Any] = {
            "method": self.method,
            "route": self.route,
            "status": self.status,
            "code": self.code,
            "waited": round(self.waited, 4),
            "began": round(self.began, 4),
            "seconds": round(self.seconds, 4),
            "request_id": self.request_id,
            "stages": self.stages,
            "units": self.units,
        }
        return {name: value for name, value in facts.items() if value}


@dataclass(frozen=True, slots=True)
class Origin:
    """Who made a call and as a part of what: the program at the other end, the trace it belongs to, the task's label.

    `principal` is whom an authorization server vouched for, empty where nobody authenticates callers. `continues` is
    the reference of the round before, where a host comes back with a person's answer. `trace_id` and `span_id` are
    those of W3C `traceparent`; `span_id` is the span that the call happens under, and `sampled` says whether the host
    wants to see it.
    """

    caller: str = ""
    task: str = ""
    trace_id: str = ""
    span_id: str = ""
    sampled: bool = True
    principal: str = ""
    continues: str = ""


@dataclass(slots=True)
class Why:
    """Why a call was let through or not: the rule of the policy, and what a person said when one was asked.

    `answer` is empty when nobody was asked, else `agreed`, `declined` or `asked` (the answer comes in another round).
    `approval` names the recorded approval or its channel; `seconds` is how long the person took.
    """

    rule: str = ""
    answer: str = ""
    approval: str = ""
    seconds: float = 0.0


@dataclass(slots=True)
class Record:
    """What one call did. `started` is epoch seconds, `seconds` its duration.

    `identity` is what the provider calls the account, as far as it is known. `tokens_in` and `tokens_out` are what the
    model wrote and what it gets to read, estimated as a quarter of the characters. `units` is the provider's cost, at
    least the number of requests. `stages` are (name, seconds after the start, seconds). `versions` are those of clew,
    the connector and the provider's API.
    """

    reference: str
    connector: str
    tool: str
    effect: str
    account: str
    tenant: str
    started: float
    seconds: float = 0.0
    code: str = "ok"
    outcome: str = ""
    attempts: list[Attempt] = field(default_factory=list[Attempt])
    identity: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    why: Why = field(default_factory=Why)
    origin: Origin = field(default_factory=Origin)
    stages: list[tuple[str, float, float]] = field(default_factory=list[tuple[str, float, float]])
    provider_code: str | None = None
    retry: str | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    versions: Mapping[str, str] = field(default_factory=dict[str, str])
    note: str = ""

    @property
    def units(self) -> dict[str, float]:
        """What the call cost in the provider's units: its requests, and the points of budgets that count points."""
        total: dict[str, float] = {"requests": float(sum(each.status is not None for each in self.attempts))}
        for attempt in self.attempts:
            for name, amount in attempt.units.items():
                total[name] = total.get(name, 0.0) + amount
        return total

    def as_dict(self) -> dict[str, Any]:
        """The facts that say something, always in the same order. Waits and provider request ids are in `attempts`."""
        why, origin = self.why, self.origin
        facts: dict[str, Any] = {
            "reference": self.reference,
            "connector": self.connector,
            "tool": self.tool,
            "effect": str(self.effect),
            "account": self.account,
            "tenant": self.tenant,
            "identity": self.identity,
            "started": round(self.started, 4),
            "seconds": round(self.seconds, 4),
            "code": str(self.code),
            "outcome": str(self.outcome),
            "provider_code": _plain(self.provider_code),
            "retry": self.retry,
            "arguments": self.arguments,
            "rule": why.rule,
            "answer": why.answer,
            "approval": why.approval,
            "answered_after": round(why.seconds, 3),
            "caller": origin.caller,
            "principal": origin.principal,
            "continues": origin.continues,
            "task": origin.task,
            "trace_id": origin.trace_id,
            "span_id": origin.span_id,
            "attempts": [each.as_dict() for each in self.attempts],
            "stages": self.stages,
            "tokens_in": self.tokens_in,
            "tokens_out": self.tokens_out,
            "units": self.units if self.attempts else None,
            "versions": self.versions,
            "note": self.note,
        }
        return {name: value for name, value in facts.items() if value}

    def as_json(self) -> str:
        """One line, never longer for what is not known."""
        return as_line(self.as_dict())


def as_line(data: Any) -> str:
    """Data as one line of JSON. Every call pays for four of these, so pydantic's encoder makes them where it can."""
    from pydantic_core import PydanticSerializationError, to_json

    try:
        return to_json(data, fallback=str).decode()
    except PydanticSerializationError:  # text that is not Unicode: half of a surrogate pair
        return _encode(data).encode(errors="replace").decode()


Sink = Callable[[Record], None]
"""What takes a record when its call has ended. It may also be told of the beginning, see `Walk`."""


def log_record(record: Record) -> None:
    """The sink that is always there: one JSON line on the `clew.audit` logger."""
    if log.isEnabledFor(logging.INFO):
        log.info(record.as_json())


def tokens(characters: int) -> int:
    """An estimate that needs no tokenizer: four characters of JSON make a token, rounded up."""
    return -(-characters // 4)


def plain_id(headers: Mapping[str, str]) -> str | None:
    """The provider's own name for a request, under the headers that are used for it."""
    return next((found for name in _REQUEST_IDS if (found := _plain(headers.get(name)))), None)


_REQUEST_IDS = (
    "x-request-id", "request-id", "x-github-request-id", "x-slack-req-id", "x-amzn-requestid", "cf-ray",
    "x-ms-request-id", "sforce-request-id", "x-trace-id", "twilio-request-id",
)  # fmt: skip


def _plain(text: str | None) -> str | None:
    """`text` when it looks like a code or an id; a sentence of a provider's has no place in a record."""
    return text if text and _PLAIN.fullmatch(text) else None


def now() -> float:
    """Epoch seconds."""
    return time.time()
