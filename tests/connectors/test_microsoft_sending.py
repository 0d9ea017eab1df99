"""Microsoft 365: drafts and sending. Every message is shown to a person first, and none is sent twice."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import respx
from tests.connectors.calling import Calling, Tool, failed
from tests.connectors.graph_box import OWN, Box, message, refused, somebody
from tests.people import Person

from clew.connectors.microsoft import microsoft
from clew.core.errors import Code, Outcome
from clew.core.journal import Journal, State

pytestmark = pytest.mark.anyio

LETTER: dict[str, Any] = {"to": ["grace@away.example"], "subject": "Grüße", "text": "Hallo"}
SEND = "/me/messages/d1/send"


@pytest.fixture
def box() -> Iterator[Box]:
    with respx.mock(assert_all_called=False) as router:
        yield Box().mount(router)


@pytest.fixture
def tool(call: Calling, person: Person) -> Tool:
    return call.tool(microsoft, person)


def sent(box: Box) -> list[str]:
    return [name for name, each in box.messages.items() if name.startswith("d") and not each["isDraft"]]


def people(found: dict[str, Any], field: str) -> list[str]:
    return [each["emailAddress"]["address"] for each in found[field]]


async def test_a_message_is_shown_stored_and_sent_once(tool: Tool, box: Box, person: Person) -> None:
    more = {"cc": ["ida@home.example"], "bcc": ["eve@away.example"]}
    files = [{"filename": "a.txt", "content": "aGk=", "content_type": "text/plain"}]
    done = await tool("send_message", **LETTER, **more, attachments=files)
    assert box.asked() == ["/me/messages", SEND]
    assert done == {"id": "d1", "conversation_id": "c-d1", "message_id": "<d1@home.example>"}
    stored = box.body("/me/messages")
    assert [people(stored, f"{kind}Recipients") for kind in ("to", "cc", "bcc")] == [
        ["grace@away.example"],
        ["ida@home.example"],
        ["eve@away.example"],
    ]
    assert (stored["subject"], stored["body"]) == ("Grüße", {"contentType": "text", "content": "Hallo"})
    file = {"name": "a.txt", "contentType": "text/plain", "contentBytes": "aGk="}
    assert stored["attachments"] == [{"@odata.type": "#microsoft.graph.fileAttachment", **file}]
    shown = person.asked[0].preview
    assert (shown["sender"], shown["outside"]) == (OWN, ["grace@away.example", "eve@away.example"])
    assert shown["attachments"] == ["a.txt (3 bytes)"]


async def test_html_is_shown_as_words(tool: Tool, box: Box, person: Person) -> None:
    await tool("send_message", **{**LETTER, "text": "<p>Hallo</p>"}, html=True)
    assert (person.asked[0].preview["text"], box.body("/me/messages")["body"]["contentType"]) == ("Hallo", "html")


async def test_a_no_sends_and_stores_nothing(tool: Tool, box: Box, person: Person) -> None:
    person.agrees = False
    assert (await failed(tool, "send_message", **LETTER)).code is Code.DENIED
    assert box.asked() == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"to": ["grace"]}, "address"),
        ({"to": None}, "to is missing"),
        ({"subject": None}, "subject is missing"),
        ({"subject": "a\r\nBcc: eve@away.example"}, "subject"),
        ({"reply_to": "m7"}, "reply_to"),
        ({"attachments": [{"filename": "../x", "content": "aGk="}]}, "file name"),
        ({"attachments": [{"filename": "x", "content": "???"}]}, "base64"),
        ({"attachments": [{"filename": f"{n}.bin", "content": "A" * 3_000_000} for n in range(2)]}, "3 MB"),
    ],
)
@pytest.mark.parametrize("name", ["send_message", "create_draft"])
async def test_what_cannot_be_sent_is_refused_before_it_is_stored(
    tool: Tool, box: Box, name: str, given: dict[str, Any], words: str
) -> None:
    error = await failed(tool, name, **{**LETTER, **given})
    assert (error.code, error.outcome) == (Code.INVALID_INPUT, Outcome.NOT_APPLIED)
    assert words in error.message
    assert box.asked() == []


async def test_a_lost_answer_is_settled_by_the_copy_of_the_same_id(tool: Tool, box: Box, journal: Journal) -> None:
    box.lose = ["after"]
    done = await tool("send_message", **LETTER)
    assert (done["id"], sent(box), box.asked()) == ("d1", ["d1"], ["/me/messages", SEND])
    (row,) = await journal.rows()
    assert (row.state, row.settled_by) == (State.APPLIED, "look")


async def test_while_the_draft_of_a_lost_answer_is_there_nothing_is_claimed_or_sent_again(
    tool: Tool, box: Box, journal: Journal
) -> None:
    box.lose = ["before"]
    error = await failed(tool, "send_message", **LETTER)
    assert (error.code, error.outcome) == (Code.OUTCOME_UNKNOWN, Outcome.UNKNOWN)
    assert (await failed(tool, "send_message", **LETTER)).outcome is Outcome.UNKNOWN
    assert (box.asked(), sent(box)) == (["/me/messages", SEND], [])


async def test_a_draft_that_is_still_there_much_later_was_not_sent(tool: Tool, box: Box, journal: Journal) -> None:
    box.lose, box.made_at = ["before"], "2026-11-22T10:00:00Z"
    assert (await failed(tool, "send_message", **LETTER)).outcome is Outcome.NOT_APPLIED
    await tool("send_message", **LETTER)
    assert (sent(box), box.asked().count(SEND)) == (["d2"], 1)


async def test_a_copy_that_is_not_there_yet_stays_unknown(tool: Tool, box: Box, journal: Journal) -> None:
    box.lose, box.slow = ["after"], True
    assert (await failed(tool, "send_message", **LETTER)).outcome is Outcome.UNKNOWN
    box.slow = False
    assert (await tool("send_message", **LETTER))["id"] == "d1"
    assert (len(sent(box)), box.asked().count(SEND)) == (1, 1)


async def test_a_draft_whose_age_nobody_tells_counts_as_new(tool: Tool, box: Box, journal: Journal) -> None:
    box.lose, box.made_at = ["before"], "a while ago"
    assert (await failed(tool, "send_message", **LETTER)).outcome is Outcome.UNKNOWN


async def test_a_refusal_takes_the_draft_away_again(tool: Tool, box: Box, journal: Journal) -> None:
    box.refuse = refused(429, "ErrorExceededMessageLimit")
    error = await failed(tool, "send_message", **LETTER)
    assert (error.code, error.outcome) == (Code.QUOTA_EXHAUSTED, Outcome.NOT_APPLIED)
    assert not box.messages
    (row,) = await journal.rows()
    assert row.state is State.NOT_APPLIED


async def test_a_draft_is_stored_without_asking_and_sent_with_asking(tool: Tool, box: Box, person: Person) -> None:
    made = await tool("create_draft", **LETTER, bcc=["eve@away.example"])
    assert not person.asked
    assert made == {"id": "d1", "change_key": "ck-d1", "to": ["grace@away.example"], "url": "https://outlook.example/x"}
    done = await tool("send_draft", message_id="d1", change_key="ck-d1")
    shown = person.asked[0].preview
    assert (shown["to"], shown["bcc"]) == (["grace@away.example"], ["eve@away.example"])
    assert (shown["subject"], shown["outside"]) == ("Grüße", ["grace@away.example", "eve@away.example"])
    assert (done["id"], sent(box)) == ("d1", ["d1"])


@pytest.mark.parametrize(
    ("change", "key", "code"),
    [
        ({"changeKey": "new"}, "ck-d1", Code.CONFLICT),
        ({"isDraft": False}, "ck-d1", Code.CONFLICT),
        ({"toRecipients": []}, "ck-d1", Code.INVALID_INPUT),
    ],
)
async def test_a_draft_that_is_not_what_was_read_is_not_sent(
    tool: Tool, box: Box, change: dict[str, Any], key: str, code: Code
) -> None:
    await tool("create_draft", **LETTER)
    box.messages["d1"] |= change
    error = await failed(tool, "send_draft", message_id="d1", change_key=key)
    assert (error.code, error.outcome) == (code, Outcome.NOT_APPLIED)
    assert SEND not in box.asked()


@pytest.mark.parametrize("lost", ["before", "after"])
async def test_a_draft_goes_once_whenever_the_answer_is_lost(tool: Tool, box: Box, journal: Journal, lost: str) -> None:
    await tool("create_draft", **LETTER)
    box.lose = [lost]
    if lost == "after":
        assert (await tool("send_draft", message_id="d1", change_key="ck-d1"))["id"] == "d1"
    else:
        error = await failed(tool, "send_draft", message_id="d1", change_key="ck-d1")
        assert error.outcome is Outcome.NOT_APPLIED  # Exchange itself sends this draft once: it may be repeated
        await tool("send_draft", message_id="d1", change_key="ck-d1")
    assert sent(box) == ["d1"]


async def test_a_draft_whose_storing_got_no_answer_is_found_by_its_mark(tool: Tool, box: Box, journal: Journal) -> None:
    box.lose_stored = True
    made = await tool("create_draft", **LETTER)
    (mark,) = box.body("/me/messages")["singleValueExtendedProperties"]
    assert (mark["id"], len(mark["value"])) == ("String {00020329-0000-0000-C000-000000000046} Name clew", 32)
    assert made["id"] in box.messages


async def test_a_lost_draft_of_an_answer_is_left_to_the_reader(tool: Tool, box: Box, journal: Journal) -> None:
    box.messages["m7"] = message("m7")
    box.lose_stored = True
    error = await failed(tool, "create_draft", text="Ja", reply_to="m7")
    assert error.outcome is not Outcome.APPLIED
    assert (await journal.rows())[0].state is not State.APPLIED


async def test_an_answer_goes_to_who_was_shown_and_to_nobody_else(tool: Tool, box: Box, person: Person) -> None:
    to = {
        "toRecipients": [somebody(OWN.upper()), somebody("ida@home.example")],
        "ccRecipients": [somebody("c@x.example")],
    }
    box.messages["m7"] = message("m7", subject="Pläne", replyTo=[somebody("desk@away.example")], **to)
    done = await tool("send_message", text="Ja", reply_to="m7", reply_all=True, cc=["d@x.example"])
    asked = box.body("/createReply")["Message"]
    assert people(asked, "toRecipients") == ["desk@away.example"]
    assert people(asked, "ccRecipients") == ["ida@home.example", "c@x.example", "d@x.example"]
    assert asked["body"] == {"contentType": "text", "content": "Ja"}
    shown = person.asked[0].preview
    assert (shown["subject"], shown["to"]) == ("Re: Pläne", ["desk@away.example"])
    assert shown["cc"] == ["ida@home.example", "c@x.example", "d@x.example"]
    assert sent(box) == [done["id"]]


async def test_an_answer_that_is_addressed_to_others_is_not_sent(tool: Tool, box: Box) -> None:
    box.messages["m7"] = message("m7")
    box.adds = ["list@away.example"]
    error = await failed(tool, "send_message", text="Ja", reply_to="m7")
    assert (error.code, error.outcome) == (Code.CONTRACT_CHANGED, Outcome.NOT_APPLIED)
    assert list(box.messages) == ["m7"]  # the draft is taken away again


async def test_an_answer_has_its_files_added_and_then_the_key_it_has_now(tool: Tool, box: Box) -> None:
    box.messages["m7"] = message("m7")
    made = await tool("create_draft", text="Ja", reply_to="m7", attachments=[{"filename": "a", "content": "aGk="}])
    assert (made["change_key"], made["to"]) == ("ck-d1+", ["grace@away.example"])
    assert box.body("/attachments")["contentBytes"] == "aGk="


async def test_files_that_are_there_twice_are_not_sent(tool: Tool, box: Box) -> None:
    box.messages["m7"], box.doubled = message("m7"), 2
    files = [{"filename": "a", "content": "aGk="}]
    error = await failed(tool, "send_message", text="Ja", reply_to="m7", attachments=files)
    assert (error.outcome, list(box.messages)) == (Outcome.NOT_APPLIED, ["m7"])


async def test_an_answer_to_ones_own_message_goes_to_its_recipients(tool: Tool, box: Box, person: Person) -> None:
    own = {"from": somebody(OWN), "toRecipients": [somebody("grace@away.example")]}
    box.messages["m7"] = message("m7", **own, subject="RE: Plans")
    await tool("send_message", text="And?", reply_to="m7")
    assert (person.asked[0].preview["to"], person.asked[0].preview["subject"]) == (["grace@away.example"], "RE: Plans")


@pytest.mark.parametrize(
    "original",
    [
        {"isDraft": True},
        {"internetMessageHeaders": [{"name": "Auto-Submitted", "value": "auto-replied"}]},
        {
            "internetMessageHeaders": [
                {"name": "Precedence", "value": "bulk"},
                {"name": "Bad name", "value": 3},
            ]
        },
    ],
)
async def test_what_a_program_wrote_and_what_nobody_got_is_not_answered(
    tool: Tool, box: Box, original: dict[str, Any]
) -> None:
    box.messages["m7"] = message("m7", **original)
    error = await failed(tool, "send_message", text="Ja", reply_to="m7")
    assert (error.code, box.asked()) == (Code.INVALID_INPUT, [])


async def test_a_message_that_is_gone_is_not_answered(tool: Tool, box: Box) -> None:
    error = await failed(tool, "send_message", text="Ja", reply_to="m9")
    assert (error.code, "search_messages" in error.next_step) == (Code.NOT_FOUND, True)


async def test_a_mailbox_that_is_none_says_so(tool: Tool, box: Box) -> None:
    box.refuse = refused(403, "MailboxNotEnabledForRESTAPI")
    error = await failed(tool, "send_message", **LETTER)
    assert (error.code, "no mailbox" in error.message) == (Code.PERMISSION, True)


async def test_a_wrong_recipient_is_the_arguments_fault(tool: Tool, box: Box) -> None:
    box.refuse = httpx.Response(400, json={"error": {"code": "ErrorInvalidRecipients", "message": "At least one"}})
    error = await failed(tool, "send_message", **LETTER)
    assert (error.code, error.outcome) == (Code.INVALID_INPUT, Outcome.NOT_APPLIED)
