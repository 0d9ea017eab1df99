"""The provider's payload to our typed models: `author: Annotated[str, From("user.login")]`.

A model says where each field comes from; unmarked fields have the provider's own name. What is missing, null or of
another type than the model says is a changed contract, reported by field, and never passed on as if it were right.
"""

from collections.abc import Callable, Sequence
from functools import cache, partial
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

from clew.core.errors import ContractChangedError, Outcome, quote
from clew.core.fields import MISSING, as_list, as_object, look, steps, word_for

T = TypeVar("T")
Reader = Callable[[Any], Any]


class From:
    """Where a field stands in the provider's payload; of several places the first that is there counts.

    Paths are keys and indices: `user.login`, `fields[0].value`; `[*]` collects over a list: `labels[*].name`. `drift`
    says what happens when a field that may be missing or empty is, or a value is not among the choices (`core.drift`).
    """

    __slots__ = ("drift", "paths")

    def __init__(self, *paths: str, drift: Literal["observe", "warn", "refuse"] = "observe") -> None:
        for path in paths:
            steps(path)
        self.paths = paths
        self.drift = drift

    def __repr__(self) -> str:
        return f"From({', '.join(map(repr, self.paths))})"


def read(kind: type[T], payload: Any, *, outcome: Outcome = Outcome.NOT_APPLIED) -> T:
    """Map `payload` to `kind`, a model, a list of models or any type pydantic can check.

    Raises `ContractChangedError` naming the provider's field, what was expected and what was seen. `outcome` is what
    that error must report: `applied` when the payload answers a write.
    """
    try:
        compiled: Any = kind
        value: T = _adapter(compiled).validate_python(_reader(compiled)(payload))
        return value
    except ValidationError as error:
        fields = {_place(kind, fault["loc"]): _fault(fault) for fault in error.errors(include_url=False)[:5]}
        first, why = next(iter(fields.items()))
        raise ContractChangedError(
            f"the provider's answer changed its shape: {first} {why}.", fields=fields, outcome=outcome
        ) from None


def read_each(kind: type[T], payloads: Sequence[Any]) -> list[T] | None:
    """`read` for the items of a list, in one go; None when one of them does not map: `read` then says which."""
    compiled: Any = kind
    reader = _reader(compiled)
    try:
        values: list[T] = _adapter(list[compiled]).validate_python([reader(each) for each in payloads])
        return values
    except ValidationError:
        return None


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


_EXPECTED = {
    "model_type": "an object",
    "dict_type": "an object",
    "list_type": "a list",
    "string_type": "a string",
    "int_type": "a number",
    "float_type": "a number",
    "bool_type": "a boolean",
}


def _fault(fault: Any) -> str:
    given, kind, why = fault["input"], fault["type"], quote(fault["msg"])
    seen = "boolean" if given is _BOOLEAN else word_for(given)
    if kind == "missing" or seen == "missing":
        return "is missing"
    return f"is {seen}, not {_EXPECTED[kind]}" if kind in _EXPECTED else f"is {seen}: {why[:1].lower()}{why[1:]}"


