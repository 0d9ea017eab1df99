"""Markdown as a tree, and the pieces of it that both formats write."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeGuard

Object = Mapping[str, Any]


@dataclass(slots=True)
class Node:
    """A piece of Markdown: what it is (`paragraph`, `strong`, `text`…), its text, its facts and its children."""

    kind: str
    text: str = ""
    facts: dict[str, Any] = field(default_factory=dict[str, Any])
    children: list["Node"] = field(default_factory=list["Node"])


@lru_cache(maxsize=1)
def _parser() -> Any:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def parse(text: str) -> list[Node]:
    """The blocks of a Markdown text. HTML in it is text."""
    from markdown_it.tree import SyntaxTreeNode

    return [_node(each) for each in SyntaxTreeNode(_parser().parse(text)).children]


def _node(piece: Any) -> Node:
    facts: dict[str, Any] = dict(piece.attrs)
    if piece.type == "heading":
        facts["level"] = int(piece.tag[1:])
    if piece.type == "fence":
        facts["language"] = str(piece.info).split(" ")[0]
    return Node(
        piece.type,
        str(piece.content or "") if not piece.is_nested else "",
        facts,
        [_node(each) for each in piece.children],
    )


def inline(nodes: Iterable[Node], marks: tuple[Node, ...] = ()) -> Iterable[tuple[str, tuple[Node, ...]]]:
    """Every run of text below, with the marks around it; a line break is the text of one newline."""
    for node in nodes:
        match node.kind:
            case "text":
                yield node.text, marks
            case "code_inline":
                yield node.text, (*marks, node)
            case "softbreak":
                yield " ", marks
            case "hardbreak":
                yield "\n", marks
            case "image":
                yield (
                    node.text or str(node.facts.get("src", "")),
                    (*marks, Node("link", facts={"href": node.facts.get("src", "")})),
                )
            case "strong" | "em" | "s" | "link":
                yield from inline(node.children, (*marks, node))
            case _:
                yield from inline(node.children, marks)


def escaped(text: str) -> str:
    """Text that Markdown would otherwise read as something else."""
    text = re.sub(r"([\\`*_\[\]<~|])", r"\\\1", text)
    return re.sub(r"^(\s*)([#>+-]|\d+(?=[.)]))", _guarded, text)


def _guarded(found: "re.Match[str]") -> str:
    return f"{found[1]}{found[2]}\\" if found[2][0].isdigit() else f"{found[1]}\\{found[2]}"


def marked(text: str, marks: Sequence[str], link: str = "") -> str:
    """Text with marks around it: `strong`, `em`, `s`, `code`. Space at its ends stays outside, as Markdown wants."""
    core = text.strip()
    if not core:
        return text
    before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    core = _code(core) if "code" in marks else escaped(core).replace("\n", "\\\n")
    for name, sign in (("s", "~~"), ("em", "*"), ("strong", "**")):
        core = f"{sign}{core}{sign}" if name in marks else core
    return f"{before}{f'[{core}](<{_address(link)}>)' if link else core}{after}"


def _address(link: str) -> str:
    return re.sub(r"[<>\s\\]", lambda found: f"%{ord(found[0]):02X}", link)


def _code(text: str) -> str:
    fence = "`" * (max((len(run) for run in re.findall(r"`+", text)), default=0) + 1)
    pad = " " if text[:1] == "`" or text[-1:] == "`" else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def fenced(text: str, language: str = "") -> str:
    """A block of code."""
    fence = "`" * max(3, max((len(run) for run in re.findall(r"`+", text)), default=0) + 1)
    return f"{fence}{re.sub(r'[^A-Za-z0-9+#._-]', '', language)}\n{text}\n{fence}"


def indented(text: str, first: str) -> str:
    """A block whose first line begins with `first` and whose others stand below it."""
    rest = " " * len(first)
    return "\n".join(
        (first if number == 0 else rest if line else "") + line for number, line in enumerate(text.split("\n"))
    )


def quoted(text: str) -> str:
    """A block quote."""
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


def table(rows: Sequence[Sequence[str]]) -> str:
    """A table; its first row is the heading."""
    width = max(map(len, rows), default=0)
    if not width:
        return ""
    cells = [[cell.replace("\\\n", " ").replace("\n", " ") for cell in row] + [""] * (width - len(row)) for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join([lines[0], f"|{' --- |' * width}", *lines[1:]])


def objects(value: Any) -> list[Object]:
    """The objects in a list; nothing of what is none."""
    return [each for each in value if _is_object(each)] if is_list(value) else []


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Is it a list?"""
    return isinstance(value, list)


def _is_object(value: Any) -> TypeGuard[Object]:
    return isinstance(value, Mapping)


def inner(value: Object, *names: str) -> Object:
    """The object at the end of a way of names; an empty one where there is none."""
    for name in names:
        found = value.get(name)
        value = found if _is_object(found) else {}
    return value
