"""Making and changing tickets, notes and replies.

A new ticket goes out under Zendesk's own idempotency key. Changes have none: each carries a mark in the metadata of its
audit, which people do not see, and by which it is found when an answer is lost. `updated_at` guards a change.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from clew import Api, From, errors, mail, once

from .provider import TICKETS_READ, TICKETS_WRITE, Id, zendesk
from .reading import TICKET, Said, answered, talk

KEY = once.ProviderKey(
    header="Idempotency-Key",
    ttl=2 * 3600.0,
    doubtful=("IdempotentRequestInProgress", "IdempotentRequestError"),
)
"""https://developer.zendesk.com/api-reference/ticketing/introduction (idempotency)"""
MARK = once.Marker(field="ticket.metadata.clew", methods=("PUT",))
"""https://developer.zendesk.com/documentation/ticketing/managing-tickets/creating-and-updating-tickets (metadata)"""
LONGEST = 60_000
MOST_PAGES = 10
"""Of a ticket's history, 100 changes each."""

Body = Annotated[str, Field(min_length=1, max_length=LONGEST, description="Plain text or Markdown.")]
Stamp = Annotated[
    str | None, Field(max_length=40, description="updated_at of get_ticket: refuses if anything has happened since.")
]
Priority = Annotated[Literal["urgent", "high", "normal", "low"] | None, Field()]
Kind = Annotated[Literal["question", "incident", "problem", "task"] | None, Field()]
Tags = Annotated[list[Annotated[str, Field(pattern=r"^[^\s,\"']{1,255}$")]] | None, Field(max_length=50)]


class Changed(BaseModel):
    """A ticket after a change."""

    id: int
    status: str
    priority: str | None = None
    assignee_id: int | None = None
    tags: list[str] | None = None
    updated_at: str


class Addressees(BaseModel):
    """Who a public reply goes to, and what it answers."""

    id: int
    subject: str | None = None
    status: str
    to: str | None = None
    copies: Annotated[list[str] | None, Field(description="Users in copy.")] = None
    updated_at: str
    answers: Annotated[Said | None, Field(description="The newest public comment.")] = None


class Audit(BaseModel):
    """One change in a ticket's history."""

    created_at: str = ""
    custom: Annotated[dict[str, Any] | None, From("metadata.custom")] = None


class Audits(BaseModel):
    """One page of a ticket's history."""

    audits: list[Audit]
    more: Annotated[bool, From("meta.has_more")] = False
    after: Annotated[str | None, From("meta.after_cursor")] = None


async def _marked(api: Api, ticket_id: int, marker: str) -> bool:
    """Is there a change with our mark? https://developer.zendesk.com (ticket audits)

    The newest are asked for first. As that order is documented for comments only, the rest is read too where the answer
    stands in another. What is not read to its end tells nothing.
    """
    after = None
    for _ in range(MOST_PAGES):
        asked: dict[str, str | int | None] = {"sort": "-created_at", "page[size]": 100, "page[after]": after}
        found = await api.get("/tickets/{}/audits", ticket_id, query=asked, into=Audits)
        if any((each.custom or {}).get("clew") == marker for each in found.audits):
            return True
        if not found.more or found.audits[0].created_at > found.audits[-1].created_at:
            return False
        after = found.after
    raise errors.OutcomeUnknownError("the history of the zendesk ticket is too long to be searched for the change.")


async def _changed(api: Api, ticket_id: int, marker: str) -> Changed | None:
    if not await _marked(api, ticket_id, marker):
        return None
    return await api.get(TICKET, ticket_id, at="ticket", into=Changed)


LOOK = once.Look(_changed, after=2.0, tries=2, every=3.0)


async def _put(api: Api, ticket_id: int, wanted: dict[str, Any], stamp: str | None) -> Changed:
    """One change of a ticket, refused by Zendesk when the ticket has changed since `stamp`."""
    guard = {} if stamp is None else {"safe_update": True, "updated_stamp": stamp}
    return await api.put(TICKET, ticket_id, json={"ticket": {**wanted, **guard}}, at="ticket", into=Changed)


# https://developer.zendesk.com/api-reference/ticketing/tickets/tickets (create ticket)
@zendesk.write(toolset="changes", scopes=[TICKETS_WRITE], once=KEY)
async def create_ticket(
    api: Api,
    subject: Annotated[str, Field(min_length=1, max_length=255)],
    text: Body,
    *,
    requester_email: Annotated[str | None, Field(max_length=320, description="Without: this login.")] = None,
    requester_name: Annotated[str | None, Field(max_length=200, description="For a new person.")] = None,
    internal: Annotated[bool, Field(description="The text is a note; the requester gets no mail.")] = False,
    priority: Priority = None,
    type: Kind = None,
    tags: Tags = None,
    assignee_id: Id | None = None,
    group_id: Id | None = None,
    external_id: Annotated[str | None, Field(max_length=255, description="Of your own system.")] = None,
) -> Changed:
    """Create a ticket. Mail to the requester leaves at once, unless internal: a person is asked."""
    requester = None
    if requester_email is not None:
        address = mail.checked_address(requester_email, what="requester_email")
        # A name is needed for somebody new, and changes nobody who is known (memory).
        requester = {"email": address, "name": requester_name or address.partition("@")[0]}
    elif requester_name is not None:
        raise errors.InvalidInputError("requester_name needs requester_email.")
    optional = {
        "requester": requester,
        "priority": priority,
        "type": type,
        "tags": tags,
        "assignee_id": assignee_id,
        "group_id": group_id,
        "external_id": external_id,
    }
    given = {name: value for name, value in optional.items() if value is not None}
    body = {"subject": " ".join(subject.split()), "comment": {"body": text, "public": not internal}, **given}
    made = await api.post("/tickets", json={"ticket": body}, at="ticket", into=Changed)
    api.reference(str(made.id))
    return made


