"""An outgoing message, built so that nothing in it can pretend to be something else."""

import base64
import re
import time
from collections.abc import Sequence
from dataclasses import field
from email import policy, utils
from email.message import EmailMessage

from clew.core.errors import InvalidInputError
from clew.core.mail import parts
from clew.core.mail.addresses import checked_address, checked_id, checked_line, new_message_id
from clew.core.values import dataclass

LARGEST = 10_000_000
"""Bytes of all attachments together; most servers take 20 to 35 MB of a message, which is a third more encoded."""
MOST_RECIPIENTS = 100
"""RFC 5321 4.5.3.1.8: a server must take so many."""
_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,60}/[a-z0-9!#$&^_.+-]{1,60}")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes along. `content` is base64."""

    filename: str
    content: str
    content_type: str = "application/octet-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a message shall say. `references` and `in_reply_to` are message ids, for a reply."""

    sender: str
    to: Sequence[str]
    subject: str
    text: str
    html: str = ""
    cc: Sequence[str] = ()
    bcc: Sequence[str] = ()
    attachments: Sequence[Attachment] = ()
    in_reply_to: str = ""
    references: Sequence[str] = ()
    message_id: str = ""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that is ready: its id, its bytes with CRLF line ends, its envelope."""

    message_id: str
    content: bytes
    sender: str
    recipients: tuple[str, ...]
    hidden: tuple[str, ...] = field(default=())


def compose(draft: Draft, *, keep_bcc: bool = False) -> Letter:
    """Build the message. `keep_bcc` leaves the blind copies in it, for a stored draft. Raises `InvalidInputError` for
    what is no address, for line breaks in headers, for too many recipients and too much to attach."""
    sender = checked_address(draft.sender, what="the sender's address")
    to, cc, bcc = (
        [checked_address(each, what=f"{name} address") for each in listed]
        for name, listed in (("to", draft.to), ("cc", draft.cc), ("bcc", draft.bcc))
    )
    everybody = tuple(dict.fromkeys([*to, *cc, *bcc]))
    if not everybody:
        raise InvalidInputError("the message has no recipient.")
    if len(everybody) > MOST_RECIPIENTS:
        raise InvalidInputError(f"a message may have {MOST_RECIPIENTS} recipients, not {len(everybody)}.")
    message = EmailMessage(policy=policy.SMTP)
    message_id = checked_id(draft.message_id) if draft.message_id else new_message_id(sender)
    fields = {
        "From": sender,
        "To": ", ".join(to),
        "Cc": ", ".join(cc),
        "Bcc": ", ".join(bcc) if keep_bcc else "",
        "Subject": checked_line(draft.subject, what="the subject"),
        "Date": utils.formatdate(time.time(), usegmt=True),
        "Message-ID": message_id,
        "In-Reply-To": checked_id(draft.in_reply_to) if draft.in_reply_to else "",
        "References": " ".join(checked_id(each) for each in draft.references[-20:]),
    }
    for name, value in fields.items():
        if value or name == "Subject":
            message[name] = value
    try:
        message.set_content(draft.text)
        if draft.html:
            message.add_alternative(draft.html, subtype="html")
        _attach(message, draft.attachments)
        content = message.as_bytes()
    except UnicodeError:
        raise InvalidInputError("the message holds text that cannot be encoded.") from None
    hidden = tuple(each for each in bcc if each not in {*to, *cc})
    return Letter(message_id, content, sender, everybody, hidden)


def _attach(message: EmailMessage, attachments: Sequence[Attachment]) -> None:
    total = 0
    for each in attachments:
        name = checked_line(each.filename, what="an attachment's filename", longest=200)
        if not name or name in (".", "..") or re.search(r"[/\\]", name):
            raise InvalidInputError("an attachment needs a plain file name without folders.")
        if not _TYPE.fullmatch(each.content_type.lower()):
            raise InvalidInputError(f"content_type of {name!r} must look like application/pdf.")
        try:
            data = base64.b64decode("".join(each.content.split()), validate=True)
        except ValueError:
            raise InvalidInputError(f"the content of {name!r} is not base64.") from None
        total += len(data)
        if total > LARGEST:
            raise InvalidInputError(f"the attachments are larger than {LARGEST // 1_000_000} MB together.")
        main, _, sub = each.content_type.lower().partition("/")
        if main in ("multipart", "message"):
            main, sub = "application", "octet-stream"
        message.add_attachment(data, maintype=main, subtype=sub, filename=name)


def stored_letter(raw: bytes, sender: str) -> Letter:
    """A draft from a mailbox as a letter from `sender`: as it stands, but without its blind copies' header.

    Raises `InvalidInputError` when it is from somebody else, has no message id or no valid recipient.
    """
    message = parts.parse(raw)
    own = checked_address(sender, what="the sender's address")
    people = {name: [address for _, address in parts.people(message, name)] for name in _PEOPLE}
    if [each.lower() for each in people["from"]] != [own.lower()]:
        raise InvalidInputError(f"the draft is not from {own}; it was not sent.")
    ids = parts.message_ids(parts.raw_header(message, "message-id"))
    if len(ids) != 1:
        raise InvalidInputError("the draft has no Message-ID; write it anew with send_message.")
    everybody = [checked_address(each) for name in ("to", "cc", "bcc") for each in people[name]]
    if not 0 < len(everybody) <= MOST_RECIPIENTS or len(raw) > LARGEST * 3 // 2:
        raise InvalidInputError("the draft has no recipient, too many of them, or is too large.")
    head, gap, body = re.sub(rb"\r\n|\r|\n", b"\r\n", raw).partition(b"\r\n\r\n")
    head = re.sub(rb"(?im)^bcc:.*\r\n(?:[ \t].*\r\n)*", b"", head + b"\r\n").removesuffix(b"\r\n")
    return Letter(checked_id(ids[0]), head + gap + body, own, tuple(dict.fromkeys(everybody)))


_PEOPLE = ("from", "to", "cc", "bcc")
