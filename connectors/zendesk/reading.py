"""Reading tickets and what was said in them."""

import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from clew import Api, From, Page, errors

from .provider import FOUND, TICKETS_READ, Cursor, Id, zendesk

TICKET, COMMENTS = "/tickets/{}", "/tickets/{}/comments"
LONGEST = 1500
EXPORTED = 100
MOMENTS = 60.0
"""What is younger than this is not exported yet."""

_SAYS = re.compile(
    r"\n(?:On|Am|Le) [^\n]{5,200}(?:\n(?!>)[^\n]{0,100})?(?:wrote|schrieb[^\n]{0,100}|a écrit) ?:[ \t]*\n+(?=>)"
)
_BELOW = re.compile(
    r"\n-{2,} ?(?:Original Message|Ursprüngliche Nachricht|Forwarded message) ?-{2,}|\n_{20,}[ \t]*\nFrom: "
)


def thrifty(value: Any) -> Any:
    """A text without lines that quote, nor the whole mail below it; `…` says where more was left out.

    What stands between or below quoted lines stays: people answer there, too.
    """
    if not isinstance(value, str):
        return value
    text = "\n" + value.replace("\r\n", "\n").replace("\xa0", " ")
    own, *below = _BELOW.split(_SAYS.sub("\n", text), maxsplit=1)
    lines = [line.rstrip() for line in own.split("\n") if not line.startswith(">")]
    plain = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
    if not plain:
        plain, below = text.strip(), []
    short = plain[:LONGEST]
    return f"{short}…" if below or len(short) < len(plain) else short


Text = Annotated[str | None, BeforeValidator(thrifty)]


class TicketLine(BaseModel):
    """A ticket in a list."""

    id: int
    subject: str | None = None
    status: str
    priority: str | None = None
    requester_id: int | None = None
    assignee_id: int | None = None
    updated_at: str


class Said(BaseModel):
    """A comment; not public means that customers do not see it. Quoted mail is left out, long texts are cut."""

    id: int
    author: str | None = None
    author_id: int | None = None
    public: bool
    created_at: str
    text: Annotated[Text, From("plain_body", "body")] = None
    attachments: Annotated[list[str] | None, From("attachments[*].file_name")] = None


class Custom(BaseModel):
    """A custom field and its value."""

    id: int
    value: Any = None


class Ticket(BaseModel):
    """A ticket, with the newest comments first. `updated_at` guards changes."""

    id: int
    subject: str | None = None
    status: str
    priority: str | None = None
    type: str | None = None
    requester_id: int | None = None
    requester: str | None = None
    assignee_id: int | None = None
    assignee: str | None = None
    group_id: int | None = None
    organization_id: int | None = None
    tags: list[str] | None = None
    custom_fields: list[Custom] | None = None
    external_id: str | None = None
    problem_id: int | None = None
    created_at: str
    updated_at: str
    comments: list[Said] | None = None
    older_comments: Annotated[bool | None, Field(description="get_comments has them.")] = None


class Person(BaseModel):
    """Somebody whom an answer names beside its tickets or comments."""

    id: int
    name: str | None = None
    email: str | None = None
    role: str | None = None


class Answer(BaseModel):
    """One ticket, and the people in it."""

    ticket: Ticket
    users: list[Person] = []
    copies: Annotated[list[int] | None, From("ticket.email_cc_ids", "ticket.collaborator_ids")] = None


class Talk(BaseModel):
    """One page of comments, and who wrote them."""

    comments: list[Said]
    users: list[Person] = []
    after: Annotated[str | None, From("meta.after_cursor")] = None
    more: Annotated[bool, From("meta.has_more")] = False


class Comments(BaseModel):
    """One page of comments."""

    items: list[Said]
    next_cursor: str | None = Field(default=None, description="Pass it as `cursor` to get the next page.")


class Export(BaseModel):
    """One page of an export."""

    tickets: list[TicketLine]
    after: Annotated[str | None, From("after_cursor")] = None
    end: Annotated[bool, From("end_of_stream")]


class Changes(BaseModel):
    """Tickets that were made or changed since; oldest change first. A ticket may come again."""

    items: list[TicketLine]
    at_end: bool
    next_cursor: Annotated[str | None, Field(description="At the end too: go on from here later.")] = None


def who(people: Sequence[Person], known: int | None) -> str | None:
    """Name and address of a person; agents by name alone."""
    for each in people:
        if each.id == known:
            return f"{each.name} <{each.email}>" if each.email and each.role == "end-user" else each.name
    return None


# https://developer.zendesk.com/api-reference/ticketing/ticket-management/search
@zendesk.read(toolset="tickets", scopes=[TICKETS_READ])
async def search_tickets(
    api: Api,
    query: Annotated[
        str,
        Field(
            min_length=1,
            max_length=1000,
            description="Words and status<solved priority:high requester:ada@x.org created>2026-01-31 tags:vip",
        ),
    ],
    sort: Literal["updated_at", "created_at", "priority", "status", "relevance"] = "updated_at",
    cursor: Cursor = None,
) -> Page[TicketLine]:
    """Search tickets, the latest first. Misses what is minutes old, shows at most 1 000: then narrow by created."""
    if re.search(r"(?<![\w-])type:(?!\s*ticket\b)", query, re.IGNORECASE):
        raise errors.InvalidInputError("this searches tickets alone; a ticket's own type is ticket_type:incident.")
    by = {} if sort == "relevance" else {"sort_by": sort, "sort_order": "desc"}
    asked = {"query": f"type:ticket {query}", **by}
    return await api.page("/search", into=TicketLine, query=asked, pages=FOUND, cursor=cursor)


