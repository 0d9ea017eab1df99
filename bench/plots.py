"""The run as pictures: for each measure a bar for each subject, its ratio to the bare server at the end."""

from pathlib import Path

from bench.history import GOALS, NAMES, ratio
from bench.measures import SUBJECTS, Values
from clew.servers.plots import horizontal

_STYLE = (
    "<style>text{font:13px system-ui,sans-serif;fill:#57606a}.figure{fill:#24292f}.rail{fill:#eaeef2}"
    ".other{fill:#8c959f}@media(prefers-color-scheme:dark){text{fill:#8b949e}.figure{fill:#e6edf3}.rail{fill:#21262d}}"
    "</style>"
)
PICTURES = {
    "start": "start to tools/list, s",
    "memory": "memory after start, MiB",
    "stdio": "stdio, 32 in flight, calls/s",
    "http": "HTTP, 32 in flight, calls/s",
    "http-256": "HTTP, 256 in flight, calls/s",
    "cpu": "HTTP, CPU per 1000 calls at 32, s",
}


def draw(values: Values, folder: Path) -> list[str]:
    """Write one SVG for each picture whose measure is there; their names."""
    drawn: list[str] = []
    for name, measure in PICTURES.items():
        found = [(NAMES[each], ratio(values, measure, each)) for each in SUBJECTS]
        rows = [(label, each, f"{each:.2f}") for label, each in found if each is not None]
        if not rows:
            continue
        goal = GOALS.get(measure)
        label = f"{measure}: ratio to the bare server" + (f", goal {goal[0]} {goal[1]:g}" if goal else "")
        svg = horizontal(rows, "other", label).replace(
            "<svg class=", f'<svg xmlns="http://www.w3.org/2000/svg" width="480" height="{30 * len(rows)}" class=', 1
        )
        head, _, rest = svg.partition(">")
        (folder / f"bench-{name}.svg").write_text(f"{head}>{_STYLE}{rest}\n", encoding="utf-8")
        drawn.append(name)
    return drawn
