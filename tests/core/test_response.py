"""What rules and hooks may look at."""

from typing import Any

import pytest

from clew.core.response import Response


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
