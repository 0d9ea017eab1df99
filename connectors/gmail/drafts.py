"""Drafts: written by the agent, read by a person in Gmail, and sent by either.

Sending a draft deletes it at Gmail, so one draft is sent once however often it is asked for.
https://developers.google.com/workspace/gmail/api/guides/drafts
"""

import base64
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from clew import Api, From, errors, mail, once
from clew.connectors.text import letters
from clew.connectors.text.letters import Files, Html, More, People, Subject, Text, draft_of

from .messages import Payload, cut, head_of, header_of, is_attached, name_of, parts_of, shown, text_of
from .provider import COMPOSE, DRAFT, DRAFTS, MESSAGE, MESSAGES, READ, DraftId, address_of, each, gmail

SEND = "/gmail/v1/users/me/drafts/send"
NAMES = "id,message(id,threadId)"
SETTLED = 600.0
"""Seconds after which a draft that is still there was not sent, whatever became of the request."""


class Preview(letters.Preview):
    """What would be sent, and to whom; `outside` are those who are not of the sender's own domain."""

    version: Annotated[str | None, Field(description="Of a draft, for send_draft.")] = None


class Drafted(BaseModel):
    """A draft as it is stored."""

    draft_id: Annotated[str, From("id")]
    version: Annotated[str, From("message.id"), Field(description="For send_draft; every change gives a new one.")]
    thread_id: Annotated[str, From("message.threadId")]


class Sent(BaseModel):
    """A message that Gmail has sent. It is accepted, not delivered: bounces come as mail."""

    id: str
    thread_id: Annotated[str, From("threadId")]
    message_id: Annotated[str | None, Field(description="Its Message-ID header.")] = None


class Stored(BaseModel):
    """A draft as the API gives it."""

    id: str
    message: Payload


class Refs(BaseModel):
    """The ids of one answer of a search."""

    messages: Annotated[list[str], From("messages[*].id")] = []


class Drafts(BaseModel):
    """One answer of a search for drafts."""

    drafts: list[Drafted] = []


def previewed(draft: mail.Draft) -> Preview:
    """What a person is shown before a message leaves. Raises `InvalidInputError` for what could not be sent."""
    return Preview(**letters.facts_of(draft))


async def store(api: Api, letter: mail.Letter, thread_id: str | None = None, *, safe: bool = False) -> Drafted:
    """Store a letter as a draft."""
    message = {"raw": base64.urlsafe_b64encode(letter.content).decode()}
    if thread_id is not None:
        message["threadId"] = thread_id
    return await api.post(DRAFTS, query={"fields": NAMES}, json={"message": message}, safe=safe, into=Drafted)


async def dispatch(api: Api, draft_id: str, message_id: str) -> Sent:
    """Send a draft; by its id and its Message-ID it is looked for when no answer comes."""
    api.reference(f"{draft_id} {message_id}")
    sent = await api.post(SEND, query={"fields": "id,threadId"}, json={"id": draft_id}, into=Sent)
    sent.message_id = message_id or None
    return sent


async def _seen(api: Api, reference: str) -> tuple[Sent | None, str | None]:
    """What a look finds: the message as sent; else, while its draft is there, how long it has been (seconds)."""
    draft_id, _, message_id = reference.partition(" ")
    age: str | None = None
    try:
        answer = await api.request(
            "GET", DRAFT, draft_id, query={"format": "minimal", "fields": "message/internalDate"}
        )
        age = str(_age(answer.headers.get("date", ""), answer.field("message.internalDate") or ""))
    except errors.NotFoundError:
        pass
    return await _sent(api, message_id), age


def _age(now: str, milliseconds: str) -> float:
    """How old a draft is by Gmail's own clock; 0 when it does not say."""
    try:
        return parsedate_to_datetime(now).timestamp() - int(milliseconds) / 1000
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _search(message_id: str) -> str:
    return f"rfc822msgid:{message_id.strip('<>')}"


async def _sent(api: Api, message_id: str) -> Sent | None:
    """The message with this Message-ID, once it is among the sent ones."""
    if not message_id:
        return None
    query: dict[str, str | bool] = {
        "q": _search(message_id),
        "includeSpamTrash": True,
        "fields": "messages/id",
    }
    found = (await api.get(MESSAGES, query=query, into=Refs)).messages[:5]

    async def look(identity: str) -> Payload:
        fields = "id,threadId,labelIds"
        return await api.get(MESSAGE, identity, query={"format": "minimal", "fields": fields}, into=Payload)

    for message in await each(found, look):
        if "SENT" in message.labels:
            return Sent(id=message.id, thread_id=message.thread_id, message_id=message_id)
    return None


