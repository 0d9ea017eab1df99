"""SOQL: what a value says is never read as a query, whatever it says."""

import random
from datetime import UTC, datetime

import pytest

from clew.connectors.salesforce.soql import bound, literal, quoted, selected
from clew.core.errors import InvalidInputError

PARTS = (
    "'", "\\", "\\'", "''", "%", "_", "\n", "\t", "\r", ":name", ":other", " OR Name != ", ")", "(", "--", "/*", ";",
    "LIMIT 1", "\u2019", "\uff07", "\\u0027", "é", "\u2028", "O'Brien", "' OR Id != '", "FOR UPDATE", "{", "a",
)  # fmt: skip
UNESCAPED = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


def read(soql: str) -> tuple[str, list[str]]:
    """A query as a reader of SOQL sees it, who knows of quotes and backslashes alone: its text, and its literals."""
    text, literals, at = "", list[str](), 0
    while at < len(soql):
        if soql[at] != "'":
            text, at = text + soql[at], at + 1
            continue
        said, at = "", at + 1
        while soql[at] != "'":
            if soql[at] == "\\":
                at += 1
                said += UNESCAPED.get(soql[at], soql[at])
            else:
                said += soql[at]
            at += 1
        at, text = at + 1, text + "?"
        literals.append(said)
    return text, literals


@pytest.mark.parametrize("seed", range(50))
def test_what_a_value_says_stays_a_value(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(40):
        name, other, part = ("".join(chance.choices(PARTS, k=chance.randint(0, 8))) for _ in range(3))
        soql = "SELECT Id FROM Account WHERE Name = :name AND Site IN :others AND Phone LIKE :%part% LIMIT 5"
        sent = bound(soql, {"name": name, "others": [other, other], "part": part})
        text, literals = read(sent)
        assert text == "SELECT Id FROM Account WHERE Name = ? AND Site IN (?, ?) AND Phone LIKE ? LIMIT 5"
        assert literals == [name, other, other, f"%{part}%"]


@pytest.mark.parametrize("text", ["100%", "a_b", "%", "\\%", "50\\_"])
def test_wildcards_of_a_value_are_plain_characters(text: str) -> None:
    inner = quoted(text, like=True)[1:-1]
    wild = inner.replace("\\\\", "").replace("\\%", "").replace("\\_", "")
    assert "%" not in wild
    assert "_" not in wild
    assert bound("SELECT Id FROM A WHERE N LIKE :n", {"n": text}).endswith(f"LIKE '{inner}'")


def test_values_are_written_as_their_kind() -> None:
    moment = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
    values = [True, False, None, 5, -1.5, 1e21, 2.0, "5", moment, ["a", 1]]
    assert [literal(each) for each in values] == [
        "true", "false", "null", "5", "-1.5", "1000000000000000000000", "2.0", "'5'", "2026-01-31T09:30:00Z",
        "('a', 1)",
    ]  # fmt: skip
    assert literal(1e-7) == "0.0000001"


@pytest.mark.parametrize("value", [float("nan"), [], [["a"]], {"a": 1}, "a\x00", "\ud800", b"a"])
def test_what_has_no_writing_is_refused(value: object) -> None:
    with pytest.raises(InvalidInputError):
        literal(value)


def test_a_limit_in_a_value_is_no_limit() -> None:
    assert selected("SELECT Id FROM A WHERE N = :n", {"n": "x LIMIT 5"}, 3).endswith("'x LIMIT 5' LIMIT 3")
    inner = "SELECT Id, (SELECT Id FROM Bs LIMIT 1) FROM A"
    assert selected(inner, {}, 3) == f"{inner} LIMIT 3"
