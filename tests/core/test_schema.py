"""What hosts are shown is portable, what comes in is checked against it, what goes out is valid by it."""

import enum
import json
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

from clew.core.errors import ConfigurationError, InvalidInputError
from clew.core.fields import as_list, as_object
from clew.core.schema import Signature, portable


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Address(BaseModel):
    """Where somebody lives."""

    city: Annotated[str, Field(description="The town.")]
    zip: str | None = None


class Person(BaseModel):
    name: str
    address: Address
    former: list[Address] = []
    home: Address | None = None


def signature(function: Any) -> Signature:
    return Signature(function, function.__name__)


def keys_of(schema: Any) -> set[str]:
    """Every keyword anywhere in a schema, but for the names of properties and what stands in defaults."""
    found: set[str] = set()
    for each in as_list(schema) or []:
        found |= keys_of(each)
    for key, value in (as_object(schema) or {}).items():
        found.add(key)
        if key == "properties":
            found |= keys_of(list(value.values()))
        elif key != "default":
            found |= keys_of(value)
    return found


def validator(schema: dict[str, Any]) -> Any:
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


async def everything(
    api: object,
    text: str,
    count: Annotated[int, Field(ge=1, le=9, description="How many.")],
    person: Person,
    colour: Colour,
    state: Literal["open", "closed"],
    only: Literal["one"],
    people: list[Person],
    extra: dict[str, Any],
    pair: tuple[int, Address],
    when: datetime,
    either: int | str,
    cursor: str | None = None,
    tags: list[str] | None = None,
    nothing: Literal["a", None] = None,
    favourite: Colour = Colour.BLUE,
    limit: int = 30,
    flag: bool = False,
) -> None:
    """Everything."""


def test_the_input_schema_of_every_type_is_portable() -> None:
    schema = signature(everything).input_schema
    validator(schema)
    assert schema["type"] == "object"
    assert not keys_of(schema) & {"$ref", "$defs", "title", "const", "discriminator"}
    assert "null" not in json.dumps(schema)
    assert "api" not in schema["properties"]
    assert schema["additionalProperties"] is False
    required = "text count person colour state only people extra pair when either"
    assert schema["required"] == required.split()


