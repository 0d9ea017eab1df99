"""What watches a server: `/healthz` (it lives), `/readyz` (send it work), `/metrics` (figures, on this machine)."""

import asyncio

from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from clew.core.errors import ClewError
from clew.servers.runtime import Runtime

_PATIENCE = 2.0
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


def watching(runtime: Runtime, security: TransportSecuritySettings) -> list[BaseRoute]:
    """The routes."""

    async def metrics(request: Request) -> Response:
        telemetry = runtime.evidence.telemetry if runtime.evidence else None
        outside = any(name in request.headers for name in _FORWARDED)
        if outside or request.headers.get("host") not in security.allowed_hosts:
            return Response("This host is not served here.\n", status_code=421, media_type="text/plain")
        if telemetry is None or telemetry.registry is None:
            return Response("Start the server with --metrics.\n", status_code=404, media_type="text/plain")
        return Response(telemetry.page(), media_type="text/plain; version=0.0.4")

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok", "name": runtime.name, "tools": len(runtime.tools)})

    async def alive(request: Request) -> Response:
        return JSONResponse({"status": "ok"}, headers={"cache-control": "no-store"})

    async def ready(request: Request) -> Response:
        # The authorization server does not count: when it is out, no other worker could do better.
        status = "closing" if runtime.closing else await _store(runtime)
        return JSONResponse({"status": status}, 200 if status == "ok" else 503, {"cache-control": "no-store"})

    return [Route("/health", health), Route("/healthz", alive), Route("/readyz", ready), Route("/metrics", metrics)]


async def _store(runtime: Runtime) -> str:
    try:
        async with asyncio.timeout(_PATIENCE):
            await runtime.store.database.fetch_one("SELECT 1")
    except (ClewError, TimeoutError):
        return "store"
    return "ok"
