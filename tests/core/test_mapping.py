"""The provider's payload in our shape, or an error that names the provider's field."""

from datetime import datetime
from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, BaseModel, Field

from clew.core.errors import ConfigurationError, ContractChangedError, Outcome
from clew.core.mapping import From, read


class Label(BaseModel):
    name: Annotated[str, From("title")]


class Author(BaseModel):
    login: Annotated[str, Field(min_length=1)]
    mail: Annotated[str | None, Field(max_length=99), From("contact.email")] = None


class Note(BaseModel):
    id: int
    text: Annotated[str, From("body.text", "body", "content")]
    author: Author
    editor: Annotated[Author | None, From("edited_by")] = None
    labels: list[Label] = []
    names: Annotated[list[str], From("labels[*].title")] = []
    raw: Annotated[list[Any], From("tags[*]")] = []
    state: Literal["open", "closed"] = "open"
    by_name: dict[str, Label] = {}
    marked: list[Annotated[Label, Field(description="x")]] = []
    first: Annotated[str | None, From("labels[0].title")] = None
    link: Annotated[str | None, From("['@id']")] = None


WHOLE: dict[str, Any] = {
    "id": 7,
    "body": {"text": "hello"},
    "author": {"login": "ada", "contact": {"email": "ada@example.test"}, "more": "ignored"},
    "edited_by": {"login": "grace"},
    "labels": [{"title": "bug", "colour": "red"}, {"title": "new"}],
    "tags": ["a", 1],
    "state": "closed",
    "by_name": {"x": {"title": "bug"}},
    "marked": [{"title": "late"}],
    "@id": "urn:7",
    "added_later": {"is": "fine"},
}


def test_a_payload_becomes_the_model_whatever_else_it_holds() -> None:
    note = read(Note, WHOLE)
    assert note.model_dump() == {
        "id": 7,
        "text": "hello",
        "author": {"login": "ada", "mail": "ada@example.test"},
        "editor": {"login": "grace", "mail": None},
        "labels": [{"name": "bug"}, {"name": "new"}],
        "names": ["bug", "new"],
        "raw": ["a", 1],
        "state": "closed",
        "by_name": {"x": {"name": "bug"}},
        "marked": [{"name": "late"}],
        "first": "bug",
        "link": "urn:7",
    }


def test_lists_maps_and_plain_types_are_mapped_too() -> None:
    assert [label.name for label in read(list[Label], [{"title": "a"}, {"title": "b"}])] == ["a", "b"]
    assert read(dict[str, Label], {"x": {"title": "a"}})["x"].name == "a"
    assert read(Label | None, None) is None  # type: ignore[arg-type]  # a union is no type[T], and works
    assert read(int, 5) == 5
    assert read(dict[str, Any], {"a": None}) == {"a": None}
    either: type[Any] = int | str  # type: ignore[assignment]
    assert read(either, "x") == "x"


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ({"body": {"text": "one"}, "content": "three"}, "one"),
        ({"body": "two", "content": "three"}, "two"),
        ({"body": {}, "content": "three"}, "three"),
        ({"content": "three"}, "three"),
    ],
)
def test_of_several_places_the_first_that_is_there_counts(payload: dict[str, Any], text: str) -> None:
    class Text(BaseModel):
        text: Annotated[str, From("body.text", "content")]

    class Plain(BaseModel):
        text: Annotated[str, From("body", "content")]

    kind: type[Plain] | type[Text] = Plain if payload.get("body") == "two" else Text
    assert read(kind, payload).text == text


def test_null_is_there_and_stops_the_search() -> None:
    class Either(BaseModel):
        value: Annotated[str | None, From("a", "b")]

    assert read(Either, {"a": None, "b": "x"}).value is None


def test_null_means_the_default_where_null_is_not_allowed() -> None:
    class Defaulted(BaseModel):
        labels: list[str] = ["none"]
        names: Annotated[list[str], From("people[*].name")] = []
        count: int | None = 5

    assert read(Defaulted, {"labels": None, "people": None, "count": None}) == Defaulted(count=None)


def test_a_star_collects_over_lists_at_every_level() -> None:
    class Deep(BaseModel):
        ids: Annotated[list[int], From("groups[*].people[*].id")]

    groups: list[Any] = [{"people": [{"id": 1}, {"id": 2}]}, {"people": []}, {"people": [{"id": 3}]}]
    assert read(Deep, {"groups": groups}).ids == [1, 2, 3]
    with pytest.raises(ContractChangedError, match="is missing"):
        read(Deep, {"groups": [{"people": [{"id": 1}]}, {}]})


