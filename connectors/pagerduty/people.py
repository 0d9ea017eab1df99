"""Services, and who is on call for them."""

from typing import Annotated

from pydantic import BaseModel, Field

from clew import Api, From, Page

from .provider import Cursor, Ids, pagerduty, pages


class Service(BaseModel):
    """A service; `status` tells whether incidents on it reach people."""

    id: str
    name: str
    status: str | None = None
    escalation_policy_id: Annotated[str | None, From("escalation_policy.id")] = None
    escalation_policy: Annotated[str | None, From("escalation_policy.summary")] = None
    url: Annotated[str | None, From("html_url")] = None


class OnCall(BaseModel):
    """Who is reached at a level of an escalation policy; without `end` always."""

    user_id: Annotated[str, From("user.id")]
    user: Annotated[str | None, From("user.summary")] = None
    escalation_policy_id: Annotated[str, From("escalation_policy.id")]
    escalation_policy: Annotated[str | None, From("escalation_policy.summary")] = None
    level: Annotated[int, From("escalation_level")]
    schedule: Annotated[str | None, From("schedule.summary")] = None
    start: str | None = None
    end: str | None = None


@pagerduty.read(toolset="people")
async def list_services(
    api: Api, query: Annotated[str | None, Field(description="Part of the name.")] = None, cursor: Cursor = None
) -> Page[Service]:
    """List services with their escalation policies."""
    asked = {"query": query, "sort_by": "name"}
    return await api.page("/services", into=Service, pages=pages("services"), query=asked, cursor=cursor)


@pagerduty.read(toolset="people")
async def list_oncalls(
    api: Api, escalation_policy_ids: Ids = None, *, user_ids: Ids = None, cursor: Cursor = None
) -> Page[OnCall]:
    """List who is on call now, by escalation policy and level."""
    asked = {"escalation_policy_ids[]": escalation_policy_ids, "user_ids[]": user_ids, "earliest": True}
    return await api.page("/oncalls", into=OnCall, pages=pages("oncalls"), query=asked, cursor=cursor)
