"""What mapping and drift cost: `python -m bench.mapping [--times N] [--trials N]`.

An issue of the size of GitHub's is mapped to a model of scalars, the same way with and without drift, trial by trial
in turn. Printed are microseconds of processor time for each scalar field of the model: mapping
alone, with drift as it runs (the first answers whole, then a sample), and with drift looking at every answer. The goal
is at most 3 for mapping with drift.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel

from clew.core.drift import Drift
from clew.core.mapping import From, read


class Issue(BaseModel):
    number: int
    title: str
    state: str
    author: Annotated[str, From("user.login")]
    author_id: Annotated[int, From("user.id")]
    author_admin: Annotated[bool, From("user.site_admin")]
    comments: int
    locked: bool
    created_at: str
    updated_at: str
    url: Annotated[str, From("html_url")]
    body: str | None = None
    closed_at: str | None = None
    milestone: Annotated[str | None, From("milestone.title")] = None


SCALARS = len(Issue.model_fields)
UNKNOWN = {f"field_{number}": number for number in range(20)}
PERSON = {"login": "octocat", "id": 1, "site_admin": False, "type": "User"}
ISSUE = {
    **UNKNOWN, "number": 1347, "title": "Found a bug", "state": "open", "user": PERSON, "comments": 3, "locked": False,
    "created_at": "2026-04-22T13:33:48Z", "updated_at": "2026-04-22T13:33:48Z", "html_url": "https://github.com/o/r/1",
    "body": "It does not work.", "closed_at": None, "milestone": {"title": "v1.0"},
}  # fmt: skip


def cost(work: Callable[[], Any], times: int) -> float:
    began = time.process_time_ns()
    for _ in range(times):
        work()
    return (time.process_time_ns() - began) / times / SCALARS / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5000)
    parser.add_argument("--trials", type=int, default=15)
    options = parser.parse_args()
    sampled, every = Drift(), Drift(always=10**12)

    def mapped() -> None:
        read(Issue, ISSUE)

    def with_sample() -> None:
        read(Issue, ISSUE)
        sampled.observe("github", Issue, ISSUE)

    def with_every() -> None:
        read(Issue, ISSUE)
        every.observe("github", Issue, ISSUE)

    ways = {"mapping": mapped, "mapping and drift": with_sample, "mapping and drift of every answer": with_every}
    seen: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.trials):
        for name, work in ways.items():
            seen[name].append(cost(work, options.times))
    for name, costs in seen.items():
        ordered = sorted(costs)
        low, middle = ordered[len(ordered) // 10], statistics.median(ordered)
        print(json.dumps({"what": name, "us_per_scalar_p10": round(low, 3), "us_per_scalar_median": round(middle, 3)}))


if __name__ == "__main__":
    main()
