"""What one caller may hold of a server."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import pytest
from starlette.types import Message, Receive, Scope, Send

from clew.servers.holding import NOBODY, Caller, Holdings

pytestmark = pytest.mark.anyio
ANN, BOB = ("issuer", "ann"), ("issuer", "bob")


@dataclass
class App:
    """Opens a session for whoever posts without one, and answers when it may."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    sessions: list[str] = field(default_factory=list[str])
    made: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = dict(scope["headers"]).get(b"mcp-session-id", b"").decode()
        headers: list[tuple[bytes, bytes]] = []
        status = 200 if not given or given in self.sessions else 404
        if scope["method"] == "DELETE":
            self.sessions.remove(given)
        elif not given and scope["method"] == "POST":
            self.made += 1
            self.sessions.append(f"s{self.made}")
            headers = [(b"mcp-session-id", self.sessions[-1].encode())]
        if scope["method"] == "GET":
            await self.go.wait()
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


async def ask(
    held: Holdings, app: App, caller: Caller, method: str = "POST", session: str = "", **headers: str
) -> Message:
    """One request; the head of its answer."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    given = {**headers, **({"mcp-session-id": session} if session else {})}
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in given.items()]
    scope: Scope = {"type": "http", "method": method, "path": "/mcp", "headers": pairs}
    await held.serve(app, caller, scope, receive, send)
    return sent[0]


@contextlib.asynccontextmanager
async def streams(held: Holdings, app: App, caller: Caller, number: int) -> AsyncGenerator[list[asyncio.Task[Message]]]:
    tasks = [asyncio.create_task(ask(held, app, caller, "GET")) for _ in range(number)]
    await asyncio.sleep(0)
    yield tasks
    app.go.set()
    assert {each["status"] for each in await asyncio.gather(*tasks)} == {200}


async def test_half_of_a_share_may_be_streams_and_others_have_their_own() -> None:
    held, app = Holdings(4, total=100), App()
    async with streams(held, app, ANN, 2):
        assert (await ask(held, app, ANN, "GET"))["status"] == 429
        assert (await ask(held, app, ANN, mcp_method="subscriptions/listen"))["status"] == 429
        assert (await ask(held, app, ANN, mcp_method="tools/call"))["status"] == 200
        async with streams(held, app, BOB, 2):
            pass
    assert (await ask(held, app, ANN, "GET"))["status"] == 200, "when they have ended there is room again"


async def test_all_together_have_an_end_whoever_they_are() -> None:
    held, app = Holdings(4, total=3), App()
    app.sessions.append("s")
    async with streams(held, app, NOBODY, 3):
        assert (await ask(held, app, ANN, "DELETE", session="s"))["status"] == 200, "which ends something"
        refused = await ask(held, app, ANN)
        assert refused["status"] == 503
        assert dict(refused["headers"])[b"retry-after"] == b"5"


async def test_the_session_used_least_lately_makes_room() -> None:
    held, app = Holdings(4, total=100), App()
    await ask(held, app, BOB)
    for _ in range(4):
        await ask(held, app, ANN)
    await ask(held, app, ANN, session="s2")
    await ask(held, app, ANN)
    assert app.sessions == ["s1", "s2", "s4", "s5", "s6"], "the second of ann's; bob's is his own"


async def test_a_session_with_a_stream_stays() -> None:
    held, app = Holdings(4, total=100), App()
    await ask(held, app, ANN)
    stream = asyncio.create_task(ask(held, app, ANN, "GET", session="s1"))
    await asyncio.sleep(0)
    for _ in range(4):
        await ask(held, app, ANN)
    assert app.sessions == ["s1", "s3", "s4", "s5"]
    app.go.set()
    await stream


async def test_what_was_ended_counts_no_more() -> None:
    held, app = Holdings(4, total=100), App()
    for _ in range(4):
        await ask(held, app, ANN)
    await ask(held, app, ANN, "DELETE", session="s2")
    await ask(held, app, ANN)
    assert app.sessions == ["s1", "s3", "s4", "s5"]


async def test_a_stolen_session_is_not_kept_alive_by_the_thief() -> None:
    held, app = Holdings(4, total=100), App()
    for _ in range(4):
        await ask(held, app, ANN)
    await ask(held, app, BOB, session="s1")
    await ask(held, app, ANN)
    assert "s1" not in app.sessions


async def test_what_the_sdk_has_ended_by_itself_is_forgotten() -> None:
    now = 0.0
    held, app = Holdings(4, total=100, clock=lambda: now), App()
    for _ in range(4):
        await ask(held, app, ANN)
    now = 2000.0
    await ask(held, app, ANN)
    assert app.made == len(app.sessions) == 5, "none was ended to make room"
