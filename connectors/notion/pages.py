"""Reading pages as Markdown, making and changing them.

Notion has no idempotency key and no ETag. Every write here is one request, so that it happened whole or not at all.
What was made is found again by its words, its author (this connection) and its time, which Notion tells by the minute.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field

from clew import Api, CursorPages, From, errors, once

from . import composing
from . import properties as values
from .databases import InTrash, Next, Parent, Properties, schema_of
from .properties import Value, title_of
from .provider import Cursor, Id, notion
from .rendering import HOLDERS, Node, blocks_of, render
from .texts import Object, object_of, plain

BLOCKS, INSIDE, DEEPEST = 50, 15, 6
"""Blocks of one answer, further requests for what is inside them, and how deep they may go."""
MINUTES = 120.0
"""Seconds by which the time of something just made may differ from ours."""
LOOKED = 10
"""Requests of 100 blocks each in which something just made is looked for."""

Text = Annotated[str, Field(max_length=60_000, description="Markdown.")]
Title = Annotated[str | None, From("properties"), BeforeValidator(title_of)]


class PageText(BaseModel):
    """A page: its properties (those with a value) and its text. Further parts of it have the text only."""

    id: str
    title: str | None = None
    parent: str | None = None
    last_edited_time: Annotated[str | None, Field(description="To the minute.")] = None
    in_trash: bool | None = None
    url: str | None = None
    properties: dict[str, Any] | None = None
    markdown: str
    next_cursor: Next = None


class PageFacts(BaseModel):
    """What is known of a page but its text."""

    id: str
    title: Title = None
    parent: Parent = None
    last_edited_time: str | None = None
    in_trash: InTrash = None
    url: str | None = None
    properties: Properties


class SavedPage(BaseModel):
    """A page after a change."""

    id: str
    title: Title = None
    last_edited_time: str | None = None
    url: str | None = None


class Appended(BaseModel):
    """Blocks that were just added."""

    blocks: int
    first_block_id: str
    last_block_id: str


class Archiving(BaseModel):
    """What would go into the trash: everything below the page goes with it."""

    title: str | None = None
    parent: str | None = None
    last_edited_time: str | None = None
    url: str | None = None
    properties: dict[str, Any]
    begins_with: Annotated[str | None, Field(description="The first words of the page.")] = None
    pages_inside: Annotated[list[str] | None, Field(description="Pages and databases that go with it.")] = None


class _Listed(BaseModel):
    results: list[dict[str, Any]]
    next_cursor: str | None = None


@notion.read(toolset="content")
async def get_page(
    api: Api,
    page_id: Id,
    block_id: Annotated[Id | None, Field(description="Only what is inside this block of the page.")] = None,
    cursor: Cursor = None,
) -> PageText:
    """Read a page: properties and text as Markdown, a long one in parts."""
    facts = None
    if block_id is None and cursor is None:
        facts = await api.get("/pages/{}", page_id, into=PageFacts)
    pages = CursorPages(items="results", parameter="start_cursor", size=BLOCKS, size_parameter="page_size")
    place = block_id or page_id
    found = await api.page("/blocks/{}/children", place, into=dict[str, Any], pages=pages, cursor=cursor)
    nodes = blocks_of(found.items)
    await _fill(api, nodes)
    text = PageText(id=place, markdown=render(nodes), next_cursor=found.next_cursor)
    return text if facts is None else text.model_copy(update=facts.model_dump())


async def _fill(api: Api, nodes: Sequence[Node]) -> None:
    """Fetch what is inside blocks, level by level, as far as one call may go. The others know that they are cut."""
    left = INSIDE
    level: list[Node] = list(nodes)
    for depth in range(DEEPEST + 1):
        holding = [node for node in level if node.block.get("has_children") is True and node.kind not in HOLDERS]
        level = []
        for node in holding:
            if left <= 0 or depth == DEEPEST:
                node.cut = True
                continue
            left -= 1
            more = await _children(api, str(node.block.get("id")))
            node.inside, node.cut = blocks_of(more.results), more.next_cursor is not None
            level += node.inside


async def _children(api: Api, block_id: str, cursor: str | None = None) -> _Listed:
    query = {"page_size": 100, "start_cursor": cursor}
    return await api.get("/blocks/{}/children", block_id, query=query, into=_Listed)


async def _find_made(
    api: Api, parent_page_id: str | None, data_source_id: str | None, title: str, sent_at: float | None
) -> SavedPage | None:
    me = await bot_id(api)
    if data_source_id is not None:
        found = await _rows_titled(api, data_source_id, title, sent_at)
    else:
        listed = [each async for each in _all_children(api, str(parent_page_id))]
        found = [each for each in listed if _child_title(each) == title]
    mine = [each for each in found if is_ours(each, me, sent_at)]
    if len(mine) > 1:
        raise errors.TransientError("several pages with this title were made at that time.")
    return await api.get("/pages/{}", str(mine[0]["id"]), into=SavedPage) if mine else None


def _child_title(block: Object) -> Any:
    return object_of(block.get("child_page")).get("title")


async def _rows_titled(api: Api, data_source_id: str, title: str, sent_at: float | None) -> list[dict[str, Any]]:
    since = datetime.fromtimestamp(max((sent_at or 0.0) - MINUTES, 0.0), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    by_title = {"property": "title", "title": {"equals": title}}
    by_time = {"timestamp": "created_time", "created_time": {"on_or_after": since}}
    body = {"page_size": 10, "filter": {"and": [by_title, by_time]}}
    return (await api.post("/data_sources/{}/query", data_source_id, json=body, into=_Listed)).results


async def _all_children(api: Api, block_id: str) -> AsyncIterator[dict[str, Any]]:
    cursor = None
    for _ in range(LOOKED):
        listed = await _children(api, block_id, cursor)
        for each in listed.results:
            yield each
        cursor = listed.next_cursor
        if cursor is None:
            return
    raise errors.TransientError("the page holds more than one look can read.")


async def bot_id(api: Api) -> str:
    """The user that this connection is."""
    return str(await api.get("/users/me", at="id"))


def is_ours(made: Object, me: str, sent_at: float | None) -> bool:
    """Did this connection make it, at about the time of the request whose answer was lost?"""
    author = object_of(made.get("created_by")).get("id")
    try:
        at = datetime.fromisoformat(str(made.get("created_time"))).timestamp()
    except ValueError:
        return False
    return author == me and at >= (sent_at or 0.0) - MINUTES


@notion.write(toolset="writing", verify=once.Look(_find_made, after=5.0, every=4.0))
async def create_page(
    api: Api,
    title: Annotated[str, Field(min_length=1, max_length=1000)],
    *,
    parent_page_id: Id | None = None,
    data_source_id: Annotated[Id | None, Field(description="Instead of a parent page: makes a row.")] = None,
    markdown: Text = "",
    properties: Annotated[
        dict[str, Value] | None, Field(description='Of a row, by name: {"Status":"Done","Due":"2026-12-01"}.')
    ] = None,
) -> SavedPage:
    """Create a page under a page, or as a row of a data source."""
    if (parent_page_id is None) == (data_source_id is None):
        raise errors.InvalidInputError(
            "give either parent_page_id or data_source_id.", next_step="search finds both kinds; take the id of one."
        )
    if properties and data_source_id is None:
        raise errors.InvalidInputError("only a row of a data source has properties; a page has a title.")
    children = _composed(markdown)
    made: dict[str, Any] = {"title": {"title": rich_title(title)}}
    parent = {"type": "page_id", "page_id": parent_page_id}
    if data_source_id is not None:
        parent = {"type": "data_source_id", "data_source_id": data_source_id}
        if properties:
            schema = await schema_of(api, data_source_id)
            made |= values.compose(properties, {name: each for name, each in schema.items() if not _is_title(each)})
    body: dict[str, Any] = {"parent": parent, "properties": made}
    return await api.post("/pages", json={**body, "children": children} if children else body, into=SavedPage)


def _is_title(schema: Any) -> bool:
    return object_of(schema).get("type") == "title"


def rich_title(title: str) -> list[dict[str, Any]]:
    """A title as it is: nobody means Markdown there."""
    return [{"type": "text", "text": {"content": title}}]


def _composed(markdown: str) -> list[composing.Block]:
    try:
        return composing.compose(markdown)
    except ValueError as error:
        raise errors.InvalidInputError(
            "the text does not fit into one call.",
            fields={"markdown": str(error)},
            next_step="Give its first part now and the others with append_to_page.",
        ) from None


def _shape(block: Object) -> tuple[str, str]:
    kind = str(block.get("type"))
    return kind, plain(object_of(block.get(kind)).get("rich_text"))


async def _find_appended(api: Api, page_id: str, markdown: str, sent_at: float | None) -> Appended | None:
    """A run of blocks that this connection made at that time, with just these words."""
    wanted = [_shape(each) for each in _composed(markdown)]
    me = await bot_id(api)
    there = [each async for each in _all_children(api, page_id)]
    for begin in range(len(there) - len(wanted), -1, -1):
        run = there[begin : begin + len(wanted)]
        if [_shape(each) for each in run] == wanted and all(is_ours(each, me, sent_at) for each in run):
            return _appended(run)
    return None


def _appended(run: Sequence[Object]) -> Appended:
    return Appended(blocks=len(run), first_block_id=str(run[0]["id"]), last_block_id=str(run[-1]["id"]))


class _New(BaseModel):
    """Blocks of an answer."""

    ids: Annotated[list[str], From("results[*].id"), Field(min_length=1)]


@notion.write(toolset="writing", verify=once.Look(_find_appended, after=3.0))
async def append_to_page(
    api: Api,
    page_id: Annotated[Id, Field(description="Page, or a block that others can be inside.")],
    markdown: Annotated[Text, Field(min_length=1)],
    after_block_id: Annotated[Id | None, Field(description="Not at the end, but after this block.")] = None,
) -> Appended:
    """Add text to a page."""
    children = _composed(markdown)
    if not children:
        raise errors.InvalidInputError("there is nothing to add.", fields={"markdown": "is empty"})
    body: dict[str, Any] = {"children": children}
    if after_block_id is not None:
        body["after"] = after_block_id
    new = await api.patch("/blocks/{}/children", page_id, json=body, into=_New)
    ids = new.ids[: len(children)]  # after another block the answer may list what follows, too (memory)
    return Appended(blocks=len(ids), first_block_id=ids[0], last_block_id=ids[-1])


@notion.write(toolset="writing", once=once.NaturalKey())
async def update_page_properties(
    api: Api,
    page_id: Id,
    properties: Annotated[
        dict[str, Value],
        Field(min_length=1, description='By name: {"Status":"Done"}; null empties, a list replaces.'),
    ],
    unless_edited_since: Annotated[
        str | None, Field(description="last_edited_time of the page as it was read: refuse if it was edited since.")
    ] = None,
) -> SavedPage:
    """Change properties of a page, its title among them. What is not named stays."""
    page: dict[str, Any] = await api.get("/pages/{}", page_id, into=dict[str, Any])
    if page.get("in_trash") is True:
        raise errors.ConflictError("the page is in the trash.", next_step="Take it out with restore_page, or leave it.")
    if unless_edited_since is not None and page.get("last_edited_time") != unless_edited_since:
        raise errors.ConflictError(
            "the page was edited since it was read.", next_step="Read it again with get_page, then decide."
        )
    made = values.compose(properties, await _types(api, page))
    return await api.patch("/pages/{}", page_id, json={"properties": made}, into=SavedPage)


async def _types(api: Api, page: Object) -> Mapping[str, Any]:
    """What the properties of a page can hold: of a row with the choices, of any other page its title only."""
    source = object_of(page.get("parent")).get("data_source_id")
    return await schema_of(api, source) if isinstance(source, str) else object_of(page.get("properties"))


@notion.read(toolset="writing")
async def preview_archive(api: Api, page_id: Id) -> Archiving:
    """Show what archive_page would put into the trash; changes nothing."""
    facts = await api.get("/pages/{}", page_id, into=PageFacts)
    if facts.in_trash:
        raise errors.AlreadyDoneError("the page is in the trash already.")
    nodes = blocks_of((await _children(api, page_id)).results)
    inside = [str(node.body.get("title")) for node in nodes if node.kind in HOLDERS]
    words = render([node for node in nodes[:10] if node.kind not in HOLDERS])
    return Archiving(
        title=facts.title,
        parent=facts.parent,
        last_edited_time=facts.last_edited_time,
        url=facts.url,
        properties=facts.properties,
        begins_with=words[:500] or None,
        pages_inside=inside or None,
    )


@notion.destructive(preview=preview_archive, toolset="writing", once=once.NaturalKey())
async def archive_page(api: Api, page_id: Id) -> SavedPage:
    """Put a page into the trash, with all that is inside. Notion deletes it there after 30 days."""
    return await api.patch("/pages/{}", page_id, json={"in_trash": True}, into=SavedPage)


@notion.write(toolset="writing", once=once.NaturalKey())
async def restore_page(api: Api, page_id: Id) -> SavedPage:
    """Take a page out of the trash."""
    return await api.patch("/pages/{}", page_id, json={"in_trash": False}, into=SavedPage)
