"""`[policy]` in `clew.toml`: rules in the operator's words, read strictly.

A project's file may come from strangers, so it can only make the policy stricter: its rules come first and say `ask` or
`deny`.
"""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from enum import StrEnum
from typing import Any, TypeVar

from clew.core.conditions import Condition
from clew.core.connector import Effect
from clew.core.errors import ConfigurationError
from clew.core.fields import as_list, as_object
from clew.core.hours import Hours
from clew.core.policy import Channel, Decision, PolicyRule, Rate

E = TypeVar("E", bound=StrEnum)

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PER = {"minute": 60.0, "hour": 3600.0, "day": 86400.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def read_policy(table: Any, where: str, *, strict: bool) -> tuple[Decision | None, tuple[PolicyRule, ...]]:
    """What `[policy]` says about writes (None: nothing), and its rules. `strict` is for a project's file.

    Raises `ConfigurationError` naming the file, the rule and the key.
    """
    keys = as_object(table)
    if keys is None:
        raise ConfigurationError(f"{where}: policy must be a table.")
    _known(keys, ("writes", "rules"), f"{where}: policy")
    writes = _choice(Decision, keys["writes"], f"{where}: policy.writes") if "writes" in keys else None
    given = as_list(keys.get("rules", []))
    if given is None:
        raise ConfigurationError(f"{where}: policy.rules must be a list of tables: [[policy.rules]].")
    rules = tuple(_rule(rule, f"{where}: policy rule {number}") for number, rule in enumerate(given, 1))
    names = [rule.name for rule in rules]
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise ConfigurationError(f"{where}: two policy rules are called {double!r}.")
    if strict and Decision.ALLOW in (writes, *(rule.then for rule in rules)):
        raise ConfigurationError(
            f"{where}: a project's file cannot allow anything, because it may come from somebody else. "
            "Put rules that allow into your own configuration ('clew config' shows where it is)."
        )
    return writes, rules


def _rule(table: Any, where: str) -> PolicyRule:
    keys = as_object(table)
    if keys is None:
        raise ConfigurationError(f"{where} must be a table.")
    _known(keys, tuple(each.name for each in fields(PolicyRule)), where)
    name = _text(keys.get("name"), f"{where}: name")
    where = f"{where} ({name})"
    if "then" not in keys:
        raise ConfigurationError(f"{where}: then is missing; it is one of {', '.join(Decision)}.")
    return PolicyRule(**{key: _READERS[key](value, f"{where}: {key}") for key, value in keys.items()})


def _known(keys: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in keys:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(known)}."
            raise ConfigurationError(f"{where}: there is no key {key!r}. {hint}")


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{where} must be a text.")
    return value


def _choice(kind: type[E], value: Any, where: str) -> E:
    try:
        return kind(value)
    except ValueError:
        raise ConfigurationError(f"{where} must be one of {', '.join(kind)}, not {value!r}.") from None


def _conditions(value: Any, where: str) -> tuple[Condition, ...]:
    keys = as_object(value)
    if keys is None:
        raise ConfigurationError(f'{where} must be a table like {{ amount = "> 100 EUR" }}.')
    try:
        return tuple(Condition.parse(name, _text(text, f"{where}.{name}")) for name, text in keys.items())
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error}") from None


def _hours(value: Any, where: str) -> Hours:
    try:
        return Hours.parse(_text(value, where))
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error}") from None


def _rate(value: Any, where: str) -> Rate:
    found = re.fullmatch(r"(\d{1,6})\s*/\s*([a-z]+)", _text(value, where))
    if found is None or found[2] not in _PER:
        raise ConfigurationError(f"{where} must be a rate like '20/hour', not {value!r}.")
    return Rate(int(found[1]), _PER[found[2]])


def _seconds(value: Any, where: str) -> float:
    found = re.fullmatch(r"(\d{1,5})\s*([smhd])", _text(value, where))
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0.0
    if not 60 <= seconds <= 7 * 86400:
        raise ConfigurationError(f"{where} must be a time from '1m' to '7d', not {value!r}.")
    return seconds


def _share(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ConfigurationError(f"{where} must be a number from 0 to 1, not {value!r}.")
    return float(value)


def _people(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 5:
        raise ConfigurationError(f"{where} must be a number of people from 1 to 5, not {value!r}.")
    return value


def _names(value: Any, where: str) -> tuple[str, ...]:
    items = as_list(value)
    if not items:
        raise ConfigurationError(f"{where} must be a list of names.")
    return tuple(_text(item, where) for item in items)


def _channels(value: Any, where: str) -> tuple[Channel, ...]:
    return tuple(_choice(Channel, name, where) for name in _names(value, where))


_READERS: Mapping[str, Callable[[Any, str], Any]] = {
    "name": _text,
    "then": lambda value, where: _choice(Decision, value, where),
    "connector": _text,
    "tool": _text,
    "effect": lambda value, where: _choice(Effect, value, where),
    "account": _text,
    "tenant": _text,
    "when": _conditions,
    "during": _hours,
    "outside": _hours,
    "above": _rate,
    "confidence": _share,
    "approvers": _names,
    "needed": _people,
    "channels": _channels,
    "expires": _seconds,
}
