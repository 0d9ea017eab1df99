"""The e-mail connector: what its tools send, and what they make of the answers."""

import base64
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from clew.core.errors import Code, Outcome

from .conftest import Keys, Office, opened
from .servers import PASSWORD, Writer
from .test_reports import POSTFIX, dsn

pytestmark = pytest.mark.anyio

LETTER: dict[str, Any] = {"to": ["ann@away.example"], "subject": "Grüße", "text": "Hallo\n.\nEnde"}


def incoming(number: int, subject: str = "lunch", more: str = "") -> str:
    return (
        f"From: Ann <ann@away.example>\nTo: me@home.example, ben@away.example\nSubject: {subject}\n{more}"
        f"Message-ID: <m{number}@away.example>\nDate: Sun, 22 Nov 2026 10:00:{number % 60:02d} +0000\n\nShall we?\n"
    )


async def test_a_message_is_sent_and_a_copy_kept(office: Office) -> None:
    sent = await office("send_message", **LETTER, bcc=["eve@away.example"])
    ((sender, people, content),) = office.post.taken
    assert (sender, people) == ("me@home.example", ["ann@away.example", "eve@away.example"])
    assert b"eve@" not in content
    assert b"\r\n.\r\n" in content  # the dot came through the transparency of SMTP as it was
    assert sent["message_id"].encode() in content
    assert (sent["recipients"], sent["saved_in"]) == (people, "Sent")
    assert sent["message_id"] in sent["accepted"]["next"]
    assert office.imap.folders["Sent"][0].content == content
    assert office.attempts == [("SMTP", "submit", 250), ("IMAP", "keep a copy", 200)]
    assert (office.records[-1].code, office.records[-1].outcome) == ("ok", "applied")


async def test_a_person_sees_who_is_outside_and_can_say_no(office: Office) -> None:
    office.person.agrees = False
    error = await office.failed("send_message", **LETTER, cc=["ida@home.example"])
    assert (error.code, office.post.taken) == (Code.DENIED, [])
    assert office.person.asked[0].preview["outside"] == ["ann@away.example"]


async def test_refused_recipients_are_told_one_by_one(office: Office) -> None:
    office.post.refused = {"gone@away.example": "550 5.1.1 User unknown", "slow@away.example": "450 4.2.1 Later"}
    sent = await office("send_message", **{**LETTER, "to": ["ann@away.example", *office.post.refused]})
    assert sent["recipients"] == ["ann@away.example"]
    assert sent["refused"] == office.post.refused


@pytest.mark.parametrize(
    ("replies", "code", "wait"),
    [
        (["550 5.1.1 User unknown", "550 5.1.1 User unknown"], Code.INVALID_INPUT, None),
        (["450 4.7.1 Greylisted", "450 4.7.1 Greylisted"], Code.TRANSIENT, 600),
        (["450 4.7.1 Greylisted", "554 5.7.1 Spam"], Code.PERMISSION, None),
        (["421 4.3.2 Shutting down", "250 ok"], Code.TRANSIENT, 60),
    ],
)
async def test_when_nobody_is_taken_nothing_was_sent(
    office: Office, replies: list[str], code: Code, wait: float | None
) -> None:
    people = ["a@away.example", "b@away.example"]
    office.post.refused = dict(zip(people, replies, strict=True))
    error = await office.failed("send_message", **{**LETTER, "to": people})
    assert (error.code, error.outcome, error.retry_after) == (code, Outcome.NOT_APPLIED, wait)
    assert office.post.taken == []


async def test_a_refusal_at_the_end_of_the_message_is_an_answer(office: Office) -> None:
    office.post.end = "554 5.7.1 This looks like spam"
    error = await office.failed("send_message", **LETTER)
    assert (error.code, error.outcome, error.status) == (Code.PERMISSION, Outcome.NOT_APPLIED, 554)


async def vanish(server: Any) -> str:
    server.transport.abort()
    return "250 never heard"


async def test_an_answer_that_is_lost_after_the_last_dot_leaves_the_outcome_unknown(office: Office) -> None:
    office.post.at_end = vanish
    error = await office.failed("send_message", **LETTER)
    assert (error.code, error.outcome, error.retry) == (Code.OUTCOME_UNKNOWN, Outcome.UNKNOWN, "no")
    assert "get_delivery_status with message_id <" in error.next_step
    assert len(office.post.taken) == 1  # it had arrived, and was not sent again