def test_the_input_schema_keeps_what_a_model_needs_to_know() -> None:
    properties = signature(everything).input_schema["properties"]
    address = {
        "description": "Where somebody lives.",
        "type": "object",
        "properties": {"city": {"type": "string", "description": "The town."}, "zip": {"type": "string"}},
        "required": ["city"],
    }
    assert properties["count"] == {"type": "integer", "minimum": 1, "maximum": 9, "description": "How many."}
    assert properties["colour"] == {"enum": ["red", "blue"], "type": "string"}
    assert properties["state"] == {"enum": ["open", "closed"], "type": "string"}
    assert properties["only"] == {"enum": ["one"], "type": "string"}
    assert properties["nothing"] == {"enum": ["a"]}
    assert properties["favourite"] == {"enum": ["red", "blue"], "type": "string", "default": "blue"}
    assert properties["limit"] == {"type": "integer", "default": 30}
    assert properties["cursor"] == {"type": "string"}
    assert properties["tags"] == {"type": "array", "items": {"type": "string"}}
    assert properties["person"]["properties"]["home"] == address
    assert properties["people"]["items"]["properties"]["address"] == address
    assert properties["person"]["required"] == ["name", "address"]
    assert properties["pair"]["prefixItems"] == [{"type": "integer"}, address]
    assert properties["extra"] == {"type": "object", "additionalProperties": True}
    assert properties["either"] == {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    assert properties["when"] == {"type": "string", "format": "date-time"}


def test_a_tool_without_arguments_still_has_an_object() -> None:
    async def ping(api: object) -> None: ...

    assert signature(ping).input_schema == {"type": "object", "properties": {}, "additionalProperties": False}
    assert signature(ping).check({}) == {}


class Node(BaseModel):
    children: "list[Node]" = []


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Pet(BaseModel):
    """Told apart by kind."""

    pet: Annotated[Cat | Dog, Field(discriminator="kind")]


def test_a_recursive_type_is_refused_and_named() -> None:
    async def take(api: object, node: Node) -> None: ...

    async def give(api: object) -> Node: ...  # type: ignore[empty-body]

    with pytest.raises(ConfigurationError, match="tool take: Node contains itself"):
        _ = signature(take).input_schema
    with pytest.raises(ConfigurationError, match="result of tool give: Node contains itself"):
        _ = signature(give).output_schema


def test_a_discriminated_union_keeps_its_choices_and_loses_its_references() -> None:
    schema = portable(Pet.model_json_schema(), where="x")
    assert not keys_of(schema) & {"$ref", "discriminator"}
    assert [each["properties"]["kind"]["enum"] for each in schema["properties"]["pet"]["oneOf"]] == [["cat"], ["dog"]]


def test_what_is_said_at_a_parameter_wins_over_the_types_own_words() -> None:
    async def move(
        api: object,
        to: Annotated[Address, Field(description="The new one.")],
        back: Annotated[Address | None, Field(description="The old one.")] = None,
    ) -> None: ...

    properties = signature(move).input_schema["properties"]
    assert (properties["to"]["description"], properties["back"]["description"]) == ("The new one.", "The old one.")


GIVEN: dict[str, Any] = {
    "text": "x",
    "count": 3,
    "person": {"name": "Ada", "address": {"city": "London"}},
    "colour": "red",
    "state": "open",
    "only": "one",
    "people": [],
    "extra": {"a": [1, None]},
    "pair": [1, {"city": "Rome"}],
    "when": "2026-11-22T10:00:00Z",
    "either": "x",
}


def test_checked_arguments_are_typed_and_complete() -> None:
    typed = signature(everything).check(GIVEN)
    assert list(typed) == list(signature(everything).parameters)
    assert typed["colour"] is Colour.RED
    assert typed["favourite"] is Colour.BLUE
    assert typed["person"] == Person(name="Ada", address=Address(city="London"))
    assert typed["pair"] == (1, Address(city="Rome"))
    assert typed["when"].year == 2026
    assert (typed["cursor"], typed["limit"]) == (None, 30)


def test_null_counts_as_not_given() -> None:
    typed = signature(everything).check({**GIVEN, "cursor": None, "limit": None})
    assert (typed["cursor"], typed["limit"]) == (None, 30)


def test_objects_and_lists_may_come_as_json_text() -> None:
    text = {key: json.dumps(GIVEN[key]) for key in ("person", "people", "extra", "pair")}
    assert signature(everything).check({**GIVEN, **text}) == signature(everything).check(GIVEN)
    empty = signature(everything).check({**GIVEN, "extra": "{}", "tags": "[]"})
    assert (empty["extra"], empty["tags"]) == ({}, [])


@pytest.mark.parametrize("text", ["", "x", "[1]", "{", '"x"', "null", "[" * 100_000, '{"a": NaN}'])
def test_json_text_of_another_kind_is_an_invalid_argument(text: str) -> None:
    with pytest.raises(InvalidInputError, match="is not of type 'object'") as caught:
        signature(everything).check({**GIVEN, "extra": text})
    assert len(caught.value.as_text()) < 1500


def test_json_text_for_a_string_stays_text() -> None:
    assert signature(everything).check({**GIVEN, "text": "[1]"})["text"] == "[1]"


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"text": 5}, "text", "5 is not of type 'string'"),
    ({"text": None}, "arguments", "'text' is a required property"),
    ({"count": "3"}, "count", "'3' is not of type 'integer'"),
    ({"count": True}, "count", "True is not of type 'integer'"),
    ({"count": 10}, "count", "10 is greater than the maximum of 9"),
    ({"state": "merged"}, "state", "'merged' is not one of ['open', 'closed']"),
    ({"person": {"name": "Ada"}}, "person", "'address' is a required property"),
    ({"person": {"name": "Ada", "address": {"city": 5}}}, "person/address/city", "5 is not of type 'string'"),
    ({"people": [{}]}, "people/0", "'name' is a required property, 'address' is a required property"),
    ({"when": "yesterday"}, "when", "Input should be a valid datetime or date, input is too short"),
    ({"surprise": 1}, "arguments", "Additional properties are not allowed ('surprise' was unexpected)"),
    ({"text": "a\ud800"}, "arguments", "broken text"),
    ({"extra": {"deep": ["\udfff"]}}, "arguments", "broken text"),
    ({"extra": {"n": float("nan")}}, "arguments", "not finite"),
    ({"extra": {"n": float("inf")}}, "arguments", "not finite"),
]


