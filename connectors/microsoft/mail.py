"""Searching and reading mail, following a folder, and keeping order: read, flagged, filed."""

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import BaseModel, Field

from clew import Api, From, errors, once
from clew.connectors.times import Moment, read_moment, wrong

from .lists import PAGES, following, moved_on, quoted, token_of
from .messages import (
    AS_TEXT,
    ATTACHED,
    FOLDER,
    LINE,
    MESSAGE,
    MESSAGES,
    WHOLE,
    Line,
    Message,
    Raw,
    folder_id,
    message_of,
)
from .provider import BATCH, IMMUTABLE, MAIL_READ, MAIL_WRITE, Changes, Cursor, MessageId, microsoft

SIZE = 15


class MessagePage(BaseModel):
    """One page of messages."""

    items: list[Line]
    next_cursor: Annotated[str | None, Field(description="Pass it as `cursor` to get the next page.")] = None
    next_changes: Annotated[str | None, Field(description="Keep it: as changes it gets what changes from now on.")] = (
        None
    )


class Delta(BaseModel):
    """One answer of a folder's changes."""

    items: Annotated[list[Line], From("value")]
    further: Annotated[str | None, From("['@odata.nextLink']")] = None
    last: Annotated[str | None, From("['@odata.deltaLink']")] = None


@microsoft.read(toolset="mail", scopes=[MAIL_READ])
async def search_messages(
    api: Api,
    query: Annotated[
        str | None,
        Field(
            max_length=500,
            description="As in Outlook: from:ada subject:invoice received>=2026-01-31 hasattachments:true, or words.",
        ),
    ] = None,
    *,
    folder: Annotated[str, Field(max_length=300, description=f"{FOLDER} all: everywhere.")] = "inbox",
    unread: Annotated[bool, Field(description="Only those.")] = False,
    since: Annotated[Moment | None, Field(description="Received since: 2026-03-01T09:00:00+01:00.")] = None,
    conversation_id: Annotated[str | None, Field(max_length=500, description="Only this conversation.")] = None,
    changes: Changes = None,
    cursor: Cursor = None,
) -> MessagePage:
    """Search a folder or the mailbox, newest first. Or follow what changes in one folder with `changes`."""
    begins = _utc(since) if since is not None else None
    if changes is not None:
        for name, given in (("query", query), ("unread", unread), ("conversation_id", conversation_id)):
            if given:
                raise wrong(
                    name, "cannot be combined with changes", "Leave it out; changes come from the whole folder."
                )
        if begins is not None and changes != "new":
            raise wrong("since", "goes with changes=new alone")
        if folder.strip().casefold() == "all":
            raise wrong("folder", "must be one folder: changes are followed folder by folder")
        return await _changed(api, await folder_id(api, folder), changes, begins, cursor)
    asked: dict[str, Any] = {"$select": LINE, "$top": SIZE, **_asked(query, begins, unread, conversation_id)}
    place = () if folder.strip().casefold() == "all" else (await folder_id(api, folder),)
    path = "/me/mailFolders/{}/messages" if place else MESSAGES
    found = await api.page(path, *place, into=Line, cursor=cursor, pages=PAGES, query=asked)
    return MessagePage(items=found.items, next_cursor=found.next_cursor)


def _utc(since: str) -> str:
    return read_moment("since", since).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _asked(query: str | None, since: str | None, unread: bool, conversation: str | None) -> dict[str, str]:
    """A search or a filter: Graph takes one of them, and what it sorts by must stand first in a filter.

    https://learn.microsoft.com/graph/search-query-parameter, https://learn.microsoft.com/graph/api/user-list-messages
    """
    if query:
        for name, given, instead in (
            ("since", since, "received>=2026-01-31"),
            ("unread", unread, "isread:false"),
            ("conversation_id", conversation, "subject:words"),
        ):
            if given:
                raise wrong(name, "cannot be combined with query", f"Write it into the query: {instead}.")
        escaped = query.replace("\\", "\\\\").replace('"', '\\"')
        return {"$search": f'"{escaped}"'}
    if conversation:
        if since or unread:
            raise wrong("conversation_id", "cannot be combined with since or unread")
        return {"$filter": f"conversationId eq {quoted(conversation)}"}
    wanted = [f"receivedDateTime ge {since or '1900-01-01T00:00:00Z'}"] if since or unread else []
    wanted += ["isRead eq false"] if unread else []
    return {"$orderby": "receivedDateTime desc", **({"$filter": " and ".join(wanted)} if wanted else {})}


