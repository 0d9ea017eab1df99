"""What the agents did: the audit, the story of one call, the figures. For operators."""

import re

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from clew.core.audit_log import take_in
from clew.core.audit_reading import Filter, after, find, last, rounds
from clew.core.errors import ConfigurationError, NotFoundError
from clew.servers.cli import story
from clew.servers.cli.audit_commands import BY
from clew.servers.cli.moments import since
from clew.servers.console import view
from clew.servers.console.desk import Desk
from clew.servers.console_address import BASE
from clew.servers.evidence import folder
from clew.servers.stats import Statistics
from clew.servers.stats_page import body

_SHOWN = 200
SPANS = ("1h", "24h", "7d", "30d")


async def audit(request: Request) -> Response:
    """The latest calls that fit, or the one with a reference."""
    desk: Desk = request.state.desk
    asked = {name: request.query_params.get(name, "").strip() for name in ("since", "connector", "tool", "reference")}
    failed = request.query_params.get("failed") == "1"
    if re.fullmatch(r"[0-9a-f]{8,40}", asked["reference"]):
        return RedirectResponse(f"{BASE}/audit/{asked['reference']}", 303)
    await take_in(desk.store.database, folder(desk.settings))
    problem = "A reference is what stands in an error: 16 characters, 0-9 and a-f." if asked["reference"] else ""
    try:
        wanted = Filter(since(asked["since"]), asked["connector"], asked["tool"], failed)
    except ConfigurationError as error:
        wanted, problem = Filter(), str(error).removeprefix("--since ")
    found = (await last(desk.store.database, wanted, _SHOWN))[::-1]
    return view.page(
        request, "audit.html", status=400 if problem else 200, found=found, asked=asked, failed=failed,
        problem=problem, spans=SPANS,
    )  # fmt: skip


async def call(request: Request) -> Response:
    """The story of one call."""
    desk: Desk = request.state.desk
    await take_in(desk.store.database, folder(desk.settings))
    record = await find(desk.store.database, request.path_params["reference"])
    if record is None:
        raise NotFoundError("no record has this reference.", next_step="It may have been removed after audit_keep.")
    steps = story.steps(record)
    whole = max([record.get("seconds", 0.0), *(at + took for at, took, _ in steps), 0.001])
    return view.page(
        request, "call.html", record=record, steps=steps, whole=whole, opening=story.opening(record),
        ending=story.ending(record), facts=story.facts(record), rounds=await rounds(desk.store.database, record),
    )  # fmt: skip


async def stats(request: Request) -> Response:
    """The figures of some time."""
    from markupsafe import Markup

    desk: Desk = request.state.desk
    span = request.query_params.get("since", "7d")
    span = span if span in SPANS else "7d"
    by = request.query_params.get("by", "tool")
    by = by if by in BY else "tool"
    await take_in(desk.store.database, folder(desk.settings))
    statistics = Statistics(by, desk.settings.prices)
    async for record in after(desk.store.database, Filter(since=since(span))):
        statistics.add(record)
    # The page escapes what it shows, by itself: it is the one that `clew stats --html` writes.
    drawn = Markup(body(statistics.as_dict()))  # noqa: S704
    return view.page(request, "stats.html", drawn=drawn, chosen=span, spans=SPANS, by=by, choices=BY)
