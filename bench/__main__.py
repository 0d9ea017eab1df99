"""One command, one table: `python -m bench`.

    python -m bench setup                     make the two environments that the subjects run in (.cache/bench)
    python -m bench [PHASE…] [--rounds N]     measure: start stdio http many (all of them), growth by name only
    python -m bench … --add FILE              put the figures into a run that exists, or begin one there
    python -m bench page FILE                 write docs/bench.md and its pictures from a run
    python -m bench compare [OLD NEW]         clew's ratios of two runs of bench/history, the two newest; 1 when worse

The tool reads a list of issues from a provider on loopback, and every subject is driven by the same raw client. clew
has every promise on: a credential from its vault, shared rate limits, journal, audit, tracing without an exporter. The
server has the first processor to itself, client and provider share the others. Linux only.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import history, measures, plots, wire

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "bench.md"
FASTMCP = "4.1.2"
BEGIN, END = "<!-- measured -->", "<!-- /measured -->"


def main() -> int:
    form = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser("python -m bench", description=__doc__, formatter_class=form)
    parser.add_argument("words", nargs="*", metavar="WORD")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--add", type=Path, metavar="FILE")
    options = parser.parse_args()
    words: list[str] = options.words
    if words == ["setup"]:
        return setup()
    if words[:1] == ["page"] and len(words) == 2:
        return write_page(Path(words[1]))
    if words[:1] == ["compare"] and len(words) in (1, 3):
        old, new = [Path(word) for word in words[1:]] or history.newest(2)
        text, worse = history.compare(old, new)
        print(text)
        return 1 if worse else 0
    if not set(words) <= set(measures.PHASES):
        parser.error("there is no such phase or command.")
    return measure(words or ["start", "stdio", "http", "many"], options.rounds, options.add)


def setup() -> int:
    """Environments with nothing in them but what a user of each would have."""
    wanted = {measures.OWN: ["-c", "constraints.txt", "-e", "."], measures.FASTMCP: [f"fastmcp=={FASTMCP}"]}
    for folder, words in wanted.items():
        venv.create(folder, with_pip=True)
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "-q", *words], cwd=ROOT, check=True)
    return 0


def measure(phases: list[str], rounds: int, add: Path | None) -> int:
    """Run the phases and print the table; the run is kept."""
    if not (measures.OWN / "bin" / "clew").exists():
        raise SystemExit("run `python -m bench setup` first.")
    run: dict[str, Any] = history.read(add) if add and add.exists() else {"values": {}, "rounds": {}}
    with tempfile.TemporaryDirectory(prefix="clew-bench-") as folder, wire.upstream(sys.executable) as url:
        bench = measures.Bench(Path(folder), url)
        bench.set_up()
        history.FOLDER.mkdir(exist_ok=True)
        path = add or history.FOLDER / f"{datetime.now(UTC):%Y-%m-%dT%H%M}.json"
        for phase in phases:
            print(f"== {phase}", flush=True)
            measures.PHASES[phase](bench, rounds)
            run = history.record({**run["values"], **bench.values}, {**run["rounds"], phase: rounds})
            path.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
    values: measures.Values = run["values"]
    print(f"\n{history.table(values)}\n\n{history.others(values)}\n\nkept as {path}")
    return 0


def write_page(run: Path) -> int:
    """Put a run's table and pictures into the page, between its marks."""
    found = history.read(run)
    names = plots.draw(found["values"], ROOT / "docs" / "images")
    pictures = [f"**{plots.PICTURES[name]}**\n\n![{plots.PICTURES[name]}](images/bench-{name}.svg)" for name in names]
    said = f"One run of {found['when'][:10]} ({run.name}), Python {found['machine']['python']}, "
    said += f"{found['machine']['processors']} processors; rounds: {found['rounds']}.".replace("'", "")
    parts = [said, history.table(found["values"]), history.others(found["values"]), *pictures]
    page = PAGE.read_text(encoding="utf-8")
    head, tail = page.partition(BEGIN)[0], page.partition(END)[2]
    middle = "\n\n".join(part for part in parts if part)
    PAGE.write_text(f"{head}{BEGIN}\n\n{middle}\n\n{END}{tail}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
