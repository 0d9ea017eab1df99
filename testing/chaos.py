"""The chaos pass: every tool against a provider that fails in every way, and how the call must end then.

A read that fails has changed nothing. A write is unknown exactly when its request may have arrived and nobody knows
what became of it. Nothing may end as a fault inside the connector, and no answer that is none as a success.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import httpx

from clew.core.connector import Connector, Effect, Tool
from clew.core.outcomes import decide
from clew.core.response import Headers, Response
from clew.core.rules import Rule
from clew.core.values import dataclass
from clew.testing.kit import Finding, Seen, Subject
from clew.testing.samples import FILE, arguments_for
from clew.testing.stage import Ran, json_answer, perform

PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><h1>Please sign in</h1></body></html>"
_WAITING = ("transient", "provider_down")
_TOO_MUCH = ("rate_limited", "quota_exhausted")
_WHO = ("auth_revoked", "auth_expired", "permission", "action_required")
_SECONDS = 0.03


class _Broken(httpx.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b'{"id": '
        raise httpx.ReadError("gone")


async def _refuse(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)


async def _no_answer(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("slow", request=request)


async def _vanish(request: httpx.Request) -> httpx.Response:
    raise httpx.RemoteProtocolError("server disconnected", request=request)


async def _never(request: httpx.Request) -> httpx.Response:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")  # pragma: no cover


async def _break_off(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, headers={"content-type": "application/json"}, stream=_Broken())


async def _cut(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, headers={"content-type": "application/json"}, content=b'{"id": 1, "na')


async def _page(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, headers={"content-type": "text/html"}, content=PAGE)


async def _too_many(request: httpx.Request) -> httpx.Response:
    return json_answer({"message": "Too many requests"}, 429, retry_after="30")


async def _unauthorized(request: httpx.Request) -> httpx.Response:
    return json_answer({"message": "Unauthorized"}, 401)


async def _broken_server(request: httpx.Request) -> httpx.Response:
    return httpx.Response(500, headers={"content-type": "text/html"}, content=PAGE)


async def _out_of_service(request: httpx.Request) -> httpx.Response:
    return json_answer({"message": "Service unavailable"}, 503)


async def _other_type(request: httpx.Request) -> httpx.Response:
    return json_answer(["clew"])


async def _other_shape(request: httpx.Request) -> httpx.Response:
    return json_answer({"clew": {"unexpected": [1, None]}})


@dataclass(frozen=True, slots=True)
class Fault:
    """A way to fail: what it is called, the codes that a call may end with when it changed nothing (empty: any but
    `internal`) and when it may have, and whether a success would be a lie."""

    words: str
    answering: Callable[[httpx.Request], Awaitable[httpx.Response]]
    safe: tuple[str, ...]
    unsafe: tuple[str, ...]
    outcome: str
    lies: bool = True


FAULTS: Mapping[str, Fault] = {
    "refused": Fault("no connection", _refuse, ("transient",), ("transient",), "not_applied"),
    "timeout": Fault("a read timeout", _no_answer, ("transient",), ("outcome_unknown",), "unknown"),
    "vanished": Fault("a connection that breaks", _vanish, ("transient",), ("outcome_unknown",), "unknown"),
    "slow": Fault("no answer within the call's time", _never, ("transient",), ("outcome_unknown",), "unknown"),
    "429": Fault("429 with Retry-After", _too_many, _TOO_MUCH, _TOO_MUCH, "not_applied"),
    "401": Fault("401", _unauthorized, _WHO, _WHO, "not_applied"),
    "500": Fault("500 with a web page", _broken_server, _WAITING, ("outcome_unknown",), "unknown"),
    "503": Fault("503", _out_of_service, _WAITING, ("outcome_unknown",), "unknown"),
    "page": Fault("200 with a web page", _page, (*_WAITING, "contract_changed"), (), "unknown"),
    "cut": Fault("200 with half an answer", _cut, (*_WAITING, "contract_changed"), ("outcome_unknown",), "unknown"),
    "broken": Fault("an answer that breaks off", _break_off, ("transient",), ("outcome_unknown",), "unknown"),
    "type": Fault("200 with a list of texts", _other_type, (), (), "", lies=False),
    "shape": Fault("200 with another object", _other_shape, (), (), "", lies=False),
}


async def faults_are_told_apart(subject: Subject) -> Seen:
    """Every tool meets every fault."""
    seen = Seen()
    if subject.connector.base_url.startswith("mail:"):
        seen.skipped.append("this connector does not speak HTTP")
        return seen
    meet = _meet
    if subject.connector.base_url.startswith("sql:"):
        from clew.testing.database_chaos import meet_database

        meet = meet_database
    for tool in subject.tools:
        arguments = None if tool.workflow else arguments_for(tool, subject.arguments)
        if arguments is None:
            why = "its steps are looked at" if tool.workflow else f"give it arguments in {FILE}"
            seen.skipped.append(f"{tool.name}: {why}")
            continue
        await meet(subject, tool, arguments, seen)
    return seen


async def _meet(subject: Subject, tool: Tool, arguments: Mapping[str, object], seen: Seen) -> None:
    sent, quiet = 0, False
    for fault in FAULTS.values():
        seconds = _SECONDS if fault.answering is _never else 5.0
        ran = await perform(subject.connector, tool, arguments, fault.answering, seconds=seconds)
        if not ran.player.requests:
            quiet = ran.error is None
            continue
        sent += 1
        seen.count += 1
        wrong = judge(subject.connector, tool, fault, ran)
        if wrong:
            fix = "See docs/errors.md." if ran.code != "internal" else f"Fix it: {cause(ran)}"
            seen.findings.append(Finding(f"{tool.name} and {fault.words}: {wrong}.", fix, subject.at(tool)))
    if not sent:
        why = "it sends nothing" if quiet else f"it refuses the arguments made up; give it some in {FILE}"
        seen.skipped.append(f"{tool.name}: {why}")


def judge(connector: Connector, tool: Tool, fault: Fault, ran: Ran) -> str:
    """What is wrong with how a call ended; empty when nothing is."""
    if ran.code == "internal":
        return "it fails inside the connector"
    unsafe = tool.effect is not Effect.READ and ran.player.unsafe > 0
    if ran.error is None:
        return f"it reports a success: {str(ran.result)[:80]}" if fault.lies else ""
    if "<" in ran.error.as_text() and "html" in ran.error.as_text().lower():
        return "the agent is shown a web page"
    allowed = fault.unsafe if unsafe else fault.safe
    if unsafe and ran.code in fault.safe and ran.outcome == "not_applied" and _stated(connector, ran):
        return ""
    if allowed and ran.code not in allowed:
        return f"it ends with {ran.code}, not {' or '.join(allowed)}"
    if unsafe and fault.outcome and ran.outcome not in (fault.outcome, "applied"):
        return f"its outcome is {ran.outcome}, not {fault.outcome}"
    if not unsafe and ran.outcome != "not_applied":
        return f"its outcome is {ran.outcome}, and it changed nothing"
    if fault.words.startswith("429") and ran.error.retry_after is None and ran.code == "rate_limited":
        return "the agent is not told when to come back"
    return ""


def _stated(connector: Connector, ran: Ran) -> bool:
    """Does the connector state that the provider did nothing when it answers like this?"""
    status = ran.error.as_dict().get("status") if ran.error else None
    if not isinstance(status, int):
        return False
    request = ran.player.requests[-1]
    answer = Response(status, Headers([]), b"", None, None, request.method, str(request.url))
    decision = decide(answer, errors=connector.errors, safe=False)
    return decision.source == "hook" or (isinstance(decision.source, Rule) and decision.source.not_applied)


def cause(ran: Ran) -> str:
    """The last line of what was logged: the exception, with the place it came from."""
    lines = [line.strip() for line in ran.log.splitlines() if line.strip()]
    places = [line for line in lines if line.startswith("File ")]
    last = lines[-1][:200] if lines else "nobody knows"
    return f"{last} ({places[-1].partition(', in ')[0]})" if places else last
