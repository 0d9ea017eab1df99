"""Field paths find what they name, and nothing else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.core.errors import ConfigurationError
from clew.core.fields import MISSING, as_list, as_object, as_text, look, look_all, steps, word_for

PAYLOAD: dict[str, Any] = {
    "user": {"login": "ada", "email": None},
    "items": [{"id": 1, "tags": [{"n": "x"}, {"n": "y"}]}, {"id": 2, "tags": []}],
    "@odata.nextLink": "https://example.test/2",
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("user.login", "ada"),
        ("user.email", None),
        ("items[1].id", 2),
        ("items[*].id", 1),
        ("['@odata.nextLink']", "https://example.test/2"),
        ("['user'].login", "ada"),
        ("user['login']", "ada"),
        ("user.name", MISSING),
        ("user[0]", MISSING),
        ("items.id", MISSING),
        ("items[2]", MISSING),
        ("user.login.length", MISSING),
        ("@odata.nextLink", MISSING),
    ],
)
def test_a_path_leads_to_its_value_or_to_missing(path: str, found: Any) -> None:
    assert look(PAYLOAD, path) == found


def test_a_star_branches_over_lists_at_every_level() -> None:
    assert list(look_all(PAYLOAD, "items[*].tags[*].n")) == ["x", "y"]
    assert list(look_all(PAYLOAD, "items[*].id")) == [1, 2]
    assert list(look_all([1, 2], "[*]")) == [1, 2]
    assert list(look_all({}, "items[*].id")) == []


@pytest.mark.parametrize("path", ["", ".", ".a", "a.", "a..b", "a[", "a[x]", "a[-1]", "a]", "a[0]b", "a.[0]", "['']"])
def test_a_malformed_path_is_the_authors_mistake(path: str) -> None:
    with pytest.raises(ConfigurationError, match="not a field path"):
        steps(path)


@given(st.lists(st.text(min_size=1).filter(lambda key: not set(key) & set(".[]")), min_size=1, max_size=5))
def test_plain_keys_joined_by_dots_come_apart_again(keys: list[str]) -> None:
    assert steps(".".join(keys)) == tuple(keys)
    payload: Any = 7
    for key in reversed(keys):
        payload = {key: payload}
    assert look(payload, ".".join(keys)) == 7


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (None, "null"),
        (True, "boolean"),
        (1, "number"),
        (1.5, "number"),
        ("", "string"),
        ([], "list"),
        ({}, "object"),
        (MISSING, "missing"),
        (object(), "not JSON"),
    ],
)
def test_values_are_named_in_the_words_of_json(value: Any, word: str) -> None:
    assert word_for(value) == word


@pytest.mark.parametrize("value", [None, True, False, 0, 1, 1.5, [1, "ä"], {"a": None}])
def test_values_become_text_as_json_writes_them(value: Any) -> None:
    assert json.loads(as_text(value)) == value


def test_text_stays_as_it_is() -> None:
    assert as_text('say "hi"') == 'say "hi"'


def test_objects_and_lists_are_told_apart() -> None:
    assert as_object({"a": 1}) == {"a": 1}
    assert as_object([1]) is None
    assert as_list([1]) == [1]
    assert as_list("ab") is None


def test_missing_names_itself() -> None:
    assert repr(MISSING) == "MISSING"
