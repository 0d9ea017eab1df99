"""Following a mailbox: what has changed since a history id, which Gmail keeps for a week at least, often longer.

https://developers.google.com/workspace/gmail/api/guides/sync
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from clew import Api, From

from .provider import PROFILE, READ, Cursor, gmail

Kind = Literal["added", "deleted", "labels_added", "labels_removed"]
_KINDS: dict[str, Kind] = {
    "messagesAdded": "added",
    "messagesDeleted": "deleted",
    "labelsAdded": "labels_added",
    "labelsRemoved": "labels_removed",
}


class Change(BaseModel):
    """One change of one message. `labels`: those added or removed, else those the message has."""

    kind: Kind
    message_id: str
    thread_id: str
    labels: list[str] | None = None


class Changes(BaseModel):
    """One page of changes, oldest first."""

    items: list[Change]
    next_cursor: Annotated[str | None, Field(description="Pass it as `cursor` to get the next page.")] = None
    next_history_id: Annotated[
        str | None, Field(description="On the last page. Keep it: as history_id it gets what changes from now on.")
    ] = None


class Touched(BaseModel):
    """The message of a change."""

    id: str
    thread_id: Annotated[str, From("threadId")]
    labels: Annotated[list[str], From("labelIds")] = []


class Step(BaseModel):
    """A change as the API gives it."""

    message: Touched
    labels: Annotated[list[str], From("labelIds")] = []


class Entry(BaseModel):
    """One entry of the history; it lists the kinds of change that it holds."""

    messagesAdded: list[Step] = []  # noqa: N815 - the API's names
    messagesDeleted: list[Step] = []  # noqa: N815
    labelsAdded: list[Step] = []  # noqa: N815
    labelsRemoved: list[Step] = []  # noqa: N815


class History(BaseModel):
    """One answer of history."""

    history: list[Entry] = []
    latest: Annotated[str, From("historyId")]
    following: Annotated[str | None, From("nextPageToken")] = None


HistoryId = Annotated[
    str, Field(pattern=r"^(new|[0-9]{1,20})$", description="next_history_id of the last call; new begins here and now.")
]


@gmail.read(toolset="changes", scopes=[READ])
async def list_changes(
    api: Api,
    history_id: HistoryId,
    *,
    label: Annotated[str | None, Field(max_length=100, description="Only of messages with this label id.")] = None,
    cursor: Cursor = None,
) -> Changes:
    """List what changed in the mailbox since a history id: messages that came or went, labels added or removed."""
    if history_id == "new":
        now = await api.get(PROFILE, at="historyId", query={"fields": "historyId"})
        return Changes(items=[], next_history_id=str(now))
    query: dict[str, Any] = {
        "startHistoryId": history_id,
        "labelId": label,
        "maxResults": 50,
        "pageToken": cursor,
        "fields": f"history({','.join(_KINDS)}),historyId,nextPageToken",
    }
    found = await api.get("/gmail/v1/users/me/history", query=query, into=History)
    items = [
        Change(
            kind=kind,
            message_id=step.message.id,
            thread_id=step.message.thread_id,
            labels=step.labels or step.message.labels or None,
        )
        for entry in found.history
        for name, kind in _KINDS.items()
        for step in getattr(entry, name)
    ]
    # The id of the whole answer counts only when its last page was read: what lies between would be lost.
    last = None if found.following else found.latest
    return Changes(items=items, next_cursor=found.following, next_history_id=last)
