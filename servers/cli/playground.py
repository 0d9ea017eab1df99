"""`clew demo` and `clew sandbox`: things to try without an account."""

import ast
import signal
import sys
import threading
from argparse import Namespace
from dataclasses import fields
from typing import Any

from clew.core.errors import ConfigurationError
from clew.servers.cli.output import emit, emit_json, talk
from clew.servers.cli.start import begin
from clew.servers.program import use_one_http_stack

_WORDS = {"true": True, "false": False, "null": None, "none": None}


def demo(arguments: Namespace) -> int:
    """Run the demo; it reads nothing of the user's, so a wrong configuration does not stop it."""
    use_one_http_stack()
    from clew.servers.demo import run

    return run(json=arguments.json)


def sandbox(arguments: Namespace) -> int:
    """Run Acme until a signal comes: 0, or 130 after Ctrl-C."""
    begin(http=True)
    from clew.servers.sandbox import Sandbox

    chosen = _settings(arguments.set)
    if not 0 <= arguments.port <= 65535:
        raise ConfigurationError(f"--port must be from 0 to 65535, not {arguments.port}.")
    signal.signal(signal.SIGTERM, _leave)
    try:
        acme = Sandbox(port=arguments.port, **chosen)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"--set: {error}.") from None
    try:
        acme.start()
    except OSError as error:
        raise ConfigurationError(
            f"port {arguments.port}: {error.strerror or error}. Choose another one: clew sandbox --port 0"
        ) from None
    try:
        _introduce(acme, as_json=arguments.json)
        threading.Event().wait()
    finally:
        acme.stop()
    return 0


def _leave(number: int, frame: object) -> None:
    raise SystemExit(0)


def _introduce(acme: Any, *, as_json: bool) -> None:
    from clew.connectors.acme import acme as connector

    if as_json:
        emit_json({"url": acme.url, "token": acme.pat}, indent=None)
    else:
        emit(acme.url)
    sys.stdout.flush()
    if acme.url != connector.base_url:
        talk("Tell connector acme about this address, in clew.toml:")
        talk("  [connectors.acme]", f'  base_url = "{acme.url}"')
    talk(
        "Acme is up. It is fake, and so is its token with every right. In another terminal:",
        f"  echo {acme.pat} | clew auth set acme",
        "  clew call acme search_contacts text=a",
        "Ctrl-C stops it.",
    )


def _settings(pairs: list[str]) -> dict[str, Any]:
    from clew.servers.sandbox import Settings

    known = sorted(each.name for each in fields(Settings))
    chosen: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or name not in known:
            raise ConfigurationError(f"--set {pair}: write NAME=VALUE, with NAME one of {', '.join(known)}.")
        chosen[name] = _value(text)
    return chosen


def _value(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
