"""Sending and replying: stored as a draft first, then sent.

The draft has its Message-ID before anything leaves, and Gmail deletes it when it sends it. When the answer is lost, the
sent mail is looked at for that id; where it says nothing the outcome stays unknown, and nothing is sent a second time.
"""

import contextlib
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from clew import Api, errors, mail, once
from clew.connectors.text.letters import Files, Html, More, People, Subject, Text, draft_of

from .drafts import OWN, Preview, Sent, always, dispatch, previewed, store
from .messages import Payload, cut, head_of, shown
from .provider import COMPOSE, DRAFT, MESSAGE, READ, MessageId, address_of, gmail


async def _deliver(api: Api, draft: mail.Draft, thread_id: str | None = None) -> Sent:
    """Store and send. A draft that Gmail refuses to send is taken away again: nobody asked for it."""
    letter = mail.compose(draft, keep_bcc=True)
    stored = await store(api, letter, thread_id, safe=True)  # nobody but the account sees it
    try:
        return await dispatch(api, stored.draft_id, letter.message_id)
    except errors.CallError as refusal:
        if refusal.outcome is errors.Outcome.NOT_APPLIED:
            with contextlib.suppress(errors.CallError):
                await api.request("DELETE", DRAFT, stored.draft_id, safe=True)
        raise


@gmail.read(toolset="sending", scopes=[READ])
async def preview_message(
    api: Api,
    to: People,
    subject: Subject,
    text: Text,
    *,
    cc: More = None,
    bcc: More = None,
    html: Html = None,
    attachments: Files = None,
) -> Preview:
    """Show what send_message would send, and who of the recipients is outside. Nothing is sent."""
    return previewed(draft_of(await address_of(api), locals()))


@gmail.write(toolset="sending", scopes=[COMPOSE, READ], once=once.Draft(), verify=OWN)
async def send_message(
    api: Api,
    to: People,
    subject: Subject,
    text: Text,
    *,
    cc: More = None,
    bcc: More = None,
    html: Html = None,
    attachments: Files = None,
) -> Sent:
    """Send a message. It cannot be taken back. Accepted is not delivered: bounces come as mail."""
    return await _deliver(api, draft_of(await address_of(api), locals()))


ReplyAll = Annotated[bool, Field(description="Also to everybody else who got the message.")]


async def _answer(api: Api, given: Mapping[str, Any]) -> tuple[mail.Draft, str]:
    """A reply as RFC 5322 3.6.4 wants its headers, to who asked for replies, else to the sender; and its thread.

    Gmail puts it into the thread only with these headers and the same subject.
    https://developers.google.com/workspace/gmail/api/guides/threads
    """
    query = {"format": "metadata", "fields": "id,threadId,payload/headers"}
    found = await api.get(MESSAGE, given["message_id"], query=query, into=Payload)
    original, own = head_of(found.payload), await address_of(api)
    if original.automatic:
        raise errors.InvalidInputError(
            "this message was written by a program, or went to a list; it is not answered.",
            next_step="Write a new message with send_message if a person should hear of it.",
        )
    people = [*original.reply_to] or [original.sender.rpartition("<")[2].rstrip("> ")]
    others = [*original.to, *original.cc] if given["reply_all"] else []
    to = [each for each in dict.fromkeys(people) if each.lower() != own.lower()] or list(original.to)
    cc = [each for each in dict.fromkeys(others) if each.lower() != own.lower() and each not in to]
    subject = shown(found.payload, "subject", original.subject)
    answered = original.message_id if _is_id(original.message_id) else ""
    known = [each for each in original.references if _is_id(each)]
    draft = mail.Draft(
        sender=own,
        to=to,
        cc=cc,
        subject=cut(subject if subject.lower().startswith("re:") else f"Re: {subject}", 850),
        text=given["text"],
        in_reply_to=answered,
        references=[*known, *([answered] if answered else [])],
    )
    return draft, found.thread_id


def _is_id(text: str) -> bool:
    try:
        return bool(mail.checked_id(text))
    except errors.InvalidInputError:
        return False


@gmail.read(toolset="sending", scopes=[READ])
async def preview_reply(api: Api, message_id: MessageId, text: Text, *, reply_all: ReplyAll = False) -> Preview:
    """Show whom reply would answer, and what it would send. Nothing is sent."""
    return previewed((await _answer(api, locals()))[0])


@gmail.write(toolset="sending", scopes=[COMPOSE, READ], once=once.Draft(), verify=OWN)
async def reply(api: Api, message_id: MessageId, text: Text, *, reply_all: ReplyAll = False) -> Sent:
    """Answer a message in its thread. It cannot be taken back."""
    draft, thread_id = await _answer(api, locals())
    return await _deliver(api, draft, thread_id)


gmail.asks_when(send_message, preview=preview_message)(always)
gmail.asks_when(reply, preview=preview_reply)(always)
