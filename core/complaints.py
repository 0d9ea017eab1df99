"""Which arguments a provider complains about, whatever shape its complaint has: field name to why.

Known shapes: GitHub, JSON:API, problem details (`invalid-params`, `violations`, ASP.NET's `errors`), FastAPI, Stripe,
Google, OData, Jira, GitLab, Zendesk, Discord, Salesforce, Shopify, HubSpot, NetSuite, Spring, GraphQL user errors.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from clew.core.fields import as_list, as_object, as_text

MOST = 20
"""No more fields than this are shown."""

_NAMES = (
    "field", "source.pointer", "source.parameter", "param", "parameter", "loc", "target", "location", "propertyPath",
    "property", "propertyName", "fieldName", "pointer", "name", "in", "o:errorPath", "attribute", "path",
)  # fmt: skip
_WHYS = (
    "message", "detail", "description", "msg", "reason", "defaultMessage", "title", "code", "error", "type",
)  # fmt: skip
_LISTS = (
    "errors", "invalid-params", "invalid_params", "invalidParams", "violations", "fieldViolations", "detail", "details",
    "o:errorDetails", "userErrors", "fieldErrors", "validationErrors", "issues", "subErrors",
)  # fmt: skip
_MAPS = ("errors", "message", "details", "fields", "fieldErrors", "validation_errors", "error_fields")


def complaints(data: Any) -> dict[str, str]:
    """Field to why, at most 20; empty when no field is named."""
    found: dict[str, str] = {}
    for name, why in _all(data, 0):
        short = name.removeprefix("#/").removeprefix("/").removeprefix("data/attributes/").replace("/", ".")
        if short and len(short) <= 200:
            found.setdefault(short, why or "not accepted")
        if len(found) == MOST:
            break
    return found


def _all(data: Any, depth: int) -> Iterator[tuple[str, str]]:
    if depth > 6:
        return
    for item in (as_list(data) or [])[:MOST]:
        yield from _of_item(item)
        yield from _all(item, depth + 1)
    found = as_object(data)
    if found is None:
        return
    for key in _LISTS:
        for item in (as_list(found.get(key)) or [])[:MOST]:
            yield from _of_item(item)
            yield from _all(item, depth + 1)
    for key in _MAPS:
        yield from _of_map(as_object(found.get(key)), "")
    error = as_object(found.get("error"))
    if error is not None:
        yield from _of_item(error)
        yield from _all(error, depth + 1)


def _of_item(item: Any) -> Iterator[tuple[str, str]]:
    """One complaint that names its field, or several fields at once (Salesforce)."""
    found = as_object(item)
    if found is None:
        return
    why = _why(found)
    for name in _several(found.get("fields")):
        yield name, why
    named = next((name for key in _NAMES if (name := _name(found, key))), "")
    if named:
        yield named, why


def _several(value: Any) -> list[str]:
    return [name for name in (as_list(value) or [])[:MOST] if isinstance(name, str)]


def _name(item: Mapping[str, Any], key: str) -> str:
    outer, _, inner = key.partition(".")
    value = item.get(outer)
    if inner:
        value = (as_object(value) or {}).get(inner)
    parts = as_list(value)
    if parts is not None:
        words = [str(part) for part in parts[:10] if isinstance(part, str | int) and not isinstance(part, bool)]
        return ".".join(words[1:] if words[:1] in (["body"], ["input"]) and len(words) > 1 else words)
    return value if isinstance(value, str) else ""


def _why(item: Mapping[str, Any]) -> str:
    return next((value for key in _WHYS if isinstance(value := item.get(key), str) and value), "")


def _of_map(found: Mapping[str, Any] | None, prefix: str) -> Iterator[tuple[str, str]]:
    """`{field: why}`, `{field: [why, …]}`, `{field: [{description}]}`, and Discord's nested `_errors`."""
    for name, value in list((found or {}).items())[:MOST]:
        path = f"{prefix}{name}"
        nested = as_object(value)
        if nested is not None and len(prefix) < 100:
            listed = as_list(nested.get("_errors"))
            if listed:
                yield path, _first(listed)
            else:
                yield from _of_map(nested, f"{path}.")
        elif as_list(value):
            yield path, _first(as_list(value) or [])
        elif isinstance(value, str) and not prefix and " " not in name and name not in _WHYS:
            yield path, value


def _first(values: list[Any]) -> str:
    first = as_object(values[0])
    return _why(first) if first is not None else as_text(values[0])
