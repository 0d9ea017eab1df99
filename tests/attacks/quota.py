"""Many processes on one quota, measured at the provider. `python tests/attacks/quota.py` prints the table.

Goodput is admitted requests against what the quota admits in that time, its burst included; refusals are those after
the first second, per answer; fairness is the smallest against the largest number of answers per caller of a process,
after the first second (what was saved up goes to whoever comes first); the wait is a whole call, the provider's work
included.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
REDIS = os.environ.get("CLEW_TEST_REDIS_URL", "redis://127.0.0.1:6379/0")

STRICT = {"amount": 50, "per": 1, "kind": "bucket"}
WINDOW = {"amount": 500, "per": 10, "kind": "sliding"}


@dataclass
class Row:
    """One attack: the provider's plan, what callers know of it, and callers per process."""

    name: str
    provider: dict[str, Any]
    limits: Sequence[dict[str, Any]]
    units: float
    burst: float
    callers: tuple[int, ...] = (8, 8, 8, 8)
    style: str = "none"
    cost: float = 1.0
    goodput: float = 0.99
    wait: float | None = 0.7
    refused: float = 0.002
    more: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass
class Measured:
    """What a row came to."""

    goodput: float
    refused: float
    fairness: float
    p99: float
    most: float
    answers: int
    codes: Counter[str] = field(default_factory=Counter[str])

    def __str__(self) -> str:
        return (
            f"{self.goodput:8.3f} {self.refused:9.4f} {self.fairness:9.3f} {self.p99:8.3f} {self.most:8.3f} "
            f"{self.answers:8d}  {dict(self.codes)}"
        )

    def cells(self) -> list[str]:
        """As the documentation shows it."""
        return [f"{self.goodput:.3f}", f"{self.refused:.4f}", f"{self.fairness:.3f}", f"{self.p99:.2f} s"]


ROWS = (
    Row("strict bucket 50/s", {}, [STRICT], 50, 50),
    Row("strict bucket, uneven demand", {}, [STRICT], 50, 50, callers=(20, 6, 4, 2)),
    Row("strict bucket, one process", {}, [STRICT], 50, 50, callers=(32, 0, 0, 0)),
    Row("fixed 500 per 10 s", {"algorithm": "fixed", "limit": 500, "window": 10}, [WINDOW], 50, 0),
    Row("slow 3/s", {"limit": 3}, [{"amount": 3, "per": 1, "kind": "bucket"}], 3, 3, wait=None),
    Row("refusals count, bucket", {"count_refused": True}, [STRICT], 50, 50, goodput=0.97),
    Row(
        "refusals count, fixed",
        {"algorithm": "fixed", "limit": 500, "window": 10, "count_refused": True},
        [WINDOW],
        50,
        0,
        goodput=0.97,
    ),
    Row(
        "cost points, 1000 + 250/s, 5 each",
        {"style": "shopify", "limit": 1000, "window": 4},
        [{"amount": 1000, "per": 4, "kind": "bucket"}],
        50,
        200,
        style="shopify",
        cost=5,
    ),
    Row(
        "headers in epoch ms, 500 per 10 s",
        {"style": "linear", "algorithm": "fixed", "limit": 500, "window": 10},
        [{**WINDOW, "kind": "fixed"}],
        50,
        0,
        style="linear",
    ),
    Row("no headers, declared", {"style": "silent"}, [STRICT], 50, 50),
    Row("no headers, nothing declared", {"style": "silent"}, [], 50, 50, goodput=0.8, wait=None, refused=0.05),
    Row("strict sliding 50/s", {"algorithm": "sliding"}, [{**STRICT, "kind": "sliding"}], 50, 0, goodput=0.95),
)


BY_BENCH = [row for row in ROWS if row.name in {"strict bucket 50/s", "refusals count, bucket"}]


def run(
    row: Row,
    store: str,
    seconds: float = 30.0,
    during: Callable[["Stage"], None] | None = None,
    program: Sequence[str] = (),
) -> Measured:
    """Run one row; `store` is `sqlite` or `redis`; `during` may kill and start processes meanwhile.

    `program` is another way to call, with the interface of `caller.py`.
    """
    with tempfile.TemporaryDirectory() as folder, Stage(row, store, seconds, Path(folder), program) as stage:
        if during is not None:
            during(stage)
        return stage.finish()


