"""Reports in the mailbox end the calls that sent the mail, with a server that looks and a journal that waits."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.people import Person

from clew.auth.connections import set_token
from clew.auth.schemes import Basic
from clew.core.connection import LOCAL_TENANT, Connection
from clew.core.inbox import Status
from clew.core.inbox_work import Worker
from clew.core.policy import Decision, Policy
from clew.core.secret import Secret
from clew.servers.runtime import Runtime
from clew.servers.settings import Settings
from clew.servers.watching import watch_once

from .conftest import Office
from .servers import PASSWORD, USER
from .test_email import vanish
from .test_reports import dsn

pytestmark = pytest.mark.anyio
ENGINES = ["sqlite", "postgres"]
LETTER: dict[str, Any] = {"to": ["ann@away.example", "bob@away.example"], "subject": "Hi", "text": "Hello"}
RETURNED = "Content-Type: text/rfc822-headers\n\nFrom: me@home.example\nMessage-ID: {}\nSubject: Hi\n"


@asynccontextmanager
async def mailing(office: Office, home: Path, database: str) -> AsyncGenerator[Runtime]:
    """A runtime whose only account is the office's."""
    settings = Settings(
        home=home, key_provider="file", database=Secret(database), policy=Policy(writes=Decision.ALLOW), deadline=20
    )
    async with Runtime.open(settings, ["email"]) as runtime:
        fields = {"username": Secret(USER), "password": Secret(PASSWORD)}
        where = Connection(LOCAL_TENANT, "email", "work")
        await set_token(runtime.vault, where, Basic(), fields, variables=office.variables)
        yield runtime


def report(message_id: str, **people: str) -> bytes:
    """What a mail server writes about the people of a message."""
    fields = "".join(
        f"\nFinal-Recipient: rfc822; {name}@away.example\nAction: {action}\n"
        f"Status: {'5.1.1' if action == 'failed' else '4.4.1' if action == 'delayed' else '2.0.0'}\n"
        for name, action in people.items()
    )
    return dsn(f"Reporting-MTA: dns; mx.away.example\n{fields}", returned=RETURNED.format(message_id))


async def looked(runtime: Runtime) -> int:
    """A look, as after the time for which one does for all servers, and the work on what it found."""
    await runtime.store.database.execute("DELETE FROM leases")
    new = await watch_once(runtime)
    worker = Worker(runtime.inbox, before=runtime.joining, only=("email",))
    while await worker.work():
        pass
    return new


async def test_reports_end_the_call_for_each_recipient(office: Office, tmp_path: Path, address: str) -> None:
    async with mailing(office, tmp_path, address) as runtime:
        call = {**LETTER, "request_id": "m1"}
        sent = await runtime.call("send_message", call, host=Person())
        assert "accepted" in sent
        assert await looked(runtime) == 0
        office.imap.put("INBOX", report(sent["message_id"], bob="delayed"))
        office.imap.put("INBOX", report("<somebody.elses@home.example>", bob="failed"))
        assert await looked(runtime) == 1  # deferred is no end
        assert "confirmed" not in await runtime.call("send_message", call, host=Person())
        office.imap.put("INBOX", report(sent["message_id"], ann="delivered"))
        assert await looked(runtime) == 1
        assert await watch_once(runtime) == 0  # another look came just before
        done = await runtime.call("send_message", call, host=Person())
        assert done["confirmed"]["recipients"] == {"ann@away.example": "delivered"}
        office.imap.put("INBOX", report(sent["message_id"], bob="failed"))
        assert await looked(runtime) == 1
        done = await runtime.call("send_message", call, host=Person())
        assert done["confirmed"]["state"] == "bounced"
        assert done["confirmed"]["recipients"] == {"ann@away.example": "delivered", "bob@away.example": "bounced"}
        assert (await runtime.inbox.count())[Status.DEAD] == 0
    assert len(office.post.taken) == 1


async def test_a_report_ends_a_message_whose_answer_was_lost(office: Office, tmp_path: Path, address: str) -> None:
    office.post.at_end = vanish
    async with mailing(office, tmp_path, address) as runtime:
        call = {**LETTER, "request_id": "m1"}
        with pytest.raises(Exception, match="may or may not"):
            await runtime.call("send_message", call, host=Person())
        (write,) = await runtime.store.journal.rows()
        assert write.reference is not None
        office.imap.put("INBOX", report(write.reference, ann="failed", bob="delivered"))
        assert await looked(runtime) == 2
        done = await runtime.call("send_message", call, host=Person())
    assert done["confirmed"]["state"] == "bounced"
    assert done["confirmed"]["recipients"] == {"ann@away.example": "bounced", "bob@away.example": "delivered"}
    assert len(office.post.taken) == 1
