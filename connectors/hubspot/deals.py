"""Deals and the pipelines whose stages they go through."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from clew import Api, From, errors, once

from .provider import DEALS_READ, DEALS_WRITE, hubspot
from .records import (
    Cursor,
    Expected,
    Further,
    Hits,
    Id,
    MaybeId,
    Query,
    Raw,
    Record,
    Show,
    Sort,
    Where,
    change,
    find_marked,
    given,
    link,
    looking,
    names_of,
    record_of,
    search,
)

DEALS, DEAL = "/crm/objects/2026-09/deals", "/crm/objects/2026-09/deals/{}"
CONTACT_OF_DEAL, COMPANY_OF_DEAL = 3, 341
"""Association types: https://developers.hubspot.com/docs/api-reference/latest/crm/associations/overview (memory)"""
PATTERN = r"^-?[0-9]{1,15}(\.[0-9]{1,6})?$"

Amount = Annotated[str | None, Field(pattern=PATTERN, description="In the deal's currency: 1200.50.")]
Currency = Annotated[str | None, Field(pattern="^[A-Z]{3}$", description="EUR. Only those the account has.")]
Day = Annotated[str | None, Field(pattern=r"^\d{4}-\d\d-\d\d$", description="Expected or real close: 2026-12-31.")]
Stage = Annotated[str, Field(min_length=1, max_length=100, description="Stage id of list_pipelines.")]


class DealLine(Record):
    """A deal in a search."""

    dealname: str | None = None
    amount: str | None = None
    deal_currency_code: str | None = None
    pipeline: str | None = None
    dealstage: str | None = None
    closedate: str | None = None
    hubspot_owner_id: str | None = None


class Deal(DealLine):
    """A deal; `contacts` and `companies` are ids of what it is associated with."""

    url: str | None = None
    hs_is_closed: str | None = None
    hs_is_closed_won: str | None = None
    description: str | None = None
    created_at: str | None = None
    archived_at: Annotated[str | None, Field(description="Present: archived. A person can restore it.")] = None
    contacts: list[str] | None = None
    companies: list[str] | None = None


def _closed(value: Any) -> Any:
    return True if value in ("true", True) else None


class StageLine(BaseModel):
    """A stage of a pipeline; `probability` from 0.0 to 1.0."""

    id: str
    label: str
    probability: Annotated[str | None, From("metadata.probability")] = None
    is_closed: Annotated[bool | None, From("metadata.isClosed"), BeforeValidator(_closed)] = None


class Pipeline(BaseModel):
    """A pipeline with its stages."""

    id: str
    label: str
    stages: list[StageLine]


@hubspot.read(toolset="deals", scopes=[DEALS_READ])
async def search_deals(
    api: Api, query: Query = None, *, where: Where = None, sort: Sort = None, show: Show = None, cursor: Cursor = None
) -> Hits[DealLine]:
    """Search deals. Lags writes by seconds, so check those with get_deal; shows at most 10 000."""
    path = "/crm/objects/2026-09/deals/search"
    return await search(api, path, DealLine, query=query, where=where, sort=sort, show=show, cursor=cursor)


@hubspot.read(toolset="deals", scopes=[DEALS_READ])
async def get_deal(api: Api, deal_id: Id, show: Show = None) -> Deal:
    """Read one deal, also an archived one."""
    asked = {"properties": ",".join(names_of(Deal, show)), "associations": "contacts,companies"}
    try:
        raw = await api.get(DEAL, deal_id, query=asked, into=Raw)
    except errors.NotFoundError:
        raw = await api.get(DEAL, deal_id, query={**asked, "archived": True}, into=Raw)
    return record_of(Deal, raw, show)


@hubspot.read(toolset="deals", scopes=["crm.objects.deals.read"])
async def list_pipelines(api: Api, kind: Literal["deals", "tickets"] = "deals") -> list[Pipeline]:
    """List pipelines and their stages with the ids that deals have."""
    return await api.get("/crm/pipelines/2026-09/{}", kind, at="results", into=list[Pipeline])


