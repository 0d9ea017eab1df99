"""The floor: the SDK's low-level server and a stock httpx client.  bare.py stdio | http PORT"""

# pyright: basic, reportMissingImports=false

import asyncio
import json
import sys

import httpx
import mcp.types as t
from mcp.server.lowlevel.server import Server
from mcp.server.stdio import stdio_server
from shape import HEADERS, UPSTREAM, Issue, Issues

SCHEMA = {
    "type": "object",
    "properties": {"owner": {"type": "string"}, "repo": {"type": "string"}},
    "required": ["owner", "repo"],
}
TOOL = t.Tool(
    name="list_issues", description="List the open issues of a repository.", input_schema=SCHEMA,
    output_schema=Issues.model_json_schema(mode="serialization"),
)  # fmt: skip


def build() -> Server:
    client = httpx.AsyncClient(base_url=UPSTREAM, headers=HEADERS, timeout=60)

    async def listed(context, params):
        return t.ListToolsResult(tools=[TOOL])

    async def called(context, params):
        given = params.arguments
        answer = await client.get(f"/repos/{given['owner']}/{given['repo']}/issues")
        answer.raise_for_status()
        found = Issues(items=[Issue.model_validate(each) for each in answer.json()]).model_dump()
        return t.CallToolResult(content=[t.TextContent(type="text", text=json.dumps(found))], structured_content=found)

    return Server("bare", version="1", on_list_tools=listed, on_call_tool=called)


async def over_stdio() -> None:
    server = build()
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


def over_http(port: int) -> None:
    import contextlib

    import uvicorn
    from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
    from starlette.applications import Starlette
    from starlette.routing import Route

    manager = StreamableHTTPSessionManager(build())

    @contextlib.asynccontextmanager
    async def lifespan(app):
        async with manager.run():
            yield

    app = Starlette(routes=[Route("/mcp", StreamableHTTPASGIApp(manager))], lifespan=lifespan)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", access_log=False)


if __name__ == "__main__":
    over_http(int(sys.argv[2])) if sys.argv[1] == "http" else asyncio.run(over_stdio())