def fault(kind: type[Any], payload: Any) -> str:
    with pytest.raises(ContractChangedError) as caught:
        read(kind, payload)
    ((place, why),) = caught.value.fields.items()
    assert caught.value.message == f"the provider's answer changed its shape: {place} {why}."
    return f"{place} {why}"


def changed(**fields: Any) -> dict[str, Any]:
    return {**WHOLE, **fields}


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (changed(id=None), "id is null, not a number"),
        (changed(id=[]), "id is list, not a number"),
        (changed(id={}), "id is object, not a number"),
        (changed(id="x"), "id is string: input should be a valid integer, unable to parse string as an integer"),
        (changed(id=1.5), "id is number: input should be a valid integer, got a number with a fractional part"),
        (changed(body={"text": 5}), "body.text is number, not a string"),
        (changed(body={"text": True}), "body.text is boolean, not a string"),
        (changed(author=None), "author is null, not an object"),
        (changed(author="ada"), "author is string, not an object"),
        (changed(author={}), "author.login is missing"),
        (changed(author={"login": "a", "contact": {"email": 5}}), "author.contact.email is number, not a string"),
        (changed(edited_by={"name": "g"}), "edited_by.login is missing"),
        (changed(state="merged"), "state is string: input should be 'open' or 'closed'"),
        (changed(by_name=[]), "by_name is list, not an object"),
        (changed(by_name={"x": {}}), "by_name['x'].title is missing"),
        (changed(marked=[{}]), "marked[0].title is missing"),
        ([], "the answer is list, not an object"),
        (None, "the answer is null, not an object"),
        ("<html>", "the answer is string, not an object"),
    ],
)
def test_a_changed_payload_is_named_by_the_providers_field_in_words_of_json(payload: Any, says: str) -> None:
    assert fault(Note, payload) == says


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ({}, "labels is object, not a list"),
        (["bug"], "labels[0] is string, not an object"),
        ([{"title": "ok"}, {"title": None}], "labels[1].title is null, not a string"),
    ],
)
def test_a_changed_item_is_named_by_its_place_in_the_list(labels: Any, says: str) -> None:
    class Labelled(BaseModel):
        labels: list[Label]

    assert fault(Labelled, {"labels": labels}) == says


def test_a_list_that_lost_a_field_does_not_lose_entries_unseen() -> None:
    class Names(BaseModel):
        names: Annotated[list[str], From("people[*].name")]

    assert fault(Names, {"people": [{"name": "a"}, {}]}) == "people[*].name[1] is missing"
    assert fault(Names, {}) == "people[*].name is missing"
    assert fault(Names, {"people": {"name": "a"}}) == "people[*].name is object, not a list"


def test_at_most_five_fields_are_named() -> None:
    class Many(BaseModel):
        a: int
        b: int
        c: int
        d: int
        e: int
        f: int

    with pytest.raises(ContractChangedError) as caught:
        read(Many, {})
    assert list(caught.value.fields) == ["a", "b", "c", "d", "e"]


def test_a_hostile_key_or_value_cannot_write_into_the_error() -> None:
    key = "x'\n\x1b[2Jnext: obey"
    with pytest.raises(ContractChangedError) as caught:
        read(dict[str, int], {key: "secret value"})
    assert caught.value.message.isprintable()
    assert "secret value" not in caught.value.as_text()

    class Forbidding(BaseModel, extra="forbid"):
        a: int = 0
        when: datetime | None = None

    with pytest.raises(ContractChangedError) as caught:
        read(Forbidding, {"when": "secret\nvalue"})
    assert caught.value.message.isprintable()
    assert "secret" not in caught.value.as_text()


def test_the_authors_own_validator_speaks_in_the_error() -> None:
    def even(value: int) -> int:
        if value % 2:
            raise ValueError("must be\neven")
        return value

    assert (
        fault(dict[str, Annotated[int, AfterValidator(even)]], {"n": 3}) == "['n'] is number: value error, must be even"
    )


def test_other_unions_are_named_by_place() -> None:
    class Either(BaseModel):
        value: Annotated[int | list[int], From("v")]

    with pytest.raises(ContractChangedError) as caught:
        read(Either, {"v": {}})
    assert list(caught.value.fields) == ["v.int", "v.list[int]"]


def test_the_outcome_of_a_write_that_was_answered_stays_applied() -> None:
    with pytest.raises(ContractChangedError) as caught:
        read(Label, {}, outcome=Outcome.APPLIED)
    assert caught.value.outcome is Outcome.APPLIED


def test_a_malformed_path_is_found_when_the_module_is_loaded() -> None:
    with pytest.raises(ConfigurationError, match="not a field path"):
        From("user..login")
    assert repr(From("a", "b[0]")) == "From('a', 'b[0]')"
