"""`clew webhooks verify`: a recorded delivery, or many, and whether they are genuine."""

import base64
import json
import math
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clew.core.errors import ClewError, ConfigurationError
from clew.core.fields import as_list, as_object
from clew.core.secret import Secret
from clew.core.webhooks import Delivery, Event, Refusal, verify
from clew.servers.cli.output import emit_json
from clew.servers.webhook_schemes import Schemes, find
from clew.testing.recordings import read_headers, read_now

_LARGEST = 100_000_000


def verify_delivery(arguments: Namespace) -> int:
    """One delivery (1 when it is invalid), or with `--batch` one a line (always 0)."""
    if arguments.batch:
        known: dict[str, Schemes] = {}
        for line in _stdin().buffer:
            if line.strip():
                print(json.dumps(judge_line(line, known, arguments.scheme)), flush=True)
        return 0
    if not arguments.scheme:
        raise ConfigurationError("name the scheme, or give --batch.")
    headers = read_headers(read_file(arguments.headers, "--headers").decode("utf-8", "replace"))
    body = read_file(arguments.body, "--body")
    delivery = Delivery(headers, body, method=arguments.method, url=arguments.url)
    found = verify(
        find(arguments.scheme, runs=arguments.scheme),
        delivery,
        read_secret_files(arguments.secret_file),
        now=read_now(arguments.now),
        tolerance=arguments.tolerance,
    )
    emit_json({**judged(found), **(described(found) if isinstance(found, Event) else {})})
    return 0 if isinstance(found, Event) else 1


def judged(found: Event | Refusal) -> dict[str, Any]:
    """Verdict, code and reason."""
    if isinstance(found, Refusal):
        return {"verdict": "invalid", "code": found.code.value, "reason": found.reason}
    which = "a published key" if found.secret is None else f"secret {found.secret + 1}"
    return {"verdict": "valid", "code": "ok", "reason": f"it was signed with {which}"}


def described(event: Event) -> dict[str, Any]:
    """What an author wants to know about a delivery that is genuine."""
    return {
        "scheme": event.scheme,
        "delivery_id": event.delivery_id,
        "event_type": event.type,
        "signed_at": event.signed_at,
        "body_is_signed": event.covers_body,
    }


def judge_line(line: bytes, known: dict[str, Schemes], named: str = "") -> dict[str, Any]:
    """One line's verdict; never an exception. A line without a scheme has the `named` one."""
    try:
        document = as_object(json.loads(line.decode("utf-8-sig")))
        if document is None:
            return _invalid("the line is no JSON object")
        name = document.get("scheme", named or None)
        if isinstance(name, str) and name in known:
            schemes = known[name]
        else:
            schemes = find(name, runs=named)
            if isinstance(name, str):
                known[name] = schemes
        delivery = Delivery(
            list(_headers(document.get("headers"))),
            _body(document),
            method=_text(document.get("method"), "POST"),
            url=_text(document.get("url"), ""),
        )
        found = verify(
            schemes,
            delivery,
            list(_secrets(document)),
            now=_number(document.get("now"), "now"),
            tolerance=_number(document.get("tolerance_s"), "tolerance_s"),
        )
        return judged(found)
    except ClewError as error:
        return _invalid(str(error))
    except (ValueError, RecursionError) as error:
        why = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deep, or not text"
        return _invalid(f"the line is not JSON: {why}")
    except Exception as error:  # a scheme of somebody else's: its fault is this line's, not the batch's
        return _invalid(f"it cannot be verified: {type(error).__name__}")


def _invalid(reason: str) -> dict[str, Any]:
    return {"verdict": "invalid", "code": "malformed", "reason": reason}


def _headers(given: Any) -> Iterator[tuple[str, str]]:
    keyed = as_object(given)
    pairs = [[name, value] for name, value in keyed.items()] if keyed is not None else as_list(given or [])
    for each in pairs or []:
        pair = as_list(each)
        if pair is None or len(pair) != 2 or not all(isinstance(part, str | int | float) for part in pair):
            raise ConfigurationError("headers is no list of [name, value].")
        yield str(pair[0]), str(pair[1])


def _body(document: dict[str, Any]) -> bytes:
    given = document.get("body_b64")
    if given is None:
        return _text(document.get("body"), "").encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(_text(given, ""), validate=True)
    except ValueError:
        raise ConfigurationError("body_b64 is not base64.") from None


def _secrets(document: dict[str, Any]) -> Iterator[Secret]:
    given = document.get("secrets")
    listed = as_list(given)
    for each in [given] if listed is None else listed:
        if isinstance(each, str):
            yield Secret(each)
        elif as_object(each) is not None:
            yield Secret(json.dumps(each))
        elif each is not None:
            raise ConfigurationError("a secret is text, or an object with settings or keys.")


def _text(given: Any, otherwise: str) -> str:
    if given is None:
        return otherwise
    if not isinstance(given, str):
        raise ConfigurationError("method, url and body are texts.")
    return given


def _number(given: Any, name: str) -> float | None:
    if given is None:
        return None
    try:
        found = float(given) if isinstance(given, str | int | float) and not isinstance(given, bool) else math.nan
    except (ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise ConfigurationError(f"{name} is no number of seconds.")
    return found


def _stdin() -> Any:
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison] - None when it was closed
        raise ConfigurationError("standard input is closed.")
    return sys.stdin


def read_file(name: str | None, option: str) -> bytes:
    """A file's bytes, or those of standard input; nothing without a name."""
    if name is None:
        return b""
    try:
        return _stdin().buffer.read(_LARGEST) if name == "-" else Path(name).read_bytes()[:_LARGEST]
    except OSError as error:
        raise ConfigurationError(f"{option}: {name} cannot be read: {error.strerror}.") from None


def read_secret_files(names: list[str]) -> list[Secret]:
    """Every secret in the files: a JSON document, PEM blocks, and else one a line."""
    found: list[Secret] = []
    for name in names:
        text = read_file(name, "--secret-file").decode("utf-8", "replace").lstrip("\ufeff")
        found += [Secret(each) for each in _split(text)]
    return found


def _split(text: str) -> list[str]:
    if text.lstrip()[:1] == "{":
        return [text]
    found: list[str] = []
    block: list[str] = []
    for line in text.splitlines():
        if block or line.startswith("-----BEGIN"):
            block.append(line)
            if line.startswith("-----END"):
                found.append("\n".join([*block, ""]))
                block = []
        elif line.strip():
            found.append(line)
    return found
