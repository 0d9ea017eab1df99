"""The chaos pass of a database: every tool against the ways in which one fails, and how the call must end then.

Everything before the commit is taken back by the database, so nothing of it was done. A commit whose answer is lost is
unknown, and is made once. Nothing of this reaches a database (`core.carrier.Rehearsed`).
"""

from collections.abc import Mapping

import httpx

from clew.core.connector import Effect, Tool
from clew.core.values import dataclass
from clew.testing.chaos import cause
from clew.testing.kit import Finding, Seen, Subject
from clew.testing.stage import Ran, perform

MOST_SHOWN = 60_000
"""Characters of a result, whatever the database answers."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A way to fail: what it is called, and the code and outcome of the call. Without a code it may succeed."""

    words: str
    code: str = ""
    outcome: str = "not_applied"


FAULTS: Mapping[str, Fault] = {
    "refused": Fault("no connection", "transient"),
    "lost": Fault("a connection that breaks before the end", "transient"),
    "timeout": Fault("a statement that takes too long", "invalid_input"),
    "conflict": Fault("a deadlock", "conflict"),
    "commit_lost": Fault("a commit whose answer is lost", "outcome_unknown", "unknown"),
    "commit_conflict": Fault("a commit that is refused", "conflict"),
    "large": Fault("a row of three million characters"),
    "type": Fault("values of other types"),
}


async def meet_database(subject: Subject, tool: Tool, arguments: Mapping[str, object], seen: Seen) -> None:
    """A tool meets every fault that can happen to it."""
    met = 0
    for name, fault in FAULTS.items():
        ran = await perform(subject.connector, tool, arguments, _no_http, fault=name)
        if not ran.carried:
            continue
        met += 1
        seen.count += 1
        wrong = judge(tool, fault, ran)
        if wrong:
            fix = "See docs/errors.md." if ran.code != "internal" else f"Fix it: {cause(ran)}"
            seen.findings.append(Finding(f"{tool.name} and {fault.words}: {wrong}.", fix, subject.at(tool)))
    if not met:
        seen.skipped.append(f"{tool.name}: the faults of this database cannot be rehearsed")


def judge(tool: Tool, fault: Fault, ran: Ran) -> str:
    """What is wrong with how a call ended; empty when nothing is."""
    if ran.code == "internal":
        return "it fails inside the connector"
    if not fault.code:
        return "" if ran.error or len(str(ran.result)) <= MOST_SHOWN else "the agent is shown all of it"
    if ran.error is None:
        return f"it reports a success: {str(ran.result)[:80]}"
    if (ran.code, ran.outcome) != (fault.code, fault.outcome):
        return f"it ends with {ran.code} and {ran.outcome}, not {fault.code} and {fault.outcome}"
    tried = sum(len(record.attempts) for record in ran.records)
    if (
        ran.changing
        and fault.outcome == "unknown"
        and tool.effect is not Effect.READ
        and tool.once is None
        and tried > 1
    ):
        return f"it was tried {tried} times, and the first may have happened"
    return ""


async def _no_http(request: httpx.Request) -> httpx.Response:
    raise httpx.UnsupportedProtocol("a database has no requests", request=request)
