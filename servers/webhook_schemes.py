"""Which webhook scheme a name means: a file that declares one, a named scheme, or a connector's own."""

import difflib
import importlib.util
import json
import tomllib
from pathlib import Path
from typing import Any

from clew.connectors.webhooks.catalog import ALIASES, SCHEMES
from clew.core.connector import Connector
from clew.core.errors import ConfigurationError, quote
from clew.core.registry import discover, load
from clew.core.webhooks import Scheme, declare

Schemes = tuple[Scheme, ...]


def find(name: Any, *, runs: str = "") -> Schemes:
    """The schemes that a name, a path or an object declares. Raises `ConfigurationError` with the nearest name.

    A Python file is run only when it is `runs`, the one that the person has named.
    """
    if not isinstance(name, str):
        return (declare(name),)
    if name.endswith(".py") and name != runs:
        raise ConfigurationError(f"{quote(name)} is a program: name it on the command line to have it run.")
    if name.endswith((".toml", ".json", ".py")):
        return _from_file(Path(name))
    plain = _plain(name)
    for known, scheme in _NAMED.items():
        if known == plain:
            return (scheme,)
    return _connectors(name)


def _plain(name: str) -> str:
    return "".join(char for char in name.lower() if char.isalnum())


_NAMED = {
    **{_plain(alias): SCHEMES[name] for alias, name in ALIASES.items()},
    **{_plain(name): scheme for name, scheme in SCHEMES.items()},
}


def _connectors(name: str) -> Schemes:
    known = {*SCHEMES, *ALIASES}
    if name in discover():
        schemes = load(name).webhook_schemes
        if schemes:
            return schemes
        raise ConfigurationError(f"connector {name} does not say how its webhooks are signed.")
    near = difflib.get_close_matches(name.lower(), known, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else "The page docs/events.md lists them; a file can declare one."
    raise ConfigurationError(f"there is no webhook scheme {name[:60]!r}. {hint}")


def _from_file(path: Path) -> Schemes:
    try:
        content = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise ConfigurationError(f"{path} cannot be read: {why}.") from None
    if path.suffix == ".py":
        return _from_python(path)
    try:
        data = tomllib.loads(content) if path.suffix == ".toml" else json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path} is damaged: {quote(str(error))}.") from None
    name = _plain(path.stem)
    return (declare(data, name=name if name[:1].isalpha() else "declared"),)


def _from_python(path: Path) -> Schemes:
    spec = importlib.util.spec_from_file_location(f"clew_file_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        why = quote(f"{type(error).__name__}: {error}").rstrip(".")
        raise ConfigurationError(f"{path} cannot be loaded: {why}.") from error
    values = list(vars(module).values())
    found = [scheme for each in values if isinstance(each, Connector) for scheme in each.webhook_schemes]
    found = found or [each for each in values if isinstance(each, Scheme)]
    if not found:
        raise ConfigurationError(
            f"{path} declares no webhook scheme: a webhooks.Scheme, or a Connector with webhooks=."
        )
    return tuple(found)
