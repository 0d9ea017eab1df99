"""Puts what was measured into a page of the documentation, between two marks of the same name."""

import re
from collections.abc import Sequence
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "rate-limits.md"


def put(name: str, headings: Sequence[str], rows: Sequence[Sequence[str]], page: Path = PAGE) -> None:
    """Replace the table called `name`. Raises `LookupError` when the page has no place for it."""
    lines = [headings, ["---"] * len(headings), *rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    text = page.read_text(encoding="utf-8")
    new, found = re.subn(
        rf"(<!-- {name}:[^\n]*-->\n).*?(<!-- end of {name} -->)",
        lambda match: f"{match[1]}{table}\n{match[2]}",
        text,
        flags=re.DOTALL,
    )
    if not found:
        raise LookupError(f"{page} has no table {name}")
    page.write_text(new, encoding="utf-8")
