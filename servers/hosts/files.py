"""A host's configuration file on the disk: read whole, changed atomically, never lost.

The file a link points to is changed, not the link. A copy of what was there is kept beside it. What another program
wrote meanwhile is noticed, and the change is made again on top of it.
"""

import contextlib
import os
import stat
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from clew.core.errors import ConfigurationError
from clew.core.values import dataclass

LARGEST = 64 << 20
"""Bytes. A configuration that is larger is no configuration."""
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a file. `backup` is where its former content is; None when there was none or nothing changed."""

    path: Path
    changed: bool
    backup: Path | None = None


def read(path: Path) -> str:
    """Its text; empty when it is not there. Raises `ConfigurationError`."""
    return _decoded(path, _bytes(_target(path)))


def change(path: Path, edit: Callable[[str], str]) -> Written:
    """Make the file what `edit` makes of its text; everything or nothing. Raises `ConfigurationError`."""
    target = _target(path)
    for _ in range(_ATTEMPTS):
        before = _bytes(target)
        text = _decoded(path, before)
        after = edit(text)
        if after == text:
            return Written(path, changed=False)
        replaced, backup = _replace(path, target, before, after.encode())
        if replaced:
            return Written(path, changed=True, backup=backup)
    raise ConfigurationError(f"{path} is being written by another program all the time. Close the host and try again.")


def _replace(path: Path, target: Path, before: bytes | None, after: bytes) -> tuple[bool, Path | None]:
    """Was it done (no when the file changed meanwhile), and where the copy of what was there is."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if before is not None and not os.access(target, os.W_OK):
            raise PermissionError(13, "it is read-only")
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        draft = Path(name)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(after)
                stream.flush()
                os.fsync(stream.fileno())
            if before is not None:
                _take_over(target, draft)
            backup = None if before is None else _keep(target, before)
            if _bytes(target) != before:
                if backup is not None:
                    backup.unlink()
                return False, None
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written ({error.strerror or type(error).__name__}). It is as it was. "
            "Use --print and put the entry in yourself."
        ) from None
    return True, backup


def _take_over(target: Path, draft: Path) -> None:
    """Mode and, where that is allowed, owner."""
    status = target.stat()
    draft.chmod(stat.S_IMODE(status.st_mode))
    with contextlib.suppress(OSError, AttributeError):
        os.chown(draft, status.st_uid, status.st_gid)


def _keep(target: Path, before: bytes) -> Path:
    """A copy beside the file, as private as it: other servers' entries may hold secrets."""
    stamp = time.strftime("%Y%m%dT%H%M%S")
    for count in range(100):
        backup = target.with_name(f"{target.name}.{stamp}{f'-{count}' if count else ''}.bak")
        try:
            handle = os.open(backup, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue
        with os.fdopen(handle, "wb") as stream:
            stream.write(before)
        return backup
    raise FileExistsError(17, "there are too many backups")


def _target(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        raise ConfigurationError(f"{path} is a link that leads in a circle.") from None


def _bytes(target: Path) -> bytes | None:
    try:
        if not target.exists():
            return None
        if not target.is_file():
            raise ConfigurationError(f"{target} is not a file.")
        if target.stat().st_size > LARGEST:
            raise ConfigurationError(f"{target} is larger than {LARGEST >> 20} MB; that is no configuration.")
        return target.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{target} cannot be read: {error.strerror or type(error).__name__}.") from None


def _decoded(path: Path, content: bytes | None) -> str:
    try:
        return (content or b"").decode()
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not UTF-8 text; it was left as it is.") from None
