"""How a list is paged, recognised by the names of its parameters and by what its answer holds."""

from collections.abc import Mapping, Sequence
from typing import Any

from clew.core.fields import as_object
from clew.core.pages import CursorPages, LinkPages, NextUrlPages, NumberPages, Paginator
from clew.core.values import dataclass
from clew.servers.descriptions.documents import Node
from clew.servers.descriptions.names import field_path
from clew.servers.descriptions.shapes import Shapes

_SIZES = (
    "per_page", "perpage", "page_size", "pagesize", "limit", "maxresults", "max_results", "pagelen", "page[size]",
    "page[limit]", "$top", "top", "size", "count", "first", "hitsperpage",
)  # fmt: skip
_CURSORS = (
    "cursor", "page_token", "pagetoken", "next_token", "nexttoken", "next_page_token", "nextpagetoken", "start_cursor",
    "page_cursor", "page[cursor]", "page[after]", "after", "continuation_token", "continuationtoken", "next_cursor",
    "bookmark", "starting_after",
)  # fmt: skip
_PAGES = ("page", "page_number", "pagenumber", "page[number]", "page_num", "pageindex")
_OFFSETS = ("offset", "startat", "start", "skip", "$skip", "page[offset]", "startindex", "start_index")
_FOLLOWING = (
    "next_cursor", "nextCursor", "next_page_token", "nextPageToken", "nextToken", "next_token", "cursor.next",
    "response_metadata.next_cursor", "meta.next_cursor", "paging.next.after", "paging.cursors.after",
    "meta.cursor.after", "pagination.next_cursor", "pagination.cursor", "meta.after", "page_info.end_cursor",
    "continuationToken", "bookmark", "next_page", "paging.next", "cursor", "pagination.next",
    "meta.pagination.next_cursor", "after",
)  # fmt: skip
_NEXT_URLS = (
    "@odata.nextLink", "nextLink", "next_page_uri", "links.next", "next_page_url", "next", "_links.next.href",
    "meta.next", "nextPage", "paging.next", "pagination.next_url", "next_url", "links.next.href", "nextRecordsUrl",
)  # fmt: skip
_MORE = ("has_more", "hasMore", "more", "pagination.has_more", "meta.has_more", "has_next_page", "hasNext")
_ITEMS = ("data", "items", "results", "values", "records", "entries", "value", "list", "resources", "content")
SIZE = 30


@dataclass(frozen=True, slots=True)
class Paging:
    """A recognised way: the paginator, the schema of one item, and the parameters that are its own."""

    paginator: Paginator
    item: Any
    parameters: frozenset[str]


def recognised(shapes: Shapes, query: Sequence[Node], schema: Any, headers: Node) -> Paging | None:
    """The way in which this list is paged; None for what is no list, or pages in a way that is not known."""
    flat = shapes.flat(schema)
    items, item = items_of(shapes, flat)
    if item is None:
        return None
    named = {name.lower(): each for each in query if isinstance(name := each.get("name"), str)}
    size = next((each for each in _SIZES if each in named), None)
    count = _size(shapes, named[size]) if size else None
    wire = str(named[size]["name"]) if size else ""
    own = {wire} if wire else set[str]()
    sized: dict[str, Any] = {"size": count, "size_parameter": wire} if size else {"size": None}
    numbers = {str(named[each]["name"]) for each in (*_PAGES, *_OFFSETS, *_CURSORS) if each in named}
    if size and count and any(name.lower() == "link" for name in headers):
        return Paging(LinkPages(size=count, size_parameter=wire, items=items), item, frozenset(own | numbers))
    cursor = next((str(named[each]["name"]) for each in _CURSORS if each in named), None)
    following = _first(shapes, flat, _FOLLOWING, ("string", "integer", ""))
    if cursor and following:
        paginator: Paginator = CursorPages(cursor=following, parameter=cursor, items=items, **sized)
        return Paging(paginator, item, frozenset(own | {cursor}))
    link = _first(shapes, flat, _NEXT_URLS, ("string",))
    if link:
        return Paging(NextUrlPages(next_url=link, items=items, **sized), item, frozenset(own | numbers))
    more = _first(shapes, flat, _MORE, ("boolean",))
    for names, step, start in ((_PAGES, "page", 1), (_OFFSETS, "items", 0)):
        found = next((named[each] for each in names if each in named), None)
        if found is not None and (size or more):
            at = _start(shapes, found, start)
            facts: dict[str, Any] = {"step": step, "start": at, "items": items, "more": more, **sized}
            parameter = str(found["name"])
            return Paging(NumberPages(parameter=parameter, **facts), item, frozenset(own | {parameter}))
    return None


def items_of(shapes: Shapes, flat: Node) -> tuple[str | None, Any]:
    """Where the items stand and what one is: the answer itself, or its one list of objects. `(None, None)`: no list."""
    if flat.get("type") == "array" or "items" in flat:
        return None, flat.get("items") or {}
    named = as_object(flat.get("properties")) or {}
    lists = [name for name, each in named.items() if shapes.flat(each).get("type") == "array"]
    known = [name for name in lists if name in _ITEMS] or (lists if len(lists) == 1 else [])
    path = field_path(known[0]) if known else ""
    return (path, shapes.flat(named[known[0]]).get("items") or {}) if path else (None, None)


def _schema_of(parameter: Node) -> Any:
    return parameter.get("schema") or parameter


def _size(shapes: Shapes, parameter: Node) -> int:
    most = shapes.flat(_schema_of(parameter)).get("maximum")
    return min(SIZE, int(most)) if isinstance(most, int | float) and most >= 1 else SIZE


def _start(shapes: Shapes, parameter: Node, usual: int) -> int:
    flat = shapes.flat(_schema_of(parameter))
    said = flat.get("default", flat.get("minimum", usual))
    return said if isinstance(said, int) and not isinstance(said, bool) and 0 <= said <= 1 else usual


def _first(shapes: Shapes, flat: Node, paths: Sequence[str], kinds: Sequence[str]) -> str | None:
    """The first of the paths that leads to one of these types."""
    for path in paths:
        found: Mapping[str, Any] | None = flat
        keys = [path] if path.startswith("@") else path.split(".")
        for key in keys:
            named = as_object((found or {}).get("properties")) or {}
            found = shapes.flat(named[key]) if key in named else None
            if found is None:
                break
        if found is not None and str(found.get("type", "")) in kinds:
            return ".".join(field_path(key) for key in keys)
    return None
