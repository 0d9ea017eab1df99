"""A recorded answer as people write it down: JSON in many spellings, or options and files."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from clew.core.errors import ConfigurationError
from clew.core.fields import as_list, as_object
from clew.core.values import dataclass

Pairs = list[tuple[str, str]]

_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "PROPFIND", "REPORT", "SEARCH", "QUERY", "TRACE"})
_SAFE_SQL = frozenset({"SELECT", "SHOW", "EXPLAIN"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One recorded exchange. `status` is None where no answer came; `data` is set when the body was written as JSON.

    `safe` says that the request could not change anything; `now` is epoch seconds, what dates are counted from.
    """

    connector: str = ""
    method: str = ""
    url: str = ""
    status: int | None = None
    headers: Pairs
    content: bytes = b""
    data: Any = None
    decoded: bool = False
    now: float | None = None
    transport_error: str | None = None
    token_endpoint: bool = False
    safe: bool | None = None
    label: Any = None

    @property
    def changes_nothing(self) -> bool:
        """Could the request change nothing? What is not known counts as a change, except for a missing method."""
        return self.safe if self.safe is not None else (self.method or "GET").upper() in _SAFE | _SAFE_SQL


def read_document(document: Any) -> Recording:
    """The recording a JSON document describes. Raises `ConfigurationError` naming the member that is wrong."""
    found = as_object(document)
    if found is None:
        raise ConfigurationError("a recording is a JSON object with status, headers and body.")
    request = as_object(found.get("request")) or {}
    answer = {**found, **(as_object(found.get("response")) or {})}
    lost = _first(found, "transport_error", "transport-error", "transportError")
    content, data, decoded = _body(answer)
    return Recording(
        connector=_word(_first(found, "connector", "provider")),
        method=_word(_first(request, "method") or found.get("method")).upper(),
        url=_word(_first(request, "url", "uri") or found.get("url")),
        status=None if lost else read_status(_first(answer, "status", "status_code", "statusCode", "code_http")),
        headers=read_headers(_first(answer, "headers")),
        content=content,
        data=data,
        decoded=decoded,
        now=read_now(_first(found, "now", "at", "time")),
        transport_error=_word(lost) or None,
        token_endpoint=_first(found, "token_endpoint", "token-endpoint", "tokenEndpoint") is True,
        safe=_safety(found, request),
        label=_first(found, "id", "name"),
    )


def _first(found: Mapping[str, Any], *names: str) -> Any:
    return next((found[name] for name in names if found.get(name) is not None), None)


def _word(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def read_status(value: Any) -> int | None:
    """`403`, `"403"`, `"403 Forbidden"`, `"HTTP/1.1 403"`; None when there is none. Raises `ConfigurationError`."""
    if value is None or value == "":
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    match = re.match(r"\s*(?:HTTP/[\d.]+\s+)?(\d{1,3})(?!\d)", str(value)) if not isinstance(value, bool) else None
    if match is None:
        raise ConfigurationError(f"the status must be a number such as 403, not {str(value)[:40]!r}.")
    return int(match[1])


def read_headers(value: Any) -> Pairs:
    """Pairs, an object (values may be lists), objects with name and value, or text with one `Name: value` a line."""
    if value is None:
        return []
    if isinstance(value, str):
        lines = [line.partition(":") for line in value.splitlines() if ":" in line and not line.startswith("HTTP/")]
        return [(name.strip(), text.strip()) for name, _, text in lines]
    pairs: Pairs = []
    for item in as_list(value) or []:
        named, pair = as_object(item), as_list(item)
        if named is not None:
            pairs += _pair(_first(named, "name", "key"), named.get("value"))
        elif pair is not None and len(pair) == 2:
            pairs += _pair(pair[0], pair[1])
        else:
            raise ConfigurationError("headers are [name, value] pairs, an object, or text with one header a line.")
    for name, text in (as_object(value) or {}).items():
        pairs += _pair(name, text)
    if not isinstance(value, dict | list):
        raise ConfigurationError("headers are [name, value] pairs, an object, or text with one header a line.")
    return pairs


def _pair(name: Any, value: Any) -> Pairs:
    if not isinstance(name, str) or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name.strip()):
        return []
    several = as_list(value)
    values = several if several is not None else [value]
    return [(name.strip(), str(each).strip()) for each in values if each is not None]


def _body(answer: Mapping[str, Any]) -> tuple[bytes, Any, bool]:
    """The content, and its data when the body was written as JSON instead of text."""
    coded = _first(answer, "body_base64", "body_b64", "bodyBase64", "content_base64")
    body = _first(answer, "body", "content", "text", "json", "data")
    wrapped = as_object(body)
    if coded is None and wrapped is not None and wrapped.keys() <= {"base64", "encoding"} and "base64" in wrapped:
        coded = wrapped["base64"]
    if isinstance(coded, str):
        try:
            return base64.b64decode(coded, validate=False), None, False
        except (binascii.Error, ValueError):
            raise ConfigurationError("the body is not base64.") from None
    if body is None:
        return b"", None, False
    if isinstance(body, str):
        return body.encode("utf-8", "surrogatepass"), None, False
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass"), body, True


def read_now(value: Any) -> float | None:
    """Epoch seconds, or milliseconds, or an ISO or HTTP date. Raises `ConfigurationError`."""
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = _moment(str(value))
    if not 0 <= number < 1e14:
        raise ConfigurationError(f"now must be epoch seconds or a date, not {str(value)[:40]!r}.")
    return number / 1000 if number > 1e11 else number


def _moment(text: str) -> float:
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = read(text.strip())
        except (ValueError, OverflowError, TypeError, IndexError):
            continue
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return -1.0


def _safety(found: Mapping[str, Any], request: Mapping[str, Any]) -> bool | None:
    """What the document says itself: `safe`, `effect`, or a GraphQL document in the request's body."""
    safe = _first(found, "safe")
    if isinstance(safe, bool):
        return safe
    effect = _word(_first(found, "effect") or request.get("effect"))
    if effect:
        return effect == "read"
    return _asks_only(_first(request, "body", "json", "content"))


def _asks_only(body: Any) -> bool | None:
    if isinstance(body, str):
        try:
            body = json.loads(body)
        except (ValueError, RecursionError):
            return None
    query = (as_object(body) or {}).get("query")
    if not isinstance(query, str) or not re.match(r"\s*(?:#[^\n]*\n\s*)*(?:query\b|mutation\b|\{)", query):
        return None
    return re.search(r"\b(?:mutation|subscription)\b", query) is None or None
