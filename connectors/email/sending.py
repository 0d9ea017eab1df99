"""Sending and replying. Accepted is not delivered: `get_delivery_status` tells what became of a message.

Before a message leaves it has its Message-ID. When the server's answer to it is lost, the folder for sent mail is
looked at for that id; where it says nothing the outcome stays unknown, and nothing is sent a second time.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field

from clew import Api, errors, mail, once
from clew.connectors.text.letters import Files, Html, More, People, Preview, Subject, Text, draft_of, facts_of

from .provider import Id, Where, bare, cut, email, fetch_one, in_sent

KEEPS_SENT_MAIL = ("smtp.gmail.com", "smtp.googlemail.com", "smtp.office365.com", "smtp-mail.outlook.com")
"""Servers that put what they are given into the folder for sent mail themselves (memory)."""
NO_ANSWER = (
    "The message may or may not be on its way; do not send it again. Call get_delivery_status with message_id {} in a "
    "minute: it looks for the message in the folder for sent mail, and for reports and answers."
)
NEXT = "Bounces come as mail, minutes to days later: get_delivery_status with message_id {}."


class Sent(BaseModel):
    """A message that the server has taken. It is accepted, not delivered."""

    message_id: str
    recipients: Annotated[list[str] | None, Field(description="Who was taken.")] = None
    refused: Annotated[dict[str, str] | None, Field(description="Who was not taken, and what the server said.")] = None
    saved_in: Annotated[str | None, Field(description="The folder with a copy.")] = None
    note: str | None = None


def shown(draft: mail.Draft) -> Preview:
    """What a person is shown before a message leaves. Raises `InvalidInputError` for what could not be sent."""
    return Preview(**facts_of(draft))


async def deliver(api: Api, letter: mail.Letter, *, confirm_delivery: bool = False) -> Sent:
    """Submit a letter and keep a copy. Raises `OutcomeUnknownError` with the way to find out when no answer came."""
    api.reference(letter.message_id)  # durable before the message leaves: by this it is looked for
    notify = "SUCCESS,FAILURE,DELAY" if confirm_delivery else "FAILURE,DELAY"
    try:
        done = await api.mail.submit(letter, notify=notify)
    except errors.OutcomeUnknownError as lost:
        folder = await _found(api, letter.message_id)
        if folder is None:
            lost.next_step = NO_ANSWER.format(letter.message_id)
            raise
        api.accepted(NEXT.format(letter.message_id))
        return Sent(message_id=letter.message_id, recipients=list(letter.recipients), saved_in=folder)
    api.accepted(NEXT.format(letter.message_id))
    saved = await _kept(api, letter)
    refused = {address: cut(why, 300) for address, why in done.refused.items()} or None
    return Sent(message_id=done.message_id, recipients=list(done.accepted), refused=refused, saved_in=saved)


async def _found(api: Api, message_id: str) -> str | None:
    try:
        return await api.mail.read("verify", lambda box: in_sent(box, message_id))
    except errors.CallError:
        return None


async def _kept(api: Api, letter: mail.Letter) -> str | None:
    """Put a copy into the folder for sent mail, unless the server does. The message has gone: nothing here may fail."""
    if api.mail.submits_to in KEEPS_SENT_MAIL:
        return None

    def keep(box: mail.Mailbox) -> str | None:
        folder = in_sent(box, letter.message_id)
        if folder is None and (folder := box.special("sent")) is not None:
            box.append(folder, letter.content, ("\\Seen",))
        return folder

    try:
        return await api.mail.change("keep a copy", keep)
    except errors.CallError:
        return None


@email.read(toolset="sending")
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
    return shown(draft_of(api.mail.address, locals()))


async def sent_before(api: Api, reference: str) -> Sent:
    """The look at a message whose sending got no answer. A copy, a report or an answer proves that it went; that there
    is none proves nothing, and is said as `TransientError`."""
    folder = await _found(api, reference)
    if folder is None and not await api.mail.read("verify", lambda box: _echo(box, reference)):
        raise errors.TransientError("nobody knows of the message yet; it may still be on its way.")
    return Sent(message_id=reference, saved_in=folder)


def _echo(box: mail.Mailbox, message_id: str) -> bool:
    """Does the inbox hold a report about a message, or an answer to it?"""
    box.select("INBOX")
    if box.search(mail.Query(header=("In-Reply-To", message_id))):
        return True
    uids = box.search(mail.Query(text=bare(message_id)))[:10]
    reports = [mail.read_report(each.content) for each in box.fetch(uids, most=200_000)]
    return any(each is not None and each.is_about(message_id) for each in reports)


ONCE = once.Draft()
LOOK = once.Look(sent_before, after=2.0, tries=2, every=2.0)


@email.write(toolset="sending", once=ONCE, verify=LOOK)
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
    confirm_delivery: Annotated[bool, Field(description="Ask for a report when it is delivered, too.")] = False,
) -> Sent:
    """Send a message. It cannot be taken back. Accepted is not delivered: see get_delivery_status."""
    letter = mail.compose(draft_of(api.mail.address, locals()))
    return await deliver(api, letter, confirm_delivery=confirm_delivery)


def _answer(box: mail.Mailbox, folder: str, id: str) -> mail.Opened:
    return mail.open_message(fetch_one(box, folder, id).content)


def _reply(original: mail.Opened, sender: str, given: Mapping[str, Any]) -> mail.Draft:
    """A reply as RFC 5322 3.6.4 wants its headers, to who asked for replies, else to the sender."""
    people = [*original.reply_to] or [original.sender.rpartition("<")[2].rstrip("> ")]
    others = [*original.to, *original.cc] if given["reply_all"] else []
    own = sender.lower()
    to = [each for each in dict.fromkeys(people) if each.lower() != own] or list(original.to)
    cc = [each for each in dict.fromkeys(others) if each.lower() != own and each not in to]
    subject = original.subject if original.subject.lower().startswith("re:") else f"Re: {original.subject}"
    known = [each for each in original.references if _is_id(each)]
    answered = original.message_id if _is_id(original.message_id) else ""
    return mail.Draft(
        sender=sender,
        to=to,
        cc=cc,
        subject=cut(subject, 850),
        text=given["text"],
        in_reply_to=answered,
        references=[*known, *([answered] if answered else [])],
    )


def _is_id(text: str) -> bool:
    try:
        return bool(mail.checked_id(text))
    except errors.InvalidInputError:
        return False


ReplyAll = Annotated[bool, Field(description="Also to everybody else who got the message.")]


async def _drafted(api: Api, given: Mapping[str, Any]) -> mail.Draft:
    original = await api.mail.read("fetch", lambda box: _answer(box, given["folder"], given["id"]))
    if original.automatic:
        raise errors.InvalidInputError(
            "this message was written by a program, or went to a list; it is not answered.",
            next_step="Write a new message with send_message if a person should hear of it.",
        )
    return _reply(original, api.mail.address, given)


@email.read(toolset="sending")
async def preview_reply(api: Api, folder: Where, id: Id, text: Text, *, reply_all: ReplyAll = False) -> Preview:
    """Show whom reply would answer, and what it would send. Nothing is sent."""
    return shown(await _drafted(api, locals()))


@email.write(toolset="sending", once=ONCE, verify=LOOK)
async def reply(api: Api, folder: Where, id: Id, text: Text, *, reply_all: ReplyAll = False) -> Sent:
    """Answer a message in its thread. It cannot be taken back."""
    return await deliver(api, mail.compose(await _drafted(api, locals())))


@email.asks_when(send_message, preview=preview_message)
def always(arguments: Mapping[str, Any]) -> bool:
    """Mail cannot be taken back: every message is shown to a person first, with those outside named."""
    return True


email.asks_when(reply, preview=preview_reply)(always)
