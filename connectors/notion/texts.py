"""Notion's rich text and Markdown within a line, both ways.

Notion takes at most 2000 characters a piece and 100 pieces a text, and refuses the whole request for a link that is no
web or mail address. https://developers.notion.com/reference/rich-text, /reference/request-limits
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, cast

from .ids import address_of

Object = Mapping[str, Any]
PIECE, PIECES = 1000, 100
"""Characters of one piece, so few that even those which count twice fit, and pieces of one text."""

_ATOM = re.compile(
    r"""
      \\(?P<escaped>[!-/:-@\[-`{-~])
    | (?P<ticks>`{1,9})(?!`)(?P<code>.{1,1000}?)(?<!`)(?P=ticks)(?!`)
    | !?\[(?P<label>(?:\\.|[^\[\]\\]){1,1000})\]
        \((?P<target>[^\s()<>]{1,2000}(?:\([^\s()<>]{0,200}\)[^\s()<>]{0,200})?)\)
    | <(?P<auto>https?://[^\s<>]{1,2000})>
    """,
    re.VERBOSE | re.DOTALL,
)
"""What no other mark begins or ends in."""
_SPAN = re.compile(
    r"""
      (?P<atom>\x01\x00*)
    | \*\*\*(?=\S)(?P<both>.{1,1000}?)(?<=\S)\*\*\*
    | (?:\*\*(?=\S)(?P<bold>.{1,1000}?)(?<=\S)\*\*(?!\*)|__(?=\S)(?P<bold_>.{1,1000}?)(?<=\S)__(?!\w))
    | ~~(?=\S)(?P<strikethrough>.{1,1000}?)(?<=\S)~~
    | (?:\*(?=[^\s*])(?P<italic>.{0,1000}?[^\s*])\*|(?<!\w)_(?=\S)(?P<italic_>.{1,1000}?)(?<=\S)_(?!\w))
    | (?P<bare>https?://[^\s<>\[\]()*`"]{1,2000}(?<![.,:;!?']))
    """,
    re.VERBOSE | re.DOTALL,
)
"""Marks around a text, looked for where every atom is covered by as many characters that are no mark."""
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
    atoms = {found.start(): found for found in _ATOM.finditer(text)}
    place = 0
    for span in _SPAN.finditer(_ATOM.sub(_covered, text)):
        yield text[place : span.start()], marks, link
        place = span.end()
        kind = str(span.lastgroup)
        if kind != "atom":
            yield from _inside(kind.rstrip("_"), text[slice(*span.span(kind))], marks, link)
        elif atom := atoms.get(span.start()):
            yield from _atom(atom, marks, link)
        else:  # that character itself
            yield span[0], marks, link
    yield text[place:], marks, link


def _covered(atom: re.Match[str]) -> str:
    return "\x01".ljust(len(atom[0]), "\x00")


def _atom(found: re.Match[str], marks: frozenset[str], link: str | None) -> Iterator[Run]:
    if found["escaped"]:
        yield found["escaped"], marks, link
    elif found["code"]:
        yield _unpadded(found["code"]), marks | {"code"}, link
    elif found["auto"]:
        yield found["auto"], marks, link or found["auto"]
    elif _LINK.fullmatch(found["target"]):
        yield from _parsed(found["label"], marks, found["target"])
    else:  # a link that Notion would refuse: as it was written
        yield found[0], marks, link


def _inside(kind: str, text: str, marks: frozenset[str], link: str | None) -> Iterator[Run]:
    if kind == "bare":
        yield text, marks, link or text
    else:
        yield from _parsed(text, marks | ({"bold", "italic"} if kind == "both" else {kind}), link)


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
    return _written([_piece(each) for each in objects(value)], _SIGNS)


Piece = tuple[str, Mapping[str, Any]]
"""A text, and the marks around it by name; `link` is an address, `as_is` for what is Markdown already."""
_SIGNS = ("link", "bold", "italic", "strikethrough")


def _piece(piece: Object) -> Piece:
    text, kind = _words(piece), piece.get("type")
    if kind == "equation":
        return f"${text}$", {"as_is": True}
    if kind == "mention":
        return _mention(piece, text), {"as_is": True}
    given = object_of(piece.get("annotations"))
    marks: dict[str, Any] = {name: True for name in (*_SIGNS, "code") if given.get(name)}
    link = str(piece.get("href") or "")
    if link and link == text.strip() and not marks:
        return text, {"as_is": True}
    if link:  # how Notion writes one to its own pages begins with the path
        marks["link"] = f"https://www.notion.so{link}" if link.startswith("/") else link
    return text, marks


def _written(pieces: Sequence[Piece], signs: Sequence[str]) -> str:
    """Neighbours with a mark in common stand in one pair of its signs: two that touch would be read as another."""
    if not signs:
        alike = groupby(pieces, lambda piece: (bool(piece[1].get("as_is")), bool(piece[1].get("code"))))
        return "".join(_leaf("".join(text for text, _ in group), *how) for how, group in alike)
    first, *others = signs
    parts: list[str] = []
    for mark, group in groupby(pieces, lambda piece: piece[1].get(first)):
        inner = _written(list(group), others)
        parts.append(_around(inner, first, mark) if mark and inner.strip() else inner)
    return "".join(parts)


def _around(text: str, mark: str, value: Any) -> str:
    """Space at the ends stays outside, as Markdown wants."""
    core = text.strip()
    before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    sign = {"bold": "**", "italic": "*", "strikethrough": "~~"}.get(mark)
    return f"{before}{sign}{core}{sign}{after}" if sign else f"{before}[{core}]({value}){after}"


def _leaf(text: str, as_is: bool, code: bool) -> str:
    core = text.strip()
    if not core or as_is:
        return text
    before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    return f"{before}{_ticked(core) if code else _escaped(core)}{after}"


def _mention(piece: Object, text: str) -> str:
    what = object_of(piece.get("mention"))
    target = str(object_of(what.get(str(what.get("type")))).get("id") or "")
    return f"[{_escaped(text)}]({address_of(target)})" if target and what.get("type") in ("page", "database") else text


def _ticked(text: str) -> str:
    """Code between more ticks than stand in it; with a space where one stands at its end."""
    sign = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    pad = " " if "`" in (text[0], text[-1]) else ""
    return f"{sign}{pad}{text}{pad}{sign}"


def _unpadded(code: str) -> str:
    return code[1:-1] if re.fullmatch(r" (`.*|.*`) ", code, re.DOTALL) else code


def _escaped(text: str) -> str:
    """With backslashes where Markdown would be read: not within words, so that names stay as they are."""
    return re.sub(r"([\\`*\[\]]|^~|~(?=~|$)|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", text)
