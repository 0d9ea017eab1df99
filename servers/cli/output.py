"""What the commands print: tables, JSON, sentences. Data goes to standard output, talk to standard error."""

import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from typing import Any, Literal, TextIO

from clew.core.errors import CallError, ClewError, Outcome
from clew.core.values import dataclass

Colour = Literal["bold", "red", "yellow", "dim"]
_CODES = {"bold": "1", "red": "31", "yellow": "33", "dim": "2"}
_FOR_AGENTS = "Ask the person to run: "


@dataclass(frozen=True, slots=True)
class Cell:
    """A table cell that stands out on a terminal with colours."""

    text: str
    colour: Colour


def talk(*lines: str) -> None:
    """Say something to the person: standard error. Characters that a terminal could obey are left out."""
    for line in "\n".join(lines).split("\n"):
        print(_printable(line), file=sys.stderr, flush=True)


def emit(*lines: str) -> None:
    """Print data: standard output."""
    for line in lines:
        print(line)


def emit_json(data: Any, *, indent: int | None = 2) -> None:
    """Print data as JSON. Characters that a terminal could obey are escaped: they may come from outside."""
    text = json.dumps(data, ensure_ascii=False, indent=indent, default=str)
    print("".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text))


def table(headings: Sequence[str], rows: Sequence[Sequence[str | Cell]]) -> None:
    """Print columns, two spaces apart. On a terminal the last column is cut at its edge; elsewhere it is whole."""
    cells = [[_plain(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    room = shutil.get_terminal_size().columns if is_terminal(sys.stdout) else None
    emit(paint(_line(headings, widths, room), "bold"))
    for row, texts in zip(rows, cells, strict=True):
        colour: Colour | None = next((cell.colour for cell in row if isinstance(cell, Cell)), None)
        line = _line(texts, widths, room)
        emit(paint(line, colour) if colour else line)


def _line(texts: Sequence[str], widths: Sequence[int], room: int | None) -> str:
    line = "  ".join(text.ljust(width) for text, width in zip(texts, widths, strict=True)).rstrip()
    return line if room is None or len(line) <= room else line[: max(room - 1, 1)] + "…"


def _plain(cell: str | Cell) -> str:
    return _printable(cell if isinstance(cell, str) else cell.text) or "-"


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)


def facts(pairs: Sequence[tuple[str, str]]) -> None:
    """Print `name: value` lines, aligned; pairs without a value are left out."""
    width = max((len(name) for name, value in pairs if value), default=0) + 1
    for name, value in pairs:
        if value:
            emit(f"{paint((name + ':').ljust(width), 'dim')} {_plain(value)}")


def paint(text: str, colour: Colour) -> str:
    """`text` in a colour when standard output is a terminal and nobody asked for none."""
    if not is_terminal(sys.stdout) or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m"


def is_terminal(stream: TextIO | None) -> bool:
    """Is a person at the other end? False for a closed stream."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def duration(seconds: float) -> str:
    """`45s`, `7h 12m`, `3d 4h`: the two largest units."""
    left = max(0, round(seconds))
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count}{unit}")
    return " ".join(part for part in parts[:2] if not part.startswith("0")) or "0s"


def ago(moment: float) -> str:
    """How long ago a moment (UTC seconds since 1970) was."""
    return f"{duration(time.time() - moment)} ago"


def explain(error: ClewError) -> None:
    """Say on standard error what went wrong and what to do about it."""
    talk(f"clew: {error}")
    if not isinstance(error, CallError):
        return
    if error.provider_message or error.provider_code:
        said = ", ".join(filter(None, (error.provider_code, error.provider_message and f'"{error.provider_message}"')))
        talk(f"  the provider said: {said}")
    doubt = "; it may have happened" if error.outcome is Outcome.UNKNOWN else ""
    talk(f"  code: {error.code}, outcome: {error.outcome}{doubt}")
    if error.retry_after is not None:
        talk(f"  again in: {duration(max(error.retry_after, 1))}")
    if error.url:
        talk(f"  open: {error.url}")
    step = error.next_step
    talk(f"  run: {step.removeprefix(_FOR_AGENTS)}" if step.startswith(_FOR_AGENTS) else f"  next: {step}")
    if error.reference:
        talk(f"  its story: clew audit show {error.reference}")


def error_data(error: ClewError) -> dict[str, Any]:
    """The same for `--json`."""
    if isinstance(error, CallError):
        return {"error": error.as_dict()}
    return {"error": {"code": "configuration", "message": str(error)}}
