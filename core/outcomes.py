"""What an answer, or its absence, means: one code and one outcome.

The status is the last thing looked at. First the connector's code hook, then its rules in order (they may look behind a
200), then the shapes that many providers share, read with words that many of them use. Transport faults are split by
what they prove: the request certainly never left, or it may have arrived and its answer is lost.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from clew.core.batches import Part, parts_of
from clew.core.complaints import complaints
from clew.core.errors import (
    ERRORS,
    CallError,
    Code,
    ContractChangedError,
    Outcome,
    OutcomeUnknownError,
    Retry,
    TransientError,
)
from clew.core.fields import as_list, as_object, look_all
from clew.core.formats import decode_error
from clew.core.limits import retry_after
from clew.core.response import Response
from clew.core.rules import ACCEPTED, OK, ErrorMap, Hook, Rule, Verdict
from clew.core.shapes import Problem, hidden_problem, problem_of
from clew.core.statuses import by_status
from clew.core.values import dataclass
from clew.core.waits import Reset, wait_of
from clew.core.words import implied, meaning

__all__ = [
    "ACCEPTED", "OK", "Decision", "ErrorMap", "Hook", "Reset", "Rule", "Verdict", "decide", "explained", "judge",
    "lost", "unreadable",
]  # fmt: skip


_PARTLY = "Read the current state and repeat only the parts that failed."


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict and who gave it: the hook, a rule, a shape (`problem`), a part of a batch, or the status alone."""

    verdict: Verdict
    source: Rule | str
    problem: Problem | None = None
    part: Part | None = None

    @property
    def rule(self) -> str:
        """Who gave the verdict, in words."""
        return self.source.label if isinstance(self.source, Rule) else self.source


def decide(response: Response, *, errors: ErrorMap, safe: bool) -> Decision:
    """The verdict on an answer. `safe` says that the request could not change anything."""
    verdict = errors.hook(response) if errors.hook else None
    if verdict is not None:
        return Decision(verdict, "hook")
    rule = _matching(response, errors)
    if rule is not None:
        return Decision(_of_rule(rule, response, safe), rule)
    if 200 <= response.status < 300:
        return _behind_success(response, errors, safe)
    if response.status < 400:
        return Decision(by_status(response, safe=safe), f"status {response.status}")
    problem = problem_of(response)
    if problem is not None:
        known = meaning(problem.codes, response.status, fault=problem.fault)
        code = known[0] if known else implied(problem.message, response.status)
        if code is not None:
            said = f"code {known[1]}" if known else "its words"
            return Decision(Verdict(code), f"shape: {problem.shape}, {said}", problem)
    return Decision(by_status(response, safe=safe), f"status {response.status}", problem)


def _matching(response: Response, errors: ErrorMap) -> Rule | None:
    rules = errors.rules_for(response.status)
    codes = errors.codes(response) if rules else frozenset[str]()
    return next((rule for rule in rules if (codes or not rule.codes) and rule.fits(response, codes)), None)


def _of_rule(rule: Rule, response: Response, safe: bool) -> Verdict:
    """A rule's verdict. Behind a 2xx that also holds results of a change, part of the change was made."""
    verdict = rule.verdict(response)
    if safe or verdict.success or response.status >= 300:
        return verdict
    problem = hidden_problem(response)
    if problem is None or not problem.partial:
        return verdict
    return replace(verdict, outcome=Outcome.UNKNOWN, retry=Retry.NO, next_step=_PARTLY)


def _behind_success(response: Response, errors: ErrorMap, safe: bool) -> Decision:
    """A 2xx: is there a failure behind it, or are some of its parts failures?"""
    problem = hidden_problem(response)
    if problem is not None:
        return _behind(problem, response, errors, safe)
    parts = parts_of(response)
    if parts is None:
        return Decision(by_status(response, safe=safe), f"status {response.status}")
    cause = parts.cause
    inner = Response(cause.status or 400, cause.headers, b"", cause.data, None, response.method, response.url)
    inside = decide(inner, errors=errors, safe=safe)
    source = f"parts: {len(parts.failed)} of {len(parts.failed) + parts.good} failed; {inside.rule}"
    verdict = inside.verdict
    if parts.good and not safe:
        message = "{provider} did some parts of this request and refused others."
        verdict = replace(verdict, message=message, next_step=_PARTLY, outcome=Outcome.UNKNOWN, retry=Retry.NO)
    return Decision(verdict, source, inside.problem, cause)


