"""A provider that commits or does not, and then fails in every way: what we claim is compared with what it did.

The claim may be modest (`unknown`), never wrong: `not_applied` means that nothing was committed, a success that all of
it was, and nothing is ever committed twice.
"""

import asyncio
import json
import socket
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.loopback import Serve

from clew.core.api import Api
from clew.core.audit import Record
from clew.core.bounds import Bounds
from clew.core.call import Call, Walk
from clew.core.connection import LOCAL_TENANT, Connection
from clew.core.connector import Connector
from clew.core.deadline import Deadline
from clew.core.errors import CallError, Code, Outcome
from clew.core.limiter import Limiter
from clew.core.wire import Wire

pytestmark = pytest.mark.anyio


acme = Connector("acme", "https://api.acme.example", bounds=Bounds(body=50_000))


@acme.write
async def add_notes(api: Api, texts: list[str]) -> int:
    """Add notes one by one."""
    for text in texts:
        await api.post("/notes", json={"text": text}, into=dict[str, int])
    return len(texts)


@acme.write
async def add_at_once(api: Api, texts: list[str]) -> int:
    """Add notes side by side."""
    await asyncio.gather(*(api.post("/notes", json={"text": text}, into=dict[str, int]) for text in texts))
    return len(texts)


@acme.read
async def count_notes(api: Api) -> int:
    """Count the notes."""
    return await api.get("/notes", at="count", into=int)


def answer(status: int, body: bytes = b'{"id": 1}', **headers: str) -> bytes:
    named = {"content-type": "application/json", "content-length": str(len(body)), **headers}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in named.items())
    return f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + body


@dataclass(frozen=True)
class Behaviour:
    """Does the provider commit, what does it send, and does it break the connection after that?"""

    name: str
    commits: bool
    sends: bytes = b""
    breaks: bool = False


def both(name: str, sends: bytes = b"", *, breaks: bool = False) -> list[Behaviour]:
    """The same fault with and without the change behind it: from outside they cannot be told apart."""
    return [
        Behaviour(f"{name} ({'' if commits else 'not '}committed)", commits, sends, breaks) for commits in (True, False)
    ]


GOOD = Behaviour("good", True, answer(201))
REFUSALS = [
    Behaviour(f"refused {status}", False, answer(status))
    for status in (307, 400, 401, 402, 403, 404, 409, 410, 412, 422, 429)
]
BUSY = [Behaviour(f"busy {status}", False, answer(status, retry_after="1")) for status in (429, 503)]
AMBIGUOUS = [
    *(each for status in (302, 303, 408, 500, 502, 503, 504) for each in both(f"status {status}", answer(status))),
    *both("drop", breaks=True),
    *both("half an answer", answer(201)[:-4], breaks=True),
    *both("garbage", b"\x00\x01\r\n\r\n", breaks=True),
    *both("a login page", answer(200, b"<html>log in</html>")),
    *both("damaged JSON", answer(200, b'{"id": ')),
    *both("broken text", answer(200, b'{"id": "\xff"}')),
    *both("a bottomless answer", answer(200, b"[" * 10_000)),
    *both("damaged compression", answer(200, b"nonsense", content_encoding="gzip")),
    *both("an unasked encoding", answer(200, b"nonsense", content_encoding="br")),
    *both("too much", answer(200, b" " * 60_000)),
    *both("a large fault", answer(500, b" " * 60_000)),
    *both("a redirect elsewhere", answer(302, location="https://evil.example/")),
]
EVERY = [GOOD, *REFUSALS, *BUSY, *AMBIGUOUS]


@dataclass
class Truth:
    """The provider's side: what it was asked, and what it committed."""

    script: list[Behaviour]
    asked: list[str] = field(default_factory=list[str])
    committed: Counter[str] = field(default_factory=Counter[str])
    tasks: set["asyncio.Task[None] | None"] = field(default_factory=set["asyncio.Task[None] | None"])

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tasks.add(asyncio.current_task())
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or b"0")
                text = json.loads(await reader.readexactly(length) or b"{}").get("text", "")
                now = self.script[min(len(self.asked), len(self.script) - 1)]
                self.asked.append(text)
                if now.commits:
                    self.committed[text] += 1
                writer.write(now.sends)
                await writer.drain()
                if now.breaks:
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


