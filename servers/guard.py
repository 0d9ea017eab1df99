"""An HTTP/1.1 server that strangers may talk to: nobody holds a connection, the memory or the loop for long.

uvicorn limits the size of a head but not the time it takes, and its limit of connections refuses whoever comes
last. Here a head has to be whole in a few seconds, and when too many are not, the connection that has waited longest
is closed: a sender that means it has sent its head within milliseconds.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from clew.servers.shedding import STATE, Listener, Shedder

HEAD_SECONDS = 10.0
"""Seconds for the whole head of a request, also of the next one on a kept connection."""
HEAD_BYTES = 32 * 1024
"""Bytes a head may have; providers send less than 4 kB."""
HEADERS = 100
"""Headers a request may have."""
LINGER_SECONDS = 1.0
LINGER_BYTES = 16 << 20
"""How long, and for how much, a connection is still listened to that was answered before its request was whole: closed
at once, it would be reset, and the sender would lose the answer that says why."""
_MOST_LINGERING = 64
_MOST_WAITING = 2048
_KEPT_FILES = 256
"""Open files that are not for connections: the databases, requests to providers."""


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with limits for the head of a request, in time and size, and a most for those that are not
    whole."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._deadline: asyncio.TimerHandle | None = None
        self._last_cycle: object = None
        self._fed = self._size = 0
        state: dict[str, Any] = self.app_state
        self._waiting: dict[GuardedProtocol, None] = state.setdefault("clew.waiting", {})
        self._lingering: dict[GuardedProtocol, _Left] = state.setdefault("clew.lingering", {})
        if isinstance(self.config, Config):
            state[STATE] = self.config.shedder

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head."""
        self._shown = _Lingering(transport, self.lingers)
        super().connection_made(cast("asyncio.Transport", self._shown))
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._wait_no_more()
        left = self._lingering.pop(self, None)
        if left is not None:
            left.timer.cancel()
        self._shown.lingers = bool  # or each would keep the other in memory, and the request with it
        super().connection_lost(exc)

    def lingers(self) -> bool:
        """Answered before the request was whole: does it still listen?"""
        if self in self._lingering:
            return True
        unread: bool = getattr(self.cycle, "more_body", False)  # before the first request there is none
        if not unread or len(self._lingering) >= _MOST_LINGERING:
            return False
        self._lingering[self] = _Left(LINGER_BYTES, self.loop.call_later(LINGER_SECONDS, self.transport.abort))
        self.cycle.body = bytearray()
        self.flow.resume_reading()
        return True

    def data_received(self, data: bytes) -> None:
        """Wait no more when the head is whole."""
        left = self._lingering.get(self)
        if left is not None:
            left.size -= len(data)
            if left.size < 0:
                self.transport.abort()
            return
        self._fed += len(data)
        super().data_received(data)
        self._look()
        if self._deadline is not None and self._fed > HEAD_BYTES:
            self._too_much()

    def on_message_begin(self) -> None:
        """Begin to measure a head."""
        self._size = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Measure it."""
        self._measure(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Measure it. Space around a value is no part of it (RFC 9110 §5.5); llhttp leaves what follows."""
        self._measure(len(name) + len(value))
        super().on_header(name, value.strip(b" \t"))

    def _measure(self, size: int) -> None:
        self._size += size
        if self._size > HEAD_BYTES:
            raise ValueError("the head of the request is too large")  # the parser ends here, with 400

    def on_response_complete(self) -> None:
        """Wait for the next head, unless the next request is there already."""
        if not self.pipeline:
            self._wait()
        super().on_response_complete()

    def _look(self) -> None:
        if self.cycle is not self._last_cycle:
            self._last_cycle = self.cycle
            self._wait_no_more()

    def _wait(self) -> None:
        self._wait_no_more()
        self._fed = 0
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._too_slow)
        self._waiting[self] = None
        if len(self._waiting) > most_waiting():
            next(iter(self._waiting))._too_slow()

    def _wait_no_more(self) -> None:
        self._waiting.pop(self, None)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_much(self) -> None:
        self._wait_no_more()
        self.send_400_response("The head of the request is too large.")

    def _too_slow(self) -> None:
        self._wait_no_more()
        self.transport.abort()


@dataclass(slots=True)
class _Left:
    """What a lingering connection may still send, and what ends it."""

    size: int
    timer: asyncio.TimerHandle


class _Lingering:
    """A transport that is closed when the sender has had time to read the answer."""

    def __init__(self, transport: asyncio.Transport, lingers: Callable[[], bool]) -> None:
        self._transport = transport
        self.lingers = lingers
        self._ending = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        return self._ending or self._transport.is_closing()

    def close(self) -> None:
        self._ending = True
        if self.lingers():
            self._transport.write_eof()
        else:
            self._transport.close()


def most_waiting() -> int:
    """Connections without a whole head that are kept: as many as there are files for."""
    return min(_MOST_WAITING, max(16, _files() - _KEPT_FILES))


def most_open_requests() -> int:
    """Requests that may be under way at once, each on a connection: what files there are beside those that wait."""
    room = max(32, _files() - _KEPT_FILES)
    return max(room - most_waiting(), room // 2)


def _files() -> int:
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return _MOST_WAITING + _KEPT_FILES
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def raise_file_limit() -> None:
    """Allow as many open files as the system grants: every connection is one."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Config(uvicorn.Config):
    """Settings of a server, and what sheds its load."""

    shedder: Shedder | None = None


def configure(app: Any, *, lifespan: Literal["on", "off"] = "on", listener: Listener | None = None) -> Config:
    """How every server of ours listens; with `lifespan` an application that sets something up."""
    config = Config(
        app,
        lifespan=lifespan,
        http=GuardedProtocol,
        ws="none",
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    config.shedder = listener.shedder if listener else None
    return config
