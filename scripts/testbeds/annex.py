"""What emulate's Calendar leaves out: reading one event, changing it, and etags. Everything else is passed on to it.

It keeps no events of its own, only the changes made through it, so that what it shows is what emulate holds.
"""

import contextlib
import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx


@dataclass(slots=True)
class Annex:
    """The address of the annex, and what came through it: method, path and query of each request, in order."""

    url: str
    seen: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    changes: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])


@contextlib.contextmanager
def annexed(target: str) -> Generator[Annex]:
    """Stand before emulate at `target`, on a free port of 127.0.0.1."""
    annex = Annex("")
    client = httpx.Client(base_url=target, timeout=20)

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            content = self.rfile.read(length)
            parts = urlsplit(self.path)
            annex.seen.append((self.command, parts.path, parts.query))
            kept = ("authorization", "content-type", "if-match")
            headers = {name: value for name in kept if (value := self.headers.get(name)) is not None}
            answer = _answered(client, annex, self.command, self.path, headers, content)
            self.send_response(answer.status_code)
            self.send_header("content-type", answer.headers.get("content-type", "application/json"))
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815 - http.server's names

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as server, client:
        annex.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield annex
        finally:
            server.shutdown()
            thread.join()


def _answered(
    client: httpx.Client, annex: Annex, method: str, address: str, headers: Mapping[str, str], content: bytes
) -> httpx.Response:
    collection, _, event_id = urlsplit(address).path.rpartition("/")
    of_event = collection.endswith("/events") and method in {"GET", "PATCH", "DELETE"}
    if not of_event:
        return client.request(method, address, headers=headers, content=content)
    listed = client.get(collection, params={"maxResults": 250}, headers=headers)
    if listed.is_error:
        return listed
    event = next((each for each in listed.json()["items"] if each["id"] == unquote(event_id)), None)
    if event is None:
        return _refusal(404, "notFound")
    event |= annex.changes.get(event["id"], {})
    if headers.get("if-match", event["etag"]) != event["etag"]:
        return _refusal(412, "conditionNotMet")
    if method == "DELETE":
        return client.request(method, address, headers=headers)
    if method == "PATCH":
        changes = {**annex.changes.get(event["id"], {}), **json.loads(content)}
        changes["etag"] = f'"{len(annex.seen)}"'
        annex.changes[event["id"]] = changes
        event |= changes
    return httpx.Response(200, json=event)


def _refusal(status: int, reason: str) -> httpx.Response:
    faults = [{"domain": "global", "reason": reason, "message": reason}]
    return httpx.Response(status, json={"error": {"code": status, "message": reason, "errors": faults}})
