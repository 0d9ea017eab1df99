"""The pages and where they are."""

import logging
from collections.abc import Awaitable, Callable
from functools import lru_cache, wraps

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from clew.core.errors import CallError, ClewError, Code
from clew.servers.console import approving, entry, looking, standing, view
from clew.servers.console.desk import Desk
from clew.servers.console.door import Door, Places
from clew.servers.console_address import BASE
from clew.servers.stats_page import PLOTS

log = logging.getLogger(__name__)

Page = Callable[[Request], Awaitable[Response]]
_STATUS = {
    Code.NOT_FOUND: 404,
    Code.PERMISSION: 403,
    Code.CONFLICT: 409,
    Code.INVALID_INPUT: 400,
    Code.TRANSIENT: 503,
    Code.INTERNAL: 500,
}


def console_routes(desk: Desk, places: Places) -> list[BaseRoute]:
    """What to add to an application, so that it has the console below `/console`."""

    async def root(request: Request) -> Response:
        return RedirectResponse(f"{BASE}/approvals")

    return [Route(BASE, root), Mount(BASE, Door(_pages(), desk, places))]


def _pages() -> Starlette:
    routes = [
        Route("/", _home),
        Route("/enter", entry.enter, methods=["GET", "POST"]),
        Route("/login", entry.login),
        Route("/callback", entry.callback),
        Route("/leave", entry.leave, methods=["POST"]),
        Route("/style.css", style),
        Route("/script.js", _script),
        Route("/approvals", approving.listing),
        Route("/approvals/waiting.json", approving.waiting),
        Route("/approvals/{id}", approving.one),
        Route("/approvals/{id}", approving.decide, methods=["POST"]),
        Route("/approvals/{id}/edit", approving.edit),
        Route("/approvals/{id}/look", approving.look, methods=["POST"]),
        Route("/approvals/{id}/edit", approving.approve_edited, methods=["POST"]),
        Route("/connections", _operators(standing.connections)),
        Route("/limits", _operators(standing.limits)),
        Route("/events", _operators(standing.events)),
        Route("/events", _operators(standing.replay_events), methods=["POST"]),
        Route("/writes", _operators(standing.writes)),
        Route("/writes/{id}", _operators(standing.write)),
        Route("/writes/{id}", _operators(standing.settle_write), methods=["POST"]),
        Route("/audit", _operators(looking.audit)),
        Route("/audit/{reference}", _operators(looking.call)),
        Route("/stats", _operators(looking.stats)),
    ]
    handlers = {ClewError: _refused, HTTPException: _nothing, Exception: _fault}
    return Starlette(routes=routes, exception_handlers=handlers)  # type: ignore[arg-type]


def _operators(page: Page) -> Page:
    """A page that only operators see."""

    @wraps(page)
    async def guarded(request: Request) -> Response:
        if not request.state.desk.is_operator(request.state.visitor):
            return view.trouble(request, "This page is for operators of the console.", 403)
        return await page(request)

    return guarded


async def _home(request: Request) -> Response:
    return RedirectResponse(f"{BASE}/approvals")


async def _refused(request: Request, error: ClewError) -> Response:
    if isinstance(error, CallError):
        status = _STATUS.get(error.code, 409)
        return view.trouble(request, error.message, status, next_step=error.next_step)
    return view.trouble(request, str(error), 409)


async def _nothing(request: Request, error: HTTPException) -> Response:
    said = "There is no such page." if error.status_code in (404, 405) else "This request cannot be understood."
    return view.trouble(request, said, error.status_code)


async def _fault(request: Request, error: Exception) -> Response:
    log.error("console: %s %s failed", request.method, request.url.path, exc_info=error)
    return Response("Something went wrong on our side; the log has the details.\n", 500)


@lru_cache(maxsize=1)
def _sheet() -> str:
    return (view.HERE / "style.css").read_text(encoding="utf-8") + f"\n.figures {{{PLOTS}}}\n"


async def style(request: Request) -> Response:
    """How pages look."""
    return Response(_sheet(), media_type="text/css", headers={"cache-control": "max-age=300"})


@lru_cache(maxsize=1)
def _code() -> str:
    return (view.HERE / "script.js").read_text(encoding="utf-8")


async def _script(request: Request) -> Response:
    return Response(_code(), media_type="text/javascript", headers={"cache-control": "max-age=300"})
