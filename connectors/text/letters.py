"""What tools that write mail take and show, whichever way it leaves."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, Field

from clew import mail

Address = Annotated[str, Field(min_length=3, max_length=320)]
People = Annotated[list[Address], Field(max_length=100, description="Plain addresses: ada@example.com.")]
More = Annotated[list[Address] | None, Field(max_length=100)]
Subject = Annotated[str, Field(max_length=900)]
Text = Annotated[str, Field(min_length=1, max_length=200_000, description="Plain text.")]
Html = Annotated[str | None, Field(max_length=400_000, description="The same as HTML, if wanted.")]


class NewAttachment(BaseModel):
    """A file to send along."""

    filename: Annotated[str, Field(min_length=1, max_length=200)]
    content: Annotated[str, Field(min_length=1, max_length=7_000_000, description="base64.")]
    content_type: str = "application/octet-stream"


Files = Annotated[list[NewAttachment] | None, Field(max_length=20)]


class Preview(BaseModel):
    """What would be sent, and to whom; `outside` are those who are not of the sender's own domain."""

    sender: str
    to: list[str]
    cc: list[str] | None = None
    bcc: list[str] | None = None
    outside: list[str]
    subject: str
    text: str
    html: Annotated[str | None, Field(description="The words of the HTML part.")] = None
    attachments: list[str] | None = None


def cut(text: str, limit: int) -> str:
    """`text`, at most `limit` characters of it."""
    return text if len(text) <= limit else text[:limit] + "…"


def draft_of(sender: str, given: Mapping[str, Any], **more: Any) -> mail.Draft:
    """A draft from a tool's arguments."""
    files = [mail.Attachment(each.filename, each.content, each.content_type) for each in given["attachments"] or ()]
    return mail.Draft(
        sender=sender,
        to=given["to"],
        cc=given["cc"] or (),
        bcc=given["bcc"] or (),
        subject=given["subject"],
        text=given["text"],
        html=given["html"] or "",
        attachments=files,
        **more,
    )


def facts_of(draft: mail.Draft) -> dict[str, Any]:
    """The fields of a `Preview`. Raises `InvalidInputError` for what could not be sent."""
    letter = mail.compose(draft)
    return {
        "sender": letter.sender,
        "to": list(draft.to),
        "cc": list(draft.cc) or None,
        "bcc": list(draft.bcc) or None,
        "outside": outside(letter.sender, letter.recipients),
        "subject": draft.subject,
        "text": cut(draft.text, 2000),
        "html": cut(mail.text_of_html(draft.html), 2000) if draft.html else None,
        "attachments": [f"{each.filename} ({len(each.content) * 3 // 4} bytes)" for each in draft.attachments] or None,
    }


def outside(sender: str, people: Sequence[str]) -> list[str]:
    """Those who are not of the sender's domain."""
    home = mail.domain_of(sender)
    return [each for each in people if mail.domain_of(each) != home]
