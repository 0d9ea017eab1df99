"""Where the console of this machine is, for the processes beside it: a locked file that names it while it runs."""

import contextlib
import json
import os
import time
from collections.abc import Generator
from pathlib import Path

from clew.servers.settings import Settings

try:
    import fcntl
except ImportError:  # Windows: the file alone says it
    fcntl = None  # type: ignore[assignment]

BASE = "/console"
FILE = "console.json"


def find_console(settings: Settings) -> str:
    """The address of the console's pages: the configured one, else that of one running here; empty without any."""
    if settings.console.url:
        return settings.console.url + BASE
    path = settings.home / FILE
    try:
        with path.open("rb") as file:
            if not _is_held(file.fileno()):
                return ""
            found = json.loads(file.read())["url"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return found if isinstance(found, str) else ""


@contextlib.contextmanager
def announced(settings: Settings, url: str) -> Generator[None]:
    """Say where the console is while the block runs. Where one says so already, that one stays the found one."""
    path = settings.home / FILE
    held = _take(path)
    if held is None:
        yield
        return
    try:
        os.ftruncate(held, 0)
        os.pwrite(held, json.dumps({"url": url}).encode(), 0)
        yield
    finally:
        with contextlib.suppress(OSError):
            os.ftruncate(held, 0)
        os.close(held)


def _take(path: Path) -> int | None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        held = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    for _ in range(10):  # whoever looks holds it for a moment, too
        if _locked(held, alone=True):
            return held
        time.sleep(0.01)
    os.close(held)
    return None


def _is_held(file: int) -> bool:
    """Does a process say so that still runs? Where files cannot be locked, the file is believed."""
    return fcntl is None or not _locked(file, alone=False)


def _locked(file: int, *, alone: bool) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
