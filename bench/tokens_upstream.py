"""An upstream on loopback: a function from request to answer, as a server; for providers that emulate has not, and for
single answers that it lacks.
"""

import contextlib
import threading
from collections.abc import Callable, Generator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

Site = Callable[[httpx.Request], httpx.Response]
_HOP = ("content-length", "content-encoding", "transfer-encoding", "connection", "date", "server")


@contextlib.contextmanager
def serving(site: Site) -> Generator[str]:
    """The site's address on loopback, while this is open. Its calls come one after another."""
    turn = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            url = f"http://{self.headers['host']}{self.path}"
            with turn:
                answer = site(httpx.Request(self.command, url, headers=self.headers.items(), content=body))
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name.lower() not in _HOP:
                    self.send_header(name, value)
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_any  # noqa: N815  # http.server's names

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def before(url: str, beside: Mapping[str, Any], complete: Callable[[Any], Any] | None = None) -> Site:
    """What stands at `url`, with answers of our own at the paths that it lacks, and its own made complete."""
    client = httpx.Client(base_url=url, timeout=20)

    def site(request: httpx.Request) -> httpx.Response:
        if request.url.path in beside:
            return httpx.Response(200, json=beside[request.url.path])
        headers = {name: value for name, value in request.headers.items() if name not in (*_HOP, "host")}
        path = request.url.raw_path.decode()
        said = client.request(request.method, path, headers=headers, content=request.content)
        if complete is None or "json" not in said.headers.get("content-type", ""):
            return said
        return httpx.Response(said.status_code, json=complete(said.json()))

    return site
