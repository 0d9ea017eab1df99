"""Writing mail: stored as a draft first, then sent.

A draft keeps its immutable id when it is sent, so a lost answer is settled by reading that id: a draft still, or the
copy among the sent ones. A draft is sent once however often it is asked for.
https://learn.microsoft.com/graph/outlook-immutable-id
"""

import contextlib
import uuid
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from clew import Api, errors, once

from .letters import (
    Answers,
    Files,
    Html,
    Letter,
    More,
    People,
    Preview,
    ReplyAll,
    Subject,
    Text,
    body_of,
    file_of,
    letter_of,
    previewed,
)
from .lists import quoted
from .mail import get_message
from .messages import MESSAGE, MESSAGES, Raw
from .provider import MAIL_READ, MAIL_SEND, MAIL_WRITE, ChangeKey, MessageId, microsoft

STORED = "id,changeKey,conversationId,internetMessageId,toRecipients,ccRecipients,bccRecipients,isDraft,webLink"
SETTLED = 600.0
"""Seconds after which a draft that is still there was not sent, whatever became of the request."""
MARK = "String {00020329-0000-0000-C000-000000000046} Name clew"
"""A named property that nobody sees, by which a draft is found again.
https://learn.microsoft.com/graph/api/resources/extended-properties-overview"""
REPLY = "reply"


class Drafted(BaseModel):
    """A draft as it is stored. `url` opens it in Outlook."""

    id: str
    change_key: Annotated[str, Field(description="For send_draft; every change gives a new one.")]
    to: list[str]
    cc: list[str] | None = None
    url: str | None = None


class Sent(BaseModel):
    """A message that Microsoft has taken to send. It is accepted, not delivered: bounces come as mail."""

    id: str
    conversation_id: str | None = None
    message_id: Annotated[str | None, Field(description="Its Message-ID header.")] = None


async def _store(api: Api, letter: Letter, mark: str = "", *, safe: bool = False) -> Raw:
    """Store the draft. Nobody but the account sees it, so with `safe` it is asked for again when the answer is lost."""
    body = body_of(letter)
    if letter.answers is None:
        body |= {"subject": letter.subject, "attachments": [file_of(each) for each in letter.files]}
        body |= {"singleValueExtendedProperties": [{"id": MARK, "value": mark}]} if mark else {}
        return await api.post(MESSAGES, json=body, safe=safe, into=Raw)
    # Everybody is named, so that who gets it is who was shown, whether Graph adds them to its own choice or not.
    path = "/me/messages/{}/createReply"
    stored = await api.post(path, letter.answers, json={"Message": body}, safe=safe, into=Raw)
    try:
        for file in letter.files:
            await api.post("/me/messages/{}/attachments", stored.id, json=file_of(file), safe=True)
        if {each.lower() for each in stored.to + stored.cc + stored.bcc} != {each.lower() for each in letter.people}:
            raise errors.ContractChangedError(
                "Outlook addressed the answer to others than were named; nothing was sent."
            )
        return await _refreshed(api, stored.id, len(letter.files)) if letter.files else stored
    except errors.CallError:
        await _forget(api, stored.id)
        raise


async def _refreshed(api: Api, message_id: str, files: int) -> Raw:
    """The draft with its files and the change key that it has now; a file whose answer was lost may be there twice."""
    query = {"$select": STORED, "$expand": "attachments($select=id,name)"}
    found = await api.get(MESSAGE, message_id, query=query, into=Raw)
    if len(found.attachments) != files:
        raise errors.TransientError("the files were not stored as they were sent; nothing was sent.")
    return found


async def _forget(api: Api, message_id: str) -> None:
    """Take a draft away again: nobody asked for it."""
    with contextlib.suppress(errors.CallError):
        await api.request("DELETE", MESSAGE, message_id, safe=True)


async def _dispatch(api: Api, stored: Raw) -> Sent:
    api.reference(stored.id)
    await api.post("/me/messages/{}/send", stored.id)
    return Sent(id=stored.id, conversation_id=stored.conversation_id, message_id=stored.message_id)


async def _seen(api: Api, message_id: str) -> tuple[Sent | None, float | None]:
    """What a look finds: the message as sent; else, while it is a draft, how long it has been one (seconds)."""
    fields = "id,isDraft,createdDateTime,conversationId,internetMessageId"
    try:
        answer = await api.request("GET", MESSAGE, message_id, query={"$select": fields})
    except errors.NotFoundError:
        return None, None
    if answer.field("isDraft") != "false":
        return None, _age(answer.headers.get("date", ""), answer.field("createdDateTime") or "")
    facts = {"conversation_id": answer.field("conversationId"), "message_id": answer.field("internetMessageId")}
    return Sent(id=message_id, **facts), None


def _age(now: str, created: str) -> float:
    """How old a draft is by Microsoft's own clock; 0 when it does not say."""
    try:
        return (parsedate_to_datetime(now) - datetime.fromisoformat(created)).total_seconds()
    except (ValueError, TypeError):
        return 0.0


UNDER_WAY = "the draft is gone or may still be on its way, and the message is not among the sent ones yet."


