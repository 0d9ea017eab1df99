"""Serving one host over standard input and output. The first frame decides the protocol era."""

from mcp.server.stdio import stdio_server

from clew.servers.mcp import build_server
from clew.servers.runtime import Runtime


async def serve_stdio(runtime: Runtime) -> None:
    """Serve until the host closes the pipe. Stray prints go to standard error, not onto the wire."""
    server = build_server(runtime)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())
