"""A listener on this machine for one redirect: the end of a login in a browser (RFC 8252 §7.3).

It binds 127.0.0.1 at a free port (or at the one that a provider insists on), answers one path, believes only what
`accept` accepts and keeps waiting otherwise, so a stray or forged request neither ends nor spoils the login.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Self

from clew.core.errors import ConfigurationError

PATH = "/callback"
_HEAD_BYTES, _HEAD_SECONDS = 16 * 1024, 10.0

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>clew</title>
<body style="font-family:system-ui;margin:4rem auto;max-width:30rem"><h1>{title}</h1><p>{text}</p></body></html>
"""
_DONE = (
    200,
    _PAGE.format(title="Almost done", text="Go back to clew: it finishes the login. You can close this window."),
)
_UNKNOWN = (
    400,
    _PAGE.format(title="Not this login", text="This address does not belong to the login that clew waits for."),
)
_MISSING = (404, _PAGE.format(title="Nothing here", text="clew waits for the end of a login at another address."))


class Loopback:
    """`async with Loopback(accept) as loopback`: give `redirect_uri` to the provider, then `await wait()`."""

    def __init__(self, accept: Callable[[str], bool], *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._accept = accept
        self._host, self._port = host, port
        self._arrived: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._open: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.redirect_uri = ""

    async def __aenter__(self) -> Self:
        try:
            self._server = await asyncio.start_server(self._connected, "127.0.0.1", self._port, limit=_HEAD_BYTES)
        except OSError:
            raise ConfigurationError(
                f"Port {self._port} of this machine is taken, and this provider sends the browser to no other. "
                "Find out what listens there before you log in: it would get the answer."
            ) from None
        port = self._server.sockets[0].getsockname()[1]
        self.redirect_uri = f"http://{self._host}:{port}{PATH}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await self._server.wait_closed()

    async def wait(self) -> str:
        """The redirect's whole address, once an acceptable one has come."""
        return await asyncio.shield(self._arrived)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
                async with asyncio.timeout(_HEAD_SECONDS):
                    head = await reader.readuntil(b"\r\n\r\n")
                    writer.write(self._answer(head.decode("latin-1")))
                    await writer.drain()
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _answer(self, head: str) -> bytes:
        status, page = self._judge(head)
        content = page.encode()
        lines = [
            f"HTTP/1.1 {status} {'OK' if status == 200 else 'Refused'}",
            "Content-Type: text/html; charset=utf-8",
            f"Content-Length: {len(content)}",
            "Cache-Control: no-store",
            "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'",
            "Referrer-Policy: no-referrer",
            "Connection: close",
        ]
        return "\r\n".join([*lines, "", ""]).encode() + content

    def _judge(self, head: str) -> tuple[int, str]:
        request, *lines = head.split("\r\n")
        method, _, rest = request.partition(" ")
        target = rest.partition(" ")[0]
        hosts = [line.partition(":")[2].strip() for line in lines if line.lower().startswith("host:")]
        origin = self.redirect_uri.removesuffix(PATH)
        # A page elsewhere that resolves its own name to this machine is told by its Host header.
        if method != "GET" or target.partition("?")[0] != PATH or hosts != [origin.removeprefix("http://")]:
            return _MISSING
        address = origin + target
        if not self._accept(address):
            return _UNKNOWN
        if not self._arrived.done():
            self._arrived.set_result(address)
        return _DONE