async def own_draft_sent(api: Api, reference: str) -> Sent | None:
    """The look at a draft of ours. One that is still there proves only after a while that it was not sent: the next
    attempt would be another draft, and the first could still leave."""
    sent, age = await _seen(api, reference)
    if sent is None and (age is None or age < SETTLED):
        raise errors.TransientError(UNDER_WAY)
    return sent


async def draft_sent(api: Api, reference: str) -> Sent | None:
    """The look at a given draft. One that is still there may be sent again: it is sent once."""
    sent, age = await _seen(api, reference)
    if sent is None and age is None:
        raise errors.TransientError(UNDER_WAY)
    return sent


# The copy is made when the message has left, which may take a moment.
OWN = once.Look(own_draft_sent, after=2.0, tries=3, every=3.0)
GIVEN = once.Look(draft_sent, after=2.0, tries=3, every=3.0)


def _drafted(stored: Raw) -> Drafted:
    if stored.change_key is None:
        raise errors.ContractChangedError("Graph's answer changed its shape: changeKey is missing.")
    return Drafted(id=stored.id, change_key=stored.change_key, to=stored.to, cc=stored.cc or None, url=stored.web_link)


class Found(BaseModel):
    """One answer of a search for a draft."""

    value: list[Raw]


async def _stored(api: Api, reference: str) -> Drafted | None:
    """The look at a draft whose storing got no answer. An answer to a message has no mark of ours."""
    if reference == REPLY:
        raise errors.TransientError("whether the draft was stored can be seen in the folder drafts.")
    which = f"singleValueExtendedProperties/any(ep: ep/id eq {quoted(MARK)} and ep/value eq {quoted(reference)})"
    found = await api.get(MESSAGES, query={"$filter": which, "$select": STORED, "$top": 1}, into=Found)
    return _drafted(found.value[0]) if found.value else None


@microsoft.write(
    toolset="mail",
    scopes=[MAIL_WRITE],
    once=once.Draft(),
    verify=once.Look(_stored, after=3.0, tries=2, every=3.0),
)
async def create_draft(
    api: Api,
    text: Text,
    to: People = None,
    subject: Subject = None,
    *,
    reply_to: Answers = None,
    reply_all: ReplyAll = False,
    cc: More = None,
    bcc: More = None,
    html: Html = False,
    attachments: Files = None,
) -> Drafted:
    """Store a draft. Nothing is sent: a person can read and change it in Outlook; send_draft sends it."""
    letter = await letter_of(api, locals())
    mark = REPLY if letter.answers is not None else uuid.uuid4().hex
    api.reference(mark)
    return _drafted(await _store(api, letter, mark))


@microsoft.write(toolset="mail", scopes=[MAIL_SEND, MAIL_WRITE], once=once.Draft(), verify=GIVEN)
async def send_draft(
    api: Api,
    message_id: MessageId,
    change_key: Annotated[
        ChangeKey, Field(description="Of create_draft or get_message: refuses if it has changed since.")
    ],
) -> Sent:
    """Send a draft as it is now. It cannot be taken back."""
    found = await api.get(MESSAGE, message_id, query={"$select": STORED}, into=Raw)
    if not found.is_draft:
        raise errors.ConflictError(
            "this message is no draft: it was sent already, or came from somebody.",
            next_step="Read it with get_message. Nothing was sent now.",
        )
    if found.change_key != change_key:
        raise errors.ConflictError(
            "the draft has changed since it was read; nothing was sent.",
            next_step="Read it again with get_message, and pass its new change_key if it may go as it is now.",
        )
    if not (found.to or found.cc or found.bcc):
        raise errors.InvalidInputError("the draft has no recipient.", next_step="Ask the person to fill it in.")
    return await _dispatch(api, found)


@microsoft.read(toolset="mail", scopes=[MAIL_READ])
async def preview_message(
    api: Api,
    text: Text,
    to: People = None,
    subject: Subject = None,
    *,
    reply_to: Answers = None,
    reply_all: ReplyAll = False,
    cc: More = None,
    bcc: More = None,
    html: Html = False,
    attachments: Files = None,
) -> Preview:
    """Show what send_message would send, to whom, and who of them is outside. Nothing is sent."""
    return previewed(await letter_of(api, locals()))


@microsoft.write(toolset="mail", scopes=[MAIL_SEND, MAIL_WRITE], once=once.Draft(), verify=OWN)
async def send_message(
    api: Api,
    text: Text,
    to: People = None,
    subject: Subject = None,
    *,
    reply_to: Answers = None,
    reply_all: ReplyAll = False,
    cc: More = None,
    bcc: More = None,
    html: Html = False,
    attachments: Files = None,
) -> Sent:
    """Send a message, or an answer in its conversation. It cannot be taken back."""
    stored = await _store(api, await letter_of(api, locals()), safe=True)
    try:
        return await _dispatch(api, stored)
    except errors.CallError as refusal:
        if refusal.outcome is errors.Outcome.NOT_APPLIED:
            await _forget(api, stored.id)
        raise


def always(arguments: Mapping[str, Any]) -> bool:
    """Mail cannot be taken back: every message is shown to a person first, with those outside named."""
    return True


microsoft.asks_when(send_draft, preview=get_message)(always)
microsoft.asks_when(send_message, preview=preview_message)(always)
