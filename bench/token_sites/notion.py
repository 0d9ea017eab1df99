"""Notion: a database of ten pages. Shapes: developers.notion.com/reference/page, /block, /rich-text, /data-source,
/retrieve-page-markdown, /post-search."""

import re
import uuid
from typing import Any

from bench.tokens_client import node
from bench.tokens_pairs import NOTE, TOKEN, Known, Pair, Tasks
from bench.tokens_upstream import Site

from .shared import PEOPLE, SUBJECTS, Object, address, day, routed

CHOICES = {"Status": ("To do", "Doing", "Done"), "Tags": ("export", "report", "import")}
COLOURS = ("gray", "blue", "green")
PLAIN = {
    "bold": False, "italic": False, "strikethrough": False, "underline": False, "code": False, "color": "default"
}  # fmt: skip


def known_as(name: str) -> str:
    """An id, the same for the same name."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://www.notion.so/{name}"))


DATABASE, SOURCE, BOT = known_as("database"), known_as("source"), known_as("bot")


def words(text: str, **marks: bool) -> Object:
    """A piece of rich text."""
    piece = {"content": text, "link": None}
    return {"type": "text", "text": piece, "annotations": {**PLAIN, **marks}, "plain_text": text, "href": None}


def user(name: str) -> Object:
    """A person, as among people."""
    known = {"object": "user", "id": known_as(name), "name": name, "avatar_url": None, "type": "person"}
    return {**known, "person": {"email": address(name)}}


def choice(name: str, which: int) -> Object:
    """An option of a select."""
    return {"id": known_as(name + CHOICES[name][which])[:4], "name": CHOICES[name][which], "color": COLOURS[which]}


def _property(identity: str, kind: str, value: Any) -> Object:
    return {"id": identity, "type": kind, kind: value}


def page(number: int) -> Object:
    """A row of the database."""
    made = f"{day(number)}T09:30:00.000Z"
    owner = PEOPLE[number % 3]
    title = SUBJECTS[number]
    by = {"object": "user", "id": known_as(owner)}
    identity = known_as(f"page {number}")
    return {
        "object": "page",
        "id": identity,
        "created_time": made,
        "last_edited_time": f"{day(number + 3)}T16:05:00.000Z",
        "created_by": by,
        "last_edited_by": by,
        "cover": None,
        "icon": {"type": "emoji", "emoji": "📌"},
        "parent": {"type": "data_source_id", "data_source_id": SOURCE, "database_id": DATABASE},
        "archived": False,
        "in_trash": False,
        "is_locked": False,
        "properties": {
            "Status": _property("%3AqAK", "status", choice("Status", number % 3)),
            "Owner": _property("BJXS", "people", [user(owner)]),
            "Due": _property("Eb%3Bf", "date", {"start": day(number + 9), "end": None, "time_zone": None}),
            "Tags": _property("GrT%5E", "multi_select", [choice("Tags", number % 3)]),
            "Effort": _property("Qz%3Dp", "number", number),
            "Reviewed": _property("Xk%7Ce", "checkbox", number % 2 == 0),
            "Created": _property("ZrYb", "created_time", made),
            "Summary": _property("lmn%60", "rich_text", [words(NOTE[:120])]),
            "Name": _property("title", "title", [words(title)]),
        },
        "url": f"https://www.notion.so/{title.replace(' ', '-')}-{identity.replace('-', '')}",
        "public_url": None,
    }


def block(kind: str, pieces: list[Object], number: int) -> Object:
    """A block of a page."""
    by = {"object": "user", "id": known_as(PEOPLE[0])}
    return {
        "object": "block",
        "id": known_as(f"block {number}"),
        "parent": {"type": "page_id", "page_id": known_as("page 2")},
        "created_time": "2026-11-03T09:30:00.000Z",
        "last_edited_time": "2026-11-06T16:05:00.000Z",
        "created_by": by,
        "last_edited_by": by,
        "has_children": False,
        "archived": False,
        "in_trash": False,
        "type": kind,
        kind: {"rich_text": pieces, "color": "default"},
    }


TEXT = f"## What happens\n\n{NOTE}\n\n## What was tried\n\n- Without a filter: works.\n- With the older version: works."


def blocks() -> list[Object]:
    """The text of a page."""
    found: list[Object] = []
    for number, line in enumerate(filter(None, TEXT.split("\n"))):
        mark = re.match(r"## |\d\. |- |", line)
        sign = mark[0] if mark else ""
        kinds = {"## ": "heading_2", "- ": "bulleted_list_item", "": "paragraph"}
        pieces = re.split(r"`(.+?)`", line.removeprefix(sign))
        rich = [words(each, code=bool(place % 2)) for place, each in enumerate(pieces)]
        found.append(block(kinds.get(sign, "numbered_list_item"), rich, number))
    return found


def schema() -> Object:
    """The properties of the data source."""
    kinds = {name: (each["id"], each["type"]) for name, each in page(0)["properties"].items()}
    made: Object = {}
    for name, (identity, kind) in kinds.items():
        options = [choice(name, which) for which in range(3)] if name in CHOICES else []
        body: Object = {"options": [{**each, "description": None} for each in options]} if options else {}
        made[name] = {"id": identity, "name": name, "description": None, "type": kind, kind: body}
    return made


def listed(results: list[Object], kind: str) -> Object:
    """A page of a list."""
    more = {"next_cursor": None, "has_more": False, "type": kind, kind: {}}
    return {"object": "list", "results": results, **more, "request_id": known_as("request")}


def site() -> tuple[Site, Known]:
    """The workspace, and the ids that the tasks take."""
    pages = {each["id"]: each for each in map(page, range(10))}

    def change(given: Object, target: Object) -> Object:
        types = {name: each["type"] for name, each in page(0)["properties"].items()}
        for name, value in given.get("properties", {}).items():
            known = "Name" if name == "title" else name
            kind = types[known]
            target["properties"].setdefault(known, _property("title", kind, None))[kind] = {
                "title": lambda value: [
                    words(each["text"]["content"]) for each in (value if isinstance(value, list) else value["title"])
                ],
                "status": lambda value: choice("Status", CHOICES["Status"].index(value["status"]["name"])),
            }[kind](value)
        return target

    def make(_: Any, body: Object) -> Object:
        empty: Object = {"rich_text": [], "people": [], "multi_select": [], "checkbox": False}
        made = {**page(1), "id": known_as("new"), "last_edited_time": "2026-11-23T10:00:00.000Z"}
        made["url"] = f"https://www.notion.so/{known_as('new').replace('-', '')}"
        kept = {name: _property(each["id"], each["type"], empty.get(each["type"])) for name, each in schema().items()}
        kept["Created"]["created_time"] = "2026-11-23T10:00:00.000Z"
        return change(body, {**made, "properties": kept})

    def markdown(_: Any, __: Any, identity: str) -> Object:
        known = {"object": "page_markdown", "id": identity, "markdown": TEXT, "truncated": False}
        return {**known, "unknown_block_ids": [], "request_id": known_as("request")}

    source: Object = {"object": "data_source", "id": SOURCE, "title": [words("Reports")], "properties": schema()}
    found = routed(
        [
            ("POST", "/v1/search", lambda *_: listed(list(pages.values()), "page_or_data_source")),
            ("POST", "/v1/data_sources/.+/query", lambda *_: listed(list(pages.values()), "page_or_data_source")),
            ("GET", "/v1/data_sources/[^/]+", lambda *_: source),
            ("GET", "/v1/pages/([^/]+)", lambda request, body, identity: pages[identity]),
            ("GET", "/v1/pages/([^/]+)/markdown", markdown),
            ("GET", "/v1/blocks/[^/]+/children", lambda *_: listed(blocks(), "block")),
            ("POST", "/v1/pages", make),
            ("PATCH", "/v1/pages/([^/]+)", lambda request, body, identity: change(body, pages[identity])),
            ("GET", "/v1/users/me", lambda *_: {"object": "user", "id": BOT, "type": "bot", "name": "Bench"}),
        ]
    )
    return found, {"page": known_as("page 2"), "source": SOURCE}


def _tasks(known: Known) -> Tasks:
    at, source = {"page_id": known["page"]}, known["source"]
    title = "Export loses its filter"
    parent = {"type": "database_id", "database_id": DATABASE}
    theirs = {"parent": parent, "properties": {"title": [{"text": {"content": title}}]}}
    new = ("API-post-page", theirs)
    done = {"properties": {"Status": {"status": {"name": "Done"}}}}
    return (
        (
            "search",
            [("API-post-search", {"query": "report", "page_size": 20})],
            [("search", {"query": "report"})],
        ),
        (
            "read a page",
            [("API-retrieve-a-page", at), ("API-retrieve-page-markdown", at)],
            [("get_page", at)],
        ),
        (
            "create a page",
            [new],
            [("create_page", {"title": title, "data_source_id": source, "request_id": "one"})],
        ),
        (
            "query a database",
            [("API-query-data-source", {"data_source_id": source, "page_size": 20})],
            [("query_data_source", {"data_source_id": source})],
        ),
        (
            "change properties",
            [("API-patch-page", {**at, **done})],
            [("update_page_properties", {**at, "properties": {"Status": "Done"}, "request_id": "two"})],
        ),
    )


PAIR = Pair(
    "notion",
    "@notionhq/notion-mcp-server 2.5.2",
    node("notion-mcp-server"),
    {"NOTION_TOKEN": TOKEN},
    ["api.notion.com"],
    "/v1",
    _tasks,
    site=site,
)
