"""Rows out of CSV and newline-delimited JSON, one at a time: a large export costs the memory of the rows one keeps.

CSV is RFC 4180's: the first row names the columns, all values are text. A row is bounded, be it one endless line,
a quote that is never closed, or commas without end. NDJSON and JSON text sequences (RFC 7464) hold one value a line.
"""

import csv
from collections.abc import Iterator
from typing import Any

from clew.core.formats import DecodeError, decode

LONGEST, MOST_COLUMNS = 250_000, 1000
"""Characters of a row, and how many columns there may be."""
_LINES = frozenset({"x-ndjson", "ndjson", "jsonl", "x-jsonl", "jsonlines", "x-jsonlines", "json-seq"})
_SEPARATORS = {"csv": ",", "x-csv": ",", "tab-separated-values": "\t"}


def rows(content: bytes, content_type: str) -> Iterator[Any]:
    """The rows of a body by its media type: objects of texts (CSV, TSV), or values (NDJSON).

    Raises `DecodeError` for any other type, and when it comes to a row that is damaged or too long.
    """
    kind = content_type.partition(";")[0].strip().lower().rpartition("/")[2]
    if kind in _LINES:
        yield from _values(content)
    elif kind in _SEPARATORS:
        yield from _records(content, _SEPARATORS[kind])
    else:
        raise DecodeError("neither CSV nor newline-delimited JSON")


def _values(content: bytes) -> Iterator[Any]:
    for line in _lines(content):
        plain = line.strip(b"\x1e \t\r\n")
        if plain:
            yield decode(plain, "application/json")


def _lines(content: bytes) -> Iterator[bytes]:
    """The lines, each with its end."""
    place = 3 if content.startswith(b"\xef\xbb\xbf") else 0
    while place < len(content):
        end = content.find(b"\n", place, place + LONGEST)
        if end < 0 and len(content) - place > LONGEST:
            raise DecodeError(f"a line of more than {LONGEST} bytes")
        following = len(content) if end < 0 else end + 1
        yield content[place:following]
        place = following


def _records(content: bytes, separator: str) -> Iterator[dict[str, str]]:
    used = 0

    def lines() -> Iterator[str]:
        nonlocal used
        for line in _lines(content):
            used += len(line)
            if used > LONGEST:
                raise DecodeError(f"a row of more than {LONGEST} bytes")
            yield _text(line)

    names: list[str] | None = None
    reader = csv.reader(lines(), delimiter=separator, strict=True)
    try:
        for row in reader:
            used = 0
            if names is None:
                names = _named(row)
            elif len(row) > len(names):
                raise DecodeError("a row with more values than there are columns")
            elif row:
                yield dict(zip(names, row, strict=False))
    except csv.Error:
        raise DecodeError("damaged CSV") from None


def _named(row: list[str]) -> list[str]:
    names = [name.strip() for name in row]
    if len(names) > MOST_COLUMNS or len(set(names)) < len(names) or "" in names:
        raise DecodeError("columns without a name, with the same, or too many")
    return names


def _text(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")
