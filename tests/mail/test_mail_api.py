"""What a tool function can do with a mailbox and a submission server, and what it cannot."""

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import httpx
import pytest

from clew.core.bounds import Bounds
from clew.core.connector import Effect
from clew.core.deadline import Deadline
from clew.core.errors import Code, ConfigurationError, NotFoundError, Outcome, TransientError
from clew.core.exchange import Trail
from clew.core.host import SilentHost
from clew.core.mail import Folder, compose
from clew.core.mail.api import MailApi
from clew.core.mail.imap import Session
from clew.core.mail.line import Line, LineError, in_thread
from clew.core.mail.mailbox import Mailbox
from clew.core.mail.servers import Server

from .conftest import Office
from .servers import Reader, Writer
from .test_email import LETTER, incoming
from .test_lines import at
from .test_messages import draft

pytestmark = pytest.mark.anyio


def api_of(office: Office, effect: Effect = Effect.READ) -> MailApi:
    return MailApi(office.wire, Deadline.after(10), Trail(), effect, SilentHost())


def said(text: str) -> Callable[[Writer, str], Awaitable[bool]]:
    """A server that answers with untagged lines of the test's own."""

    async def answer(writer: Writer, tag: str) -> bool:
        writer.write(text.encode() + f"{tag} OK done\r\n".encode())
        return True

    return answer


async def test_a_read_tool_can_neither_change_a_mailbox_nor_send(office: Office) -> None:
    api = api_of(office)
    with pytest.raises(ConfigurationError, match="may not change"):
        await api.change("store", lambda box: box.append("INBOX", b"x"))
    with pytest.raises(ConfigurationError, match="may not change"):
        await api.read("store", lambda box: box.append("INBOX", b"x"))
    with pytest.raises(ConfigurationError, match="may not send"):
        await api.submit(compose(draft()))
    assert not [each for each in office.imap.commands if each.startswith("APPEND")]
    assert office.post.taken == []


async def test_an_account_without_an_address_cannot_send(office: Office) -> None:
    del office.variables["address"]
    assert (await office.failed("send_message", **LETTER)).outcome is Outcome.NOT_APPLIED
    with pytest.raises(ConfigurationError, match="--set address="):
        _ = api_of(office).address
    assert office.post.taken == []


class HeadersOnly:
    """A credential that can only be put on requests."""

    async def apply(self, request: httpx.Request) -> str:
        raise AssertionError("mail has no requests")

    async def renew(self, generation: str) -> None:
        raise AssertionError("nothing was refused")


async def test_a_credential_that_fits_http_alone_is_not_used(office: Office) -> None:
    office.keys = HeadersOnly()
    error = await office.failed("search_messages")
    assert (error.code, "cannot be used without HTTP" in error.message) == (Code.INTERNAL, True)
    assert office.imap.commands == []


async def test_without_a_credential_nobody_logs_in(office: Office) -> None:
    office.imap.put("INBOX", incoming(1))
    office.imap.greeting = b"* PREAUTH you are in\r\n"
    office.keys = None
    assert len((await office("search_messages"))["items"]) == 1
    assert not [each for each in office.imap.commands if each.startswith(("LOGIN", "AUTHENTICATE"))]
    error = await office.failed("send_message", **LETTER)
    assert (error.outcome, office.post.login, office.post.taken) == (Outcome.NOT_APPLIED, "", [])


async def test_a_message_that_went_or_moved_is_not_deleted(office: Office) -> None:
    uid = office.imap.put("INBOX", incoming(1))

    def remove(uid: int, validity: int) -> Callable[[Mailbox], None]:
        def work(box: Mailbox) -> None:
            box.select("INBOX", writable=True)
            box.need(uid, validity)
            box.delete(uid, None)

        return work

    for wrong in (remove(uid, 8), remove(uid + 1, 7)):
        with pytest.raises(NotFoundError) as caught:
            await api_of(office, Effect.DESTRUCTIVE).change("delete", wrong)
        assert caught.value.next_step == "Search again."
    assert len(office.imap.folders["INBOX"]) == 1
    await api_of(office, Effect.DESTRUCTIVE).change("delete", remove(uid, 7))
    assert office.imap.folders["INBOX"] == []


