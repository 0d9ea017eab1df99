"""Load shedding: while forgeries come in floods, connections from addresses that never sent anything good are closed
before a byte of them is read.

To verify a forgery costs as much as a good delivery, so nothing behind the head can help a process that is sent more
than it can verify. Addresses that have proven themselves are never turned away: neither the providers', nor a proxy's
from which both come (there the proxy has to limit them), nor those of callers with a token.
"""

import socket
import struct
import time
from collections.abc import Callable
from typing import Any

FLOOD = 300
"""Forgeries, or connections turned away, in one second."""
HOLD_SECONDS = 5.0
"""For so long strangers are turned away after a second with that many."""
STATE = "clew.shedder"
"""Where the state of a request (`scope["state"]`) holds it."""
_KNOWN = 4096
_AT_ONCE = 1000
_HANG_UP = struct.pack("ii", 1, 0)


class Shedder:
    """One for each address that is listened on. `shed` counts the connections that were closed."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, None] = {}
        self._second = 0
        self._count = 0
        self._until = 0.0
        self.shed = 0

    def good(self, peer: str) -> None:
        """This address has sent something that was verified."""
        self._known.pop(peer, None)
        self._known[peer] = None
        if len(self._known) > _KNOWN:
            del self._known[next(iter(self._known))]

    def forged(self) -> None:
        """Something could not be verified."""
        now = self._clock()
        if int(now) != self._second:
            self._second, self._count = int(now), 0
        self._count += 1
        if self._count >= FLOOD:
            self._until = now + HOLD_SECONDS

    def refuses(self, peer: str) -> bool:
        """Is a new connection from this address to be closed?"""
        if self._clock() >= self._until or peer in self._known:
            return False
        self.shed += 1
        self.forged()
        return True


class Listener(socket.socket):
    """A listening socket that closes what is to be shed as soon as it is accepted. With ten thousand connections a
    second that takes a tenth of a processor; to make each one known to the event loop first takes all of it."""

    shedder: Shedder

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection that is let in; `BlockingIOError` where the loop shall look again later."""
        for _ in range(_AT_ONCE):
            connection, peer = super().accept()
            if not self.shedder.refuses(peer[0]):
                return connection, peer
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _HANG_UP)
            connection.close()
        raise BlockingIOError


def proven(scope: Any) -> None:
    """What this request came with was verified."""
    shedder, client = scope.get("state", {}).get(STATE), scope.get("client")
    if shedder is not None and client is not None:
        shedder.good(client[0])


def forged(scope: Any) -> None:
    """What this request came with could not be verified."""
    shedder = scope.get("state", {}).get(STATE)
    if shedder is not None:
        shedder.forged()
