"""Notion's blocks as Markdown, and Markdown as blocks.

Sources: developers.notion.com/reference/block, /reference/rich-text, /reference/request-limits (2000 characters in a
text, 100 texts in a block, 100 blocks in a request; children two levels deep in one request).
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from .markdown import Node, Object, fenced, indented, inline, inner, is_list, marked, objects, parse, quoted, table

LONGEST_TEXT = 2000
"""UTF-16 units in one text object."""
_DEEPEST = 40
_MARKS = {"bold": "strong", "italic": "em", "strikethrough": "s", "code": "code"}
_WRITTEN = {"strong": "bold", "em": "italic", "s": "strikethrough", "code_inline": "code"}
_LANGUAGES = frozenset(
    [
        "bash",
        "c",
        "c#",
        "c++",
        "clojure",
        "css",
        "dart",
        "diff",
        "docker",
        "elixir",
        "elm",
        "erlang",
        "f#",
        "go",
        "graphql",
        "groovy",
        "haskell",
        "html",
        "java",
        "javascript",
        "json",
        "julia",
        "kotlin",
        "latex",
        "less",
        "lisp",
        "lua",
        "makefile",
        "markdown",
        "markup",
        "matlab",
        "mermaid",
        "nix",
        "objective-c",
        "ocaml",
        "pascal",
        "perl",
        "php",
        "powershell",
        "prolog",
        "protobuf",
        "python",
        "r",
        "reason",
        "ruby",
        "rust",
        "sass",
        "scala",
        "scheme",
        "scss",
        "shell",
        "sql",
        "swift",
        "typescript",
        "vb.net",
        "verilog",
        "vhdl",
        "webassembly",
        "xml",
        "yaml",
    ]
)
_SHORT = {
    "py": "python",
    "js": "javascript",
    "ts": "typescript",
    "sh": "shell",
    "yml": "yaml",
    "rb": "ruby",
    "cs": "c#",
}
_LISTS = ("bulleted_list_item", "numbered_list_item", "to_do", "toggle")


def markdown_of(blocks: Any) -> str:
    """The text of a list of blocks. Children are read where they stand, in `children`, as they were fetched."""
    return _all(objects(blocks), 0)


def plain(rich_text: Any) -> str:
    """The words of a list of rich text objects as Markdown, for titles and properties too."""
    return "".join(map(_run, objects(rich_text)))


def _all(blocks: Sequence[Object], depth: int) -> str:
    if depth > _DEEPEST:
        return ""
    parts: list[str] = []
    number, former = 0, ""
    for block in blocks:
        kind = str(block.get("type"))
        number = number + 1 if kind == former == "numbered_list_item" else 1
        text = _block(block, kind, number, depth)
        if text:
            parts.append(("\n" if kind == former and kind in _LISTS else "\n\n" if parts else "") + text)
            former = kind
    return "".join(parts).strip("\n")


def _block(block: Object, kind: str, number: int, depth: int) -> str:
    own = inner(block, kind)
    text = plain(own.get("rich_text"))
    below = _all(objects(own.get("children") or block.get("children")), depth + 1)
    match kind:
        case "heading_1" | "heading_2" | "heading_3" | "heading_4":
            return "\n\n".join(filter(None, (f"{'#' * int(kind[-1])} {text}", below)))
        case "bulleted_list_item" | "toggle":
            return indented("\n".join(filter(None, (text, below))), "- ")
        case "numbered_list_item":
            return indented("\n".join(filter(None, (text, below))), f"{number}. ")
        case "to_do":
            return indented(
                "\n".join(filter(None, (text, below))), "- [x] " if own.get("checked") is True else "- [ ] "
            )
        case "quote" | "callout":
            icon = str(inner(own, "icon").get("emoji") or "")
            return quoted("\n\n".join(filter(None, (f"{icon} {text}".strip(), below))))
        case "code":
            words = "".join(
                str(each.get("plain_text") or inner(each, "text").get("content") or "")
                for each in objects(own.get("rich_text"))
            )
            return fenced(words, str(own.get("language") or "").replace("plain text", ""))
        case "divider":
            return "---"
        case "equation":
            return f"$${own.get('expression') or ''}$$"
        case "table":
            rows = objects(own.get("children") or block.get("children"))
            return table([[plain(cell) for cell in _cells(row)] for row in rows])
        case "child_page" | "child_database":
            return marked(f"[{own.get('title') or ''}]", ())
        case "image" | "video" | "file" | "pdf" | "audio" | "bookmark" | "embed" | "link_preview":
            return _file(own)
        case _:
            return "\n\n".join(filter(None, (text, below)))


def _cells(row: Object) -> list[Any]:
    cells: Any = inner(row, "table_row").get("cells")
    return cells if is_list(cells) else []


def _file(own: Object) -> str:
    where = str(own.get("url") or inner(own, "external").get("url") or inner(own, "file").get("url") or "")
    words = plain(own.get("caption")) or marked(str(own.get("name") or where.partition("?")[0]), ())
    return f"[{words}](<{re.sub(r'[<> ]', '', where)}>)" if where else words


def _run(piece: Object) -> str:
    content = inner(piece, "text").get("content")
    text = str(piece.get("plain_text") or content or "")
    link = str(piece.get("href") or inner(piece, "text", "link").get("url") or "")
    if piece.get("type") == "equation":
        return f"${inner(piece, 'equation').get('expression') or text}$"
    notes = inner(piece, "annotations")
    return marked(text, [_MARKS[name] for name in _MARKS if notes.get(name) is True], link)


def blocks_of(text: str) -> list[dict[str, Any]]:
    """The blocks of a Markdown text."""
    return _written(parse(text))


def _written(nodes: Iterable[Node]) -> list[dict[str, Any]]:
    return [made for node in nodes for made in _blocks_of(node)]


def _blocks_of(node: Node) -> list[dict[str, Any]]:
    match node.kind:
        case "paragraph":
            return [_made("paragraph", _runs(node))]
        case "heading":
            return [_made(f"heading_{min(node.facts['level'], 3)}", _runs(node))]
        case "bullet_list" | "ordered_list":
            kind = "numbered_list_item" if node.kind == "ordered_list" else "bulleted_list_item"
            return [_item(kind, item) for item in node.children]
        case "blockquote":
            first, *rest = _written(node.children) or [_made("paragraph", [])]
            own: list[dict[str, Any]] = first["paragraph"]["rich_text"] if first["type"] == "paragraph" else []
            rest = rest if first["type"] == "paragraph" else [first, *rest]
            return [_made("quote", own, **({"children": rest} if rest else {}))]
        case "fence" | "code_block":
            language = str(node.facts.get("language", "")).lower()
            language = _SHORT.get(language, language)
            known = language if language in _LANGUAGES else "plain text"
            return [_made("code", _texts(node.text.removesuffix("\n"), {}, ""), language=known)]
        case "hr":
            return [{"type": "divider", "divider": {}}]
        case "table":
            return [_table(node)]
        case _:
            return [_made("paragraph", _texts(node.text, {}, ""))] if node.text else _written(node.children)


def _item(kind: str, item: Node) -> dict[str, Any]:
    first, *rest = item.children or [Node("paragraph")]
    runs = _runs(first) if first.kind == "paragraph" else []
    below = _written(rest if first.kind == "paragraph" else [first, *rest])
    more: dict[str, Any] = {"children": below} if below else {}
    start = runs[0]["text"]["content"] if runs else ""
    if kind == "bulleted_list_item" and start[:4].lower() in ("[ ] ", "[x] "):
        runs[0]["text"]["content"] = start[4:]
        return _made("to_do", runs, checked=start[1] != " ", **more)
    return _made(kind, runs, **more)


def _table(node: Node) -> dict[str, Any]:
    rows = [[_runs(cell) for cell in row.children] for part in node.children for row in part.children]
    width = max(map(len, rows), default=1)
    cells = [row + [[]] * (width - len(row)) for row in rows]
    made = [{"type": "table_row", "table_row": {"cells": row}} for row in cells]
    facts = {"table_width": width, "has_column_header": True, "has_row_header": False, "children": made}
    return {"type": "table", "table": facts}


def _runs(node: Node) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for text, marks in inline(node.children):
        notes = {_WRITTEN[mark.kind]: True for mark in marks if mark.kind in _WRITTEN}
        link = next((str(mark.facts.get("href", "")) for mark in marks if mark.kind == "link"), "")
        made += _texts(text, notes, link)
    return made


def _texts(text: str, notes: dict[str, bool], link: str) -> list[dict[str, Any]]:
    """Text objects, each as long as Notion takes; a link must be an address."""
    facts: dict[str, Any] = {"link": {"url": link}} if re.match(r"https?://", link) else {}
    more: dict[str, Any] = {"annotations": notes} if notes else {}
    return [{"type": "text", "text": {"content": part, **facts}, **more} for part in _parts(text)]


def _parts(text: str) -> list[str]:
    parts, current, size = list[str](), list[str](), 0
    for char in text:
        width = 2 if ord(char) > 0xFFFF else 1
        if size + width > LONGEST_TEXT:
            parts.append("".join(current))
            current, size = [], 0
        current.append(char)
        size += width
    return [*parts, "".join(current)] if current else parts


def _made(kind: str, rich_text: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"type": kind, kind: {"rich_text": rich_text, **more}}
