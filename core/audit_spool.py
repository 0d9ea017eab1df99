"""Where records wait for the chain: one file for each process, written before a call is answered.

A line costs one `write`, so it survives the death of the process but not of the machine. A process locks its file as
long as it lives; a file that nobody locks was left by a dead one, and whoever finds it takes its records over. A call
that began and has no end there was cut off, and gets the record that says so.
"""

import contextlib
import json
import os
import secrets
from collections.abc import Generator
from pathlib import Path
from typing import Any, Self

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows, where a spool is read again only by its own process
    fcntl = None  # type: ignore[assignment]

CRASHED = "crashed"
"""The code of a call whose process died before the call had ended."""


class Spool:
    """This process's file. `folder` is made when it is missing, for its owner alone."""

    def __init__(self, folder: Path, path: Path, file: int) -> None:
        self.folder = folder
        self.path = path
        self._file = file
        self.size = 0

    @classmethod
    def open(cls, folder: Path) -> Self:
        """A new, locked file. Raises `OSError`."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / f"{os.getpid()}-{secrets.token_hex(4)}.spool"
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        _locked(file)
        return cls(folder, path, file)

    def begin(self, body: str) -> None:
        """A call begins; `body` is the record as far as it is known. Raises `OSError`."""
        self._write(f'{{"begun":{body}}}\n')

    def end(self, body: str) -> None:
        """A call has ended; `body` is its record. Raises `OSError`."""
        self._write(f"{body}\n")

    def _write(self, line: str) -> None:
        self.size += os.write(self._file, line.encode())

    def ended(self) -> list[str]:
        """The records of the calls that have ended, as they stand in the file. Raises `OSError`."""
        return _parsed(self.path.read_bytes())[0]

    def empty(self) -> None:
        """Everything in it is in the chain."""
        if self.size:
            os.ftruncate(self._file, 0)
            self.size = 0

    def close(self, *, keep: bool = False) -> None:
        """Give the file up; with `keep` it stays for whoever looks for it next."""
        if not keep:
            self.path.unlink(missing_ok=True)
        os.close(self._file)


@contextlib.contextmanager
def left_behind(folder: Path) -> Generator[list[str]]:
    """The records that dead processes left; their files are removed at the end of the block, unless it fails.

    One process does this at a time; for another that comes meanwhile there is nothing. Raises `OSError`.
    """
    with contextlib.ExitStack() as stack:
        if not _locked(_opened(folder / "adopting", stack, os.O_CREAT)):
            yield []
            return
        dead = [path for path in sorted(folder.glob("*.spool")) if _dead(path, stack)]
        ended, cut_off = _parsed(*(path.read_bytes() for path in dead))
        yield [*ended, *cut_off]
        for path in dead:
            path.unlink()


def _dead(path: Path, stack: contextlib.ExitStack) -> bool:
    try:
        return _locked(_opened(path, stack))
    except FileNotFoundError:  # its process has just ended, and left nothing
        return False


def _opened(path: Path, stack: contextlib.ExitStack, more: int = 0) -> int:
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC | more, 0o600)
    stack.callback(os.close, file)
    return file


def _locked(file: int) -> bool:
    if fcntl is None:  # pragma: no cover - Windows
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _parsed(*contents: bytes) -> tuple[list[str], list[str]]:
    """The records of calls that have ended, and those to write for calls that were cut off: a beginning and no end.

    A line that the process did not live to finish is no record.
    """
    begun: dict[str, dict[str, Any]] = {}
    ended: dict[str, str] = {}
    for line in b"\n".join(contents).decode(errors="replace").split("\n"):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            facts: dict[str, Any] = json.loads(line)
            if "begun" in facts:
                begun[facts["begun"]["reference"]] = facts["begun"]
            else:
                ended[facts["reference"]] = line
    return list(ended.values()), [_cut_off(facts) for reference, facts in begun.items() if reference not in ended]


def _cut_off(facts: dict[str, Any]) -> str:
    """The record of a call whose process died: nobody knows what it had done, unless it could only read."""
    outcome = "not_applied" if facts.get("effect") == "read" else "unknown"
    note = "The process ended before the call did."
    return json.dumps({**facts, "code": CRASHED, "outcome": outcome, "note": note}, separators=(",", ":"))
