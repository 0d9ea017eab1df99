"""Cursor paging: a cursor is an opaque name for "after this row", so pages stay right while rows come and go."""

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any

from .refusals import RefusalError
from .tables import Row

DEFAULT_LIMIT = 20
MAX_LIMIT = 100


def turn_page(rows: Iterable[Row], query: Mapping[str, str]) -> tuple[list[Row], str | None]:
    """Return the page that `limit` and `cursor` ask for, and the cursor of the next one (None at the end)."""
    limit, after = _read_limit(query), _read_cursor(query)
    later = [row for row in rows if row["id"] > after]
    page = later[:limit]
    return page, _write_cursor(page[-1]["id"]) if len(later) > limit else None


def list_answer(rows: Iterable[Row], query: Mapping[str, str]) -> dict[str, Any]:
    """Return a page as the API answers it: `{"data", "next_cursor"}`."""
    page, next_cursor = turn_page(rows, query)
    return {
        "data": [{key: value for key, value in row.items() if not key.startswith("_")} for row in page],
        "next_cursor": next_cursor,
    }


def first_cursor() -> str:
    """Return a cursor that leads to the first page."""
    return _write_cursor("")


def _read_limit(query: Mapping[str, str]) -> int:
    text = query.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_LIMIT):
        raise RefusalError(422, "invalid_field", f"limit must be a number from 1 to {MAX_LIMIT}.", field="limit")
    return int(text)


def _read_cursor(query: Mapping[str, str]) -> str:
    cursor = query.get("cursor")
    if cursor is None:
        return ""
    try:
        text = base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        text = ""
    if not text.startswith("after:"):
        raise RefusalError(400, "invalid_cursor", "This cursor is not one that Acme gave.", field="cursor")
    return text.removeprefix("after:")


def _write_cursor(identifier: str) -> str:
    return base64.urlsafe_b64encode(f"after:{identifier}".encode()).decode().rstrip("=")
