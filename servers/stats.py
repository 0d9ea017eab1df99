"""How well calls and tasks went and what they cost, computed from the audit and from nothing else.

call          one record; a question to a person that is answered by another record is a part of that call
success       ended with `ok`, or the world was already as it should be (`already_done`)
retried       a request was sent again by us before the call ended
intervention  a person was asked or had to act: approval, login, permission, payment
unknown       nobody knows whether the call changed anything
task          the calls of one trace or one task label; calls with neither belong to no task
steps         how many calls a task took
task success  its last call succeeded and none of its outcomes is unknown
resolution    from a failure to the next success of the same tool with the same account, in the same task if any
"""

from collections import Counter
from collections.abc import AsyncIterable, Callable, Mapping
from dataclasses import field
from datetime import datetime
from statistics import fmean, median
from typing import Any

from clew.core.audit_reading import FINE
from clew.core.values import dataclass
from clew.servers.prices import money

Record = Mapping[str, Any]

_GOOD = frozenset({"ok", "already_done"})
_PEOPLE = frozenset({"approval_required", "denied", "action_required", "auth_revoked", "permission", "quota_exhausted"})
_STEPS = ((1, "1"), (3, "2-3"), (7, "4-7"), (15, "8-15"), (10**9, "16+"))
_ANSWERED_WITHIN = 3600.0
_RESOLVED_WITHIN = 86400.0

KEYS: Mapping[str, Callable[[Record], str]] = {
    "tool": lambda record: f"{record['connector']}.{record['tool']}",
    "connector": lambda record: str(record["connector"]),
    "account": lambda record: f"{record['connector']} ({record.get('account', '')})",
    "tenant": lambda record: str(record.get("tenant", "")),
    "code": lambda record: str(record["code"]),
    "caller": lambda record: str(record.get("caller", "") or "unknown"),
    "day": lambda record: day(record["started"]),
}
"""What rows can stand for."""


@dataclass(slots=True)
class Tally:
    """The calls of one row."""

    calls: int = 0
    good: int = 0
    retried: int = 0
    people: int = 0
    unknown: int = 0
    logins: int = 0
    requests: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0
    seconds: list[float] = field(default_factory=list[float])

    def add(self, record: Record, cost: float) -> None:
        """Count one call."""
        self.calls += 1
        self.good += good(record)
        self.retried += retried(record)
        self.people += involved(record)
        self.unknown += record.get("outcome") == "unknown"
        self.logins += record["code"] == "auth_revoked"
        self.requests += record.get("units", {}).get("requests", 0.0)
        self.tokens_in += record.get("tokens_in", 0)
        self.tokens_out += record.get("tokens_out", 0)
        self.cost += cost
        self.seconds.append(record.get("seconds", 0.0))

    def as_dict(self) -> dict[str, Any]:
        """Rates are shares of the calls, times are seconds."""
        ordered = sorted(self.seconds)
        return {
            "calls": self.calls,
            "success_rate": share(self.good, self.calls),
            "retry_rate": share(self.retried, self.calls),
            "intervention_rate": share(self.people, self.calls),
            "unknown_rate": share(self.unknown, self.calls),
            "reconnect_rate": share(self.logins, self.calls),
            "seconds_p50": _quantile(ordered, 0.5),
            "seconds_p95": _quantile(ordered, 0.95),
            "requests": self.requests,
            "tokens_in": self.tokens_in,
            "tokens_out": self.tokens_out,
            "cost": round(self.cost, 6),
        }


@dataclass(slots=True)
class Task:
    """The calls of one task so far."""

    began: float
    steps: int = 0
    good: bool = False
    doubtful: bool = False
    first_person: float | None = None
    tokens: int = 0
    cost: float = 0.0

    @property
    def succeeded(self) -> bool:
        """Its last call succeeded, and nothing is left in doubt."""
        return self.good and not self.doubtful

    def add(self, record: Record, cost: float) -> None:
        """One more call."""
        self.steps += 1
        self.good = good(record)
        self.doubtful |= record.get("outcome") == "unknown"
        self.tokens += record.get("tokens_in", 0) + record.get("tokens_out", 0)
        self.cost += cost
        self.note(record)

    def note(self, record: Record) -> None:
        """When a person first came in."""
        if self.first_person is None and (involved(record) or record["code"] == "asked"):
            self.first_person = max(record["started"] - self.began, 0.0)


