"""What goes out is valid by the output schema that was promised, and what a tool says of itself holds."""

import enum
import json
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from jsonschema import Draft202012Validator
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, RootModel, computed_field
from typing_extensions import TypedDict

from clew.core.fields import as_list, as_object
from clew.core.pages import Page
from clew.core.schema import Signature


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


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


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


class Mixed(BaseModel):
    """All that can be null in an answer, at every depth."""

    id: int
    note: str | None = None
    owner: Address | None
    any: Any
    list_of_maybe: list[int | None] = []
    map_of_maybe: dict[str, str | None] = {}
    pair: tuple[int | None, Address] = (None, Address(city="x"))
    choice: Literal["a", None] = None
    amount: Decimal = Decimal("1.10")
    day: date = date(2026, 1, 2)
    colour: Colour = Colour.RED
    nested: "list[Mixed2]" = []

    @computed_field  # type: ignore[prop-decorator]
    @property
    def size(self) -> int:
        return 3


class Mixed2(BaseModel):
    model_config = ConfigDict(extra="forbid")
    of: Page[Address]
    maybe: "Maybe"


class Maybe(RootModel[int | None]):
    pass


class ResultModel(BaseModel):
    result: int


class Typed(TypedDict, total=False):
    a: int
    b: str | None


@dataclass
class Data:
    a: int
    b: str | None = None


MIXED = Mixed(
    id=1,
    owner=None,
    any=None,
    list_of_maybe=[1, None],
    map_of_maybe={"a": None, "b": "x"},
    nested=[Mixed2(of=Page[Address](items=[Address(city="Rome")]), maybe=Maybe(None))],
)


@pytest.mark.parametrize(
    ("returns", "value", "plain"),
    [
        (None, None, {"done": True}),
        (type(None), None, {"done": True}),
        (None, "ignored", {"done": True}),
        (str, "x", {"result": "x"}),
        (str | None, None, {}),
        (str | None, "x", {"result": "x"}),
        (int, 3, {"result": 3}),
        (bool, False, {"result": False}),
        (list[str], ["a"], {"result": ["a"]}),
        (list[Address], [Address(city="Rome")], {"result": [{"city": "Rome"}]}),
        (list[int | None], [1, None], {"result": [1, None]}),
        (list[int] | None, None, {}),
        (dict[str, Any], {"a": None, "b": [None]}, {"a": None, "b": [None]}),
        (dict[str, int | None], {"a": None}, {"a": None}),
        (Any, None, {}),
        (Any, {"x": 1}, {"result": {"x": 1}}),
        (Address, Address(city="Rome"), {"city": "Rome"}),
        (Address, {"city": "Rome"}, {"city": "Rome"}),
        (Address | None, None, {}),
        (Address | None, Address(city="Rome"), {"result": {"city": "Rome"}}),
        (Annotated[Address, Field(description="x")], Address(city="Rome", zip="1"), {"city": "Rome", "zip": "1"}),
        (Page[Address], Page[Address](items=[Address(city="Rome")]), {"items": [{"city": "Rome"}]}),
        (
            Page[Address],
            Page[Any](items=[Address(city="R")], next_cursor="c"),
            {"items": [{"city": "R"}], "next_cursor": "c"},
        ),
        (Page[int], Page[int](items=[]), {"items": []}),
        (Cat | Dog, Dog(kind="dog"), {"result": {"kind": "dog"}}),
        (ResultModel, ResultModel(result=5), {"result": 5}),
        (Typed, {"a": 1, "b": None}, {"a": 1}),
        (Data, Data(1), {"a": 1}),
        (datetime, datetime(2026, 1, 2), {"result": "2026-01-02T00:00:00"}),
        (Colour, Colour.RED, {"result": "red"}),
        (
            Mixed,
            MIXED,
            {
                "id": 1,
                "list_of_maybe": [1, None],
                "map_of_maybe": {"a": None, "b": "x"},
                "pair": [None, {"city": "x"}],
                "amount": "1.10",
                "day": "2026-01-02",
                "colour": "red",
                "nested": [{"of": {"items": [{"city": "Rome"}]}, "maybe": None}],
                "size": 3,
            },
        ),
    ],
    ids=range(31),
)
def test_every_result_is_valid_by_the_output_schema_that_was_promised(returns: Any, value: Any, plain: Any) -> None:
    async def tool(api: object) -> None: ...

    tool.__annotations__["return"] = returns
    schema = signature(tool).output_schema
    validator(schema)
    assert schema["type"] == "object"
    assert not keys_of(schema) & {"$ref", "$defs", "title", "const"}
    data = signature(tool).structured(value)
    assert data == plain
    assert json.loads(json.dumps(data)) == data
    validator(schema).validate(data)


def test_the_output_schema_is_not_so_wide_that_everything_is_valid() -> None:
    async def tool(api: object) -> Page[Person]: ...  # type: ignore[empty-body]

    promised = validator(signature(tool).output_schema)
    good: dict[str, Any] = {"items": [{"name": "Ada", "address": {"city": "London"}, "former": []}]}
    bad: list[Any] = [{}, {"items": {}}, {"items": [{"name": "Ada"}]}, {**good, "next_cursor": 5}]
    assert promised.is_valid(good)
    assert not any(promised.is_valid(each) for each in bad)


@pytest.mark.parametrize(
    ("returns", "value", "says"),
    [
        (Address, {"town": "secret"}, "city: Field required"),
        (Address, None, "the value: Input should be a valid dictionary"),
        (list[Address], [Address(city="x"), "secret"], r"1: Input should be"),
        (str, 5, "Input should be a valid string"),
        (Page[Address], Page[Any](items=["secret"]), r"items\.0: Input should be"),
    ],
)
def test_a_tool_that_returns_another_type_than_it_says_is_caught(returns: Any, value: Any, says: str) -> None:
    async def tool(api: object) -> None: ...

    tool.__annotations__["return"] = returns
    with pytest.raises(TypeError, match=says) as caught:
        signature(tool).structured(value)
    assert "secret" not in str(caught.value)


def test_a_renamed_field_is_shown_under_our_name() -> None:
    class Aliased(BaseModel):
        url: Annotated[str, Field(validation_alias=AliasChoices("html_url", "url"))]

    async def tool(api: object) -> Aliased: ...  # type: ignore[empty-body]

    data = signature(tool).structured(Aliased(html_url="x"))  # type: ignore[call-arg] # pyright: ignore
    assert data == {"url": "x"}
    validator(signature(tool).output_schema).validate(data)
