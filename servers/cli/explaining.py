"""`clew explain`: how a recorded answer of a provider is judged, and which rule says so."""

import json
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clew.core.connector import Connector
from clew.core.errors import ClewError, ConfigurationError
from clew.core.fields import as_object
from clew.core.registry import discover, load
from clew.servers.cli.output import emit, emit_json, facts
from clew.testing.judging import ALIASES, judge_recording
from clew.testing.recordings import Recording, read_document, read_headers, read_now, read_status

_LARGEST = 50_000_000
_FIRST = ("code", "outcome", "retry", "retry_after", "bucket", "grant", "rule")


def explain(arguments: Namespace) -> int:
    """One recording, or with `--batch` one a line. Ends with 0 whatever the judgement is."""
    if arguments.batch:
        loaded: dict[str, Connector] = {}
        for number, line in _lines():
            emit_json(_line(line, number, arguments, loaded), indent=None)
        return 0
    recording = _one(arguments)
    connector = find(arguments.name or recording.connector)
    judged = judge_recording(recording, connector)
    if arguments.json:
        emit_json({"connector": connector.name, **judged})
        return 0
    shown = {"connector": connector.name, **judged}
    facts([(key, "-" if shown[key] is None else str(shown[key])) for key in ("connector", *_FIRST) if key in shown])
    emit("", "the agent reads:", *(f"  {line}" for line in str(judged["text"]).splitlines()))
    return 0


def find(name: str) -> Connector:
    """The connector of this name, by its other names too; an API nobody has described is `generic`."""
    if name.endswith(".py"):
        return load(name)
    plain = name.strip().lower().replace("_", "-").replace(" ", "-")
    known = discover()
    for candidate in (name, plain, plain.replace("-", "_"), ALIASES.get(plain, "")):
        if candidate in known:
            return load(candidate)
    if "generic" in known:
        return load("generic")
    return Connector("generic", base_url="https://localhost")


def _line(line: str, number: int, arguments: Namespace, loaded: dict[str, Connector]) -> dict[str, Any]:
    """One line's judgement, or why there is none; never an exception."""
    head: dict[str, Any] = {"line": number}
    try:
        recording = read_document(json.loads(line))
        if recording.label is not None:
            head["id"] = recording.label
        name = recording.connector or arguments.name or ""
        if name not in loaded:
            loaded[name] = find(name)
        return {**head, "connector": loaded[name].name, **judge_recording(recording, loaded[name])}
    except ClewError as error:
        return {**head, "error": {"code": "configuration", "message": str(error)}}
    except (ValueError, RecursionError) as error:
        why = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deep, or not text"
        return {**head, "error": {"code": "configuration", "message": f"line {number} is not JSON: {why}."}}
    except Exception as error:  # a connector of somebody else's: its fault is this line's, not the batch's
        return {**head, "error": {"code": "internal", "message": f"cannot be judged: {type(error).__name__}."}}


def _lines() -> Iterator[tuple[int, str]]:
    """Each line with its number; empty ones are left out."""
    for number, line in enumerate(_stdin().buffer, 1):
        text = line.decode("utf-8", "replace").lstrip("\ufeff")
        if text.strip():
            yield number, text


def _stdin() -> Any:
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison] - None when it was closed
        raise ConfigurationError("standard input is closed; give --status or --transport-error, or a document.")
    return sys.stdin


def _one(arguments: Namespace) -> Recording:
    if arguments.status is None and arguments.transport_error is None:
        return _document(arguments)
    return Recording(
        method=(arguments.method or "").upper(),
        url=arguments.url or "",
        status=read_status(arguments.status),
        headers=read_headers(_file(arguments.headers, "--headers").decode("utf-8", "replace")),
        content=_file(arguments.body, "--body"),
        now=read_now(arguments.now),
        transport_error=arguments.transport_error,
        token_endpoint=arguments.token_endpoint,
    )


def _document(arguments: Namespace) -> Recording:
    text = _stdin().buffer.read(_LARGEST).decode("utf-8", "replace").lstrip("\ufeff")
    try:
        document: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        why = error if isinstance(error, json.JSONDecodeError) else "nested too deep"
        raise ConfigurationError(
            f"standard input is not a JSON document ({why}). Give --status and --body, or a document such as "
            '{"request": {"method": "GET"}, "status": 403, "headers": [], "body": "…"}.'
        ) from None
    found = as_object(document)
    if found is not None:
        given = {"now": arguments.now, "token_endpoint": arguments.token_endpoint or None}
        document = {**found, **{key: value for key, value in given.items() if value is not None}}
    return read_document(document)


def _file(name: str | None, option: str) -> bytes:
    if name is None:
        return b""
    try:
        return _stdin().buffer.read(_LARGEST) if name == "-" else Path(name).read_bytes()[:_LARGEST]
    except OSError as error:
        raise ConfigurationError(f"{option}: {name} cannot be read: {error.strerror}.") from None
