"""Our dataclasses are those of the standard library in all that can be seen, and cost less to define."""

import copy
import dataclasses
import pickle
import re
from collections.abc import Callable
from dataclasses import FrozenInstanceError, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from clew.core import values

Make = Callable[..., Any]
HOW: list[dict[str, bool]] = [
    {},
    {"slots": True},
    {"slots": True, "eq": False},
    {"slots": True, "kw_only": True},
    {"frozen": True},
    {"frozen": True, "slots": True},
    {"frozen": True, "slots": True, "kw_only": True},
    {"frozen": True, "eq": False},
]


def made(make: Make, how: dict[str, bool]) -> Any:
    """A class with a field of each kind, and one that inherits it."""

    class Base:
        """A base."""

        shared: ClassVar[int] = 7
        name: str
        size: int = 3
        tags: list[str] = field(default_factory=list[str])
        quiet: float = field(default=0.5, repr=False, compare=False)
        length: int = field(init=False)
        fixed: str = field(default="f", init=False)
        parts: dict[str, int] = field(default_factory=dict[str, int], init=False)
        last: bool = field(default=False, kw_only=True)

        def __post_init__(self) -> None:
            object.__setattr__(self, "length", len(self.name))

    Base = make(**how)(Base)  # type: ignore[misc]

    class Heir(Base):
        """An heir."""

        size: int = 9
        extra: str = "e"

    return make(**how)(Heir)


CALLS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    (("ada",), {}),
    (("ada", 4), {"last": True}),
    ((), {"name": "ada", "tags": ["x"], "extra": "y"}),
    (("ada", 4, ["x"], 0.25, "y"), {}),
    ((), {}),
    (("ada",), {"nothing": 1}),
    (("ada",), {"name": "ida"}),
    (("ada",), {"length": 3}),
    (("ada", 4, ["x"], 0.25, "y", True), {}),
]


def ending(cls: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
    """What an instance shows of itself, or why there is none."""
    try:
        one = cls(*args, **named)
    except TypeError as error:
        return str(error)
    other = cls(*args, **named)
    return (
        repr(one),
        dataclasses.asdict(one),
        one.shared,
        one == other,
        one == dataclasses.replace(one, name="else"),
        one != (),
        repr(dataclasses.replace(one, size=1)),
        repr(copy.copy(one)),
        repr(copy.deepcopy(one)),
    )


@pytest.mark.parametrize("how", HOW, ids=str)
@pytest.mark.parametrize(("args", "named"), CALLS, ids=str)
def test_an_instance_is_what_the_standard_library_makes(
    how: dict[str, bool], args: tuple[Any, ...], named: dict[str, Any]
) -> None:
    assert ending(made(values.dataclass, how), args, named) == ending(made(dataclasses.dataclass, how), args, named)


@pytest.mark.parametrize("how", HOW, ids=str)
def test_the_class_is_what_the_standard_library_makes(how: dict[str, bool]) -> None:
    ours, theirs = made(values.dataclass, how), made(dataclasses.dataclass, how)
    assert [str(each.name) for each in dataclasses.fields(ours)] == [each.name for each in dataclasses.fields(theirs)]
    assert ours.__match_args__ == theirs.__match_args__
    assert (ours.__hash__ is None) == (theirs.__hash__ is None)
    assert hasattr(ours, "__slots__") == hasattr(theirs, "__slots__")


@values.dataclass(frozen=True, slots=True)
class Point:
    """One that can be found again by pickle."""

    x: int
    y: int = 0


@values.dataclass(frozen=True)
class Key:
    """One of a single field."""

    value: float


@values.dataclass
class Nothing:
    """One without fields."""


def test_a_frozen_one_cannot_be_changed_and_can_be_a_key() -> None:
    point = Point(1)
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'x'"):
        point.x = 2  # type: ignore[misc]  # pyright: ignore
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'x'"):
        del point.x  # pyright: ignore
    assert {point: "found"}[Point(1, 0)] == "found"
    assert pickle.loads(pickle.dumps(point)) == point
    nan = float("nan")
    assert Key(nan) == Key(nan)  # as tuples compare
    assert Nothing() == Nothing()
    assert repr(Nothing()) == "Nothing()"


def test_what_a_class_says_itself_stays() -> None:
    @values.dataclass(frozen=True)
    class Own:  # noqa: PLW1641
        """It writes all itself."""

        value: int = 0

        def __init__(self) -> None:
            object.__setattr__(self, "value", 5)

        def __repr__(self) -> str:
            return "own"

        def __eq__(self, other: object) -> bool:
            return True

    own = Own()
    assert (repr(own), own == 3, own.value) == ("own", True, 5)
    assert hash(own) == hash((5,))  # an own `__eq__` leaves the hash to the fields, as in the standard library


def test_one_that_holds_itself_can_be_shown() -> None:
    @values.dataclass
    class Ring:
        """A list of one that ends where it begins."""

        following: Any = None

    ring = Ring()
    ring.following = ring
    assert repr(ring).endswith("Ring(following=...)")


def test_the_init_is_written_when_the_first_instance_is_made() -> None:
    @values.dataclass(slots=True)
    class Late:
        """One that nobody has made yet."""

        value: int

    before = Late.__init__
    Late(1)
    assert Late.__init__ is not before
    assert Late.__init__.__qualname__.endswith("Late.__init__")
    assert Late(2).value == 2


def test_what_every_start_imports_takes_its_dataclasses_from_here() -> None:
    house = Path(__file__).parents[2]
    written = [path for folder in ("core", "auth", "servers", "testing") for path in (house / folder).rglob("*.py")]
    plain = re.compile(r"^from dataclasses import .*\bdataclass\b", re.MULTILINE)
    found = [
        str(path.relative_to(house))
        for path in written
        if plain.search(path.read_text(encoding="utf-8")) and path.parent.name != "sandbox"  # a program of its own
    ]
    assert len(written) > 200
    assert found == []
