"""What is written into a host's configuration: an absolute command or an address, never a secret."""

import base64
import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from clew.core.errors import ConfigurationError
from clew.core.fields import as_list, as_object
from clew.core.values import dataclass

CARRIED = ("CLEW_HOME", "CLEW_CONFIG", "CLEW_TENANT", "CLEW_CONNECTORS", "CLEW_KEY_PROVIDER")
"""Variables that a server needs to find the same state, and that hold no secret. Hosts do not pass on the others."""
_FLEETING = re.compile(r"[/\\](?:uv|\.uv)[/\\](?:cache|archive|builds)|archive-v\d|[/\\]uv-cache|pipx[/\\]\.cache")


@dataclass(frozen=True, slots=True)
class Launch:
    """One server: by `command` and `args` over stdio, or at `url`."""

    name: str
    command: str = ""
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    url: str = ""


Shape = Callable[[Launch], dict[str, Any]]


def program() -> str:
    """The absolute path of this installation's `clew`. Raises `ConfigurationError`."""
    folder = Path(sys.executable).absolute().parent
    for name in ("clew", "clew.exe"):
        if (folder / name).is_file():
            return str(folder / name)
    raise ConfigurationError(f"there is no clew beside {sys.executable}; install it: pipx install clew")


def is_there(command: str) -> bool:
    """Does the program of an entry still exist?"""
    return Path(command).is_file()


def is_fleeting(command: str) -> bool:
    """Does the program stand in a cache that may be cleared?"""
    return bool(_FLEETING.search(command))


def is_ours(entry: Any) -> bool:
    """Was this entry written by `clew install`, or by hand for clew?"""
    words, _ = command_of(as_object(entry) or {})
    first = re.split(r"[/\\]", words[0])[-1] if words else ""
    return first.removesuffix(".exe") == "clew" and "serve" in words


def command_of(entry: Mapping[str, Any]) -> tuple[list[str], dict[str, str]]:
    """How the host starts this entry: its command line, and the variables it sets."""
    command = entry.get("command", entry.get("cmd", ""))
    words = [*(as_list(command) or [command]), *(as_list(entry.get("args")) or [])]
    env = as_object(entry.get("env") or entry.get("envs") or entry.get("environment")) or {}
    return [str(word) for word in words], {key: str(value) for key, value in env.items()}


def address_of(entry: Mapping[str, Any]) -> str:
    """The address of a server that the host does not start; empty for the others."""
    return str(entry.get("url") or entry.get("uri") or entry.get("serverUrl") or "")


def carried(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables of this shell that the server will need too."""
    return {name: environment[name] for name in CARRIED if environment.get(name)}


def plain(launch: Launch, **more: Any) -> dict[str, Any]:
    """`{command, args, env}`, the shape that most hosts share; a URL as `{url}`."""
    if launch.url:
        return {"url": launch.url, **more}
    return {
        "command": launch.command,
        "args": [*launch.args],
        **({"env": {**launch.env}} if launch.env else {}),
        **more,
    }


def typed(stdio: str = "stdio", http: str = "http", **more: Any) -> Shape:
    """The same with a `type` in front."""

    def shape(launch: Launch) -> dict[str, Any]:
        return {"type": http if launch.url else stdio, **plain(launch, **more)}

    return shape


def with_url(key: str) -> Shape:
    """The same with another name for the address."""

    def shape(launch: Launch) -> dict[str, Any]:
        return {key: launch.url} if launch.url else plain(launch)

    return shape


def goose(launch: Launch) -> dict[str, Any]:
    """An extension of goose; 300 s is its own default."""
    if launch.url:
        start: dict[str, Any] = {"type": "streamable_http", "uri": launch.url}
    else:
        start = {"type": "stdio", "cmd": launch.command, "args": [*launch.args]}
    return {"name": launch.name, "enabled": True, **start, "envs": {**launch.env}, "env_keys": [], "timeout": 300}


def opencode(launch: Launch) -> dict[str, Any]:
    """A server of opencode."""
    if launch.url:
        return {"type": "remote", "url": launch.url, "enabled": True}
    start = {"type": "local", "command": [launch.command, *launch.args], "enabled": True}
    return {**start, **({"environment": {**launch.env}} if launch.env else {})}


def continued(launch: Launch) -> dict[str, Any]:
    """An entry of Continue's list."""
    return {"name": launch.name, **(typed(http="streamable-http")(launch) if launch.url else plain(launch))}


def cursor_link(launch: Launch) -> str:
    """A link that makes Cursor ask whether to add the server."""
    config = base64.b64encode(json.dumps(plain(launch)).encode()).decode()
    return f"cursor://anysphere.cursor-deeplink/mcp/install?name={quote(launch.name)}&config={quote(config, safe='')}"


def vscode_link(launch: Launch) -> str:
    """The same for VS Code."""
    return f"vscode:mcp/install?{quote(json.dumps({'name': launch.name, **typed()(launch)}), safe='')}"


def goose_link(launch: Launch) -> str:
    """The same for goose, which takes only programs it knows, such as uvx."""
    args = "".join(f"&arg={quote(word, safe='')}" for word in ("clew", *launch.args))
    return f"goose://extension?cmd=uvx{args}&id={quote(launch.name)}&name={quote(launch.name)}"
