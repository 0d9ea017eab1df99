"""What all objects of the CRM share: their properties, the search, and how a mark of ours is found again."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, Field

from clew import Api, From, errors, once

SIZE = 20
LAST = 10_000
"""A search shows no more than its first 10 000 records, 200 a page.
https://developers.hubspot.com/docs/api-reference/2026-03/crm/search-the-crm"""
_MOST_NOTED = 100
"""Objects that one batch reads."""

Id = Annotated[str, Field(pattern=r"^[0-9]{1,20}$", description="Record id.")]
MaybeId = Annotated[str | None, Field(pattern=r"^[0-9]{1,20}$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,99}$")]
Show = Annotated[list[Name] | None, Field(max_length=30, description="Further properties to return, internal names.")]
Further = Annotated[dict[str, str] | None, Field(description="Further properties by internal name.")]
Where = Annotated[
    list[str] | None,
    Field(
        max_length=10,
        description="All must hold: 'amount >= 1000', 'lifecyclestage = lead', 'closedate < 2026-12-31', "
        "'email contains acme', 'pipeline in a; b', 'phone is empty', 'associations.contact = 123'.",
    ),
]
Query = Annotated[str | None, Field(max_length=3000, description="Words in names, addresses and numbers.")]
Sort = Annotated[
    str | None, Field(pattern=r"^-?[a-z][a-z0-9_]{0,99}$", description="Property; -amount for descending.")
]
Cursor = Annotated[str | None, Field(pattern=r"^[0-9]{1,5}$", description="next_cursor of the previous page.")]
Expected = Annotated[
    dict[str, str] | None,
    Field(description="Values as you read them: refuses if one was changed since."),
]


class Raw(BaseModel):
    """A record as HubSpot sends it; all values of `properties` are text or null."""

    id: str
    properties: dict[str, str | None]
    created_at: Annotated[str | None, From("createdAt")] = None
    updated_at: Annotated[str | None, From("updatedAt")] = None
    archived_at: Annotated[str | None, From("archivedAt")] = None
    url: str | None = None
    warnings: Annotated[list[str] | None, From("warnings[*].message")] = None
    contacts: Annotated[list[str] | None, From("associations.contacts.results[*].id")] = None
    companies: Annotated[list[str] | None, From("associations.companies.results[*].id")] = None
    deals: Annotated[list[str] | None, From("associations.deals.results[*].id")] = None


class Record(BaseModel):
    """A record, with HubSpot's own names of its properties, so that these can be searched for and set."""

    id: str
    updated_at: str | None = None
    warnings: Annotated[list[str] | None, Field(description="HubSpot's words on what it did otherwise.")] = None
    more: Annotated[dict[str, str | None] | None, Field(description="What `show` asked for.")] = None
    no_such_property: Annotated[list[str] | None, Field(description="Of `show`: unknown in this account.")] = None


_OURS = frozenset(Raw.model_fields) | frozenset(Record.model_fields)
R = TypeVar("R", bound=Record)


class Found(BaseModel):
    """One answer of a search."""

    total: int
    results: list[Raw]
    after: Annotated[str | None, From("paging.next.after")] = None


class Hits(BaseModel, Generic[R]):
    """One page of a search."""

    total_count: int
    items: list[R]
    capped: Annotated[bool | None, Field(description="Only the first 10 000 can be read: narrow the search.")] = None
    next_cursor: str | None = Field(default=None, description="Pass it as `cursor` to get the next page.")


def names_of(kind: type[Record], show: Sequence[str] | None = None) -> list[str]:
    """The properties to ask for: those of the projection, and `show`."""
    return list(dict.fromkeys([*(name for name in kind.model_fields if name not in _OURS), *(show or ())]))


def record_of(kind: type[R], raw: Raw, show: Sequence[str] | None = None) -> R:
    """The projection of a record. HubSpot leaves out properties that an account does not have, and says nothing."""
    own = {name: raw.properties.get(name) or None for name in names_of(kind)}
    ours: dict[str, Any] = {name: getattr(raw, name) for name in Raw.model_fields if name in kind.model_fields}
    linked = {name: list(dict.fromkeys(ids)) for name in ("contacts", "companies", "deals") if (ids := ours.get(name))}
    asked = show or ()
    more = {name: raw.properties[name] for name in asked if name in raw.properties}
    unknown = [name for name in asked if name not in raw.properties]
    return kind.model_validate({**ours, **own, **linked, "more": more or None, "no_such_property": unknown or None})


async def search(
    api: Api,
    path: str,
    kind: type[R],
    *,
    query: str | None,
    where: Sequence[str] | None,
    sort: str | None,
    show: Sequence[str] | None,
    cursor: str | None,
) -> Hits[R]:
    """One page of a search. The index lags behind writes by seconds."""
    asked: dict[str, Any] = {"limit": SIZE, "properties": names_of(kind, show), "filterGroups": [], "sorts": []}
    if query:
        asked["query"] = query
    if where:
        asked["filterGroups"] = [{"filters": [condition_of(each) for each in where]}]
    if sort:
        direction = "DESCENDING" if sort.startswith("-") else "ASCENDING"
        asked["sorts"] = [{"propertyName": sort.lstrip("-"), "direction": direction}]
    if cursor:
        asked["after"] = cursor
    found = await api.post(path, json=asked, into=Found)
    if found.after is not None and found.after == cursor:
        raise errors.ContractChangedError("hubspot's next page is the same page again; stopped.")
    reached = found.after is None or not found.after.isdigit() or int(found.after) + SIZE > LAST
    return Hits[R](
        total_count=found.total,
        items=[record_of(kind, raw, show) for raw in found.results],
        capped=True if found.total > LAST else None,
        next_cursor=None if reached else found.after,
    )


