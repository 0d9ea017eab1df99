"""What rules and hooks may look at."""

from typing import Any

import pytest

from clew.core.response import Headers, Response


def answer(data: Any = None, content: bytes = b"") -> Response:
    return Response(200, {}, content, data, None, "GET", "https://acme.example/")


@pytest.mark.parametrize(
    ("data", "text"),
    [({"a": "x"}, "x"), ({"a": 7}, "7"), ({"a": True}, "true"), ({"a": [1]}, "[1]"), ({"a": None}, None), ({}, None)],
)
def test_a_field_is_text_as_json_writes_it_or_nothing(data: Any, text: str | None) -> None:
    assert answer(data).field("a") == text


def test_the_text_is_capped_and_survives_broken_bytes() -> None:
    assert len(answer(content=b"x" * 30_000).text) == 20_000
    assert answer(content=b"caf\xe9").text == "caf\N{REPLACEMENT CHARACTER}"


def test_headers_are_found_in_any_case_and_repeated_ones_are_joined() -> None:
    headers = Headers([(b"Retry-After", b"3"), (b"retry-after", b"4"), (b"x-name", "é".encode()), (b"x-old", b"\xe9")])
    assert headers["RETRY-after"] == "3, 4"
    assert (headers.get("X-Name"), headers.get("x-old"), headers.get("x-none"), headers.get("x", "-")) == (
        "é",
        "é",
        None,
        "-",
    )
    assert "X-NAME" in headers
    number: object = 7
    assert number not in headers
    assert (list(headers), len(headers)) == (["retry-after", "x-name", "x-old"], 3)
