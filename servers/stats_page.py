"""The page of `clew stats --html`: one file, no script, dark and light, fit to be shown to a customer."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

from clew import __version__
from clew.servers.figures import count, percent, price, span
from clew.servers.plots import horizontal, meter, stacked

Found = Mapping[str, Any]

_STYLE = """
:root { color-scheme: light dark; --paper: #f6f7f9; --card: #fff; --ink: #16202c; --soft: #5b6877; --line: #e3e7ec;
  --good: #2f8f6b; --failed: #d99a2b; --unknown: #c8453b; --blue: #3b6fb6; --rail: #edf0f3; }
@media (prefers-color-scheme: dark) { :root { --paper: #10151b; --card: #18202a; --ink: #e8edf2; --soft: #97a4b2;
  --line: #2a3441; --good: #45b48a; --failed: #e2ae4a; --unknown: #e4685e; --blue: #6f9fe0; --rail: #232d39; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 40px 24px 56px; }
h1 { font-size: 27px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -.015em; }
h2 { font-size: 16px; margin: 0 0 2px; }
p { margin: 0; } .soft { color: var(--soft); } header { margin-bottom: 28px; }
footer { margin-top: 28px; font-size: 13px; color: var(--soft); } footer p { max-width: 78ch; margin-bottom: 6px; }
@media print { body { background: #fff; } .card { break-inside: avoid; } }
"""
PLOTS = """
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(220px, 45%), 1fr)); gap: 14px; }
.tiles { margin-bottom: 14px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 18px 20px; }
.tile b { display: block; font-size: 27px; line-height: 1.25; font-weight: 650; letter-spacing: -.02em;
  font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: 13px; display: block; line-height: 1.45; }
.tile .what { color: var(--ink); font-weight: 550; font-size: 14px; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(320px, 1fr)); gap: 14px; margin: 14px 0; }
.card > .soft { font-size: 13px; margin-bottom: 12px; }
.plot { width: 100%; height: auto; display: block; } .plot text { fill: var(--soft); font-size: 12px; }
.plot.narrow { display: none; }
.bars { display: grid; grid-template-columns: max-content minmax(40px, 1fr) max-content; gap: 10px 12px; margin: 0;
  font-size: 13px; align-items: center; }
.bars dt { text-align: right; } .bars dd { display: contents; }
.bars svg { width: 100%; height: 16px; border-radius: 3px; } .bars span { font-variant-numeric: tabular-nums; }
.grid { stroke: var(--line); } .good { fill: var(--good); } .failed { fill: var(--failed); }
.unknown { fill: var(--unknown); } .blue { fill: var(--blue); } .rail { fill: var(--rail); }
.legend { display: flex; gap: 18px; font-size: 13px; color: var(--soft); margin: 10px 0 0; padding: 0; }
.legend li { list-style: none; }
.legend i { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 6px; }
.of-good { background: var(--good); } .of-failed { background: var(--failed); }
.of-unknown { background: var(--unknown); }
.scroll { overflow-x: auto; } table { width: 100%; border-collapse: collapse; font-size: 14px; white-space: nowrap; }
th { font-weight: 550; color: var(--soft); font-size: 12.5px; text-align: right; padding: 8px 10px;
  border-bottom: 1px solid var(--line); }
td { text-align: right; padding: 8px 10px; border-bottom: 1px solid var(--line); font-variant-numeric: tabular-nums; }
th:first-child, td:first-child { text-align: left; padding-left: 0; } tr:last-child td { border-bottom: 0; }
.total td { font-weight: 600; } .meter { width: 60px; height: 8px; vertical-align: middle; }
.rate { display: inline-block; min-width: 4.4em; }
@media (max-width: 640px) { .plot.wide, .meter { display: none; } .plot.narrow { display: block; }
  .rate { min-width: 0; } .card { padding: 14px 16px; } th, td { padding: 8px 7px; }
  .scroll td:first-child { white-space: normal; min-width: 8.5em; } }
"""
"""What the figures themselves look like; the console's pages bring the colours under the same names."""
_SECURITY = "default-src 'none'; style-src 'unsafe-inline'"
_COLUMNS = ("Calls", "Success", "Sent again", "Person", "In doubt", "Median", "95 %", "Tokens", "Cost")
_NOTES = (
    "A call is a success when it ended well, or when the world already was as it should be. A call in doubt may have "
    "changed something at the provider although no answer came back; it is never repeated blindly.",
    "A task is all calls of one trace, or of one label given to them; it succeeded when its last call did and nothing "
    "was left in doubt. What failed tasks cost is counted with the successful ones. A person came in when one was "
    "asked for approval or had to log in, grant a right or pay.",
    "Tokens are what the model wrote as arguments and read as results, estimated as a quarter of the characters. "
    "Everything here is computed from the audit records, which hold no results and nothing personal of the arguments.",
)


def render(found: Found) -> str:
    """The whole page."""
    head = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>What the agents did</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_SECURITY}"><style>{_STYLE}{PLOTS}</style></head>'
    )
    return f"{head}<body><main>{_header(found)}{body(found)}{_footer()}</main></body></html>\n"


def body(found: Found) -> str:
    """Figures, plots and table, for any page that has their style."""
    if not found["total"]["calls"]:
        said = '<h2>No calls in this time</h2><p class="soft">A longer one may have some.</p>'
        return f'<section class="card">{said}</section>'
    pair = f'<div class="pair">{_failures(found)}{_complexity(found)}</div>'
    return "".join([_tiles(found), _over_time(found), pair, _table(found)])