@pytest.mark.parametrize(("change", "place", "says"), WRONG)
def test_a_wrong_argument_is_named_by_its_place(change: dict[str, Any], place: str, says: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        signature(everything).check({**GIVEN, **change})
    assert says.replace('"', "'") in caught.value.fields[place]
    assert caught.value.message.startswith("the arguments of everything are not valid: ")
    assert place in caught.value.message


def test_a_bottomless_argument_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidInputError, match="nested too deeply"):
        signature(everything).check({**GIVEN, "extra": {"a": deep}})


def test_several_missing_arguments_are_all_named() -> None:
    with pytest.raises(InvalidInputError) as caught:
        signature(everything).check({"text": "x", "count": 1, "person": {}, "colour": "red", "state": "open"})
    assert "'name' is a required property" in caught.value.message
    assert "'only' is a required property" in caught.value.message
    assert len(caught.value.fields) == 2


def test_hostile_argument_names_and_values_stay_on_one_line() -> None:
    with pytest.raises(InvalidInputError) as caught:
        signature(everything).check({**GIVEN, "x\nnext: obey\x1b[2J": 1, "text": ["\n" * 50]})
    assert caught.value.message.isprintable()
    assert all(line.isprintable() for line in caught.value.as_text().splitlines())


EVERYTHING = signature(everything)
ANYTHING = st.none() | st.integers() | st.text() | st.lists(st.integers())


@given(st.dictionaries(st.sampled_from([*GIVEN, "cursor", "x"]), ANYTHING))
def test_no_arguments_end_in_anything_but_values_or_an_invalid_input_error(arguments: dict[str, Any]) -> None:
    with suppress(InvalidInputError):
        assert set(EVERYTHING.check(arguments)) == set(EVERYTHING.parameters)


def test_a_nullable_parameter_without_default_may_be_left_out() -> None:
    async def find(
        api: object, a: str | None, b: Annotated[int | None, Field(ge=1)], c: Literal["x", None], d: Any, e: None
    ) -> None: ...

    assert signature(find).input_schema.get("required") is None
    assert signature(find).check({}) == {"a": None, "b": None, "c": None, "d": None, "e": None}
    assert signature(find).check({"b": 2})["b"] == 2


@pytest.mark.filterwarnings("error")
def test_parameters_may_have_names_that_pydantic_uses_itself() -> None:
    async def odd(api: object, schema: str, copy: int, json: str, self: str, model_id: int) -> None: ...

    given = {"schema": "s", "copy": 1, "json": "j", "self": "x", "model_id": 2}
    assert signature(odd).check(given) == given


class Opaque:
    pass


def no_api() -> None: ...
def other_first(apis: object) -> None: ...
def no_return(api: object): ...  # type: ignore[no-untyped-def]
def no_hint(api: object, x) -> None: ...  # type: ignore[no-untyped-def] # pyright: ignore
def stars(api: object, *x: int) -> None: ...
def double_stars(api: object, **x: int) -> None: ...
def unresolved(api: object, x: "Nowhere") -> None: ...  # type: ignore[name-defined] # noqa: F821 # pyright: ignore
def unresolved_attribute(api: object, x: "enum.Nowhere") -> None: ...  # type: ignore[name-defined] # pyright: ignore
def underscored(api: object, _x: int) -> None: ...
def protected(api: object, model_dump: int) -> None: ...
def configured(api: object, model_config: int) -> None: ...
def opaque(api: object, x: Opaque) -> None: ...
def gives_opaque(api: object) -> Opaque: ...  # type: ignore[empty-body] # pyright: ignore


NO_TOOLS: list[tuple[Any, str]] = [
    (no_api, "the first parameter must be `api`"),
    (other_first, "the first parameter must be `api`"),
    (no_return, "annotate what it returns"),
    (no_hint, "annotate the parameter x"),
    (stars, "have no schema"),
    (double_stars, "have no schema"),
    (unresolved, "cannot be resolved: name 'Nowhere' is not defined"),
    (unresolved_attribute, "cannot be resolved"),
    (underscored, "the parameter _x needs another name"),
    (protected, "model_dump"),
    (configured, "the parameter model_config needs another name"),
    (opaque, "has no schema"),
    (gives_opaque, "has no schema"),
]


@pytest.mark.parametrize(("function", "says"), NO_TOOLS, ids=lambda each: getattr(each, "__name__", ""))
def test_a_function_that_cannot_be_a_tool_is_the_authors_mistake(function: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        _ = Signature(function, "t").input_schema, Signature(function, "t").output_schema
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("tool t: ")
