"""Which connectors there are. Ours and third parties' come by the same door: the entry point group `clew.connectors`.

`CLEW_CONNECTORS=github,acme` limits which are loaded (empty: none); a path such as `./mine.py` is one module directly.
`openapi:spec.yaml` is made on the spot by a function of the group `clew.sources`, of the name before the colon.
"""

import difflib
import importlib.util
import os
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from clew.core.errors import ConfigurationError, quote

if TYPE_CHECKING:
    from clew.core.connector import Connector

GROUP = "clew.connectors"
SOURCES = "clew.sources"


def discover() -> Mapping[str, EntryPoint]:
    """The installed connectors by name, not loaded yet. Raises `ConfigurationError` when two claim one name."""
    allowed = os.environ.get("CLEW_CONNECTORS")
    names = None if allowed is None else {name.strip() for name in allowed.split(",")}
    found: dict[str, EntryPoint] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        if names is not None and entry.name not in names:
            continue
        other = found.get(entry.name)
        if other is not None and other.value != entry.value:
            raise ConfigurationError(
                f"two installed packages provide a connector {entry.name!r}: {other.value} and {entry.value}. "
                "Uninstall one of them."
            )
        found[entry.name] = entry
    return found


def load(name: str) -> "Connector":
    """The connector called `name`, the one in the Python file `name` names, or the one that a source makes of it."""
    if ":" in name and not name.endswith(".py"):
        return _load_source(*name.split(":", 1))
    if name.endswith(".py"):
        return _load_file(Path(name))
    found = discover()
    if name not in found:
        near = difflib.get_close_matches(name, found, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(found) or 'none'}."
        raise ConfigurationError(f"there is no connector {name!r}. {hint}")
    return load_entry(found[name])


def load_entry(entry: EntryPoint) -> "Connector":
    """The connector behind one entry of `discover`, which takes some milliseconds: for whoever loads many."""
    with _loading(f"connector {entry.name!r} ({entry.value})"):
        connector = entry.load()
    return _checked(connector, entry.value)


@contextmanager
def _loading(what: str) -> Generator[None]:
    """Whatever goes wrong while a module runs is that module's mistake, named in one sentence."""
    try:
        yield
    except ConfigurationError:
        raise
    except Exception as error:
        why = quote(f"{type(error).__name__}: {error}").rstrip(".")
        raise ConfigurationError(f"{what} cannot be loaded: {why}.") from error


def _load_file(path: Path) -> "Connector":
    from clew.core.connector import Connector

    if not path.is_file():
        raise ConfigurationError(f"there is no file {path}.")
    spec = importlib.util.spec_from_file_location(f"clew_file_{path.stem}", path)
    assert spec is not None  # the name ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # annotations are resolved through it
    try:
        with _loading(str(path)):
            spec.loader.exec_module(module)
        connectors = [value for value in vars(module).values() if isinstance(value, Connector)]
        if len(connectors) != 1:
            raise ConfigurationError(f"{path} must define exactly one Connector, it has {len(connectors)}.")
    except ConfigurationError:
        del sys.modules[spec.name]
        raise
    return connectors[0]


def is_named(name: str) -> bool:
    """Is this a connector's own name, and not a file or a source of one?"""
    return ":" not in name and not name.endswith(".py")


def _load_source(kind: str, where: str) -> "Connector":
    found = {entry.name: entry for entry in entry_points(group=SOURCES)}
    if kind not in found:
        known = ", ".join(f"{each}:" for each in sorted(found)) or "none"
        raise ConfigurationError(f"connectors are not made of {quote(kind, 40)!r}; they are made of {known}.")
    with _loading(f"what makes connectors of {kind}"):
        make = found[kind].load()
    return _checked(make(where), found[kind].value)


def _checked(connector: object, where: str) -> "Connector":
    from clew.core.connector import Connector

    if not isinstance(connector, Connector):
        raise ConfigurationError(f"{where} is not a Connector.")
    return connector
