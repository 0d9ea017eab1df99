"""XML from strangers: read without DTD, entities or network, with bounds, into a plain tree.

The parser is the standard library's expat; a document type declaration ends the reading, so neither entity bombs nor
external entities can begin. UTF-8, UTF-16 and Latin-1 are understood, as the document declares.
"""

import re
from collections.abc import Iterator
from dataclasses import field
from xml.parsers import expat

from clew.core.values import dataclass

DEEPEST, MOST = 200, 200_000
"""How deep elements may nest, and how many there may be."""


class MarkupError(ValueError):
    """This is not XML that we read; the message says why, never the content."""


@dataclass(slots=True)
class Element:
    """One XML element: local name, namespace, attributes by local name, its own text, its children."""

    name: str
    space: str = ""
    attributes: dict[str, str] = field(default_factory=dict[str, str])
    text: str = ""
    children: list["Element"] = field(default_factory=list["Element"])

    def walk(self) -> Iterator["Element"]:
        """This element and everything below it, in document order."""
        waiting: list[Element] = [self]
        while waiting:
            element = waiting.pop()
            yield element
            waiting.extend(reversed(element.children))

    def child(self, *names: str) -> "Element | None":
        """The first child with one of these local names, in any case of letters."""
        return next((each for each in self.children if each.name.lower() in names), None)

    def find(self, *names: str) -> "Element | None":
        """The first element at any depth with one of these local names (lower case)."""
        return next((each for each in self.walk() if each.name.lower() in names), None)

    def words(self) -> str:
        """All text below, on one line."""
        return " ".join(" ".join(each.text for each in self.walk()).split())


def looks_like_markup(content: bytes) -> bool:
    """Does it begin like XML or HTML, in an encoding that expat knows?"""
    head = content[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    return head[:1] == b"<" or content[:2] in (b"\xff\xfe", b"\xfe\xff", b"\0<")


def looks_like_a_page(content: bytes) -> bool:
    """Does it begin like a web page?"""
    head = content[:1000].decode("utf-8", "replace").lstrip("\ufeff \t\r\n").lower()
    return re.match(r"(?:<!--.*?-->\s*)*(?:<!doctype html|<html|<head|<body)", head, re.DOTALL) is not None


def parse(content: bytes) -> Element:
    """The root element. Raises `MarkupError` for a DTD, and for what is not well-formed, too deep or too big."""
    builder = _Builder()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = builder.doctype
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.characters
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, LookupError, UnicodeError) as error:
        raise MarkupError("damaged XML") from error
    return builder.root.children[0]


class _Builder:
    def __init__(self) -> None:
        self.root = Element("")
        self.open = [self.root]
        self.count = 0

    def doctype(self, *_: object) -> None:
        raise MarkupError("a document type declaration")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.count += 1
        if len(self.open) > DEEPEST or self.count > MOST:
            raise MarkupError("too much XML")
        space, _, local = name.rpartition(" ")
        named = {key.rpartition(" ")[2]: value for key, value in attributes.items()}
        element = Element(local, space, named)
        self.open[-1].children.append(element)
        self.open.append(element)

    def end(self, _name: str) -> None:
        self.open.pop()

    def characters(self, text: str) -> None:
        self.open[-1].text += text
