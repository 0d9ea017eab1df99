"""What a provider's payloads have become, held against the models they are mapped to.

Every answer is looked at in the beginning and a sample after that; changes are counted, never values. What must be
there and what type it has, mapping itself enforces (`contract_changed`); a field can ask for more with
`From(…, drift="warn")` or `"refuse"`.

    additive          a field that the model does not know
    enum_growth       a value that the list of choices does not have
    missing_optional  a field that may be missing, and is
    missing_required  a field that may not
    type_change       a value of another type
    emptied           null, "" or [] where something may stand
"""

import enum
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from functools import cache, lru_cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from clew.core.errors import ContractChangedError, Outcome, quote
from clew.core.fields import MISSING, as_list, as_object, steps, word_for
from clew.core.mapping import From, first_at
from clew.core.values import dataclass

log = logging.getLogger(__name__)

ADDITIVE, ENUM_GROWTH, MISSING_OPTIONAL = "additive", "enum_growth", "missing_optional"
MISSING_REQUIRED, TYPE_CHANGE, EMPTIED = "missing_required", "type_change", "emptied"
BREAKING = frozenset({MISSING_REQUIRED, TYPE_CHANGE})
WATCHED, ANNOUNCED = "watched", "announced"
"""Two kinds of counts that are no change: how often a model was looked at, and what the provider announces."""

