"""Atlassian Document Format (Jira, Confluence) as Markdown, and Markdown as ADF.

Source: developer.atlassian.com/cloud/jira/platform/apis/document/structure and the pages of its nodes and marks.
What has no words in Markdown keeps them: a mention is its name, a card its address, a status `[its text]`.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from .markdown import Node, Object, fenced, indented, inline, inner, marked, objects, parse, quoted, table

_DEEPEST = 40
_MARKS = {"strong": "strong", "em": "em", "strike": "s", "code": "code"}
_WRITTEN = {"strong": "strong", "em": "em", "s": "strike", "code_inline": "code"}


def markdown_of(document: Any) -> str:
    """The text of a document or any node of it; empty for what is none."""
    found = next(iter(objects([document])), None)
    return "" if found is None else _block(found, 0).strip("\n")


def _blocks(node: Object, depth: int, separator: str = "\n\n") -> str:
    if depth > _DEEPEST:
        return ""
    return separator.join(filter(None, (_block(each, depth + 1) for each in objects(node.get("content")))))


def _block(node: Object, depth: int) -> str:
    facts = inner(node, "attrs")
    match node.get("type"):
        case "paragraph" | "caption" | "taskItem" | "decisionItem":
            return _inline(node)
        case "heading":
            return f"{'#' * _number(facts.get('level'), 1, 6)} {_inline(node)}"
        case "bulletList" | "orderedList" | "decisionList" | "taskList":
            return _list(node, depth)
        case "blockquote" | "panel":
            return quoted(_blocks(node, depth))
        case "codeBlock":
            text = "".join(str(each.get("text", "")) for each in objects(node.get("content")))
            return fenced(text, str(facts.get("language") or ""))
        case "rule":
            return "---"
        case "table":
            rows = [objects(row.get("content")) for row in objects(node.get("content"))]
            return table([[_blocks(cell, depth + 1, " ") for cell in row] for row in rows])
        case "expand" | "nestedExpand":
            title = marked(str(facts.get("title") or ""), ("strong",))
            return "\n\n".join(filter(None, (title, _blocks(node, depth))))
        case "media" | "blockCard" | "embedCard":
            return _piece(node)
        case "text" | "mention" | "emoji" | "inlineCard" | "date" | "status" | "hardBreak":
            return _piece(node)
        case _:
            return _blocks(node, depth)


def _list(node: Object, depth: int) -> str:
    lines: list[str] = []
    number = _number(inner(node, "attrs").get("order"), 1, 10**9)
    for item in objects(node.get("content")):
        if item.get("type") == "taskList":
            lines.append(indented(_list(item, depth + 1), "  ") if depth < _DEEPEST else "")
            continue
        sign = f"{number}. " if node.get("type") == "orderedList" else "- "
        if item.get("type") == "taskItem":
            sign += "[x] " if inner(item, "attrs").get("state") == "DONE" else "[ ] "
            lines.append(sign + _inline(item))
        else:
            text = _blocks(item, depth + 1, "\n") if item.get("type") == "listItem" else _block(item, depth + 1)
            lines.append(indented(text, sign))
        number += 1
    return "\n".join(lines)


def _inline(node: Object) -> str:
    return "".join(map(_piece, objects(node.get("content"))))


def _piece(node: Object) -> str:
    facts = inner(node, "attrs")
    match node.get("type"):
        case "text":
            marks = {str(mark.get("type")): inner(mark, "attrs") for mark in objects(node.get("marks"))}
            link = str(marks.get("link", {}).get("href") or "")
            return marked(str(node.get("text", "")), [_MARKS[each] for each in marks if each in _MARKS], link)
        case "hardBreak":
            return "\\\n"
        case "mention":
            name = str(facts.get("text") or facts.get("id") or "")
            return marked(name if name.startswith("@") else f"@{name}", ())
        case "emoji":
            return str(facts.get("text") or facts.get("shortName") or "")
        case "inlineCard" | "blockCard" | "embedCard":
            return marked(str(facts.get("url") or ""), ())
        case "date":
            return _date(facts.get("timestamp"))
        case "status":
            return marked(f"[{facts.get('text') or ''}]", ())
        case "media" | "mediaInline":
            return marked(f"[attachment {facts.get('alt') or facts.get('id') or ''}]", ())
        case _:
            return _inline(node)


def _date(value: Any) -> str:
    try:
        return datetime.fromtimestamp(int(value) / 1000, UTC).date().isoformat()
    except (TypeError, ValueError, OverflowError, OSError):
        return ""


def _number(value: Any, least: int, most: int) -> int:
    return min(max(value, least), most) if isinstance(value, int) else least


def adf_of(text: str) -> dict[str, Any]:
    """A document of Markdown."""
    return {"version": 1, "type": "doc", "content": _written(parse(text))}


def _written(nodes: Iterable[Node]) -> list[dict[str, Any]]:
    return [made for node in nodes for made in _node_of(node)]


def _node_of(node: Node) -> list[dict[str, Any]]:
    match node.kind:
        case "paragraph":
            return [_holding("paragraph", _runs(node))]
        case "heading":
            return [_holding("heading", _runs(node), level=node.facts["level"])]
        case "bullet_list":
            return [_holding("bulletList", _written(node.children))]
        case "ordered_list":
            return [_holding("orderedList", _written(node.children), order=int(node.facts.get("start", 1)))]
        case "list_item":
            return [_holding("listItem", _within(node, ("paragraph", "bulletList", "orderedList", "codeBlock")))]
        case "blockquote":
            return [_holding("blockquote", _within(node, ("paragraph", "bulletList", "orderedList", "codeBlock")))]
        case "fence" | "code_block":
            language = {"language": node.facts["language"]} if node.facts.get("language") else {}
            return [_holding("codeBlock", _text(node.text.removesuffix("\n")), **language)]
        case "hr":
            return [{"type": "rule"}]
        case "table":
            return [_holding("table", [row for part in node.children for row in map(_row, part.children)])]
        case _:
            return [_holding("paragraph", _text(node.text))] if node.text else _written(node.children)


def _within(node: Node, kinds: tuple[str, ...]) -> list[dict[str, Any]]:
    """What a list item or a quotation may hold; of the rest, its text."""
    made = _written(node.children)
    return [each if each["type"] in kinds else _holding("paragraph", _text(markdown_of(each))) for each in made] or [
        _holding("paragraph", [])
    ]


def _row(row: Node) -> dict[str, Any]:
    kinds = {"th": "tableHeader", "td": "tableCell"}
    cells = [_holding(kinds.get(cell.kind, "tableCell"), [_holding("paragraph", _runs(cell))]) for cell in row.children]
    return _holding("tableRow", cells)


def _runs(node: Node) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for text, marks in inline(node.children):
        if text == "\n":
            made.append({"type": "hardBreak"})
        elif text:
            made += _text(text, [_mark(mark) for mark in marks])
    return made


def _mark(mark: Node) -> dict[str, Any]:
    if mark.kind == "link":
        return {"type": "link", "attrs": {"href": str(mark.facts.get("href", ""))}}
    return {"type": _WRITTEN[mark.kind]}


def _text(text: str, marks: list[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
    """A text node; an empty one is refused by Jira. Code goes with no other mark than a link."""
    if not text:
        return []
    kept = [each for each in marks or [] if each["type"] in ("code", "link")]
    marks = kept if any(each["type"] == "code" for each in kept) else marks
    return [{"type": "text", "text": text, **({"marks": marks} if marks else {})}]


def _holding(kind: str, content: list[dict[str, Any]], **facts: Any) -> dict[str, Any]:
    return {"type": kind, **({"attrs": facts} if facts else {}), "content": content}
