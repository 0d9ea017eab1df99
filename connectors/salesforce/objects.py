"""What the organization itself says of its objects and fields: the schema, which administrators change at any time."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from clew import Api, From, errors

from .provider import FieldName, ObjectName, salesforce

DESCRIBE = "/sobjects/{}/describe"
MOST_VALUES = 30
UNFIT = ("INVALID_FIELD", "INVALID_TYPE", "INVALID_FIELD_FOR_INSERT_UPDATE", "INVALID_FIELD_FOR_INSERT_UPDATE_SCHEMA")
REFUSED = (*UNFIT, "REQUIRED_FIELD_MISSING", "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", "STRING_TOO_LONG")
"""What is refused because the values do not fit the object's description; nothing was saved."""


class Choice(BaseModel):
    """A value of a picklist."""

    value: str | None
    active: bool = True


class RawField(BaseModel):
    """A field as `describe` has it. https://developer.salesforce.com/docs (sObject Describe)"""

    name: str
    label: str
    type: str
    length: int = 0
    nillable: bool
    createable: bool
    updateable: bool
    defaulted: Annotated[bool, From("defaultedOnCreate")] = False
    external_id: Annotated[bool, From("externalId")] = False
    restricted: Annotated[bool, From("restrictedPicklist")] = False
    choices: Annotated[list[Choice], From("picklistValues")] = []
    refers_to: Annotated[list[str], From("referenceTo")] = []
    relation: Annotated[str | None, From("relationshipName")] = None

    @property
    def required(self) -> bool:
        """Must a new record name it?"""
        return self.createable and not self.nillable and not self.defaulted

    @property
    def values(self) -> list[str]:
        """What a picklist offers."""
        return [each.value for each in self.choices if each.active and each.value]


class RawObject(BaseModel):
    """An object as `describe` has it, to those fields that this login may see."""

    name: str
    label: str
    fields: list[RawField]


class RawLine(BaseModel):
    """An object as the list of all of them has it."""

    name: str
    label: str
    queryable: bool
    createable: bool


class ObjectLine(BaseModel):
    """An object of the organization."""

    name: str
    label: str
    writable: bool | None = None


class FieldLine(BaseModel):
    """A field; `label` where it says more than the name."""

    name: str
    type: str
    label: str | None = None
    required: bool | None = None
    read_only: bool | None = None
    external_id: Annotated[bool | None, Field(description="upsert_record can find records by it.")] = None
    length: int | None = None
    values: Annotated[list[str] | None, Field(description="Of a picklist.")] = None
    more_values: int | None = None
    refers_to: list[str] | None = None
    relation: Annotated[str | None, Field(description="In SOQL: SELECT relation.Name.")] = None


class ObjectFacts(BaseModel):
    """An object and those of its fields that were asked for."""

    name: str
    label: str
    fields: list[FieldLine]
    other_fields: Annotated[int | None, Field(description="Not shown: see fields and contains.")] = None


async def described(api: Api, name: str) -> RawObject:
    """The object's own description."""
    return await api.get(DESCRIBE, name, into=RawObject)


def _line(field: RawField) -> FieldLine:
    values = field.values
    plain = field.name.removesuffix("__c").replace("_", "").casefold()
    told = field.label if field.label.replace(" ", "").casefold() not in (plain, plain.removesuffix("id")) else None
    return FieldLine(
        name=field.name,
        type=field.type,
        label=told,
        required=field.required or None,
        read_only=True if not field.updateable and not field.createable else None,
        external_id=field.external_id or None,
        length=field.length if field.type in ("string", "textarea") and field.length else None,
        values=values[:MOST_VALUES] or None,
        more_values=len(values) - MOST_VALUES if len(values) > MOST_VALUES else None,
        refers_to=field.refers_to[:5] or None,
        relation=field.relation,
    )


