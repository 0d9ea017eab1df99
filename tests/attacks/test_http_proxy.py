"""Request smuggling through a real proxy: nginx in front of the server that strangers reach."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send
from tests.attacks.http_site import free_port
from tests.attacks.http_world import ALL, HELLO, PUBLIC, World, world
from tests.attacks.issuer import serving
from tests.attacks.nginx import marks, nginx

from clew.servers.http import create_app
from clew.servers.vouching import vouching

pytestmark = marks
MARK = "/smuggled"
CONFIG = """
ignore_invalid_headers off; underscores_in_headers on;
upstream clew {{ server 127.0.0.1:{to}; keepalive 4; }}
server {{
  listen 127.0.0.1:{port}; server_name mcp.example.com;
  location / {{
    proxy_pass http://clew; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
    proxy_request_buffering off; proxy_buffering off;
  }}
}}
"""


@dataclass
class Recorder:
    """What the application is asked for, whoever asks."""

    app: ASGIApp
    seen: list[str] = field(default_factory=list[str])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.seen.append(f"{scope['method']} {scope['path']}")
        await self.app(scope, receive, send)


@contextlib.asynccontextmanager
async def proxied(made: World, folder: Path) -> AsyncGenerator[tuple[int, Recorder]]:
    port = free_port()
    async with httpx.AsyncClient(trust_env=False) as http:
        app = Recorder(
            create_app(made.runtime, host="127.0.0.1", port=1, vouching=vouching(made.runtime.settings, http))
        )
        async with serving(app, lifespan="on") as url:
            said = CONFIG.format(to=url.rpartition(":")[2], port=port)
            async with nginx(folder, said, port=port):
                yield port, app


def attacks(token: str) -> dict[str, bytes]:
    """Requests that two servers could cut at different places, with another request in what one takes for the body."""
    inner = f"GET {MARK} HTTP/1.1\r\nHost: mcp.example.com\r\nX-A: ".encode()
    whole = f"GET {MARK} HTTP/1.1\r\nHost: mcp.example.com\r\n\r\n".encode()
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: mcp.example.com\r\nAuthorization: Bearer {token}\r\n"
        "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
    ).encode()
    chunked = b"0\r\n\r\n" + inner
    both = f"Content-Length: {len(chunked)}\r\n".encode()
    te: dict[str, bytes] = {
        "plain": b"Transfer-Encoding: chunked\r\n",
        "space before the colon": b"Transfer-Encoding : chunked\r\n",
        "tab": b"Transfer-Encoding:\tchunked\r\n",
        "vertical tab": b"Transfer-Encoding: \x0bchunked\r\n",
        "x before": b"Transfer-Encoding: xchunked\r\n",
        "twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "list": b"Transfer-Encoding: identity, chunked\r\n",
        "quoted": b'Transfer-Encoding: "chunked"\r\n',
        "folded": b"Transfer-Encoding:\r\n chunked\r\n",
        "underscore": b"Transfer_Encoding: chunked\r\n",
        "case": b"tRANSFER-eNCODING: CHUNKED\r\n",
        "bare line feed": b"X: y\nTransfer-Encoding: chunked\r\n",
        "null": b"Transfer-Encoding: chunked\x00\r\n",
    }
    found = {f"CL.TE, {name}": head + both + each + b"\r\n" + chunked for name, each in te.items()}
    body = f"{len(whole):x}\r\n".encode() + whole + b"\r\n0\r\n\r\n"
    found |= {f"TE.CL, {name}": head + b"Content-Length: 4\r\n" + each + b"\r\n" + body for name, each in te.items()}
    lengths: dict[str, bytes] = {
        "two": f"Content-Length: 0\r\nContent-Length: {len(whole)}\r\n".encode(),
        "a list": f"Content-Length: 0, {len(whole)}\r\n".encode(),
        "plus": b"Content-Length: +0\r\n",
        "negative": b"Content-Length: -1\r\n",
        "hex": b"Content-Length: 0x0\r\n",
        "space": b"Content-Length: 0 0\r\n",
        "underscore": f"Content-Length: 0\r\nContent_Length: {len(whole)}\r\n".encode(),
    }
    found |= {f"lengths, {name}": head + each + b"\r\n" + whole for name, each in lengths.items()}
    sizes: dict[str, bytes] = {
        "bare line feed in an extension": b"2;\nxx\r\n{}\r\n0\r\n\r\n",
        "a size that overflows": b"10000000000000002\r\n{}\r\n0\r\n\r\n",
        "a negative size": b"-1\r\n{}\r\n0\r\n\r\n",
        "a size in hex with x": b"0x2\r\n{}\r\n0\r\n\r\n",
        "no end of a chunk": b"2\r\n{}0\r\n\r\n",
        "a trailer that ends it early": b"0\r\nContent-Length: 99\r\n\r\n",
    }
    found |= {f"chunks, {name}": head + te["plain"] + b"\r\n" + each + whole for name, each in sizes.items()}
    found["a get with a body"] = (
        f"GET /healthz HTTP/1.1\r\nHost: mcp.example.com\r\nContent-Length: {len(whole)}\r\n\r\n".encode() + whole
    )
    found["upgrade"] = (
        head + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n" + whole
    )
    found["expect"] = head + b"Expect: 100-continue\r\nContent-Length: 0\r\n\r\n" + whole
    found["a line break in the target"] = b"GET /healthz%0d%0aX:%20y HTTP/1.1\r\nHost: mcp.example.com\r\n\r\n"
    return found


async def test_no_way_of_cutting_a_request_puts_another_one_into_a_strangers_connection(tmp_path: Path) -> None:
    """nginx takes pipelined requests apart: one that it saw itself is no smuggled one. What counts is that the answers
    of others stay their own, and that the application never sees more requests than nginx has passed on."""
    async with world(tmp_path) as made, proxied(made, tmp_path) as (port, app):
        token = made.issuer.token(ALL)
        async with httpx.AsyncClient(trust_env=False, base_url=f"http://127.0.0.1:{port}") as victim:
            for name, sent in attacks(token).items():
                # The proxy's own connections are warm before, so that a poisoned one would be used again.
                for _ in range(3):
                    assert (await victim.get("/healthz", headers={"host": "mcp.example.com"})).json() == {
                        "status": "ok"
                    }
                app.seen.clear()
                answered = await raw(port, sent)
                statuses = answered.count(b"HTTP/1.1 ")
                for _ in range(6):
                    own = await victim.get("/healthz", headers={"host": "mcp.example.com"})
                    assert (own.status_code, own.text) == (200, '{"status":"ok"}'), name
                assert len(app.seen) - 6 <= statuses, (name, app.seen)


async def raw(port: int, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        await writer.drain()
        found = b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(1.0):
                while data := await reader.read(65536):
                    found += data
        return found
    finally:
        writer.close()


async def test_through_the_proxy_a_caller_is_served_and_others_are_not(tmp_path: Path) -> None:
    async with world(tmp_path) as made, proxied(made, tmp_path) as (port, _):
        headers = {"accept": "application/json, text/event-stream", "host": "mcp.example.com"}
        async with httpx.AsyncClient(trust_env=False, base_url=f"http://127.0.0.1:{port}") as http:
            nobody = await http.post("/mcp", json=HELLO, headers=headers)
            assert nobody.status_code == 401
            assert PUBLIC in nobody.headers["www-authenticate"]
            good = {**headers, "authorization": f"Bearer {made.issuer.token(ALL)}"}
            assert (await http.post("/mcp", json=HELLO, headers=good)).status_code == 200
