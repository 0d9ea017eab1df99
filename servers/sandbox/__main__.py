"""`python -m clew.servers.sandbox`: Acme as a process of its own, for tests that kill processes."""

import argparse
import ast
import asyncio
import json
import socket
import sys
from dataclasses import fields

from .server import bind, make_server
from .settings import Settings
from .state import State


def main(arguments: list[str] | None = None) -> int:
    """Serve until a signal comes; prints `{"url": …}` on stdout when the port is open."""
    parser = argparse.ArgumentParser(prog="python -m clew.servers.sandbox", description="Run Acme, the fake SaaS.")
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting, repeatable")
    given = parser.parse_args(arguments)
    try:
        state = State(_read_settings(given.set))
        listener = bind(given.port)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    state.url = "http://{}:{}".format(*listener.getsockname())
    with listener:
        sys.stdout.write(json.dumps({"url": state.url}) + "\n")
        sys.stdout.flush()
        try:
            asyncio.run(_serve(state, listener))
        except KeyboardInterrupt:
            return 130
    return 0


async def _serve(state: State, listener: socket.socket) -> None:
    server = make_server(state)
    await server.serve(sockets=[listener])


def _read_settings(pairs: list[str]) -> Settings:
    """Return the settings; values are read as Python literals, words as themselves."""
    known = {item.name for item in fields(Settings)}
    chosen: dict[str, object] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or name not in known:
            raise ValueError(f"--set {pair}: write NAME=VALUE with one of: {', '.join(sorted(known))}")
        chosen[name] = _read_value(text)
    return Settings(**chosen)  # type: ignore[arg-type]


def _read_value(text: str) -> object:
    words = {"true": True, "false": False, "null": None, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


if __name__ == "__main__":
    sys.exit(main())