async def test_a_search_can_be_for_what_is_unread_and_old(office: Office) -> None:
    office.imap.put("INBOX", incoming(1))
    office.imap.put("INBOX", incoming(2))
    office.imap.folders["INBOX"][1].flags.add("\\Seen")
    found = await office("search_messages", unread=True, before="2026-12-01", since="2026-02-09")
    assert [each["unread"] for each in found["items"]] == [True]
    assert "UID SEARCH SINCE 09-Feb-2026 BEFORE 01-Dec-2026 UNSEEN" in office.imap.commands


async def test_folders_are_read_however_the_server_writes_their_names(office: Office) -> None:
    office.imap.on["LIST"] = said(
        '* LIST (\\HasNoChildren) "/" {4}\r\nPost\r\n'
        "* LIST (\\Sent) NIL Gesendet\r\n"
        '* LIST (\\Noselect) "/" "a \\"b\\""\r\n'
        "* LIST nonsense\r\n"
    )
    folders = await api_of(office).read("list", lambda box: box.folders())
    assert folders == [Folder("Post"), Folder("Gesendet", "sent"), Folder('a "b"', selectable=False)]


async def test_news_of_a_message_that_was_not_asked_for_is_no_answer(office: Office) -> None:
    uid = office.imap.put("INBOX", incoming(1))
    office.imap.on["UID FETCH"] = said(
        "* 9 FETCH (FLAGS (\\Seen) BODY[] {3}\r\nabc)\r\n"
        f"* 1 FETCH (UID {uid} RFC822.SIZE 3 BODY[] {{3}}\r\nxyz)\r\n"
    )  # fmt: skip

    def work(box: Mailbox) -> Sequence[Any]:
        box.select("INBOX")
        return box.fetch([uid])

    found = await api_of(office).read("fetch", work)
    assert [(each.uid, each.content, each.flags) for each in found] == [(uid, b"xyz", ())]


async def test_a_server_that_says_goodbye_in_between_has_not_answered(office: Office) -> None:
    async def leave(writer: Writer, tag: str) -> bool:
        writer.write(b"* BYE shutting down\r\n")
        writer.close()
        return True

    office.imap.on["EXAMINE"] = leave
    error = await office.failed("search_messages")
    assert (error.code, error.outcome) == (Code.TRANSIENT, Outcome.NOT_APPLIED)


async def test_a_message_that_breaks_off_is_not_taken_for_whole(office: Office, context: ssl.SSLContext) -> None:
    async def cut(writer: Writer, tag: str) -> bool:
        writer.write(b"* 1 FETCH (UID 1 BODY[] {100}\r\nonly this")
        writer.close()
        return True

    office.imap.put("INBOX", incoming(1))
    office.imap.on["UID FETCH"] = cut
    error = await office.failed("get_message", folder="INBOX", id="7.1")
    assert (error.code, "the connection broke" in error.message) == (Code.TRANSIENT, True)


async def test_a_server_that_speaks_no_tls_is_told_nothing(office: Office) -> None:
    async def plain(reader: Reader, writer: Writer) -> None:
        writer.write(b"* OK ready\r\n")
        await reader.read()

    server = await at(office, "imap", plain, None)
    error = await office.failed("search_messages")
    assert (error.code, "no encryption could be agreed on" in error.message) == (Code.TRANSIENT, True)
    server.close()


async def test_a_silent_server_and_one_that_hangs_up_are_told_apart(office: Office) -> None:
    async def silent(reader: Reader, writer: Writer) -> None:
        await reader.read()

    async def reset(reader: Reader, writer: Writer) -> None:
        writer.write(b"* OK ready\r\n")
        await reader.readline()
        sock: socket.socket = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    for talk, reason in ((silent, "no answer in time"), (reset, "the connection broke")):
        server = await at(office, "imap", talk, None, "plain")
        session = Session(Server("127.0.0.1", server.sockets[0].getsockname()[1], "plain"), "me", Mailbox.folders)
        bounds, deadline = Bounds(read=0.2), Deadline.after(10)
        with pytest.raises(TransientError, match=reason):
            await session.carry(None, bounds=bounds, deadline=deadline, safe=True, provider="mail")
        server.close()


