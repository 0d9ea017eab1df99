"""Incidents. What opens, moves or calms one reaches people, or keeps it from them, so a person is asked first."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from clew import Api, From, Page, errors, mail, once

from .people import OnCall, Service
from .provider import Cursor, From_, Id, Ids, pagerduty, pages

INCIDENTS, INCIDENT, NOTES = "/incidents", "/incidents/{}", "/incidents/{}/notes"
SKEW = 300.0
_ENDED_CODES = ("1001", "1002", "1019")
_ENDED = re.compile(r"already (?:been )?(?:resolved|acknowledged|merged)", re.IGNORECASE)
Status = Literal["triggered", "acknowledged", "resolved"]
Urgency = Literal["high", "low"]
Moment = Annotated[str | None, Field(max_length=40, description="ISO time.")]


class IncidentLine(BaseModel):
    """An incident in a list."""

    id: str
    incident_number: int
    title: str
    status: str
    urgency: str | None = None
    service: Annotated[str | None, From("service.summary")] = None
    assignees: Annotated[list[str] | None, From("assignments[*].assignee.summary")] = None
    created_at: str
    url: Annotated[str | None, From("html_url")] = None


class Note(BaseModel):
    """A note on an incident."""

    id: str
    user: Annotated[str | None, From("user.summary")] = None
    created_at: str | None = None
    content: str


class Incident(IncidentLine):
    """An incident; `incident_key` keeps a second one from opening on the same service while this one is open."""

    incident_key: str | None = None
    service_id: Annotated[str | None, From("service.id")] = None
    escalation_policy: Annotated[str | None, From("escalation_policy.summary")] = None
    priority: Annotated[str | None, From("priority.summary")] = None
    last_status_change_at: str | None = None
    alerts: Annotated[int | None, From("alert_counts.all")] = None
    notes: list[Note] | None = None


class Standing(BaseModel):
    """What a change can be seen by."""

    status: str
    urgency: str | None = None
    title: str
    assigned: Annotated[list[str] | None, From("assignments[*].assignee.id")] = None
    policy: Annotated[str | None, From("escalation_policy.id")] = None


class Paging(BaseModel):
    """Whom a new incident would reach."""

    service: str
    title: str
    urgency: str
    escalation_policy: str | None = None
    reaches: Annotated[list[str], Field(description="On call at its first level, or assigned.")]


@pagerduty.read(toolset="incidents")
async def list_incidents(
    api: Api,
    statuses: list[Status] | None = None,
    *,
    service_ids: Ids = None,
    user_ids: Annotated[Ids, Field(description="Assigned to these.")] = None,
    urgencies: list[Urgency] | None = None,
    since: Moment = None,
    until: Moment = None,
    cursor: Cursor = None,
) -> Page[IncidentLine]:
    """List incidents, newest first, of the last month unless since is given (at most 6 months)."""
    asked = {
        "statuses[]": statuses,
        "service_ids[]": service_ids,
        "user_ids[]": user_ids,
        "urgencies[]": urgencies,
        "since": since,
        "until": until,
        "sort_by": "created_at:desc",
    }
    return await api.page(INCIDENTS, into=IncidentLine, pages=pages("incidents"), query=asked, cursor=cursor)


@pagerduty.read(toolset="incidents")
async def get_incident(api: Api, incident_id: Id) -> Incident:
    """Read one incident with its notes."""
    found = await api.get(INCIDENT, incident_id, at="incident", into=Incident)
    notes = await api.get(NOTES, incident_id, at="notes", into=list[Note])
    return found.model_copy(update={"notes": notes or None})


@pagerduty.read(toolset="incidents")
async def preview_incident(
    api: Api, service_id: Id, title: str, *, urgency: Urgency = "high", user_ids: Ids = None
) -> Paging:
    """Show whom create_incident would page; opens nothing."""
    service = await api.get("/services/{}", service_id, at="service", into=Service)
    asked = {"escalation_policy_ids[]": [service.escalation_policy_id or ""], "user_ids[]": user_ids, "earliest": True}
    oncall: list[OnCall] = []
    if service.escalation_policy_id and not user_ids:
        oncall = await api.get("/oncalls", query={**asked, "limit": 50}, at="oncalls", into=list[OnCall])
    first = dict.fromkeys(each.user or each.user_id for each in oncall if each.level == 1)
    return Paging(
        service=service.name,
        title=title,
        urgency=urgency,
        escalation_policy=service.escalation_policy,
        reaches=user_ids or list(first),
    )


def _acting(sender: str | None) -> dict[str, str]:
    """The header that says in whose name an account's key acts."""
    return {"From": mail.checked_address(sender, what="from_email")} if sender else {}


def _assigned(user_ids: list[str] | None) -> list[dict[str, Any]] | None:
    return [{"assignee": {"id": each, "type": "user_reference"}} for each in user_ids] if user_ids else None


async def _opened(
    api: Api, key: str, service_id: str, sent_at: float | None, incident_key: str | None = None
) -> Incident | None:
    asked = {"incident_key": incident_key or key, "service_ids[]": [service_id], "date_range": "all"}
    found = await api.get(INCIDENTS, query=asked, at="incidents", into=list[Incident])
    since = (sent_at or 0.0) - SKEW
    mine = [each for each in found if datetime.fromisoformat(each.created_at).timestamp() >= since]
    return max(mine, key=lambda each: each.created_at) if mine else None