async def test_a_lost_answer_is_found_again_in_the_sent_mail(office: Office) -> None:
    async def keep_and_vanish(server: Any) -> str:
        office.imap.put("Sent", office.post.taken[0][2])
        return await vanish(server)

    office.post.at_end = keep_and_vanish
    sent = await office("send_message", **LETTER)
    assert (sent["saved_in"], len(office.post.taken)) == ("Sent", 1)


async def test_a_server_that_vanishes_before_the_last_dot_has_taken_nothing(office: Office) -> None:
    class Vanishing:
        async def __call__(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
            server.transport.abort()
            return "250 never heard"

    office.post.handle_RCPT = Vanishing()  # type: ignore[method-assign]
    error = await office.failed("send_message", **LETTER)
    assert (error.code, error.outcome) == (Code.TRANSIENT, Outcome.NOT_APPLIED)
    assert office.attempts == [("SMTP", "submit", None)] * 2  # tried again, for nothing had been sent


async def test_a_copy_that_cannot_be_kept_does_not_undo_the_sending(office: Office) -> None:
    del office.imap.folders["Sent"]
    assert "saved_in" not in await office("send_message", **LETTER)
    office.imap.folders["Sent"] = []
    office.imap.on["APPEND"] = refuse("[OVERQUOTA] full")
    assert "saved_in" not in await office("send_message", **LETTER)
    assert len(office.post.taken) == 2


def refuse(text: str) -> Callable[[Writer, str], Awaitable[bool]]:
    async def answer(writer: Writer, tag: str) -> bool:
        writer.write(f"{tag} NO {text}\r\n".encode())
        return True

    return answer


async def test_a_password_is_refused_once_and_not_tried_again(office: Office) -> None:
    office.keys = Keys(password="wrong")
    error = await office.failed("search_messages")
    assert error.code is Code.AUTH_REVOKED
    assert office.keys.renewed == 1
    assert "wrong" not in str(error.as_dict())
    sending = await office.failed("send_message", **LETTER)
    assert sending.code is Code.AUTH_REVOKED


async def test_an_expired_token_is_renewed_for_both_protocols(office: Office) -> None:
    office.keys = Keys("oauth2", token="an-old-token")
    assert await office("search_messages") == {"items": []}
    office.keys.token = "an-old-token"
    await office("send_message", **LETTER)
    assert (office.post.login, office.keys.renewed) == ("XOAUTH2", 2)


async def test_a_search_goes_back_page_by_page(office: Office) -> None:
    for number in range(25):
        office.imap.put("INBOX", incoming(number, f"news {number}"))
    first = await office("search_messages", subject="news")
    assert [len(first["items"]), first["items"][0]["subject"], first["items"][0]["unread"]] == [20, "news 24", True]
    second = await office("search_messages", subject="news", cursor=first["next_cursor"])
    assert [each["subject"] for each in second["items"]] == [f"news {number}" for number in range(4, -1, -1)]
    assert "next_cursor" not in second


async def test_words_that_are_not_ascii_are_searched_for_each_in_a_literal(office: Office) -> None:
    office.imap.put("INBOX", "From: a@b.example\nSubject: x\nContent-Type: text/plain; charset=utf-8\n\nzwölf Grüße\n")
    office.imap.put("INBOX", incoming(1))
    found = await office("search_messages", text="Grüße", subject="zwölf")
    assert len(found["items"]) == 1
    assert [each for each in office.imap.commands if "CHARSET UTF-8" in each and "zw" in each]


@pytest.mark.parametrize("cursor", ["1", "x.y", "1.2.3", "1.2\r\nA LOGOUT"])
async def test_a_cursor_that_was_never_given_is_refused(office: Office, cursor: str) -> None:
    assert (await office.failed("search_messages", cursor=cursor)).code is Code.INVALID_INPUT


async def test_nothing_in_an_argument_becomes_a_command(office: Office) -> None:
    evil = 'x" UNSEEN\r\na9 DELETE INBOX\r\n'
    for arguments in ({"text": evil}, {"folder": evil}, {"sender": evil}, {"folder": "x\r\ny"}):
        assert (await office.failed("search_messages", **arguments)).code is Code.INVALID_INPUT
    await office("search_messages", text='x" UNSEEN')
    assert not [each for each in office.imap.commands if "DELETE" in each]
    assert any(each.endswith('TEXT "x\\" UNSEEN"') for each in office.imap.commands)


async def test_an_id_of_a_folder_that_was_rebuilt_is_not_found(office: Office) -> None:
    uid = office.imap.put("INBOX", incoming(1))
    assert (await office("get_message", folder="INBOX", id=f"7.{uid}"))["text"] == "Shall we?"
    office.imap.validity = 8
    for tool in ("get_message", "delete_message"):
        assert (await office.failed(tool, folder="INBOX", id=f"7.{uid}")).code is Code.NOT_FOUND
    assert len(office.imap.folders["INBOX"]) == 1


async def test_a_reply_goes_into_the_thread_and_to_the_right_people(office: Office) -> None:
    uid = office.imap.put("INBOX", incoming(2, more="References: <m0@away.example> <m1@away.example>\n"))
    await office("reply", folder="INBOX", id=f"7.{uid}", text="Yes", reply_all=True)
    _, people, content = office.post.taken[0]
    assert people == ["ann@away.example", "ben@away.example"]
    assert b"In-Reply-To: <m2@away.example>" in content
    assert b"References: <m0@away.example> <m1@away.example> <m2@away.example>" in content
    assert b"Subject: Re: lunch" in content
    assert office.person.asked[0].preview["to"] == ["ann@away.example"]


async def test_mail_of_programs_is_not_answered(office: Office) -> None:
    uid = office.imap.put("INBOX", incoming(1, more="Auto-Submitted: auto-replied\n"))
    error = await office.failed("reply", folder="INBOX", id=f"7.{uid}", text="Yes")
    assert (error.code, office.post.taken) == (Code.INVALID_INPUT, [])


async def test_a_thread_is_read_from_the_inbox_and_the_sent_mail(office: Office) -> None:
    first = office.imap.put("INBOX", incoming(1))
    office.imap.put("INBOX", incoming(5, "other"))
    await office("reply", folder="INBOX", id=f"7.{first}", text="Yes")
    found = await office("read_thread", message_id="<m1@away.example>")
    assert [(each["folder"], each["text"]) for each in found] == [("INBOX", "Shall we?"), ("Sent", "Yes")]
    assert (await office.failed("read_thread", message_id="<no@away.example>")).code is Code.NOT_FOUND


async def test_an_attachment_is_read_in_pieces(office: Office) -> None:
    content = base64.b64encode(bytes(range(256)) * 40).decode()
    sent = await office("send_message", **LETTER, attachments=[{"filename": "a.bin", "content": content}])
    (line,) = (await office("search_messages", folder=sent["saved_in"]))["items"]
    message = await office("get_message", folder="Sent", id=line["id"])
    (attached,) = message["attachments"]
    assert (attached["filename"], attached["size"]) == ("a.bin", 10_240)
    where = {"folder": "Sent", "id": line["id"], "part": attached["part"]}
    first = await office("get_attachment", **where)
    second = await office("get_attachment", **where, offset=first["next_offset"])
    assert base64.b64decode(first["content"]) + base64.b64decode(second["content"]) == base64.b64decode(content)
    assert "next_offset" not in second
    assert (await office.failed("get_attachment", **{**where, "part": 99})).code is Code.NOT_FOUND


async def test_a_draft_is_written_read_and_sent_once(office: Office) -> None:
    made = await office("create_draft", **LETTER, bcc=["eve@away.example"])
    assert office.post.taken == []
    assert (await office("get_draft", id=made["id"]))["subject"] == "Grüße"
    sent = await office("send_draft", id=made["id"])
    assert sent["message_id"] == made["message_id"]
    assert b"eve@" not in office.post.taken[0][2]
    assert office.imap.folders["Drafts"] == []
    office.imap.put("Drafts", office.post.taken[0][2])  # as if it had not been removed
    again = await office.failed("send_draft", id=f"7.{office.imap.uid}")
    assert (again.code, len(office.post.taken)) == (Code.ALREADY_DONE, 1)


async def test_a_draft_that_cannot_be_removed_is_still_sent(office: Office) -> None:
    made = await office("create_draft", **LETTER)
    office.imap.on["UID STORE"] = refuse("no")
    assert "do not send it again" in (await office("send_draft", id=made["id"]))["note"]


@pytest.mark.parametrize("capabilities", ["IMAP4rev1 AUTH=PLAIN UIDPLUS MOVE", "IMAP4rev1 AUTH=PLAIN UIDPLUS"])
async def test_deleting_moves_to_the_trash_and_from_there_for_good(office: Office, capabilities: str) -> None:
    office.imap.capabilities = capabilities
    uid = office.imap.put("INBOX", incoming(1))
    await office("delete_message", folder="INBOX", id=f"7.{uid}")
    assert office.person.asked[0].preview["text"] == "Shall we?"
    assert (len(office.imap.folders["INBOX"]), len(office.imap.folders["Trash"])) == (0, 1)
    await office("delete_message", folder="Trash", id=f"7.{office.imap.folders['Trash'][0].uid}")
    assert office.imap.folders["Trash"] == []


async def test_a_server_that_would_remove_other_messages_too_is_not_asked_to(office: Office) -> None:
    office.imap.capabilities = "IMAP4rev1 AUTH=PLAIN"
    uid = office.imap.put("INBOX", incoming(1))
    error = await office.failed("delete_message", folder="INBOX", id=f"7.{uid}")
    assert (error.code, error.outcome) == (Code.INVALID_INPUT, Outcome.NOT_APPLIED)
    assert not [each for each in office.imap.commands if "STORE" in each or "EXPUNGE" in each]


async def test_a_change_that_is_done_in_part_is_not_called_undone(office: Office) -> None:
    office.imap.capabilities = "IMAP4rev1 AUTH=PLAIN UIDPLUS"
    office.imap.on["UID STORE"] = refuse("[NOPERM] no")
    uid = office.imap.put("INBOX", incoming(1))
    error = await office.failed("delete_message", folder="INBOX", id=f"7.{uid}")
    assert (error.code, error.outcome) == (Code.OUTCOME_UNKNOWN, Outcome.UNKNOWN)


async def test_a_change_without_an_answer_is_unknown_and_not_repeated(office: Office) -> None:
    async def vanish_after(writer: Writer, tag: str) -> bool:
        writer.transport.abort()
        return True

    office.imap.on["APPEND"] = vanish_after
    error = await office.failed("create_draft", **LETTER)
    assert (error.code, len([each for each in office.imap.commands if each.startswith("APPEND")])) == (
        Code.OUTCOME_UNKNOWN,
        1,
    )


async def test_what_became_of_a_message_is_found_by_its_id(office: Office) -> None:
    sent = await office("send_message", **LETTER)
    wanted = sent["message_id"]
    quiet = await office("get_delivery_status", message_id=wanted)
    assert (quiet["state"], quiet["sent"], quiet["recipients"]) == ("accepted", True, [])
    report = dsn(POSTFIX).decode().replace("<3f5242fc.clew@home.example>", wanted)
    office.imap.put("INBOX", report)
    office.imap.put("INBOX", report.replace(wanted, "<other@home.example>"))
    found = await office("get_delivery_status", message_id=wanted)
    assert found["state"] == "bounced"
    assert [(each["address"], each["state"], each.get("suppress")) for each in found["recipients"]] == [
        ("Gone+tag@away.example", "bounced", True),
        ("slow@away.example", "deferred", None),
    ]
    listed = await office("list_delivery_reports", days=90)
    assert [(each["message_id"], each["ours"]) for each in listed] == [
        ("<other@home.example>", False),
        (wanted, True),
    ]


async def test_an_answer_proves_that_a_message_arrived(office: Office) -> None:
    wanted = (await office("send_message", **LETTER))["message_id"]
    office.imap.put("INBOX", incoming(1, more=f"In-Reply-To: {wanted}\n"))
    office.imap.put("INBOX", incoming(2, more=f"In-Reply-To: {wanted}\nAuto-Submitted: auto-replied\n"))
    found = await office("get_delivery_status", message_id=wanted)
    assert (found["state"], found["answered_by"]) == ("delivered", ["Ann <ann@away.example>"])


async def test_a_message_that_nobody_knows_is_unknown(office: Office) -> None:
    found = await office("get_delivery_status", message_id="never.sent@home.example")
    assert (found["state"], "ask the person" in found["next"]) == ("unknown", True)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("[NONEXISTENT] x", Code.NOT_FOUND),
        ("[UNAVAILABLE] x", Code.TRANSIENT),
        ("[OVERQUOTA] x", Code.QUOTA_EXHAUSTED),
        ("[LIMIT] x", Code.RATE_LIMITED),
        ("[NOPERM] x", Code.PERMISSION),
        ("Mailbox does not exist", Code.NOT_FOUND),
        ("why not", Code.INVALID_INPUT),
    ],
)
async def test_refusals_of_the_mailbox_are_told_apart(office: Office, answer: str, code: Code) -> None:
    office.imap.on["EXAMINE"] = refuse(answer)
    error = await office.failed("search_messages")
    assert (error.code, error.outcome) == (code, Outcome.NOT_APPLIED)


async def test_with_starttls_nothing_is_said_before_the_encryption(context: ssl.SSLContext) -> None:
    async with opened(context, "starttls") as office:
        office.imap.put("INBOX", incoming(1))
        assert len((await office("search_messages"))["items"]) == 1
        await office("send_message", **LETTER)
        assert office.imap.commands[0] == "STARTTLS"
        assert PASSWORD not in office.imap.commands[0]
        assert len(office.post.taken) == 1
