"""One connection to a mail server: encrypted, every phase timed, every byte counted, and cut off from outside.

The standard library's clients block, so they run in a thread. The event loop keeps the end of the line in its hand: at
the deadline, or when the call is cancelled, it cuts the connection, and whatever the thread waits for is over.
"""

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Callable
from io import BufferedReader
from typing import TypeVar

from clew.core.bounds import Bounds
from clew.core.deadline import Deadline
from clew.core.errors import CallError, InternalError, Retry
from clew.core.mail.servers import Server
from clew.core.outcomes import lost

T = TypeVar("T")


class LineError(ConnectionError):
    """The line broke, or the other end does not keep to its protocol."""


class InsecureError(LineError):
    """The line would not be safe: no encryption, or none that proves who the other end is."""


class Line:
    """A connection to be opened by `connect`. `left` says that a command that may change something has been sent."""

    def __init__(self, server: Server, bounds: Bounds, deadline: Deadline) -> None:
        self.server = server
        self.bounds = bounds
        self.deadline = deadline
        self.left = False
        self.received = 0
        self.sock: socket.socket | None = None
        self._handle: socket.socket | None = None
        self._over = False
        self._files: list[BufferedReader] = []

    def reader(self) -> BufferedReader:
        """What comes over the line, from now on."""
        assert self.sock is not None
        made = self.sock.makefile("rb")
        self._files.append(made)
        return made

    def connect(self) -> socket.socket:
        """Open the connection; with implicit TLS also the encryption. Raises `OSError`."""
        seconds = min(self.bounds.connect, max(self.deadline.remaining() * 0.9, 0.001))
        sock = socket.create_connection((self.server.host, self.server.port), timeout=seconds)
        self._handle = sock.dup()
        self.sock = sock
        if self._over:
            sock.close()
            raise LineError("the call is over")
        if self.server.mode == "plain" and not _is_here(sock):
            raise InsecureError("unencrypted servers are for this machine only")
        return self.secure() if self.server.mode == "tls" else sock

    def secure(self) -> socket.socket:
        """Begin encryption; the server's certificate must be valid for its name."""
        assert self.sock is not None
        self.wait()
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        secured = context.wrap_socket(self.sock, server_hostname=self.server.host)
        self.sock = secured
        return secured

    def wait(self, *, seconds: float | None = None) -> None:
        """Set how long the next step may wait: its own bound, or what is left of the call."""
        left = self.deadline.remaining()
        if left <= 0 or self._over or self.sock is None:
            raise LineError("the time for this call is over")
        self.sock.settimeout(min(self.bounds.read if seconds is None else seconds, left))

    def count(self, size: int) -> None:
        """Count what came, or is about to come. Raises `LineError` when it is more than may come in one operation."""
        self.received += size
        if self.received > self.bounds.body * 2:
            raise LineError(f"the server sends more than {self.bounds.body * 2} bytes")

    def cut(self) -> None:
        """End the connection from any thread, now."""
        self._over = True
        if self._handle is not None:
            with contextlib.suppress(OSError):
                self._handle.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the connection."""
        self.cut()
        for each in (*self._files, self.sock, self._handle):
            if each is not None:
                with contextlib.suppress(OSError, ValueError):
                    each.close()


def gone(error: Exception) -> Exception:
    """`error`, or what stands for it where it says that the host is gone."""
    return error if isinstance(error, ConnectionError | TimeoutError) else LineError(type(error).__name__)


def fault(error: Exception, line: Line, *, safe: bool, provider: str) -> CallError:
    """What a broken operation means, in words without addresses and without the text of lower layers."""
    if isinstance(error, InsecureError | ssl.SSLCertVerificationError):
        why = str(error) if isinstance(error, InsecureError) else "its certificate is not valid"
        return InternalError(
            f"the connection to {line.server.host} is not safe: {why}; nothing was sent.",
            next_step="Ask the person to check the server's address, port and certificate.",
            retry=Retry.AFTER_HUMAN,
        )
    over = line.deadline.remaining() <= 0
    reason = "the time for this call is over" if over else _reason(error)
    return lost(reason, left=line.left, safe=safe, provider=provider)


def _reason(error: Exception) -> str:
    match error:
        case LineError():
            return str(error)
        case ssl.SSLError():
            return "no encryption could be agreed on"
        case socket.gaierror():
            return "its name cannot be resolved"
        case ConnectionRefusedError():
            return "no connection"
        case TimeoutError():
            return "no answer in time"
        case _:
            return "the connection broke"


def _is_here(sock: socket.socket) -> bool:
    address = str(sock.getpeername()[0]).partition("%")[0]
    return ipaddress.ip_address(address).is_loopback


async def in_thread(line: Line, work: Callable[[], T]) -> T:
    """Run `work`, which talks over `line`, in a thread. Raises `TimeoutError` at the deadline; the line is then cut."""
    running = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        async with asyncio.timeout(line.deadline.remaining()):
            return await asyncio.shield(running)
    except BaseException:
        line.cut()
        running.add_done_callback(_looked_at)
        raise


def _looked_at(running: "asyncio.Future[T]") -> None:
    """An exception that nobody waits for any more is not reported as forgotten."""
    if not running.cancelled():
        running.exception()
