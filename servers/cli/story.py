"""The story of one call in plain words, from its record."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from clew.core.audit_chain import RETENTION
from clew.core.audit_spool import CRASHED
from clew.core.errors import Code
from clew.servers.cli.moments import clock
from clew.servers.cli.output import duration

_ENDINGS: Mapping[str, str] = {
    "ok": "It succeeded.",
    "asked": "A person was asked; the answer comes with the next round.",
    "cancelled": "Whoever called gave up before it had ended.",
    CRASHED: "The process ended before the call did.",
    Code.INVALID_INPUT: "The arguments were wrong.",
    Code.NOT_FOUND: "The object is not there, or this account may not see it.",
    Code.CONFLICT: "The object was in a state that forbids the action.",
    Code.ALREADY_DONE: "It had been done already.",
    Code.AUTH_REVOKED: "The provider no longer accepts the account's credentials; a person must log in again.",
    Code.PERMISSION: "The account may not do this.",
    Code.ACTION_REQUIRED: "The provider wanted a person to act first.",
    Code.APPROVAL_REQUIRED: "It needed a person's approval, and nobody gave one.",
    Code.DENIED: "A person or the policy said no.",
    Code.QUOTA_EXHAUSTED: "An allowance at the provider is used up.",
    Code.RATE_LIMITED: "The provider's rate limit was reached, and the wait was longer than the call's deadline.",
    Code.TRANSIENT: "A passing fault, between us and the provider or inside it.",
    Code.PROVIDER_DOWN: "The provider did not answer, or answered with faults only.",
    Code.AUTH_EXPIRED: "The access token had expired and could not be renewed at that moment.",
    Code.OUTCOME_UNKNOWN: "It left, and its answer was lost.",
    Code.CONTRACT_CHANGED: "The provider's answer no longer had the shape that the connector knows.",
    Code.INTERNAL: "A fault of ours; the log of that time has the details under the reference.",
}
_CHANGES = {
    "applied": "What it should change was changed.",
    "not_applied": "Nothing was changed.",
    "unknown": "It may have changed something: look at the object before anything is repeated.",
}
_STAGES = {
    "check": "the arguments and the account's scopes are checked",
    "consent": "the policy decides",
    "journal": "the write is looked up and noted",
    "run": "the tool runs",
}


def tell(rounds: Sequence[Mapping[str, Any]]) -> list[str]:
    """The lines of the story. A call that asked a person and came back with the answer has a record for each round."""
    first, last = rounds[0], rounds[-1]
    if len(rounds) == 1 and not first.get("continues"):
        return _alone(first)
    lines = [*opening(first), f"It took {len(rounds)} rounds: the host carried a question to a person and came back."]
    if len(rounds) == 1 or first.get("continues"):
        lines[-1] = "The host came back with a person's answer. The round before is no longer kept."
    for number, record in enumerate(rounds, 1):
        lines += ["", f"Round {number}, {clock(record['started'])}, reference {record['reference']}:"]
        lines += [*_timeline(record), *ending(record), *facts(record)]
    return [*lines, *_unanswered(last)]


def _alone(record: Mapping[str, Any]) -> list[str]:
    if record["connector"] == "clew" and record["tool"] == RETENTION:
        return [
            f"On {clock(record['started'])} {record.get('removed', 0)} old records were removed, as audit_keep says."
        ]
    lines = [*opening(record), "", *_timeline(record), "", *ending(record), ""]
    return [*lines, *facts(record), *_unanswered(record)]


def _unanswered(record: Mapping[str, Any]) -> list[str]:
    return ["", "Nobody has come back with the answer so far."] if record["code"] == "asked" else []


def opening(record: Mapping[str, Any]) -> list[str]:
    """Who called what, and with which arguments."""
    who = record.get("caller") or "Somebody"
    who += f" of {record['principal']}" if record.get("principal") else ""
    whose = f", there known as {record['identity']}" if record.get("identity") else ""
    tenant = f" of tenant {record['tenant']}" if record.get("tenant", "local") != "local" else ""
    lines = [
        f"On {clock(record['started'])} {who} called {record['tool']} of {record['connector']} "
        f"({record.get('effect', 'unknown effect')}) with the account {record.get('account', '')!r}{tenant}{whose}."
    ]
    given = [f"{name}={json.dumps(value, ensure_ascii=True)}" for name, value in record.get("arguments", {}).items()]
    return [*lines, "Arguments: " + (" ".join(given) or "none.")]


def _timeline(record: Mapping[str, Any]) -> list[str]:
    return [f"  {at:+9.3f} s  {took:8.3f} s  {what}" for at, took, what in steps(record)]


def steps(record: Mapping[str, Any]) -> list[tuple[float, float, str]]:
    """Stages and requests in the order in which they began: seconds after the start, seconds, what. A stage's time is
    its own, without that of the next."""
    start: float = record["started"]
    silent = ("record", "journal") if record.get("effect") == "read" else ("record",)  # a read passes the journal by
    stages = [each for each in record.get("stages", ()) if each[0] not in silent]
    ends = [each[1] for each in stages[1:]] + [each[1] + each[2] for each in stages[-1:]]
    found = [(at, end - at, _stage(record, name)) for (name, at, _), end in zip(stages, ends, strict=True)]
    for each in record.get("attempts", ()):
        found.append((each.get("began", start) - start, each.get("seconds", 0.0), _request(each)))
    found.sort(key=lambda step: step[0])
    return [(max(at, 0.0), max(took, 0.0), what) for at, took, what in found]


def _stage(record: Mapping[str, Any], name: str) -> str:
    said = {"agreed": "a person agreed", "declined": "a person declined", "asked": "a person was asked"}
    if name != "consent":
        return f"{name}: {_STAGES.get(name, '')}".rstrip(": ")
    who = said.get(record.get("answer", ""), "")
    after = f" after {duration(record['answered_after'])}" if record.get("answered_after", 0.0) >= 1 else ""
    how = f" by {record['approval']}" if record.get("approval") else ""
    why = [each for each in (record.get("rule", ""), f"{who}{after}{how}" if who else "") if each]
    return f"consent: {'; '.join(why) or _STAGES['consent']}"


def _request(attempt: Mapping[str, Any]) -> str:
    status = attempt.get("status")
    parts = [f"{status}" if status else "no answer"]
    parts += [f"judged {attempt['code']}"] if attempt.get("code") else []
    parts += [f"{attempt['waited']:.2f} s of it waited for room in the rate limit"] if attempt.get("waited") else []
    renewed = attempt.get("stages", {}).get("authorize", 0.0)
    parts += [f"{renewed:.2f} s for the credential"] if renewed >= 0.1 else []
    parts += [f"request id {attempt['request_id']}"] if attempt.get("request_id") else []
    return f"{attempt['method']} {attempt['route']}: {', '.join(parts)}"


def ending(record: Mapping[str, Any]) -> list[str]:
    """How it ended and what that means."""
    code, outcome = record["code"], record.get("outcome", "")
    took = record.get("seconds", 0.0)
    after = f" after {took:.3f} s" if took < 60 else f" after {duration(took)}"
    lines = [f"It ended{after} with {code}, {outcome or 'no outcome'}. {_ENDINGS.get(code, '')}".rstrip()]
    if record.get("effect") != "read" or outcome == "unknown":
        lines.append(_CHANGES.get(outcome, ""))
    if record.get("provider_code"):
        lines.append(f"The provider's own code: {record['provider_code']}")
    if record.get("note") and code != CRASHED:
        lines.append(record["note"])
    return [line for line in lines if line]


def facts(record: Mapping[str, Any]) -> list[str]:
    """Cost, context and the place in the chain."""
    units = ", ".join(f"{name} {amount:g}" for name, amount in record.get("units", {}).items()) or "no request"
    lines = [f"Cost: {units}; about {record.get('tokens_in', 0)} tokens written by the model, "
             f"{record.get('tokens_out', 0)} to read (a token is taken as four characters)."]  # fmt: skip
    part = [f"task {record['task']}" if record.get("task") else "",
            f"trace {record['trace_id']}" if record.get("trace_id") else ""]  # fmt: skip
    lines += [f"Part of: {', '.join(filter(None, part))}"] if any(part) else []
    versions = ", ".join(f"{name} {value}" for name, value in record.get("versions", {}).items())
    lines += [f"Versions: {versions}"] if versions else []
    return [*lines, f"Record {record['number']} of the chain, hash {record['hash']}"]
