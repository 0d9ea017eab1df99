"""Two recordings of one call: what has changed between them, by place and type."""

from typing import Any

import pytest

from clew.testing.exchanges import Example
from clew.testing.living import changes


def example(body: Any, status: int = 200, times: int = 1) -> Example:
    one = {"request": {"method": "GET", "path": "/x"}, "response": {"status": status, "body": body}}
    return Example("get_x", "1", {}, [one] * times, {})


@pytest.mark.parametrize(
    ("before", "after", "lines", "breaks"),
    [
        ({"a": 1}, {"a": 2}, [], False),
        ({"a": 1}, {"a": None}, [], False),
        ({"a": None}, {"a": "x"}, [], False),
        ({"a": [{"b": 1}]}, {"a": []}, [], False),
        ({"a": 1}, {"a": 1, "b": {"c": 1}}, ["b: is new: object"], False),
        ({"a": 1, "b": {"c": 1}}, {"a": 1}, ["b: is gone, and was object"], True),
        ({"a": [{"b": 1}, {"b": "x"}]}, {"a": [{"b": 1}]}, [], False),
        ({"a": [{"b": 1}]}, {"a": [{"b": "x"}]}, ["a[].b: is string, and was number"], True),
        ({"a": 1}, [1], ["the answer: is list, and was object"], True),
    ],
)
def test_shapes_are_compared_and_values_are_not(before: Any, after: Any, lines: list[str], breaks: bool) -> None:
    found = list(changes(example(before), example(after)))
    assert [each.line for each in found] == [f"GET /x: {line}" for line in lines]
    assert any(each.breaking for each in found) is breaks


def test_statuses_and_the_number_of_requests_are_compared() -> None:
    (change,) = changes(example({}), example({}, 404))
    assert (change.what, change.breaking) == ("status 404, and was 200", True)
    (change,) = changes(example({}), example({}, times=2))
    assert (change.what, change.breaking) == ("takes 2 requests, and took 1", False)
