"""Bodies as they are, methods of WebDAV, and ids that a tool writes into them itself."""

from collections.abc import Callable

import httpx
import pytest
from tests.core.writes import Note, Writer, drop, make_connector
from tests.loopback import Build, Serve

from clew.core import once
from clew.core.api import Api
from clew.core.batches import parts_of
from clew.core.connector import Effect
from clew.core.errors import ConfigurationError, ContractChangedError, InternalError, Outcome
from clew.core.journal import Journal
from clew.core.response import Response

pytestmark = pytest.mark.anyio

Open = Callable[..., Api]

GONE = (
    b'<multistatus xmlns="DAV:"><response><href>/a</href><status>HTTP/1.1 404 Not Found</status></response>'
    b"<response><href>/b</href></response></multistatus>"
)


@pytest.mark.parametrize("method", ["PROPFIND", "REPORT"])
async def test_webdavs_reads_may_be_sent_by_a_read_tool_with_their_body(
    serve: Serve, reply: Build, opened: Open, method: str
) -> None:
    url, requests = await serve(drop, reply(302, location="/new"), reply(207, b"<a/>", "text/xml"))
    answer = await opened(url).request(method, "/old", content=b"<find/>", content_type="application/xml")
    assert answer.markup().name == "a"
    head, _, body = requests[-1].partition(b"\r\n\r\n")
    assert head.startswith(f"{method} /new ".encode())
    assert b"content-type: application/xml\r\n" in head.lower()
    assert body == b"<find/>"
    assert len(requests) == 3


async def test_content_has_a_label_and_is_the_only_body(serve: Serve, reply: Build, opened: Open) -> None:
    url, requests = await serve(reply(200, {}))
    api = opened(url, Effect.WRITE)
    await api.post("/x", content=b"\x00")
    assert b"content-type: application/octet-stream\r\n" in requests[0].lower()
    with pytest.raises(ConfigurationError, match="one body"):
        await api.post("/x", content=b"a", json={})
    assert len(requests) == 1


@pytest.mark.parametrize("content", [b"<a", b'<!DOCTYPE a SYSTEM "http://evil.example/"><a/>', b"{}", b""])
def test_what_is_no_plain_xml_is_told_without_being_shown(content: bytes) -> None:
    answer = Response(200, {}, content, None, None, "REPORT", "https://dav.example/")
    with pytest.raises(ContractChangedError, match=r"answered with (damaged XML|a document type)") as caught:
        answer.markup()
    assert "evil" not in caught.value.as_text()


def test_what_a_report_says_is_gone_is_no_failure() -> None:
    assert parts_of(Response(207, {}, GONE, GONE, None, "REPORT", "https://dav.example/")) is None
    failed = parts_of(Response(207, {}, GONE, GONE, None, "PROPPATCH", "https://dav.example/"))
    assert failed is not None
    assert failed.cause.status == 404


async def test_an_id_of_ours_stays_the_same_at_every_repeat_and_is_what_the_look_gets(
    journal: Journal, serve: Serve, reply: Build
) -> None:
    connector = make_connector()
    looked: list[str] = []

    async def find(api: Api, key: str) -> Note | None:
        looked.append(key)
        return Note(id=7, text=key)

    @connector.write(once=once.NaturalKey(), verify=once.Look(find, after=0.0))
    async def put_note(api: Api, text: str) -> Note:
        """Put a note."""
        path, content = await api.own_id(), text.encode()
        return await api.put("/notes/{}", path, content=content, content_type="text/plain", into=Note)

    url, requests = await serve(drop, reply(409, {"code": "done"}))
    async with httpx.AsyncClient(trust_env=False) as client:
        result = await Writer(client, journal, connector).call(url, "put_note", {"text": "a"})
    paths = {request.split(b" ")[1].decode() for request in requests}
    assert paths == {f"/notes/{looked[0]}"}
    assert (len(requests), len(looked[0])) == (2, 32)
    assert result == {"id": 7, "text": looked[0]}


async def test_without_a_journal_the_id_is_the_calls(serve: Serve, reply: Build) -> None:
    connector = make_connector()

    @connector.write(once=once.NaturalKey(form="uuid"))
    async def put_note(api: Api) -> str:
        """Put a note."""
        assert await api.own_id() == await api.own_id()
        return await api.own_id()

    url, _ = await serve(reply(204))
    async with httpx.AsyncClient(trust_env=False) as client:
        writer = Writer(client, None, connector)
        first, second = [(await writer.call(url, "put_note", {}))["result"] for _ in range(2)]
    assert len(first) == 36
    assert first != second


async def test_only_a_write_that_says_so_names_what_it_makes(opened: Open, serve: Serve, reply: Build) -> None:
    url, _ = await serve(reply(200, {}))
    with pytest.raises(ConfigurationError, match="only a write"):
        await opened(url).own_id()
    assert len(await opened(url, Effect.WRITE).own_id()) == 32  # in a check, where nothing is kept
    connector = make_connector()

    @connector.write
    async def put_note(api: Api) -> str:
        """Put a note."""
        return await api.own_id()

    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(InternalError):
            await Writer(client, None, connector).call(url, "put_note", {})


async def test_what_a_tool_reads_out_of_an_answer_is_mapped_like_any_other(
    serve: Serve, reply: Build, opened: Open
) -> None:
    url, _ = await serve(*[reply(200, b"<a>5</a>", "text/xml")] * 3)
    api = opened(url, Effect.WRITE)
    answer = await api.request("POST", "/x", content=b"<ask/>")
    assert api.mapped(answer, [answer.markup().text], into=list[int]) == [5]
    with pytest.raises(ContractChangedError) as caught:
        api.mapped(answer, "five", into=int)
    assert caught.value.outcome is Outcome.APPLIED
    with pytest.raises(ContractChangedError) as caught:
        opened(url).mapped(answer, "five", into=int)
    assert caught.value.outcome is Outcome.NOT_APPLIED


def test_a_mark_may_stand_in_a_list() -> None:
    assert once.fill({"tags": ["clew-", "b"]}, "tags.0", "7", add=True) == {"tags": ["clew-7", "b"]}
    assert once.fill({"ids": ["a"]}, "ids.0", "7", add=False) == {"ids": ["a"]}