# https://developer.pagerduty.com/api-reference (create an incident): a key of an open incident is refused.
@pagerduty.write(
    toolset="incidents",
    once=once.NaturalKey(field="incident.incident_key"),
    verify=once.Look(_opened, after=3.0, tries=3, every=3.0),
)
async def create_incident(
    api: Api,
    service_id: Id,
    title: Annotated[str, Field(min_length=1, max_length=1024)],
    *,
    details: Annotated[str | None, Field(max_length=50_000, description="Plain text.")] = None,
    urgency: Urgency = "high",
    user_ids: Annotated[Ids, Field(description="Assign to these instead of who is on call.")] = None,
    incident_key: Annotated[
        str | None, Field(min_length=1, max_length=255, description="One open incident per key and service.")
    ] = None,
    from_email: From_ = None,
) -> Incident:
    """Open an incident. It pages people."""
    incident = {
        "type": "incident",
        "title": title,
        "service": {"id": service_id, "type": "service_reference"},
        "urgency": urgency,
        "body": {"type": "incident_body", "details": details} if details else None,
        "assignments": _assigned(user_ids),
        "incident_key": incident_key,
    }
    body = {"incident": {name: value for name, value in incident.items() if value is not None}}
    made = await api.post(INCIDENTS, json=body, headers=_acting(from_email), at="incident", into=Incident)
    api.reference(made.id)
    return made


@pagerduty.asks_when(create_incident, preview=preview_incident)
def pages_people(arguments: Mapping[str, Any]) -> bool:
    """It wakes somebody."""
    return True


@pagerduty.write(toolset="incidents", once=once.NaturalKey())
async def update_incident(
    api: Api,
    incident_id: Id,
    *,
    status: Annotated[Literal["acknowledged", "resolved"] | None, Field(description="Both stop escalation.")] = None,
    urgency: Urgency | None = None,
    title: Annotated[str | None, Field(min_length=1, max_length=1024)] = None,
    user_ids: Annotated[Ids, Field(description="Reassign to these, who are paged.")] = None,
    escalation_policy_id: Annotated[Id | None, Field(description="Hand over to this policy; pages people.")] = None,
    from_email: From_ = None,
) -> Incident:
    """Acknowledge, resolve, reassign or rename an incident. What is not given stays."""
    policy = {"id": escalation_policy_id, "type": "escalation_policy_reference"} if escalation_policy_id else None
    given = {
        "status": status,
        "urgency": urgency,
        "title": title,
        "assignments": _assigned(user_ids),
        "escalation_policy": policy,
    }
    wanted = {name: value for name, value in given.items() if value is not None}
    if not wanted:
        raise errors.InvalidInputError("there is nothing to change.", next_step="Give at least one field to change.")
    if user_ids and policy:
        raise errors.InvalidInputError("give user_ids or escalation_policy_id, not both.")
    body = {"incident": {"type": "incident_reference", **wanted}}
    try:
        return await api.put(
            INCIDENT, incident_id, json=body, headers=_acting(from_email), at="incident", into=Incident
        )
    except errors.ConflictError as refusal:
        if refusal.provider_code not in _ENDED_CODES and not _ENDED.search(refusal.provider_message or ""):
            raise
        # What is resolved already was not reassigned, renamed or acknowledged by being so.
        there = await api.get(INCIDENT, incident_id, at="incident", into=Standing)
        expected = Standing(
            status=status or there.status,
            urgency=urgency or there.urgency,
            title=title or there.title,
            assigned=user_ids or there.assigned,
            policy=escalation_policy_id or there.policy,
        )
        if there == expected:
            raise errors.AlreadyDoneError(
                "the incident is as it was to be.", provider_message=refusal.provider_message
            ) from None
        raise errors.ConflictError(
            f"the incident is {there.status}; nothing was changed.",
            next_step="Read it with get_incident. What is resolved stays as it is: open a new incident.",
            provider_code=refusal.provider_code,
            provider_message=refusal.provider_message,
        ) from None


@pagerduty.asks_when(update_incident, preview=get_incident)
def reaches_people(arguments: Mapping[str, Any]) -> bool:
    """Somebody is paged, or is not any more."""
    return any(arguments[name] for name in ("status", "urgency", "user_ids", "escalation_policy_id"))


async def _noted(api: Api, incident_id: str, marker: str) -> Note | None:
    """An incident's notes come whole, without pages."""
    found = await api.get(NOTES, incident_id, at="notes", into=list[Note])
    return next((each for each in found if marker in each.content), None)


@pagerduty.write(
    toolset="incidents",
    once=once.Marker(field="note.content", text="\n[{marker}]"),
    verify=once.Look(_noted, after=3.0, tries=2, every=3.0),
)
async def add_note(
    api: Api,
    incident_id: Id,
    content: Annotated[str, Field(min_length=1, max_length=25_000, description="Plain text.")],
    *,
    from_email: From_ = None,
) -> Note:
    """Add a note to an incident. It ends with a short mark, by which it is found again."""
    body = {"note": {"content": content}}
    return await api.post(NOTES, incident_id, json=body, headers=_acting(from_email), at="note", into=Note)
