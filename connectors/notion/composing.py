"""Markdown as Notion's blocks: what an agent writes, in the shape that one request takes.

A request takes 100 blocks in a list, 1000 in all, and two levels below the first; what is nested deeper is raised.
https://developers.notion.com/reference/request-limits, /reference/patch-block-children
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from .texts import rich, unformatted

Block = dict[str, Any]
LIST, ALL, LEVELS = 100, 1000, 2

_FENCE = re.compile(r"^(`{3,}|~{3,})\s*([^`]*)$")
_HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*$")
_RULE = re.compile(r"^(?:(?:\*\s*){3,}|(?:-\s*){3,}|(?:_\s*){3,})$")
_ITEM = re.compile(r"^( *)([-*+]|\d{1,9}[.)])( +|$)(?:\[([ xX])\] +)?(.*)$")
_QUOTE = re.compile(r"^> ?(.*)$")
_PICTURE = re.compile(r"^!\[([^\[\]]*)\]\((https?://[^\s()]+)\)$")
_ROW = re.compile(r"^\|(.*)\|$")
_DASHES = re.compile(r"^\|(?:\s*:?-+:?\s*\|)+$")
_CELL = re.compile(r"(?<!\\)\|")


def compose(markdown: str) -> list[Block]:
    """The blocks of a text. Raises `ValueError` for what no single request can carry."""
    lines = markdown.expandtabs(4).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    blocks = _raised(_Reader(lines).blocks(), 0)
    count = _counted(blocks)
    if len(blocks) > LIST or count > ALL:
        raise ValueError(f"has {len(blocks)} blocks, {count} with those inside; {LIST} and {ALL} fit into one call")
    return blocks


def made(kind: str, text: str, **more: Any) -> Block:
    """A block with text."""
    return {"type": kind, kind: {"rich_text": rich(text), **more}}


class _Reader:
    """Goes through lines once, from block to block."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines, self.place = list(lines), 0

    def blocks(self) -> list[Block]:
        found: list[Block] = []
        while self.place < len(self.lines):
            line = self.lines[self.place]
            if not line.strip():
                self.place += 1
            else:
                found.append(self._block(line))
        return found

    def _block(self, line: str) -> Block:
        bare = line.strip()
        if fence := _FENCE.match(bare):
            return self._code(fence)
        if bare.startswith("$$"):
            return self._equation(bare)
        if _ROW.match(bare) and _DASHES.match(self._ahead()):
            return self._table()
        if _QUOTE.match(bare):
            return made("quote", "\n".join(self._while(_QUOTE)))
        if not _RULE.match(bare) and (item := _ITEM.match(line)):
            return self._item(item)
        return self._single(bare)

    def _single(self, bare: str) -> Block:
        self.place += 1
        if _RULE.match(bare):
            return {"type": "divider", "divider": {}}
        if heading := _HEADING.match(bare):
            return made(f"heading_{min(len(heading[1]), 3)}", heading[2])
        if picture := _PICTURE.match(bare):
            image = {"type": "external", "external": {"url": picture[2]}, "caption": rich(picture[1])}
            return {"type": "image", "image": image}
        return made("paragraph", "\n".join([bare, *self._paragraph()]))

    def _ahead(self) -> str:
        return self.lines[self.place + 1].strip() if self.place + 1 < len(self.lines) else ""

    def _while(self, form: re.Pattern[str]) -> list[str]:
        found: list[str] = []
        while self.place < len(self.lines) and (match := form.match(self.lines[self.place].strip())):
            found.append(match[1])
            self.place += 1
        return found

    def _paragraph(self) -> list[str]:
        found: list[str] = []
        while self.place < len(self.lines) and not self._begins(self.lines[self.place]):
            found.append(self.lines[self.place].strip())
            self.place += 1
        return found

    def _begins(self, line: str) -> bool:
        """Does another block begin here, or this one end?"""
        bare = line.strip()
        if not bare or bare.startswith("$$") or (_ROW.match(bare) and _DASHES.match(self._ahead())):
            return True
        return any(form.match(bare) for form in (_FENCE, _HEADING, _RULE, _QUOTE, _ITEM, _PICTURE))

    def _code(self, fence: re.Match[str]) -> Block:
        indent = len(self.lines[self.place]) - len(self.lines[self.place].lstrip())
        end = re.compile(rf"^\s*{re.escape(fence[1][0])}{{{len(fence[1])},}}\s*$")
        self.place += 1
        found: list[str] = []
        while self.place < len(self.lines):
            line = self.lines[self.place]
            self.place += 1
            if end.match(line):
                break
            found.append(line[min(indent, len(line) - len(line.lstrip())) :])
        body = {"rich_text": unformatted("\n".join(found)), "language": language_of(fence[2])}
        return {"type": "code", "code": body}

    def _equation(self, bare: str) -> Block:
        self.place += 1
        found = [bare[2:]]
        while not found[-1].endswith("$$") and self.place < len(self.lines):
            found.append(self.lines[self.place].strip())
            self.place += 1
        return {"type": "equation", "equation": {"expression": "\n".join(found).removesuffix("$$").strip()}}

    def _table(self) -> Block:
        head = self._while(_ROW)
        rows = [_cells(each) for number, each in enumerate(head) if number != 1]
        width = len(rows[0])
        filled = [[*row[:width], *[""] * (width - len(row))] for row in rows]
        cells = [{"type": "table_row", "table_row": {"cells": [rich(cell) for cell in row]}} for row in filled]
        body = {"table_width": width, "has_column_header": True, "has_row_header": False, "children": cells}
        return {"type": "table", "table": body}

    def _item(self, item: re.Match[str]) -> Block:
        self.place += 1
        mine = [*filter(None, [item[5]]), *self._paragraph()]
        below = self._below(len(item[1]))
        block = _item_of(item, "\n".join(mine))
        if below:
            block[block["type"]]["children"] = below
        return block

    def _below(self, margin: int) -> list[Block]:
        """What is indented further than the item's own mark, as blocks inside it."""
        taken: list[str] = []
        while self.place < len(self.lines):
            line = self.lines[self.place]
            if line.strip() and len(line) - len(line.lstrip()) <= margin:
                break
            taken.append(line)
            self.place += 1
        indents = [len(line) - len(line.lstrip()) for line in taken if line.strip()]
        return _Reader([line[min(indents) :] for line in taken]).blocks() if indents else []


def _item_of(item: re.Match[str], text: str) -> Block:
    if item[4] is not None:
        return made("to_do", text, checked=item[4] in "xX")
    return made("bulleted_list_item" if item[2] in "-*+" else "numbered_list_item", text)


def _cells(row: str) -> list[str]:
    return [cell.strip().replace(r"\|", "|") for cell in _CELL.split(row)]


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
