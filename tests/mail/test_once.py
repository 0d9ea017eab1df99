"""A message leaves once, whatever becomes of the answer: the journal and the e-mail connector together."""

import dataclasses
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from clew.core import once
from clew.core.database import open_database
from clew.core.errors import Code, Outcome
from clew.core.journal import open_journal

from .conftest import Office
from .servers import ImapServer
from .test_email import LETTER, vanish

pytestmark = pytest.mark.anyio


class Sealer:
    """Binds content to its label, which is all that these tests need of a seal."""

    async def seal(self, data: bytes, *, tenant: str, label: str) -> bytes:
        return self._tag(tenant, label) + data

    async def open(self, sealed: bytes, *, tenant: str, label: str) -> bytes:
        assert sealed[:32] == self._tag(tenant, label)
        return sealed[32:]

    @staticmethod
    def _tag(tenant: str, label: str) -> bytes:
        return hashlib.sha256(f"{tenant}/{label}".encode()).digest()


@pytest.fixture
async def journaled(office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    """The office with a journal, and with looks that do not wait."""
    from clew.connectors.email import email

    for name in ("send_message", "reply", "send_draft", "create_draft"):
        tool = email.tools[name]
        assert tool.verify is not None
        quick = once.Look(tool.verify.read, after=0.0, tries=2, every=0.01)
        monkeypatch.setitem(email.tools, name, dataclasses.replace(tool, verify=quick))
    database = await open_database(str(tmp_path / "clew.db"))
    journal = await open_journal(database, Sealer())
    office.journal = journal
    yield office
    journal.presence.leave()
    await database.close()


async def test_a_repeated_call_is_answered_from_the_journal(journaled: Office) -> None:
    first = await journaled("send_message", **LETTER, request_id="r1")
    again = await journaled("send_message", **LETTER, request_id="r1")
    assert again["message_id"] == first["message_id"]
    assert len(journaled.post.taken) == 1


async def test_a_lost_answer_is_never_followed_by_a_second_message(journaled: Office) -> None:
    journaled.post.at_end = vanish
    for _ in range(3):
        error = await journaled.failed("send_message", **LETTER, request_id="r1")
        assert (error.code, error.outcome) == (Code.OUTCOME_UNKNOWN, Outcome.UNKNOWN)
    assert len(journaled.post.taken) == 1


@pytest.mark.parametrize("proof", ["copy", "report", "answer"])
async def test_what_proves_that_it_went_settles_a_lost_answer(journaled: Office, proof: str) -> None:
    journaled.post.at_end = vanish
    await journaled.failed("send_message", **LETTER, request_id="r1")
    ((_, _, content),) = journaled.post.taken
    known = content.partition(b"Message-ID: ")[2].partition(b"\r\n")[0].decode()
    _put(journaled.imap, proof, known, content)
    found = await journaled("send_message", **LETTER, request_id="r1")
    assert (found["message_id"], len(journaled.post.taken)) == (known, 1)


def _put(imap: ImapServer, proof: str, known: str, content: bytes) -> None:
    from .test_reports import POSTFIX, dsn

    if proof == "copy":
        imap.put("Sent", content)
    elif proof == "report":
        imap.put("INBOX", dsn(POSTFIX).decode().replace("<3f5242fc.clew@home.example>", known))
    else:
        imap.put("INBOX", f"From: ann@away.example\nIn-Reply-To: {known}\nSubject: Re: x\n\nThanks\n")


async def test_a_message_that_was_refused_may_be_sent_again(journaled: Office) -> None:
    journaled.post.end = "451 4.3.0 Try again"
    assert (await journaled.failed("send_message", **LETTER, request_id="r1")).outcome is Outcome.NOT_APPLIED
    journaled.post.end = "250 2.0.0 Ok"
    sent: Any = await journaled("send_message", **LETTER, request_id="r1")
    assert sent["saved_in"] == "Sent"


async def test_a_draft_whose_storing_got_no_answer_is_found_or_made_anew(journaled: Office) -> None:
    async def keep_and_vanish(writer: Any, tag: str) -> bool:
        writer.transport.abort()
        return True

    journaled.imap.on["APPEND"] = keep_and_vanish
    error = await journaled.failed("create_draft", **LETTER, request_id="d1")
    assert error.outcome is Outcome.NOT_APPLIED  # the look at the drafts shows that it is not there
    del journaled.imap.on["APPEND"]
    made = await journaled("create_draft", **LETTER, request_id="d1")
    assert (made["folder"], len(journaled.imap.folders["Drafts"])) == ("Drafts", 1)
