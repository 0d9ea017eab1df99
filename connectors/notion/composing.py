"""Markdown as Notion's blocks: what an agent writes, in the shape that one request takes.

A request takes 100 blocks in a list, 1000 in all, and two levels below the first; what is nested deeper is raised.
https://developers.notion.com/reference/request-limits, /reference/patch-block-children
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from clew.connectors.text.markdown import Node, parse

from .texts import rich, unformatted

Block = dict[str, Any]
LIST, ALL, LEVELS = 100, 1000, 2

_BREAK = re.compile(r"(?<!\\)((?:\\\\)*)\\$(?=\n)", re.MULTILINE)
_TASK = re.compile(r"\[([ xX])\] +(.*)", re.DOTALL)
_PICTURE = re.compile(r"!\[([^\[\]]*)\]\((https?://[^\s()]+)\)")
_EQUATION = re.compile(r"\$\$(.+?)\$\$", re.DOTALL)


def compose(markdown: str) -> list[Block]:
    """The blocks of a text. Raises `ValueError` for what no single request can carry."""
    blocks = _raised(_blocks(parse(markdown)), 0)
    count = _counted(blocks)
    if len(blocks) > LIST or count > ALL:
        raise ValueError(f"has {len(blocks)} blocks, {count} with those inside; {LIST} and {ALL} fit into one call")
    return blocks


def made(kind: str, text: str, **more: Any) -> Block:
    """A block with text."""
    return {"type": kind, kind: {"rich_text": rich(text), **more}}


def _blocks(nodes: Sequence[Node]) -> list[Block]:
    found: list[Block] = []
    for node in nodes:
        if node.kind in ("bullet_list", "ordered_list"):
            found += [_item(node.kind, item) for item in node.children]
        else:
            found.append(_of_node(node))
    return found


def _of_node(node: Node) -> Block:
    match node.kind:
        case "heading":
            return made(f"heading_{min(node.facts['level'], 3)}", _source(node))
        case "blockquote":
            return _holding("quote", node.children)
        case "fence" | "code_block":
            body = {"rich_text": unformatted(node.text.removesuffix("\n"))}
            return {"type": "code", "code": {**body, "language": language_of(str(node.facts.get("language", "")))}}
        case "hr":
            return {"type": "divider", "divider": {}}
        case "table":
            return _table(node)
        case _:
            return _paragraph(_source(node))


def _source(node: Node) -> str:
    """The text of a paragraph, heading or cell as it was written; line breaks without a sign for them."""
    text = "".join(each.text for each in node.children)
    return "\n".join(line.strip() for line in _BREAK.sub(r"\1", text).split("\n"))


def _paragraph(text: str) -> Block:
    if picture := _PICTURE.fullmatch(text):
        image = {"type": "external", "external": {"url": picture[2]}, "caption": rich(picture[1])}
        return {"type": "image", "image": image}
    if equation := _EQUATION.fullmatch(text):
        return {"type": "equation", "equation": {"expression": equation[1].strip()}}
    return made("paragraph", text)


def _item(kind: str, item: Node) -> Block:
    if kind == "ordered_list":
        return _holding("numbered_list_item", item.children)
    text = _source(item.children[0]) if item.children and item.children[0].kind == "paragraph" else ""
    if task := _TASK.fullmatch(text):
        block = _holding("to_do", item.children, task[2])
        block["to_do"]["checked"] = task[1] in "xX"
        return block
    return _holding("bulleted_list_item", item.children)


def _holding(kind: str, nodes: Sequence[Node], text: str | None = None) -> Block:
    """A block whose text is the first paragraph of what it holds; the others are inside."""
    first = bool(nodes) and nodes[0].kind == "paragraph"
    block = made(kind, (_source(nodes[0]) if first else "") if text is None else text)
    if below := _blocks(nodes[1:] if first else nodes):
        block[kind]["children"] = below
    return block


def _table(node: Node) -> Block:
    rows = [row.children for part in node.children for row in part.children]
    width = len(rows[0])
    cells = [[rich(_source(cell)) for cell in row] for row in rows]
    made_rows = [{"type": "table_row", "table_row": {"cells": each}} for each in cells]
    body = {"table_width": width, "has_column_header": True, "has_row_header": False, "children": made_rows}
    return {"type": "table", "table": body}


def _raised(blocks: list[Block], level: int) -> list[Block]:
    """With nothing below the last level: what was there comes after the block that it was in."""
    found: list[Block] = []
    for block in blocks:
        body = block[block["type"]]
        inner: list[Block] = body.get("children") or []
        if block["type"] == "table":
            if level >= LEVELS:
                raise ValueError("has a table too deep inside lists")
            _check(inner)
            found.append(block)
            continue
        found.append(block)
        if not inner:
            continue
        lower = _raised(inner, level + 1)
        if level >= LEVELS:
            del body["children"]
            found += lower
        else:
            body["children"] = _check(lower)
    return found


def _check(inner: list[Block]) -> list[Block]:
    if len(inner) > LIST:
        raise ValueError(f"has a list or table of {len(inner)} inside one block; {LIST} fit")
    return inner


def _counted(blocks: Sequence[Block]) -> int:
    return sum(1 + _counted(block[block["type"]].get("children") or []) for block in blocks)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


LANGUAGES = _words(
    "abap agda arduino assembly bash basic bnf c c# c++ clojure coffeescript coq css dart dhall diff docker ebnf "
    "elixir elm erlang f# flow fortran gherkin glsl go graphql groovy haskell hcl html idris java javascript json "
    "julia kotlin latex less lisp livescript lua makefile markdown markup matlab mathematica mermaid nix objective-c "
    "ocaml pascal perl php powershell prolog protobuf purescript python r racket reason ruby rust sass scala scheme "
    "scss shell smalltalk solidity sql swift toml typescript vb.net verilog vhdl webassembly xml yaml"
)
"""Languages that Notion colours; it refuses a block that names another. @notionhq/client 5.26.0, `LanguageRequest`."""
_ALSO: Mapping[str, str] = {
    "cpp": "c++", "cs": "c#", "csharp": "c#", "dockerfile": "docker", "fsharp": "f#", "golang": "go", "hs": "haskell",
    "js": "javascript", "jsx": "javascript", "kt": "kotlin", "make": "makefile", "md": "markdown",
    "objc": "objective-c",
    "proto": "protobuf", "ps1": "powershell", "py": "python", "rb": "ruby", "rs": "rust", "sh": "shell", "svg": "xml",
    "terraform": "hcl", "tex": "latex", "tf": "hcl", "ts": "typescript", "tsx": "typescript", "wasm": "webassembly",
    "yml": "yaml", "zsh": "shell",
}  # fmt: skip


def language_of(word: str) -> str:
    """Notion's name for the language of a fence."""
    first = (word.strip().lower().split() or [""])[0]
    name = _ALSO.get(first, first)
    return name if name in LANGUAGES else "plain text"