class Clock:
    """Time that passes only by sleeping, so that no test waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@asynccontextmanager
async def provider(*script: Behaviour) -> AsyncGenerator[tuple[Truth, str]]:
    truth = Truth(list(script))
    server = await asyncio.start_server(truth.talk, "127.0.0.1", 0)
    yield truth, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    await asyncio.gather(*(task for task in truth.tasks if task), return_exceptions=True)


async def claim(url: str, tool: str, *texts: str) -> Outcome | None:
    """The outcome we report, `None` for success."""
    async with httpx.AsyncClient(verify=False, trust_env=False) as client:
        clock, connection = Clock(), Connection(LOCAL_TENANT, "acme", "work")
        wire = Wire(acme, connection, None, client, url, Limiter(clock=clock), sleep=clock.sleep)
        call = Call(acme.tools[tool], {"texts": list(texts)}, connection, wire, Deadline.after(60))
        records: list[Record] = []
        failure: CallError | None = None
        try:
            result = await Walk(sink=records.append)(call)
        except CallError as error:
            result, failure = {}, error
    if failure is None:
        assert result == {"result": len(texts)}
        assert records[0].outcome == Outcome.APPLIED
        return None
    assert failure.code is not Code.INTERNAL
    assert (records[0].code, records[0].outcome) == (failure.code, failure.outcome)
    return failure.outcome


def assert_honest(truth: Truth, texts: tuple[str, ...], claimed: Outcome | None) -> None:
    assert all(times == 1 for times in truth.committed.values()), "something was committed twice"
    if claimed is None:
        assert truth.committed == Counter(texts), "a success that was none"
    if claimed is Outcome.NOT_APPLIED:
        assert not truth.committed, "it was applied after all"
    if claimed is Outcome.APPLIED:
        assert truth.committed == Counter(texts), "it was not applied after all"


@pytest.mark.parametrize("behaviour", EVERY, ids=lambda each: str(each.name))
async def test_one_write_is_claimed_honestly(behaviour: Behaviour) -> None:
    async with provider(behaviour) as (truth, url):
        claimed = await claim(url, "add_notes", "a")
    assert_honest(truth, ("a",), claimed)
    if behaviour in AMBIGUOUS:
        assert claimed is Outcome.UNKNOWN
        assert truth.asked == ["a"], "asked again although it may have been applied"
    elif behaviour is not GOOD:
        assert claimed is Outcome.NOT_APPLIED


@pytest.mark.parametrize("behaviour", BUSY, ids=lambda each: str(each.name))
async def test_a_busy_provider_gets_the_write_once_it_has_room(behaviour: Behaviour) -> None:
    async with provider(behaviour, behaviour, GOOD) as (truth, url):
        assert await claim(url, "add_notes", "a") is None
    assert truth.asked == ["a"] * 3
    assert truth.committed == Counter("a")


@settings(max_examples=60, deadline=None)
@given(script=st.lists(st.sampled_from(EVERY), min_size=1, max_size=6), count=st.integers(1, 3))
async def test_several_writes_are_claimed_honestly_whatever_happens_on_the_way(
    script: list[Behaviour], count: int
) -> None:
    texts = tuple("abc"[:count])
    async with provider(*script) as (truth, url):
        claimed = await claim(url, "add_notes", *texts)
    assert_honest(truth, texts, claimed)


@settings(max_examples=30, deadline=None)
@given(script=st.lists(st.sampled_from(EVERY), min_size=3, max_size=6))
async def test_writes_side_by_side_are_claimed_honestly_too(script: list[Behaviour]) -> None:
    async with provider(*script) as (truth, url):
        claimed = await claim(url, "add_at_once", "a", "b", "c")
    assert_honest(truth, ("a", "b", "c"), claimed)


@pytest.fixture
def closed_port() -> Generator[str]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{holder.getsockname()[1]}"


async def test_what_certainly_never_left_is_not_applied(closed_port: str) -> None:
    assert await claim(closed_port, "add_notes", "a") is Outcome.NOT_APPLIED


async def test_a_call_that_waits_for_a_connection_to_its_end_is_not_applied(serve: Serve) -> None:
    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await reader.read()

    arrived = asyncio.Event()
    url, requests = await serve(silence)
    async with httpx.AsyncClient(verify=False, trust_env=False, limits=httpx.Limits(max_connections=1)) as client:
        holder = asyncio.create_task(client.get(url, timeout=60))
        await arrived.wait()
        connection = Connection(LOCAL_TENANT, "acme", "work")
        wire = Wire(acme, connection, None, client, url)
        call = Call(acme.tools["add_notes"], {"texts": ["a"]}, connection, wire, Deadline.after(0.3))
        with pytest.raises(CallError) as caught:
            await Walk(sink=lambda record: None)(call)
        holder.cancel()
        await asyncio.gather(holder, return_exceptions=True)
    assert (caught.value.code, caught.value.outcome) == (Code.TRANSIENT, Outcome.NOT_APPLIED)
    assert len(requests) == 1


@pytest.mark.parametrize("behaviour", [*REFUSALS, *AMBIGUOUS], ids=lambda each: str(each.name))
async def test_no_read_ever_claims_to_have_changed_anything(behaviour: Behaviour) -> None:
    async with provider(behaviour) as (truth, url):
        connection, clock = Connection(LOCAL_TENANT, "acme", "work"), Clock()
        async with httpx.AsyncClient(verify=False, trust_env=False) as client:
            wire = Wire(acme, connection, None, client, url, Limiter(clock=clock), sleep=clock.sleep)
            with pytest.raises(CallError) as caught:
                await Walk(sink=lambda record: None)(
                    Call(acme.tools["count_notes"], {}, connection, wire, Deadline.after(60))
                )
    assert caught.value.outcome is Outcome.NOT_APPLIED
    assert caught.value.code not in {Code.INTERNAL, Code.OUTCOME_UNKNOWN}
    assert 1 <= len(truth.asked) <= 6
