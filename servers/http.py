"""Serving over streamable HTTP: `/mcp` for all tools, `/CONNECTOR/mcp` for those of one, and what belongs to them.

`/healthz` and `/readyz` are for whoever watches the process, `/metrics` on this machine alone, `/webhooks/…` for
providers, `/console` and `/connect` for people. Without an authorization server only loopback addresses are served; the
`Host` and `Origin` headers are checked, which keeps web pages in a local browser out.
"""

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx
import uvicorn
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from clew.core.errors import ConfigurationError
from clew.servers.connect_pages import Pages
from clew.servers.connecting import Connecting, open_links
from clew.servers.console.desk import open_desk
from clew.servers.console.door import Places
from clew.servers.console.pages import console_routes
from clew.servers.console_address import BASE, announced
from clew.servers.gate import WELL_KNOWN, Gate, Resource, Vouching
from clew.servers.guard import configure, raise_file_limit
from clew.servers.holding import Holdings
from clew.servers.http_settings import HttpSettings
from clew.servers.mcp import build_server
from clew.servers.offering import View
from clew.servers.permits import Permits, read_permits
from clew.servers.probes import watching
from clew.servers.rounds import open_rounds
from clew.servers.runtime import Runtime
from clew.servers.shedding import Listener, Shedder
from clew.servers.vouching import check_people, vouching

MCP = "/mcp"


def parse_address(text: str, *, vouched: bool = False) -> tuple[str, int]:
    """`HOST:PORT`, `:PORT` or `PORT` as host and port. Raises `ConfigurationError` for anything not on loopback, unless
    somebody vouches for the callers."""
    host, port = split_address(text)
    if host != "localhost" and not vouched and not _is_loopback(host):
        raise ConfigurationError(
            f"--http {text}: only loopback addresses are served, because callers are not authenticated. "
            "Use 127.0.0.1 and put nothing but local hosts in front of it, or name an issuer under [http]."
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


def create_app(
    runtime: Runtime, *, host: str, port: int, more: Sequence[BaseRoute] = (), vouching: Vouching | None = None
) -> Starlette:
    """The ASGI application for one address, with `more` routes. With `vouching` every caller needs a token."""
    settings = runtime.settings.http
    security = _security(settings, host, port)
    managers: list[StreamableHTTPSessionManager] = []
    routes: list[BaseRoute] = []
    permits = read_permits(settings.scopes, list(runtime.tools.values())) if vouching else Permits()
    holdings = Holdings(settings.most_open)
    whole = runtime.view.without([name for name, each in runtime.tools.items() if not permits.offers(each)])

    def serve(view: View, own: View | None) -> StreamableHTTPSessionManager:
        manager = StreamableHTTPSessionManager(
            build_server(runtime, own, permits),
            security_settings=security,
            stateless=not settings.sessions,
            max_request_body_size=settings.most_body,
        )
        managers.append(manager)
        return manager

    def place(path: str, view: View, manager: StreamableHTTPSessionManager) -> None:
        scopes = tuple(dict.fromkeys(each for bound in view.tools.values() for each in permits.opening(bound)))
        titles = ", ".join(each.title or each.name for each in view.connectors)
        resource = Resource(settings.url or f"http://{host}:{port}", path, titles, scopes)
        gate = Gate(
            StreamableHTTPASGIApp(manager), runtime, TransportSecurityMiddleware(security), view, resource, vouching,
            permits, settings.most_body, holdings,
        )  # fmt: skip
        routes.append(Route(path, gate))
        if vouching is not None:
            described = _document(resource.document(vouching.settings.issuer))
            routes.append(Route(f"{WELL_KNOWN}{path}", described))
            if path == MCP:
                routes.append(Route(WELL_KNOWN, described))

    everything = serve(whole, whole if permits else None)
    place(MCP, whole, everything)
    for connector in runtime.connectors:
        view = whole.of(connector)
        alone = len(runtime.connectors) == 1
        place(f"/{connector.name}{MCP}", view, everything if alone else serve(view, view))

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        async with contextlib.AsyncExitStack() as stack:
            for manager in managers:
                await stack.enter_async_context(manager.run())
            yield

    return Starlette(routes=[*routes, *watching(runtime, security), *more], lifespan=lifespan)


def _document(facts: Mapping[str, Any]) -> Callable[[Request], Awaitable[Response]]:
    async def described(request: Request) -> Response:
        return JSONResponse(facts, headers={"access-control-allow-origin": "*", "cache-control": "max-age=300"})

    return described


def _security(settings: HttpSettings, host: str, port: int) -> TransportSecuritySettings:
    """The hosts and origins that are ours. An address that stands for all of them is nobody's name."""
    local = {"localhost", "127.0.0.1", "[::1]", *({host} - {"0.0.0.0", "[::]"})}  # noqa: S104
    names = {f"{name}:{port}" for name in local}
    public = urlsplit(settings.url)
    origins = {*(f"http://{name}" for name in names), *filter(None, [settings.url]), *settings.origins}
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=sorted({*names, *filter(None, [public.netloc])}),
        allowed_origins=sorted(origins),
    )


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
    settings = runtime.settings
    check_people(settings)
    with open_listener(address, *parse_address(address, vouched=bool(settings.http.issuer))) as listener:
        shown, port = shown_address(listener)
        runtime.rounds = await open_rounds(runtime.store.database, runtime.store.sealer)
        async with open_desk(settings, runtime) as desk, httpx.AsyncClient() as http:
            pages = console_routes(desk, Places(port, shown, settings.console.url))
            pages += await _connecting(runtime, http, shown, port)
            app = create_app(runtime, host=shown, port=port, more=[*more, *pages], vouching=vouching(settings, http))
            with announced(settings, f"http://{shown}:{port}{BASE}"):
                ready(f"{settings.http.url or f'http://{shown}:{port}'}{MCP}")
                server = _Server(configure(app, listener=listener))
                stopping = asyncio.create_task(_stop(server, stop or asyncio.Event()))
                try:
                    await server.serve(sockets=[listener])
                finally:
                    stopping.cancel()


async def _connecting(runtime: Runtime, http: httpx.AsyncClient, host: str, port: int) -> list[BaseRoute]:
    """The pages that connect accounts, where callers have their own and this server can ask who opens a page."""
    said = runtime.settings.http
    if not (said.has_users and said.client_id):
        return []
    links = await open_links(runtime.store.database)
    runtime.connecting = Connecting(runtime, links, said.url)
    return Pages(runtime, links, http, frozenset(_security(said, host, port).allowed_hosts)).routes()


async def _stop(server: uvicorn.Server, stop: asyncio.Event) -> None:
    await stop.wait()
    server.config.timeout_graceful_shutdown = 1  # what could end has ended by now
    server.should_exit = True


def open_listener(address: str, host: str, port: int, *, shared: bool = False) -> Listener:
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


def _listen(host: str, port: int, *, shared: bool) -> Listener:
    """A listening socket. asyncio sets TCP_NODELAY only on sockets that name their protocol; without it every answer
    on a kept connection waits some 40 ms."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = Listener(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.shedder = Shedder()
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