@zendesk.read(toolset="tickets", scopes=[TICKETS_READ])
async def list_tickets(
    api: Api, requester_id: Id | None = None, view_id: Id | None = None, cursor: Cursor = None
) -> Page[TicketLine]:
    """List tickets: of a requester, of a view, or all, the last changed first. Sees changes at once."""
    if requester_id is not None and view_id is not None:
        raise errors.InvalidInputError("give requester_id or view_id, not both.")
    if requester_id is not None:
        return await api.page("/users/{}/tickets/requested", requester_id, into=TicketLine, cursor=cursor)
    if view_id is not None:
        return await api.page("/views/{}/tickets", view_id, into=TicketLine, cursor=cursor)
    return await api.page("/tickets", into=TicketLine, query={"sort": "-updated_at"}, cursor=cursor)


async def talk(api: Api, ticket_id: int, size: int, cursor: str | None = None) -> Talk:
    """One page of a ticket's comments, the newest first. https://developer.zendesk.com (ticket comments)"""
    asked: dict[str, str | int | None] = {
        "sort": "-created_at",
        "include": "users",
        "page[size]": size,
        "page[after]": cursor,
    }
    found = await api.get(COMMENTS, ticket_id, query=asked, into=Talk)
    for said in found.comments:
        said.author = who(found.users, said.author_id)
        said.author_id = None if said.author else said.author_id
    return found


def _after(found: Talk, cursor: str | None) -> str | None:
    if not found.more:
        return None
    if found.after is None or found.after == cursor:
        raise errors.ContractChangedError("zendesk's next page is the same page again; stopped.")
    return found.after


async def answered(api: Api, ticket_id: int) -> Answer:
    """A ticket and its people, without what is empty."""
    found = await api.get(TICKET, ticket_id, query={"include": "users"}, into=Answer)
    ticket = found.ticket
    ticket.requester, ticket.assignee = who(found.users, ticket.requester_id), who(found.users, ticket.assignee_id)
    ticket.custom_fields = [each for each in ticket.custom_fields or [] if each.value not in (None, "", [])] or None
    ticket.tags = ticket.tags or None
    return found


@zendesk.read(toolset="tickets", scopes=[TICKETS_READ])
async def get_ticket(
    api: Api,
    ticket_id: Id,
    comments: Annotated[int, Field(ge=0, le=30, description="How many of the newest comments.")] = 5,
) -> Ticket:
    """Read a ticket with its newest comments."""
    ticket = (await answered(api, ticket_id)).ticket
    if comments:
        found = await talk(api, ticket_id, comments)
        ticket.comments, ticket.older_comments = found.comments, found.more or None
    return ticket


@zendesk.read(toolset="tickets", scopes=[TICKETS_READ])
async def get_comments(
    api: Api,
    ticket_id: Id,
    cursor: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9+/=_.|-]{1,500}$")] = None,
) -> Comments:
    """Read all comments on a ticket, newest first."""
    found = await talk(api, ticket_id, 20, cursor)
    return Comments(items=found.comments, next_cursor=_after(found, cursor))


# https://developer.zendesk.com/documentation/ticketing/managing-tickets/using-the-incremental-export-api
@zendesk.read(toolset="tickets", scopes=[TICKETS_READ])
async def list_changed_tickets(
    api: Api,
    since: Annotated[
        str | None, Field(max_length=40, description="First page: ISO time with zone, a minute old or more.")
    ] = None,
    cursor: Annotated[
        str | None, Field(pattern=r"^[A-Za-z0-9+/=_.|-]{1,500}$", description="Or next_cursor of a page before.")
    ] = None,
) -> Changes:
    """List what has changed since, for following up; 10 calls a minute. For questions use search_tickets."""
    if (since is None) == (cursor is None):
        raise errors.InvalidInputError("give since for the first page, cursor for the next ones.")
    place: dict[str, str | int | None] = {"cursor": cursor} if cursor else {"start_time": _start(since or "")}
    found = await api.get("/incremental/tickets/cursor", query={"per_page": EXPORTED, **place}, into=Export)
    if not found.end and (found.after is None or found.after == cursor):
        raise errors.ContractChangedError("zendesk's next page is the same page again; stopped.")
    return Changes(items=found.tickets, at_end=found.end, next_cursor=found.after or cursor)


def _start(since: str) -> int:
    try:
        moment = datetime.fromisoformat(since)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise errors.InvalidInputError("since is no ISO time with a zone: 2026-01-31T09:00:00Z.")
    if moment.timestamp() > time.time() - MOMENTS:
        raise errors.InvalidInputError("the last minute is not exported yet.", next_step="Use an older since.")
    return max(int(moment.astimezone(UTC).timestamp()), 0)
