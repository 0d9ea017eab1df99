"""Answers held against their models: every breaking change is flagged, no additive one is refused."""

import copy
import enum
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel

from clew.core import drift
from clew.core.database import Database, open_database
from clew.core.drift import Drift, differences, name_of
from clew.core.drift_log import BASELINE, DriftLog, open_drift
from clew.core.errors import ContractChangedError
from clew.core.mapping import From, read


class Size(enum.Enum):
    SMALL = "s"
    LARGE = "l"


class Person(BaseModel):
    login: str
    age: int | None = None
    admin: bool = False


class Issue(BaseModel):
    id: int
    title: str
    weight: float
    state: Literal["open", "closed"]
    kind: Literal["bug", "task"] | str
    size: Size
    author: Person
    reporter: Annotated[str, From("reporter.login")]
    labels: Annotated[list[str], From("labels[*].name")]
    watchers: list[Person]
    note: str | None = None
    tags: Annotated[list[str], From("tags", "old_tags")] = []
    extra: dict[str, Any] = {}


def good() -> dict[str, Any]:
    return {
        "id": 1, "title": "t", "weight": 1.5, "state": "open", "kind": "bug", "size": "s",
        "author": {"login": "a", "age": 3, "admin": True}, "reporter": {"login": "b"}, "labels": [{"name": "x"}],
        "watchers": [{"login": "c", "age": 4, "admin": False}], "note": "n", "tags": ["y"],
        "extra": {"k": 1},
    }  # fmt: skip


def changes(payload: Any, kind: Any = Issue) -> set[tuple[str, str]]:
    return {(each.change, each.path) for each in differences(kind, payload)}


def test_an_answer_as_the_model_says_differs_nowhere() -> None:
    assert changes(good()) == set()


REQUIRED = ["id", "title", "weight", "state", "kind", "size", "author", "reporter", "labels", "watchers"]
OPTIONAL = ["note", "tags", "extra"]
OTHER: list[Any] = [True, [1], {"x": 1}, None, "text", 7]
HARMLESS: list[tuple[str, Any]] = [
    ("id", 7), ("title", "text"), ("weight", 7), ("kind", "text"), ("note", "text"), ("note", None), ("tags", None),
    ("extra", {"x": 1}), ("extra", None), ("login", "text"),
]  # fmt: skip
"""Which of the others fill the field as well; said by hand, so that the mapping is not its own judge."""
NAMES = [f"field_{number}" for number in range(60)]


def corpus() -> Iterator[tuple[str, dict[str, Any]]]:
    """200 and more changes of a schema: what kind they are, and the payload."""
    for name in NAMES:
        yield "additive", {**good(), name: {"any": "thing"}}
    for name in NAMES[:30]:
        payload = good()
        payload["author"][name] = 1
        yield "additive", payload
    for name in REQUIRED:
        payload = good()
        del payload[name]
        yield "breaking", payload
        yield "breaking", {**good(), name: None}
        yield "breaking", {**good(), f"{name}_v2": payload.get(name)} | {name: None}
    for name in (*REQUIRED, *OPTIONAL):
        for other in OTHER:
            if (name, other) not in HARMLESS:
                yield "breaking", {**good(), name: other}
    for path in ("author", "watchers", "reporter"):
        for other in OTHER:
            payload = good()
            target: Any = payload[path]
            (target[0] if isinstance(target, list) else target)["login"] = other
            if ("login", other) not in HARMLESS:
                yield "breaking", payload
    for name in OPTIONAL:
        payload = good()
        del payload[name]
        yield "optional", payload
    for number in range(20):
        yield "optional", {**good(), "kind": f"new_{number}"}


def fits(payload: dict[str, Any]) -> bool:
    try:
        read(Issue, payload)
    except ContractChangedError:
        return False
    return True


def test_of_two_hundred_changes_all_breaking_ones_are_flagged_and_no_additive_one_is_refused() -> None:
    cases = list(corpus())
    assert len(cases) >= 200
    assert len([kind for kind, _ in cases if kind == "breaking"]) >= 80
    for kind, payload in cases:
        found = {change for change, _ in changes(payload)}
        if kind == "breaking":
            assert found & {*drift.BREAKING, drift.EMPTIED, drift.ENUM_GROWTH}, payload
            assert not fits(payload)
        else:
            assert fits(payload)
            assert not found & drift.BREAKING
            assert found, payload


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        ({"new": 1}, ("additive", "new")),
        ({"ada@example.com": 1}, ("additive", "[string]")),
        ({"state": "gone"}, ("enum_growth", "state")),
        ({"kind": "epic"}, ("enum_growth", "kind")),
        ({"size": "xl"}, ("enum_growth", "size")),
        ({"id": "1"}, ("type_change", "id")),
        ({"author": []}, ("type_change", "author")),
        ({"watchers": {}}, ("type_change", "watchers")),
        ({"watchers": [{"login": 1}]}, ("type_change", "watchers[].login")),
        ({"note": None}, ("emptied", "note")),
        ({"note": ""}, ("emptied", "note")),
        ({"labels": []}, ("emptied", "labels[*].name")),
        ({"title": None}, ("type_change", "title")),
    ],
)
def test_each_kind_of_change_is_told_apart(edit: dict[str, Any], expected: tuple[str, str]) -> None:
    assert expected in changes({**good(), **edit})


