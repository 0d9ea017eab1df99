"""Serving the pages by themselves, on loopback."""

from collections.abc import Awaitable, Callable

import uvicorn
from starlette.applications import Starlette

from clew.servers.console.desk import Desk
from clew.servers.console.door import Places
from clew.servers.console.pages import console_routes
from clew.servers.console_address import BASE, announced
from clew.servers.guard import configure
from clew.servers.http import open_listener, parse_address, shown_address


def pages_app(desk: Desk, places: Places) -> Starlette:
    """The application with the console and nothing else."""
    return Starlette(routes=console_routes(desk, places))


async def serve_pages(desk: Desk, address: str, ready: Callable[[str], Awaitable[None]]) -> None:
    """Serve until told to stop. `ready` is called with the console's address once the port accepts connections."""
    with open_listener(address, *parse_address(address)) as listener:
        host, port = shown_address(listener)
        url = f"http://{host}:{port}{BASE}"
        with announced(desk.settings, url):
            await ready(url)
            app = pages_app(desk, Places(port, host, desk.rules.url))
            await uvicorn.Server(configure(app, lifespan="off", listener=listener)).serve(sockets=[listener])
