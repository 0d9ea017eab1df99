"""Messages of a channel and of a thread: reading, searching, writing.

A message is named by its channel and its `ts`, which looks like a number and must stay the text it is.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from clew import Api, From, Page, errors, once

from .blocks import markdown_of
from .provider import TS, Channel, Cursor, Following, Form, Nonempty, Ts, advancing, cut, iso_of, objects_of, slack

SIZE = 15
"""Messages on a page: as many as Slack allows apps outside its Marketplace."""
SHOWN_IN_LIST, SHOWN_ALONE, SHOWN_IN_SEARCH = 500, 6000, 250
"""Characters of a text: a page must stay below 10 kB."""
SEARCH_SIZE = 20
LAST_SEARCH_PAGE = 100

Text = Annotated[
    str,
    Field(
        min_length=1,
        max_length=40_000,  # Slack cuts off what is longer and calls it a success
        description="Slack mrkdwn: *bold*, _italic_, `code`, <https://…|label>, <@U…> for a person, <#C…>.",
    ),
]
Moment = Annotated[str | None, Field(description="ISO time or ts.")]


class Raw(BaseModel):
    """A message as Slack sends it."""

    ts: Ts
    user: str | None = None
    bot: Annotated[str | None, From("bot_id")] = None
    name: Annotated[str | None, From("username", "bot_profile.name", "user_profile.real_name"), Nonempty] = None
    subtype: str | None = None
    text: str | None = None
    thread_ts: str | None = None
    reply_count: Annotated[int | None, Nonempty] = None
    edited: Annotated[str | None, From("edited.ts")] = None
    blocks: Any = None
    attachments: Any = None
    files: Any = None
    reactions: Any = None


class Message(BaseModel):
    """A message. `thread_ts` is there in a thread, outside read_thread: equal to `ts` in the one that started it."""

    ts: Annotated[str, Field(description="The message's id in its channel.")]
    time: str
    user: str | None = None
    name: Annotated[str | None, Field(description="As Slack sent it along, mostly for bots.")] = None
    subtype: str | None = None
    text: str
    text_length: Annotated[int | None, Field(description="Characters of the whole text. Present only when cut.")] = None
    thread_ts: str | None = None
    reply_count: int | None = None
    edited: Annotated[str | None, Field(description="When it was last edited.")] = None
    reactions: Annotated[list[str] | None, Field(description="Emoji and how many: thumbsup 3.")] = None
    files: Annotated[list[str] | None, Field(description="Id and name of each file.")] = None


class Listed(BaseModel):
    """One answer of conversations.history or conversations.replies."""

    messages: list[Raw]
    next_cursor: Following = None


class RawHit(Raw):
    """A message as Slack's search sends it."""

    channel: Annotated[str, From("channel.id")]
    channel_name: Annotated[str | None, From("channel.name")] = None
    permalink: str | None = None


class Found(BaseModel):
    """One answer of search.messages."""

    matches: Annotated[list[RawHit], From("messages.matches")]
    total: Annotated[int, From("messages.total", "messages.paging.total")]
    pages: Annotated[int, From("messages.paging.pages", "messages.pagination.page_count")] = 1


class Hit(BaseModel):
    """A message that matches; get_message reads all of a long one."""

    channel: str
    channel_name: str | None = None
    ts: str
    time: str
    user: str | None = None
    name: str | None = None
    text: str
    permalink: str | None = None


class Hits(BaseModel):
    """One page of a search."""

    total_count: int
    items: list[Hit]
    next_cursor: str | None = Field(default=None, description="Pass it as `cursor` to get the next page.")


class Posted(BaseModel):
    """Where a message now stands: what reply, update_message and delete_message want."""

    channel: str
    ts: str
    thread_ts: Annotated[str | None, From("message.thread_ts")] = None


def text_of(raw: Raw) -> str:
    """What a person would read: the blocks, else the text; then what is attached."""
    parts = [markdown_of(raw.blocks) or raw.text or "", *map(_attached, objects_of(raw.attachments))]
    return "\n\n".join(filter(None, parts))


def _attached(attachment: Mapping[str, Any]) -> str:
    words = (attachment.get(name) for name in ("text", "fallback", "title"))
    return markdown_of(attachment.get("blocks")) or next((each for each in words if each and isinstance(each, str)), "")


