"""Serving over streamable HTTP: `/mcp` for all tools, `/health` and `/metrics` for watchers, `/webhooks/…`, `/console`.

There is no user authentication yet, so only loopback addresses are served; the `Host` and `Origin` headers are checked
against them, which keeps web pages in a local browser out.
"""

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import AsyncGenerator, Callable, Generator, Sequence

import uvicorn
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from clew.core.errors import ConfigurationError
from clew.servers.console.desk import open_desk
from clew.servers.console.door import Places
from clew.servers.console.pages import console_routes
from clew.servers.console_address import BASE, announced
from clew.servers.guard import configure, raise_file_limit
from clew.servers.mcp import build_server
from clew.servers.runtime import Runtime


def parse_address(text: str) -> tuple[str, int]:
    """`HOST:PORT`, `:PORT` or `PORT` as host and port. Raises `ConfigurationError` for anything not on loopback."""
    host, port = split_address(text)
    if host != "localhost" and not _is_loopback(host):
        raise ConfigurationError(
            f"--http {text}: only loopback addresses are served, because callers are not authenticated. "
            "Use 127.0.0.1 and put nothing but local hosts in front of it."
        )
    return host, port


def split_address(text: str) -> tuple[str, int]:
    """`HOST:PORT`, `:PORT` or `PORT` as host and port; loopback when no host is given."""
    host, _, port = text.rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        raise ConfigurationError(f"--http {text}: give HOST:PORT, for example 127.0.0.1:8000.")
    return host.strip("[]") or "127.0.0.1", int(port)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def create_app(runtime: Runtime, *, host: str, port: int, more: Sequence[BaseRoute] = ()) -> Starlette:
    """The ASGI application for one address, with `more` routes."""
    names = {host, "localhost", "127.0.0.1", "[::1]"}
    security = TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=[f"{name}:{port}" for name in sorted(names)],
        allowed_origins=[f"http://{name}:{port}" for name in sorted(names)],
    )
    manager = StreamableHTTPSessionManager(build_server(runtime), security_settings=security)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        async with manager.run():
            yield

    async def metrics(request: Request) -> Response:
        telemetry = runtime.evidence.telemetry if runtime.evidence else None
        if request.headers.get("host") not in security.allowed_hosts:
            return Response("This host is not served here.\n", status_code=421, media_type="text/plain")
        if telemetry is None or telemetry.registry is None:
            return Response("Start the server with --metrics.\n", status_code=404, media_type="text/plain")
        return Response(telemetry.page(), media_type="text/plain; version=0.0.4")

    async def health(request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok", "name": runtime.name, "tools": len(runtime.tools)})

    routes = [
        Route("/mcp", StreamableHTTPASGIApp(manager)),
        Route("/health", health),
        Route("/metrics", metrics),
        *more,
    ]
    return Starlette(routes=routes, lifespan=lifespan)


class _Server(uvicorn.Server):
    """One that leaves signals alone: what is under way may end before streams are closed."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none."""
        yield


async def serve_http(
    runtime: Runtime,
    address: str,
    ready: Callable[[str], None],
    *,
    more: Sequence[Route] = (),
    stop: asyncio.Event | None = None,
) -> None:
    """Serve until `stop` is set. `ready` is called with the URL once the port accepts connections."""
    with open_listener(address, *parse_address(address)) as listener:
        shown, port = shown_address(listener)
        settings = runtime.settings
        async with open_desk(settings, runtime) as desk:
            console = console_routes(desk, Places(port, shown, settings.console.url))
            app = create_app(runtime, host=shown, port=port, more=[*more, *console])
            with announced(settings, f"http://{shown}:{port}{BASE}"):
                ready(f"http://{shown}:{port}/mcp")
                server = _Server(configure(app))
                stopping = asyncio.create_task(_stop(server, stop or asyncio.Event()))
                try:
                    await server.serve(sockets=[listener])
                finally:
                    stopping.cancel()


async def _stop(server: uvicorn.Server, stop: asyncio.Event) -> None:
    await stop.wait()
    server.config.timeout_graceful_shutdown = 1  # what could end has ended by now
    server.should_exit = True


def open_listener(address: str, host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A socket that listens. Raises `ConfigurationError`. `shared`: other processes may listen on the same port."""
    raise_file_limit()
    try:
        return _listen(host, port, shared=shared)
    except OSError as error:
        raise ConfigurationError(f"--http {address}: {error.strerror or error}. Choose another port.") from None


def shown_address(listener: socket.socket) -> tuple[str, int]:
    """The host as it stands in a URL, and the port."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]" if ":" in host else host, port


def _listen(host: str, port: int, *, shared: bool) -> socket.socket:
    """A listening socket. asyncio sets TCP_NODELAY only on sockets that name their protocol; without it every answer
    on a kept connection waits some 40 ms."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener
