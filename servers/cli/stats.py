"""`clew stats`: how well calls and tasks went, as a table, JSON or a page."""

import asyncio
from argparse import Namespace
from pathlib import Path
from typing import Any

from clew.core.audit_reading import Filter, after
from clew.core.errors import ConfigurationError
from clew.servers.cli.moments import since
from clew.servers.cli.output import emit, emit_json, facts, table, talk
from clew.servers.cli.start import begin
from clew.servers.evidence import read_audit
from clew.servers.figures import percent, price, span
from clew.servers.settings import Settings
from clew.servers.stats import Statistics

_HEADINGS = ("CALLS", "SUCCESS", "RETRIED", "PERSON", "UNKNOWN", "P50", "P95", "TOKENS", "COST")


def show_stats(arguments: Namespace) -> int:
    """Compute and print, or write the page."""
    start = since(arguments.since)
    return asyncio.run(_show(begin(), arguments, start))


async def _show(settings: Settings, arguments: Namespace, start: float) -> int:
    statistics = Statistics(arguments.by, settings.prices)
    async with read_audit(settings) as database:
        if database is not None:
            async for record in after(database, Filter(since=start)):
                statistics.add(record)
    found = statistics.as_dict()
    if arguments.html:
        _write(found, arguments.html)
    if arguments.json:
        emit_json(found)
    elif not found["total"]["calls"]:
        talk(f"No calls in the time since {arguments.since}.")
    elif not arguments.html:
        _print(found)
    return 0


def _write(found: dict[str, Any], file: str) -> None:
    from clew.servers.stats_page import render

    try:
        Path(file).write_text(render(found), encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"--html {file}: {error.strerror}.") from None
    talk(f"Written to {file}.")


def _print(found: dict[str, Any]) -> None:
    rows = [*found["rows"], {"name": "all", **found["total"]}] if len(found["rows"]) > 1 else found["rows"]
    table((found["by"].upper(), *_HEADINGS), [[each["name"], *_cells(each, found)] for each in rows])
    emit("")
    facts([(name, value) for name, value in summary(found) if value])


def _cells(row: dict[str, Any], found: dict[str, Any]) -> list[str]:
    rates = [percent(row[f"{name}_rate"]) for name in ("success", "retry", "intervention", "unknown")]
    times = [f"{row[name]:.2f} s" for name in ("seconds_p50", "seconds_p95")]
    return [
        str(row["calls"]),
        *rates,
        *times,
        f"{row['tokens_in'] + row['tokens_out']}",
        price(row["cost"], found) if found["priced"] else "",
    ]


def summary(found: dict[str, Any]) -> list[tuple[str, str]]:
    """The figures that are not of a row, in words; empty where nothing is known."""
    tasks, people, resolution = found["tasks"], found["people"], found["resolution"]
    failures = ", ".join(f"{code} {count}" for code, count in found["failures"].items())
    steps = ", ".join(
        f"{each['steps']}: {percent(each['success_rate'])} of {each['tasks']}" for each in tasks["by_steps"]
    )
    spent = [f"{tasks['tokens_per_success']} tokens" if tasks["tokens_per_success"] is not None else "",
             price(tasks["cost_per_success"], found)]  # fmt: skip
    return [
        ("failures", failures),
        ("tasks", f"{tasks['succeeded']} of {tasks['tasks']} succeeded" if tasks["tasks"] else ""),
        ("by steps", steps),
        ("a successful task", ", ".join(filter(None, spent))),
        ("until a person came in", _with(span(people["seconds_to_intervention_mean"]), "on average")),
        ("a person took", _with(span(people["answer_seconds_mean"]), "to answer, on average")),
        ("resolution", _with(span(resolution["seconds_mean"]), f"on average, {resolution['open']} still open")),
        ("logins needed", percent(found["total"]["reconnect_rate"]) if found["total"]["reconnect_rate"] else ""),
    ]


def _with(figure: str, words: str) -> str:
    return f"{figure} {words}" if figure else ""
