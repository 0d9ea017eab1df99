"""Puts what was measured into a page of the documentation, between two marks of the same name."""

import re
from collections.abc import Sequence
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "rate-limits.md"


def put(name: str, headings: Sequence[str], rows: Sequence[Sequence[str]], page: Path = PAGE) -> None:
    """Replace the table called `name`, but keep the lines that no row replaces: those that were not run this time.

    The first two cells of a line name it. Raises `LookupError` when the page has no place for it.
    """
    text = page.read_text(encoding="utf-8")
    old = re.search(rf"<!-- {name}:[^\n]*-->\n(.*?)<!-- end of {name} -->", text, re.DOTALL)
    lines = [line.strip("| ").split(" | ") for line in old[1].splitlines()[2:]] if old else []
    known = {tuple(line[:2]): line for line in lines} | {tuple(row[:2]): list(row) for row in rows}
    table = "\n".join(f"| {' | '.join(line)} |" for line in [headings, ["---"] * len(headings), *known.values()])
    new, found = re.subn(
        rf"(<!-- {name}:[^\n]*-->\n).*?(<!-- end of {name} -->)",
        lambda match: f"{match[1]}{table}\n{match[2]}",
        text,
        flags=re.DOTALL,
    )
    if not found:
        raise LookupError(f"{page} has no table {name}")
    page.write_text(new, encoding="utf-8")
