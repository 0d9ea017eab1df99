"""A door before another server that notes who came through: each request, and what the server said of it."""

import contextlib
import http.client
import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

Adapt = Callable[[str, Mapping[str, str]], tuple[str, Mapping[str, str]]]
"""Path and headers as they came to what the server behind is sent."""
Mend = Callable[[str, bytes], bytes]
"""The path without its query, and an answer's content, to the content that is passed on."""
PUBLIC = "https://api.github.com"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request as it was sent, and what the server behind answered."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    status: int
    answer_headers: Mapping[str, str]
    answer: bytes

    @property
    def violations(self) -> list[str]:
        """What Prism found wrong with the request; what it found wrong with its own answer is left out."""
        if self.status >= 400 and b"stoplight.io/prism/errors#" in self.answer:
            return [str(json.loads(self.answer)["title"])]
        found: list[dict[str, Any]] = json.loads(self.answer_headers.get("sl-violations", "[]"))
        return [each["message"] for each in found if each["location"][0] == "request"]


@dataclass(slots=True)
class Recorder:
    """A forwarding server on a free port of 127.0.0.1, and what it has seen."""

    url: str
    seen: list[Exchange] = field(default_factory=list[Exchange])


@contextlib.contextmanager
def recording(target: str, adapt: Adapt, mend: Mend) -> Generator[Recorder]:
    """Note every request, forward it to `target`, and lead links to the public address back here."""
    address = urlsplit(target).netloc
    recorder = Recorder("")

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            path, changed = adapt(self.path, headers)
            status, received, content = _ask(address, self.command, path, {**changed, "host": address}, body)
            place, _, query = self.path.partition("?")
            recorder.seen.append(Exchange(self.command, place, query, headers, body, status, received, content))
            content = mend(place, content) if status < 300 and content else content
            self.send_response(status)
            for name in {"content-type", "link"} & set(received):
                self.send_header(name, received[name].replace(PUBLIC, recorder.url))
            if status != 204:
                self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass  # noqa: N815 - the library names them so

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    server.daemon_threads = True
    recorder.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield recorder
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _ask(
    address: str, method: str, path: str, headers: Mapping[str, str], body: bytes
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(address, timeout=30)
    try:
        connection.request(method, path, body or None, dict(headers))
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()
