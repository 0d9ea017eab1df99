"""Reading records: SOQL, search by words, one record."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, cast

from pydantic import BaseModel, Field

from clew import Api, From, errors

from .objects import UNFIT, Names, visible
from .provider import ObjectName, RecordId, salesforce
from .soql import selected

RECORD = "/sobjects/{}/{}"
BATCH = {"Sforce-Query-Options": "batchSize=200"}
"""The smallest page that Salesforce cuts a result into."""
LONGEST_TEXT = 2000

USUAL: Mapping[str, tuple[str, ...]] = {
    "account": ("Name", "Type", "Industry", "Phone", "Website", "BillingCity", "OwnerId"),
    "contact": ("Name", "Email", "Phone", "Title", "AccountId", "OwnerId"),
    "lead": ("Name", "Company", "Email", "Phone", "Status", "OwnerId"),
    "opportunity": ("Name", "StageName", "Amount", "CloseDate", "AccountId", "IsClosed", "IsWon", "OwnerId"),
    "case": ("CaseNumber", "Subject", "Status", "Priority", "ContactId", "AccountId", "OwnerId", "Description"),
    "task": ("Subject", "Status", "Priority", "ActivityDate", "WhoId", "WhatId", "OwnerId", "Description"),
    "user": ("Name", "Username", "Email", "IsActive"),
}
"""What is read of an object without `show`. Their names are the platform's own."""
_FOUND: Mapping[str, str] = {
    "account": "Id,Name,Type,Phone",
    "contact": "Id,Name,Email,Phone,AccountId",
    "lead": "Id,Name,Company,Email,Status",
    "opportunity": "Id,Name,StageName,Amount,CloseDate",
    "case": "Id,CaseNumber,Subject,Status",
    "user": "Id,Name,Email,IsActive",
}
_NEXT = re.compile(r"(?:https://[^/?#]+)?/services/data/v\d{2,3}\.\d/query/([A-Za-z0-9]{15,40}-\d{1,9})")


class Answered(BaseModel):
    """One page of a query's answer."""

    total: Annotated[int, From("totalSize")]
    done: bool
    records: list[dict[str, Any]]
    next_url: Annotated[str | None, From("nextRecordsUrl")] = None


class Rows(BaseModel):
    """What a query found; fields of related records as `Owner.Name`."""

    total_count: int
    rows: list[dict[str, Any]]
    next_cursor: str | None = Field(default=None, description="Pass it as `cursor` to get the next page.")


class Hit(BaseModel):
    """A record that has the words."""

    object: str
    id: str
    fields: dict[str, Any]


class Record(BaseModel):
    """One record, with Salesforce's own field names. `unmodified_since` of update_record takes `last_modified`."""

    id: str
    object: str
    last_modified: str | None = None
    fields: dict[str, Any]
    no_such_field: Annotated[
        list[str] | None, Field(description="Gone, renamed, or hidden from this login: see describe_object.")
    ] = None


def flat(row: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """A row without what only a program needs: `attributes`, nulls, levels of related records; long texts are cut."""
    told: dict[str, Any] = {}
    for name, value in row.items():
        if name == "attributes" or value is None:
            continue
        inner = cast(Mapping[str, Any], value) if isinstance(value, dict) else None
        if inner is None:
            told[f"{before}{name}"] = cut(value)
        elif isinstance(inner.get("records"), list):
            told[f"{before}{name}"] = [flat(each) for each in inner["records"]]
            if inner.get("done") is False:
                told[f"{before}{name} (all)"] = inner.get("totalSize")
        elif inner.get("attributes") is None:
            told[f"{before}{name}"] = dict(inner)  # an address or a place
        else:
            told |= flat(inner, f"{before}{name}.")
    return told


def cut(value: Any) -> Any:
    """A long text without its end."""
    return f"{value[:LONGEST_TEXT]}…" if isinstance(value, str) and len(value) > LONGEST_TEXT else value


async def run(api: Api, soql: str) -> Answered:
    """One query, already with its values in it."""
    return await api.get("/query", query={"q": soql}, headers=BATCH, into=Answered)


@salesforce.read(toolset="records")
async def query_records(
    api: Api,
    soql: Annotated[
        str,
        Field(
            min_length=15,
            max_length=8000,
            description="Without quoted text: SELECT Id, Owner.Name FROM Account WHERE Name LIKE :part% AND "
            "CreatedDate >= 2026-01-31T00:00:00Z",
        ),
    ],
    values: Annotated[
        dict[str, Any] | None, Field(description='Of the :names: text, number, true, or a list for IN. {"part": "Ac"}')
    ] = None,
    limit: Annotated[int, Field(ge=1, le=2000, description="Rows at most, where soql has no LIMIT.")] = 50,
    cursor: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9]{15,40}-[0-9]{1,9}$")] = None,
) -> Rows:
    """Run a SOQL SELECT. Texts go into values, never into soql."""
    asked = selected(soql, values or {}, limit)
    try:
        found = await api.get("/query/{}", cursor, headers=BATCH, into=Answered) if cursor else await run(api, asked)
    except errors.ContractChangedError as refusal:
        if refusal.provider_code not in UNFIT:
            raise
        raise errors.InvalidInputError(
            "the query names an object or field that this login does not see.",
            next_step="Look at the names with describe_object or list_objects.",
            status=refusal.status,
            provider_code=refusal.provider_code,
            provider_message=refusal.provider_message,
        ) from None
    return Rows(total_count=found.total, rows=[flat(row) for row in found.records], next_cursor=_after(found, cursor))


