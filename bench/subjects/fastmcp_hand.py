"""FastMCP with a tool written by hand.  fastmcp_hand.py stdio | http PORT"""

# pyright: basic, reportMissingImports=false

import sys

import httpx2 as httpx
from fastmcp import FastMCP
from shape import HEADERS, UPSTREAM, Issue, Issues

server = FastMCP("fastmcp")
client = httpx.AsyncClient(base_url=UPSTREAM, headers=HEADERS, timeout=60)


@server.tool
async def list_issues(owner: str, repo: str) -> Issues:
    """List the open issues of a repository."""
    answer = await client.get(f"/repos/{owner}/{repo}/issues")
    answer.raise_for_status()
    return Issues(items=[Issue.model_validate(each) for each in answer.json()])


def serve(server: FastMCP) -> None:
    if sys.argv[1] == "http":
        import uvicorn

        uvicorn.run(
            server.http_app(path="/mcp"), host="127.0.0.1", port=int(sys.argv[2]), log_level="error", access_log=False
        )
    else:
        server.run(show_banner=False, log_level="ERROR")


if __name__ == "__main__":
    serve(server)
