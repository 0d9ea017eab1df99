"""One request over the wire: every phase timed, the body capped, redirects kept at home, faults told apart."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx

from clew.core.bounds import SAFE_METHODS, Bounds
from clew.core.deadline import Deadline
from clew.core.errors import ContractChangedError, InvalidInputError
from clew.core.formats import DecodeError, decode, gather
from clew.core.outcomes import lost
from clew.core.response import Headers, Response

for _name in ("httpx", "httpx2"):  # their INFO lines hold whole URLs: arguments, and keys that travel in queries
    logging.getLogger(_name).setLevel(logging.WARNING)

_NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.ProxyError)
"""Faults before the first byte was written. Everything else may have reached the provider."""


def _timeout(bounds: Bounds, deadline: Deadline) -> dict[str, float]:
    """The phase timeouts, none longer than the call may still take.

    What comes before the request ends by its own timeout, a little before the call's time is over: a wait for a free
    connection leaves no other proof that nothing was sent, and a TLS handshake that is cut off leaves its socket open.
    """
    left = max(deadline.remaining(), 0.001)
    return {
        "connect": min(bounds.connect, left * 0.9),
        "read": min(bounds.read, left),
        "write": min(bounds.write, left),
        "pool": min(bounds.pool, left * 0.9),
    }


async def send(
    client: httpx.AsyncClient, request: httpx.Request, *, bounds: Bounds, deadline: Deadline, safe: bool, provider: str
) -> Response:
    """Send `request` and read its answer whole; an answer that cannot be read comes back with its `damage`.

    Raises `TransientError` when nothing was sent or a safe request got no answer, `OutcomeUnknownError` when the answer
    to a change is lost, `ContractChangedError` for redirects that lead away or in circles, `InvalidInputError` for a
    header value that HTTP cannot carry.
    """
    steps: list[str] = []

    async def trace(step: str, info: Any) -> None:
        steps.append(step)

    request.extensions = {**request.extensions, "timeout": _timeout(bounds, deadline)}
    if not safe:
        request.extensions["trace"] = trace
    try:
        if deadline.remaining() <= 0:
            raise lost("the time for this call is over", left=False, safe=safe, provider=provider)
        async with asyncio.timeout(deadline.remaining()):
            for _ in range(bounds.redirects + 1):
                answer = await client.send(request, stream=True, follow_redirects=False)
                try:
                    if not (request.method in SAFE_METHODS and answer.has_redirect_location):
                        return await _read(answer, request, bounds.body)
                finally:
                    await answer.aclose()
                request = _followed(answer, request, provider)
    except httpx.LocalProtocolError as error:
        raise InvalidInputError(f"a value does not fit into a header of the request to {provider}.") from error
    except httpx.RequestError as error:
        left = not isinstance(error, _NEVER_LEFT)
        raise lost(_reason(error), left=left, safe=safe, provider=provider) from error
    except TimeoutError as error:
        left = not steps or any(step.endswith("send_request_headers.started") for step in steps)
        raise lost("the time for this call is over", left=left, safe=safe, provider=provider) from error
    raise ContractChangedError(f"{provider} redirects in circles; gave up after {bounds.redirects} hops.")


async def _read(answer: httpx.Response, request: httpx.Request, cap: int) -> Response:
    content, data, damage = b"", None, None
    headers = Headers(answer.headers.raw)
    try:
        content = await _body(answer, headers, request.method, cap)
        data = decode(content, headers.get("content-type", ""))
    except DecodeError as error:
        damage = str(error)
    return Response(answer.status_code, headers, content, data, damage, request.method, str(request.url))


async def _body(answer: httpx.Response, headers: Headers, method: str, cap: int) -> bytes:
    declared = headers.get("content-length", "")
    if method != "HEAD" and declared.isdecimal() and int(declared) > cap:
        raise DecodeError(f"more than {cap} bytes")
    if answer.is_stream_consumed:  # by a transport that delivers answers whole and unpacked
        return await gather(_once(answer.content), "", cap)
    assert isinstance(answer.stream, httpx.AsyncByteStream)
    return await gather(answer.stream, headers.get("content-encoding", ""), cap)


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _followed(answer: httpx.Response, request: httpx.Request, provider: str) -> httpx.Request:
    """The same request to the place a redirect names. Only the same origin: credentials go nowhere else."""
    try:
        target = request.url.join(answer.headers["location"])
    except httpx.InvalidURL as error:
        raise ContractChangedError(f"{provider} redirects to an address that is none.") from error
    if (target.scheme, target.netloc) != (request.url.scheme, request.url.netloc):
        raise ContractChangedError(f"{provider} redirects to another host; it was not followed.")
    return httpx.Request(
        request.method, target, headers=request.headers, content=request.content, extensions=request.extensions
    )


def _reason(error: httpx.RequestError) -> str:
    """What went wrong in words, without the URL or the text of lower layers."""
    match error:
        case httpx.ConnectTimeout():
            return "no connection in time"
        case httpx.ConnectError():
            return "no connection"
        case httpx.PoolTimeout():
            return "all connections are busy"
        case httpx.ReadTimeout() | httpx.WriteTimeout():
            return "no answer in time"
        case httpx.RemoteProtocolError() | httpx.ReadError() | httpx.WriteError() | httpx.CloseError():
            return "the connection broke"
        case _:
            return type(error).__name__
