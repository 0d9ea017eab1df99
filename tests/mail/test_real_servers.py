"""The e-mail connector against real Postfix and Dovecot: refusals, bounces and delays of programs nobody here wrote.

`pytest -m testbed`; needs root and Debian's packages postfix and dovecot-imapd.
"""

import asyncio
import importlib
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from clew.core.credentials import Credential
from clew.core.errors import AuthRevokedError, Code, Outcome
from clew.core.secret import Secret

from .conftest import Office
from .servers import ImapServer, Post

pytestmark = [pytest.mark.anyio, pytest.mark.testbed]
SCRIPTS = str(Path(__file__).resolve().parent.parent.parent / "scripts")


class Alice:
    """An authorizer with her password."""

    def __init__(self, password: str) -> None:
        self.password = password

    async def apply(self, request: httpx.Request) -> str:
        raise AssertionError("mail has no requests")

    async def credential(self) -> Credential:
        fields = {"username": Secret("alice@home.test"), "password": Secret(self.password)}
        return Credential("1", "basic", fields)

    async def renew(self, generation: str) -> None:
        raise AuthRevokedError("the password is all there is")


@pytest.fixture(scope="module")
async def host() -> AsyncIterator[Any]:
    sys.path.insert(0, SCRIPTS)
    try:
        mailhost = importlib.import_module("testbeds.mailhost")
    finally:
        sys.path.remove(SCRIPTS)
    if why := mailhost.missing():
        if os.environ.get("CLEW_CI"):
            pytest.fail(why)
        pytest.skip(why)
    with tempfile.TemporaryDirectory(prefix="clew-mail-", ignore_cleanup_errors=True) as folder:
        async with mailhost.mail_host(Path(folder)) as running:
            running_passwords = mailhost.PASSWORDS
            yield running, running_passwords


@pytest.fixture(params=[False, True], ids=["tls", "starttls"])
async def alice(host: Any, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    running, passwords = host
    monkeypatch.setenv("SSL_CERT_FILE", str(running.ca))
    async with httpx.AsyncClient(verify=False) as client:
        variables = running.variables("alice", starttls=request.param)
        yield Office(ImapServer(), Post(), variables, client, Alice(passwords["alice"]))


async def until(found: Callable[[Any], bool], office: Office, tool: str, **arguments: Any) -> Any:
    """Call a tool until what it finds is there: mail takes the time it takes. At most 20 s."""
    async with asyncio.timeout(20):
        while True:
            answer = await office(tool, **arguments)
            if found(answer):
                return answer
            await asyncio.sleep(0.1)  # the other side is a real mail server; there is nothing to wait on


PEOPLE = ["bob@home.test", "gone@away.test", "strict@away.test", "full@away.test", "slow@away.test"]
EXPECTED = {
    "bob@home.test": ("delivered", None, None),
    "gone@away.test": ("bounced", "hard", True),
    "strict@away.test": ("bounced", "spam", None),
    "full@away.test": ("bounced", "full", None),
    "slow@away.test": ("deferred", "soft", None),
}


async def test_what_becomes_of_a_message_is_read_from_real_reports(alice: Office) -> None:
    sent = await alice(
        "send_message",
        to=[*PEOPLE, "nobody@home.test"],
        subject="Grüße",
        text="one\n.\ntwo",
        attachments=[{"filename": "plän.txt", "content": "aGVsbG8=", "content_type": "text/plain"}],
        confirm_delivery=True,
    )
    assert (sent["recipients"], sent["saved_in"]) == (PEOPLE, "Sent")
    assert sent["refused"]["nobody@home.test"].startswith("550 5.1.1")
    status = await until(
        lambda answer: len(answer["recipients"]) == len(PEOPLE),
        alice,
        "get_delivery_status",
        message_id=sent["message_id"],
    )
    told = {each["address"]: (each["state"], each.get("cause"), each.get("suppress")) for each in status["recipients"]}
    assert (told, status["state"]) == (EXPECTED, "bounced")
    listed = await alice("list_delivery_reports", days=1)
    ours = [each for each in listed if each["message_id"] == sent["message_id"]]
    assert len(ours) == 3
    assert all(each["ours"] and each["form"] == "dsn" for each in ours)


async def test_a_refusal_in_the_session_is_an_answer(alice: Office) -> None:
    error = await alice.failed("send_message", to=["nobody@home.test"], subject="x", text="y")
    assert (error.code, error.outcome, error.status) == (Code.INVALID_INPUT, Outcome.NOT_APPLIED, 550)


async def test_a_message_that_is_too_large_is_refused_before_it_is_sent(alice: Office) -> None:
    file = {"filename": "big.bin", "content": "AAAA" * 700_000}
    error = await alice.failed("send_message", to=["bob@home.test"], subject="x", text="y", attachments=[file])
    assert (error.code, error.outcome) == (Code.INVALID_INPUT, Outcome.NOT_APPLIED)


async def test_a_wrong_password_is_refused_by_both(alice: Office) -> None:
    alice.keys = Alice("not the password")
    assert (await alice.failed("search_messages")).code is Code.AUTH_REVOKED
    assert (await alice.failed("send_message", to=["bob@home.test"], subject="x", text="y")).code is Code.AUTH_REVOKED


async def test_a_draft_becomes_mail_is_answered_and_deleted(alice: Office) -> None:
    made = await alice("create_draft", to=["alice@home.test"], bcc=["bob@home.test"], subject="Entwurf ü", text="eins")
    assert (await alice("get_draft", id=made["id"]))["text"] == "eins"
    sent = await alice("send_draft", id=made["id"])
    assert sent["message_id"] == made["message_id"]
    assert (await alice.failed("get_draft", id=made["id"])).code is Code.NOT_FOUND
    mine = [each["message_id"] for each in (await alice("search_messages", folder="Sent"))["items"]]
    assert made["message_id"] in mine
    page = await until(
        lambda answer: any(each["message_id"] == made["message_id"] for each in answer["items"]),
        alice,
        "search_messages",
        subject="Entwurf ü",
    )
    arrived = next(each for each in page["items"] if each["message_id"] == made["message_id"])
    answered = await alice("reply", folder="INBOX", id=arrived["id"], text="zwei")
    thread = await alice("read_thread", message_id=made["message_id"])
    assert [each["message_id"] for each in thread] == [made["message_id"], answered["message_id"]]
    await alice("delete_message", folder="INBOX", id=arrived["id"])
    trash = await alice("search_messages", folder="Trash", subject="Entwurf ü")
    assert made["message_id"] in [each["message_id"] for each in trash["items"]]
    assert (await alice.failed("get_message", folder="INBOX", id=arrived["id"])).code is Code.NOT_FOUND


async def test_an_attachment_comes_back_from_the_server_as_it_went(alice: Office) -> None:
    file = {"filename": "plän.txt", "content": "aGVsbG8=", "content_type": "text/plain"}
    sent = await alice("send_message", to=["bob@home.test"], subject="file", text="y", attachments=[file])
    found = await alice("search_messages", folder="Sent", subject="file")
    line = next(each for each in found["items"] if each["message_id"] == sent["message_id"])
    message = await alice("get_message", folder="Sent", id=line["id"])
    piece = await alice("get_attachment", folder="Sent", id=line["id"], part=message["attachments"][0]["part"])
    assert (piece["filename"], piece["content"]) == ("plän.txt", "hello")


async def test_a_folder_that_does_not_exist_is_not_found(alice: Office) -> None:
    assert (await alice.failed("search_messages", folder="Nirgendwo ü")).code is Code.NOT_FOUND
