"""The facts of a mailbox behind IMAP and SMTP, and what its tools share.

Sources: RFC 8314 for ports, RFC 7628 and the providers' pages on XOAUTH2 for logins (memory). Limits are not told in
headers; Google allows 500 mails a day, Workspace 2 000, Microsoft 365 30 a minute and 3 connections at once (memory).
"""

import re
from typing import Annotated

from pydantic import Field

from clew import Api, Basic, Bounds, Connector, Limit, errors, mail, schemes

from .rules import ERRORS

_SERVERS = {
    "imap": schemes.Variable(pattern=mail.PATTERN, help="the IMAP server, such as imap.example.com"),
    "smtp": schemes.Variable(pattern=mail.PATTERN, help="the submission server, such as smtp.example.com"),
    "address": schemes.Variable(pattern=r"[^\s@<>\"]{1,64}@[A-Za-z0-9.-]{1,253}", help="your e-mail address"),
}

email = Connector(
    "email",
    title="E-mail",
    base_url="mail://account",
    auth=(
        Basic(help="user name and password of the mailbox; most hosts want an app password", variables=_SERVERS),
        schemes.OAuth2(
            discovery_url="{issuer}",
            # Google: https://mail.google.com/. Microsoft: https://outlook.office.com/IMAP.AccessAsUser.All,
            # https://outlook.office.com/SMTP.Send and offline_access. The person names them with --scopes.
            scopes=(),
            authorize_parameters={"access_type": "offline", "prompt": "consent"},
            variables={
                **_SERVERS,
                "issuer": schemes.Variable(
                    pattern=r"https://[^\s?#]{1,500}", help="such as https://accounts.google.com"
                ),
            },
            refresh_class="B",
        ),
    ),
    # A server may take long over the end of a message: RFC 5321 4.5.3.2.6 allows it ten minutes.
    bounds=Bounds(read=45.0, body=12_000_000),
    rate_limits=(
        Limit(amount=3, kind="concurrency", name="sessions"),
        Limit(amount=30, per=60, paths=("submit",), name="messages"),
    ),
    errors=ERRORS,
    docs="https://www.rfc-editor.org/rfc/rfc8314",
)

Where = Annotated[str, Field(min_length=1, max_length=300, description="Folder name, as list_folders shows it.")]
Id = Annotated[str, Field(pattern=r"^\d{1,10}\.\d{1,10}$", description="The message's id in its folder, unchanged.")]
MessageId = Annotated[str, Field(min_length=3, max_length=300, description="Message-ID, such as <abc@example.com>.")]

HEAD = 40_000
"""Bytes of a message that are fetched to show it in a list."""
WHOLE = 10_000_000
"""Bytes of a message that are fetched to read it."""


def id_of(validity: int, uid: int) -> str:
    """How a message is named: its folder's UIDVALIDITY and its UID."""
    return f"{validity}.{uid}"


def parts_of(name: str) -> tuple[int, int]:
    """UIDVALIDITY and UID of an id."""
    validity, _, uid = name.partition(".")
    return int(validity), int(uid)


def cut(text: str, limit: int) -> str:
    """`text`, at most `limit` characters of it."""
    return text if len(text) <= limit else text[:limit] + "…"


def fetch_one(box: mail.Mailbox, folder: str, name: str, most: int = WHOLE) -> mail.Stored:
    """A message by its id. Raises `NotFoundError` when it is gone or its folder was rebuilt."""
    validity, uid = parts_of(name)
    box.select(folder)
    found = box.fetch([uid], most=most) if box.validity == validity else []
    if not found:
        raise errors.NotFoundError("there is no such message in this folder any more.", next_step="Search again.")
    return found[0]


def in_sent(box: mail.Mailbox, message_id: str) -> str | None:
    """The name of the folder for sent mail, when the message is there."""
    folder = box.special("sent")
    if folder is None:
        return None
    box.select(folder)
    return folder if box.search(mail.Query(header=("Message-ID", message_id))) else None


def bare(message_id: str) -> str:
    """A message id without its brackets: a word to search for."""
    return re.sub(r"[<>\s]", "", message_id)


@email.identity
async def account(api: Api) -> str:
    """The address, once the server has let us in."""
    await api.mail.read("login", lambda box: None)
    return api.mail.address
