"""Where providers deliver webhooks: `POST /webhooks/{connector}/{connection}`, verified, stored, and only then thanked.

Everything is decided in the order of its cost: the size that the head announces, the body within its time, the
signature, and only then the database. What a provider is told says nothing about why a delivery is refused.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import field

from starlette.types import Receive, Scope, Send

from clew.core.errors import CallError
from clew.core.inbox import Incoming
from clew.core.intake import Intake
from clew.core.values import dataclass
from clew.servers.guard import HEADERS
from clew.servers.shedding import forged, proven
from clew.servers.webhook_settings import MOST_BODY

log = logging.getLogger(__name__)

MOST_HELD = 64 * 1024 * 1024
"""Bytes of all bodies that are read at one time. Beyond it only small ones are: a few slow senders of large bodies must
not keep everybody else out."""
SMALL_BODY = 64 * 1024
BODY_SECONDS = 10.0
"""Seconds that a body may take."""

_CALM = 50
"""Forgeries a second that are answered at once; the answers to more of them are held back, up to `_HELD` at a time, so
that a flood waits for itself and not good deliveries for the flood."""
_HOLD_SECONDS = 0.5
_HOLD_RATE = 1000
"""Held answers a second, at most: the more are held, the longer each one is."""
_HELD = 4096

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Request:
    """One delivery as it arrived; `peer` is the address at the other end, `url` what was asked for."""

    connector: str
    account: str
    method: str
    url: str
    headers: Headers
    body: bytes
    peer: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the sender gets, once `events` are stored. `why` is for our log, never for the sender."""

    status: int = 200
    body: bytes = b""
    media_type: str = "text/plain; charset=utf-8"
    headers: Headers = ()
    events: Sequence[Incoming] = field(default=())
    why: str = ""


Admit = Callable[[Request], Awaitable[Answer]]
"""Verifies a delivery and says what to answer."""


class Receiver:
    """The ASGI application of one route. `refused` counts deliveries by why they were refused."""

    def __init__(self, admit: Admit, intake: Intake, *, most_body: int = MOST_BODY) -> None:
        self._admit = admit
        self._intake = intake
        self._most_body = most_body
        self._held = 0
        self._second = 0
        self._forgeries = 0
        self._holding = 0
        self.refused: dict[str, int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        answer = await self._answer(scope, receive)
        if answer.why:
            self.refused[answer.why] = self.refused.get(answer.why, 0) + 1
        if answer.status in (401, 404):
            forged(scope)
            await self._hold_back()
        elif answer.events:
            proven(scope)
        headers = [
            (b"content-type", answer.media_type.encode()),
            (b"content-length", str(len(answer.body)).encode()),
            (b"x-content-type-options", b"nosniff"),
            *answer.headers,
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _hold_back(self) -> None:
        """Let a forger wait when there are many."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._forgeries = second, 0
        self._forgeries += 1
        if self._forgeries > _CALM and self._holding < _HELD:
            self._holding += 1
            try:
                await asyncio.sleep(_HOLD_SECONDS + self._holding / _HOLD_RATE)
            finally:
                self._holding -= 1

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        if scope["method"] not in ("POST", "GET", "HEAD"):
            return _refuse(405, "method")
        headers: Headers = scope["headers"]
        if len(headers) > HEADERS:
            return _refuse(431, "headers")
        held = [0]
        try:
            body = await self._read(headers, receive, held)
            answer = body if isinstance(body, Answer) else await self._admit(_request(scope, body))
            if answer.events:
                await self._intake.put(answer.events)
        except TimeoutError:
            return _refuse(408, "slow body")
        except CallError as error:
            log.warning("a delivery was not stored: %s", error.message)
            return Answer(503, b"Try again later.\n", headers=((b"retry-after", b"5"),), why="not stored")
        finally:
            self._held -= held[0]
        return answer

    async def _read(self, headers: Headers, receive: Receive, held: list[int]) -> bytes | Answer:
        """The body, or why it is not read to its end. Each chunk is counted in `held` while it is in memory."""
        if _announced(headers) > self._most_body:
            return _refuse(413, "large body")
        chunks: list[bytes] = []
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return _refuse(400, "disconnected")
                chunk = message.get("body", b"")
                held[0] += len(chunk)
                self._held += len(chunk)
                if held[0] > self._most_body:
                    return _refuse(413, "large body")
                if self._held > MOST_HELD and held[0] > SMALL_BODY:
                    return Answer(503, b"Try again later.\n", headers=(_CLOSE, (b"retry-after", b"5")), why="busy")
                chunks.append(chunk)
                if not message.get("more_body", False):
                    return b"".join(chunks)


_CLOSE = (b"connection", b"close")


def _refuse(status: int, why: str) -> Answer:
    """Refuse before the body is read, and take no more from this connection."""
    return Answer(status, b"Refused.\n", headers=(_CLOSE,), why=why)


def _announced(headers: Headers) -> int:
    """The length that the head gives; 0 when it gives none (the body comes in chunks)."""
    return next((int(value) for name, value in headers if name == b"content-length"), 0)


def _request(scope: Scope, body: bytes) -> Request:
    headers: Headers = scope["headers"]
    host = next((value for name, value in headers if name == b"host"), b"").decode("latin-1")
    query = scope["query_string"].decode("latin-1")
    target = scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
    client = scope.get("client")
    given = scope["path_params"]
    return Request(
        given["connector"],
        given["connection"],
        scope["method"],
        f"{scope['scheme']}://{host}{target}",
        headers,
        body,
        client[0] if client else "",
    )
