# ruff: noqa: RUF001 - look-alike letters are what this is about
"""Text that reads as something else than it is."""

import pytest

from clew.core.lookalikes import disguised, hidden, marked, scripts, stacked, turned, unseen


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain  text\n here", "plain text here"),
        ("pay\u200bpal", "pay‹U+200B›pal"),
        ("a\u202eb", "a‹U+202E›b"),
        ("a\x1b[2Jb", "a‹U+001B›[2Jb"),
        ("a\x85b", "a‹U+0085›b"),
        ("a\u2028b\u00a0c", "a b c"),
        ("a\u3164b", "a‹U+3164›b"),
        ("a\ufe0fb", "a‹U+FE0F›b"),
        ("\u2764\ufe0f \U0001f468\u200d\U0001f469", "\u2764 \U0001f468\U0001f469"),
        ("\u200dx", "‹U+200D›x"),
        ("a\U000e0041b", "a‹U+E0041›b"),
        ("a\U000e0101", "a‹U+E0101›"),
        ("Größe Straße", "Größe Straße"),
    ],
)
def test_what_nobody_would_see_is_marked(text: str, shown: str) -> None:
    assert marked(text) == shown
    assert shown.isprintable()


def test_hidden_characters_are_named_once() -> None:
    assert hidden("a\u200bb\u200bc") == ["U+200B zero width space"]
    assert hidden("a\x1bb") == ["U+001B a control character"]
    assert hidden("plain") == hidden("Größe \u2764\ufe0f") == []
    assert not unseen(" ")
    assert not unseen("\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("раypal", [("раypal", "paypal")]),
        ("ada@раураl.com", [("ada@раураl.com", "ada@paypal.com")]),
        ("ѕсоре", [("ѕсоре", "scope")]),
        ("\uff30\uff41\uff59", [("\uff30\uff41\uff59", "Pay")]),
        ("\U0001d40f\U0001d41a\U0001d432 me", [("\U0001d40f\U0001d41a\U0001d432", "Pay")]),
        ("mıcrosoft", [("mıcrosoft", "microsoft")]),
        ("go to xn--80ak6aa92e.com", [("xn--80ak6aa92e", "аррӏе")]),
        ("xn--99999999", [("xn--99999999", "nothing that can be read")]),
    ],
)
def test_words_that_read_as_others_are_found(text: str, words: list[tuple[str, str]]) -> None:
    assert disguised(text) == words


@pytest.mark.parametrize(
    "honest",
    [
        "plain text",
        "Größe, café, naïve",
        "сахар и соль",
        "Москва",
        "kapı açık",
        "10 µm",
        "x² + 1º",
        "日本語 text",
        "а",
        "Ω",
    ],
)
def test_words_that_only_are_foreign_are_left_alone(honest: str) -> None:
    assert disguised(honest) == []


def test_scripts_are_named() -> None:
    assert scripts("раypal") == "Cyrillic"
    assert scripts("аα") == "Cyrillic and Greek"
    assert scripts("\ue000") == "other"


def test_direction_and_piles_are_seen() -> None:
    assert turned("100 \u05d0\u05dc\u05e3")
    assert not turned("Größe")
    assert not turned("100")
    assert stacked("a" + "\u0301" * 6)
    assert not stacked("e\u0301e\u0301")
    assert not stacked("plain")
