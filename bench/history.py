"""What was measured, as a table and as JSON, beside the goals; and one run beside another."""

import json
import os
import platform
import statistics
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.measures import SUBJECTS, Values

FOLDER = Path(__file__).resolve().parent / "history"
NAMES = {
    "bare": "bare", "mcpserver": "MCPServer", "fastmcp_hand": "FastMCP, by hand",
    "fastmcp_openapi": "FastMCP, OpenAPI", "clew": "clew",
}  # fmt: skip
GOALS: Mapping[str, tuple[str, float]] = {
    "start to tools/list, s": ("≤", 0.10),
    "start to first call done, s": ("≤", 1.1),
    "ten starts at once, all listed, s": ("≤", 0.15),
    "first start ever to tools/list, s": ("≤", 1.15),
    "memory after start, MiB": ("≤", 1.2),
    "stdio, one by one, p50 ms": ("≤", 1.0),
    "stdio, 32 in flight, calls/s": ("≥", 1.2),
    "HTTP, 32 in flight, calls/s": ("≥", 3.0),
    "HTTP, 256 in flight, calls/s": ("≥", 2.2),
    "HTTP, CPU per 1000 calls at 32, s": ("≤", 0.45),
}
"""Ratios to the bare server that clew is to reach."""
GROWTH = "memory over"
WORSE = 0.15
"""By how much a ratio may be worse than in another run before `compare` says so: the machine is shared."""


def record(values: Values, rounds: Mapping[str, int]) -> dict[str, Any]:
    """A run as it is kept."""
    versions = {name: version(name) for name in ("clew", "mcp", "httpx", "httpx2", "pydantic")}
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"processors": os.cpu_count(), "system": platform.system(), "python": platform.python_version()},
        "versions": versions,
        "rounds": dict(rounds),
        "values": values,
    }


def newest(count: int) -> list[Path]:
    """The newest runs, the last one last."""
    return sorted(FOLDER.glob("*.json"))[-count:]


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def ratio(values: Values, measure: str, subject: str) -> float | None:
    """The median of a subject's figures over the bare server's of the same round."""
    rows = values.get(measure, {})
    if "bare" not in rows or subject not in rows:
        return None
    return statistics.median(one / other for one, other in zip(rows[subject], rows["bare"], strict=False) if other)


def table(values: Values) -> str:
    """Ratios to the bare server, whose own figures stand first."""
    lines = [
        f"| measure | bare | {' | '.join(NAMES[name] for name in SUBJECTS[1:])} | goal for clew | |",
        f"| --- | --- |{' --- |' * len(SUBJECTS)} --- |",
    ]
    for measure, rows in values.items():
        ours = ratio(values, measure, "clew")
        if ours is None or measure.startswith(GROWTH):
            continue
        cells = [f"{statistics.median(rows['bare']):.3g}"]
        cells += [_cell(ratio(values, measure, name)) for name in SUBJECTS[1:]]
        sign, goal = GOALS.get(measure, ("", 0.0))
        reached = ours <= goal if sign == "≤" else ours >= goal
        word = ("met" if reached else "missed") if sign else ""
        lines.append(f"| {measure} | {' | '.join(cells)} | {f'{sign} {goal:g}' if sign else ''} | {word} |")
    return "\n".join(lines)


def _cell(found: float | None) -> str:
    return "" if found is None else f"{found:.2f}"


def others(values: Values) -> str:
    """What has no counterpart: several connectors in one process, commands, growth."""
    lines: list[str] = []
    many = values.get("memory of connectors in one process, MiB", {})
    if many:
        one, ten = (statistics.median(many[name]) for name in ("one connector", "ten connectors"))
        lines.append(f"- One connector in a process takes {one:.0f} MiB, ten {ten:.0f}: {ten / one:.2f}, goal ≤ 1.6.")
    for name, taken in values.get("commands, ms", {}).items():
        lines.append(f"- `{name}` takes {statistics.median(taken):.0f} ms, goal ≤ 250.")
    for measure, rows in values.items():
        if measure.startswith(GROWTH):
            grown = [f"{NAMES[name]} {', '.join(f'{each:.0f}' for each in found)}" for name, found in rows.items()]
            lines.append(f"- {measure}, a figure for each tenth: {'; '.join(grown)}.")
    return "\n".join(lines)


def compare(old: Path, new: Path) -> tuple[str, bool]:
    """clew's ratios of two runs side by side; is one worse?"""
    before, after = read(old)["values"], read(new)["values"]
    lines = [f"| measure | {old.stem} | {new.stem} | |", "| --- | --- | --- | --- |"]
    worse = False
    for measure in after:
        one, two = ratio(before, measure, "clew"), ratio(after, measure, "clew")
        if one is None or two is None or measure.startswith(GROWTH):
            continue
        more_is_better = "calls/s" in measure
        change = (one / two if more_is_better else two / one) - 1
        word = "worse" if change > WORSE else "better" if change < -WORSE else ""
        worse = worse or word == "worse"
        lines.append(f"| {measure} | {one:.2f} | {two:.2f} | {word} |")
    return "\n".join(lines), worse
