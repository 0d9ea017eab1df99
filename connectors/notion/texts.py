"""Notion's rich text and Markdown within a line, both ways.

Notion takes at most 2000 characters a piece and 100 pieces a text, and refuses the whole request for a link that is no
web or mail address. https://developers.notion.com/reference/rich-text, /reference/request-limits
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from .ids import address_of

Object = Mapping[str, Any]
PIECE, PIECES = 1000, 100
"""Characters of one piece, so few that even those which count twice fit, and pieces of one text."""

_MARK = re.compile(
    r"""
      \\(?P<escaped>[!-/:-@\[-`{-~])
    | (?P<ticks>`{1,3})(?!`)(?P<code>.{1,1000}?)(?<!`)(?P=ticks)(?!`)
    | !?\[(?P<label>(?:\\.|[^\[\]\\]){1,1000})\]
        \((?P<target>[^\s()<>]{1,2000}(?:\([^\s()<>]{0,200}\)[^\s()<>]{0,200})?)\)
    | <(?P<auto>https?://[^\s<>]{1,2000})>
    | \*\*\*(?=\S)(?P<both>.{1,1000}?)(?<=\S)\*\*\*
    | (?:\*\*(?=\S)(?P<bold>.{1,1000}?)(?<=\S)\*\*(?!\*)|__(?=\S)(?P<bold_>.{1,1000}?)(?<=\S)__(?!\w))
    | ~~(?=\S)(?P<strikethrough>.{1,1000}?)(?<=\S)~~
    | (?:\*(?=[^\s*])(?P<italic>.{0,1000}?[^\s*])\*|(?<!\w)_(?=\S)(?P<italic_>.{1,1000}?)(?<=\S)_(?!\w))
    | (?P<bare>https?://[^\s<>\[\]()*`"]{1,2000}(?<![.,:;!?']))
    """,
    re.VERBOSE | re.DOTALL,
)
_LINK = re.compile(r"https?://[^\s/]+\S*|mailto:\S+@\S+", re.IGNORECASE)


def rich(text: str) -> list[dict[str, Any]]:
    """Markdown within a line as rich text. Raises `ValueError` for more pieces than Notion takes."""
    runs = _merged(_parsed(text, frozenset(), None))
    pieces = [piece for run in runs for piece in _part(*run)]
    if len(pieces) > PIECES:
        raise ValueError(f"one paragraph has {len(pieces)} differently formatted pieces; {PIECES} fit")
    return pieces


Run = tuple[str, frozenset[str], str | None]


def _parsed(text: str, marks: frozenset[str], link: str | None) -> Iterator[Run]:
    place = 0
    for found in _MARK.finditer(text):
        yield text[place : found.start()], marks, link
        place = found.end()
        yield from _one(found, marks, link)
    yield text[place:], marks, link


def _one(found: re.Match[str], marks: frozenset[str], link: str | None) -> Iterator[Run]:
    kind = str(found.lastgroup)
    inner = found["target"] if kind == "target" else found[kind]
    match kind.rstrip("_"):
        case "escaped":
            yield inner, marks, link
        case "code":
            yield inner, marks | {"code"}, link
        case "target" if _LINK.fullmatch(inner):
            yield from _parsed(found["label"], marks, inner)
        case "auto" | "bare":
            yield inner, marks, link or inner
        case "both":
            yield from _parsed(inner, marks | {"bold", "italic"}, link)
        case "bold" | "italic" | "strikethrough" as mark:
            yield from _parsed(inner, marks | {mark}, link)
        case _:  # a link that Notion would refuse: as it was written
            yield found[0], marks, link


def _merged(runs: Iterator[Run]) -> list[Run]:
    """Neighbours that look alike in one."""
    merged: list[Run] = []
    for text, marks, link in runs:
        if merged and merged[-1][1:] == (marks, link):
            merged[-1] = (merged[-1][0] + text, marks, link)
        elif text:
            merged.append((text, marks, link))
    return merged


def _part(text: str, marks: frozenset[str], link: str | None) -> Iterator[dict[str, Any]]:
    for begin in range(0, len(text), PIECE):
        piece: dict[str, Any] = {"content": text[begin : begin + PIECE]}
        if link:
            piece["link"] = {"url": link}
        made: dict[str, Any] = {"type": "text", "text": piece}
        if marks:
            made["annotations"] = dict.fromkeys(sorted(marks), True)
        yield made


def unformatted(text: str) -> list[dict[str, Any]]:
    """Text as it is: code."""
    return list(_part(text, frozenset(), None))


def object_of(value: Any) -> Object:
    """What should be an object; empty when it is none."""
    return cast("Object", value) if isinstance(value, dict) else {}


def objects(value: Any) -> list[Object]:
    """The objects of what should be a list of them."""
    listed = cast("list[object]", value) if isinstance(value, list) else []
    return [object_of(each) for each in listed if isinstance(each, dict)]


def plain(value: Any) -> str:
    """The words of rich text, of an answer or of our own."""
    return "".join(_words(each) for each in objects(value))


def _words(piece: Object) -> str:
    return str(piece.get("plain_text") or object_of(piece.get("text")).get("content") or "")


def markdown(value: Any) -> str:
    """Rich text as Markdown. What looks like Markdown and is none is escaped."""
    return "".join(_written(each) for each in objects(value))


def _written(piece: Object) -> str:
    text, kind = _words(piece), piece.get("type")
    marks = object_of(piece.get("annotations"))
    if kind == "equation":
        return f"${text}$"
    if kind == "mention":
        return _mention(piece, text)
    core = text.strip()
    if not core:
        return text
    before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    link = str(piece.get("href") or "")
    if link == core and not any(marks.get(each) for each in ("bold", "italic", "strikethrough", "code")):
        return text
    core = _ticked(core) if marks.get("code") else _escaped(core)
    for mark, sign in (("strikethrough", "~~"), ("italic", "*"), ("bold", "**")):
        if marks.get(mark):
            core = f"{sign}{core}{sign}"
    if link.startswith("/"):  # how Notion writes a link to one of its own pages
        link = f"https://www.notion.so{link}"
    return f"{before}[{core}]({link}){after}" if link else f"{before}{core}{after}"


def _mention(piece: Object, text: str) -> str:
    what = object_of(piece.get("mention"))
    target = str(object_of(what.get(str(what.get("type")))).get("id") or "")
    return f"[{_escaped(text)}]({address_of(target)})" if target and what.get("type") in ("page", "database") else text


def _ticked(text: str) -> str:
    sign = "`" if "`" not in text else "``"
    return f"{sign}{text}{sign}"


def _escaped(text: str) -> str:
    """With backslashes where Markdown would be read: not within words, so that names stay as they are."""
    return re.sub(r"([\\`*\[\]]|~(?=~)|(?<!\w)_|_(?!\w))", r"\\\1", text)