def message_of(raw: Raw, limit: int) -> Message:
    """A message with its text as Markdown, at most `limit` characters of it."""
    text = text_of(raw)
    reactions = [f"{each.get('name')} {each.get('count')}" for each in objects_of(raw.reactions)]
    shared = [(each.get("id"), each.get("name") or each.get("title") or "") for each in objects_of(raw.files)]
    files = [f"{known} {name}".rstrip() for known, name in shared]
    return Message(
        ts=raw.ts,
        time=iso_of(raw.ts),
        user=raw.user or raw.bot,
        name=raw.name,
        subtype=raw.subtype,
        text=cut(text, limit),
        text_length=len(text) if len(text) > limit else None,
        thread_ts=raw.thread_ts,
        reply_count=raw.reply_count,
        edited=iso_of(raw.edited) if raw.edited and re.fullmatch(TS, raw.edited) else None,
        reactions=reactions[:20] or None,
        files=files[:20] or None,
    )


@slack.read(toolset="messages")
async def search_messages(
    api: Api,
    query: Annotated[str, Field(min_length=1, description='"deploy in:#ops from:@ada after:2026-01-31 has:link".')],
    sort: Literal["score", "timestamp"] = "score",
    cursor: Cursor = None,
) -> Hits:
    """Search messages in all channels the person can see. Needs a user token (xoxp-…); bots cannot search."""
    number = _page_number(cursor)
    asked: Form = {"query": query, "sort": sort, "count": SEARCH_SIZE, "page": number}
    found = await api.post("/search.messages", form=asked, into=Found)
    more = number < min(found.pages, LAST_SEARCH_PAGE) and bool(found.matches)
    return Hits(
        total_count=found.total, items=list(map(_hit, found.matches)), next_cursor=str(number + 1) if more else None
    )


def _hit(raw: RawHit) -> Hit:
    return Hit(
        channel=raw.channel,
        channel_name=raw.channel_name,
        ts=raw.ts,
        time=iso_of(raw.ts),
        user=raw.user or raw.bot,
        name=raw.name,
        text=cut(text_of(raw), SHOWN_IN_SEARCH),
        permalink=raw.permalink,
    )


def _page_number(cursor: str | None) -> int:
    if cursor is None:
        return 1
    if re.fullmatch(r"[0-9]{1,3}", cursor) and 2 <= int(cursor) <= LAST_SEARCH_PAGE:
        return int(cursor)
    raise errors.InvalidInputError(
        "the cursor is not one that this tool returned.",
        next_step="Pass next_cursor of the previous page unchanged, or no cursor for the first page.",
    )


@slack.read(toolset="messages")
async def read_channel(
    api: Api, channel: Channel, *, after: Moment = None, before: Moment = None, cursor: Cursor = None
) -> Page[Message]:
    """Read a channel's messages, newest first, without the replies in threads; read_thread has those."""
    asked: Form = {
        "channel": channel,
        "oldest": _moment("after", after),
        "latest": _moment("before", before),
        "limit": SIZE,
        "cursor": cursor,
    }
    found = await api.post("/conversations.history", form=asked, into=Listed)
    return _page(found, cursor)


@slack.read(toolset="messages")
async def read_thread(api: Api, channel: Channel, thread_ts: Ts, cursor: Cursor = None) -> Page[Message]:
    """Read a thread, oldest first: the message that started it, then the replies."""
    asked: Form = {"channel": channel, "ts": thread_ts, "limit": SIZE, "cursor": cursor}
    found = await api.post("/conversations.replies", form=asked, into=Listed)
    page = _page(found, cursor)
    # The one that was asked for, in every message.
    return page.model_copy(update={"items": [each.model_copy(update={"thread_ts": None}) for each in page.items]})


def _page(found: Listed, cursor: str | None) -> Page[Message]:
    items = [message_of(raw, SHOWN_IN_LIST) for raw in found.messages]
    return Page[Message](items=items, next_cursor=advancing(found.next_cursor, cursor))


def _moment(name: str, text: str | None) -> str | None:
    """Slack's form of a moment. A time without a zone is UTC."""
    if text is None or re.fullmatch(r"\d{1,12}(\.\d{1,9})?", text):
        return text
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise errors.InvalidInputError(f"{name} is neither an ISO time nor a ts: 2026-01-31T09:00:00Z.") from None
    return f"{(moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp():.6f}"


