"""Authorization servers to attack refreshes with: the sandbox, one with a grace, and npm's oidc-provider.

Each gives out grants, serves `/api/me` to living access tokens, and counts.
"""

import asyncio
import json
import os
import re
import secrets
import signal
import subprocess
import threading
import urllib.request
from collections.abc import Generator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from clew.servers.sandbox import Sandbox

SENSIBLE = (0, "", "")
"""Let a `GraceProvider` answer by itself."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What an authorization server has seen: requests to the token endpoint, refreshes, second uses, dead families."""

    requests: int
    refreshed: int
    reused: int
    killed: int

    def __sub__(self, other: "Counts") -> "Counts":
        return Counts(
            self.requests - other.requests,
            self.refreshed - other.refreshed,
            self.reused - other.reused,
            self.killed - other.killed,
        )


class Provider(Protocol):
    """What the attacks need."""

    url: str
    scheme: dict[str, Any]

    def grant(self) -> tuple[str, str]:
        """A new grant: its access token and its refresh token."""
        ...

    def expire(self) -> None:
        """End every access token."""
        ...

    def slow(self, seconds: float, *, after: bool = True) -> None:
        """The next refresh takes `seconds`, after it was carried out or before."""
        ...

    def counts(self) -> Counts:
        """The counters since the start."""
        ...


