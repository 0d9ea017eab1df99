"""Writes under attack: `python -m tests.attacks.writes_attack --runs N --jobs N` prints the table.

A run is one write with a `request_id`. Acme fails at random (the connection is cut before or after the change, the
answer is a 500 after it, half an answer, a slow one), and in most runs the calling process is killed with SIGKILL at a
random moment. Then it is called again with the same `request_id`, up to six times, the first of them under another
random fault; or, in a fifth of the runs, it is only looked at, as a server does in the background. At the end the
journal's word is held against what Acme did.

The workflow pays, comments and opens a ticket; its faults hit any of the three.

duplicates: changes beyond the first. lost: the journal says applied and Acme did nothing, or not_applied and Acme did
it. no row: the process was killed before its write was in the journal, and Acme did nothing.
"""

import argparse
import asyncio
import json
import multiprocessing
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.attacks.background import look_once
from tests.attacks.writing import STRATEGIES, Strategy, fork_call, open_store

FAULTS: tuple[dict[str, Any] | None, ...] = (
    None,
    {"fault": "drop_before_commit", "how": "reset"},
    {"fault": "drop_before_commit", "how": "eof"},
    {"fault": "drop_after_commit", "how": "reset"},
    {"fault": "drop_after_commit", "how": "eof"},
    {"fault": "server_error", "when": "after"},
    {"fault": "server_error", "when": "before", "status": 503},
    {"fault": "truncate"},
    {"fault": "slow", "seconds": 0.05, "when": "after"},
    {"fault": "rate_limit", "seconds": 0},
)
KILLED, LOOKED_AT = 0.7, 0.2
"""Shares of the runs."""


@dataclass
class Tally:
    """What the runs of one strategy came to."""

    strategy: str
    runs: int = 0
    killed: int = 0
    faults: Counter[str] = field(default_factory=Counter[str])
    ends: Counter[str] = field(default_factory=Counter[str])
    duplicates: int = 0
    lost: int = 0
    strange: list[str] = field(default_factory=list[str])

    def add(self, other: "Tally") -> None:
        """Add another worker's part."""
        self.runs += other.runs
        self.killed += other.killed
        self.faults += other.faults
        self.ends += other.ends
        self.duplicates += other.duplicates
        self.lost += other.lost
        self.strange += other.strange

    @property
    def row(self) -> str:
        """A line of the table."""
        ends, faults = self.ends, sum(self.faults.values())
        cells = [
            self.strategy, faults, self.killed, self.runs, self.duplicates, self.lost, ends["unknown"],
            ends["applied"], ends["not_applied"], ends["none"],
        ]  # fmt: skip
        return "| " + " | ".join(map(str, cells)) + " |"


HEAD = """| strategy | faults | killed | runs | duplicates | lost | unknown | applied | not applied | no row |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"""


PAGE = f"""# Writes under attack

Made by `python -m tests.attacks.writes_attack --runs N --jobs N --seed S --keep counts.jsonl`, as often as one likes,
and then `… --sum counts.jsonl > docs/writes-attack.md`. The seed decides on faults and moments, the machine the rest.

{(__doc__ or "").partition(chr(10) * 2)[2].strip()}

`look` has nothing but a `verify=`, `nothing` not even that: there, `unknown` is the truth. The other unknown rows are
runs that were only looked at, with nothing declared to look with; the same call would have settled them.
"""