EVERY = 30.0
"""Seconds between two times that what was seen is written down."""
_ITEMS, _NEW_KEYS = 5, 50
_WORDS: Mapping[Any, frozenset[str]] = {
    str: frozenset({"string"}),
    int: frozenset({"number"}),
    float: frozenset({"number"}),
    bool: frozenset({"boolean"}),
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where a payload is not as its model says: what changed, the provider's path, what was seen there."""

    change: str
    path: str
    expected: str = ""
    seen: str = ""
    mode: str = "observe"


@dataclass(frozen=True, slots=True)
class _Field:
    paths: tuple[str, ...]
    required: bool
    nullable: bool
    plan: "_Plan"
    mode: str


@dataclass(frozen=True, slots=True)
class _Plan:
    """One type, compiled: a model's fields and keys, or a list's items, or a scalar's words and choices."""

    fields: tuple[_Field, ...] = ()
    known: frozenset[str] = frozenset()
    items: "_Plan | None" = None
    words: frozenset[str] = frozenset()
    choices: frozenset[Any] = frozenset()
    refuses: bool = False


_WORDLY = _Plan(words=frozenset({"object"}))


def differences(kind: Any, payload: Any) -> list[Difference]:
    """Where `payload` differs from what `kind` says. Of a long list the first items are looked at."""
    found: list[Difference] = []
    _look(_plan(kind), payload, "", "observe", found)
    return found


def _look(plan: _Plan, value: Any, place: str, mode: str, found: list[Difference]) -> None:
    if plan.fields:
        table = as_object(value)
        if table is None:
            found.append(Difference(TYPE_CHANGE, place, "object", word_for(value), mode))
        else:
            _look_inside(plan, table, place, found)
    elif plan.items is not None:
        listed = as_list(value)
        if listed is None:
            found.append(Difference(TYPE_CHANGE, place, "list", word_for(value), mode))
            return
        for item in listed[:_ITEMS]:
            _look(plan.items, item, f"{place}[]", mode, found)
    elif plan.choices and isinstance(value, str | int) and value not in plan.choices:
        found.append(Difference(ENUM_GROWTH, place, "one of the choices", _shown(value), mode))
    elif plan.words and word_for(value) not in plan.words:
        found.append(Difference(TYPE_CHANGE, place, " or ".join(sorted(plan.words)), word_for(value), mode))


def _look_inside(plan: _Plan, table: dict[str, Any], place: str, found: list[Difference]) -> None:
    before = f"{place}." if place else ""
    if not table.keys() <= plan.known:
        for key in [key for key in table if key not in plan.known][:_NEW_KEYS]:
            found.append(Difference(ADDITIVE, before + _key_shown(key), "", word_for(table[key])))
    for each in plan.fields:
        value = first_at(table, each.paths)
        if value is MISSING:
            change = MISSING_REQUIRED if each.required else MISSING_OPTIONAL
            found.append(Difference(change, before + each.paths[0], "", "missing", each.mode))
        elif value is None and (each.nullable or not each.required):
            found.append(Difference(EMPTIED, before + each.paths[0], "", "null", each.mode))
        else:
            if value in ("", []) and not isinstance(value, bool):
                found.append(Difference(EMPTIED, before + each.paths[0], "", f"empty {word_for(value)}", each.mode))
            _look(each.plan, value, before + each.paths[0], each.mode, found)


def _shown(value: Any) -> str:
    """A name or a choice, which is not about a person; anything else only by its kind."""
    plain = isinstance(value, str) and re.fullmatch(r"@?[A-Za-z_$][\w.$-]{0,39}", value)
    return value if plain else f"[{word_for(value)}]"


@lru_cache(maxsize=4096)
def _key_shown(key: str) -> str:
    return _shown(key)


@cache
def _plan(kind: Any) -> _Plan:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        plan = _plan(arguments[0])
    elif origin is list:
        inner = _plan(arguments[0])
        plan = _Plan(items=inner, refuses=inner.refuses)
    elif origin is dict:
        plan = _WORDLY
    elif origin in {Union, UnionType}:
        plan = _of_union([_plan(each) for each in arguments if each is not type(None)])
    elif origin is Literal:
        plan = _choosing(arguments)
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        plan = _of_model(kind)
    elif isinstance(kind, type) and issubclass(kind, enum.Enum):
        plan = _choosing(tuple(each.value for each in kind))
    else:
        plan = _Plan(words=_WORDS.get(kind, frozenset()))
    return plan


def _choosing(choices: tuple[Any, ...]) -> _Plan:
    words = frozenset(word_for(each) for each in choices)
    return _Plan(words=words, choices=frozenset(each for each in choices if each is not None))


def _of_union(plans: list[_Plan]) -> _Plan:
    """The only kind there is, an open list of choices (`Literal[…] | str`), or the words of all."""
    if len(plans) == 1:
        return plans[0]
    if any(each.fields or each.items for each in plans) or not all(each.words for each in plans):
        return _Plan()
    choices = frozenset[Any]().union(*(each.choices for each in plans))
    return _Plan(words=frozenset[str]().union(*(each.words for each in plans)), choices=choices)


def _of_model(model: type[BaseModel]) -> _Plan:
    fields: list[_Field] = []
    known: set[str] = set()
    for name, info in model.model_fields.items():
        mark = next((each for each in info.metadata if isinstance(each, From)), None)
        paths, mode = (mark.paths, mark.drift) if mark else ((name,), "observe")
        known.update(str(steps(path)[0]) for path in paths)
        kind: Any = info.annotation
        nullable = get_origin(kind) in {Union, UnionType} and type(None) in get_args(kind)
        plan = _plan(kind)
        fields.append(_Field(paths, info.is_required(), nullable, plan, mode))
    refuses = any(each.mode == "refuse" or each.plan.refuses for each in fields)
    return _Plan(tuple(fields), frozenset(known), refuses=refuses)


@dataclass(slots=True)
class Counted:
    """How often one difference was seen, and when first and last (UTC seconds)."""

    expected: str
    seen: str
    count: int
    first: float
    last: float


Key = tuple[str, str, str, str]
"""Connector, model, path, change."""


@dataclass(slots=True)
class Drift:
    """What this process has seen and not yet written down. The first `always` answers of a model are looked at, then
    one in `sample`; an answer that was refused always is."""

    always: int = 32
    sample: int = 16
    clock: Callable[[], float] = time.time
    asked: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    waiting: dict[Key, Counted] = field(default_factory=dict[Key, Counted])

    def observe(self, connector: str, kind: Any, payload: Any, *, outcome: Outcome = Outcome.NOT_APPLIED) -> None:
        """Look at a payload that mapped well. Raises `ContractChangedError` where a field's mode is `refuse`."""
        self.observe_each(connector, kind, (payload,), outcome=outcome)

    def observe_each(
        self, connector: str, kind: Any, payloads: Sequence[Any], *, outcome: Outcome = Outcome.NOT_APPLIED
    ) -> None:
        """The same for the items of a list."""
        plan = _plan(kind)
        if not (plan.fields or plan.items):
            return
        name = name_of(kind)
        first = self.asked.get((connector, name), 0)
        self.asked[connector, name] = first + len(payloads)
        for count, payload in enumerate(payloads, first):
            due = count < self.always or count % self.sample == 0
            if not due and not plan.refuses:
                continue
            found = differences(kind, payload)
            if due:
                self._count(connector, name, found)
            refused = next((each for each in found if each.mode == "refuse" and each.change != ADDITIVE), None)
            if refused is not None:
                raise ContractChangedError(
                    f"the provider's answer changed its shape: {refused.path}: {refused.change.replace('_', ' ')}.",
                    fields={refused.path: f"is {refused.seen}"},
                    outcome=outcome,
                )

    def failed(self, connector: str, kind: Any, payload: Any, fields: Mapping[str, str]) -> None:
        """Look at a payload that could not be mapped; `fields` are the places and reasons of the error."""
        found = differences(kind, payload)
        if not any(each.change in {*BREAKING, ENUM_GROWTH} for each in found):  # a type of the author's own refused it
            found += [Difference(TYPE_CHANGE, path[:100], "", "not what the model takes") for path in fields]
        self._count(connector, name_of(kind), found)

    def announced(self, connector: str, header: str, value: str) -> None:
        """Note what a provider announces in a header about the end of what we use."""
        self._add((connector, "", header, ANNOUNCED), Difference(ANNOUNCED, header, "", quote(value, 100)))

    def _count(self, connector: str, name: str, found: list[Difference]) -> None:
        self._add((connector, name, "", WATCHED), Difference(WATCHED, ""))
        for each in found:
            key = (connector, name, each.path, each.change)
            if each.mode == "warn" and each.change != ADDITIVE and key not in self.waiting:
                log.warning("%s has changed: %s, %s (%s)", connector, each.path, each.change, each.seen)
            self._add(key, each)

    def _add(self, key: Key, each: Difference) -> None:
        now = self.clock()
        known = self.waiting.get(key)
        if known is None:
            self.waiting[key] = Counted(each.expected, each.seen, 1, now, now)
        else:
            known.count, known.last, known.seen = known.count + 1, now, each.seen

    def due(self) -> bool:
        """Has something waited for longer than `EVERY` seconds?"""
        first = next(iter(self.waiting.values()), None)
        return first is not None and self.clock() - first.first > EVERY

    def take(self) -> dict[Key, Counted]:
        """Everything that waits to be written down; it waits no longer."""
        taken, self.waiting = self.waiting, {}
        return taken


@cache
def name_of(kind: Any) -> str:
    """A type in words: `Issue`, `list[Issue]`."""
    return kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind).rpartition(".")[2].rstrip("]")
