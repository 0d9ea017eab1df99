"""How soon a stdio server lists its tools: clew with all promises on against the bare low-level SDK, in pairs.

    python bench/start.py [ROUNDS]

The bare server offers the same tools (their names, schemas and descriptions) from a constant and calls nothing. `warm`
is clew's usual start, with the manifest of an earlier one; `first ever` has none. `ten at once` starts ten servers
together and waits until the last has listed its tools. Seconds, the median of the rounds; ratios are medians of the
pairs.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CLEW = str(Path(sys.executable).parent / "clew")
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
BARE = """
import asyncio, json, sys
import mcp.types as t
from mcp.server.lowlevel.server import Server
from mcp.server.stdio import stdio_server
TOOLS = [t.Tool.model_validate(each) for each in json.loads(open(sys.argv[1]).read())]
async def listed(context, params): return t.ListToolsResult(tools=TOOLS)
async def called(context, params): return t.CallToolResult(content=[t.TextContent(type="text", text="{}")])
async def main():
    server = Server("bare", version="1", on_list_tools=listed, on_call_tool=called)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())
asyncio.run(main())
"""


class Started:
    """One server and when it listed its tools."""

    def __init__(self, command: list[str], home: str) -> None:
        self.began = time.perf_counter()
        environment = {**os.environ, "CLEW_HOME": home, "CLEW_KEY_PROVIDER": "file", "CLEW_LOG_LEVEL": "error"}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
        )
        self._ask(1, "server/discover", {})
        self._ask(2, "tools/list", {})

    def _ask(self, identity: int, method: str, params: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        message = {"jsonrpc": "2.0", "id": identity, "method": method, "params": {**params, "_meta": META}}
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def wait_for(self, identity: int) -> dict[str, Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            answer: dict[str, Any] = json.loads(line)
            if answer.get("id") == identity:
                return answer
        raise SystemExit("the server ended without an answer")

    def listed(self) -> float:
        self.wait_for(2)
        return time.perf_counter() - self.began

    def called(self) -> float:
        self._ask(3, "tools/call", {"name": "list_tickets", "arguments": {}})
        self.wait_for(3)
        return time.perf_counter() - self.began

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def once(command: list[str], home: str, what: Callable[[Started], float]) -> float:
    started = Started(command, home)
    try:
        return what(started)
    finally:
        started.end()


def ten(command: list[str], home: str) -> float:
    began = time.perf_counter()
    servers = [Started(command, home) for _ in range(10)]
    for each in servers:
        each.listed()
    took = time.perf_counter() - began
    for each in servers:
        each.end()
    return took


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory() as folder:
        home, tools = str(Path(folder) / "home"), Path(folder) / "tools.json"
        clew = [CLEW, "serve", "acme"]
        first = Started(clew, home)
        tools.write_text(json.dumps(first.wait_for(2)["result"]["tools"]))
        first.end()
        bare = [sys.executable, "-c", BARE, str(tools)]

        def fresh() -> float:
            shutil.rmtree(Path(home) / "starts", ignore_errors=True)
            return once(clew, home, Started.listed)

        rows: dict[str, tuple[Callable[[], float], Callable[[], float], int]] = {
            "tools listed, warm": (
                lambda: once(clew, home, Started.listed), lambda: once(bare, home, Started.listed), rounds,
            ),
            "first call answered, warm": (
                lambda: once(clew, home, Started.called), lambda: once(bare, home, Started.called), rounds,
            ),
            "ten at once, all listed, warm": (lambda: ten(clew, home), lambda: ten(bare, home), max(rounds // 2, 2)),
            "tools listed, first ever": (fresh, lambda: once(bare, home, Started.listed), rounds),
        }  # fmt: skip
        print("| start | clew s | bare SDK s | ratio |\n| --- | --- | --- | --- |")
        for name, (ours, theirs, count) in rows.items():
            pairs = [(ours(), theirs()) for _ in range(count)]
            ratio = statistics.median(one / other for one, other in pairs)
            columns = [statistics.median(each[place] for each in pairs) for place in (0, 1)]
            print(f"| {name} | {columns[0]:.3f} | {columns[1]:.3f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