@zendesk.asks_when(create_ticket)
def writes_to_the_requester(arguments: Mapping[str, Any]) -> bool:
    """Triggers send the text to whoever the ticket is for."""
    return not arguments["internal"] and arguments["requester_email"] is not None


@zendesk.write(toolset="changes", scopes=[TICKETS_WRITE, TICKETS_READ], once=MARK, verify=LOOK)
async def add_note(api: Api, ticket_id: Id, text: Body, updated_at: Stamp = None) -> Changed:
    """Add an internal note to a ticket. Agents see it, customers do not."""
    changed = await _put(api, ticket_id, {"comment": {"body": text, "public": False}}, updated_at)
    api.reference(str(ticket_id))
    return changed


@zendesk.read(toolset="changes", scopes=[TICKETS_READ])
async def preview_reply(api: Api, ticket_id: Id) -> Addressees:
    """Show who a public reply would go to, and what it would answer; sends nothing."""
    found = await answered(api, ticket_id)
    ticket = found.ticket
    copies = [f"{each.name} <{each.email}>" for each in found.users if each.id in (found.copies or [])]
    said = [each for each in (await talk(api, ticket_id, 10)).comments if each.public]
    return Addressees(
        id=ticket.id,
        subject=ticket.subject,
        status=ticket.status,
        to=ticket.requester,
        copies=copies or None,
        updated_at=ticket.updated_at,
        answers=said[0] if said else None,
    )


@zendesk.write(toolset="changes", scopes=[TICKETS_WRITE, TICKETS_READ], once=MARK, verify=LOOK)
async def send_reply(
    api: Api,
    ticket_id: Id,
    text: Body,
    updated_at: Annotated[
        str, Field(max_length=40, description="Of get_ticket: refuses if anybody has written since.")
    ],
    status: Annotated[Literal["open", "pending", "hold", "solved"] | None, Field(description="Set with it.")] = None,
) -> Changed:
    """Reply to a ticket in public: the customer and everybody in copy get mail. A person is asked."""
    wanted: dict[str, Any] = {"comment": {"body": text, "public": True}} | ({"status": status} if status else {})
    changed = await _put(api, ticket_id, wanted, updated_at)
    api.reference(str(ticket_id))
    return changed


@zendesk.asks_when(send_reply, preview=preview_reply)
def always(arguments: Mapping[str, Any]) -> bool:
    """Mail cannot be called back."""
    return True


@zendesk.write(toolset="changes", scopes=[TICKETS_WRITE, TICKETS_READ], once=MARK, verify=LOOK)
async def update_ticket(
    api: Api,
    ticket_id: Id,
    *,
    status: Annotated[
        Literal["open", "pending", "hold", "solved"] | None, Field(description="solved: a person is asked.")
    ] = None,
    priority: Priority = None,
    type: Kind = None,
    subject: Annotated[str | None, Field(min_length=1, max_length=255)] = None,
    assignee_id: Id | None = None,
    group_id: Id | None = None,
    add_tags: Tags = None,
    remove_tags: Tags = None,
    custom_fields: Annotated[
        dict[str, Any] | None, Field(max_length=50, description='By id, as get_ticket shows: {"360001": "x"}.')
    ] = None,
    updated_at: Stamp = None,
) -> Changed:
    """Change a ticket; what is not given stays."""
    named = {
        "status": status,
        "priority": priority,
        "type": type,
        "subject": subject,
        "assignee_id": assignee_id,
        "group_id": group_id,
        "custom_fields": _customs(custom_fields),
    }
    wanted: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    if add_tags or remove_tags:
        # Tags are set as a whole: between this read and the change nobody else may have set them.
        now = await api.get(TICKET, ticket_id, at="ticket", into=Changed)
        gone = {each.casefold() for each in remove_tags or ()}
        kept = [each for each in now.tags or () if each.casefold() not in gone]
        wanted["tags"] = list(dict.fromkeys([*kept, *(add_tags or ())]))
        updated_at = updated_at or now.updated_at
    if not wanted:
        raise errors.InvalidInputError("there is nothing to change.", next_step="Give at least one field to change.")
    changed = await _put(api, ticket_id, wanted, updated_at)
    api.reference(str(ticket_id))
    return changed


def _customs(given: dict[str, Any] | None) -> list[dict[str, Any]] | None:
    if given is None:
        return None
    if wrong := [name for name in given if not (name.isascii() and name.isdigit())]:
        raise errors.InvalidInputError("custom fields are named by id.", fields={wrong[0]: "is no id"})
    return [{"id": int(name), "value": value} for name, value in given.items()]


@zendesk.asks_when(update_ticket, preview=preview_reply)
def ends_it_for_the_customer(arguments: Mapping[str, Any]) -> bool:
    """Solving a ticket tells the customer, and often asks how it was."""
    return bool(arguments["status"] == "solved")
