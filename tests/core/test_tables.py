"""Rows of CSV and NDJSON: read one by one, and bounded whatever is sent."""

import itertools
import time
import tracemalloc
from typing import Any

import pytest

from clew.core.errors import ContractChangedError
from clew.core.formats import DecodeError
from clew.core.response import Response
from clew.core.tables import LONGEST, MOST_COLUMNS, rows

CSV, LINES = "text/csv; charset=utf-8", "application/x-ndjson"


@pytest.mark.parametrize(
    ("content", "kind", "found"),
    [
        (b"a,b\r\n1,2\r\n\r\n3,4", CSV, [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]),
        (b'\xef\xbb\xbfa, b\n"x,\n""y""",z\n', CSV, [{"a": 'x,\n"y"', "b": "z"}]),
        (b"a\tb\n1\t2,3\n", "text/tab-separated-values", [{"a": "1", "b": "2,3"}]),
        (b"a,b\n1\n", CSV, [{"a": "1"}]),
        (b"a\ncaf\xe9\n", CSV, [{"a": "caf\N{LATIN SMALL LETTER E WITH ACUTE}"}]),
        (b"", CSV, []),
        (b'{"a": 1}\n\n[2]\r\n3', LINES, [{"a": 1}, [2], 3]),
        (b'\x1e{"a": 12345678901234567890}\n', "application/json-seq", [{"a": 12345678901234567890}]),
        (b"", "application/jsonl", []),
    ],
)
def test_rows_are_as_their_format_says(content: bytes, kind: str, found: list[Any]) -> None:
    assert list(rows(content, kind)) == found


@pytest.mark.parametrize(
    ("content", "kind", "why"),
    [
        (b"a\n1,2\n", CSV, "more values"),
        (b'a\n"x"y\n', CSV, "damaged CSV"),
        (b'a\n"x\n', CSV, "damaged CSV"),
        (b"a,a\n", CSV, "the same"),
        (b"a,\n", CSV, "without a name"),
        (",".join(f"c{number}" for number in range(MOST_COLUMNS + 1)).encode(), CSV, "too many"),
        (b'{"a": 1}\n{"a": ', LINES, "damaged JSON"),
        (b"<html>", "text/html", "neither"),
    ],
)
def test_what_is_no_table_is_refused(content: bytes, kind: str, why: str) -> None:
    with pytest.raises(DecodeError, match=why):
        list(rows(content, kind))


ENDLESS = {
    "one line": b"a,b\n" + b"x" * 50_000_000,
    "commas": b"a,b\n" + b"," * 50_000_000,
    "a quote that is not closed": b'a,b\n"' + b"x\n" * 25_000_000,
    "a row over many lines": b"a,b\n" + b'"x\n",' * 10_000_000,
    "names": b"n," * 25_000_000,
}


@pytest.mark.parametrize("attack", ENDLESS)
def test_a_row_without_end_costs_neither_memory_nor_time(attack: str) -> None:
    tracemalloc.start()
    began = time.monotonic()
    try:
        with pytest.raises(DecodeError):
            list(rows(ENDLESS[attack], CSV))
        assert tracemalloc.get_traced_memory()[1] < 80 * LONGEST
    finally:
        tracemalloc.stop()
    assert time.monotonic() - began < 10


def test_a_line_of_json_without_end_is_refused() -> None:
    with pytest.raises(DecodeError, match="a line of more than"):
        list(rows(b'["' + b"x" * (LONGEST + 1) + b'"]', LINES))


def test_a_large_export_is_read_no_further_than_needed() -> None:
    content = b"a,b\n" + b"1,2\n" * 5_000_000
    tracemalloc.start()
    try:
        assert len(list(itertools.islice(rows(content, CSV), 100))) == 100
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_an_answer_gives_its_rows_or_says_that_it_changed() -> None:
    def answer(content: bytes, kind: str) -> Response:
        return Response(200, {"content-type": kind}, content, None, None, "GET", "https://x.example/export")

    assert list(answer(b"a\n1\n", CSV).rows()) == [{"a": "1"}]
    with pytest.raises(ContractChangedError, match="neither CSV"):
        list(answer(b"<html>", "text/html").rows())
