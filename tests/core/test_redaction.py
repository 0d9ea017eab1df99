"""Of arguments only what cannot be about a person, and no secret, stays."""

from typing import Any

import pytest

from clew.core.redaction import Names, is_secret, redact

SCHEMA: dict[str, Any] = {
    "properties": {
        "state": {"enum": ["open", "a state with spaces"]},
        "tags": {"items": {"enum": ["red hot"]}},
        "Strange Field": {},
    }
}


def one(name: str, value: Any, names: Names | None = None) -> Any:
    return redact({name: value}, SCHEMA, names)[name]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("state", "a state with spaces"),
        ("repo", "pallets/flask"),
        ("ticket_id", "tic_000024"),
        ("userId", 1234567890123),
        ("count", 12),
        ("ratio", 0.5),
        ("draft", True),
        ("nothing", None),
        ("anything", "con_17"),
        ("due", "2026-11-22"),
        ("at", "2026-11-22T10:00:00Z"),
        ("anything", "123e4567-e89b-12d3-a456-426614174000"),
        ("tags", ["red hot"]),
        ("labels", ["bug", "ui"]),
    ],
)
def test_what_cannot_be_about_a_person_is_kept(name: str, value: Any) -> None:
    assert one(name, value) == value


@pytest.mark.parametrize(
    ("name", "value", "left"),
    [
        ("text", "Lovelace", "[8 characters]"),
        ("contact_id", "Lovelace", "[8 characters]"),
        ("body", "please call Ada", "[15 characters]"),
        ("email", "ada@example.com", "[15 characters]"),
        ("repo", "ada@example.com", "[15 characters]"),
        ("customer_name", "Ada", "[3 characters]"),
        ("billingEmail", "x", "[1 characters]"),
        ("phone", 493012345678, "[hidden]"),
        ("amount", 493012345678, "[hidden]"),
        ("issue", "+49 30 1234567", "[14 characters]"),
        ("number", "4111-1111-1111-1111", "[19 characters]"),
        ("id", "x" * 65, "[65 characters]"),
        ("latitude", 52.5, "[hidden]"),
        ("to", ["ada", "grace"], "[2 items]"),
        ("contact", {"id": 1}, "[1 items]"),
        ("password", "x", "[1 characters]"),
        ("api_key", "abc", "[3 characters]"),
        ("cursor", "abc", "[3 characters]"),
        ("object", object(), "[hidden]"),
        ("object", b"bytes", "[hidden]"),
    ],
)
def test_what_may_be_personal_or_secret_leaves_its_size(name: str, value: Any, left: str) -> None:
    assert one(name, value) == left


def test_a_key_in_an_innocent_field_is_hidden() -> None:
    looks_like_one = "gh" + "p_" + "a1B2" * 9
    assert one("issue", looks_like_one) == f"[{len(looks_like_one)} characters]"
    assert one("branch", "a1b2c3d4" * 4) == "[32 characters]"


def test_objects_and_lists_are_walked_to_a_depth_and_a_length() -> None:
    assert one("filter", {"id": 1, "email": "a@b.c", "Ada Lovelace": 1}) == {
        "id": 1, "email": "[5 characters]", "[12 characters]": 1,
    }  # fmt: skip
    deep: Any = {"id": 1}
    for _ in range(6):
        deep = {"in": deep}
    assert "[1 items]" in str(one("filter", deep))
    assert len(one("ids", list(range(50)))) == 20
    assert len(redact({f"x{chr(97 + n)}": n for n in range(26)}, SCHEMA)) == 20


def test_a_name_of_the_schema_is_kept_whatever_it_is() -> None:
    assert redact({"Strange Field": 1, "Ada L": 1}, SCHEMA) == {"Strange Field": 1, "[5 characters]": 1}


def test_the_operator_may_hide_more_and_show_more_but_no_secret() -> None:
    names = Names(hide=frozenset({"repo"}), show=frozenset({"text", "password", "members"}))
    assert one("repo", "pallets", names) == "[7 characters]"
    assert one("text", "hello there", names) == "hello there"
    assert one("password", "x", names) == "[1 characters]"
    assert one("members", ["ada"], names) == "[1 items]"


def test_a_name_can_be_asked_about_by_itself() -> None:
    assert is_secret("client_secret")
    assert not is_secret("customer")
