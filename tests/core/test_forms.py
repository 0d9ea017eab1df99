"""Fields of queries and forms as pairs, nested ones in brackets."""

from enum import Enum
from typing import Any
from urllib.parse import parse_qsl

import pytest

from clew.core.errors import ConfigurationError
from clew.core.forms import encoded, pairs


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("fields", "written"),
    [
        (None, []),
        ({"a": "x y", "n": 2, "f": 1.5, "yes": True, "no": False}, ["a=x y", "n=2", "f=1.5", "yes=true", "no=false"]),
        ({"a": None, "b": ""}, ["b="]),
        ({"enum": Colour.RED}, ["enum=red"]),
        ({"tag": ["a", None, "b"], "expand[]": ["x"]}, ["tag=a", "tag=b", "expand[]=x"]),
        ({"tag": []}, []),
        ({"m": {"k": "v", "none": None}}, ["m[k]=v"]),
        ({"m": {"list": ["a", "b"]}}, ["m[list][0]=a", "m[list][1]=b"]),
        ({"i": [{"p": 1, "d": {"on": True}}, {"p": 2}]}, ["i[0][p]=1", "i[0][d][on]=true", "i[1][p]=2"]),
        ({"i": [["a"], "b"]}, ["i[0][0]=a", "i[1]=b"]),
        ({"i": [None, {"p": 1}]}, ["i[0][p]=1"]),
    ],
)
def test_fields_are_written_as_pairs_in_their_order(fields: Any, written: list[str]) -> None:
    assert [f"{name}={value}" for name, value in pairs(fields)] == written


def test_a_body_is_percent_encoded_and_reads_back() -> None:
    form = {"line_items": [{"name": "Ü & =", "a[b]": "1"}]}
    body = encoded(form).decode()
    assert "[" not in body
    assert parse_qsl(body) == [("line_items[0][name]", "Ü & ="), ("line_items[0][a[b]]", "1")]


@pytest.mark.parametrize("value", [b"x", object(), {1, 2}, [b"x"]])
def test_what_has_no_writing_is_the_authors_mistake(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="the field x holds a "):
        pairs({"x": value})
