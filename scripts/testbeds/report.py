"""What was checked and what came out: a line for each check as it happens, and a page at the end."""

import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, cast


class Failed(Exception):  # noqa: N818 - it is a verdict, not an accident
    """A check did not find what it should; the text says what it found."""


@dataclass(frozen=True, slots=True)
class Row:
    """One check: by which bed, over which way, what, and what came out."""

    bed: str
    way: str
    check: str
    ok: bool
    detail: str
    seconds: float


@dataclass(slots=True)
class Report:
    """The rows so far. With `quiet` nothing is printed."""

    quiet: bool = False
    rows: list[Row] = field(default_factory=list[Row])
    versions: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def ok(self) -> bool:
        """Did every check find what it should? Without a check nothing is proven, so that is a no."""
        return bool(self.rows) and all(row.ok for row in self.rows)

    def say(self, text: str) -> None:
        """Print a line."""
        if not self.quiet:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()

    async def check(self, bed: str, way: str, check: str, work: Callable[[], Awaitable[str]]) -> bool:
        """Run one check. `work` returns what was seen and raises when that is not what should be."""
        started = time.monotonic()
        try:
            ok, detail = True, await work()
        except Exception as error:  # a check that breaks has failed, whatever the reason
            ok, detail = False, _reason(error)
        row = Row(bed, way, check, ok, detail, round(time.monotonic() - started, 2))
        self.rows.append(row)
        self.say(f"{'ok  ' if ok else 'FAIL'}  {bed:9}  {way:24}  {row.seconds:5.2f} s  {check}: {detail}")
        return ok

    def as_json(self, missing: Sequence[str] = ()) -> str:
        """Everything as one JSON object; `missing` names software that is not installed."""
        rows = [asdict(row) for row in self.rows]
        return json.dumps({"ok": self.ok, "missing": list(missing), "versions": self.versions, "rows": rows}, indent=2)


def expect(condition: object, found: object) -> None:
    """Raise `Failed` with what was found unless the condition holds."""
    if not condition:
        text = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False, default=str)
        raise Failed(text if len(text) <= 700 else text[:699] + "…")


def same(expected: Any, found: Any) -> None:
    """Raise `Failed` unless the two are equal."""
    expect(expected == found, f"expected {expected!r}, found {found!r}")


def _reason(error: Exception) -> str:
    if isinstance(error, ExceptionGroup):
        inner = cast("ExceptionGroup[Exception]", error)
        return "; ".join(_reason(each) for each in inner.exceptions)
    text = " ".join(str(error).split())
    return text if isinstance(error, Failed) else f"{type(error).__name__}: {text}"


def grouped(rows: Sequence[Row]) -> Mapping[str, Mapping[str, Row]]:
    """The rows of one bed by check and then by way."""
    checks: dict[str, dict[str, Row]] = {}
    for row in rows:
        checks.setdefault(row.check, {})[row.way] = row
    return checks
