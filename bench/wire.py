"""Raw clients: a server over a pipe, and one over HTTP. They cost little beside what they drive."""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROTOCOL = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": PROTOCOL,
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
ARGUMENTS = {"owner": "o", "repo": "r"}
MARK = b"number 12"
"""Stands in the last item of every right answer."""
_TICK = os.sysconf("SC_CLK_TCK")
CORES = sorted(os.sched_getaffinity(0))


def frame(identity: int, method: str, params: Mapping[str, Any] | None = None) -> bytes:
    """One request of the newer era."""
    message = {"jsonrpc": "2.0", "id": identity, "method": method, "params": {**(params or {}), "_meta": META}}
    return json.dumps(message, separators=(",", ":")).encode()


def call(identity: int, tool: str, arguments: Mapping[str, Any] = ARGUMENTS) -> bytes:
    """A tools/call."""
    return frame(identity, "tools/call", {"name": tool, "arguments": dict(arguments)})


@dataclass(slots=True)
class Process:
    """A server that was started, and what it uses."""

    popen: "subprocess.Popen[bytes]"
    began: float
    rest: bytes = b""
    lines: list[bytes] = field(default_factory=list[bytes])

    @classmethod
    def start(cls, command: list[str], environment: Mapping[str, str], *, pinned: bool) -> "Process":
        """Start it; `pinned` to the first processor, for the clients run on the others."""

        def pin() -> None:
            os.sched_setaffinity(0, {CORES[0]})

        began = time.perf_counter()
        popen = subprocess.Popen(
            command, env=dict(environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            preexec_fn=pin if pinned and len(CORES) > 1 else None,  # noqa: PLW1509 - no thread runs here
        )  # fmt: skip
        return cls(popen, began)

    def send(self, data: bytes) -> None:
        assert self.popen.stdin is not None
        os.write(self.popen.stdin.fileno(), data + b"\n")

    def line(self) -> bytes:
        """The next line of its output."""
        assert self.popen.stdout is not None
        while not self.lines:
            chunk = os.read(self.popen.stdout.fileno(), 1 << 18)
            if not chunk:
                raise SystemExit(f"{self.popen.args} ended with {self.popen.wait()}")
            *self.lines, self.rest = (self.rest + chunk).split(b"\n")
        return self.lines.pop(0)

    def answer(self, identity: int) -> dict[str, Any]:
        """Read until the answer to a request comes. Raises `SystemExit` for an error."""
        while True:
            message: dict[str, Any] = json.loads(self.line())
            if message.get("id") == identity:
                if "result" not in message:
                    raise SystemExit(f"{self.popen.args}: {message}")
                return dict(message["result"])

    @property
    def cpu(self) -> float:
        """Seconds of processor time so far, its children's included."""
        fields = Path(f"/proc/{self.popen.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICK

    @property
    def rss(self) -> float:
        """MiB."""
        status = Path(f"/proc/{self.popen.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def end(self) -> None:
        for stream in (self.popen.stdin, self.popen.stdout):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
        self.popen.kill()
        self.popen.wait()


@contextlib.contextmanager
def upstream(python: str) -> Generator[str]:
    """The provider, on a processor that is not the server's."""
    command = [python, str(Path(__file__).parent / "upstream.py")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    os.sched_setaffinity(process.pid, set(CORES[1:]) or set(CORES))
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()


def one_by_one(server: Process, tool: str, count: int) -> list[float]:
    """Seconds of each of `count` calls, one after the other."""
    took: list[float] = []
    for number in range(count):
        data = call(number + 1000, tool)
        began = time.perf_counter()
        server.send(data)
        line = server.line()
        took.append(time.perf_counter() - began)
        _judge(line)
    return took


def in_flight(server: Process, tool: str, count: int, width: int) -> float:
    """Seconds for `count` calls with `width` of them under way at once."""
    asked, answered = 0, 0
    began = time.perf_counter()
    while answered < count:
        while asked < count and asked - answered < width:
            asked += 1
            server.send(call(asked + 100_000, tool))
        line = server.line()
        if b'"result"' in line or b'"error"' in line:
            _judge(line)
            answered += 1
    return time.perf_counter() - began


def _judge(line: bytes) -> None:
    if MARK not in line or b'"isError":true' in line:
        raise SystemExit(f"not the answer that was expected: {line[:600]!r}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, alive: Callable[[], object]) -> None:
    """Until somebody accepts connections there."""
    for _ in range(3000):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5):
            return
        if alive() is not None:
            raise SystemExit("a server ended before it served")
        time.sleep(0.01)
    raise SystemExit("a server did not come up")


def over_http(port: int, tool: str, count: int, width: int) -> float:
    """Seconds for `count` calls on `width` kept connections, one call at a time on each."""
    return asyncio.run(_over_http(port, tool, count, width))


async def _over_http(port: int, tool: str, count: int, width: int) -> float:
    body = call(1, tool)
    head = (
        f"POST /mcp HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
        f"accept: application/json, text/event-stream\r\nmcp-protocol-version: {PROTOCOL}\r\n"
        f"mcp-method: tools/call\r\nmcp-name: {tool}\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode()
    loop = asyncio.get_running_loop()
    left = [count]
    done = loop.create_future()
    clients = [(await loop.create_connection(lambda: _Caller(head + body, left, done), "127.0.0.1", port))[1]
               for _ in range(width)]  # fmt: skip
    began = time.perf_counter()
    for each in clients:
        each.ask()
    await done
    took = time.perf_counter() - began
    for each in clients:
        each.transport.abort()
    return took


class _Caller(asyncio.Protocol):
    """One connection that asks again as soon as it is answered."""

    transport: asyncio.Transport

    def __init__(self, request: bytes, left: list[int], done: "asyncio.Future[None]") -> None:
        self._request, self._left, self._done = request, left, done
        self._seen = b""
        self._answered = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def ask(self) -> None:
        self._seen = b""
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._seen += data
        head, found, body = self._seen.partition(b"\r\n\r\n")
        if not found or self._done.done():
            return
        lower = head.lower()
        at = lower.find(b"content-length:")
        if at >= 0:
            if len(body) < int(lower[at + 15 :].split(b"\r\n", 1)[0]):
                return
        elif not body.endswith(b"0\r\n\r\n"):
            return
        if MARK not in body or not head.startswith(b"HTTP/1.1 200") or b'"isError":true' in body:
            self._done.set_exception(SystemExit(f"not the answer that was expected: {self._seen[:800]!r}"))
            return
        self._left[0] -= 1
        if self._left[0] == 0:
            self._done.set_result(None)
        elif self._left[0] > 0:
            self.ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(SystemExit(f"a connection was closed: {exc}"))
