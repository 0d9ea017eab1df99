"""A received message as text that a model can read, and a list of what is attached to it."""

import contextlib
import email.utils
from datetime import UTC
from html.parser import HTMLParser

from clew.core.mail import parts
from clew.core.mail.parts import AnyMessage
from clew.core.values import dataclass

_BLOCKS = frozenset({
    "article", "blockquote", "br", "div", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "section",
    "table", "tr", "ul",
})  # fmt: skip
_SILENT = frozenset({"script", "style", "head", "title", "template"})


@dataclass(frozen=True, slots=True)
class Enclosure:
    """Something attached: `part` names it inside its message, `size` is in bytes, decoded."""

    part: int
    filename: str
    content_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A message taken apart. `date` is ISO in UTC, or empty when it says none that can be read."""

    message_id: str
    subject: str
    sender: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    date: str
    text: str
    in_reply_to: str
    references: tuple[str, ...]
    reply_to: tuple[str, ...]
    enclosures: tuple[Enclosure, ...]
    automatic: bool


def open_message(raw: bytes) -> Opened:
    """Take a message apart. Never raises; what is missing is empty."""
    message = parts.parse(raw)
    found = list(parts.walk(message))
    ids = parts.message_ids(parts.raw_header(message, "message-id"))
    people = parts.people(message, "from")
    name, address = people[0] if people else ("", parts.header(message, "from")[:200])
    return Opened(
        message_id=ids[0] if ids else "",
        subject=parts.header(message, "subject"),
        sender=f"{name[:200]} <{address}>" if name else address,
        to=_people(message, "to"),
        cc=_people(message, "cc"),
        date=_date(parts.header(message, "date")),
        text=_text(found),
        in_reply_to=next(iter(parts.message_ids(parts.raw_header(message, "in-reply-to"))), ""),
        references=tuple(parts.message_ids(parts.raw_header(message, "references"))),
        reply_to=_people(message, "reply-to"),
        enclosures=tuple(_enclosures(found)),
        automatic=_automatic(message),
    )


def enclosed(raw: bytes, part: int) -> tuple[Enclosure, bytes] | None:
    """One attachment with its bytes; `None` when the message has no such part."""
    found = list(parts.walk(parts.parse(raw)))
    for each in _enclosures(found):
        if each.part == part:
            return each, parts.content(found[part])
    return None


def _people(message: AnyMessage, name: str) -> tuple[str, ...]:
    return tuple(address for _, address in parts.people(message, name))


def _date(value: str) -> str:
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        moment = email.utils.parsedate_to_datetime(value)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return ""


def _automatic(message: AnyMessage) -> bool:
    """Was it written by a program? Such mail is never answered: two programs would never stop."""
    submitted = parts.header(message, "auto-submitted").lower()
    empty = parts.header(message, "return-path") == "<>"
    bulk = parts.header(message, "precedence").lower() in ("bulk", "junk", "list", "auto_reply")
    return empty or bulk or (bool(submitted) and not submitted.startswith("no"))


def _is_attached(part: AnyMessage) -> bool:
    said = parts.raw_header(part, "content-disposition").lower()
    named = bool(parts.parameter(part, "filename", "content-disposition") or parts.parameter(part, "name"))
    plain = parts.kind_of(part) in ("text/plain", "text/html")
    return said.startswith("attachment") or named or not plain


def _enclosures(found: list[AnyMessage]) -> list[Enclosure]:
    listed: list[Enclosure] = []
    for place, part in enumerate(found):
        kind = parts.kind_of(part)
        if part.is_multipart() or not _is_attached(part):
            continue
        name = parts.parameter(part, "filename", "content-disposition") or parts.parameter(part, "name")
        plain = name.replace("\\", "/").rpartition("/")[2].strip(". ")[:150]
        listed.append(Enclosure(place, plain or f"part-{place}", kind[:100], len(parts.content(part))))
    return listed


def _text(found: list[AnyMessage]) -> str:
    """The text a person would read: plain where there is one, else HTML without its marks."""
    bodies = [part for part in found if not part.is_multipart() and not _is_attached(part)]
    plain = next((parts.text(part) for part in bodies if parts.kind_of(part) == "text/plain"), "")
    if plain.strip():
        return plain.strip()
    html = next((parts.text(part) for part in bodies if parts.kind_of(part) == "text/html"), "")
    return text_of_html(html) if html else plain


def text_of_html(html: str) -> str:
    """The words of a page, one line for each block; scripts, styles and comments are left out."""
    reader = _Words()
    with contextlib.suppress(Exception):  # the parser gives up on some broken declarations
        reader.feed(html[:500_000])
        reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.words).split("\n"))
    return "\n".join(line for line in lines if line)


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self.silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.silent += tag in _SILENT
        if tag in _BLOCKS:
            self.words.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self.silent = max(0, self.silent - (tag in _SILENT))
        if tag in _BLOCKS:
            self.words.append("\n")

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.words.append(data)