async def _changed(api: Api, folder: str, changes: str, since: str | None, cursor: str | None) -> MessagePage:
    first = {"$select": LINE} | ({"$filter": f"receivedDateTime ge {since}"} if since else {})
    found = await api.get(
        "/me/mailFolders/{}/messages/delta",
        folder,
        query=following(changes, cursor, first),
        headers={"Prefer": f"{IMMUTABLE}, odata.maxpagesize={SIZE * 2}"},
        into=Delta,
    )
    further = moved_on(token_of(found.further, "$skiptoken"), cursor)
    # What lies between would be lost: the token counts when the last page was read.
    last = None if further else token_of(found.last, "$deltatoken")
    return MessagePage(items=found.items, next_cursor=further, next_changes=last)


@microsoft.read(toolset="mail", scopes=[MAIL_READ])
async def get_message(api: Api, message_id: MessageId) -> Message:
    """Read one message or draft. It stays unread."""
    query = {"$select": WHOLE, "$expand": ATTACHED}
    return message_of(await api.get(MESSAGE, message_id, query=query, headers=AS_TEXT, into=Raw))


class Refused(BaseModel):
    """A message of which something could not be changed, and why."""

    id: str
    code: str


class Updated(BaseModel):
    """What became of the messages."""

    changed: list[str]
    failed: list[Refused] | None = None


_CODES: Mapping[int, str] = {
    400: "invalid_input", 403: "permission", 404: "not_found", 409: "conflict", 412: "conflict", 423: "conflict",
    429: "rate_limited",
}  # fmt: skip


class Answered(BaseModel):
    """How one part of a batch ended."""

    id: str
    status: int


@microsoft.write(toolset="mail", scopes=[MAIL_WRITE], once=once.NaturalKey())
async def update_messages(
    api: Api,
    message_ids: Annotated[list[MessageId], Field(min_length=1, max_length=20)],
    *,
    read: Annotated[bool | None, Field(description="true: mark as read.")] = None,
    flagged: Annotated[bool | None, Field(description="For follow-up.")] = None,
    categories: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=255)]] | None,
        Field(max_length=25, description="Replaces them all."),
    ] = None,
    move_to: Annotated[str | None, Field(max_length=300, description=FOLDER)] = None,
) -> Updated:
    """Mark, flag, categorize or move messages, each by itself: what could not be changed is named."""
    body: dict[str, Any] = {} if read is None else {"isRead": read}
    body |= {} if flagged is None else {"flag": {"flagStatus": "flagged" if flagged else "notFlagged"}}
    body |= {} if categories is None else {"categories": list(dict.fromkeys(categories))}
    folder = await folder_id(api, move_to, "move_to") if move_to is not None else None
    if folder == "deleteditems":
        raise wrong("move_to", "may not delete", "Ask the person to delete messages in Outlook, or move to archive.")
    if not body and folder is None:
        raise errors.InvalidInputError("there is nothing to change.", next_step="Give at least one thing to change.")
    wanted = list(dict.fromkeys(message_ids))
    ends = await _batch(api, wanted, "PATCH", "", body) if body else {}
    marked = [each for each in wanted if not ends.get(each)]
    if folder is not None:
        ends |= await _moved(api, marked, folder, marked=bool(body))
    changed = [each for each in wanted if not ends.get(each)]
    refused = [Refused(id=each, code=code) for each in wanted if (code := ends.get(each))]
    return Updated(changed=changed, failed=refused or None)


async def _moved(api: Api, ids: Sequence[str], folder: str, *, marked: bool) -> dict[str, str]:
    """What became of moving: when all are refused after they were marked, that is told as what could not be done."""
    try:
        return await _batch(api, ids, "POST", "/move", {"DestinationId": folder})
    except errors.CallError as refusal:
        if not marked:
            raise
        return dict.fromkeys(ids, refusal.code.value)


async def _batch(api: Api, ids: Sequence[str], method: str, action: str, body: Mapping[str, Any]) -> dict[str, str]:
    """One change of each message, all in one request: the code of each that was not changed, else nothing.

    When all are refused it is an error like any other; `rules` leaves the rest to us.
    https://learn.microsoft.com/graph/json-batching
    """
    if not ids:
        return {}
    headers = {"Content-Type": "application/json", "Prefer": IMMUTABLE}
    asked: list[dict[str, Any]] = []
    for number, each in enumerate(ids):
        url = MESSAGES + "/" + quote(each, safe="") + action
        asked.append({"id": str(number), "method": method, "url": url, "headers": headers, "body": body})
    rows = await api.post(BATCH, json={"requests": asked}, into=list[Answered], at="responses")
    found = {row.id: row.status for row in rows}
    return {each: _code(found.get(str(number))) for number, each in enumerate(ids)}


def _code(status: int | None) -> str:
    if status is None:
        return "outcome_unknown"
    return "" if status < 300 else _CODES.get(status, "transient" if status >= 500 else "invalid_input")
