"""What of a call's arguments may stay in its record: shapes always, values only when they cannot be about a person.

Kept are truth values, small numbers, dates, members of the schema's list, and identifiers under a name that stands for
one (`repo`, `ticket_id`). Everything else leaves its length, as `[42 characters]`: what a name calls personal or
secret, free text, addresses, numbers one could call or charge, and whatever looks like a key.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from clew.core.fields import as_list, as_object
from clew.core.values import dataclass


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PERSONAL = _words(
    "name first last full given family surname nickname username user login email mail phone mobile tel fax address "
    "street city zip postcode postal birthday birthdate dob age gender ssn passport iban bic account card pan "
    "contact customer person people member members attendee attendees assignee assignees to cc bcc from sender "
    "recipient recipients author latitude longitude lat lng ip salary"
)
"""Words that make a name personal, alone or as a part of it: `billing_email`, `to`. With `id` it is an identifier."""

SECRET = _words(
    "secret token password passwd pwd passphrase apikey authorization auth bearer cookie credential credentials "
    "signature pin cvc cvv otp session jwt private cursor"
)
"""Words that make a name secret. A cursor is sealed by the provider, and nobody knows what is in it."""

IDENTIFIERS = _words(
    "id ids number key owner repo repository org project board list channel branch ref sha issue ticket invoice order "
    "state status type kind sort direction currency priority label labels format language locale timezone limit page "
    "per object resource table database queue topic workspace team calendar mode method event scope category plan sku "
    "product price unit version environment region country"
)
"""Words that make a short value without spaces an identifier."""

_KEYS = re.compile(r"(api|access|secret|private|signing|encryption|master)[_-]?key|^key$")
_IDENTIFIER = re.compile(r"[A-Za-z0-9_.:/#-]{1,64}")
_SHAPED = re.compile(r"[A-Za-z]{1,8}[_-](?=[A-Za-z]*\d)[A-Za-z0-9]{1,24}")
_NAMELIKE = re.compile(r"[A-Z][a-z]+")
_NUMBERED = re.compile(r"\d[\d .:/-]{7,}\d")
_KEYLIKE = re.compile(
    r"(?=[^-]*\d)(?=.*[A-Za-z])[A-Za-z0-9_]{24,}|(?:sk|pk|rk|gh[opsu]|glpat|xox[a-z]|AKIA|eyJ)[_A-Za-z0-9-]{8,}"
)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ][\d:.]{5,15}(Z|[+-]\d{2}:?\d{2})?)?")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SHOWN_ITEMS, _DEPTH = 20, 4
_LARGE = 10**7


@dataclass(frozen=True, slots=True)
class Names:
    """The names whose values the operator never (`hide`) or always (`show`) wants in a record."""

    hide: frozenset[str] = frozenset()
    show: frozenset[str] = frozenset()


def redact(arguments: Mapping[str, Any], schema: Mapping[str, Any], names: Names | None = None) -> dict[str, Any]:
    """`arguments` as they may be kept. `schema` is the tool's input schema. A secret's name is stronger than `show`."""
    return _inside(arguments, schema.get("properties", {}), names or Names(), 0)


def _inside(values: Mapping[Any, Any], properties: Mapping[str, Any], names: Names, depth: int) -> dict[str, Any]:
    first = list(values.items())[:_SHOWN_ITEMS]
    return {
        _key(name, properties): _field(str(name), value, properties.get(name, {}), names, depth)
        for name, value in first
    }


def _key(name: object, properties: Mapping[str, Any]) -> str:
    """A name that is not the schema's own may be made up by a model, or be a key of somebody's free-form object."""
    text = str(name)
    return text if text in properties or re.fullmatch(r"[a-z][A-Za-z_]{0,30}", text) else _size(text)


def _field(name: str, value: Any, schema: Mapping[str, Any], names: Names, depth: int) -> Any:
    kind = _kind(name)
    if kind == "secret" or name in names.hide:
        return _size(value)
    if name in names.show and isinstance(value, str | int | float):
        return value
    return _size(value) if kind == "personal" else _value(value, schema, names, depth, identifies=kind == "identifier")


def is_secret(name: str) -> bool:
    """Does this name stand for something that nobody is shown?"""
    return _kind(name) == "secret"


@lru_cache(maxsize=2048)
def _kind(name: str) -> str:
    words = set(re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()))
    if words & SECRET or _KEYS.search(name.lower()):
        return "secret"
    if words & PERSONAL and not words & {"id", "ids"}:
        return "personal"
    return "identifier" if words & IDENTIFIERS else "other"


def _value(value: Any, schema: Mapping[str, Any], names: Names, depth: int, *, identifies: bool) -> Any:
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if identifies or abs(value) < _LARGE else _size(value)
    if isinstance(value, str):
        return value if value in schema.get("enum", ()) or _harmless(value, identifies) else _size(value)
    table, items = as_object(value), as_list(value)
    if depth < _DEPTH and table is not None:
        return _inside(table, schema.get("properties", {}), names, depth + 1)
    if depth < _DEPTH and items is not None:
        one = schema.get("items", {})
        return [_value(each, one, names, depth + 1, identifies=identifies) for each in items[:_SHOWN_ITEMS]]
    return _size(value)


def _harmless(text: str, identifies: bool) -> bool:
    length = len(text)
    joined = "-" in text  # each pattern is tried only where it can fit: every call pays for all its words
    if length > 64 or not (identifies or joined or "_" in text):
        return False
    if joined and (_DATE.fullmatch(text) or _UUID.fullmatch(text)):
        return True
    fits = _IDENTIFIER.fullmatch(text) if identifies else _SHAPED.fullmatch(text)
    return (
        fits is not None
        and _NAMELIKE.fullmatch(text) is None
        and (length < 9 or _NUMBERED.search(text) is None)
        and (length < 10 or _KEYLIKE.search(text) is None)
    )


def _size(value: Any) -> str:
    if isinstance(value, str):
        return f"[{len(value)} characters]"
    table, items = as_object(value), as_list(value)
    whole = items if table is None else table
    return "[hidden]" if whole is None else f"[{len(whole)} items]"
