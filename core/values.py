"""Dataclasses that cost a start little: their `__init__` is written when the first instance is made.

The standard library compiles up to six functions for a dataclass while its module is imported, 0.3 ms each time, and a
server has 160 of them of which it uses some (docs/decisions/values.md). A class made here is a dataclass of the
standard library all the same: `fields`, `replace`, `asdict`, patterns, copies and type checkers know it as one.
"""

import dataclasses
import reprlib
from collections.abc import Callable, Sequence
from dataclasses import MISSING, FrozenInstanceError, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

__all__ = ["dataclass"]

T = TypeVar("T")

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(cls=None, /, **how):
        """`dataclasses.dataclass` with `frozen`, `slots`, `eq` and `kw_only`. There is no `InitVar` here."""
        return (lambda cls: _made(cls, **how)) if cls is None else _made(cls, **how)


def _made(
    cls: type[T], /, *, frozen: bool = False, slots: bool = False, eq: bool = True, kw_only: bool = False
) -> type[T]:
    own = {name for name, value in vars(cls).items() if value is not None}  # `__eq__` alone leaves a `__hash__` of None
    made: Any = dataclasses.dataclass(cls, init=False, repr=False, eq=False, slots=slots, kw_only=kw_only)
    methods: dict[str, Any] = {"__init__": _deferred(made, frozen), "__repr__": _shown}
    if eq:
        values = _values([each.name for each in fields(made) if each.compare])
        methods |= {"__eq__": _equal(values), "__hash__": _hash(values) if frozen else None}
    if frozen:
        methods |= {"__setattr__": _no_setting, "__delattr__": _no_deleting}
        methods |= {"__getstate__": _state, "__setstate__": _restore} if slots else {}
    for name in methods.keys() - own:
        setattr(made, name, methods[name])
    result: type[T] = made
    return result


def _deferred(cls: type, frozen: bool) -> Callable[..., None]:
    def first(self: Any, *args: Any, **named: Any) -> None:
        init = _init(cls, frozen)
        cls.__init__ = init  # type: ignore[misc]
        init(self, *args, **named)

    return first


def _init(cls: Any, frozen: bool) -> Callable[..., None]:
    """The `__init__` that the standard library would have written."""
    scope: dict[str, Any] = {"_set": object.__setattr__, "_MISSING": MISSING}
    parameters: list[str] = []
    lines: list[str] = []
    for each in sorted(fields(cls), key=lambda each: bool(each.kw_only)):
        name = value = each.name
        default = ""
        if each.default_factory is not MISSING:
            scope[f"_new_{name}"] = each.default_factory
            default, value = "=_MISSING", f"_new_{name}() if {name} is _MISSING else {name}"
        elif each.default is not MISSING:
            scope[f"_default_{name}"] = each.default
            default = f"=_default_{name}"
        if each.init:
            parameters += ["*"] if each.kw_only and "*" not in parameters else []
            parameters.append(name + default)
        elif not default:
            continue
        else:
            value = f"_new_{name}()" if each.default_factory is not MISSING else f"_default_{name}"
        lines.append(f"  _set(self, {name!r}, {value})" if frozen else f"  self.{name} = {value}")
    lines += ["  self.__post_init__()"] if hasattr(cls, "__post_init__") else []
    text = "\n".join([f"def __init__(self, {', '.join(parameters)}):", *(lines or ["  pass"])])
    exec(text, scope)  # noqa: S102 - the names of a class's own fields
    init: Callable[..., None] = scope["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    init.__module__ = cls.__module__
    return init


def _values(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """From an instance to what it is compared by."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda self: tuple([getattr(self, name) for name in names])


def _equal(values: Callable[[Any], tuple[Any, ...]]) -> Callable[[Any, object], bool]:
    def equal(self: Any, other: object) -> bool:
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    return equal


def _hash(values: Callable[[Any], tuple[Any, ...]]) -> Callable[[Any], int]:
    def hashed(self: Any) -> int:
        return hash(values(self))

    return hashed


@reprlib.recursive_repr()
def _shown(self: Any) -> str:
    shown = ", ".join([f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr])
    return f"{type(self).__qualname__}({shown})"


def _no_setting(self: object, name: str, value: object) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _no_deleting(self: object, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[Any]:
    return [getattr(self, each.name) for each in fields(self)]


def _restore(self: Any, state: list[Any]) -> None:
    for each, value in zip(fields(self), state, strict=True):
        object.__setattr__(self, each.name, value)
