"""What a person is asked, and what binds the answer to it."""

from typing import Any

import pytest

from clew.core.connection import LOCAL_TENANT, Connection
from clew.core.errors import ApprovalRequiredError, Retry
from clew.core.host import Question, SilentHost

WORK = Connection(LOCAL_TENANT, "acme", "work")


def question(connection: Connection = WORK, **facts: Any) -> Question:
    known: dict[str, Any] = {"arguments": {"id": 5}, "preview": {"title": "Hello"}, **facts}
    return Question("delete_note", "Delete a note.", connection, known["arguments"], known["preview"])


def test_the_question_names_action_account_arguments_and_object() -> None:
    assert question(arguments={"id": 5, "tags": ["a"]}).text.splitlines() == [
        "Delete a note.",
        "",
        "What will be done:",
        "",
        "    tool: delete_note",
        "    account: acme (work)",
        "",
        "Arguments:",
        "",
        "    id: 5",
        "    tags: ['a']",
        "",
        "It will hit:",
        "",
        "    title: Hello",
    ]


def test_a_call_without_arguments_says_so() -> None:
    assert question(arguments={}, preview={}).text.splitlines()[-3:] == ["Arguments:", "", "    none"]


def test_a_call_without_a_preview_names_no_object() -> None:
    assert question(preview={}).text.splitlines()[-1] == "    id: 5"


@pytest.mark.parametrize(
    "lie",
    ["x\n  id: 6", "x\r\nTool: read_note", "\x1b[2Jx", "\u202ex", "a\u2028b", "\x9b1A"],
)
def test_a_hostile_object_can_neither_add_lines_nor_draw(lie: str) -> None:
    shown = question(preview={"title": lie, lie: "x", "nested": {"deep": [lie]}}).text
    told, _, facts = shown.partition("Arguments:")
    assert len(facts.splitlines()) == 9, "what comes from outside adds no line"
    assert ("Be careful:" in told) == any(not char.isspace() and not char.isprintable() for char in lie)
    assert all(line.isprintable() for line in shown.splitlines())


def test_long_values_are_cut_where_a_person_reads_and_whole_in_the_digest() -> None:
    one, other = question(preview={"body": "x" * 5000}), question(preview={"body": "x" * 5000 + "y"})
    assert max(map(len, one.text.splitlines())) < 450
    assert one.digest != other.digest


def test_the_digest_is_the_same_for_the_same_action_in_any_order() -> None:
    assert question(arguments={"a": 1, "b": 2}).digest == question(arguments={"b": 2, "a": 1}).digest


@pytest.mark.parametrize(
    "other",
    [
        question(arguments={"id": 6}),
        question(preview={"title": "hello"}),
        question(Connection(LOCAL_TENANT, "acme", "home")),
        question(Connection("blue", "acme", "work")),
        Question("delete_file", "Delete a note.", WORK, {"id": 5}, {"title": "Hello"}),
    ],
)
def test_the_digest_differs_when_anything_differs(other: Question) -> None:
    assert other.digest != question().digest


def test_an_account_name_cannot_be_made_to_look_like_another_tenant() -> None:
    forged = question(Connection(LOCAL_TENANT, "acme", "work, tenant blue"))
    real = question(Connection("blue", "acme", "work"))
    assert forged.digest != real.digest


@pytest.mark.anyio
async def test_a_silent_host_refuses_and_names_the_way_that_works() -> None:
    with pytest.raises(ApprovalRequiredError) as caught:
        await SilentHost().confirm(question(arguments={"owner": "o", "id": 5}))
    assert caught.value.retry is Retry.AFTER_HUMAN
    assert "clew call acme delete_note owner=… id=… --account work" in caught.value.next_step
    await SilentHost().progress("waiting")
