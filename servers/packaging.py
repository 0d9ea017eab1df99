"""A connector in the forms in which hosts and registries take servers: an MCPB bundle, and a `server.json`.

Neither holds a secret or asks for one: credentials are stored by `clew auth` in the vault of the machine, which the
server opens when it runs. Bundles are of the type `uv`: the host makes the environment from a `pyproject.toml`, for
compiled dependencies (cryptography, pydantic) differ between systems.
MCPB: https://github.com/modelcontextprotocol/mcpb/blob/main/MANIFEST.md
server.json: https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json
"""

import io
import json
import re
import zipfile
from collections.abc import Mapping
from importlib.metadata import metadata
from typing import Any

from clew import __version__
from clew.core.connector import Connector
from clew.core.errors import ConfigurationError
from clew.core.registry import discover
from clew.core.values import dataclass

MANIFEST = "0.4"
SCHEMA = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
_NAMESPACE = re.compile(r"[a-zA-Z0-9-]+(\.[a-zA-Z0-9-]+)+")
_MOST_WORDS = 100
_BEGINNING = (1980, 1, 1, 0, 0, 0)
"""The time of every file in a bundle, so that the same connector gives the same bytes."""
_SWITCHES = {
    "read_only": ("Only look", "Offer only tools that change nothing."),
    "allow_writes": ("Do not ask before writes", "Do not ask before tools whose effect can be undone."),
}
_SERVER = '''"""Starts clew for the host."""

import sys

from clew.servers.early import main

sys.argv[0] = "clew"
sys.exit(main())
'''


@dataclass(frozen=True, slots=True)
class Source:
    """The distribution that a connector comes from: what has to be installed to serve it."""

    name: str
    version: str
    summary: str
    license: str
    author: str

    @property
    def needs(self) -> list[str]:
        """The requirements of an environment that serves it."""
        own = f"{self.name}=={self.version}"
        return [own] if self.name == "clew" else [f"clew=={__version__}", own]


def source_of(connector: Connector) -> Source:
    """Where an installed connector comes from. Raises `ConfigurationError` for one that nobody could install."""
    entry = discover().get(connector.name)
    distribution = entry.dist if entry is not None else None
    if distribution is None:
        raise ConfigurationError(
            f"{connector.name} is no installed connector, so nobody else could run it. Make it a package: clew new"
        )
    facts = metadata(distribution.name).json
    author = _said(facts, "author") or _said(facts, "author_email").partition("<")[0].strip() or distribution.name
    license = _said(facts, "license_expression") or _said(facts, "license")
    return Source(distribution.name, distribution.version, _said(facts, "summary"), license, author)


def _said(facts: Mapping[str, Any], name: str) -> str:
    return str(facts.get(name) or "")


def describe(connector: Connector, source: Source) -> str:
    """One sentence about the server."""
    title = connector.title or connector.name
    words = f"{title} for agents, with {len(connector.tools)} tools that say what happened."
    return words if source.name == "clew" else (source.summary or words)


def manifest(connector: Connector, source: Source) -> dict[str, Any]:
    """The bundle's `manifest.json`."""
    environment = {f"CLEW_{name.upper()}": f"${{user_config.{name}}}" for name in _SWITCHES}
    facts: dict[str, Any] = {
        "manifest_version": MANIFEST,
        "name": f"clew-{connector.name.replace('_', '-')}",
        "display_name": connector.title or connector.name,
        "version": source.version,
        "description": describe(connector, source),
        "long_description": _long(connector),
        "author": {"name": source.author},
        "server": {
            "type": "uv",
            "entry_point": "src/server.py",
            "mcp_config": {
                "command": "uv",
                "args": ["run", "--directory", "${__dirname}", "src/server.py", "serve", connector.name],
                "env": environment,
            },
        },
        "tools": [
            {"name": tool.name, "description": tool.description.partition("\n")[0]} for tool in connector.tools.values()
        ],
        "tools_generated": True,
        "keywords": ["mcp", "clew", connector.name],
        "compatibility": {"platforms": ["darwin", "linux", "win32"], "runtimes": {"python": ">=3.11"}},
        "user_config": {
            name: {"type": "boolean", "title": title, "description": words, "default": False, "required": False}
            for name, (title, words) in _SWITCHES.items()
        },
    }
    return facts | ({"license": source.license} if source.license else {})


def _long(connector: Connector) -> str:
    title = connector.title or connector.name
    login = (
        f"Credentials never come into this bundle or its settings. Store them once: `clew auth login {connector.name}`"
    )
    login += f" or `clew auth set {connector.name}`; the server opens the vault when it runs."
    return f"{title}, packaged by clew.\n\n{login if connector.schemes else 'It needs no credentials.'}"


def bundle(connector: Connector, source: Source) -> bytes:
    """The `.mcpb` file."""
    needs = ", ".join(json.dumps(each) for each in source.needs)
    project = (
        f'[project]\nname = "clew-{connector.name.replace("_", "-")}-bundle"\nversion = "{source.version}"\n'
        f'requires-python = ">=3.11"\ndependencies = [{needs}]\n\n[tool.uv]\npackage = false\n'
    )
    files = {
        "manifest.json": json.dumps(manifest(connector, source), indent=2, ensure_ascii=False) + "\n",
        "pyproject.toml": project,
        "src/server.py": _SERVER,
    }
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name, _BEGINNING)
            entry.external_attr, entry.compress_type = 0o100644 << 16, zipfile.ZIP_DEFLATED
            archive.writestr(entry, text)
    return whole.getvalue()


def registry_entry(connector: Connector, source: Source, *, namespace: str, url: str = "") -> dict[str, Any]:
    """The `server.json` of a registry. `namespace` is the publisher's, in reverse DNS (`io.github.you`); `url` is where
    the connector is served over HTTP, if it is. Raises `ConfigurationError`."""
    if not _NAMESPACE.fullmatch(namespace):
        raise ConfigurationError(
            f"a namespace is a name in reverse DNS that is yours, like io.github.you; not {namespace!r}."
        )
    if url and not re.fullmatch(r"https://[^\s/?#@]+[^\s?#]*", url):
        raise ConfigurationError("a registry lists public servers: --url must be an https address.")
    words = ["serve", connector.name]
    arguments: list[dict[str, Any]] = [{"type": "positional", "value": word} for word in words]
    package: dict[str, Any] = {
        "registryType": "pypi",
        "identifier": "clew",
        "version": __version__,
        "runtimeHint": "uvx",
        "transport": {"type": "stdio"},
        "packageArguments": arguments,
        "environmentVariables": [
            {"name": f"CLEW_{name.upper()}", "description": said, "format": "boolean", "default": "false"}
            for name, (_, said) in _SWITCHES.items()
        ],
    }
    if source.name != "clew":
        package["runtimeArguments"] = [{"type": "named", "name": "--with", "value": f"{source.name}=={source.version}"}]
    entry: dict[str, Any] = {
        "$schema": SCHEMA,
        "name": f"{namespace}/{connector.name}",
        "title": connector.title or connector.name,
        "description": describe(connector, source)[:_MOST_WORDS],
        "version": source.version,
        "packages": [package],
    }
    return entry | ({"remotes": [{"type": "streamable-http", "url": url}]} if url else {})
