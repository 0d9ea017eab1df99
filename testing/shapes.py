"""Payloads as a provider would send them, made up from the models that they are mapped to."""

import enum
import types
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from clew.core.connector import Tool
from clew.core.fields import steps
from clew.core.mapping import From
from clew.core.pages import Page

_DEEPEST = 6
_PLAIN: dict[Any, Any] = {
    str: "sample", int: 1, float: 1.5, bool: True, datetime: "2026-11-22T09:00:00Z", date: "2026-11-22",
    Decimal: "1.50",
}  # fmt: skip


def items_for(tool: Tool) -> list[Any]:
    """One item of the list that a tool returns; empty when none can be made up."""
    returns = tool.signature.returns
    kind: Any = (
        returns.model_fields["items"].annotation if isinstance(returns, type) and issubclass(returns, Page) else None
    )
    return [] if kind is None else [payload_for(get_args(kind)[0])]


def payload_for(kind: Any, depth: int = 0) -> Any:
    """What a provider would send for `kind`: fields stand where `From` says that they do."""
    if depth > _DEEPEST:
        return None
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return payload_for(arguments[0], depth)
    if origin in (Union, types.UnionType):
        return payload_for(next((each for each in arguments if each is not type(None)), None), depth)
    if origin is Literal:
        return arguments[0]
    if origin in (list, tuple, set):
        return [payload_for(arguments[0], depth + 1)]
    if origin is dict:
        return {"key": payload_for(arguments[1], depth + 1)}
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _object(kind, depth)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return next(iter(kind)).value
    return _PLAIN.get(kind, "sample")


def _object(model: type[BaseModel], depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        paths = next((mark.paths for mark in info.metadata if isinstance(mark, From)), (name,))
        collects = "[*]" in paths[0]
        value = payload_for(info.annotation, depth + 1)
        place(found, steps(paths[0]), value[0] if collects and isinstance(value, list) else value)
    return found


def place(target: Any, way: tuple[Any, ...], value: Any) -> None:
    """Put `value` at the end of `way`, making objects and lists on it."""
    for position, step in enumerate(way):
        last = position == len(way) - 1
        index = 0 if step == "*" else step
        if isinstance(index, int):
            while len(target) <= index:
                target.append(None)
            if last:
                target[index] = value
                return
            if target[index] is None:
                target[index] = _empty(way[position + 1])
            target = target[index]
            continue
        if last:
            target[index] = value
            return
        if not isinstance(target.get(index), dict | list):
            target[index] = _empty(way[position + 1])
        target = target[index]


def _empty(following: Any) -> Any:
    return [] if following == "*" or isinstance(following, int) else {}
