"""Creating and changing records.

Salesforce has no idempotency keys. An upsert by an external id is safe to repeat; a change can name the time since
which nobody else may have changed the record; a created record is looked for by its content, its author and its time.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field

from clew import Api, errors, once

from .objects import explained
from .provider import NAME, FieldName, ObjectName, RecordId, salesforce, user_id
from .records import RECORD, fetch, flat, run
from .soql import bound

Plain = str | int | float | bool | None


def _named(values: dict[str, Plain]) -> dict[str, Plain]:
    """Field names become part of queries and addresses, so they must be names."""
    if wrong := [name for name in values if not re.fullmatch(NAME, name)]:
        raise ValueError(f"{wrong[0][:40]!r} is no API name of a field")
    return values


Values = Annotated[
    dict[str, Plain],
    Field(min_length=1, max_length=100, description="By API name; dates as 2026-12-31; null empties a field."),
    AfterValidator(_named),
]
SKEW = 300.0
"""How far Salesforce's clock and ours may differ, in seconds."""

MONEY = {"amount", "stagename", "closedate", "forecastcategoryname", "probability", "totalprice", "unitprice", "status"}
FINANCIAL = {"opportunity", "opportunitylineitem", "quote", "order", "orderitem", "contract", "asset"}
GUARDED = {
    "user", "permissionsetassignment", "permissionset", "profile", "group", "groupmember", "objectpermissions",
    "fieldpermissions", "setupentityaccess", "contentdistribution", "contentdocumentlink", "emailmessage", "userrole",
    "feeditem", "feedcomment", "campaignmember", "authprovider", "loginip", "twofactorinfo",
}  # fmt: skip
"""Objects whose records give rights, open doors, or reach people outside."""


class Made(BaseModel):
    """Salesforce's answer to a new record."""

    id: str


class Saved(BaseModel):
    """A record that was saved."""

    id: str
    created: bool


class Changed(BaseModel):
    """A record after a change; the fields that were set, as they stand."""

    id: str
    last_modified: str | None = None
    fields: dict[str, Any]


class Difference(BaseModel):
    """A field now, and as it would be."""

    now: Plain = None
    then: Plain = None


class Change(BaseModel):
    """What update_record would do."""

    id: str
    object: str
    last_modified: str | None = None
    changes: dict[str, Difference]


def careful(name: str, values: Mapping[str, Any]) -> bool:
    """Do the values move money or responsibility, give rights, or reach people? Upper case makes no other name."""
    kind, set_now = name.casefold(), {each.casefold() for each in values}
    shares = kind in GUARDED or kind.endswith("share")
    return shares or "ownerid" in set_now or (kind in FINANCIAL and bool(set_now & MONEY))


async def made_since(api: Api, name: str, values: Mapping[str, Any], sent_at: float | None) -> str | None:
    """The id of the one record with these values that this user has made since.

    Raises `TransientError` where that cannot be told: an equal one from just before, or more than one look can hold.
    """
    began = math.floor(sent_at or 0.0) - 1.0
    since = datetime.fromtimestamp(max(began - SKEW, 0.0), UTC)
    columns = ", ".join(dict.fromkeys(["Id", "CreatedDate", *values]))
    # The names have the form of names (FieldName, ObjectName), the rest goes in as values.
    soql = (
        f"SELECT {columns} FROM {name} WHERE CreatedById = :user AND CreatedDate >= :since "  # noqa: S608
        "ORDER BY CreatedDate DESC LIMIT 200"
    )
    found = await run(api, bound(soql, {"user": await user_id(api), "since": since}))
    mine = [row for row in found.records if stands(row, values)]
    fresh = [row for row in mine if (moment(row.get("CreatedDate")) or since).timestamp() >= began]
    if len(fresh) == 1:
        return str(fresh[0].get("Id"))
    if mine or len(found.records) >= 200:
        raise errors.TransientError("it cannot be told which of several equal records is the new one.")
    return None


