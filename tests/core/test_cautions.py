# ruff: noqa: RUF001 - look-alike letters are what this is about
"""What a person is told before believing a value."""

from typing import Any

import pytest

from clew.core.cautions import SHOWN, cautions, shown


def test_a_value_is_shown_on_one_line_and_its_length_is_said_when_it_is_cut() -> None:
    assert shown('say "hi"\nthere') == "say 'hi' there"
    assert shown({"a": ["b\u200b"]}) == "{'a': ['b‹U+200B›']}"
    assert shown("x" * 500).endswith("… [500 characters in all]")
    assert shown(" " * 5000).endswith("… [5000 characters in all]")
    assert shown("x" * SHOWN) == "x" * SHOWN


def test_honest_values_cause_no_warning() -> None:
    honest = {
        "title": "It breaks when a < b && c > d", "body": "See https://docs.example/a?b=c, * one\n* two _x_", "n": 5,
        "list": ["a", {"b": "Größe"}], "none": None, "name": "Jürgen \u2764\ufe0f", "mail": "ada@acme.example", "e": "",
    }  # fmt: skip
    assert cautions(honest) == []


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("a\x1b[2Jb", "control characters"),
        ("a\x9b1A", "control characters"),
        ("a\u200bb", "nobody sees (U+200B zero width space)"),
        ("раypal", "has Cyrillic letters and reads as paypal"),
        ("xn--80ak6aa92e.com", "is a coded name and reads as аррӏе"),
        ("\u05d0\u05dc\u05e3 100", "right to left"),
        ("a" + "\u0301" * 6, "piles marks"),
        ("[ok](https://evil.example)", "Markdown or HTML"),
        ("![x](https://evil.example/a.png)", "Markdown or HTML"),
        ("<details>x</details>", "Markdown or HTML"),
        ("&#60;b&gt;", "Markdown or HTML"),
        ("line\n# Approved", "Markdown or HTML"),
        ("**safe**", "Markdown or HTML"),
        ("https://acme.example@evil.example/x", "leads to evil.example, not to acme.example"),
        ("https://[bad/x", "an address that cannot be read"),
        ("x" * 401, "longer than what is shown (401 characters)"),
    ],
)
def test_each_way_to_mislead_has_its_sentence(value: str, said: str) -> None:
    (sentence,) = cautions({"title": value})
    assert sentence.startswith("title")
    assert said in sentence
    assert sentence.replace(value, "").isprintable()


def test_values_and_names_deep_inside_are_looked_at() -> None:
    deep: Any = "a\u200bb"
    for _ in range(12):
        deep = {"in": [deep]}
    assert len(cautions({"x": deep})) == 1
    assert "x.in holds" in cautions({"x": {"in": ["a\u200b"]}})[0]
    assert cautions({"x": {"n\u0430me": 1}}) == ["a name in x: n\u0430me has Cyrillic letters and reads as name"]
    assert cautions({"n\u0430me": 1}) == ["a name: n\u0430me has Cyrillic letters and reads as name"]
    assert cautions({"": ["a\u200b"]})[0].startswith("value holds")


def test_a_flood_of_warnings_is_cut() -> None:
    found = cautions({f"field_{n}": "a\u200b" for n in range(20)})
    assert len(found) == 9
    assert found[-1] == "and 12 warnings more"
