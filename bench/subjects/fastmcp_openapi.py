"""FastMCP with the tool made of an OpenAPI description; it shows the model what upstream said.

fastmcp_openapi.py stdio | http PORT
"""

# pyright: basic, reportMissingImports=false

import httpx2 as httpx
from fastmcp import FastMCP
from fastmcp_hand import serve
from shape import HEADERS, UPSTREAM

NAMES = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in ("owner", "repo")]
ISSUE = {
    "type": "object",
    "properties": {
        "number": {"type": "integer"}, "title": {"type": "string"}, "state": {"type": "string"},
        "user": {"type": "object", "properties": {"login": {"type": "string"}}},
        "comments": {"type": "integer"}, "html_url": {"type": "string"},
    },
}  # fmt: skip
OK = {"description": "ok", "content": {"application/json": {"schema": {"type": "array", "items": ISSUE}}}}
SPEC = {
    "openapi": "3.1.0",
    "info": {"title": "issues", "version": "1"},
    "paths": {
        "/repos/{owner}/{repo}/issues": {
            "get": {
                "operationId": "list_issues",
                "summary": "List the open issues of a repository.",
                "parameters": NAMES,
                "responses": {"200": OK},
            }
        }
    },
}

if __name__ == "__main__":
    client = httpx.AsyncClient(base_url=UPSTREAM, headers=HEADERS, timeout=60)
    serve(FastMCP.from_openapi(openapi_spec=SPEC, client=client, name="openapi"))