class AcmeProvider:
    """The sandbox: single-use refresh tokens, a second use ends the family."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.url = sandbox.url
        self.scheme: dict[str, Any] = {
            "authorize_url": "{base_url}/oauth/authorize",
            "token_url": "{base_url}/oauth/token",
            "client_id": "clew-demo",
        }

    def grant(self) -> tuple[str, str]:
        pair = self.sandbox.log_in()
        return str(pair["access_token"]), str(pair["refresh_token"])

    def expire(self) -> None:
        self.sandbox.fault("expire_token")

    def slow(self, seconds: float, *, after: bool = True) -> None:
        self.sandbox.clear_faults()
        self.sandbox.fault("slow", path="/oauth/token", seconds=seconds, when="after" if after else "before")

    def counts(self) -> Counts:
        tokens = self.sandbox.state.tokens
        requests = self.sandbox.state.requests["POST /oauth/token"]
        return Counts(requests, tokens.refreshed, tokens.reused, tokens.families_revoked)


@contextmanager
def acme(**settings: Any) -> Generator[AcmeProvider]:
    """The sandbox in a thread."""
    with Sandbox(rate_limit=10_000_000, **settings) as sandbox:
        yield AcmeProvider(sandbox)


class GraceProvider:
    """A provider of class D: the token before is good until the new one was used. Or one that says what it is told.

    While `answer` is set every token request gets it: (status, content type, body), or None for no answer at all.
    """

    def __init__(self) -> None:
        self.url = ""
        self.scheme: dict[str, Any] = {
            "authorize_url": "{base_url}/authorize",
            "token_url": "{base_url}/token",
            "client_id": "clew",
            "refresh_class": "D",
        }
        self.answer: tuple[int, str, str] | None = SENSIBLE
        self.access: set[str] = set()
        self.refresh: dict[str, str] = {}  # token -> family
        self.retired: dict[str, str] = {}
        self.requests = self.refreshed = self.reused = 0
        self.delay = 0.0
        self.delay_after = True
        self._loop = asyncio.new_event_loop()
        self._stopped, self._never = asyncio.Event(), asyncio.Event()

    def grant(self) -> tuple[str, str]:
        return self._issue(secrets.token_hex(8))

    def expire(self) -> None:
        self.access.clear()

    def slow(self, seconds: float, *, after: bool = True) -> None:
        self.delay, self.delay_after = seconds, after

    def counts(self) -> Counts:
        return Counts(self.requests, self.refreshed, self.reused, 0)

    def _issue(self, family: str) -> tuple[str, str]:
        access, refresh = f"at_{secrets.token_hex(8)}", f"rt_{secrets.token_hex(8)}"
        self.access.add(access)
        self.refresh[refresh] = family
        return access, refresh

    def _redeem(self, token: str) -> tuple[int, dict[str, Any]]:
        family = self.refresh.pop(token, None)
        if family is None:
            family = self.retired.get(token)
            self.reused += 1
        if family is None:
            return 400, {"error": "invalid_grant"}
        # The first use of a token ends the grace of the one before.
        for old in [each for each, of in self.retired.items() if of == family and each != token]:
            del self.retired[old]
        self.retired[token] = family
        self.refreshed += 1
        access, refresh = self._issue(family)
        return 200, {"access_token": access, "refresh_token": refresh, "expires_in": 3600}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
            body = (await reader.readexactly(int(length[1]))).decode() if length else ""
            status, kind, text = await self._answer(head, body)
            content = text.encode()
            writer.write(f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(content)}\r\n".encode())
            writer.write(b"connection: close\r\n\r\n" + content)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, head: str, body: str) -> tuple[int, str, str]:
        if not head.startswith("POST /token"):
            found = re.search(r"authorization: Bearer (\S+)", head, re.IGNORECASE)
            return (200 if found and found[1] in self.access else 401), "application/json", "{}"
        self.requests += 1
        if self.answer is None:
            await self._never.wait()
        elif self.answer[0]:
            return self.answer
        delay, self.delay = self.delay, 0.0
        if not self.delay_after:
            await asyncio.sleep(delay)
        token = re.search(r"refresh_token=([^&]+)", body)
        status, content = self._redeem(token[1] if token else "")
        if self.delay_after:
            await asyncio.sleep(delay)
        return status, "application/json", json.dumps(content)

    def run(self, ready: "Future[None]") -> None:
        """Serve in this thread until stopped."""

        async def main() -> None:
            server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
            self.url = "http://{}:{}".format(*server.sockets[0].getsockname())
            ready.set_result(None)
            async with server:
                await self._stopped.wait()

        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(main())

    def stop(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._stopped.set)


@contextmanager
def grace() -> Generator[GraceProvider]:
    """The class-D provider in a thread."""
    provider, ready = GraceProvider(), Future[None]()
    thread = threading.Thread(target=provider.run, args=(ready,), daemon=True)
    thread.start()
    ready.result(10)
    yield provider
    provider.stop()
    thread.join()


class OidcProvider:
    """npm's oidc-provider, a certified OpenID provider: rotation, and reuse ends the grant."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.scheme: dict[str, Any] = {
            "authorize_url": "{base_url}/auth",
            "token_url": "{base_url}/token",
            "client_id": "clew",
        }

    def _ask(self, path: str, method: str = "POST") -> Any:
        request = urllib.request.Request(f"{self.url}{path}", method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())

    def grant(self) -> tuple[str, str]:
        pair = self._ask("/_bed/grant")
        return pair["access_token"], pair["refresh_token"]

    def expire(self) -> None:
        self._ask("/_bed/expire")

    def slow(self, seconds: float, *, after: bool = True) -> None:
        self._ask(f"/_bed/slow?seconds={seconds}&after={int(after)}")

    def counts(self) -> Counts:
        return Counts(**self._ask("/_bed/counts", "GET"))


def find_oidc() -> tuple[Path, Path] | None:
    """Node and the folder of packages with oidc-provider in it: `CLEW_TESTBEDS`, or where the test beds live."""
    own = Path(__file__).resolve().parent.parent.parent / ".cache" / "testbeds"
    modules = Path(os.environ.get("CLEW_TESTBEDS", own)) / "node_modules"
    node = modules / "node" / "bin" / "node"
    return (node, modules) if node.exists() and (modules / "oidc-provider").is_dir() else None


@contextmanager
def oidc(node: Path, modules: Path) -> Generator[OidcProvider]:
    """The oidc-provider of `modules` in a process of its own."""
    server = Path(__file__).parent / "oidc_server.mjs"
    process = subprocess.Popen(
        [node, server],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "BED_MODULES": str(modules), "NODE_ENV": "production"},
    )
    assert process.stdout is not None
    with process.stdout as lines:
        try:
            yield OidcProvider(json.loads(next(line for line in lines if line.startswith("{")))["url"])
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
