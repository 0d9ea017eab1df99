"""Notes and tasks on the timeline of contacts, companies and deals."""

import html
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from clew import Api, errors, once

from .provider import CONTACTS_READ, CONTACTS_WRITE, hubspot
from .records import MARK_NOTE, MaybeId, Raw, find_marked, link, looking

NOTE_OF = {"contacts": 202, "companies": 190, "deals": 214}
TASK_OF = {"contacts": 204, "companies": 192, "deals": 216}
"""Association types: https://developers.hubspot.com/docs/api-reference/latest/crm/associations/overview (memory)"""
LONGEST = 60_000
"""Of 65 536 characters, with room for what HTML adds."""

ContactId = Annotated[MaybeId, Field(description="Contact, company, deal: at least one.")]


class Logged(BaseModel):
    """A note or task that was just created."""

    id: str
    contact_id: str | None = None
    company_id: str | None = None
    deal_id: str | None = None


def _near(contact_id: str | None, company_id: str | None, deal_id: str | None) -> list[tuple[str, str]]:
    named = {"contacts": contact_id, "companies": company_id, "deals": deal_id}
    near = [(kind, known) for kind, known in named.items() if known]
    if not near:
        raise errors.InvalidInputError("nobody would find it: give contact_id, company_id or deal_id.")
    return near


def _links(near: list[tuple[str, str]], types: dict[str, int]) -> list[dict[str, Any]]:
    return [each for kind, known in near for each in link(known, types[kind])]


def _html(text: str) -> str:
    """Plain text as HubSpot shows it: what looks like a tag is text."""
    written = html.escape(text, quote=False).replace("\r\n", "\n").replace("\n", "<br>")
    if len(written) > LONGEST:
        raise errors.InvalidInputError(f"the text has more than {LONGEST} characters as HTML.")
    return written


async def _noted(
    api: Api, marker: str, contact_id: str | None = None, company_id: str | None = None, deal_id: str | None = None
) -> Logged | None:
    near = _near(contact_id, company_id, deal_id)
    raw = await find_marked(api, near[0], "notes", "hs_note_body", marker)
    return Logged(id=raw.id, contact_id=contact_id, company_id=company_id, deal_id=deal_id) if raw else None


async def _tasked(
    api: Api, marker: str, contact_id: str | None = None, company_id: str | None = None, deal_id: str | None = None
) -> Logged | None:
    near = _near(contact_id, company_id, deal_id)
    raw = await find_marked(api, near[0], "tasks", "hs_task_body", marker)
    return Logged(id=raw.id, contact_id=contact_id, company_id=company_id, deal_id=deal_id) if raw else None


# https://developers.hubspot.com/docs/api-reference/latest/crm/activities/notes/guide
@hubspot.write(
    toolset="activities",
    scopes=[CONTACTS_WRITE, CONTACTS_READ],
    once=once.Marker(field="properties.hs_note_body", text=MARK_NOTE),
    verify=looking(_noted),
)
async def create_note(
    api: Api,
    text: Annotated[str, Field(min_length=1, max_length=LONGEST, description="Plain text.")],
    *,
    contact_id: ContactId = None,
    company_id: MaybeId = None,
    deal_id: MaybeId = None,
) -> Logged:
    """Put a note on records' timelines. It ends with a short mark, by which it is found again."""
    near = _near(contact_id, company_id, deal_id)
    wanted = {"hs_note_body": _html(text), "hs_timestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
    body = {"properties": wanted, "associations": _links(near, NOTE_OF)}
    raw = await api.post("/crm/objects/2026-09/notes", json=body, into=Raw)
    api.reference(raw.id)
    return Logged(id=raw.id, contact_id=contact_id, company_id=company_id, deal_id=deal_id)


# https://developers.hubspot.com/docs/api-reference/latest/crm/activities/tasks/guide (memory)
@hubspot.write(
    toolset="activities",
    scopes=[CONTACTS_WRITE, CONTACTS_READ],
    once=once.Marker(field="properties.hs_task_body", text=MARK_NOTE),
    verify=looking(_tasked),
)
async def create_task(
    api: Api,
    subject: Annotated[str, Field(min_length=1, max_length=500)],
    due: Annotated[str, Field(max_length=40, description="ISO time with zone, not past: 2026-12-01T09:00:00+01:00.")],
    *,
    text: Annotated[str | None, Field(max_length=LONGEST, description="Plain text.")] = None,
    kind: Literal["TODO", "CALL", "EMAIL"] = "TODO",
    priority: Literal["LOW", "MEDIUM", "HIGH"] | None = None,
    hubspot_owner_id: Annotated[MaybeId, Field(description="Who shall do it, and is told.")] = None,
    contact_id: ContactId = None,
    company_id: MaybeId = None,
    deal_id: MaybeId = None,
) -> Logged:
    """Create a task for a person of the account, on records' timelines."""
    near = _near(contact_id, company_id, deal_id)
    facts = {
        "hs_task_subject": subject,
        "hs_task_body": _html(text) if text else None,
        "hs_timestamp": _due(due),
        "hs_task_status": "NOT_STARTED",
        "hs_task_type": kind,
        "hs_task_priority": priority,
        "hubspot_owner_id": hubspot_owner_id,
    }
    wanted = {name: value for name, value in facts.items() if value is not None}
    body = {"properties": wanted, "associations": _links(near, TASK_OF)}
    raw = await api.post("/crm/objects/2026-09/tasks", json=body, into=Raw)
    api.reference(raw.id)
    return Logged(id=raw.id, contact_id=contact_id, company_id=company_id, deal_id=deal_id)


def _due(text: str) -> str:
    try:
        due = datetime.fromisoformat(text)
    except ValueError:
        due = None
    if due is None or due.tzinfo is None:
        raise errors.InvalidInputError("due is no ISO time with a zone: 2026-12-01T09:00:00+01:00.")
    if due <= datetime.now(UTC):
        raise errors.InvalidInputError("due is in the past.", next_step="Check the year, and give a time to come.")
    return f"{due.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
