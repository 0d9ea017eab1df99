"""What a policy rule says about arguments, as text an operator can read: `> 100 EUR`, `outside example.com`.

A condition either holds or does not; what cannot be told (a text where a number should be, dollars where euros were
named) is a `ConditionError`, and the policy refuses the call.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any

from clew.core.errors import ConfigurationError
from clew.core.fields import MISSING, as_list, as_object, look
from clew.core.values import dataclass

_COMPARISONS: Mapping[str, Callable[[Decimal, Decimal], bool]] = {
    ">=": lambda left, right: left >= right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    "<": lambda left, right: left < right,
}
_COMPARING = re.compile(r"(>=|<=|>|<)\s*(-?\d+(?:\.\d+)?)\s*([A-Za-z]{3})?")
_WORDS = ("is", "in", "not in", "like", "not like", "within", "outside", "longer than", "given", "missing")
_NUMBERED = re.compile(r"longer than\s+(\d+)")
_ADDRESS = re.compile(r"[^@\s<>]+@([^@\s<>]+)>?\s*$")


class ConditionError(Exception):
    """It cannot be told whether a condition holds."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One demand on the argument `name` (dots lead into objects; `preview.…` looks at the object the call will hit).

    `verb` is a comparison or a word of `_WORDS`, `operands` what it is compared with, `currency` the unit of an amount.
    """

    name: str
    verb: str
    operands: tuple[str, ...] = ()
    currency: str = ""

    @classmethod
    def parse(cls, name: str, text: str) -> "Condition":
        """Read `> 100 EUR`, `is high`, `in a, b`, `like *@example.com`, `outside example.com`, `longer than 500`,
        `given`, `missing`. Raises `ConfigurationError` for anything else."""
        text = text.strip()
        compared = _COMPARING.fullmatch(text)
        if compared is not None:
            return cls(name, compared[1], (compared[2],), (compared[3] or "").upper())
        numbered = _NUMBERED.fullmatch(text)
        if numbered is not None:
            return cls(name, "longer than", (numbered[1],))
        if text in {"given", "missing"}:
            return cls(name, text)
        found = re.fullmatch(r"(is|not in|in|not like|like|within|outside)\s+(.+)", text, re.DOTALL)
        operands = tuple(part.strip() for part in found[2].split(",")) if found else ()
        if found is None or not all(operands):
            raise ConfigurationError(
                f"{name} = {text!r} is no condition. Write a comparison like '> 100 EUR', "
                f"or one of: {', '.join(_WORDS)}."
            )
        return cls(name, found[1], operands)

    def __str__(self) -> str:
        return " ".join(filter(None, (self.name, self.verb, ", ".join(self.operands), self.currency)))

    @property
    def on_preview(self) -> bool:
        """Does it look at the object instead of the arguments?"""
        return self.name.startswith("preview.")

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Does it hold for these arguments? One element of a list is enough. Raises `ConditionError`."""
        value = look(dict(values), self.name)
        value = None if value is MISSING else value
        if self.verb in {"given", "missing"}:
            return (value in (None, "", [])) == (self.verb == "missing")
        if value is None:
            return False
        members = as_list(value)
        return any(self._holds(member, values) for member in (members if members is not None else [value]))

    def _holds(self, value: Any, values: Mapping[str, Any]) -> bool:
        if self.verb in _COMPARISONS:
            return _COMPARISONS[self.verb](self._amount(value, values), Decimal(self.operands[0]))
        if self.verb == "longer than":
            return len(_text(self.name, value)) > int(self.operands[0])
        text = _text(self.name, value).strip().casefold()
        operands = [operand.casefold() for operand in self.operands]
        if self.verb in {"within", "outside"}:
            return _inside(self.name, text, operands) == (self.verb == "within")
        like = self.verb.endswith("like")
        found = any(fnmatchcase(text, each) if like else text == each for each in operands)
        return found != self.verb.startswith("not")

    def _amount(self, value: Any, values: Mapping[str, Any]) -> Decimal:
        """A number, or an amount of money in the currency that the rule names."""
        money = as_object(value)
        if money is not None:
            value, known = money.get("amount", money.get("value")), money.get("currency")
        else:
            prefix = self.name.rpartition(".")[0]
            known = look(dict(values), f"{prefix}.currency" if prefix else "currency")
        found = re.fullmatch(r"\s*(-?\d+(?:\.\d+)?)\s*([A-Za-z]{3})?\s*", str(value))
        if found is None or isinstance(value, bool):
            raise ConditionError(f"{self.name} is no number")
        unit = (found[2] or (known if isinstance(known, str) else "")).upper()
        if self.currency and unit != self.currency:
            raise ConditionError(f"{self.name} is in {unit or 'an unknown currency'}, not in {self.currency}")
        return Decimal(found[1])


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float | Decimal):
        return str(value)
    raise ConditionError(f"{name} is no text")


def _inside(name: str, text: str, domains: list[str]) -> bool:
    """Is an e-mail address, or a bare domain, in one of the domains or below it?"""
    address = _ADDRESS.search(text)
    if "@" in text and address is None:
        raise ConditionError(f"{name} is no address")
    domain = (address[1] if address else text).rstrip(".")
    return any(domain == each or domain.endswith(f".{each}") for each in domains)
