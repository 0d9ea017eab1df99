"""Files: an upload in three steps, of which only the last one shows anything to anybody.

https://docs.slack.dev/messaging/working-with-files#uploading_files
"""

import base64
import json
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from clew import Api, From, errors, once

from .messages import SIZE
from .provider import Channel, Form, Ts, objects_of, slack

HOSTS = ("slack.com", "slack-gov.com")
"""Where Slack takes uploads: files.slack.com, and its twin for governments."""


class Ticket(BaseModel):
    """An address that takes one upload, and the id the file will have."""

    upload_url: str
    file_id: str


class UploadedFile(BaseModel):
    """A file that was shared."""

    id: Annotated[str, From("files[0].id")]
    title: Annotated[str | None, From("files[0].title")] = None
    permalink: Annotated[str | None, From("files[0].permalink")] = None


async def _shared(
    api: Api, channel: str, reference: str, sent_at: float | None, thread_ts: str | None = None
) -> UploadedFile | None:
    """The message that shows the file says that it was shared; until then nobody sees it."""
    asked: Form = {"channel": channel, "oldest": f"{(sent_at or 0.0) - 300:.6f}", "limit": SIZE}
    path = "/conversations.history" if thread_ts is None else "/conversations.replies"
    found = await api.post(path, form=asked if thread_ts is None else {**asked, "ts": thread_ts})
    for message in objects_of(found.get("messages")):
        for file in objects_of(message.get("files")):
            if file.get("id") == reference:
                return UploadedFile(id=reference, title=file.get("title"), permalink=file.get("permalink"))
    if found.get("has_more"):
        raise errors.TransientError("more was written meanwhile than one look can read.")
    return None


@slack.write(toolset="files", once=once.Draft(), verify=once.Look(_shared, after=3.0, tries=2, every=3.0))
async def upload_file(
    api: Api,
    channel: Channel,
    filename: Annotated[str, Field(min_length=1, max_length=255)],
    content: Annotated[str, Field(min_length=1, max_length=1_500_000)],
    *,
    encoding: Annotated[Literal["text", "base64"], Field(description="base64 for files that are no text.")] = "text",
    title: str | None = None,
    comment: Annotated[str | None, Field(description="Message shown with the file, in mrkdwn.")] = None,
    thread_ts: Annotated[Ts | None, Field(description="Share it in this message's thread.")] = None,
) -> UploadedFile:
    """Upload a file and share it in a channel or thread. Everyone there can see it."""
    data = _bytes(content, encoding)
    asked: Form = {"filename": filename, "length": len(data)}
    ticket = await api.post("/files.getUploadURLExternal", form=asked, safe=True, into=Ticket)
    api.reference(ticket.file_id)
    await api.upload(ticket.upload_url, data, hosts=HOSTS)
    share: Form = {
        "files": json.dumps([{"id": ticket.file_id, "title": title or filename}], ensure_ascii=False),
        "channel_id": channel,
        "initial_comment": comment,
        "thread_ts": thread_ts,
    }
    return await api.post("/files.completeUploadExternal", form=share, into=UploadedFile)


def _bytes(content: str, encoding: str) -> bytes:
    try:
        data = base64.b64decode("".join(content.split()), validate=True) if encoding == "base64" else content.encode()
    except ValueError:
        raise errors.InvalidInputError("content is not valid for its encoding.") from None
    if not data:
        raise errors.InvalidInputError("the file is empty; Slack takes none of 0 bytes.")
    return data