_CONDITION = re.compile(
    r"(?P<name>[a-z][a-z0-9_.]{0,99})\s*"
    r"(?:(?P<sign>>=|<=|!=|=|>|<|\s(?:contains|in)\s)\s*(?P<value>\S.*)|\sis (?P<there>empty|set))",
    re.DOTALL,
)
_SIGNS: Mapping[str, str] = {
    "=": "EQ", "!=": "NEQ", ">": "GT", ">=": "GTE", "<": "LT", "<=": "LTE", "contains": "CONTAINS_TOKEN", "in": "IN",
    "empty": "NOT_HAS_PROPERTY", "set": "HAS_PROPERTY",
}  # fmt: skip


def condition_of(text: str) -> dict[str, Any]:
    """HubSpot's filter for a condition. Raises `InvalidInputError` with the forms there are."""
    match = _CONDITION.fullmatch(text.strip())
    if match is None:
        raise errors.InvalidInputError(
            "a condition in where cannot be read.",
            next_step="Write each as property, sign, value: amount >= 1000. Signs: = != > >= < <= contains, in (values "
            "with ; between), is empty, is set.",
        )
    sign, value = (match["sign"] or match["there"]).strip(), match["value"]
    told: dict[str, Any] = {"propertyName": match["name"], "operator": _SIGNS[sign]}
    if sign == "in":
        return {**told, "values": [each.strip() for each in value.split(";") if each.strip()]}
    return told if value is None else {**told, "value": _moment(value) if sign[0] in "<>" else value.strip()}


def _moment(value: str) -> str:
    """Dates are compared in milliseconds; a time without a zone is UTC. Other values stay."""
    if not re.match(r"\d{4}-\d\d-\d\d", value):
        return value.strip()
    try:
        found = datetime.fromisoformat(value.strip())
    except ValueError:
        raise errors.InvalidInputError("a date in where is not ISO: 2026-01-31 or 2026-01-31T09:00:00Z.") from None
    return str(round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000))


def given(further: Mapping[str, str] | None, **own: str | None) -> dict[str, str]:
    """The properties to set. Raises `InvalidInputError` when one is given twice."""
    named = {name: value for name, value in own.items() if value is not None}
    twice = sorted(named.keys() & (further or {}).keys())
    if twice:
        raise errors.InvalidInputError(f"{twice[0]} is given twice: by itself and in properties.")
    return {**named, **(further or {})}


async def change(
    api: Api, path: str, known: str, kind: type[R], *, wanted: Mapping[str, str], expected: Mapping[str, str] | None
) -> R:
    """Set properties of a record. HubSpot has no versions: what was `expected` is compared just before."""
    if not wanted:
        raise errors.InvalidInputError("there is nothing to change.", next_step="Give at least one property to change.")
    if expected:
        now = await api.get(path, known, query={"properties": ",".join(expected)}, into=Raw)
        # HubSpot leaves out what an account does not have.
        if unknown := [name for name in expected if name not in now.properties]:
            raise errors.InvalidInputError(
                "the account has no property that was expected.", fields={unknown[0]: "is no property of the account"}
            )
        for name, value in expected.items():
            # What stands as wanted already may be this same call, sent before.
            if (now.properties.get(name) or "") not in (value, wanted.get(name)):
                raise errors.ConflictError(
                    f"{name} has changed since it was read; nothing was changed.",
                    next_step="Read the record again, then decide.",
                )
    raw = await api.patch(path, known, json={"properties": wanted}, into=Raw)
    return record_of(kind, raw)


def link(known: str | None, type_id: int) -> list[dict[str, Any]]:
    """An association of HubSpot's own type, for a record that is just created."""
    kind = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": type_id}
    return [{"to": {"id": known}, "types": [kind]}] if known else []


MARK_NOTE = "<br>[{marker}]"
"""HubSpot has no idempotency key and no hidden field that an app may write: the mark can be seen."""


class Linked(BaseModel):
    """One answer of the associations of a record."""

    ids: Annotated[list[int], From("results[*].toObjectId")]
    after: Annotated[str | None, From("paging.next.after")] = None


class Batch(BaseModel):
    """Records that were read together."""

    results: list[Raw]


async def find_marked(api: Api, near: tuple[str, str], kind: str, field: str, marker: str) -> Raw | None:
    """The record of this kind beside another one that has our mark: by ids, since the search lags.

    The newest have the highest ids (memory); with more than one batch reads, that it is not among them proves nothing.
    """
    there = await api.get("/crm/objects/2026-09/{}/{}/associations/{}", *near, kind, query={"limit": 500}, into=Linked)
    newest = sorted(there.ids)[-_MOST_NOTED:]
    if not newest:
        return None
    asked = {"inputs": [{"id": str(each)} for each in newest], "properties": [field], "propertiesWithHistory": []}
    found = await api.post("/crm/objects/2026-09/{}/batch/read", kind, json=asked, into=Batch)
    mine = [raw for raw in found.results if marker in (raw.properties.get(field) or "")]
    if mine:
        return mine[0]
    if len(there.ids) > len(newest) or there.after:
        raise errors.TransientError("the record has more of these than one look can read.")
    return None


def looking(read: once.Reader) -> once.Look:
    """A look with the patience that associations may need."""
    return once.Look(read, after=5.0, tries=2, every=5.0)
