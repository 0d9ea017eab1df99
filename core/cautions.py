# ruff: noqa: RUF001 - the angle quotes are meant
"""What a person should know before believing a value that came from outside or from a model: it may be made to lie."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from clew.core.errors import quote
from clew.core.fields import as_list, as_object
from clew.core.lookalikes import disguised, hidden, marked, scripts, stacked, turned

SHOWN = 400
"""How many characters of a value a person gets to see."""

_MARKUP = re.compile(
    r"</?[a-z!][^<>]{0,200}>|!?\[[^\[\]]{0,200}\]\([^()\s]{1,300}[^()]{0,100}\)|&(?:#\d+|#x[0-9a-f]+|[a-z]+);"
    r"|^\s{0,3}(?:#{1,6}\s|```|~~~|>\s)|\*\*[^*]{1,200}\*\*",
    re.IGNORECASE | re.MULTILINE,
)
_ADDRESS = re.compile(r"https?://[^\s<>\"')\]]{3,2000}", re.IGNORECASE)
_ENDED = re.compile(r"\x1b|[\x80-\x9f]|\x07|\x08")
_MOST, _DEPTH = 8, 8


def shown(value: Any, limit: int = SHOWN) -> str:
    """A value on one line: what cannot be seen is marked, what is too long is cut and says so."""
    text = value if isinstance(value, str) else _spelled(value)
    flat = marked(text[: limit * 4]).replace('"', "'")
    if len(flat) <= limit and len(text) <= limit * 4:
        return flat
    return f"{flat[: limit - 1]}… [{len(text)} characters in all]"


def _spelled(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def cautions(values: Mapping[str, Any]) -> list[str]:
    """One sentence for each way in which one of these values could mislead whoever reads it; a few at most."""
    found = list(dict.fromkeys(each for name, text in _texts(values, "", 0) for each in _about(quote(name, 60), text)))
    return found if len(found) <= _MOST else [*found[:_MOST], f"and {len(found) - _MOST} warnings more"]


def _texts(value: Any, name: str, depth: int) -> Iterator[tuple[str, str]]:
    table, items = as_object(value), as_list(value)
    if isinstance(value, str):
        yield name or "value", value
    elif depth > _DEPTH:
        yield name, _spelled(value)[: SHOWN * 10]
    elif table is not None:
        for key, each in table.items():
            below = f"{name}.{key}" if name else str(key)
            if not str(key).isascii() or not str(key).isprintable():
                yield f"a name in {name}" if name else "a name", str(key)
            yield from _texts(each, below, depth + 1)
    elif items is not None:
        for each in items:
            yield from _texts(each, name, depth + 1)


def _about(name: str, text: str) -> Iterator[str]:
    unseen = hidden(text)
    if _ENDED.search(text):
        yield f"{name} holds control characters that could draw on a terminal; they are shown as ‹U+…›"
    elif unseen:
        yield f"{name} holds characters that nobody sees ({', '.join(unseen[:3])}); they are shown as ‹U+…›"
    for word, reads in disguised(text)[:3]:
        kind = "is a coded name" if word.isascii() else f"has {scripts(word)} letters"
        yield f"{name}: {quote(word, 60)} {kind} and reads as {quote(reads, 60)}"
    if stacked(text):
        yield f"{name} piles marks on letters, which may cover what stands around them"
    if turned(text):
        yield f"{name} holds letters written from right to left; its parts may be shown in another order"
    if _MARKUP.search(text):
        yield f"{name} holds Markdown or HTML; it is shown as it is, not as it would look"
    for address in _ADDRESS.findall(text):
        yield from _leads(name, address)
    if len(text) > SHOWN:
        yield f"{name} is longer than what is shown ({len(text)} characters)"


def _leads(name: str, address: str) -> Iterator[str]:
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        yield f"{name} holds an address that cannot be read"
        return
    if "@" in parts.netloc:
        yield f"{name}: an address in it leads to {quote(host, 60)}, not to {quote(parts.netloc.split('@')[0], 60)}"