@slack.read(toolset="messages")
async def get_message(api: Api, channel: Channel, ts: Ts) -> Message:
    """Read one message whole, also one in a thread."""
    asked: Form = {"channel": channel, "ts": ts, "oldest": ts, "latest": ts, "inclusive": True, "limit": SIZE}
    found = await api.post("/conversations.replies", form=asked, into=Listed)
    for raw in found.messages:  # asked for a reply, Slack may send the thread's first message along
        if raw.ts == ts:
            return message_of(raw, SHOWN_ALONE)
    raise errors.NotFoundError(
        "there is no message with this ts in the channel.",
        next_step="Take channel and ts together from one message of read_channel, read_thread or search_messages.",
    )


MARK = once.Marker(field="metadata", text='{"event_type":"clew_write","event_payload":{"id":"{marker}"}}')
"""Slack has no idempotency key. Metadata is not shown to people. https://docs.slack.dev/messaging/message-metadata"""


async def _posted(api: Api, channel: str, marker: str, sent_at: float | None) -> Posted | None:
    """A direct message is sent to a person's id, whose history has another id: that cannot be looked at."""
    if not channel.startswith(("C", "G", "D")):
        raise errors.InvalidInputError("the history of a direct message needs its own channel id.")
    return await _marked(api, "/conversations.history", marker, sent_at, {"channel": channel})


async def _replied(api: Api, channel: str, thread_ts: str, marker: str, sent_at: float | None) -> Posted | None:
    return await _marked(api, "/conversations.replies", marker, sent_at, {"channel": channel, "ts": thread_ts})


async def _marked(api: Api, path: str, marker: str, sent_at: float | None, where: Form) -> Posted | None:
    since = f"{(sent_at or 0.0) - 300:.6f}"
    asked: Form = {**where, "oldest": since, "include_all_metadata": True, "limit": SIZE}
    found = await api.post(path, form=asked)
    for message in objects_of(found.get("messages")):
        metadata: Any = message.get("metadata") or {}
        payload: Any = metadata.get("event_payload") or {}
        if payload.get("id") == marker:
            return Posted(channel=str(where["channel"]), ts=message["ts"], thread_ts=message.get("thread_ts"))
    if found.get("has_more"):
        raise errors.TransientError("more was written meanwhile than one look can read.")
    return None


@slack.write(toolset="messages", once=MARK, verify=once.Look(_posted, after=3.0, tries=2, every=3.0))
async def post_message(
    api: Api,
    channel: Annotated[str, Field(min_length=1, max_length=100, description="Channel id, or user id for a DM.")],
    text: Text,
) -> Posted:
    """Post a message to a channel or person. Everyone there can see it."""
    return await api.post("/chat.postMessage", form={"channel": channel, "text": text}, into=Posted)


@slack.write(toolset="messages", once=MARK, verify=once.Look(_replied, after=3.0, tries=2, every=3.0))
async def reply(
    api: Api,
    channel: Channel,
    thread_ts: Annotated[Ts, Field(description="ts of the message that started the thread, or of any other to start.")],
    text: Text,
    *,
    broadcast: Annotated[bool, Field(description="Show the reply in the channel too.")] = False,
) -> Posted:
    """Reply in a message's thread."""
    asked: Form = {"channel": channel, "thread_ts": thread_ts, "text": text, "reply_broadcast": broadcast or None}
    return await api.post("/chat.postMessage", form=asked, into=Posted)


@slack.write(toolset="messages", once=once.NaturalKey())
async def update_message(api: Api, channel: Channel, ts: Ts, text: Text) -> Posted:
    """Replace the text of a message that this account wrote; its blocks and attachments are removed."""
    return await api.post("/chat.update", form={"channel": channel, "ts": ts, "text": text}, into=Posted)


@slack.write(toolset="messages", once=once.NaturalKey())
async def add_reaction(
    api: Api,
    channel: Channel,
    ts: Ts,
    emoji: Annotated[str, Field(pattern=r"^:?[^:\s]+(::skin-tone-[2-6])?:?$", max_length=100, description="thumbsup")],
) -> None:
    """React to a message with an emoji."""
    asked: Form = {"channel": channel, "timestamp": ts, "name": emoji.strip(":")}
    await api.post("/reactions.add", form=asked)


@slack.destructive(preview=get_message, toolset="messages", once=once.NaturalKey(done=("already_done", "not_found")))
async def delete_message(api: Api, channel: Channel, ts: Ts) -> None:
    """Delete a message for everyone. It cannot be restored."""
    await api.post("/chat.delete", form={"channel": channel, "ts": ts})
