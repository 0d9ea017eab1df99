"""The SDK's high-level server.  mcpserver.py stdio | http PORT"""

# pyright: basic, reportMissingImports=false

import sys

import httpx
from mcp.server import MCPServer
from shape import HEADERS, UPSTREAM, Issue, Issues

server = MCPServer("mcpserver", log_level="ERROR")
client = httpx.AsyncClient(base_url=UPSTREAM, headers=HEADERS, timeout=60)


@server.tool()
async def list_issues(owner: str, repo: str) -> Issues:
    """List the open issues of a repository."""
    answer = await client.get(f"/repos/{owner}/{repo}/issues")
    answer.raise_for_status()
    return Issues(items=[Issue.model_validate(each) for each in answer.json()])


if __name__ == "__main__":
    if sys.argv[1] == "http":
        import uvicorn

        uvicorn.run(
            server.streamable_http_app(), host="127.0.0.1", port=int(sys.argv[2]), log_level="error", access_log=False
        )
    else:
        server.run()
