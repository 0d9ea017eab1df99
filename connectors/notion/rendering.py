"""Notion's blocks as Markdown. A block that has no form in Markdown is named, so that nobody takes it for absent.

Nothing here fails on a strange shape: it is layout. Sources: @notionhq/client 5.26.0 (`BlockObjectResponse`),
developers.notion.com/reference/block.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .ids import address_of
from .texts import Object, markdown, object_of, objects, plain


@dataclass(slots=True)
class Node:
    """A block and what is inside it; `cut` when there is more inside than was fetched."""

    block: Object
    inside: list["Node"] = field(default_factory=list["Node"])
    cut: bool = False

    @property
    def kind(self) -> str:
        """The block's type."""
        return str(self.block.get("type"))

    @property
    def body(self) -> Object:
        """What stands under its type."""
        return object_of(self.block.get(self.kind))

    @property
    def text(self) -> str:
        """Its text."""
        return markdown(self.body.get("rich_text"))


def render(nodes: Sequence[Node]) -> str:
    """The blocks of one list, one under another; items of a list without a blank line between."""
    parts: list[str] = []
    number, before = 0, ""
    for node in nodes:
        number = number + 1 if node.kind == before == "numbered_list_item" else 1
        text = _rendered(node, number)
        if text:
            tight = node.kind == before and node.kind in _ITEMS
            parts += ["" if not parts else "\n" if tight else "\n\n", text]
            before = node.kind
    return "".join(parts)


def _rendered(node: Node, number: int) -> str:
    if node.kind in _ITEMS:
        mark = _ITEMS[node.kind](node, number)
        return mark + _indented(_with_inside(node.text, node), len(mark) if mark[0] != "-" else 2)
    if node.kind in _QUOTES:
        icon = str(object_of(node.body.get("icon")).get("emoji") or "")
        return _prefixed(_with_inside(" ".join(filter(None, (icon, node.text))), node), "> ")
    text = _OTHERS[node.kind](node) if node.kind in _OTHERS else f"[{node.kind}: not shown]"
    inside = "" if node.kind == "table" else _inside(node)
    return "\n\n".join(filter(None, (text, _indented(f"  {inside}", 2) if inside and text else inside)))


def _with_inside(text: str, node: Node) -> str:
    """A text and what is inside its block: a list follows at once, anything else after a blank line."""
    tight = not node.inside or node.inside[0].kind in _ITEMS
    return ("\n" if tight else "\n\n").join(filter(None, (text, _inside(node))))


def _inside(node: Node) -> str:
    more = f"[more inside: get_page with block_id {node.block.get('id')}]" if node.cut else ""
    return "\n".join(filter(None, (render(node.inside), more)))


def _indented(text: str, width: int) -> str:
    first, *others = text.split("\n")
    return "\n".join([first, *(f"{' ' * width}{line}" if line else line for line in others)])


def _prefixed(text: str, prefix: str) -> str:
    return "\n".join(f"{prefix}{line}".rstrip() for line in text.split("\n"))


def _todo(node: Node, _: int) -> str:
    return "- [x] " if node.body.get("checked") is True else "- [ ] "


_ITEMS: Mapping[str, Callable[[Node, int], str]] = {
    "bulleted_list_item": lambda node, number: "- ",
    "numbered_list_item": lambda node, number: f"{number}. ",
    "to_do": _todo,
    "toggle": lambda node, number: "- ",
}
_QUOTES = frozenset({"quote", "callout"})


def _paragraph(node: Node) -> str:
    """A text that begins like another block gets a backslash there."""
    return "\n".join(_guarded(line) for line in node.text.split("\n"))


def _guarded(line: str) -> str:
    bare = line.lstrip()
    number = re.match(r"\d{1,9}(?=[.)](?: |$))", bare)
    if number:
        return f"{number[0]}\\{bare[len(number[0]) :]}"
    begins = re.match(r"[-+](?: |$)|[#>|=]|\$\$|---|___|~~~|- -|_ _", bare)
    return f"\\{bare}" if begins else line


def _heading(node: Node) -> str:
    return f"{'#' * int(node.kind[-1])} {node.text}"


def _code(node: Node) -> str:
    text = plain(node.body.get("rich_text"))
    fence = "```"
    while fence in text:
        fence += "`"
    language = str(node.body.get("language") or "")
    caption = markdown(node.body.get("caption"))
    written = f"{fence}{'' if language == 'plain text' else language}\n{text}\n{fence}"
    return f"{written}\n{caption}" if caption else written


def _file(node: Node) -> str:
    """The address of a file that Notion keeps is a signed one for an hour: a name is all that an agent can use."""
    label = markdown(node.body.get("caption")) or str(node.body.get("name") or node.kind)
    url = str(object_of(node.body.get("external")).get("url") or "")
    if not url:
        return f"[{node.kind} kept by Notion: {label}]"
    return f"{'!' if node.kind == 'image' else ''}[{label}]({url})"


def _link(node: Node) -> str:
    url = str(node.body.get("url") or "")
    return f"[{markdown(node.body.get('caption')) or url}]({url})" if url else ""


def _child(node: Node) -> str:
    what = node.kind.removeprefix("child_")
    return f"[{what}: {node.body.get('title')}]({address_of(str(node.block.get('id')))})"


def _page_link(node: Node) -> str:
    target = str(node.body.get(str(node.body.get("type"))) or "")
    return f"[{str(node.body.get('type')).removesuffix('_id')}]({address_of(target)})" if target else ""


def _table(node: Node) -> str:
    rows = [_cells(each) for each in node.inside if each.kind == "table_row"]
    if not rows:
        return _inside(node)
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines.insert(1, f"|{' --- |' * len(rows[0])}")
    if node.cut:
        lines += ["", f"[more rows: get_page with block_id {node.block.get('id')}]"]
    return "\n".join(lines)


def _cells(node: Node) -> list[str]:
    cells: list[Any] = node.body.get("cells") or []
    return [_cell(each) for each in cells]


def _cell(cell: Any) -> str:
    return markdown(cell).replace("|", r"\|").replace("\n", " ")


def _row(node: Node) -> str:
    return f"| {' | '.join(_cells(node))} |"


def _nothing(node: Node) -> str:
    return ""


_OTHERS: Mapping[str, Callable[[Node], str]] = {
    "paragraph": _paragraph,
    **dict.fromkeys(("heading_1", "heading_2", "heading_3", "heading_4"), _heading),
    "code": _code,
    "divider": lambda node: "---",
    "equation": lambda node: f"$$\n{node.body.get('expression')}\n$$",
    **dict.fromkeys(("image", "video", "file", "pdf", "audio"), _file),
    **dict.fromkeys(("bookmark", "embed", "link_preview"), _link),
    **dict.fromkeys(("child_page", "child_database"), _child),
    "link_to_page": _page_link,
    "table": _table,
    "table_row": _row,
    **dict.fromkeys(
        ("column_list", "column", "synced_block", "tab", "table_of_contents", "breadcrumb", "template"), _nothing
    ),
}
HOLDERS = frozenset({"child_page", "child_database"})
"""Blocks with something inside that is not part of the page: it has an id of its own to be read by."""


def blocks_of(value: Any) -> list[Node]:
    """Nodes of a list of blocks."""
    return [Node(each) for each in objects(value)]