async def test_a_line_that_was_cut_before_it_was_open_stays_closed(office: Office) -> None:
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def listen(reader: Reader, writer: Writer) -> None:
        heard.set_result(await reader.read())

    server = await at(office, "imap", listen, None, "plain")
    line = Line(Server("127.0.0.1", server.sockets[0].getsockname()[1], "plain"), Bounds(), Deadline.after(10))
    line.cut()
    with pytest.raises(LineError, match="the call is over"):
        await asyncio.to_thread(line.connect)
    line.close()
    assert await asyncio.wait_for(heard, 5) == b""
    server.close()


async def test_work_that_never_got_a_thread_leaves_no_trace() -> None:
    """The deadline passes while all threads are busy, and then the process ends what waits for one."""
    loop, busy, faults = asyncio.get_running_loop(), Event(), list[dict[str, Any]]()
    pool = ThreadPoolExecutor(1)
    loop.set_default_executor(pool)
    loop.set_exception_handler(lambda _, facts: faults.append(facts))
    began: list[str] = []
    try:
        occupied = loop.run_in_executor(None, busy.wait, 10)
        line = Line(Server("127.0.0.1", 9, "plain"), Bounds(), Deadline.after(0.05))
        with pytest.raises(TimeoutError):
            await in_thread(line, lambda: began.append("work"))
        pool.shutdown(wait=False, cancel_futures=True)
        busy.set()
        await occupied
        await asyncio.sleep(0)
    finally:
        loop.set_exception_handler(None)
        loop.set_default_executor(ThreadPoolExecutor())
    assert (began, faults) == ([], [])


class Script:
    """An SMTP server that answers each command by its first word, and remembers the commands."""

    def __init__(self, **answers: str) -> None:
        self.answers = {"EHLO": "250 mail", "QUIT": "221 bye", **answers}
        self.heard: list[str] = []

    async def __call__(self, reader: Reader, writer: Writer) -> None:
        writer.write(self.answers.get("greeting", "220 ready").encode() + b"\r\n")
        while line := (await reader.readline()).decode().strip():
            self.heard.append(line)
            writer.write(self.answers.get(line.split(" ")[0].upper(), "250 ok").encode() + b"\r\n")


@pytest.mark.parametrize(
    ("answers", "code", "last"),
    [
        ({"greeting": "554 5.3.2 no service here"}, Code.PERMISSION, None),
        ({"greeting": "421 4.3.2 busy"}, Code.TRANSIENT, None),
        ({"EHLO": "502 5.5.1 never heard of it"}, Code.INVALID_INPUT, "EHLO"),
        ({"DATA": "452 4.3.1 no room now"}, Code.TRANSIENT, "DATA"),
        ({"DATA": "250 what"}, Code.PERMISSION, "DATA"),
    ],
)
async def test_a_server_that_does_not_want_the_message_did_not_get_it(
    office: Office, context: ssl.SSLContext, answers: dict[str, str], code: Code, last: str | None
) -> None:
    script = Script(**answers)
    server = await at(office, "smtp", script, context)
    office.keys = None
    error = await office.failed("send_message", **LETTER)
    assert (error.code, error.outcome) == (code, Outcome.NOT_APPLIED)
    assert (script.heard[-1].split(" ")[0].upper() if script.heard else None) == last
    server.close()


async def test_a_server_without_logins_is_not_given_a_password(office: Office, context: ssl.SSLContext) -> None:
    script = Script()
    server = await at(office, "smtp", script, context)
    error = await office.failed("send_message", **LETTER)
    assert (error.code, error.provider_message) == (Code.PERMISSION, "offered: nothing")
    assert [each.split(" ")[0].upper() for each in script.heard] == ["EHLO"]
    server.close()


async def test_delivery_reports_are_asked_for_where_the_server_can(office: Office, context: ssl.SSLContext) -> None:
    script = Script(EHLO="250-mail\r\n250-DSN\r\n250 SIZE 1000000", RCPT="550 5.1.1 gone")
    server = await at(office, "smtp", script, context)
    office.keys = None
    await office.failed("send_message", **{**LETTER, "to": ["ann+x=y@away.example"]})
    mail, rcpt = script.heard[1:3]
    assert "RET=HDRS ENVID=" in mail
    assert rcpt.endswith("NOTIFY=FAILURE,DELAY ORCPT=rfc822;ann+2Bx+3Dy@away.example")
    server.close()
