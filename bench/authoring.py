"""Lines that an author writes for the same five tools: `python bench/authoring.py`.

The API is Acme's help desk: list tickets by cursor, read one, find contacts by cursor, open one, close one for good.
The programs lie in `authoring/`, each written by us after the framework's own guide, formatted alike (120 columns),
with typed results where the framework has them. Counted are lines that hold code: no blank ones, no comments, no
docstring of the module, nothing of the build or of tests. `fastmcp_same` adds what clew does without the author, as
far as one process without a store can: waits, repeats, codes and outcomes, a key for the write, a person who sees the
object. Those for FastMCP 4.1 and arcade-tdk 3.15 were loaded there; the others are as their guides have it.
"""

import ast
import io
import tokenize
from pathlib import Path

HERE = Path(__file__).parent / "authoring"
ROWS = (
    ("clew", "clew_desk.py", "5 of 5"),
    ("FastMCP, as its guide shows", "fastmcp_plain.py", "5 of 5"),
    ("FastMCP, with some of what clew does", "fastmcp_same.py", "5 of 5"),
    ("Arcade", "arcade_desk.py", "5 of 5"),
    ("Nango", "nango.ts", "5 of 5"),
    ("Airbyte's YAML", "airbyte.yaml", "3 of 5: it only reads"),
)


def lines(file: Path) -> int:
    """Lines that hold code."""
    text = file.read_text(encoding="utf-8")
    if file.suffix != ".py":
        marks = ("//", "#", "/*", "*/") if file.suffix == ".ts" else ("#",)
        return sum(bool(line.strip()) and not line.strip().startswith(marks) for line in text.splitlines())
    told = ast.parse(text).body[0]
    first = (told.end_lineno or 0) if isinstance(told, ast.Expr) else 0
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    held: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in skipped and token.start[0] > first:
            held.update(range(token.start[0], token.end[0] + 1))
    return len(held)


def main() -> None:
    """Print the table."""
    print("| written with | lines | tools |")
    print("| --- | --- | --- |")
    for name, file, tools in ROWS:
        print(f"| {name} | {lines(HERE / file)} | {tools} |")


if __name__ == "__main__":
    main()
