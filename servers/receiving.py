"""`clew webhooks serve`: a server for deliveries alone. Every delivery proves itself, so it may be public."""

import logging
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from clew.core.errors import CallError
from clew.servers.guard import configure
from clew.servers.http import open_listener, shown_address, split_address
from clew.servers.mailroom import Mailroom

log = logging.getLogger(__name__)


def create_app(mailroom: Mailroom) -> Starlette:
    """The application: deliveries, and the health of the inbox."""

    async def health(request: Request) -> JSONResponse:
        try:
            counts = await mailroom.inbox.count()
        except CallError as error:
            return JSONResponse({"status": "out", "why": error.code.value}, 503)
        return JSONResponse({"status": "ok", "events": counts, "refused": mailroom.receiver.refused})

    return Starlette(routes=[*mailroom.routes, Route("/health", health)])


async def serve_deliveries(
    mailroom: Mailroom, address: str, ready: Callable[[str], None], *, share_port: bool = False
) -> None:
    """Serve until told to stop. `ready` is called with the root URL once the port accepts connections."""
    with open_listener(address, *split_address(address), shared=share_port) as listener:
        host, port = shown_address(listener)
        ready(f"http://{host}:{port}")
        await uvicorn.Server(configure(create_app(mailroom), lifespan="off", listener=listener)).serve(
            sockets=[listener]
        )
