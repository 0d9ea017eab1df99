"""Acme as one ASGI application."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from . import contacts, invoices, messages, payments, tickets, webhooks
from .control import control_routes
from .edge import Edge
from .gate import api_route
from .oauth import AuthorizationServer
from .refusals import RefusalError
from .state import State
from .token_endpoint import TokenEndpoint

_RESOURCES = (contacts, tickets, payments, messages, invoices, webhooks)
_CODES = {404: "not_found", 405: "method_not_allowed"}


def create_app(state: State) -> ASGIApp:
    """Return the whole service over one memory. The faults that break a connection need uvicorn's h11 below them."""
    server = AuthorizationServer(state)
    routes = [*server.routes(), *TokenEndpoint(state, server).routes(), payments.page_route(state)]
    for resource in _RESOURCES:
        routes += [
            api_route(state, method, f"/api{path}", scope, handler) for method, path, scope, handler in resource.ROUTES
        ]
    app = Starlette(
        routes=[*routes, *control_routes(state)],
        exception_handlers={HTTPException: _answer_http, RefusalError: _answer_refusal},
    )
    return Edge(app, state)


async def _answer_http(_request: Request, error: Exception) -> Response:
    """Answer what the router refused in the one error shape."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = (error.headers or {}) if isinstance(error, HTTPException) else {}
    code = _CODES.get(status, "internal_error")
    return RefusalError(status, code, f"{code.replace('_', ' ').capitalize()}.", headers=headers).answer()


async def _answer_refusal(_request: Request, error: Exception) -> Response:
    refusal = (
        error
        if isinstance(error, RefusalError)
        else RefusalError(500, "internal_error", "Acme is having a bad moment.")
    )
    return refusal.answer()
