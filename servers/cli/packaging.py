"""`clew package`: a connector as a bundle or as an entry of a registry."""

import hashlib
from argparse import Namespace
from pathlib import Path

from clew.core.connector import Connector
from clew.core.errors import ConfigurationError
from clew.core.registry import load
from clew.servers.cli.output import emit, emit_json, talk
from clew.servers.packaging import bundle, registry_entry, source_of


def make_bundle(arguments: Namespace) -> int:
    """Write the bundle; prints where it is and its SHA-256, which registries want."""
    connector = _with_tools(arguments.name)
    made = bundle(connector, source_of(connector))
    path = Path(arguments.output or f"{connector.name}.mcpb")
    try:
        path.write_bytes(made)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from None
    digest = hashlib.sha256(made).hexdigest()
    if arguments.json:
        emit_json({"file": str(path), "bytes": len(made), "sha256": digest})
        return 0
    emit(str(path))
    talk(f"clew: {len(made)} bytes, SHA-256 {digest}", "Open it with a host that takes MCPB bundles and has uv.")
    return 0


def show_entry(arguments: Namespace) -> int:
    """Print the entry."""
    connector = _with_tools(arguments.name)
    source = source_of(connector)
    entry = registry_entry(connector, source, namespace=arguments.namespace, url=arguments.url)
    emit_json(entry)
    if not arguments.json:
        talk(f"clew: a registry takes it when the description of the package {source.name} says "
             f"'mcp-name: {entry['name']}'.")  # fmt: skip
    return 0


def _with_tools(name: str) -> Connector:
    connector = load(name)
    if not connector.tools:
        raise ConfigurationError(f"{connector.name} has no tools yet, so there is nothing to serve.")
    return connector
