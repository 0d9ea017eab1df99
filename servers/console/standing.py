"""How things stand: connections, limits, events, writes. For operators; the acts are those of the command line."""

from functools import partial

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from clew.auth.connections import status
from clew.core.errors import ClewError, ConflictError, InvalidInputError, NotFoundError
from clew.core.inbox import Status
from clew.core.inbox_work import replay
from clew.core.journal import State, Write
from clew.core.reconcile import settle
from clew.core.redaction import redact
from clew.servers.cli.limits import budgets
from clew.servers.cli.writes import OPEN, demand_open
from clew.servers.console import view
from clew.servers.console.desk import Desk
from clew.servers.console_address import BASE
from clew.servers.runtime import Runtime
from clew.servers.settling import way_to

_SHOWN = 100


async def connections(request: Request) -> Response:
    """Every stored connection and whether it works."""
    desk: Desk = request.state.desk
    vault = desk.store.vault
    tenants = [desk.tenant] if desk.tenant else await vault.tenants()
    found = [each for tenant in tenants for each in await status(vault, tenant=tenant)]
    return view.page(request, "connections.html", found=found, broken=[each for each in found if each.next_step])


async def limits(request: Request) -> Response:
    """What is left of every budget, as all processes believe it to stand now."""
    return view.page(request, "limits.html", found=await budgets(request.state.desk.limits))


async def events(request: Request) -> Response:
    """The newest events, or those of one status."""
    desk: Desk = request.state.desk
    chosen = request.query_params.get("status", "")
    only = Status(chosen) if chosen in set(Status) else None
    found = await desk.inbox.list(status=only, limit=_SHOWN)
    return view.page(
        request, "events.html", found=found, counts=await desk.inbox.count(), chosen=only.value if only else ""
    )


async def replay_events(request: Request) -> Response:
    """Give one dead letter, or all of them, new tries."""
    desk: Desk = request.state.desk
    chosen = request.state.form.get("event", "")
    if not chosen:
        raise InvalidInputError("this form names no event.")
    if chosen != "all" and await desk.inbox.get(chosen) is None:
        raise NotFoundError("there is no event of this id.", next_step="Look at the list.")
    if not await replay(desk.inbox, None if chosen == "all" else chosen):
        raise ConflictError("there is nothing to try again; somebody was faster.")
    return RedirectResponse(f"{BASE}/events", 303)


async def writes(request: Request) -> Response:
    """Writes whose end nobody knows, and the newest ones."""
    desk: Desk = request.state.desk
    rows = partial(desk.store.journal.rows, tenant=desk.tenant, limit=_SHOWN)
    pending = [each for each in await rows(states=OPEN) if not each.held]
    ended = await rows(states=(State.APPLIED, State.NOT_APPLIED))
    return view.page(request, "writes.html", pending=pending, ended=ended)


async def write(request: Request) -> Response:
    """One write, its arguments as the audit would show them."""
    desk: Desk = request.state.desk
    row = await _row(desk, request)
    try:
        given = redact(await desk.store.journal.arguments(row) or {}, {})
    except ClewError as error:
        given = {"arguments": str(error)}
    is_open = row.state in OPEN or bool(row.pending)
    return view.page(request, "write.html", row=row, given=given, is_open=is_open)


async def settle_write(request: Request) -> Response:
    """Say how a write ended, or have the connector look."""
    desk: Desk = request.state.desk
    row, how = await _row(desk, request), request.state.form.get("how", "")
    demand_open(row)
    if how == "verify":
        async with Runtime.open(desk.settings, [row.connection.connector]) as runtime:
            known = await settle(runtime.store.journal, row, lambda each: way_to(runtime, each))
        if not known:
            raise ConflictError("the connector cannot tell. Look at the provider, then say what happened.")
    elif how in ("applied", "not_applied"):
        if not await desk.store.journal.complete(row.id, state=State(how), by=f"person {request.state.visitor.person}"):
            raise ConflictError("a call works on this write at the moment. Try again when it has ended.")
    else:
        raise InvalidInputError("this form does not say how it ended.")
    return RedirectResponse(f"{BASE}/writes/{row.id}", 303)


async def _row(desk: Desk, request: Request) -> Write:
    wanted = request.path_params["id"]
    row = await desk.store.journal.get(wanted)
    if row is None or row.id != wanted or desk.tenant not in (None, row.connection.tenant):
        raise NotFoundError("there is no such write.", next_step="Look at the list.")
    return row