class Stage:
    """The processes of one attack."""

    def __init__(self, row: Row, store: str, seconds: float, folder: Path, program: Sequence[str] = ()) -> None:
        self.program = list(program) or [sys.executable, str(HERE / "caller.py")]
        self.row, self.seconds = row, seconds
        path = folder / "limits.db"
        redis = store.partition("redis=")[2] or REDIS
        self.store = f"sqlite:{path}" if store == "sqlite" else f"redis:{redis}#{path}"
        self.processes: dict[str, subprocess.Popen[str]] = {}
        self.weights: dict[str, int] = {}
        self.others: list[str] = []
        self.start = 0.0

    def __enter__(self) -> "Stage":
        plan = json.dumps(self.row.provider)
        self.provider = subprocess.Popen(
            [sys.executable, str(HERE / "provider.py"), plan], stdout=subprocess.PIPE, text=True
        )
        assert self.provider.stdout is not None
        self.url = f"http://127.0.0.1:{int(self.provider.stdout.readline())}"
        for number, callers in enumerate(self.row.callers):
            if callers:
                self.prepare(f"p{number}", callers)
        for who in self.processes:
            self.await_ready(who)
        self.start = time.time() + 0.2
        for who in self.processes:
            self.release(who, self.start)
        return self

    def __exit__(self, *error: object) -> None:
        for process in [*self.processes.values(), self.provider]:
            process.kill()
            process.wait()
            for channel in (process.stdin, process.stdout):
                if channel:
                    channel.close()

    def prepare(self, who: str, callers: int) -> None:
        """Start a process of callers; it waits to be released."""
        plan = {
            "url": self.url,
            "store": self.store,
            "callers": callers,
            "who": who,
            "limits": list(self.row.limits),
            "style": self.row.style,
            "cost": self.row.cost,
            **self.row.more,
        }
        self.weights[who] = callers
        self.processes[who] = subprocess.Popen(
            [*self.program, json.dumps(plan)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def await_ready(self, who: str) -> None:
        """Wait until a process has everything imported."""
        output = self.processes[who].stdout
        assert output is not None
        assert output.readline() == "ready\n"

    def release(self, who: str, start: float) -> None:
        """Let the callers of a process go."""
        channel = self.processes[who].stdin
        assert channel is not None
        channel.write(f"{start} {self.start + self.seconds + 1}\n")
        channel.flush()

    def kill(self, who: str) -> None:
        """End a process the hard way."""
        self.processes[who].send_signal(signal.SIGKILL)
        self.processes[who].wait()
        del self.weights[who]

    def sleep_until(self, second: float) -> None:
        """Wait for a second of the run."""
        time.sleep(max(0.0, self.start + second - time.time()))

    def ask(self, path: str) -> Any:
        """A control request to the provider."""
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return json.load(answer)

    def finish(self) -> Measured:
        """Wait for the callers and measure."""
        waits: list[float] = []
        codes: Counter[str] = Counter()
        for who in [*self.weights, *self.others]:
            output, _ = self.processes[who].communicate(timeout=self.seconds + 60)
            for _, seconds, code in json.loads(output)["calls"]:
                waits.append(seconds)
                codes[code] += 1
        answers = [(at, status, who) for at, status, who in self.ask("/_stats") if status]
        first = min(at for at, _, _ in answers)
        answers = [each for each in answers if each[0] < first + self.seconds]
        admitted = Counter(who for _, status, who in answers if status == 200)
        later = [status for at, status, _ in answers if at > first + 1]
        possible = self.row.units * self.seconds + self.row.burst
        settled = Counter(who for at, status, who in answers if status == 200 and at > first + 1)
        shares = [settled[who] / callers for who, callers in self.weights.items()]
        waits.sort()
        return Measured(
            goodput=sum(admitted.values()) / possible,
            refused=sum(status != 200 for status in later) / max(len(later), 1),
            fairness=min(shares) / max(shares) if max(shares) else 0.0,
            p99=waits[int(0.99 * (len(waits) - 1))],
            most=waits[-1],
            answers=len(answers),
            codes=codes,
        )


def main() -> None:
    """Print the table: `quota.py [seconds] [store] [part of a name]`; `--write` puts it into the documentation."""
    words = [word for word in sys.argv[1:] if word != "--write"]
    seconds = float(words[0]) if words else 30.0
    stores = [words[1]] if len(words) > 1 else ["sqlite", "redis"]
    part = words[2] if len(words) > 2 else ""
    lines: list[list[str]] = []
    head = "".join(f"{name:>9s}" for name in ("goodput", "429", "fairness", "p99 s", "max s", "answers"))
    print(f"{'row':36s} {'store':7s}{head}")
    for row in ROWS:
        for store in stores:
            if part in row.name:
                seen = run(row, store, seconds)
                print(f"{row.name:36s} {store:7s} {seen}", flush=True)
                lines.append([row.name, store, *seen.cells()])
    if "--write" in sys.argv:
        sys.path.insert(0, str(HERE.parent.parent))
        from tests.attacks.pages import put

        put("quota", ("row", "store", "goodput", "429 per answer", "fairness", "wait p99"), lines)


if __name__ == "__main__":
    main()
