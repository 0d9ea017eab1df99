"""Gmail: drafts and sending. Every message is shown to a person first, and none is sent twice."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import respx
from tests.connectors.calling import Calling, Tool, failed
from tests.connectors.gmail_box import OWN, Box, message
from tests.people import Person

from clew.connectors.gmail import gmail
from clew.core.errors import Code, Outcome
from clew.core.journal import Journal, State

pytestmark = pytest.mark.anyio

LETTER: dict[str, Any] = {"to": ["grace@away.example"], "subject": "Grüße", "text": "Hallo"}


@pytest.fixture
def box() -> Iterator[Box]:
    with respx.mock(assert_all_called=False) as router:
        yield Box().mount(router)


@pytest.fixture
def tool(call: Calling, person: Person) -> Tool:
    return call.tool(gmail, person)


async def test_a_message_is_shown_stored_and_sent_once(tool: Tool, box: Box, person: Person) -> None:
    sent = await tool("send_message", **LETTER, cc=["ida@home.example"], bcc=["eve@away.example"], html="<p>Hallo</p>")
    assert box.paths() == ["/drafts", "/drafts/send"]
    (mail,) = box.sent.values()
    assert (mail["From"], mail["To"], mail["Bcc"], mail["Subject"]) == (
        OWN, "grace@away.example", "eve@away.example", "Grüße",
    )  # fmt: skip
    assert sent["message_id"] == mail["Message-ID"]
    assert sent["id"] in box.sent
    shown = person.asked[0].preview
    assert (shown["outside"], shown["html"]) == (["grace@away.example", "eve@away.example"], "Hallo")


async def test_a_no_sends_and_stores_nothing(tool: Tool, box: Box, person: Person) -> None:
    person.agrees = False
    assert (await failed(tool, "send_message", **LETTER)).code is Code.DENIED
    assert box.paths() == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"to": ["grace"]}, "address"),
        ({"to": []}, "no recipient"),
        ({"subject": "a\r\nBcc: eve@away.example"}, "subject"),
        ({"attachments": [{"filename": "../x", "content": "aGk="}]}, "file name"),
        ({"attachments": [{"filename": f"{n}.bin", "content": "A" * 6_800_000} for n in range(3)]}, "10 MB"),
    ],
)
async def test_what_cannot_be_sent_is_refused_before_it_is_stored(
    tool: Tool, box: Box, given: dict[str, Any], words: str
) -> None:
    error = await failed(tool, "send_message", **{**LETTER, **given})
    assert (error.code, error.outcome) == (Code.INVALID_INPUT, Outcome.NOT_APPLIED)
    assert words in error.message
    assert box.paths() == []


async def test_a_lost_answer_is_settled_by_the_sent_mail(tool: Tool, box: Box, journal: Journal) -> None:
    box.lose = ["after"]
    sent = await tool("send_message", **LETTER)
    assert sent["id"] in box.sent
    assert box.paths() == ["/drafts", "/drafts/send"]
    (row,) = await journal.rows()
    assert (row.state, row.settled_by) == (State.APPLIED, "look")


async def test_while_the_draft_of_a_lost_answer_is_there_nothing_is_claimed_or_sent_again(
    tool: Tool, box: Box, journal: Journal
) -> None:
    box.lose = ["before"]
    error = await failed(tool, "send_message", **LETTER)
    assert (error.code, error.outcome) == (Code.OUTCOME_UNKNOWN, Outcome.UNKNOWN)
    again = await failed(tool, "send_message", **LETTER)
    assert again.outcome is Outcome.UNKNOWN
    assert box.paths() == ["/drafts", "/drafts/send"]
    assert not box.sent


async def test_a_draft_that_is_still_there_much_later_was_not_sent(tool: Tool, box: Box, journal: Journal) -> None:
    box.lose = ["before"]
    await failed(tool, "send_message", **LETTER)
    box.age = 3600
    assert (await failed(tool, "send_message", **LETTER)).outcome is Outcome.NOT_APPLIED
    await tool("send_message", **LETTER)
    assert len(box.sent) == 1
    assert box.paths().count("/drafts/send") == 2


async def test_a_draft_that_is_gone_before_the_search_knows_the_message_stays_unknown(
    tool: Tool, box: Box, journal: Journal
) -> None:
    box.lose, box.searchable = ["after"], False
    assert (await failed(tool, "send_message", **LETTER)).outcome is Outcome.UNKNOWN
    box.searchable = True
    assert (await tool("send_message", **LETTER))["id"] in box.sent
    assert len(box.sent) == 1
    assert box.paths().count("/drafts/send") == 1


async def test_a_refusal_takes_the_draft_away_again(tool: Tool, box: Box, journal: Journal) -> None:
    text = "Daily user sending limit exceeded"
    reason = {"reason": "rateLimitExceeded", "domain": "usageLimits"}
    box.refuse = httpx.Response(429, json={"error": {"code": 429, "message": text, "errors": [reason]}})
    error = await failed(tool, "send_message", **LETTER)
    assert (error.code, error.outcome) == (Code.QUOTA_EXHAUSTED, Outcome.NOT_APPLIED)
    assert not box.drafts
    (row,) = await journal.rows()
    assert row.state is State.NOT_APPLIED


async def test_a_draft_is_stored_without_asking_and_sent_with_asking(tool: Tool, box: Box, person: Person) -> None:
    made = await tool("create_draft", **LETTER, bcc=["eve@away.example"])
    assert not person.asked
    assert made == {"draft_id": "r1", "version": "mr1", "thread_id": "tr1"}
    sent = await tool("send_draft", draft_id="r1", version="mr1")
    shown = person.asked[0].preview
    assert (shown["to"], shown["bcc"]) == (["grace@away.example"], ["eve@away.example"])
    assert (shown["subject"], shown["outside"]) == ("Grüße", ["grace@away.example", "eve@away.example"])
    assert sent["id"] in box.sent


async def test_a_draft_that_somebody_changed_meanwhile_is_not_sent(tool: Tool, box: Box) -> None:
    await tool("create_draft", **LETTER)
    error = await failed(tool, "send_draft", draft_id="r1", version="old")
    assert (error.code, error.outcome) == (Code.CONFLICT, Outcome.NOT_APPLIED)
    assert "get_draft" in error.next_step
    assert not box.sent


async def test_a_draft_that_is_gone_may_have_been_sent(tool: Tool, box: Box) -> None:
    error = await failed(tool, "send_draft", draft_id="r9", version="mr9")
    assert error.code is Code.NOT_FOUND
    assert "in:sent" in error.next_step


@pytest.mark.parametrize("lost", ["before", "after"])
async def test_a_draft_goes_once_whenever_the_answer_is_lost(tool: Tool, box: Box, journal: Journal, lost: str) -> None:
    await tool("create_draft", **LETTER)
    box.lose = [lost]
    if lost == "after":
        assert (await tool("send_draft", draft_id="r1", version="mr1"))["id"] in box.sent
    else:
        error = await failed(tool, "send_draft", draft_id="r1", version="mr1")
        assert error.outcome is Outcome.NOT_APPLIED  # Gmail itself sends this draft once: it may be repeated
        await tool("send_draft", draft_id="r1", version="mr1")
    assert len(box.sent) == 1


async def test_a_draft_whose_storing_got_no_answer_is_found_by_its_message_id(
    tool: Tool, box: Box, journal: Journal
) -> None:
    box.lose_stored = True
    made = await tool("create_draft", **LETTER)
    assert made["draft_id"] == "r1"
    assert len(box.drafts) == 1


async def test_a_reply_answers_in_the_thread(tool: Tool, box: Box, person: Person) -> None:
    headers: Any = {"Cc": "ida@home.example", "References": "<a@x.example>", "Reply_To": "desk@away.example"}
    box.messages["m7"] = message("m7", Subject="Pläne", **headers)
    sent = await tool("reply", message_id="m7", text="Ja", reply_all=True)
    (mail,) = box.sent.values()
    assert (mail["To"], mail["Cc"], mail["Subject"]) == ("desk@away.example", "ida@home.example", "Re: Pläne")
    assert (mail["In-Reply-To"], mail["References"]) == ("<m7@away.example>", "<a@x.example> <m7@away.example>")
    assert sent["thread_id"] == "tm7"
    assert person.asked[0].preview["outside"] == ["desk@away.example"]


async def test_what_a_program_wrote_is_not_answered(tool: Tool, box: Box) -> None:
    box.messages["m7"] = message("m7", Auto_Submitted="auto-replied")
    error = await failed(tool, "reply", message_id="m7", text="Ja")
    assert (error.code, box.paths()) == (Code.INVALID_INPUT, [])