def stands(row: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Do all values stand in the record? Numbers, times and empty texts are compared as what they mean."""
    there = {name.casefold(): value for name, value in row.items()}
    return all(_same(there.get(name.casefold()), value) for name, value in values.items())


def _same(there: Any, wanted: Plain) -> bool:
    if isinstance(wanted, bool) or isinstance(there, bool):
        return there is wanted
    if wanted is None or wanted == "" or there is None:
        return there in (None, "") and wanted in (None, "")
    if isinstance(there, int | float):
        try:
            return math.isclose(float(there), float(wanted), rel_tol=1e-9, abs_tol=1e-9)
        except ValueError:
            return False
    text, other = str(there).strip(), str(wanted).strip()
    same_id = len(text) == 18 and text[:15] == other
    return text == other or same_id or (moment(text) is not None and moment(text) == moment(other))


def moment(text: Any) -> datetime | None:
    """A time as Salesforce writes it, `2026-02-01T09:30:00.000+0000`; None for anything else."""
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) and "T" in text else None
    except ValueError:
        return None
    return found if found is None or found.tzinfo else found.replace(tzinfo=UTC)


async def _created(api: Api, object: str, values: dict[str, Any], sent_at: float | None) -> Saved | None:
    known = await made_since(api, object, values, sent_at)
    return Saved(id=known, created=True) if known else None


# https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta (sObject Basic Information, POST)
@salesforce.write(toolset="changes", verify=once.Look(_created, after=2.0, tries=2, every=3.0))
async def create_record(api: Api, object: ObjectName, values: Values) -> Saved:
    """Create a record. Better upsert_record, where the object has an external id: it is safe to repeat."""
    try:
        made = await api.post("/sobjects/{}", object, json=values, into=Made)
    except errors.CallError as refusal:
        raise await explained(api, object, values, refusal, new=True) from None
    api.reference(made.id)
    return Saved(id=made.id, created=True)


@salesforce.asks_when(create_record)
def creates_carefully(arguments: Mapping[str, Any]) -> bool:
    """Rights, shares and posts."""
    return careful(arguments["object"], {name: None for name in arguments["values"] if name.casefold() == "ownerid"})


# https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta (sObject Rows by External ID)
@salesforce.write(toolset="changes", once=once.NaturalKey())
async def upsert_record(
    api: Api,
    object: ObjectName,
    external_id_field: Annotated[FieldName, Field(description="One that describe_object calls external_id.")],
    external_id: Annotated[str, Field(min_length=1, max_length=255)],
    values: Values,
) -> Saved:
    """Create the record with this external id, or change it. Doing it twice leaves one record."""
    if external_id_field.casefold() in {each.casefold() for each in values} | {"id"}:
        raise errors.InvalidInputError("the external id field stands beside the values, and is not Id.")
    try:
        answer = await api.request("PATCH", "/sobjects/{}/{}/{}", object, external_id_field, external_id, json=values)
    except errors.CallError as refusal:
        raise await explained(api, object, values, refusal, new=False) from None
    known = answer.field("id")
    if known is None:  # an older answer to a change: no content
        query = {"fields": "Id"}
        where = (object, external_id_field, external_id)
        known = await api.get("/sobjects/{}/{}/{}", *where, query=query, at="Id", into=str)
    api.reference(known)
    return Saved(id=known, created=answer.status == 201)


@salesforce.asks_when(upsert_record)
def upserts_carefully(arguments: Mapping[str, Any]) -> bool:
    """It may change a record that is there."""
    return careful(arguments["object"], arguments["values"])


@salesforce.read(toolset="changes")
async def preview_change(api: Api, object: ObjectName, record_id: RecordId, values: Values) -> Change:
    """Show what update_record would change, field by field; changes nothing."""
    row, gone = await fetch(api, object, record_id, [*values, "LastModifiedDate"])
    if gone:
        raise errors.InvalidInputError(
            f"{object} has no such fields for this login.",
            next_step="Look at the fields with describe_object.",
            fields=dict.fromkeys(gone, "is unknown"),
        )
    there = {name.casefold(): value for name, value in row.items()}
    changes = {
        name: Difference(now=there.get(name.casefold()), then=value)
        for name, value in values.items()
        if not _same(there.get(name.casefold()), value)
    }
    return Change(id=record_id, object=object, last_modified=row.get("LastModifiedDate"), changes=changes)


async def _stands(api: Api, object: str, record_id: str, values: dict[str, Any]) -> Changed | None:
    row, _ = await fetch(api, object, record_id, [*values, "LastModifiedDate"])
    return _changed(record_id, row) if stands(row, values) else None


def _changed(record_id: str, row: Mapping[str, Any]) -> Changed:
    told = flat(row)
    told.pop("Id", None)
    return Changed(id=record_id, last_modified=told.pop("LastModifiedDate", None), fields=told)


# https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta (Conditional Request Headers)
@salesforce.write(toolset="changes", once=once.Guarded(), verify=once.Look(_stands))
async def update_record(
    api: Api,
    object: ObjectName,
    record_id: RecordId,
    values: Values,
    unmodified_since: Annotated[
        str | None,
        Field(max_length=40, description="last_modified of get_record: refuses if the record has changed since."),
    ] = None,
) -> Changed:
    """Change fields of a record; the others stay. A person is asked about money, owners and rights."""
    headers = {} if unmodified_since is None else {"If-Unmodified-Since": _http_date(unmodified_since)}
    try:
        await api.patch(RECORD, object, record_id, json=values, headers=headers)
    except errors.CallError as refusal:
        raise await explained(api, object, values, refusal, new=False) from None
    row, _ = await fetch(api, object, record_id, [*values, "LastModifiedDate"])
    return _changed(record_id, row)


@salesforce.asks_when(update_record, preview=preview_change)
def updates_carefully(arguments: Mapping[str, Any]) -> bool:
    """Money, owners and rights."""
    return careful(arguments["object"], arguments["values"])


def _http_date(told: str) -> str:
    found = moment(told)
    if found is None:
        raise errors.InvalidInputError("unmodified_since is not last_modified of get_record.")
    return format_datetime(found.astimezone(UTC).replace(microsecond=0), usegmt=True)