async def _made(api: Api, marker: str, contact_id: str | None = None, company_id: str | None = None) -> Deal | None:
    near = ("contacts", contact_id) if contact_id else ("companies", company_id or "")
    raw = await find_marked(api, near, "deals", "description", marker)
    return await get_deal(api, raw.id) if raw else None


@hubspot.write(
    toolset="deals",
    scopes=[DEALS_WRITE],
    once=once.Marker(field="properties.description", text="\n[{marker}]"),
    verify=looking(_made),
)
async def create_deal(
    api: Api,
    dealname: Annotated[str, Field(min_length=1, max_length=500)],
    dealstage: Stage,
    *,
    contact_id: Annotated[MaybeId, Field(description="Contact or company: at least one.")] = None,
    company_id: MaybeId = None,
    pipeline: Annotated[str, Field(max_length=100, description="Pipeline id of list_pipelines.")] = "default",
    amount: Amount = None,
    currency: Currency = None,
    closedate: Day = None,
    hubspot_owner_id: MaybeId = None,
    description: Annotated[str | None, Field(max_length=10_000)] = None,
    properties: Further = None,
) -> Deal:
    """Create a deal of a contact or company. Its description ends with a short mark, by which it is found again."""
    linked = link(contact_id, CONTACT_OF_DEAL) + link(company_id, COMPANY_OF_DEAL)
    if not linked:
        raise errors.InvalidInputError("a deal needs a contact_id or a company_id.")
    own = {"dealname": dealname, "dealstage": dealstage, "pipeline": pipeline, "amount": amount}
    more = {"deal_currency_code": currency, "closedate": closedate, "description": description}
    wanted = given(properties, **own, **more, hubspot_owner_id=hubspot_owner_id)
    raw = await api.post(DEALS, json={"properties": wanted, "associations": linked}, into=Raw)
    api.reference(raw.id)
    return record_of(Deal, raw)


@hubspot.write(toolset="deals", scopes=[DEALS_WRITE, DEALS_READ], once=once.NaturalKey())
async def update_deal(
    api: Api,
    deal_id: Id,
    *,
    dealname: Annotated[str | None, Field(max_length=500)] = None,
    dealstage: Annotated[str | None, Field(max_length=100, description="Stage id of list_pipelines.")] = None,
    pipeline: Annotated[str | None, Field(max_length=100, description="With dealstage.")] = None,
    amount: Amount = None,
    closedate: Day = None,
    hubspot_owner_id: MaybeId = None,
    properties: Annotated[Further, Field(description="Further properties by internal name; '' empties one.")] = None,
    expected: Expected = None,
    show: Show = None,
) -> Deal:
    """Change a deal. What is not given stays. A person is asked about stage, pipeline, amount and close date."""
    own = {"dealname": dealname, "dealstage": dealstage, "pipeline": pipeline, "amount": amount, "closedate": closedate}
    wanted = given(properties, **own, hubspot_owner_id=hubspot_owner_id)
    if "pipeline" in wanted and "dealstage" not in wanted:
        raise errors.InvalidInputError("a pipeline has stages of its own.", next_step="Give pipeline and dealstage.")
    deal = await change(api, DEAL, deal_id, Deal, wanted=wanted, expected=expected)
    # The longest of a deal by far, which whoever did not change it has read or does not need.
    return deal if "description" in wanted else deal.model_copy(update={"description": None})


MONEY = ("dealstage", "pipeline", "amount", "closedate", "deal_currency_code")
"""What forecasts, automatic mail and payments hang on."""


@hubspot.asks_when(update_deal, preview=get_deal)
def moves_money(arguments: Mapping[str, Any]) -> bool:
    """Stages start workflows, and amounts are what people are measured by."""
    further: Mapping[str, str] = arguments["properties"] or {}
    return any(arguments.get(name) is not None or name in further for name in MONEY)