def _behind(problem: Problem, response: Response, errors: ErrorMap, safe: bool) -> Decision:
    """A stated failure under a 2xx: the provider's own codes for refusals count, then the shape's words."""
    codes = errors.codes(response)
    coded = (rule for rule in errors.rules_for(400) if rule.codes and not rule.status)
    rule = next((rule for rule in coded if rule.fits(response, codes)), None) if codes else None
    if rule is None or problem.partial:
        return Decision(_of_hidden(problem, safe), f"shape: {problem.shape} behind {response.status}", problem)
    return Decision(rule.verdict(response), rule, problem)


def _of_hidden(problem: Problem, safe: bool) -> Verdict:
    if problem.shape == "web page":
        return Verdict(Code.TRANSIENT, "{provider} answered with a web page instead of data ({status}).")
    known = meaning(problem.codes, 200, fault=True)
    code = known[0] if known else implied(problem.message, 200)
    if code is None and problem.status:
        stated = Response(problem.status, {}, b"", None, None, "", "")
        return by_status(stated, safe=safe)
    if code is None:
        refused = safe or problem.refused
        code = Code.INVALID_INPUT if refused else Code.OUTCOME_UNKNOWN
    if problem.partial and not safe:
        return Verdict(code, "{provider} did only a part of this request.", outcome=Outcome.UNKNOWN, retry=Retry.NO)
    refused_query = problem.shape == "graphql" and code is Code.INVALID_INPUT
    return Verdict(code, "{provider} refused the query." if refused_query else None)


def _as_it_is(text: str) -> str:
    return text


def judge(
    response: Response, *, errors: ErrorMap, safe: bool, provider: str, hide: Callable[[str], str] = _as_it_is
) -> CallError | None:
    """The error an answer means, or `None` for success. `safe` says that the request could not change anything.

    `hide` takes secrets out of what the provider says.
    """
    response = mislabelled(response)
    decision = decide(response, errors=errors, safe=safe)
    return explained(decision, response, errors=errors, safe=safe, provider=provider, hide=hide)


def mislabelled(response: Response) -> Response:
    """An error whose JSON is labelled as text, a page or nothing, with its data decoded; any other as it is."""
    if response.status < 400 or not isinstance(response.data, str | bytes):
        return response
    data = decode_error(response.content)
    return response if data is None else replace(response, data=data)


def explained(
    decision: Decision,
    response: Response,
    *,
    errors: ErrorMap,
    safe: bool,
    provider: str,
    hide: Callable[[str], str] = _as_it_is,
    now: Callable[[], float] = time.time,
) -> CallError | None:
    """The error a decision means to the agent, or `None` for success. `now` is what dates are counted from."""
    if not decision.verdict.success:
        return _error(decision, response, errors=errors, safe=safe, provider=provider, hide=hide, now=now)
    if response.damage is None:
        return None
    return unreadable(response.damage, safe=safe, provider=provider, status=response.status)


_SENTENCES: Mapping[str, str] = {
    Code.INVALID_INPUT: "{provider} rejected the arguments.",
    Code.NOT_FOUND: "{provider} does not know this object.",
    Code.CONFLICT: "{provider} says the object is in another state than this call needs.",
    Code.ALREADY_DONE: "{provider} says this is already done.",
    Code.AUTH_REVOKED: "{provider} does not accept the credentials.",
    Code.AUTH_EXPIRED: "{provider} does not accept the access token.",
    Code.PERMISSION: "{provider} does not allow this account to do that.",
    Code.ACTION_REQUIRED: "{provider} wants a person to act first.",
    Code.QUOTA_EXHAUSTED: "{provider} says an allowance is used up.",
    Code.RATE_LIMITED: "the rate limit of {provider} is reached.",
    Code.TRANSIENT: "{provider} answered with a passing fault ({status}).",
    Code.PROVIDER_DOWN: "{provider} is out of service.",
    Code.OUTCOME_UNKNOWN: "{provider} answered {status} to a change; it may or may not have happened.",
    Code.CONTRACT_CHANGED: "{provider} answered in a form this connector does not know.",
}

_WAITS = frozenset({Code.RATE_LIMITED, Code.TRANSIENT, Code.PROVIDER_DOWN, Code.CONFLICT, Code.QUOTA_EXHAUSTED})
_FIELDS = frozenset({Code.INVALID_INPUT, Code.CONFLICT, Code.ALREADY_DONE, Code.CONTRACT_CHANGED})


