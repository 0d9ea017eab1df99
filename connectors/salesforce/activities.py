"""Notes and tasks on records of any kind."""

import base64
import html
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from clew import Api, From, errors, once

from .changes import Made, made_since
from .objects import UNFIT
from .provider import ROOT, RecordId, salesforce, user_id
from .records import run
from .soql import bound

PEOPLE = ("003", "00Q")
"""Ids of contacts and leads begin so; tasks name people and things apart (Object Reference, Task: WhoId, WhatId)."""
LONGEST = 32_000


class Logged(BaseModel):
    """A note or task that was just created."""

    id: str
    record_id: str


class Part(BaseModel):
    """What one step of a composite request made."""

    name: Annotated[str, From("referenceId")]
    id: Annotated[str, From("body.id")]


def _html(text: str) -> str:
    """Plain text as a note holds it: what looks like a tag is text. Line ends would be stripped (ContentNote)."""
    return html.escape(text, quote=False).replace('"', "&quot;").replace("\r\n", "\n").replace("\n", "<br>")


async def _noted(api: Api, record_id: str, title: str, sent_at: float | None) -> Logged | None:
    """The note, if it hangs on the record: both are made, or none."""
    since = datetime.fromtimestamp(max((sent_at or 0.0) - 1.0, 0.0), UTC)
    soql = (
        "SELECT ContentDocumentId FROM ContentDocumentLink WHERE LinkedEntityId = :record AND ContentDocument.Title = "
        ":title AND ContentDocument.FileType = :kind AND ContentDocument.CreatedById = :user AND "
        "ContentDocument.CreatedDate >= :since LIMIT 5"
    )
    values = {
        "record": record_id,
        "title": " ".join(title.split()),
        "kind": "SNOTE",
        "user": await user_id(api),
        "since": since,
    }
    found = await run(api, bound(soql, values))
    if len(found.records) > 1:
        raise errors.TransientError("it cannot be told which of several notes of this title is the new one.")
    return Logged(id=str(found.records[0]["ContentDocumentId"]), record_id=record_id) if found.records else None


# https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta (Composite); Object Reference (ContentNote,
# ContentDocumentLink). A note is not on a record until it is linked: both in one request, all or none.
@salesforce.write(toolset="activities", verify=once.Look(_noted, after=2.0, tries=2, every=3.0))
async def add_note(
    api: Api,
    record_id: RecordId,
    title: Annotated[str, Field(min_length=1, max_length=255)],
    text: Annotated[str, Field(min_length=1, max_length=LONGEST, description="Plain text.")],
) -> Logged:
    """Put a note on a record, such as an account, a contact or a case."""
    content = base64.b64encode(_html(text).encode()).decode()
    steps = [
        ("note", "ContentNote", {"Title": " ".join(title.split()), "Content": content}),
        (
            "link",
            "ContentDocumentLink",
            {"ContentDocumentId": "@{note.id}", "LinkedEntityId": record_id, "ShareType": "V"},
        ),
    ]
    try:
        made = await _together(api, steps)
    except errors.ContractChangedError as refusal:
        if refusal.provider_code not in UNFIT or refusal.outcome is not errors.Outcome.NOT_APPLIED:
            raise
        raise errors.PermissionDeniedError(
            "the organization has no notes, or this login may not use them; nothing was saved.",
            next_step="Ask an administrator to enable Notes (Setup, Notes Settings), or use add_task.",
            provider_code=refusal.provider_code,
            provider_message=refusal.provider_message,
        ) from None
    api.reference(made)
    return Logged(id=made, record_id=record_id)


async def _together(api: Api, steps: list[tuple[str, str, dict[str, Any]]]) -> str:
    """Records made in one request, all or none; the id of the first. Later steps name earlier ones: `@{note.id}`."""
    asked = [
        {"method": "POST", "url": f"{ROOT}/sobjects/{kind}", "referenceId": name, "body": body}
        for name, kind, body in steps
    ]
    body = {"allOrNone": True, "compositeRequest": asked}
    parts = await api.post("/composite", json=body, at="compositeResponse", into=list[Part])
    made = {part.name: part.id for part in parts}
    first = made.get(steps[0][0])
    if first is None or len(made) < len(steps):
        raise errors.ContractChangedError(
            "salesforce made records and did not say which.", outcome=errors.Outcome.APPLIED
        )
    return first


def _task(
    record_id: str, subject: str, *, due: date | None, text: str | None, priority: str, owner_id: str | None
) -> dict[str, Any]:
    about = "WhoId" if record_id.startswith(PEOPLE) else "WhatId"
    wanted = {
        about: record_id,
        "Subject": " ".join(subject.split()),
        "Status": "Not Started",
        "Priority": priority,
        "ActivityDate": due.isoformat() if due else None,
        "Description": text,
        "OwnerId": owner_id,
    }
    return {name: value for name, value in wanted.items() if value is not None}


async def _tasked(
    api: Api,
    record_id: str,
    subject: str,
    sent_at: float | None,
    *,
    due: date | None = None,
    text: str | None = None,
    priority: str = "Normal",
    owner_id: str | None = None,
) -> Logged | None:
    wanted = _task(record_id, subject, due=due, text=text, priority=priority, owner_id=owner_id)
    known = await made_since(api, "Task", wanted, sent_at)
    return Logged(id=known, record_id=record_id) if known else None


@salesforce.write(toolset="activities", verify=once.Look(_tasked, after=2.0, tries=2, every=3.0))
async def add_task(
    api: Api,
    record_id: RecordId,
    subject: Annotated[str, Field(min_length=1, max_length=255)],
    due: Annotated[date | None, Field(description="YYYY-MM-DD, not past.")] = None,
    *,
    text: Annotated[str | None, Field(max_length=LONGEST, description="Plain text.")] = None,
    priority: Literal["High", "Normal", "Low"] = "Normal",
    owner_id: Annotated[RecordId | None, Field(description="Another user's, who may get mail.")] = None,
) -> Logged:
    """Put a task on a record."""
    if due is not None and due < datetime.now(UTC).date() - timedelta(days=1):
        raise errors.InvalidInputError("due is in the past.", next_step="Check the year, then call again.")
    body = _task(record_id, subject, due=due, text=text, priority=priority, owner_id=owner_id)
    made = await api.post("/sobjects/Task", json=body, into=Made)
    api.reference(made.id)
    return Logged(id=made.id, record_id=record_id)


@salesforce.asks_when(add_task)
def for_somebody_else(arguments: Mapping[str, Any]) -> bool:
    """Whoever gets a task may get mail about it."""
    return arguments["owner_id"] is not None
