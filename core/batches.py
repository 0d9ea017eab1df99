"""Answers that hold several answers: 207 Multi-Status, JSON batches, composite requests, bulk writes.

The whole is a success when no part failed. When all failed it is what the first root cause says. When some did, the
change was made in part: nobody may repeat the whole.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any

from pydantic_core import from_json

from clew.core.fields import as_list, as_object
from clew.core.markup import MarkupError, looks_like_markup, parse
from clew.core.response import Response
from clew.core.values import dataclass

MOST = 2000
"""Parts beyond these are not looked at."""

_LISTS = ("responses", "compositeResponse", "results", "data", "parts")
_MARKS = frozenset({*_LISTS, "numErrors", "hasErrors"})


@dataclass(frozen=True, slots=True)
class Part:
    """One failed part: its status (0 when it has none), what it says, and its headers (lower case)."""

    status: int
    data: Any
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Parts:
    """How many parts went well, and those that did not."""

    good: int
    failed: tuple[Part, ...]

    @property
    def cause(self) -> Part:
        """The failure that explains the others: 424 and `PROCESSING_HALTED` only follow from another one."""
        return next((part for part in self.failed if not _follows(part)), self.failed[0])


def parts_of(response: Response) -> Parts | None:
    """The parts of a 2xx answer, when it has some and one failed."""
    found = as_object(response.data)
    listed = as_list(response.data)
    parts: list[Part | None] = []
    if found is not None:
        if not _MARKS.isdisjoint(found):
            parts = list(_of_object(found))
    elif listed:
        parts = list(_of_list(listed)) if _is_part(listed[0]) else []
    elif response.status == 207 and looks_like_markup(response.content):
        parts = list(_of_multistatus(response))
    elif response.headers.get("content-type", "").lower().startswith("multipart/"):
        parts = list(_of_multipart(response.content))
    failed = tuple(part for part in parts if part is not None)
    return Parts(len(parts) - len(failed), failed) if failed else None


def _of_object(data: Mapping[str, Any]) -> Iterator[Part | None]:
    """A yield of `None` is a part that went well."""
    for key in _LISTS:
        items = as_list(data.get(key))
        if items and _is_part(items[0]):
            yield from _of_list(items)
            return
    errors = as_list(data.get("errors"))
    if "numErrors" in data and errors:  # HubSpot: results beside errors
        yield from (Part(0, each) for each in errors[:MOST])
        yield from (None for _ in (as_list(data.get("results")) or [])[:MOST])


def _is_part(item: Any) -> bool:
    found = as_object(item) or {}
    return _status(found) > 0 or isinstance(found.get("success"), bool)


def _status(item: Mapping[str, Any]) -> int:
    """The status of a part: `status`, `statusCode`, `httpStatusCode`, `status_code`, only where it looks like one."""
    for key in ("status", "statusCode", "httpStatusCode", "status_code"):
        value = item.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 599:
            alone = key != "status" or not item.keys().isdisjoint({"body", "headers", "id", "error", "errors"})
            return value if alone else 0
    return 0


def _of_list(items: list[Any]) -> Iterator[Part | None]:
    for item in items[:MOST]:
        found = as_object(item) or {}
        status = _status(found)
        if status >= 400:
            named = as_object(found.get("headers")) or {}
            headers = {name.lower(): str(value) for name, value in named.items()}
            yield Part(status, _content(found), headers)
        elif status == 0 and found.get("success") is False:
            yield Part(0, found.get("errors") or found)
        else:
            yield None


def _content(item: Mapping[str, Any]) -> Any:
    return next((item[key] for key in ("body", "result", "errors", "error") if item.get(key)), item)


def _of_multistatus(answer: Response) -> Iterator[Part | None]:
    """WebDAV (RFC 4918): a status of a whole resource counts, that of a property it lacks does not."""
    # 507 on the collection marks a list that was cut; the rest of it is good. In a report 404 names what is gone.
    told = {507, 404} if answer.method == "REPORT" else {507}  # RFC 6578, 3.5 and 3.6; RFC 4791, 7.9
    try:
        root = parse(answer.content)
    except MarkupError:
        return
    for response in (each for each in root.children[:MOST] if each.name == "response"):
        line = response.child("status")
        words = line.text.split() if line is not None else []
        status = int(words[1]) if len(words) > 1 and words[1].isdecimal() else 200
        error = response.child("error")
        names = [each.name for each in error.children] if error is not None else []
        yield None if status < 400 or status in told else Part(status, {"error": names[0] if names else ""})


_STATUS_LINE = re.compile(rb"^HTTP/\d(?:\.\d)? (\d{3})[^\r\n]*\r?\n", re.MULTILINE)


def _of_multipart(content: bytes) -> Iterator[Part | None]:
    """Google's batches: one HTTP answer in each MIME part."""
    lines = list(_STATUS_LINE.finditer(content))[:MOST]
    for line, following in zip(lines, [*lines[1:], None], strict=True):
        status = int(line[1])
        inner = content[line.end() : following.start() if following else len(content)]
        yield None if status < 400 else Part(status, _json_in(inner))


def _json_in(content: bytes) -> Any:
    start, end = content.find(b"{"), content.rfind(b"}")
    try:
        return from_json(content[start : end + 1]) if 0 <= start < end else None
    except ValueError:
        return None


def _follows(part: Part) -> bool:
    first = (as_list(part.data) or [part.data])[:1]
    code = (as_object(first[0]) or {}).get("errorCode") if first else None
    return part.status == 424 or code == "PROCESSING_HALTED"