def _after(found: Answered, cursor: str | None) -> str | None:
    if found.done:
        return None
    following = _NEXT.fullmatch(found.next_url or "")
    if following is None:
        raise errors.ContractChangedError("salesforce's next page is no place of a query; stopped.")
    if following[1] == cursor:
        raise errors.ContractChangedError("salesforce's next page is the same page again; stopped.")
    return following[1]


# https://developer.salesforce.com/docs (Search with Parameters in the URI): no SOSL clauses are read in q.
@salesforce.read(toolset="records")
async def search_records(
    api: Api,
    words: Annotated[str, Field(min_length=2, max_length=200, description="Names, addresses, numbers.")],
    objects: Annotated[
        list[ObjectName] | None, Field(min_length=1, max_length=10, description="Without: Account, Contact, Lead.")
    ] = None,
    limit: Annotated[int, Field(ge=1, le=100)] = 20,
) -> list[Hit]:
    """Search all text of records. The index lags behind writes: check those with get_record or query_records."""
    named = objects or ["Account", "Contact", "Lead"]
    fields = {f"{each}.fields": _FOUND.get(each.casefold(), "Id,Name") for each in named}
    query: dict[str, str | int | list[str]] = {"q": words, "sobject": named, "overallLimit": limit, **fields}
    found = await api.get("/parameterizedSearch", query=query, at="searchRecords", into=list[dict[str, Any]])
    return [_hit(each) for each in found]


def _hit(row: dict[str, Any]) -> Hit:
    kind = cast(dict[str, Any], row.get("attributes") or {}).get("type")
    told = flat(row)
    known = told.pop("Id", None)
    if not isinstance(kind, str) or not isinstance(known, str):
        raise errors.ContractChangedError("the provider's answer changed its shape: a hit has no type or no Id.")
    return Hit(object=kind, id=known, fields=told)


async def fetch(api: Api, name: str, known: str, wanted: list[str]) -> tuple[dict[str, Any], list[str]]:
    """A record to those fields that are there for this login, and the names of those that are not."""
    query = {"fields": ",".join(wanted)}
    try:
        return await api.get(RECORD, name, known, query=query, into=dict[str, Any]), []
    except errors.ContractChangedError as refusal:
        if refusal.provider_code not in UNFIT:
            raise
    there, gone = await visible(api, name, wanted)
    query = {"fields": ",".join(there)}
    return await api.get(RECORD, name, known, query=query, into=dict[str, Any]), gone


@salesforce.read(toolset="records")
async def get_record(
    api: Api,
    object: ObjectName,
    record_id: RecordId,
    show: Annotated[Names, Field(description="Fields; without it the usual ones, or all that are set.")] = None,
) -> Record:
    """Read one record."""
    wanted = list(show or USUAL.get(object.casefold(), ()))
    gone: list[str] = []
    if wanted:
        row, gone = await fetch(api, object, record_id, list(dict.fromkeys([*wanted, "LastModifiedDate"])))
    else:
        row = await api.get(RECORD, object, record_id, into=dict[str, Any])
    told = flat(row)
    return Record(
        id=told.pop("Id", record_id),
        object=object,
        last_modified=told.pop("LastModifiedDate", None),
        fields=told,
        no_such_field=gone or None,
    )
