"""One request to an authorization server: hard time limit, small answer, no redirects, our own HTTP client."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import field, replace
from typing import Any

import httpx

from clew.auth.answers import Grant, Refusal, error_of, judge, parse
from clew.auth.oauth import TokenRequest
from clew.auth.schemes import TokenScheme
from clew.core.limits import retry_after
from clew.core.values import dataclass

ANSWER_BYTES = 64 * 1024
TOO_LATE = Refusal("outage", "too_late", "the time in which this request could be sent was over")
"""Nothing was sent: who asked was held up for so long that somebody else may be asking by now."""
_NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.ProxyError)


class _TooLateError(Exception):
    """The request was about to be written after its time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint said: status, headers and the whole body, at most 64 KiB."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(slots=True)
class _Trace:
    """How far a request got, and the moment (monotonic clock) after which it must not be written any more."""

    send_before: float | None
    steps: list[str] = field(default_factory=list[str])

    async def __call__(self, step: str, info: Any) -> None:
        self.steps.append(step)
        if step.endswith("send_request_headers.started"):
            self.check()

    def check(self) -> None:
        if self.send_before is not None and time.monotonic() > self.send_before:
            raise _TooLateError

    @property
    def left(self) -> bool:
        """May the request have left? Transports that leave no trace may have sent it."""
        return not self.steps or any(step.endswith("send_request_headers.started") for step in self.steps)


async def exchange(
    http: httpx.AsyncClient,
    scheme: TokenScheme,
    request: TokenRequest,
    *,
    seconds: float,
    send_before: float | None = None,
) -> Grant | Refusal:
    """Send `request` and judge the answer; every fault of the network is an outage, never an exception.

    After `send_before` (on the monotonic clock) nothing is sent any more, not even when the process was stopped
    between opening the connection and writing to it.
    """
    answer = await send(http, request, seconds=seconds, send_before=send_before)
    if isinstance(answer, Refusal):
        return answer
    judged = judge(scheme, answer.status, answer.body)
    if isinstance(judged, Refusal) and judged.verdict == "outage":
        return replace(judged, retry_after=retry_after(answer.headers))
    return judged


async def send(
    http: httpx.AsyncClient, request: TokenRequest, *, seconds: float, send_before: float | None = None
) -> Answer | Refusal:
    """Send a request of this shape to any endpoint and read the answer whole. Faults of the network are a `Refusal`.

    A refused proof is made once more with the nonce that the server asks for (RFC 9449 §8).
    """
    trace = _Trace(send_before)
    try:
        trace.check()
        async with asyncio.timeout(seconds), _client(http, request) as client:
            answer = await _once(client, request, seconds, trace)
            if isinstance(answer, Answer) and _wants_nonce(request, answer):
                answer = await _once(client, request.anew(), seconds, trace)
            return answer
    except _TooLateError:
        return TOO_LATE
    except _NEVER_LEFT as error:
        return Refusal("outage", "unreachable", type(error).__name__)
    except (httpx.HTTPError, httpx.StreamError, TimeoutError) as error:
        return Refusal("outage", "no_answer", type(error).__name__, lost=trace.left)


async def _once(http: httpx.AsyncClient, request: TokenRequest, seconds: float, trace: _Trace) -> Answer | Refusal:
    headers = dict(request.headers)
    if request.dpop_key is not None:
        from clew.auth.dpop import proof

        headers["DPoP"] = proof(request.dpop_key, request.method, request.url)
    async with http.stream(
        request.method,
        request.url,
        headers=headers,
        content=request.body,
        follow_redirects=False,
        timeout=seconds,
        extensions={"trace": trace},
    ) as answer:
        body = bytearray()
        async for part in answer.aiter_bytes():
            body += part
            if len(body) > ANSWER_BYTES:
                return Refusal("outage", "answer_too_large", status=answer.status_code)
        return Answer(answer.status_code, dict(answer.headers), bytes(body))


def _wants_nonce(request: TokenRequest, answer: Answer) -> bool:
    """Did the server refuse for the want of a nonce that it has only now told us?"""
    if request.dpop_key is None:
        return False
    from clew.auth.dpop import learn

    fresh = learn(request.url, answer.headers)
    return fresh and answer.status in (400, 401) and error_of(parse(answer.body) or {})[0] == "use_dpop_nonce"


@contextlib.asynccontextmanager
async def _client(http: httpx.AsyncClient, request: TokenRequest) -> AsyncGenerator[httpx.AsyncClient]:
    """The shared client, or one of our own for a request that shows a certificate."""
    if request.identity is None:
        yield http
        return
    from clew.auth.certificates import context

    async with httpx.AsyncClient(verify=context(*request.identity)) as own:
        yield own
