"""What a status means when nothing else says more. The last thing looked at."""

from collections.abc import Mapping

from clew.core.errors import Code, Outcome
from clew.core.limits import retry_after
from clew.core.response import Response
from clew.core.rules import ACCEPTED, Verdict

_CODES: Mapping[int, Code] = {
    401: Code.AUTH_EXPIRED,
    402: Code.QUOTA_EXHAUSTED,
    403: Code.PERMISSION,
    404: Code.NOT_FOUND,
    408: Code.TRANSIENT,
    409: Code.CONFLICT,
    410: Code.NOT_FOUND,
    412: Code.CONFLICT,
    421: Code.TRANSIENT,
    423: Code.CONFLICT,
    424: Code.TRANSIENT,
    425: Code.TRANSIENT,
    426: Code.CONTRACT_CHANGED,
    428: Code.CONFLICT,
    429: Code.RATE_LIMITED,
    440: Code.AUTH_EXPIRED,
    451: Code.PERMISSION,
    460: Code.TRANSIENT,
    498: Code.AUTH_EXPIRED,
    499: Code.TRANSIENT,
    501: Code.CONTRACT_CHANGED,
    505: Code.CONTRACT_CHANGED,
    507: Code.QUOTA_EXHAUSTED,
    509: Code.RATE_LIMITED,
    511: Code.PROVIDER_DOWN,
    **dict.fromkeys((508, 520, 521, 522, 523, 524, 525, 526, 527, 529, 530), Code.PROVIDER_DOWN),
}

_UNPROCESSED = frozenset({421, 425})
"""RFC 9110 §15.5.20 and RFC 8470: the server says that it did not process the request."""

_DONE, _ACCEPTED = Verdict(None), Verdict(ACCEPTED)


def by_status(response: Response, *, safe: bool) -> Verdict:
    """The verdict of the status alone. Redirects arrive here only when they were not followed."""
    status = response.status
    if status < 400:
        return _below_400(status, safe=safe)
    if status in _CODES:
        return Verdict(_CODES[status], outcome=Outcome.NOT_APPLIED if status in _UNPROCESSED else None)
    if status == 407:
        return Verdict(
            Code.INTERNAL,
            "a proxy on the way to {provider} wants a login.",
            "Report this to the person who runs the server: the proxy's settings need credentials.",
        )
    if status < 500:
        return Verdict(Code.INVALID_INPUT)
    if status == 503 and retry_after(response.headers) is not None:
        return Verdict(Code.RATE_LIMITED)
    return Verdict(Code.TRANSIENT)


def _below_400(status: int, *, safe: bool) -> Verdict:
    if 200 <= status < 300:
        return _ACCEPTED if status == 202 and not safe else _DONE
    if status == 304:
        return Verdict(None if safe else Code.ALREADY_DONE)
    certain = safe or status in {301, 307, 308}
    why = "{provider} redirected the request to a place we do not follow."
    return Verdict(Code.CONTRACT_CHANGED, why) if certain else Verdict(Code.OUTCOME_UNKNOWN)