def _header(found: Found) -> str:
    if not found["total"]["calls"]:
        return "<header><h1>What the agents did</h1></header>"
    first, last = _date(found["from"]), _date(found["to"])
    when = first if first == last else f"{first} to {last}"
    return f"<header><h1>What the agents did</h1><p class='soft'>{when}</p></header>"


def _tiles(found: Found) -> str:
    total, tasks, people, resolution = (found[name] for name in ("total", "tasks", "people", "resolution"))
    spent = price(tasks["cost_per_success"], found)
    tokens = f"{count(tasks['tokens_per_success'])} tokens" if tasks["tokens_per_success"] is not None else ""
    answered = span(people["answer_seconds_mean"])
    logins = f"a login in {percent(total['reconnect_rate'])}" if total["reconnect_rate"] else ""
    tiles = [
        (
            count(total["calls"]),
            "call" if total["calls"] == 1 else "calls",
            f"{count(total['requests'])} {'request' if total['requests'] == 1 else 'requests'} to providers",
        ),
        (percent(total["success_rate"]), "of calls succeeded", f"{percent(total['retry_rate'])} after sending again"),
        (
            percent(tasks["success_rate"]),
            "of tasks succeeded",
            f"{tasks['succeeded']} of {tasks['tasks']}" if tasks["tasks"] else "no task was labelled",
        ),
        (
            percent(total["intervention_rate"]),
            "needed a person",
            ", ".join(filter(None, (f"{answered} to answer" if answered else "nobody had to answer", logins))),
        ),
        (span(people["seconds_to_intervention_mean"]), "until a person came in", "mean, where one did"),
        (
            percent(total["unknown_rate"]),
            "left in doubt",
            "no answer came back" if total["unknown_rate"] else "of all calls",
        ),
        (
            span(resolution["seconds_mean"]),
            "from failure to success",
            f"mean; {resolution['open']} still open"
            if resolution["seconds_mean"] or resolution["open"]
            else "no failure",
        ),
        (spent or tokens, "for a successful task", tokens if spent else "no prices are set"),
    ]
    cells = [
        f'<div class="card tile"><b>{escape(figure) or "&ndash;"}</b><span class="what">{escape(what)}</span>'
        f"<span>{escape(more)}</span></div>"
        for figure, what, more in tiles
    ]
    return f'<section class="tiles" aria-label="Key figures">{"".join(cells)}</section>'


def _over_time(found: Found) -> str:
    kinds = (("good", "succeeded"), ("failed", "failed"), ("unknown", "in doubt"))
    bars = [(each["day"], [(kind, each.get(kind, 0)) for kind, _ in kinds]) for each in found["days"]]
    legend = "".join(f'<li><i class="of-{kind}"></i>{word}</li>' for kind, word in kinds)
    return (
        '<section class="card"><h2>Calls a day</h2><p class="soft">By how they ended</p>'
        f'{stacked(bars, "Calls a day, by how they ended")}<ul class="legend">{legend}</ul></section>'
    )


def _failures(found: Found) -> str:
    total = sum(found["failures"].values())
    rows = [
        (code.replace("_", " "), float(number), f"{number}") for code, number in list(found["failures"].items())[:8]
    ]
    drawn = horizontal(rows, "failed", "Failures by code") if rows else '<p class="soft">Nothing failed.</p>'
    said = f'<p class="soft">{total} {"call" if total == 1 else "calls"}, by code</p>' if rows else ""
    return f'<section class="card"><h2>Why calls failed</h2>{said}{drawn}</section>'


def _complexity(found: Found) -> str:
    steps: Sequence[Found] = found["tasks"]["by_steps"]
    rows = [
        (f"{each['steps']} {'call' if each['steps'] == '1' else 'calls'}", each["success_rate"], _of(each))
        for each in steps
    ]
    drawn = horizontal(rows, "good", "Success of tasks by number of calls", whole=1.0) if rows else ""
    said = (
        "Share of tasks that succeeded, by how many calls they took" if rows else "No task was labelled in this time."
    )
    return f'<section class="card"><h2>Success by complexity</h2><p class="soft">{said}</p>{drawn}</section>'


def _of(each: Found) -> str:
    return f"{percent(each['success_rate'])} of {each['tasks']}"


def _table(found: Found) -> str:
    columns = _COLUMNS if found["priced"] else _COLUMNS[:-1]
    head = "".join(f"<th>{name}</th>" for name in (str(found["by"]).capitalize(), *columns))
    rows = [_row(_breaking(each["name"]), each, found, "") for each in found["rows"][:40]]
    rows += [_row("All", found["total"], found, ' class="total"')] if len(found["rows"]) > 1 else []
    return (
        f'<section class="card"><h2>By {escape(found["by"])}</h2><div class="scroll">'
        f"<table><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def _breaking(name: str) -> str:
    """A name that a narrow column breaks where a person would."""
    return escape(name).replace(".", ".<wbr>").replace("_", "_<wbr>")


def _row(name: str, row: Found, found: Found, kind: str) -> str:
    rates = [percent(row[f"{each}_rate"]) for each in ("retry", "intervention", "unknown")]
    cells = [
        name,
        count(row["calls"]),
        f'{meter(row["success_rate"])}<span class="rate">{percent(row["success_rate"])}</span>',
        *rates,
        span(row["seconds_p50"]),
        span(row["seconds_p95"]),
        count(row["tokens_in"] + row["tokens_out"]),
        *([price(row["cost"], found)] if found["priced"] else []),
    ]
    return f"<tr{kind}>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _footer() -> str:
    made = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
    return f"<footer>{''.join(f'<p>{note}</p>' for note in _NOTES)}<p>Made {made} by clew {__version__}.</p></footer>"


def _date(moment: float) -> str:
    found = datetime.fromtimestamp(moment).astimezone()
    return f"{found.day} {found:%B %Y}"
