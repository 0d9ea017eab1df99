"""Running Acme inside another program: a thread with its own event loop, on 127.0.0.1."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self, TypeVar

import uvicorn

from .app import create_app
from .control import set_fault
from .faults import Fault
from .oauth import token_answer
from .settings import Settings
from .state import State
from .tokens import SCOPES, SEEDED_PAT

T = TypeVar("T")

_POLL_SECONDS = 0.005
_START_SECONDS = 10


class Sandbox:
    """A running Acme: `with Sandbox() as sandbox` or `async with`; settings are those of `Settings`.

    It can be entered once. All methods may be called from any thread while it runs.
    """

    def __init__(self, *, port: int = 0, **settings: Any) -> None:
        self._port = port
        self.state = State(Settings(**settings))
        self._thread: threading.Thread | None = None
        self._server: uvicorn.Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def url(self) -> str:
        """The address without a slash at the end, such as `http://127.0.0.1:40713`."""
        return self.state.url

    @property
    def pat(self) -> str:
        """The personal token that exists at start, with every scope."""
        return SEEDED_PAT

    def start(self) -> None:
        """Bind the port and serve; returns when the first request can be answered."""
        listener = bind(self._port)
        self.state.url = "http://{}:{}".format(*listener.getsockname())
        ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(listener, ready), name="acme-sandbox", daemon=True)
        self._thread.start()
        ready.result(_START_SECONDS)

    def stop(self) -> None:
        """End every request, close the port and join the thread."""
        self.state.closing = True
        if self._server is not None:
            self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()

    def fault(self, fault: str, **options: Any) -> Fault:
        """Arm a fault; raises `ValueError` for one that does not exist."""
        return self._call(lambda: set_fault(self.state, fault, options))

    def clear_faults(self) -> None:
        """Drop every fault; answers held back by one go on."""
        self._call(self.state.faults.clear)

    def reset(self, *, keep_tokens: bool = False) -> None:
        """Go back to the seed data."""
        self._call(lambda: self.state.reset(keep_tokens=keep_tokens))

    def mint_pat(self, *, scopes: Iterable[str] = SCOPES, expires_in: float | None = None) -> str:
        """Make a personal token with a quota of its own; `expires_in` in seconds."""
        expires_at = None if expires_in is None else self.state.now() + expires_in
        return self._call(lambda: self.state.tokens.mint_pat(scopes, expires_at=expires_at)).value

    def log_in(
        self, *, client_id: str = "clew-demo", subject: str = "usr_ada", scopes: Iterable[str] = SCOPES
    ) -> dict[str, str | int]:
        """Return the answer of the token endpoint for a person who consented, without a browser."""

        def grant() -> dict[str, str | int]:
            made = self.state.tokens.grant(client_id, subject, scopes)
            return token_answer(self.state, made, made.scopes, refreshable=True)

        return self._call(grant)

    def advance(self, seconds: float) -> None:
        """Move Acme's clock."""
        self._call(lambda: self.state.advance(seconds))

    async def wait_until(self, condition: Callable[[], object], *, timeout_seconds: float = 5) -> None:
        """Return once the condition holds; raises `TimeoutError`."""
        deadline = time.monotonic() + timeout_seconds
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError("the condition did not come true in time")
            await asyncio.sleep(_POLL_SECONDS)

    def _call(self, work: Callable[[], T]) -> T:
        """Run something on the server's loop, where all changes happen."""
        if self._loop is None:
            return work()
        done: Future[T] = Future()

        def run() -> None:
            try:
                done.set_result(work())
            except BaseException as error:  # handed to the thread that asked
                done.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return done.result(_START_SECONDS)

    def _run(self, listener: socket.socket, ready: Future[None]) -> None:
        try:
            asyncio.run(self._serve(listener, ready))
        finally:
            self._loop = None
            listener.close()

    async def _serve(self, listener: socket.socket, ready: Future[None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._server = make_server(self.state)
        ready.set_result(None)  # the socket listens; early requests wait in its backlog
        await self._server.serve(sockets=[listener])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)


def bind(port: int) -> socket.socket:
    """Return a listening socket on 127.0.0.1; port 0 takes a free one."""
    # asyncio sets TCP_NODELAY only on sockets that name their protocol; without it every answer waits some 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(256)
    except OSError:
        listener.close()
        raise
    return listener


def make_server(state: State) -> uvicorn.Server:
    """Return a server for Acme; h11 because the faults reach for its transport."""
    config = uvicorn.Config(
        create_app(state),
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=2,
    )
    return uvicorn.Server(config)
