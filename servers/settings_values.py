"""How single settings are checked, whether a file or the environment gives them.

A check takes a setting's name, the value and where it was given; it returns what the setting holds, and raises
`ConfigurationError` with the name and the place for anything that is not understood.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clew.core.errors import ConfigurationError
from clew.core.fields import as_list
from clew.core.secret import Secret

CHOICES: Mapping[str, tuple[str, ...]] = {
    "log_level": ("debug", "info", "warning", "error"),
    "log_format": ("text", "json"),
}
KEY_PLACES = ("auto", "keyring", "file", "env")
ROTATIONS = ("data", "keys", "tokens")


def check_name(name: str, known: Sequence[str], where: str) -> str:
    if name in known:
        return name
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(known)}."
    raise ConfigurationError(f"{where}: there is no setting {name!r}. {hint}")


def check_path(name: str, value: Any, where: str) -> Path:
    try:
        return Path(check_text(name, value, where)).expanduser()
    except RuntimeError:
        raise ConfigurationError(f"{where}: {name} {value!r} names a user that does not exist.") from None


def check_text(name: str, value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{where}: {name} must be a text.")
    return value


def check_tenant(tenant: str, where: str = "") -> None:
    """Raise `ConfigurationError` for a tenant's name that could be taken for something else in a key or a command."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._@+|-]{0,127}", tenant):
        said = f"{where}: " if where else ""
        raise ConfigurationError(
            f"{said}a tenant is named with letters, digits and . _ @ + | -, at most 128, the first a letter or digit."
        )


def check_tenant_text(name: str, value: Any, where: str) -> str:
    check_tenant(check_text(name, value, where), where)
    return str(value)


def check_deadline(name: str, value: Any, where: str) -> float:
    """Seconds that a call may take."""
    return _seconds(name, value, where, least=1, most=600)


def check_window(name: str, value: Any, where: str) -> float:
    """Seconds for which something is remembered; 0: not at all."""
    return _seconds(name, value, where, least=0, most=86400)


def _seconds(name: str, value: Any, where: str, *, least: int, most: int) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = -1.0
    if isinstance(value, bool) or not least <= seconds <= most:
        raise ConfigurationError(f"{where}: {name} must be a number of seconds from {least} to {most}, not {value!r}.")
    return seconds


def check_flag(name: str, value: Any, where: str) -> bool:
    if isinstance(value, bool):
        return value
    words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    raise ConfigurationError(f"{where}: {name} must be true or false, not {value!r}.")


def check_names(name: str, value: Any, where: str) -> tuple[str, ...]:
    items = value.split(",") if isinstance(value, str) else as_list(value)
    if items is None or not all(isinstance(item, str) for item in items):
        raise ConfigurationError(f"{where}: {name} must be a list of names.")
    return tuple(item.strip() for item in items if item.strip())


def check_database(name: str, value: Any, where: str) -> Secret:
    if isinstance(value, Secret):
        return value
    scheme, separator, _ = check_text(name, value, where).partition("://")
    if separator and scheme not in ("sqlite", "postgresql", "postgres"):
        raise ConfigurationError(f"{where}: {name} must be a path, sqlite:///path or postgresql://…, not {scheme}://…")
    return Secret(value if separator else str(Path(value).expanduser()))


def shown_database(address: Secret) -> str:
    """A database address without what is secret in it."""
    text = re.sub(r"(?i)((?:ssl)?pass(?:word|file)?=)[^&\s]*", r"\1…", address.reveal())
    return re.sub(r"(://[^:/@]*):.*@", r"\1:…@", text)


def check_key_provider(name: str, value: Any, where: str) -> str:
    text = check_text(name, value, where)
    if text in KEY_PLACES or text.startswith(("pkcs11:", "aws-kms:")):
        return text
    choices = f"{', '.join(KEY_PLACES)}, pkcs11:… or aws-kms:…"
    raise ConfigurationError(f"{where}: {name} must be one of {choices}, not {text.partition(':')[0]!r}.")


def check_key_providers(name: str, value: Any, where: str) -> tuple[str, ...]:
    return tuple(check_key_provider(name, each, where) for each in check_names(name, value, where))


def check_duration(name: str, value: Any, where: str) -> float:
    """`72h`, `3d`, `never`; in seconds."""
    text = check_text(name, value, where).strip().lower()
    found = re.fullmatch(r"(\d{1,5})\s*(h|d)", text)
    seconds = int(found[1]) * {"h": 3600.0, "d": 86400.0}[found[2]] if found else 0.0
    if text not in ("never", "off") and not 3600 <= seconds <= 366 * 86400:
        raise ConfigurationError(f'{where}: {name} must be a time like "72h" or "30d", or "never", not {value!r}.')
    return seconds


def check_rotations(name: str, value: Any, where: str) -> tuple[str, ...]:
    names = check_names(name, value, where)
    if not set(names) <= set(ROTATIONS):
        raise ConfigurationError(f"{where}: {name} must be a list of {', '.join(ROTATIONS)}.")
    return names


def check_choice(name: str, value: Any, where: str) -> str:
    if value not in CHOICES[name]:
        raise ConfigurationError(f"{where}: {name} must be one of {', '.join(CHOICES[name])}, not {value!r}.")
    return str(value)


def check_server(name: str, value: Any, where: str) -> str:
    text = check_text(name, value, where)
    if not re.match(r"(redis|rediss|unix)://[^\s]+$", text):
        raise ConfigurationError(f"{where}: {name} must be an address like redis://HOST:6379/0.")
    if "@" in text and where != "CLEW_LIMITS":
        raise ConfigurationError(f"{where}: {name} holds a password; put such an address into CLEW_LIMITS instead.")
    return text