class Statistics:
    """Takes records in the order of the chain; `as_dict` is the result so far."""

    def __init__(self, by: str, prices: Mapping[str, Any]) -> None:
        self.by = by
        self._key = KEYS[by]
        self._prices = prices
        self._all = Tally()
        self._rows: dict[str, Tally] = {}
        self._days: dict[str, Counter[str]] = {}
        self._failures: Counter[str] = Counter()
        self._tasks: dict[str, Task] = {}
        self._asked: dict[tuple[str, ...], float] = {}
        self._answers: list[float] = []
        self._broken: dict[tuple[str, ...], float] = {}
        self._resolved: list[float] = []
        self._first = self._last = 0.0

    def add(self, record: Record) -> None:
        """Take in one record; those of our own housekeeping are no calls."""
        if record["connector"] == "clew":
            return
        task = self._task(record)
        if record["code"] == "asked":
            self._asked[_thing(record)] = record["started"]
            if task:
                task.note(record)
            return
        cost = money(record, self._prices)
        self._first = self._first or record["started"]
        self._last = max(self._last, record["started"])
        self._all.add(record, cost)
        self._rows.setdefault(self._key(record), Tally()).add(record, cost)
        self._days.setdefault(day(record["started"]), Counter())[_fate(record)] += 1
        if record["code"] not in (*FINE, "already_done"):
            self._failures[record["code"]] += 1
        if task:
            task.add(record, cost)
        self._wait_for_person(record)
        self._resolve(record)

    def _task(self, record: Record) -> Task | None:
        name = record.get("task") or record.get("trace_id")
        return self._tasks.setdefault(name, Task(record["started"])) if name else None

    def _wait_for_person(self, record: Record) -> None:
        """How long the person took: within the call, or since the record of the question."""
        asked = self._asked.get(_thing(record))
        if record.get("answer") not in ("agreed", "declined"):
            return
        if asked is not None and record["started"] - asked <= _ANSWERED_WITHIN:
            self._answers.append(record["started"] - asked)
            del self._asked[_thing(record)]
        else:
            self._answers.append(record.get("answered_after", 0.0))

    def _resolve(self, record: Record) -> None:
        thing = (*_thing(record), str(record.get("task") or record.get("trace_id") or ""))
        if not good(record):
            self._broken.setdefault(thing, record["started"])
        elif thing in self._broken:
            took = record["started"] + record.get("seconds", 0.0) - self._broken.pop(thing)
            if took <= _RESOLVED_WITHIN:
                self._resolved.append(took)

    def as_dict(self) -> dict[str, Any]:
        """Everything, as `clew stats --json` prints it."""
        rows = sorted(self._rows.items(), key=lambda row: (self.by != "day" and -row[1].calls, row[0]))
        return {
            "from": self._first,
            "to": self._last,
            "currency": str(self._prices.get("currency", "")),
            "priced": bool(self._prices),
            "total": self._all.as_dict(),
            "by": self.by,
            "rows": [{"name": name, **tally.as_dict()} for name, tally in rows],
            "failures": dict(self._failures.most_common()),
            "days": [{"day": name, **self._days[name]} for name in sorted(self._days)],
            "people": self._people(),
            "resolution": {
                "resolved": len(self._resolved),
                "open": len(self._broken),
                "seconds_mean": _mean(self._resolved),
                "seconds_median": round(median(self._resolved), 3) if self._resolved else None,
            },
            "tasks": self._task_facts(),
        }

    def _people(self) -> dict[str, Any]:
        firsts = [task.first_person for task in self._tasks.values() if task.first_person is not None]
        return {
            "calls": self._all.people,
            "answers": len(self._answers),
            "unanswered": len(self._asked),
            "answer_seconds_mean": _mean(self._answers),
            "tasks": len(firsts),
            "seconds_to_intervention_mean": _mean(firsts),
        }

    def _task_facts(self) -> dict[str, Any]:
        tasks = [task for task in self._tasks.values() if task.steps]
        done = [task for task in tasks if task.succeeded]
        inside = sum(task.steps for task in tasks)
        return {
            "tasks": len(tasks),
            "succeeded": len(done),
            "success_rate": share(len(done), len(tasks)),
            "calls_outside": self._all.calls - inside,
            # What failed tasks cost is paid for the successful ones too.
            "tokens_per_success": round(sum(task.tokens for task in tasks) / len(done)) if done else None,
            "cost_per_success": round(sum(task.cost for task in tasks) / len(done), 6) if done else None,
            "by_steps": _by_steps(tasks),
        }


def _by_steps(tasks: list[Task]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    low = 0
    for high, name in _STEPS:
        these = [task for task in tasks if low < task.steps <= high]
        low = high
        if these:
            rate = share(sum(task.succeeded for task in these), len(these))
            rows.append({"steps": name, "tasks": len(these), "success_rate": rate})
    return rows


async def compute(records: AsyncIterable[Record], *, by: str = "tool", prices: Mapping[str, Any]) -> dict[str, Any]:
    """The statistics of all these records."""
    statistics = Statistics(by, prices)
    async for record in records:
        statistics.add(record)
    return statistics.as_dict()


def good(record: Record) -> bool:
    """Did the call succeed?"""
    return record["code"] in _GOOD


def retried(record: Record) -> bool:
    """Did we send a request of this call again?"""
    refused: set[tuple[str, str]] = set()
    for attempt in record.get("attempts", ()):
        what = (attempt["method"], attempt["route"])
        if what in refused:
            return True
        if attempt.get("code"):
            refused.add(what)
    return False


def involved(record: Record) -> bool:
    """Was a person asked, or does one have to act?"""
    return bool(record.get("answer")) or record["code"] in _PEOPLE


def day(moment: float) -> str:
    """The day in local time."""
    return datetime.fromtimestamp(moment).astimezone().strftime("%Y-%m-%d")


def share(part: int, whole: int) -> float | None:
    """A rate; None of nothing."""
    return round(part / whole, 4) if whole else None


def _fate(record: Record) -> str:
    if record.get("outcome") == "unknown":
        return "unknown"
    return "good" if good(record) else "failed"


def _thing(record: Record) -> tuple[str, ...]:
    return record["connector"], record["tool"], record.get("tenant", ""), record.get("account", "")


def _mean(values: list[float]) -> float | None:
    return round(fmean(values), 3) if values else None


def _quantile(ordered: list[float], part: float) -> float | None:
    return round(ordered[min(int(part * len(ordered)), len(ordered) - 1)], 4) if ordered else None
