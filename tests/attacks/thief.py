"""A server on loopback that takes whatever it is given."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Thief:
    """A server that answers everything kindly and remembers what it was sent."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        thief = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                thief.heard.append(f"{self.command} {self.path} {self.headers}{self.rfile.read(length).decode()}")
                body = b'{"email": "ada@acme.example", "access_token": "x", "token_type": "bearer"}'
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def listening() -> Generator[Thief]:
    """Run one."""
    made = Thief()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