@salesforce.read(toolset="objects")
async def list_objects(
    api: Api,
    contains: Annotated[str, Field(min_length=2, max_length=80, description="Part of the name or label.")],
) -> list[ObjectLine]:
    """Find objects, own ones (`…__c`) too, by name."""
    found = await api.get("/sobjects", at="sobjects", into=list[RawLine])
    wanted = contains.casefold()
    return [
        ObjectLine(name=each.name, label=each.label, writable=each.createable or None)
        for each in found
        if each.queryable and wanted in f"{each.name}\n{each.label}".casefold()
    ]


@salesforce.read(toolset="objects")
async def describe_object(
    api: Api,
    object: ObjectName,
    fields: Annotated[
        Literal["required", "writable", "all"], Field(description="Which; writable includes the required.")
    ] = "writable",
    contains: Annotated[str | None, Field(max_length=80, description="Part of a field's name or label.")] = None,
) -> ObjectFacts:
    """Show an object's fields as this login sees them: types, picklist values, what is required."""
    found = await described(api, object)
    wanted = (contains or "").casefold()
    shown = [
        field
        for field in found.fields
        if wanted in f"{field.name}\n{field.label}".casefold()
        and (fields == "all" or field.required or (fields == "writable" and (field.createable or field.updateable)))
    ]
    return ObjectFacts(
        name=found.name,
        label=found.label,
        fields=[_line(field) for field in shown],
        other_fields=len(found.fields) - len(shown) or None,
    )


async def visible(api: Api, name: str, wanted: Iterable[str]) -> tuple[list[str], list[str]]:
    """Of the fields `wanted` those that are there for this login, and the others."""
    there = {field.name.casefold() for field in (await described(api, name)).fields}
    asked = list(wanted)
    seen = [each for each in asked if each.casefold() in there]
    return seen, [each for each in asked if each not in seen]


async def misfits(api: Api, name: str, values: dict[str, Any], *, new: bool) -> dict[str, str]:
    """What of `values` does not fit the object's description, by field."""
    facts = {field.name.casefold(): field for field in (await described(api, name)).fields}
    wrong: dict[str, str] = {}
    for given, value in values.items():
        field = facts.get(given.casefold())
        if field is None:
            near = get_close_matches(given.casefold(), list(facts), n=1)
            wrong[given] = f"is unknown{f', perhaps {facts[near[0]].name}' if near else ''}"
        elif not (field.createable if new else field.updateable):
            wrong[given] = "cannot be set by this login"
        elif isinstance(value, str) and field.restricted and field.values and value not in field.values:
            wrong[given] = f"is none of {', '.join(field.values[:10])}"
        elif isinstance(value, str) and field.length and len(value) > field.length:
            wrong[given] = f"has more than {field.length} characters"
        elif value is None and not field.nillable:
            wrong[given] = "must not be empty"
    given_names = {each.casefold() for each in values}
    wrong.update({f.name: "is required" for key, f in facts.items() if new and f.required and key not in given_names})
    return wrong


async def explained(
    api: Api, name: str, values: dict[str, Any], refusal: errors.CallError, *, new: bool
) -> errors.CallError:
    """A refusal of values in the words of the object's own description, where that tells what is wrong.

    The schema belongs to the organization: a field that is gone since the agent learnt of it is drift that it can mend.
    """
    if refusal.provider_code not in REFUSED or refusal.outcome is not errors.Outcome.NOT_APPLIED:
        return refusal
    wrong = await misfits(api, name, values, new=new)
    if not wrong and refusal.provider_code not in UNFIT:
        return refusal
    return errors.InvalidInputError(
        f"the values do not fit {name} as the organization has it now; nothing was saved.",
        next_step="Look at the fields with describe_object, then call again.",
        fields=wrong,
        status=refusal.status,
        provider_code=refusal.provider_code,
        provider_message=refusal.provider_message,
    )


Names = Annotated[list[FieldName] | None, Field(max_length=100, description="Fields by API name.")]
