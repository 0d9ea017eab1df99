"""Conversations: channels, private channels and direct messages."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field

from clew import Api, From, Page

from .provider import Cursor, Following, Form, Nonempty, advancing, cut, slack

SIZE = 40
TOPIC = 80
Kind = Literal["public_channel", "private_channel", "mpim", "im"]
Flag = Annotated[bool | None, Nonempty]


def _short(text: str | None) -> str | None:
    return cut(text, TOPIC) if text else None


class ChannelLine(BaseModel):
    """A conversation in a list; a direct message has no name, but the id of the other `user`."""

    id: str
    name: Annotated[str | None, Nonempty] = None
    user: Annotated[str | None, Nonempty] = None
    is_private: Flag = None
    is_archived: Flag = None
    is_member: Flag = None
    num_members: int | None = None
    topic: Annotated[str | None, From("topic.value"), BeforeValidator(_short)] = None


class Listed(BaseModel):
    """One answer of conversations.list."""

    items: Annotated[list[ChannelLine], From("channels")]
    next_cursor: Following = None


@slack.read(toolset="channels")
async def list_channels(
    api: Api,
    kinds: Annotated[
        list[Kind] | None, Field(min_length=1, description="Default: public and private channels.")
    ] = None,
    *,
    archived: Annotated[bool, Field(description="Also those that are archived.")] = False,
    cursor: Cursor = None,
) -> Page[ChannelLine]:
    """List channels and direct messages with their ids. A page may be short or empty while next_cursor is there."""
    asked: Form = {
        "types": ",".join(kinds or ("public_channel", "private_channel")),
        "exclude_archived": not archived,
        "limit": SIZE,
        "cursor": cursor,
    }
    found = await api.post("/conversations.list", form=asked, into=Listed)
    return Page[ChannelLine](items=found.items, next_cursor=advancing(found.next_cursor, cursor))