UNDER_WAY = "the draft is gone or may still be on its way, and the message is not among the sent ones yet."


async def own_draft_sent(api: Api, reference: str) -> Sent | None:
    """The look at a message that was stored as a draft of ours and then sent. A draft that is still there proves only
    after a while that it was not: the next attempt would be another draft, and the first could still leave."""
    sent, age = await _seen(api, reference)
    if sent is None and (age is None or float(age) < SETTLED):
        raise errors.TransientError(UNDER_WAY)
    return sent


async def draft_sent(api: Api, reference: str) -> Sent | None:
    """The look at a person's draft that was sent. One that is still there may be sent again: Gmail sends it once."""
    sent, age = await _seen(api, reference)
    if sent is None and age is None:
        raise errors.TransientError(UNDER_WAY)
    return sent


OWN = once.Look(own_draft_sent, after=2.0, tries=3, every=3.0)
GIVEN = once.Look(draft_sent, after=2.0, tries=3, every=3.0)


async def _stored(api: Api, reference: str) -> Drafted | None:
    """The look at a draft whose storing got no answer."""
    query = {"q": _search(reference), "fields": f"drafts({NAMES})"}
    return next(iter((await api.get(DRAFTS, query=query, into=Drafts)).drafts), None)


@gmail.write(
    toolset="drafts",
    scopes=[COMPOSE, READ],
    once=once.Draft(),
    verify=once.Look(_stored, after=3.0, tries=2, every=3.0),
)
async def create_draft(
    api: Api,
    to: People,
    subject: Subject,
    text: Text,
    *,
    cc: More = None,
    bcc: More = None,
    html: Html = None,
    attachments: Files = None,
) -> Drafted:
    """Store a draft. Nothing is sent: a person can read and change it in Gmail; send_draft sends it."""
    letter = mail.compose(draft_of(await address_of(api), locals()), keep_bcc=True)
    api.reference(letter.message_id)
    return await store(api, letter)


async def _read(api: Api, draft_id: str) -> Stored:
    fields = "id,message(id,threadId,labelIds,internalDate,payload)"
    return await api.get(DRAFT, draft_id, query={"format": "full", "fields": fields}, into=Stored)


@gmail.read(toolset="drafts", scopes=[READ])
async def get_draft(api: Api, draft_id: DraftId) -> Preview:
    """Read a draft as send_draft would send it, and who of the recipients is outside."""
    found = (await _read(api, draft_id)).message
    opened, parts = head_of(found.payload), parts_of(found.payload)
    bcc = list(head_of({"headers": [{"name": "To", "value": header_of(found.payload, "bcc")}]}).to)
    sender = shown(found.payload, "from", opened.sender)
    own = opened.sender.rpartition("<")[2].rstrip("> ")
    return Preview(
        sender=cut(sender, 200),
        to=list(opened.to),
        cc=list(opened.cc) or None,
        bcc=bcc or None,
        outside=letters.outside(own, [*opened.to, *opened.cc, *bcc]),
        subject=cut(shown(found.payload, "subject", opened.subject), 300),
        text=cut(text_of(parts), 4000),
        attachments=[f"{name_of(part)} ({part.size} bytes)" for part in parts if is_attached(part)] or None,
        version=found.id,
    )


@gmail.write(toolset="drafts", scopes=[COMPOSE, READ], once=once.Draft(), verify=GIVEN)
async def send_draft(
    api: Api,
    draft_id: DraftId,
    version: Annotated[
        str,
        Field(max_length=100, description="Of create_draft or get_draft: refuses if the draft has changed since."),
    ],
) -> Sent:
    """Send a draft as it is now. It cannot be taken back."""
    found = (await _read(api, draft_id)).message
    if found.id != version:
        raise errors.ConflictError(
            "the draft has changed since it was read; nothing was sent.",
            next_step="Read it again with get_draft, and pass its new version if it may go as it is now.",
        )
    opened = head_of(found.payload)
    if not (opened.to or opened.cc or header_of(found.payload, "bcc")):
        raise errors.InvalidInputError("the draft has no recipient.", next_step="Ask the person to fill it in.")
    return await dispatch(api, draft_id, opened.message_id)


def always(arguments: Mapping[str, Any]) -> bool:
    """Mail cannot be taken back: every message is shown to a person first, with those outside named."""
    return True


gmail.asks_when(send_draft, preview=get_draft)(always)
