"""Finding things, and reading databases: each holds data sources, which have the properties and the rows."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from clew import Api, From, errors

from .properties import flat, title_of
from .provider import Cursor, Id, notion
from .texts import object_of

SIZE = 20


def _only_true(value: Any) -> Any:
    return value or None


def _parent(value: Any) -> Any:
    """`page 1f…`: what a thing lies in."""
    given = object_of(value)
    kind = str(given.get("type"))
    known = given.get(kind)
    return f"{kind.removesuffix('_id')} {known}" if isinstance(known, str) else kind if given else value


def _incomplete(value: Any) -> bool | None:
    return True if value == "incomplete" else None


Title = Annotated[str | None, From("title", "properties"), BeforeValidator(title_of)]
Parent = Annotated[str | None, From("parent"), BeforeValidator(_parent)]
InTrash = Annotated[bool | None, BeforeValidator(_only_true)]
Properties = Annotated[dict[str, Any], From("properties"), BeforeValidator(flat)]
Incomplete = Annotated[
    bool | None,
    From("request_status.type"),
    BeforeValidator(_incomplete),
    Field(description="True: Notion stopped early, more may match. Narrow it down."),
]
Next = Annotated[str | None, Field(description="Pass it as `cursor` to get the next page.")]


class Hit(BaseModel):
    """A page or data source in a list."""

    id: str
    kind: Annotated[str, From("object")]
    title: Title = None
    parent: Parent = None
    last_edited_time: str | None = None
    in_trash: InTrash = None
    url: str | None = None


class Hits(BaseModel):
    """One page of a search."""

    items: Annotated[list[Hit], From("results")]
    incomplete: Incomplete = None
    next_cursor: Next = None


class Row(BaseModel):
    """A page in a data source; properties without a value are left out."""

    id: str
    last_edited_time: str | None = None
    properties: Properties = {}
    url: str | None = None


class Rows(BaseModel):
    """One page of a data source's rows."""

    items: Annotated[list[Row], From("results")]
    incomplete: Incomplete = None
    next_cursor: Next = None


class Source(BaseModel):
    """A data source of a database."""

    id: str
    name: str


class Database(BaseModel):
    """A database."""

    id: str
    title: Title = None
    parent: Parent = None
    data_sources: list[Source]
    in_trash: InTrash = None
    url: str | None = None


class Property(BaseModel):
    """A property that the rows of a data source have."""

    type: str
    choices: Annotated[
        list[str] | None,
        From("select.options[*].name", "multi_select.options[*].name", "status.options[*].name"),
    ] = None


class DataSource(BaseModel):
    """A data source and the properties of its rows."""

    id: str
    title: Annotated[str | None, From("title"), BeforeValidator(title_of)] = None
    parent: Parent = None
    properties: dict[str, Property]
    in_trash: InTrash = None
    url: str | None = None


def advancing(found: str | None, cursor: str | None) -> None:
    """Refuse to go round in circles."""
    if found is not None and found == cursor:
        raise errors.ContractChangedError("Notion's next page is the same page again; stopped.")


@notion.read(toolset="content")
async def search(
    api: Api,
    query: Annotated[str, Field(max_length=200, description="Words of a title; empty lists all, latest edit first.")],
    kind: Literal["page", "data_source"] | None = None,
    cursor: Cursor = None,
) -> Hits:
    """Search pages and data sources that are shared with the connection, by title. Their texts are not searched."""
    body: dict[str, Any] = {"page_size": SIZE, "query": query, "start_cursor": cursor}
    if kind is not None:
        body["filter"] = {"property": "object", "value": kind}
    if not query:
        body["sort"] = {"timestamp": "last_edited_time", "direction": "descending"}
    hits = await api.post("/search", json={name: value for name, value in body.items() if value}, into=Hits)
    advancing(hits.next_cursor, cursor)
    return hits


@notion.read(toolset="content")
async def get_database(api: Api, database_id: Id) -> Database:
    """List the data sources of a database. Rows and properties belong to them: get_data_source, query_data_source."""
    return await api.get("/databases/{}", database_id, into=Database)


@notion.read(toolset="content")
async def get_data_source(api: Api, data_source_id: Id) -> DataSource:
    """Read which properties the rows of a data source have, with types and choices."""
    with source_meant():
        return await api.get("/data_sources/{}", data_source_id, into=DataSource)


@contextmanager
def source_meant() -> Generator[None]:
    """A database's id where a data source's belongs is what goes wrong most, and looks like a page not shared."""
    try:
        yield
    except errors.NotFoundError as error:
        error.next_step = (
            "If this is a database's id, get_database lists its data sources; take one of those. "
            "Else ask the person to share the database with the connection."
        )
        raise


@notion.read(toolset="content")
async def query_data_source(
    api: Api,
    data_source_id: Id,
    *,
    filter: Annotated[
        dict[str, Any] | None,
        Field(description='Notion\'s form: {"property":"Status","status":{"equals":"Done"}}; and, or hold lists.'),
    ] = None,
    sort: Annotated[
        str | None, Field(description='Property name, "created_time" or "last_edited_time"; "-" before it: descending.')
    ] = None,
    properties: Annotated[list[str] | None, Field(max_length=50, description="Names of those to return.")] = None,
    cursor: Cursor = None,
) -> Rows:
    """List rows of a data source with their properties."""
    body: dict[str, Any] = {"page_size": SIZE, "filter": filter, "start_cursor": cursor}
    if sort is not None:
        body["sorts"] = [_sort(sort)]
    with source_meant():
        query = {"filter_properties": await _ids(api, data_source_id, properties)} if properties else None
        sent = {name: value for name, value in body.items() if value}
        rows = await api.post("/data_sources/{}/query", data_source_id, query=query, json=sent, into=Rows)
    advancing(rows.next_cursor, cursor)
    return rows


def _sort(sort: str) -> dict[str, str]:
    name = sort.removeprefix("-")
    by = "timestamp" if name in ("created_time", "last_edited_time") else "property"
    return {by: name, "direction": "descending" if sort.startswith("-") else "ascending"}


async def schema_of(api: Api, data_source_id: str) -> dict[str, Any]:
    """The properties of a data source as Notion describes them."""
    with source_meant():
        return await api.get("/data_sources/{}", data_source_id, at="properties", into=dict[str, Any])


async def _ids(api: Api, data_source_id: str, names: list[str]) -> list[str]:
    """The ids of properties: Notion selects by them."""
    schema = await schema_of(api, data_source_id)
    if unknown := [each for each in names if each not in schema]:
        raise errors.InvalidInputError(
            "this data source has no such property.",
            fields={"properties": f"{unknown[0]!r} is none of: {', '.join(schema)}"},
        )
    return [str(schema[each].get("id")) for each in names]
