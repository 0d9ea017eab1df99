"""Labels: what is in the inbox, read, starred, filed. And the trash."""

from typing import Annotated

from pydantic import BaseModel, Field

from clew import Api, From, errors, once

from .provider import MESSAGE, MODIFY, READ, MessageId, each, gmail
from .reading import get_message

LABELS = "/gmail/v1/users/me/labels"
ELSEWHERE = {
    "TRASH": "trash_message moves messages to the trash.",
    "SPAM": "Ask the person to report spam in Gmail itself.",
}


class Label(BaseModel):
    """A label. System labels are INBOX, UNREAD, STARRED and so on."""

    id: str
    name: str
    kind: Annotated[str | None, From("type"), Field(description="system or user.")] = None


class Labels(BaseModel):
    """One answer of labels."""

    labels: list[Label] = []


class Labelled(BaseModel):
    """How many messages have other labels now, and which."""

    changed: int
    added: list[str] | None = None
    removed: list[str] | None = None


class State(BaseModel):
    """The labels of a message."""

    id: str
    thread_id: Annotated[str, From("threadId")]
    labels: Annotated[list[str], From("labelIds")] = []


@gmail.read(toolset="labels", scopes=[READ])
async def list_labels(api: Api) -> list[Label]:
    """List the mailbox's labels."""
    return (await api.get(LABELS, query={"fields": "labels(id,name,type)"}, into=Labels)).labels


def _ids(known: list[Label], wanted: list[str], field: str) -> list[str]:
    """Ids of labels that are given by id or by name. Raises `InvalidInputError` for one that is not there."""
    names = {label.name.casefold(): label.id for label in known} | {label.id: label.id for label in known}
    found: list[str] = []
    for name in wanted:
        identity = names.get(name) or names.get(name.casefold()) or names.get(name.upper())
        if identity is None:
            raise errors.InvalidInputError(
                f"{field} names {name!r:.60}, and there is no such label.",
                fields={field: "is no label"},
                next_step="list_labels shows them. A new label is made by the person in Gmail.",
            )
        found.append(identity)
    return list(dict.fromkeys(found))


Names = Annotated[list[str] | None, Field(max_length=20, description="Names or ids of list_labels.")]


@gmail.write(toolset="labels", scopes=[MODIFY], once=once.NaturalKey())
async def label_messages(
    api: Api,
    message_ids: Annotated[list[MessageId], Field(min_length=1, max_length=50)],
    *,
    add: Names = None,
    remove: Names = None,
) -> Labelled:
    """Add and remove labels. Archive: remove INBOX. Mark as read: remove UNREAD. Star: add STARRED. All or none."""
    known = await list_labels(api)
    added, removed = _ids(known, add or [], "add"), _ids(known, remove or [], "remove")
    for name, step in ELSEWHERE.items():
        if name in added:
            raise errors.InvalidInputError(f"{name} is not added as a label.", fields={"add": name}, next_step=step)
    if not (added or removed):
        raise errors.InvalidInputError("there is nothing to change.", next_step="Give labels to add or to remove.")
    if both := sorted(set(added) & set(removed)):
        raise errors.InvalidInputError(f"{both[0]} is both added and removed.", fields={"remove": "is also added"})
    wanted = list(dict.fromkeys(message_ids))
    # Gmail's change of several takes ids that do not exist without a word.
    states = await each(wanted, lambda name: _state(api, name))
    missing = [name for name, state in zip(wanted, states, strict=True) if state is None]
    if missing:
        raise errors.NotFoundError(
            f"{len(missing)} of {len(wanted)} messages do not exist (any more); nothing was changed.",
            fields=dict.fromkeys(missing[:10], "does not exist"),
            next_step="Leave them out, or find the messages again with search_messages.",
        )
    body = {"ids": wanted, "addLabelIds": added, "removeLabelIds": removed}
    await api.post("/gmail/v1/users/me/messages/batchModify", json=body)
    return Labelled(changed=len(wanted), added=added or None, removed=removed or None)


async def _state(api: Api, message_id: str) -> State | None:
    try:
        query = {"format": "minimal", "fields": "id,threadId,labelIds"}
        return await api.get(MESSAGE, message_id, query=query, into=State)
    except errors.NotFoundError:
        return None


@gmail.destructive(preview=get_message, toolset="labels", scopes=[MODIFY], once=once.NaturalKey())
async def trash_message(api: Api, message_id: MessageId) -> State:
    """Move a message to the trash. Gmail deletes it for good after 30 days."""
    query = {"fields": "id,threadId,labelIds"}
    return await api.post("/gmail/v1/users/me/messages/{}/trash", message_id, query=query, into=State)
