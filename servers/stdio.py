"""Serving one host over standard input and output. The first frame decides the protocol era.

What was answered early (`servers.early`) is replayed into the server first; its duplicate answers stay off the wire.
"""

import asyncio
import json
import os
from collections.abc import AsyncGenerator
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import anyio
import anyio.to_thread
from mcp.server.stdio import stdio_server

from clew.servers import early
from clew.servers.mcp import build_server, listing_options
from clew.servers.runtime import Runtime

if TYPE_CHECKING:
    from clew.servers.pipe import Pipe

_WATCHED_LINES = 40
"""A host asks what is worth keeping at the start, so only its first lines are looked at."""
_CHANGED = '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n'


async def serve_stdio(runtime: Runtime) -> None:
    """Serve until the host closes the pipe. Stray prints go to standard error, not onto the wire."""
    server = build_server(runtime)
    options = listing_options(server)
    if os.name != "posix":
        async with stdio_server() as (read, write):
            await server.run(read, write, options)
        return
    from clew.servers.pipe import Pipe

    pipe, greeting = early.taken or Pipe(), early.greeting or early.Greeting("", {})
    wire = Wire(pipe, greeting, asyncio.get_running_loop(), runtime)
    async with stdio_server(cast("Any", wire), cast("Any", wire)) as (read, write):
        await server.run(read, write, options)


class Wire:
    """The pipe as the SDK reads and writes it: an async iterator of lines, and `write`."""

    def __init__(
        self, pipe: "Pipe", greeting: "early.Greeting", loop: asyncio.AbstractEventLoop, runtime: Runtime
    ) -> None:
        self._pipe, self._greeting, self._runtime = pipe, greeting, runtime
        self._came = asyncio.Event()
        self._expected: dict[Any, str] = {}
        self._telling: asyncio.Task[None] | None = None
        self._replayed: dict[Any, asyncio.Event] = {}
        self._left = _WATCHED_LINES if greeting.path else 0
        with pipe.changed:
            pipe.answer = None
            pipe.wake = partial(loop.call_soon_threadsafe, self._came.set)

    def __aiter__(self) -> AsyncGenerator[str]:
        return self._lines()

    async def _lines(self) -> AsyncGenerator[str]:
        for line, identity, fingerprint in self._greeting.given:
            if fingerprint:
                self._expected[identity] = fingerprint
                self._replayed[identity] = asyncio.Event()
            yield line.decode("utf-8", "replace")
            if fingerprint:
                await self._replayed[identity].wait()
        while True:
            try:
                line_or_end = self._pipe.take()
            except IndexError:
                self._came.clear()
                if not self._pipe.waiting:
                    await self._came.wait()
                continue
            if line_or_end is None:
                return
            if self._left > 0:
                self._left -= 1
                fingerprint, message = self._greeting.recognise(line_or_end)
                if fingerprint:
                    self._expected[message["id"]] = fingerprint
            yield line_or_end.decode("utf-8", "replace")

    async def write(self, text: str) -> None:
        """One frame to the host, unless it has had it already."""
        if self._expected and self._is_known(text):
            return
        data = text.encode()
        try:
            if left := self._pipe.begin(data):
                with anyio.CancelScope(shield=True):  # half a frame would be the end of all others
                    await anyio.to_thread.run_sync(self._pipe.finish, left)
        except OSError:
            return  # the host is gone; the end of its own stream says so

    async def flush(self) -> None:
        """Every frame is written at once."""

    def _is_known(self, text: str) -> bool:
        """Keep an answer for the next start; is it one that the host has had?"""
        message = json.loads(text)
        fingerprint = self._expected.pop(message.get("id"), None)
        if fingerprint is None:
            return False
        result = json.dumps(message["result"], separators=(",", ":")) if "result" in message else None
        waited = self._replayed.pop(message.get("id"), None)
        if result != self._greeting.answers.get(fingerprint) and result is not None:
            self._greeting.answers[fingerprint] = result
            early.save(self._greeting)
            if waited is not None and "tools/list" in fingerprint:
                self._telling = asyncio.create_task(self._tell())
        if waited is not None:
            waited.set()
        return waited is not None

    async def _tell(self) -> None:
        """The tools are no longer those that were listed early."""
        if self._greeting.version:
            await self.write(_CHANGED)
        if self._runtime.tools_changed is not None:
            await self._runtime.tools_changed()