@cache
def _reader(kind: Any) -> Reader:
    """A function from the provider's payload to plain data with our field names, compiled once per type."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _model_reader(kind)
    arguments = get_args(kind)
    if get_origin(kind) is Annotated:
        return _reader(arguments[0])
    if get_origin(kind) is list:
        return partial(_each, _reader(arguments[0]))
    if get_origin(kind) is dict:
        return partial(_each_value, _reader(arguments[1]))
    if get_origin(kind) in {Union, UnionType}:
        models = [each for each in arguments if each is not type(None)]
        return _reader(models[0]) if len(models) == 1 else _unchanged
    return _number if kind in (int, float) else _unchanged


def _each(item: Reader, payload: Any) -> Any:
    items = as_list(payload)
    return payload if items is None else [item(each) for each in items]


def _each_value(item: Reader, payload: Any) -> Any:
    values = as_object(payload)
    return payload if values is None else {name: item(each) for name, each in values.items()}


def _unchanged(payload: Any) -> Any:
    return payload


_BOOLEAN = object()
"""Stands for a boolean where a number belongs: pydantic would make it 1 or 0, and nobody would know."""


def _number(payload: Any) -> Any:
    return _BOOLEAN if payload is True or payload is False else payload


def _model_reader(model: type[BaseModel]) -> Reader:
    kinds: dict[str, Any] = {name: info.annotation for name, info in model.model_fields.items()}
    fields = [
        (
            name,
            _paths(model, name),
            _keys(_paths(model, name)),
            _reader(kind),
            not model.model_fields[name].is_required() and not _nullable(kind),
        )
        for name, kind in kinds.items()
    ]

    def read_model(payload: Any) -> Any:
        source = as_object(payload)
        if source is None:
            return payload
        found: dict[str, Any] = {}
        for name, paths, keys, reader, null_is_absent in fields:
            value: Any = source
            if keys is None:
                value = first_at(source, paths)
            else:  # nearly every field: a page has hundreds, so this is the short way of `first_at`
                for key in keys:
                    table = as_object(value)
                    value = MISSING if table is None else table.get(key, MISSING)
            if value is not MISSING and not (value is None and null_is_absent):
                found[name] = value if reader is _unchanged else reader(value)
        return found

    return read_model


def _keys(paths: tuple[str, ...]) -> tuple[str, ...] | None:
    """The keys of a single path that has nothing but keys."""
    way = steps(paths[0]) if len(paths) == 1 else ()
    keys = tuple(step for step in way if isinstance(step, str) and step != "*")
    return keys if way and len(keys) == len(way) else None


def first_at(payload: dict[str, Any], paths: tuple[str, ...]) -> Any:
    """The value at the first of the paths that is there, or `MISSING`."""
    for path in paths:
        if "[*]" in path:
            value = _collected(payload, path)
        else:
            value = payload.get(path, MISSING) if path.isidentifier() else look(payload, path)
        if value is not MISSING:
            return value
    return MISSING


def _collected(payload: Any, path: str) -> Any:
    """The values at a path with `[*]`, one for each item; of several `[*]` all in one list.

    An item without the field yields `MISSING`, which no type accepts: a list must not lose entries unseen.
    """
    head, _, tail = path.partition("[*]")
    found = look(payload, head)
    items = as_list(found)
    if items is None:
        return found
    tail = tail.removeprefix(".")
    if "[*]" not in tail:
        return [look(item, tail) if tail else item for item in items]
    flat: list[Any] = []
    for item in items:
        inner = as_list(_collected(item, tail))
        flat += [MISSING] if inner is None else inner
    return flat


def _paths(model: type[BaseModel], name: str) -> tuple[str, ...]:
    for mark in model.model_fields[name].metadata:
        if isinstance(mark, From):
            return mark.paths
    return (name,)


def _nullable(annotation: Any) -> bool:
    return get_origin(annotation) in {Union, UnionType} and type(None) in get_args(annotation)


def _place(kind: Any, location: tuple[int | str, ...]) -> str:
    """The provider's name of a place in our model: `('author',)` is `user.login`."""
    place: list[str] = []
    for step in location:
        while get_origin(kind) in {Union, UnionType, Annotated}:
            kind = next(each for each in get_args(kind) if each is not type(None))
        if isinstance(step, int):
            place.append(f"[{step}]")
            kind = get_args(kind)[0] if get_args(kind) else None
        elif get_origin(kind) is dict:  # a key of the provider's: text from outside
            place.append(f"['{quote(step, 60)}']")
            kind = get_args(kind)[1]
        elif isinstance(kind, type) and issubclass(kind, BaseModel) and step in kind.model_fields:
            place.append(("." if place else "") + _paths(kind, step)[0])
            kind = kind.model_fields[step].annotation
        else:
            place.append(("." if place else "") + quote(step, 60))
    return "".join(place) or "the answer"
