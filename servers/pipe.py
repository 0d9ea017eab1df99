"""The host's pipe: lines in from a thread of our own, lines out without a thread where that cannot block.

The SDK's own reader hops through a worker thread for every line in both directions. Nothing heavy is imported here: the
pipe is open before the SDK is (`servers.early`). Standard output is turned to standard error, so that a stray print
stays off the wire.
"""

import os
import select
import threading
from collections import deque
from collections.abc import Callable

MOST_WAITING = 1000
"""Lines that are read ahead of the server; then the host has to wait."""
_ATOMIC = 4096
"""A pipe that is writable takes this many bytes without blocking (POSIX, PIPE_BUF)."""


class Pipe:
    """Both directions. `answer`, while it is set, may answer a line in the reader's thread: it returns the reply."""

    def __init__(self, answer: Callable[[bytes], bytes | None] | None = None) -> None:
        self.answer = answer
        self.waiting: deque[bytes | None] = deque()
        self.changed = threading.Condition()
        self.wake: Callable[[], object] | None = None
        self._room = threading.Semaphore(MOST_WAITING)
        self._writing = threading.Lock()
        self._in, self._out = _claimed(0, os.open(os.devnull, os.O_RDONLY)), _claimed(1, os.dup(2))
        threading.Thread(target=self._read, name="clew-pipe", daemon=True).start()

    def take(self) -> bytes | None:
        """The next waiting line; None is the end. Raises `IndexError` when there is none."""
        line = self.waiting.popleft()
        self._room.release()
        return line

    def begin(self, data: bytes) -> bytes:
        """Write as much as goes without ever blocking; what is left is for `finish`, and nobody else writes before."""
        self._writing.acquire()
        try:
            while data and os.name == "posix" and select.select([], [self._out], [], 0)[1]:
                data = data[os.write(self._out, data[:_ATOMIC]) :]
        except BaseException:
            self._writing.release()
            raise
        if not data:
            self._writing.release()
        return data

    def finish(self, data: bytes) -> None:
        """Write what `begin` left; may block while the host does not read."""
        try:
            self._all(data)
        finally:
            self._writing.release()

    def write(self, data: bytes) -> None:
        """Write all of it; may block while the host does not read."""
        with self._writing:
            self._all(data)

    def _all(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._out, view) :]

    def _read(self) -> None:
        parts: list[bytes] = []
        try:
            while chunk := os.read(self._in, 1 << 16):
                head, found, tail = chunk.rpartition(b"\n")
                if found:
                    whole = b"".join([*parts, head])
                    parts = [tail] if tail else []
                    for line in whole.split(b"\n"):
                        self._put(line)
                else:
                    parts.append(chunk)
        except OSError:
            pass  # the pipe is broken: that is its end, too
        if parts:
            self._put(b"".join(parts))
        self._put(None)

    def _put(self, line: bytes | None) -> None:
        with self.changed:
            reply = self.answer(line) if self.answer is not None and line is not None else None
            if reply is None:
                self.waiting.append(line)
            self.changed.notify_all()
            wake = self.wake
        if reply is not None:
            if reply:
                self.write(reply)
            return
        if wake is not None:
            try:
                wake()
            except RuntimeError:
                return  # the loop has ended; so will the process
        self._room.acquire()


def _claimed(fd: int, instead: int) -> int:
    """A private copy of a standard stream, whose own number leads elsewhere from now on."""
    import fcntl

    private = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
    os.set_blocking(private, True)
    os.dup2(instead, fd)
    os.close(instead)
    return private
