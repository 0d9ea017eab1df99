"""What the faults put in place of an answer, or change in it: data in, data out."""

import json
import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, cast
from urllib.parse import parse_qs

from starlette.responses import HTMLResponse, RedirectResponse, Response

from .cursors import first_cursor
from .faults import Fault
from .limits import refuse_quota
from .refusals import RefusalError

HANDLED_BEFORE = frozenset({"rate_limit", "quota", "reject_token", "html", "redirect_loop"})
"""Faults that answer without the request being handled."""

LOOP_PATH = "/_sandbox/loop"
"""Where `redirect_loop` leads: `{LOOP_PATH}/{n}` redirects to `n + 1`, for ever."""

_LOGIN_PAGE = "<!doctype html><title>Log in to Acme</title><h1>Log in</h1><form><input name=user></form>"
_ERROR_PAGE = "<!doctype html><title>Error {0}</title><h1>Error {0}</h1><p>Acme is having a bad moment.</p>"

_RawAnswer = tuple[int, list[tuple[bytes, bytes]], bytes]


def answer_instead(fault: Fault) -> _RawAnswer:
    """Return status, headers and body of the answer that stands in for the real one."""
    response = _ANSWERS[fault.fault](fault)
    return response.status_code, response.raw_headers, bytes(response.body)


def change_answer(fault: Fault, body: bytes, query: str) -> bytes:
    """Return the body as this fault lets it out; a body it has no way to change is returned as it is."""
    if fault.fault == "bad_utf8":
        return body.replace(b'":"', b'":"\xff\xfe', 1) if b'":"' in body else body + b"\xff\xfe"
    if fault.fault not in {"rename_field", "remove_field", "set_field", "cursor_loop"}:
        return body
    try:
        data = json.loads(body)
    except ValueError:
        return body
    if fault.fault == "cursor_loop":
        _loop_cursor(data, query)
    else:
        data = _drift(data, fault)
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


def _loop_cursor(data: Any, query: str) -> None:
    if isinstance(data, dict) and "next_cursor" in data:
        data["next_cursor"] = parse_qs(query).get("cursor", [first_cursor()])[0]


def _drift(data: Any, fault: Fault) -> Any:
    if isinstance(data, list):
        return [_drift(item, fault) for item in cast("Iterable[Any]", data)]
    if not isinstance(data, dict):
        return data
    changed: dict[str, Any] = {}
    for key, value in cast("dict[str, Any]", data).items():
        if key != fault.field:
            changed[key] = _drift(value, fault)
        elif fault.fault == "rename_field":
            changed[fault.to] = _drift(value, fault)
        elif fault.fault == "set_field":
            changed[key] = fault.value
    return changed


def _rate_limit(fault: Fault) -> Response:
    headers: dict[str, str] = {}
    if fault.seconds is not None:
        moment = format_datetime(datetime.now(UTC) + timedelta(seconds=fault.seconds), usegmt=True)
        headers["Retry-After"] = moment if fault.as_date else str(math.ceil(fault.seconds))
    return RefusalError(429, "rate_limited", "Too many requests.", headers=headers).answer()


def _quota(fault: Fault) -> Response:
    return refuse_quota(math.ceil(fault.seconds or 1)).answer()


def _server_error(fault: Fault) -> Response:
    headers = {} if fault.seconds is None else {"Retry-After": str(math.ceil(fault.seconds))}
    if fault.html:
        return HTMLResponse(_ERROR_PAGE.format(fault.status), fault.status, headers=headers)
    return RefusalError(fault.status, "internal_error", "Acme is having a bad moment.", headers=headers).answer()


def _reject_token(_fault: Fault) -> Response:
    challenge = 'Bearer realm="acme", error="invalid_token", error_description="The access token expired"'
    return RefusalError(
        401, "token_expired", "The access token expired.", headers={"WWW-Authenticate": challenge}
    ).answer()


def _html(_fault: Fault) -> Response:
    return HTMLResponse(_LOGIN_PAGE)


def _redirect_loop(_fault: Fault) -> Response:
    return RedirectResponse(f"{LOOP_PATH}/1", 302)


_ANSWERS: dict[str, Callable[[Fault], Response]] = {
    "rate_limit": _rate_limit,
    "quota": _quota,
    "server_error": _server_error,
    "reject_token": _reject_token,
    "html": _html,
    "redirect_loop": _redirect_loop,
}
