"""Change one value in a JSON text that people also edit: comments, order, indentation and line ends stay as they are.

JSON here is what hosts accept: with comments and trailing commas. Only the span of the changed member is rewritten.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from clew.core.values import dataclass

_BLANK = re.compile(r"(?:[ \t\r\n\ufeff]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_REST_OF_LINE = re.compile(r"(?:[ \t]+|/\*[^\n]*?\*/)*(?://[^\n\r]*)?(?=\r?\n|\Z)")
_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|//[^\n]*|/\*.*?\*/|[{}\[\],]|[^"/{}\[\],]+|/', re.DOTALL)
_DECODER = json.JSONDecoder()


class UnreadableError(ValueError):
    """The text is not JSON, even with comments and trailing commas. `line` counts from 1."""

    def __init__(self, what: str, text: str, at: int) -> None:
        self.line = text.count("\n", 0, at) + 1
        super().__init__(f"{what} in line {self.line}")


@dataclass(frozen=True, slots=True)
class _Member:
    key: str
    start: int
    value: int
    end: int
    comma: int | None
    """Where the comma after it stands."""


@dataclass(frozen=True, slots=True)
class _Object:
    start: int
    end: int
    """Just after the brace."""
    members: tuple[_Member, ...]


def loads(text: str) -> Any:
    """The data. A text without any value is an empty object. Raises `UnreadableError`."""
    if _blank(text, 0) == len(text):
        return {}
    try:
        return json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        pass
    try:
        return json.loads(_plain(text))
    except json.JSONDecodeError as error:
        raise UnreadableError(error.msg, text, error.pos) from None
    except RecursionError:
        raise UnreadableError("too many levels", text, 0) from None


def put(text: str, path: Sequence[str], value: Any) -> str:
    """`text` with the member at `path` set, and the objects on the way created. Raises `UnreadableError`."""
    line = _line_end(text)
    at = _blank(text, 0)
    if at == len(text):
        whole = _dump(_nested(path, value), "  ", "", line)
        return f"{text}{'' if not text or text.endswith(chr(10)) else line}{whole}{line}"
    unit = _unit(text)
    depth = 0
    while True:
        here = _object(text, at)
        depth += 1
        found = _find(text, here, path[depth - 1])
        if found is None:
            inner = _nested(path[depth:], value)
            return _insert(text, here, f"{json.dumps(path[depth - 1])}: ", inner, unit=unit, depth=depth)
        if depth == len(path):
            indent = _indent_of(text, found.start) or unit * depth
            return f"{text[: found.value]}{_dump(value, unit, indent, line)}{text[found.end :]}"
        at = found.value


def drop(text: str, path: Sequence[str]) -> str:
    """`text` without the member at `path`; unchanged when it is not there. Raises `UnreadableError`."""
    at = _blank(text, 0)
    if at == len(text):
        return text
    for key in path[:-1]:
        found = _find(text, _object(text, at), key)
        if found is None:
            return text
        at = found.value
    here = _object(text, at)
    found = _find(text, here, path[-1])
    if found is None:
        return text
    place = here.members.index(found)
    start, end = found.start, found.end if found.comma is None else found.comma + 1
    last_of_others = here.members[place - 1] if place and found.comma is None else None
    begin = text.rfind("\n", 0, start) + 1
    rest = _REST_OF_LINE.match(text, end)
    if not text[begin:start].strip() and rest:  # it has its lines for itself
        start = begin
        end = rest.end()
        end += len("\r\n") if text.startswith("\r\n", end) else text.startswith("\n", end)
    cut = text[:start] + text[end:]
    if last_of_others is not None and last_of_others.comma is not None:
        cut = cut[: last_of_others.comma] + cut[last_of_others.comma + 1 :]
    return cut


def _insert(text: str, here: _Object, key: str, value: Any, *, unit: str, depth: int) -> str:
    """`text` with one more member at the end of an object."""
    line = _line_end(text)
    if not here.members:
        outer = _indent_of(text, here.start) if depth > 1 else ""
        inner = (outer or unit * (depth - 1)) + unit
        kept = text[here.start + 1 : here.end - 1].strip()  # comments only
        kept = f"{line}{inner}{kept}" if kept else ""
        member = f"{kept}{line}{inner}{key}{_dump(value, unit, inner, line)}{line}{inner[: -len(unit)]}"
        return f"{text[: here.start + 1]}{member}{text[here.end - 1 :]}"
    last = here.members[-1]
    indent = _indent_of(text, last.start)
    if indent is None:  # all on one line
        member = f"{key}{json.dumps(value, ensure_ascii=False)}"
        end = last.end if last.comma is None else last.comma + 1
        return f"{text[:end]}{',' if last.comma is None else ''} {member}{text[end:]}"
    member = f"{line}{indent}{key}{_dump(value, unit, indent, line)}"
    end = last.end if last.comma is None else last.comma + 1
    rest = _REST_OF_LINE.match(text, end)
    after = rest.end() if rest else end
    comma, trailing = (",", "") if last.comma is None else ("", ",")
    return f"{text[:end]}{comma}{text[end:after]}{member}{trailing}{text[after:]}"


def _object(text: str, at: int) -> _Object:
    """The object that begins at `at`, its members with their spans."""
    if text[at : at + 1] != "{":
        raise UnreadableError("an object was expected", text, at)
    members: list[_Member] = []
    here = _blank(text, at + 1)
    while text[here : here + 1] != "}":
        start = here
        if text[here : here + 1] != '"':
            raise UnreadableError("a name in quotes was expected", text, here)
        try:
            key, here = _DECODER.raw_decode(text, here)
        except ValueError:
            raise UnreadableError("a name is not closed", text, here) from None
        here = _blank(text, here)
        if text[here : here + 1] != ":":
            raise UnreadableError("a colon was expected", text, here)
        value = _blank(text, here + 1)
        end = _after(text, value)
        here = _blank(text, end)
        comma = here if text[here : here + 1] == "," else None
        members.append(_Member(key, start, value, end, comma))
        if comma is not None:
            here = _blank(text, here + 1)
        elif text[here : here + 1] != "}":
            raise UnreadableError("a comma or a closing brace was expected", text, here)
    return _Object(at, here + 1, tuple(members))


def _after(text: str, at: int) -> int:
    """Where the value that begins at `at` ends."""
    try:
        return _DECODER.raw_decode(text, at)[1]
    except (ValueError, RecursionError):
        pass
    if text[at : at + 1] not in ("{", "["):
        raise UnreadableError("a value was expected", text, at)
    depth, here = 0, at
    while token := _TOKEN.match(text, here):
        here = token.end()
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token.group(), 0)
        if depth == 0:
            return here
    raise UnreadableError("an object or a list is not closed", text, at)


def _find(text: str, here: _Object, key: str) -> _Member | None:
    found = [member for member in here.members if member.key == key]
    if len(found) > 1:
        raise UnreadableError(f"{key!r} stands there twice, the second time", text, found[1].start)
    return found[0] if found else None


def _plain(text: str) -> str:
    """Without comments and trailing commas; every position stays where it was."""
    pieces: list[str] = []
    comma = -1
    for token in _TOKEN.findall(text.replace("\ufeff", " ")):
        piece = str(token)
        if piece.startswith(("//", "/*")):
            piece = re.sub(r"[^\n]", " ", piece)
        elif piece == ",":
            comma = len(pieces)
        elif piece in "}]" and comma >= 0:
            pieces[comma] = " "
        if piece.strip() and piece != ",":
            comma = -1
        pieces.append(piece)
    return "".join(pieces)


def _blank(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at


def _nested(path: Sequence[str], value: Any) -> Any:
    for key in reversed(path):
        value = {key: value}
    return value


def _dump(value: Any, unit: str, indent: str, line: str) -> str:
    return json.dumps(value, ensure_ascii=False, indent=unit).replace("\n", line + indent)


def _indent_of(text: str, at: int) -> str | None:
    """What stands before `at` on its line, when that is only blanks."""
    before = text[text.rfind("\n", 0, at) + 1 : at]
    return before if not before.strip() and ("\n" in text[:at]) else None


def _unit(text: str) -> str:
    """What this file indents by."""
    found = re.search(r"\{[ \t]*(?://[^\n]*)?\r?\n([ \t]+)\S", text)
    return found.group(1) if found else "  "


def _line_end(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"
