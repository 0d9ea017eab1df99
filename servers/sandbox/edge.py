"""The outermost layer: numbers requests, logs them, and lets the faults happen.

Every answer is collected whole before a byte of it leaves, so a fault can drop, cut, slow or change it. This is pure
ASGI because only here uvicorn's own `send` is in reach, and with it the transport that must be aborted.
"""

import asyncio
import contextlib
import secrets
import socket
import struct
import time
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .disguises import HANDLED_BEFORE, answer_instead, change_answer
from .faults import Fault
from .refusals import RefusalError
from .state import Seen, State

BODY_LIMIT_BYTES = 1024 * 1024
_TICK_SECONDS = 0.01
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass(slots=True)
class Answer:
    """A collected HTTP answer."""

    status: int = 500
    headers: list[tuple[bytes, bytes]] | None = None
    body: bytes = b""

    def header(self, name: bytes) -> bytes:
        """Return the first header of that (lower case) name, or nothing."""
        return next((value for key, value in self.headers or [] if key.lower() == name), b"")


class Wire:
    """The way to the client, including the rough ways to end it."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self.send = send
        # uvicorn's send is a method of its request cycle, which holds the transport.
        self._cycle = getattr(send, "__self__", None)

    @property
    def gone(self) -> bool:
        """Say whether the client has hung up."""
        return bool(getattr(self._cycle, "disconnected", False))

    async def abort(self, how: str) -> None:
        """Break the connection: `reset` sends a TCP RST, `eof` an orderly end, both without a byte of an answer."""
        transport: asyncio.Transport | None = getattr(self._cycle, "transport", None)
        if transport is None:
            raise ConnectionResetError("Acme dropped the connection")
        if how == "reset":
            linger = struct.pack("ii", 1, 0)
            with contextlib.suppress(OSError):  # the client was faster
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            transport.abort()
        else:
            transport.close()
        while (await self._receive())["type"] != "http.disconnect":
            pass


class Edge:
    """ASGI middleware around all of Acme."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        wire = Wire(receive, send)
        scope["acme.request_id"] = request_id = f"req_{secrets.token_hex(8)}"
        method, path = scope["method"], scope["path"]
        host = next((value for key, value in scope["headers"] if key == b"host"), b"").decode("latin-1")
        if host.rsplit(":", 1)[0] not in _LOOPBACK and host not in _LOOPBACK:
            # A web page that rebinds its name to this machine still sends its own name here.
            await self._refuse(
                wire, RefusalError(421, "misdirected", "Acme answers to loopback names only."), request_id
            )
            return
        try:
            body = await _read_body(receive)
        except ConnectionError:
            return
        except RefusalError as refusal:
            await self._refuse(wire, refusal, request_id)
            return
        if path.startswith("/_sandbox"):
            await _send_plain(wire, await self._collect(scope, body, receive, request_id))
            return
        seen = Seen(method, path, request_id, self._state.now())
        self._state.requests[f"{method} {path}"] += 1
        self._state.log.append(seen)
        fault = self._state.faults.take(method, path)
        if fault is None:
            answer = await self._collect(scope, body, receive, request_id)
            seen.status = answer.status
            await _send_plain(wire, answer)
            return
        seen.fault = fault.fault
        await self._misbehave(fault, seen, scope, body, wire, receive)

    async def _misbehave(  # noqa: PLR0917  # the whole request is its subject
        self, fault: Fault, seen: Seen, scope: Scope, body: bytes, wire: Wire, receive: Receive
    ) -> None:
        name = fault.fault
        if name == "drop_before_commit":
            await wire.abort(fault.how)
            return
        if name == "huge":
            seen.status = 200
            await self._stream_huge(fault.bytes, wire, seen.request_id)
            return
        if name == "slow" and fault.when == "before":
            await self._hold(fault)
        if name == "slow" and fault.when == "during":
            scope["acme.hold"] = lambda: self._hold(fault)
        if name in HANDLED_BEFORE or (name == "server_error" and fault.when == "before"):
            answer = _stamp(Answer(*answer_instead(fault)), seen.request_id)
        else:
            answer = await self._collect(scope, body, receive, seen.request_id)
        if name == "drop_after_commit":
            await wire.abort(fault.how)
            return
        if name == "slow" and fault.when == "after":
            await self._hold(fault)
        if name == "server_error" and fault.when == "after":
            answer = _stamp(Answer(*answer_instead(fault)), seen.request_id)
        query = scope["query_string"].decode("latin-1")
        answer.body = change_answer(fault, answer.body, query)
        seen.status = answer.status
        await self._send_roughly(fault, answer, wire)

    async def _send_roughly(self, fault: Fault, answer: Answer, wire: Wire) -> None:
        if fault.fault == "wrong_content_type":
            _set_header(answer, b"content-type", fault.content_type.encode("latin-1"))
        if fault.fault == "truncate":
            await wire.send(_start(answer))
            await wire.send(
                {"type": "http.response.body", "body": answer.body[: len(answer.body) // 2], "more_body": True}
            )
            await wire.abort("eof")
            return
        if fault.fault == "drip":
            await wire.send(_start(answer))
            for i in range(len(answer.body)):
                if wire.gone:
                    return
                await wire.send({"type": "http.response.body", "body": answer.body[i : i + 1], "more_body": True})
                await asyncio.sleep(0 if fault.cleared or self._state.closing else fault.seconds or 0)
            await wire.send({"type": "http.response.body", "body": b""})
            return
        await _send_plain(wire, answer)

    async def _hold(self, fault: Fault) -> None:
        """Wait until the fault's time is over or it is cleared."""
        until = None if fault.seconds is None else time.monotonic() + fault.seconds
        while not (fault.cleared or self._state.closing) and (  # noqa: ASYNC110  # cleared from any thread
            until is None or time.monotonic() < until
        ):
            await asyncio.sleep(_TICK_SECONDS)

    async def _stream_huge(self, size: int, wire: Wire, request_id: str) -> None:
        answer = _stamp(Answer(200, [(b"content-type", b"application/json")]), request_id)
        await wire.send({"type": "http.response.start", "status": 200, "headers": answer.headers})
        await wire.send({"type": "http.response.body", "body": b'{"data":"', "more_body": True})
        chunk, left = b"a" * 65536, size - len(b'{"data":""}')
        while left > 0 and not (wire.gone or self._state.closing):
            await wire.send({"type": "http.response.body", "body": chunk[:left], "more_body": True})
            left -= len(chunk)
            await asyncio.sleep(0)  # uvicorn waits only when its buffer is full; others want a turn too
        await wire.send({"type": "http.response.body", "body": b'"}'})

    async def _collect(self, scope: Scope, body: bytes, receive: Receive, request_id: str) -> Answer:
        """Run the application and keep its answer."""
        answer, unread = Answer(), [body]

        async def replay() -> Message:
            if unread:
                return {"type": "http.request", "body": unread.pop(), "more_body": False}
            return await receive()

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status, answer.headers = message["status"], list(message.get("headers", []))
            else:
                answer.body += message.get("body", b"")

        await self._app(scope, replay, keep)
        return _stamp(answer, request_id)

    async def _refuse(self, wire: Wire, refusal: RefusalError, request_id: str) -> None:
        response = refusal.answer()
        await _send_plain(
            wire, _stamp(Answer(response.status_code, response.raw_headers, bytes(response.body)), request_id)
        )


async def _read_body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client left in the middle of its request")
        body += message.get("body", b"")
        if len(body) > BODY_LIMIT_BYTES:
            raise RefusalError(413, "too_large", "A request body may hold 1 MiB.", headers={"Connection": "close"})
        if not message.get("more_body", False):
            return bytes(body)


def _stamp(answer: Answer, request_id: str) -> Answer:
    answer.headers = [*(answer.headers or []), (b"x-request-id", request_id.encode("ascii"))]
    return answer


def _set_header(answer: Answer, name: bytes, value: bytes) -> None:
    answer.headers = [(key, old) for key, old in answer.headers or [] if key.lower() != name] + [(name, value)]


def _start(answer: Answer) -> Message:
    if answer.header(b"content-length"):
        _set_header(answer, b"content-length", str(len(answer.body)).encode("ascii"))
    return {"type": "http.response.start", "status": answer.status, "headers": answer.headers or []}


async def _send_plain(wire: Wire, answer: Answer) -> None:
    await wire.send(_start(answer))
    await wire.send({"type": "http.response.body", "body": answer.body})
