"""Mail from outside, parsed without trust: bounded in size, lines, nesting and header length; nothing here raises.

The standard library's parser reads any bytes, but takes quadratic time for deep nesting and runs into the recursion
limit; so what is too deep is not taken apart at all. Headers are read by its old policy: the new one fails on some.
"""

import contextlib
import email
import email.header
import email.utils
import re
from collections.abc import Iterator
from email.message import Message
from typing import TYPE_CHECKING, Any

from clew.core.fields import as_list

LARGEST = 16_000_000
"""Bytes of a message that are parsed."""
MOST_LINES = 300_000
MOST_BOUNDARIES = 30
MOST_WORK = 1_500_000
"""Lines times boundaries: the parser compares every line with every boundary that is open."""
MOST_PARTS = 200
LONGEST_HEADER = 8_000
_BOUNDARY = re.compile(rb"boundary", re.IGNORECASE)
_SPACE = re.compile(r"\s+")

if TYPE_CHECKING:
    AnyMessage = Message[Any, Any]
else:
    AnyMessage = Message  # generic for type checkers only


def parse(raw: bytes) -> AnyMessage:
    """The message in `raw`, or in as much of it as is parsed. What is nested too deeply comes as one piece of text."""
    raw = raw[:LARGEST]
    lines = raw.split(b"\n", MOST_LINES)
    if len(lines) > MOST_LINES:
        raw = b"\n".join(lines[:MOST_LINES])
    boundaries = len(_BOUNDARY.findall(raw))
    if boundaries <= MOST_BOUNDARIES and boundaries * len(lines) <= MOST_WORK:
        with contextlib.suppress(Exception):  # the parser's own faults
            return email.message_from_bytes(raw)
    flat: AnyMessage = Message()
    head, _, body = raw.partition(b"\n\n") if b"\r\n\r\n" not in raw else raw.partition(b"\r\n\r\n")
    with contextlib.suppress(Exception):
        for name, value in email.message_from_bytes(head[:100_000]).items():
            if not name.lower().startswith("content-"):
                flat[name] = value
    flat.set_payload(body.decode("utf-8", "replace"))
    return flat


def walk(message: AnyMessage, depth: int = 0) -> Iterator[AnyMessage]:
    """The message and its parts, outer first, at most `MOST_PARTS`. Each part is visited once, messages inside too."""
    pending, count = [(message, 0)], 0
    while pending and count < MOST_PARTS:
        part, depth = pending.pop(0)
        count += 1
        yield part
        if depth < MOST_BOUNDARIES:
            pending[:0] = [(each, depth + 1) for each in children(part)]


def children(part: AnyMessage) -> list[AnyMessage]:
    """What a multipart or an enclosed message holds."""
    inside: Any = part.get_payload()
    listed = as_list(inside) or []
    return [each for each in listed[:MOST_PARTS] if isinstance(each, Message)]


def kind_of(part: AnyMessage) -> str:
    """The media type in lower case; `text/plain` when it says none that can be read."""
    return "text/plain" if len(raw_header(part, "content-type")) > LONGEST_HEADER else part.get_content_type()


def parameter(part: AnyMessage, name: str, header: str = "content-type") -> str:
    """A parameter of a header, in one line; empty when there is none."""
    if len(raw_header(part, header)) > LONGEST_HEADER:
        return ""
    with contextlib.suppress(Exception):
        found: Any = part.get_param(name, header=header)
        return "" if found is None else _line(email.utils.collapse_rfc2231_value(found))
    return ""


def raw_header(part: AnyMessage, name: str) -> str:
    """The first header of that name as it stands, or an empty text."""
    with contextlib.suppress(Exception):
        value: Any = part.get(name, "")
        return str(value)
    return ""


def header(part: AnyMessage, name: str) -> str:
    """The first header of that name, decoded, in one line; empty when there is none."""
    return decoded(raw_header(part, name))


def headers(part: AnyMessage, name: str) -> list[str]:
    """Every header of that name, decoded."""
    with contextlib.suppress(Exception):
        values: list[Any] = part.get_all(name, [])
        return [decoded(str(value)) for value in values[:50]]
    return []


def decoded(value: str) -> str:
    """A header's value with its encoded words (RFC 2047) read, in one line."""
    value = value[:LONGEST_HEADER]
    with contextlib.suppress(Exception):
        return _line(str(email.header.make_header(email.header.decode_header(value))))
    return _line(value)


def _line(text: str) -> str:
    whole = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return _SPACE.sub(" ", "".join(char if char.isprintable() else " " for char in whole)).strip()


def content(part: AnyMessage) -> bytes:
    """The bytes of a part that is no multipart, its transfer encoding undone."""
    with contextlib.suppress(Exception):
        found: Any = part.get_payload(decode=True)
        if isinstance(found, bytes):
            return found
        inside: Any = part.get_payload()
        return "\n".join(each.as_string() for each in inside).encode("utf-8", "replace") if inside else b""
    return b""


def text(part: AnyMessage) -> str:
    """The text of a part, whatever it says its charset is. Line ends are `\\n`."""
    raw, charset = content(part), parameter(part, "charset") or "utf-8"
    for name in (charset, "utf-8"):
        with contextlib.suppress(LookupError, UnicodeError, ValueError):
            return _newlines(raw.decode(name))
    return _newlines(raw.decode("latin-1"))


def _newlines(value: str) -> str:
    return value.replace("\r\n", "\n").replace("\r", "\n")


def people(part: AnyMessage, name: str) -> list[tuple[str, str]]:
    """Name and address of everybody in the headers of that name; what is no address is left out.

    Taken apart first and decoded after: an encoded name may hold commas and colons, and must not become an address.
    """
    with contextlib.suppress(Exception):
        values: list[Any] = part.get_all(name, [])
        lines = [str(value)[:LONGEST_HEADER] for value in values[:10]]
        found = email.utils.getaddresses(lines)[:200]
        return [(decoded(who), _line(address)) for who, address in found if "@" in address]
    return []


_ID = re.compile(r"<[^<>\s]{3,250}>")


def message_ids(value: str) -> list[str]:
    """The message ids in a header's value, in their order, each once."""
    return list(dict.fromkeys(_ID.findall(value[: LONGEST_HEADER * 4])))
