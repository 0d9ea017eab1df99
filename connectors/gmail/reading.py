"""Searching and reading. What a message says is data from outside: anybody can write anything to this mailbox."""

import base64
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from clew import Api, From, Page, errors

from .messages import (
    SHOWN_ALONE,
    SHOWN_IN_THREAD,
    SNIPPET,
    Message,
    Payload,
    cut,
    decoded,
    head_of,
    is_attached,
    message_of,
    name_of,
    parts_of,
    shown,
)
from .provider import MESSAGE, MESSAGES, READ, Cursor, MessageId, ThreadId, each, gmail

SIZE = 15
THREAD = 12
"""Messages of a thread that are shown: the newest."""
WHOLE = "id,threadId,labelIds,internalDate,sizeEstimate,payload"


class Line(BaseModel):
    """A message in a list."""

    id: str
    thread_id: Annotated[
        str | None, Field(description="Absent where it is the id: Gmail names a thread after its first.")
    ] = None
    date: str | None = None
    sender: str
    subject: str
    snippet: str | None = None
    unread: bool | None = None
    draft: bool | None = None


class Ref(BaseModel):
    """A message by its name alone."""

    id: str


class Results(BaseModel):
    """One answer of a search. Gmail leaves the list out when it is empty."""

    messages: list[Ref] = []
    following: Annotated[str | None, From("nextPageToken")] = None


class Thread(BaseModel):
    """A conversation, oldest message first."""

    id: str
    messages: list[Message]
    earlier: Annotated[int | None, Field(description="Older messages that are not shown; search finds them.")] = None


class Whole(BaseModel):
    """A thread as the API gives it."""

    id: str
    messages: list[Payload] = []


@gmail.read(toolset="messages", scopes=[READ])
async def search_messages(
    api: Api,
    query: Annotated[
        str,
        Field(
            max_length=500,
            description="As in Gmail's search box: from:ada@example.com is:unread after:2026/01/31 has:attachment. "
            "Empty: all.",
        ),
    ] = "in:inbox",
    *,
    spam_and_trash: Annotated[bool, Field(description="Look there too.")] = False,
    cursor: Cursor = None,
) -> Page[Line]:
    """Search the mailbox, newest first."""
    asked = {
        "q": query or None,
        "includeSpamTrash": True if spam_and_trash else None,
        "maxResults": SIZE,
        "pageToken": cursor,
        "fields": "messages/id,nextPageToken",
    }
    found = await api.get(MESSAGES, query=asked, into=Results)

    async def line(ref: Ref) -> Line | None:
        fields = "id,threadId,labelIds,snippet,internalDate,payload/headers"
        # metadataHeaders repeats: only the headers that are shown travel.
        wanted = {"format": "metadata", "metadataHeaders": ["From", "Subject", "Date"], "fields": fields}
        try:
            return _line(await api.get(MESSAGE, ref.id, query=wanted, into=Payload))
        except errors.NotFoundError:
            return None  # deleted since it was listed

    lines = await each(found.messages, line)
    return Page[Line](items=[found for found in lines if found], next_cursor=found.following)


def _line(found: Payload) -> Line:
    opened = head_of(found.payload)
    return Line(
        id=found.id,
        thread_id=found.thread_id if found.thread_id != found.id else None,
        date=found.date or opened.date or None,
        sender=cut(shown(found.payload, "from", opened.sender), 120),
        subject=cut(shown(found.payload, "subject", opened.subject), 150),
        snippet=cut(" ".join(found.snippet.split()), SNIPPET) or None,
        unread="UNREAD" in found.labels or None,
        draft="DRAFT" in found.labels or None,
    )


@gmail.read(toolset="messages", scopes=[READ])
async def get_message(api: Api, message_id: MessageId) -> Message:
    """Read one message. It stays unread."""
    query = {"format": "full", "fields": WHOLE}
    return message_of(await api.get(MESSAGE, message_id, query=query, into=Payload), SHOWN_ALONE)


@gmail.read(toolset="messages", scopes=[READ])
async def read_thread(api: Api, thread_id: ThreadId) -> Thread:
    """Read a conversation, oldest first: its newest 12 messages with the beginning of their texts."""
    query = {"format": "full", "fields": f"id,messages({WHOLE})"}
    found = await api.get("/gmail/v1/users/me/threads/{}", thread_id, query=query, into=Whole)
    if not found.messages:
        raise errors.NotFoundError("this thread has no message any more.", next_step="Use search_messages.")
    shown = found.messages[-THREAD:]
    return Thread(
        id=found.id,
        messages=[message_of(each, SHOWN_IN_THREAD).model_copy(update={"thread_id": None}) for each in shown],
        earlier=len(found.messages) - len(shown) or None,
    )


class Piece(BaseModel):
    """A piece of an attachment. `next_offset` is there when more follows."""

    filename: str
    content_type: str
    size: int
    encoding: Literal["text", "base64"]
    content: str
    next_offset: int | None = None


@gmail.read(toolset="messages", scopes=[READ])
async def get_attachment(
    api: Api,
    message_id: MessageId,
    part: Annotated[str, Field(pattern=r"^[0-9.]{1,40}$", description="As get_message lists it.")],
    *,
    offset: Annotated[int, Field(ge=0)] = 0,
    length: Annotated[int, Field(ge=1, le=60_000, description="Bytes.")] = 6000,
) -> Piece:
    """Read a piece of an attachment: as text where it is text, else as base64."""
    query = {"format": "full", "fields": WHOLE}
    found = parts_of((await api.get(MESSAGE, message_id, query=query, into=Payload)).payload)
    what = next((each for each in found if each.id == part and is_attached(each)), None)
    if what is None:
        raise errors.NotFoundError("the message has no such attachment.", next_step="get_message lists them.")
    content = what.content
    if what.kept:  # Gmail's own id of it is another one at every reading
        path = "/gmail/v1/users/me/messages/{}/attachments/{}"
        content = decoded(await api.get(path, message_id, what.kept, at="data", query={"fields": "data"}))
    piece = content[offset : offset + length]
    plain = what.kind.startswith("text/") or what.kind in ("application/json", "application/xml")
    text = _as_text(piece) if plain else None
    return Piece(
        filename=name_of(what),
        content_type=what.kind,
        size=len(content),
        encoding="base64" if text is None else "text",
        content=base64.b64encode(piece).decode() if text is None else text,
        next_offset=offset + length if offset + length < len(content) else None,
    )


def _as_text(piece: bytes) -> str | None:
    """The text of a piece; None when it is none, or was cut within a character."""
    try:
        return None if b"\0" in piece else piece.decode()
    except UnicodeDecodeError:
        return None
