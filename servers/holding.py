"""What one caller may hold of a server: open requests, streams among them, and sessions of the older era.

The SDK bounds sessions and streams for all callers together, so that one caller could leave none for the others. Here
each caller has a share. Beyond it requests are refused; of sessions the one that was used least lately ends, because
most hosts never end theirs: when it is used again its host is told 404, and begins another.
"""

import itertools
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clew.servers.guard import most_open_requests

Caller = tuple[str, str]
"""Issuer and subject; two empty texts where callers are not told apart, which are bounded together only."""
NOBODY: Caller = ("", "")
_IDLE_SECONDS = 1800.0
"""After so long without a request the SDK ends a session."""
_SESSION = b"mcp-session-id"
_NEEDED = (
    "type", "asgi", "http_version", "scheme", "path", "raw_path", "root_path", "query_string", "server", "client",
    "user", "auth",
)  # fmt: skip


@dataclass(slots=True)
class _Session:
    """A session of `caller` at `app`, with `open` requests; `scope` is of one that would end it."""

    caller: Caller
    app: ASGIApp
    scope: Scope
    used: float
    open: int


@dataclass(slots=True)
class Holdings:
    """What all callers of one server hold. `most` is what one of them may have open, half of it streams, and as many
    sessions; `total` what all may have open."""

    most: int
    total: int = field(default_factory=most_open_requests)
    clock: Callable[[], float] = time.monotonic
    _all: int = 0
    _open: Counter[Caller] = field(default_factory=Counter[Caller])
    _streams: Counter[Caller] = field(default_factory=Counter[Caller])
    _kept: Counter[Caller] = field(default_factory=Counter[Caller])
    _sessions: OrderedDict[bytes, _Session] = field(default_factory=OrderedDict[bytes, _Session])

    async def serve(self, app: ASGIApp, caller: Caller, scope: Scope, receive: Receive, send: Send) -> None:
        """Let `app` answer, or refuse."""
        headers = dict(scope["headers"])
        stream = _is_stream(scope["method"], headers)
        refusal = self._refusal(caller, scope["method"], stream)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        given = headers.get(_SESSION, b"")
        session = self._sessions.get(given)
        if session is not None and session.caller != caller:
            session = None
        used = [session] if session is not None else []
        self._count(caller, stream, 1)
        for each in used:
            each.open += 1

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                status: int = message["status"]
                opened = dict(message.get("headers", ())).get(_SESSION, b"")
                if used and (status == 404 or (scope["method"] == "DELETE" and status < 400)):
                    self._forget(given)
                elif opened and not given and status < 400:
                    used.append(self._keep(opened, caller, app, scope))
            await send(message)

        try:
            await app(scope, receive, watched if given or b"mcp-method" not in headers else send)
        finally:
            self._count(caller, stream, -1)
            for each in used:
                each.open -= 1
                each.used = self.clock()
            if session is not None and self._sessions.get(given) is session:
                self._sessions.move_to_end(given)
        if len(used) > (session is not None):
            await self._end_surplus(caller)

    def _count(self, caller: Caller, stream: bool, number: int) -> None:
        self._all += number
        _add(self._open, caller, number)
        if stream:
            _add(self._streams, caller, number)

    def _refusal(self, caller: Caller, method: str, stream: bool) -> Response | None:
        if method == "DELETE":  # which ends something
            return None
        if self._all >= self.total:
            return _refused(503, "temporarily_unavailable", "this worker has no room for another request")
        if caller == NOBODY:
            return None
        if stream and self._streams[caller] >= max(1, self.most // 2):
            return _refused(429, "too_many_requests", f"this caller has {self._streams[caller]} streams open; end some")
        if self._open[caller] >= self.most:
            return _refused(429, "too_many_requests", f"this caller has {self._open[caller]} requests open; end some")
        return None

    def _keep(self, id: bytes, caller: Caller, app: ASGIApp, scope: Scope) -> _Session:
        for each in self._stale():
            self._forget(each)
        headers = [(name, value) for name, value in scope["headers"] if name in (b"host", b"accept")]
        ending: Scope = {name: scope[name] for name in _NEEDED if name in scope}
        ending.update(method="DELETE", headers=[*headers, (_SESSION, id)])
        session = _Session(caller, app, ending, self.clock(), 1)
        self._sessions[id] = session
        _add(self._kept, caller, 1)
        return session

    def _stale(self) -> list[bytes]:
        """Sessions at the front that the SDK has ended by now."""
        before = self.clock() - _IDLE_SECONDS
        old = itertools.takewhile(lambda each: each[1].used < before, self._sessions.items())
        return [id for id, session in old if not session.open]

    async def _end_surplus(self, caller: Caller) -> None:
        """End the session that `caller` has used least lately, as its host would, where there is one too many."""
        if caller == NOBODY or self._kept[caller] <= self.most:
            return
        for id, session in self._sessions.items():
            if session.caller == caller and not session.open:
                self._forget(id)
                await session.app(session.scope, _nothing, _unheard)
                return

    def _forget(self, id: bytes) -> None:
        session = self._sessions.pop(id, None)
        if session is not None:
            _add(self._kept, session.caller, -1)


def _is_stream(method: str, headers: dict[bytes, bytes]) -> bool:
    """Does it stay open until its client ends it? The SDK refuses a method in the head that is not the body's."""
    return method == "GET" or headers.get(b"mcp-method") == b"subscriptions/listen"


def _add(counter: Counter[Caller], caller: Caller, number: int) -> None:
    counter[caller] += number
    if not counter[caller]:
        del counter[caller]


def _refused(status: int, code: str, why: str) -> Response:
    return JSONResponse({"error": code, "error_description": why}, status, {"retry-after": "5"})


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _unheard(message: Message) -> None:
    pass
