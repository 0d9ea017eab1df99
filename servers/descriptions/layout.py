"""Long lines broken as ruff breaks them: at the last bracket, its content on one line, else one piece on each."""

import re
from itertools import pairwise

WIDTH = 120
_PAIRS = {"(": ")", "[": "]", "{": "}"}


def fit(line: str, indent: int, *, first: bool = False) -> str:
    """`line`, which is one statement or one piece of one, within 120 columns when it stands behind `indent` blanks.

    With `first` it is broken at the first bracket instead: a function's head.
    """
    if len(line) + indent <= WIDTH:
        return line
    pairs = _brackets(line)
    if not pairs:
        return line
    opening, closing = min(pairs) if first else max(pairs, key=lambda pair: pair[1])
    head, inner, tail = line[: opening + 1], line[opening + 1 : closing], line[closing:]
    if not inner.strip():
        return line
    pieces = _pieces(inner)
    literal = not re.search(r"[\w\])].$", head) and len(pieces) > 1
    if not literal and len(inner) + indent + 4 <= WIDTH:
        return f"{head}\n    {inner}\n{tail}"
    comma = "" if len(pieces) == 1 and (" for " in inner or head.endswith("[")) else ","
    broken = [f"    {part}" for piece in pieces for part in fit(f"{piece}{comma}", indent + 4).split("\n")]
    return "\n".join([head, *broken, tail])


def _brackets(line: str) -> list[tuple[int, int]]:
    """The outermost pairs of brackets."""
    found: list[tuple[int, int]] = []
    depth, begin, quote, skip = 0, 0, "", False
    for at, char in enumerate(line):
        if skip:
            skip = False
        elif quote:
            skip = char == "\\"
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in _PAIRS:
            begin = at if depth == 0 else begin
            depth += 1
        elif char in _PAIRS.values():
            depth -= 1
            if depth == 0:
                found.append((begin, at))
    return found


def _pieces(inner: str) -> list[str]:
    """What stands between the outermost commas."""
    inside = [range(begin, end) for begin, end in _brackets(inner)]
    quoted = _quoted(inner)
    cuts = [
        at for at, char in enumerate(inner)
        if char == "," and at not in quoted and not any(at in each for each in inside)
    ]  # fmt: skip
    edges = [-1, *cuts, len(inner)]
    return [part for begin, end in pairwise(edges) if (part := inner[begin + 1 : end].strip())]


def _quoted(text: str) -> set[int]:
    """The places inside string literals."""
    found: set[int] = set()
    quote, skip = "", False
    for at, char in enumerate(text):
        if quote:
            found.add(at)
            if skip:
                skip = False
            elif char == "\\":
                skip = True
            elif char == quote:
                quote = ""
        elif char in "\"'":
            quote = char
    return found