@contextmanager
def acme_process() -> Generator[str]:
    """Acme in a process of its own, for callers are forked and it has threads."""
    command = [sys.executable, "-m", "clew.servers.sandbox", "--port", "0", "--set", "rate_limit=1000000"]
    process = subprocess.Popen([*command, "--set", "message_delivery_seconds=0"], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


def control(url: str, path: str, body: Any = None, method: str = "POST") -> Any:
    """Acme's side door."""
    content = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"{url}/_sandbox{path}", content, headers, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        text = answer.read()
    return json.loads(text) if text else None


@dataclass
class Field:
    """Where one worker attacks: an Acme, a store, and the chances."""

    url: str
    address: str
    folder: Path
    chance: random.Random

    def run(self, strategy: Strategy, number: str, tally: Tally) -> None:
        """One run, from the first call to the verdict."""
        control(self.url, "/reset", {"keep_tokens": True})
        given = {**strategy.arguments(number), "request_id": f"run-{number}"}
        fault = self._break(strategy, tally)
        caller = fork_call(self.url, self.address, self.folder, strategy.tool, given)
        if self.chance.random() < KILLED and caller.kill_after(self.chance.uniform(0.0, 0.04)):
            tally.killed += 1
        first = caller.wait()
        if self.chance.random() < LOOKED_AT:
            control(self.url, "/faults", method="DELETE")
            look_once(self.url, self.address, self.folder)
        else:
            self._repeat(strategy, given, first, tally)
        self._judge(strategy, number, fault, tally)

    def _break(self, strategy: Strategy, tally: Tally) -> str:
        fault = self.chance.choice(FAULTS)
        control(self.url, "/faults", method="DELETE")
        if fault is None:
            return "none"
        control(self.url, "/faults", {**fault, "method": strategy.method, "path": self.chance.choice(strategy.paths)})
        tally.faults[fault["fault"]] += 1
        return json.dumps(fault)

    def _repeat(self, strategy: Strategy, given: dict[str, Any], said: Any, tally: Tally) -> None:
        for number in range(6):
            if said is not None and ("ok" in said or said["error"]["code"] == "already_done"):
                return
            if number == 1:
                control(self.url, "/faults", method="DELETE")
            elif number == 0:
                self._break(strategy, tally)
            said = fork_call(self.url, self.address, self.folder, strategy.tool, given).wait()

    def _judge(self, strategy: Strategy, number: str, fault: str, tally: Tally) -> None:
        """Acme's word against the journal's."""
        time.sleep(0.06 if "slow" in fault else 0.0)
        commits = control(self.url, "/state", method="GET")["commits"]
        counts = [sum((each["resource"], each["action"]) == change for each in commits) for change in strategy.changes]
        state = self._state(strategy, number)
        tally.runs += 1
        tally.ends[state] += 1
        tally.duplicates += sum(max(0, count - 1) for count in counts)
        wrong = (state == "applied" and 0 in counts) or (state in ("not_applied", "none") and any(counts))
        tally.lost += wrong
        if wrong or max(counts) > 1 or state in ("sent", "intended"):
            tally.strange.append(f"{strategy.name} run {number}: {state}, done {counts} times, first fault {fault}")

    def _state(self, strategy: Strategy, number: str) -> str:
        async def read() -> str:
            database, journal = await open_store(self.address, self.folder)
            rows = await database.fetch_all(
                "SELECT state, pending FROM writes WHERE tool = ? AND request_key = ?",
                strategy.tool,
                f"id:run-{number}",
            )
            await database.close()
            del journal
            return str(rows[0][0]) if rows else "none"

        return asyncio.run(read())


def work(job: tuple[str, int, int, str]) -> Tally:
    """A worker's part: so many runs of one strategy."""
    name, runs, seed, engine = job
    strategy = next(each for each in STRATEGIES if each.name == name)
    tally = Tally(name)
    with tempfile.TemporaryDirectory() as folder, acme_process() as url:
        address = engine or f"{folder}/clew.db"
        place = Field(url, address, Path(folder), random.Random(f"{seed} {name}"))
        for number in range(runs):
            place.run(strategy, f"{seed}-{number}", tally)
    return tally


def attack(runs: int, jobs: int, names: list[str], *, seed: int = 1, engine: str = "") -> list[Tally]:
    """All strategies, each with so many runs, in so many workers."""
    share = -(-runs // jobs)
    parts = [
        (name, min(share, runs - start), seed * 1000 + start, engine)
        for name in names
        for start in range(0, runs, share)
    ]
    total = {name: Tally(name) for name in names}
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        for tally in pool.imap_unordered(work, parts, chunksize=1):
            total[tally.strategy].add(tally)
    return list(total.values())


def read_kept(path: Path) -> list[Tally]:
    """The sums of what several commands have kept."""
    total: dict[str, Tally] = {}
    for line in path.read_text().splitlines():
        data: dict[str, Any] = json.loads(line)
        data |= {name: Counter(data[name]) for name in ("faults", "ends")}
        total.setdefault(data["strategy"], Tally(data["strategy"])).add(Tally(**data))
    return list(total.values())


def main() -> int:
    """Print the table; 1 when something was done twice or lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", choices=[each.name for each in STRATEGIES])
    parser.add_argument("--keep", type=Path, metavar="FILE", help="add the counts to this file of JSON lines")
    parser.add_argument(
        "--sum", type=Path, metavar="FILE", help="run nothing: print docs/writes-attack.md of such a file"
    )
    arguments = parser.parse_args()
    if arguments.sum:
        print(PAGE, HEAD, *(tally.row for tally in read_kept(arguments.sum)), sep="\n")
        return 0
    names = arguments.only or [each.name for each in STRATEGIES]
    tallies = attack(arguments.runs, arguments.jobs, names, seed=arguments.seed)
    print(HEAD, *(tally.row for tally in tallies), sep="\n", flush=True)
    if arguments.keep:
        with arguments.keep.open("a") as file:
            file.writelines(json.dumps(vars(tally)) + "\n" for tally in tallies)
    for tally in tallies:
        print("\n".join(tally.strange), file=sys.stderr)
    return int(any(tally.duplicates or tally.lost for tally in tallies))


if __name__ == "__main__":
    sys.exit(main())
