"""Conditions on arguments, as an operator writes them."""

from typing import Any

import pytest

from clew.core.conditions import Condition, ConditionError
from clew.core.errors import ConfigurationError


def holds(name: str, text: str, **values: Any) -> bool:
    return Condition.parse(name, text).holds(values)


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("> 100", 101, True),
        ("> 100", 100, False),
        (">= 100", "100.00", True),
        ("< 0.3", 0.1 + 0.1, True),
        ("<= -5", -5, True),
        ("> 100 EUR", "120.50 eur", True),
        ("is high", "High", True),
        ("is high", "low", False),
        ("is true", True, True),
        ("is true", False, False),
        ("is 7", 7, True),
        ("in a, b", "b", True),
        ("in a, b", "c", False),
        ("not in a, b", "c", True),
        ("like *@ours.example", "ada@ours.example", True),
        ("not like *@ours.example", "ada@ours.example", False),
        ("within ours.example", "ada@ours.example", True),
        ("within ours.example", "Ada <ada@mail.ours.example>", True),
        ("outside ours.example", "ada@ours.example.evil.example", True),
        ("outside ours.example", "ada@notours.example", True),
        ("outside ours.example, theirs.example", "ada@theirs.example", False),
        ("outside ours.example", "mail.ours.example.", False),
        ("longer than 3", "four", True),
        ("longer than 4", "four", False),
        ("is b", ["a", "b"], True),
        ("outside ours.example", ["a@ours.example", "b@else.example"], True),
        ("given", "x", True),
        ("given", [], False),
        ("missing", "", True),
        ("missing", 0, False),
    ],
)
def test_a_condition_holds_or_not(text: str, value: Any, expected: bool) -> None:
    assert holds("it", text, it=value) is expected


def test_what_was_not_given_meets_no_condition_but_missing() -> None:
    assert not holds("it", "> 1")
    assert not holds("it", "outside ours.example", it=None)
    assert holds("it", "missing")


@pytest.mark.parametrize(
    ("text", "values", "why"),
    [
        ("> 1", {"it": "many"}, "is no number"),
        ("> 1", {"it": True}, "is no number"),
        ("> 1", {"it": {"currency": "EUR"}}, "is no number"),
        ("> 1 EUR", {"it": 5}, "an unknown currency"),
        ("> 1 EUR", {"it": 5, "currency": "usd"}, "in USD, not in EUR"),
        ("> 1 EUR", {"it": 5, "currency": 7}, "an unknown currency"),
        ("is a", {"it": {"a": 1}}, "is no text"),
        ("outside ours.example", {"it": "ada@"}, "is no address"),
    ],
)
def test_what_cannot_be_told_is_an_error(text: str, values: dict[str, Any], why: str) -> None:
    with pytest.raises(ConditionError, match=why):
        holds("it", text, **values)


def test_amounts_are_found_where_they_are() -> None:
    assert holds("price", "> 10 EUR", price={"value": "11", "currency": "EUR"})
    assert holds("order.total", "> 10 EUR", order={"total": 11, "currency": "eur"})
    assert not holds("order.total", "> 10 EUR", order={"total": 9, "currency": "eur"})


@pytest.mark.parametrize("text", ["", "100", "> many", "is", "in ,", "in a,,b", "= 5", "outside", "> 5 EURO"])
def test_what_is_no_condition_is_refused_with_the_ways_to_write_one(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is no condition\. Write a comparison"):
        Condition.parse("it", text)


def test_a_condition_reads_as_it_was_written() -> None:
    assert str(Condition.parse("amount", ">100 eur")) == "amount > 100 EUR"
    assert str(Condition.parse("to", "outside a.example,b.example")) == "to outside a.example, b.example"
    assert Condition.parse("preview.amount", "given").on_preview