def test_what_is_no_object_and_what_has_no_shape() -> None:
    assert changes("text") == {("type_change", "")}
    assert changes([good(), 3], list[Issue]) == {("type_change", "[]")}
    assert changes({"a": 1}, dict[str, Any]) == set()
    assert changes([], dict[str, Any]) == {("type_change", "")}
    assert changes(5, Annotated[int | str, "x"]) == set()
    assert changes({"x": 1}, Person | Issue) == set()
    assert [each.seen for each in differences(Issue, {**good(), "state": "two words"}) if each.path == "state"] == [
        "[string]"
    ]


class Strict(BaseModel):
    note: Annotated[str | None, From("note", drift="refuse")] = None
    state: Annotated[str | None, From("state", drift="warn")] = None


def test_a_field_that_refuses_ends_the_call_and_one_that_warns_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    watch = Drift(always=0, sample=10**9)
    watch.asked["acme", "Strict"] = 1  # not sampled, and refused all the same
    with pytest.raises(ContractChangedError, match="note: missing optional") as caught:
        watch.observe("acme", Strict, {"state": "x"})
    assert caught.value.fields == {"note": "is missing"}
    watch = Drift()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            watch.observe("acme", Strict, {"note": "x", "new": 1})
    assert [record.getMessage() for record in caplog.records] == ["acme has changed: state, missing_optional (missing)"]
    watch.observe("acme", dict[str, Any], {"new": 1})
    assert {key[1] for key in watch.take()} == {"Strict"}


def test_the_first_answers_are_all_looked_at_and_then_a_sample() -> None:
    watch = Drift(always=4, sample=5)
    for _ in range(14):
        watch.observe("acme", Person, {"login": "a"})
    assert watch.waiting["acme", "Person", "", "watched"].count == 6
    assert watch.take()
    assert watch.take() == {}


def test_a_value_that_only_the_type_itself_refuses_is_noted_with_its_place() -> None:
    watch = Drift()
    watch.failed("acme", Person, {"login": "a"}, {"login": "is too short"})
    assert ("acme", "Person", "login", "type_change") in watch.waiting


def test_what_waits_is_due_after_a_while() -> None:
    now = [100.0]
    watch = Drift(clock=lambda: now[0])
    assert not watch.due()
    watch.announced("acme", "sunset", "soon")
    assert not watch.due()
    now[0] += drift.EVERY + 1
    assert watch.due()


def test_types_have_short_names() -> None:
    assert (name_of(Person), name_of(list[Person])) == ("Person", "Person")


@pytest.fixture(params=["sqlite", "postgres"])
async def kept(request: pytest.FixtureRequest, tmp_path: Path, anyio_backend: str) -> AsyncIterator[DriftLog]:
    """The log in both stores that clew has."""
    place = tmp_path / "clew.db" if request.param == "sqlite" else request.getfixturevalue("postgres_address")
    database: Database = await open_database(place)
    try:
        yield await open_drift(database)
    finally:
        await database.close()


@pytest.mark.anyio
async def test_what_was_so_from_the_beginning_is_no_change_and_what_comes_later_is(kept: DriftLog) -> None:
    first = Drift()
    for _ in range(BASELINE):
        first.observe("acme", Person, {"login": "a", "age": 1, "admin": True, "old": 1})
    await kept.keep(first.take())
    assert await kept.changes() == []
    second = Drift()
    for _ in range(6):
        second.observe("acme", Person, {"login": "a", "admin": True, "old": 1, "new": 1})
    second.failed("acme", Person, {"login": 5}, {})
    second.announced("acme", "sunset", "soon")
    await kept.keep(second.take())
    found = {(each.change, each.path): each for each in await kept.changes("acme")}
    assert set(found) == {
        ("additive", "new"), ("missing_optional", "age"), ("type_change", "login"), ("announced", "sunset"),
    }  # fmt: skip
    gone = found["missing_optional", "age"]
    assert (gone.count, gone.looked_at, gone.model) == (7, 7, "Person")
    assert found["type_change", "login"].seen == "number"
    assert await kept.changes("github") == []


@pytest.mark.anyio
async def test_what_is_missing_now_and_then_is_no_change(kept: DriftLog) -> None:
    whole = {"login": "a", "age": 1, "admin": True}
    watch = Drift(always=1000)
    for _ in range(BASELINE):
        watch.observe("acme", Person, whole)
    await kept.keep(watch.take())
    for number in range(20):
        watch.observe("acme", Person, {**whole, "age": None} if number % 2 else copy.deepcopy(whole))
    await kept.keep(watch.take())
    assert await kept.changes() == []
