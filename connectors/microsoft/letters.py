"""A message to write: who gets it, what it says, and what a person is shown of it before it leaves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, Field

from clew import Api, errors, mail
from clew.connectors.times import wrong

from .messages import MESSAGE, Raw, automatic, cut, outside
from .provider import MessageId, address_of

LARGEST = 3_000_000
"""Bytes of attachments; Graph takes no larger ones without an upload session.
https://learn.microsoft.com/graph/outlook-large-attachments"""

Address = Annotated[str, Field(min_length=3, max_length=320)]
People = Annotated[list[Address] | None, Field(max_length=100, description="Plain addresses: ada@example.com.")]
More = Annotated[list[Address] | None, Field(max_length=100)]
Subject = Annotated[str | None, Field(max_length=250)]
Text = Annotated[str, Field(min_length=1, max_length=400_000)]
Html = Annotated[bool, Field(description="text is HTML.")]
Answers = Annotated[
    MessageId | None, Field(description="id of the message to answer, without to and subject: it says them.")
]
ReplyAll = Annotated[bool, Field(description="Also to everybody else who got that message.")]


class NewAttachment(BaseModel):
    """A file to send along."""

    filename: Annotated[str, Field(min_length=1, max_length=200)]
    content: Annotated[str, Field(min_length=1, max_length=4_000_000, description="base64.")]
    content_type: str = "application/octet-stream"


Files = Annotated[list[NewAttachment] | None, Field(max_length=20, description="3 MB together.")]


class Preview(BaseModel):
    """What would be sent, and to whom; `outside` are those who are not of the sender's own domain."""

    sender: str
    to: list[str]
    cc: list[str] | None = None
    bcc: list[str] | None = None
    outside: list[str]
    subject: str
    text: str
    attachments: list[str] | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    """A message to store: all that a person is shown, and what Graph is told besides."""

    sender: str
    to: Sequence[str]
    cc: Sequence[str]
    bcc: Sequence[str]
    subject: str
    text: str
    html: bool
    files: Sequence[NewAttachment]
    answers: str | None

    @property
    def people(self) -> list[str]:
        """All who get it."""
        return [*self.to, *self.cc, *self.bcc]


async def letter_of(api: Api, given: Mapping[str, Any]) -> Letter:
    """The message of a tool's arguments. Raises `InvalidInputError` for what could not be sent."""
    answers: str | None = given["reply_to"]
    files: list[NewAttachment] = given["attachments"] or []
    if answers is not None and (given["to"] or given["subject"] is not None):
        raise wrong(
            "reply_to", "cannot be combined with to or subject", "An answer goes to who wrote; use cc for others."
        )
    if answers is None and not given["to"]:
        raise wrong("to", "is missing", "Give recipients, or reply_to.")
    if answers is None and given["subject"] is None:
        raise wrong("subject", "is missing", "Give a subject, or reply_to.")
    sender = await address_of(api)
    to: list[str] = given["to"] or []
    cc: list[str] = given["cc"] or []
    bcc: list[str] = given["bcc"] or []
    subject: str = given["subject"] or ""
    if answers is not None:
        to, others, subject = await _answered(api, answers, sender, everybody=given["reply_all"])
        cc = list(dict.fromkeys([*others, *cc]))
    attached = [mail.Attachment(each.filename, each.content, each.content_type) for each in files]
    mail.compose(mail.Draft(sender=sender, to=to, cc=cc, bcc=bcc, subject=subject, text="x", attachments=attached))
    if sum(len(each.content) * 3 // 4 for each in files) > LARGEST:
        raise wrong("attachments", "are larger than 3 MB together", "Share the file where the recipients can open it.")
    text, html = given["text"], given["html"]
    return Letter(sender, to, cc, bcc, subject, text, html, files, answers)


async def _answered(api: Api, message_id: str, own: str, *, everybody: bool) -> tuple[list[str], list[str], str]:
    """Whom an answer goes to (who asked for replies, else the sender), who else, and under which subject."""
    fields = "id,subject,from,replyTo,toRecipients,ccRecipients,isDraft,internetMessageHeaders"
    found = await api.get(MESSAGE, message_id, query={"$select": fields}, into=Raw)
    if found.is_draft:
        raise wrong("reply_to", "is a draft", "Only messages that were received or sent can be answered.")
    if automatic(found.headers):
        raise errors.InvalidInputError(
            "this message was written by a program, or went to a list; it is not answered.",
            next_step="Write a new message if a person should hear of it.",
        )
    asked = found.reply_to or ([found.own] if found.own else [])
    to = [each for each in dict.fromkeys(asked) if each.lower() != own.lower()] or found.to
    others = [*found.to, *found.cc] if everybody else []
    cc = [each for each in dict.fromkeys(others) if each.lower() != own.lower() and each not in to]
    subject = found.subject or ""
    return list(to), cc, cut(subject if subject.lower().startswith("re:") else f"Re: {subject}", 240)


def previewed(letter: Letter) -> Preview:
    text = mail.text_of_html(letter.text) if letter.html else letter.text
    return Preview(
        sender=letter.sender,
        to=list(letter.to),
        cc=list(letter.cc) or None,
        bcc=list(letter.bcc) or None,
        outside=outside(letter.sender, letter.people),
        subject=letter.subject,
        text=cut(text, 2000),
        attachments=[f"{each.filename} ({len(each.content) * 3 // 4} bytes)" for each in letter.files] or None,
    )


def body_of(letter: Letter) -> dict[str, Any]:
    body: dict[str, Any] = {
        "body": {"contentType": "html" if letter.html else "text", "content": letter.text},
        "toRecipients": _named(letter.to),
        "ccRecipients": _named(letter.cc),
        "bccRecipients": _named(letter.bcc),
    }
    return body


def _named(people: Sequence[str]) -> list[dict[str, Any]]:
    return [{"emailAddress": {"address": each}} for each in people]


def file_of(file: NewAttachment) -> dict[str, Any]:
    return {
        "@odata.type": "#microsoft.graph.fileAttachment",
        "name": file.filename,
        "contentType": file.content_type,
        "contentBytes": "".join(file.content.split()),
    }
