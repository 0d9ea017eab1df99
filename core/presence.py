"""Who is still there: each process that writes holds a locked file beside the database until it ends, however it ends.

The kernel gives the lock back at the moment of death, so the work of a killed process is taken over at once and not
after its lease. Only for stores of one machine; elsewhere, and where files cannot be locked, leases alone decide.
"""

import contextlib
import os
import secrets
from pathlib import Path

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows: leases alone decide
    fcntl = None  # type: ignore[assignment]


class Presence:
    """This process's name among the writers of a store, and what is known of the others."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._held: int | None = None
        self._process = 0
        self.owner = ""

    def appear(self) -> str:
        """The name under which this process writes; a forked child gets its own. Names of holders begin with `f`."""
        if self._process == os.getpid():
            return self.owner
        name, self._held, self._process = secrets.token_hex(8), None, os.getpid()
        self.owner = f"n{name}"
        if self._folder is not None and fcntl is not None:
            with contextlib.suppress(OSError):
                self._folder.mkdir(mode=0o700, exist_ok=True)
                # A bare descriptor: it must stay open until the process ends, whoever forgets this object.
                held = os.open(self._folder / f"f{name}", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._held, self.owner = held, f"f{name}"
        return self.owner

    def is_gone(self, owner: str) -> bool:
        """Is it certain that the process of this name has ended?"""
        if fcntl is None or self._folder is None or not owner.startswith("f") or owner == self.owner:
            return False
        path = self._folder / owner
        try:
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                path.unlink(missing_ok=True)
        except FileNotFoundError:
            return self._folder.is_dir()
        except OSError:
            return False
        return True

    def leave(self) -> None:
        """Give the name back."""
        if self._held is not None and self._folder is not None and self._process == os.getpid():
            with contextlib.suppress(OSError):
                (self._folder / self.owner).unlink(missing_ok=True)
            os.close(self._held)
        self._held, self._process = None, 0