def _error(
    decision: Decision,
    response: Response,
    *,
    errors: ErrorMap,
    safe: bool,
    provider: str,
    hide: Callable[[str], str],
    now: Callable[[], float],
) -> CallError:
    verdict, problem = decision.verdict, decision.problem
    kind = ERRORS[Code(verdict.code or Code.INTERNAL)]
    if not safe and kind.code in {Code.TRANSIENT, Code.PROVIDER_DOWN} and verdict.outcome is None:
        kind, verdict = OutcomeUnknownError, Verdict(Code.OUTCOME_UNKNOWN)  # "wait and call again" would be wrong now
    sentence = verdict.message or _SENTENCES.get(kind.code, "{provider} refused the call.")
    outcome = verdict.outcome
    if outcome is None and not safe and response.status < 300 and kind.code is Code.CONTRACT_CHANGED:
        coded = isinstance(decision.source, Rule) and decision.source.codes
        refused = problem is not None or decision.part is not None or coded
        outcome = None if refused else Outcome.APPLIED
    said, part = response, decision.part
    if part is not None:
        said = replace(response, headers={**response.headers, **part.headers}, data=part.data, content=b"")
    fields = verdict.fields if verdict.fields is not None else complaints(said.data) if kind.code in _FIELDS else {}
    code, message = _words(said, errors, problem)
    named = next((response.headers[name] for name in errors.request_id if name in response.headers), "")
    return kind(
        sentence.replace("{provider}", provider).replace("{status}", str(response.status)),
        next_step=verdict.next_step,
        outcome=outcome,
        retry=_advised(verdict, kind, said, errors),
        retry_after=_wait(verdict, kind, said, errors, now),
        url=verdict.url,
        object_id=verdict.object_id,
        fields={hide(name): hide(why) for name, why in fields.items()},
        status=response.status,
        provider_code=hide(code),
        provider_message=hide(message),
        request_id=hide(named) if named else None,
    )


def _wait(
    verdict: Verdict, kind: type[CallError], response: Response, errors: ErrorMap, now: Callable[[], float]
) -> float | None:
    if kind.code not in _WAITS or verdict.outcome is Outcome.UNKNOWN:
        return verdict.retry_after
    wait = retry_after(response.headers, now)
    if wait is None and kind.code is Code.RATE_LIMITED:
        wait = wait_of(response, errors.resets, now())
    return verdict.retry_after if wait is None else wait


def _advised(verdict: Verdict, kind: type[CallError], response: Response, errors: ErrorMap) -> Retry | None:
    """The provider's own word on repeating. It never makes an unknown outcome repeatable: only a key could."""
    advice = response.headers.get(errors.advice, "").strip().lower() if errors.advice else ""
    unknown = Outcome.UNKNOWN in (verdict.outcome, kind.default_outcome)
    if advice == "false" and kind.default_retry in (Retry.SAME_CALL, Retry.AFTER):
        return Retry.NO
    if advice == "true" and not unknown and kind.default_retry is not Retry.AFTER:
        return Retry.SAME_CALL
    return verdict.retry


def _words(response: Response, errors: ErrorMap, problem: Problem | None) -> tuple[str, str]:
    """The provider's code and message: from the declared places, else as the shape has them."""
    code, message = _first(response, errors.provider_code), _first(response, errors.message)
    if code and message:
        return code, message
    if problem is None and response.status >= 400 and not (as_object(response.data) or as_list(response.data)):
        problem = problem_of(response)
    if problem is None:
        return code, message
    return code or (problem.codes[0] if problem.codes else ""), message or problem.message


def _first(response: Response, paths: tuple[str, ...]) -> str:
    for path in paths:
        for value in look_all(response.data, path):
            if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
                return str(value)
    return ""


def unreadable(why: str, *, safe: bool, provider: str, status: int) -> CallError:
    """An answer that came and cannot be read. Whether a change happened, only its content could have said."""
    if not safe:
        return OutcomeUnknownError(
            f"{provider} answered {status} with {why}; the change may or may not have happened.", status=status
        )
    if "EOF while parsing" in why or why.startswith("unfinished"):
        return TransientError(f"{provider} broke off its answer ({status}).", status=status)
    advice = "Ask for less: a smaller page, a narrower filter, a range." if why.startswith("more than") else None
    return ContractChangedError(f"{provider} answered {status} with {why}.", status=status, next_step=advice)


def lost(reason: str, *, left: bool, safe: bool, provider: str) -> CallError:
    """A request without an answer. `left` says that some of it may have reached the provider."""
    if not left:
        return TransientError(f"{provider} could not be reached ({reason}); nothing was sent.")
    if safe:
        return TransientError(f"{provider} did not answer ({reason}).")
    return OutcomeUnknownError(f"{provider} did not answer ({reason}); the change may or may not have happened.")
