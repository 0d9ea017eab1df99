"""Drafts: written by the agent, read by a person in their own mail program, and sent by either."""

from pydantic import BaseModel

from clew import Api, errors, mail, once
from clew.connectors.text.letters import Files, Html, More, People, Subject, Text, draft_of

from .provider import Id, email, fetch_one, id_of, in_sent, parts_of
from .reading import SHOWN_ALONE, Message, message_of
from .sending import LOOK, ONCE, Sent, always, deliver


class Drafted(BaseModel):
    """A draft as it is stored. `id` is empty where the server does not tell it; search the folder then."""

    folder: str
    id: str | None = None
    message_id: str


def _drafts(box: mail.Mailbox) -> str:
    folder = box.special("drafts")
    if folder is None:
        raise errors.NotFoundError("this mailbox has no folder for drafts.", next_step="Send the message instead.")
    return folder


async def _stored(api: Api, reference: str) -> Drafted | None:
    """The look at a draft whose storing got no answer."""

    def look(box: mail.Mailbox) -> Drafted | None:
        folder = _drafts(box)
        box.select(folder)
        found = box.search(mail.Query(header=("Message-ID", reference)))
        return Drafted(folder=folder, id=id_of(box.validity, found[0]), message_id=reference) if found else None

    return await api.mail.read("verify", look)


@email.write(toolset="drafts", once=once.Draft(), verify=_stored)
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
    """Store a draft. Nothing is sent: a person can read and change it in their mail program; send_draft sends it."""
    letter = mail.compose(draft_of(api.mail.address, locals()), keep_bcc=True)

    def store(box: mail.Mailbox) -> Drafted:
        folder = _drafts(box)
        uid = box.append(folder, letter.content, ("\\Draft", "\\Seen"))
        box.select(folder)
        found = [uid] if uid else box.search(mail.Query(header=("Message-ID", letter.message_id)))
        name = id_of(box.validity, found[0]) if found else None
        return Drafted(folder=folder, id=name, message_id=letter.message_id)

    api.reference(letter.message_id)
    return await api.mail.change("store a draft", store)


@email.read(toolset="drafts")
async def get_draft(api: Api, id: Id) -> Message:
    """Read a draft."""

    def look(box: mail.Mailbox) -> Message:
        folder = _drafts(box)
        return message_of(folder, parts_of(id)[0], fetch_one(box, folder, id), SHOWN_ALONE)

    return await api.mail.read("fetch", look)


@email.write(toolset="drafts", once=ONCE, verify=LOOK)
async def send_draft(api: Api, id: Id) -> Sent:
    """Send a draft as it is now, and remove it from the drafts. It cannot be taken back."""

    def look(box: mail.Mailbox) -> tuple[mail.Letter, str | None]:
        stored = fetch_one(box, _drafts(box), id)
        letter = mail.stored_letter(stored.content, api.mail.address)
        return letter, in_sent(box, letter.message_id)

    letter, sent = await api.mail.read("fetch", look)
    if sent is not None:
        raise errors.AlreadyDoneError(f"this draft was sent already; a copy is in {sent}.")
    done = await deliver(api, letter)

    def remove(box: mail.Mailbox) -> None:
        validity, uid = parts_of(id)
        box.select(_drafts(box), writable=True)
        box.need(uid, validity)
        box.delete(uid, None)

    try:
        await api.mail.change("remove the draft", remove)
    except errors.CallError:
        done.note = "The draft could not be removed; do not send it again."
    return done


email.asks_when(send_draft, preview=get_draft)(always)
