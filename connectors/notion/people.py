"""The people of a workspace and what they say about pages."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field

from clew import Api, CursorPages, From, Page, errors, once

from .pages import bot_id, is_ours
from .provider import Cursor, Id, notion
from .texts import markdown, objects, plain, rich


class User(BaseModel):
    """Somebody in the workspace, or a connection (`bot`)."""

    id: str
    kind: Annotated[str | None, From("type")] = None
    name: str | None = None
    email: Annotated[str | None, From("person.email")] = None


def _text(value: Any) -> str:
    return markdown(value)[:4000]


class Comment(BaseModel):
    """A comment; those of one discussion answer each other."""

    id: str
    discussion_id: str
    created_time: str
    author_id: Annotated[str | None, From("created_by.id")] = None
    author: Annotated[str | None, From("display_name.resolved_name")] = None
    text: Annotated[Any, From("rich_text"), AfterValidator(_text)]


class NewComment(BaseModel):
    """A comment that was just added."""

    id: str
    discussion_id: str | None = None


@notion.read(toolset="people")
async def list_users(api: Api, cursor: Cursor = None) -> Page[User]:
    """List the members of the workspace and its connections. Guests are not among them."""
    return await api.page("/users", into=User, cursor=cursor)


@notion.read(toolset="people")
async def list_comments(
    api: Api,
    page_id: Annotated[Id, Field(description="Page, or a block of it.")],
    cursor: Cursor = None,
) -> Page[Comment]:
    """List the open comments on a page or block, oldest first."""
    pages = CursorPages(items="results", parameter="start_cursor", size=20, size_parameter="page_size")
    return await api.page("/comments", into=Comment, pages=pages, cursor=cursor, query={"block_id": page_id})


async def _find_comment(
    api: Api, page_id: str, text: str, discussion_id: str | None, sent_at: float | None
) -> NewComment | None:
    me, wanted = await bot_id(api), plain(rich(text))
    cursor: str | None = None
    discussions: set[Any] = {None}
    for _ in range(5):
        asked: dict[str, str | int | None] = {"block_id": page_id, "page_size": 100, "start_cursor": cursor}
        found = await api.get("/comments", query=asked, into=dict[str, Any])
        for each in objects(found.get("results")):
            discussions.add(each.get("discussion_id"))
            same = plain(each.get("rich_text")) == wanted and is_ours(each, me, sent_at)
            if same and discussion_id in (None, each.get("discussion_id")):
                return NewComment(id=each["id"], discussion_id=each.get("discussion_id"))
        cursor = found.get("next_cursor")
        if cursor is None:
            break
    if cursor is None and discussion_id in discussions:  # else it is about a block, whose comments are not listed here
        return None
    raise errors.TransientError("not all comments of the page can be seen.")


@notion.write(toolset="people", verify=once.Look(_find_comment, after=3.0))
async def add_comment(
    api: Api,
    page_id: Id,
    text: Annotated[str, Field(min_length=1, max_length=20_000, description="Markdown of one paragraph.")],
    discussion_id: Annotated[Id | None, Field(description="Answer in this discussion of list_comments.")] = None,
) -> NewComment:
    """Comment on a page. Those who follow it are notified."""
    try:
        said = rich(text)
    except ValueError as error:
        raise errors.InvalidInputError("the comment does not fit.", fields={"text": str(error)}) from None
    where: dict[str, Any] = {"parent": {"type": "page_id", "page_id": page_id}}
    if discussion_id is not None:
        where = {"discussion_id": discussion_id}
    return await api.post("/comments", json={**where, "rich_text": said}, into=NewComment)
