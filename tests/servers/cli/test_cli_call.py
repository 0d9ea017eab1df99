"""`clew call`."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.servers.cli import interrupting
from tests.servers.cli.conftest import Terminal

from clew.connectors.acme import acme as connector
from clew.core.errors import ConfigurationError
from clew.servers.cli.arguments import convert

Place = Any
Sandbox = Any
Remember = Callable[["subprocess.Popen[str]"], "subprocess.Popen[str]"]


def wait_for(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_result_is_json_on_standard_output(place: Place, connected: Sandbox) -> None:
    ran = place.run("call", "acme", "get_contact", "contact_id=con_000001", "--json")
    assert ran.code == 0
    assert json.loads(ran.out)["email"] == "lovelace1@customer.example"
    assert ran.out.count("\n") == 1
    assert ran.err == ""


def test_a_page_says_how_to_get_the_next_one(place: Place, connected: Sandbox) -> None:
    ran = place.run("call", "acme", "search_contacts")
    cursor = json.loads(ran.out)["next_cursor"]
    assert f"add cursor={cursor}" in ran.err
    following = place.run("call", "acme", "search_contacts", f"cursor={cursor}")
    assert json.loads(following.out)["items"][0]["id"] != json.loads(ran.out)["items"][0]["id"]


def test_words_may_follow_options(place: Place, connected: Sandbox) -> None:
    ran = place.run(
        "call", "acme", "create_ticket", "--json", "subject=It breaks", "--account", "ada@acme.example", "priority=high"
    )
    assert ran.code == 0
    assert json.loads(ran.out)["priority"] == "high"


def test_arguments_come_from_a_file_and_words_win(place: Place, connected: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "ticket.json").write_text('{"subject": "from the file", "priority": "low"}')
    ran = place.run("call", "acme", "create_ticket", "--arguments", "ticket.json", "priority=high")
    made = json.loads(ran.out)
    assert (made["subject"], made["priority"]) == ("from the file", "high")


def test_arguments_come_from_standard_input(place: Place, connected: Sandbox) -> None:
    ran = place.run("call", "acme", "create_ticket", "--arguments", "-", stdin='{"subject": "piped"}')
    assert json.loads(ran.out)["subject"] == "piped"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("get_contat", "contact_id=x"), "has no tool 'get_contat'. Did you mean 'get_contact'?"),
        (("get_contact",), "get_contact needs contact_id. Example: clew call acme get_contact contact_id=…"),
        (("get_contact", "con_1"), "'con_1' is not key=value"),
        (("get_contact", "contactid=x"), "takes no argument 'contactid'. Did you mean contact_id?"),
        (("get_contact", "contact_id=a", "contact_id=b"), "contact_id is given twice"),
        (("list_tickets", "status=nope"), "the arguments of list_tickets are not valid: status: 'nope' is not one of"),
        (("get_contact", "--arguments", "-"), "standard input is not JSON"),
        (("get_contact", "--arguments", "nowhere"), "nowhere cannot be read: No such file or directory"),
        (("get_contact", "contact_id=a", "--deadline", "0"), "--deadline must be more than 0"),
        (("get_contact", "contact_id=a", "--deadline", "soon"), "invalid float value"),
        (("get_contact", "contact_id=a", "--dead", "3"), "unrecognised arguments: --dead"),
    ],
)
def test_wrong_words_are_one_sentence_and_nothing_is_sent(
    place: Place, connected: Sandbox, words: tuple[str, ...], why: str
) -> None:
    before = dict(connected.state.requests)
    ran = place.run("call", "acme", *words)
    assert ran.code == 2
    assert ran.out == ""
    assert why in ran.err.splitlines()[0]
    assert connected.state.requests == before


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"type": "integer"}, "-7", -7),
        ({"type": "number"}, "1.5", 1.5),
        ({"type": "boolean"}, "True", True),
        ({"type": "string"}, "7", "7"),
        ({"type": "array"}, '["a"]', ["a"]),
        ({"type": "object"}, '{"a": 1}', {"a": 1}),
        ({"enum": ["open"]}, "open", "open"),
        ({}, "[1]", [1]),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, "7", 7),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, "seven", "seven"),
    ],
)
def test_a_value_becomes_what_the_schema_wants(schema: dict[str, Any], text: str, value: object) -> None:
    converted = convert("x", text, schema)
    assert converted == value
    assert type(converted) is type(value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("integer", "1.0"),
        ("number", "nan"),
        ("number", "inf"),
        ("boolean", "1"),
        ("array", "{}"),
        ("object", "[" * 9999),
    ],
)
def test_a_value_of_another_type_is_refused(kind: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match="x must be"):
        convert("x", text, {"type": kind})


def test_a_missing_credential_names_the_command_and_ends_with_4(place: Place) -> None:
    ran = place.run("call", "github", "get_issue", "owner=o", "repo=r", "number=1")
    assert ran.code == 4
    said = "clew: github is not connected.\n  code: auth_revoked, outcome: not_applied\n  run: clew auth set github\n"
    assert ran.err == said


def test_a_dead_token_ends_with_4(place: Place, connected: Sandbox) -> None:
    connected.fault("reject_token", times=None)
    assert place.run("call", "acme", "list_tickets").code == 4


def test_a_refusal_of_the_provider_ends_with_1_in_both_forms(place: Place, connected: Sandbox) -> None:
    ran = place.run("call", "acme", "get_contact", "contact_id=con_999999", "--json")
    assert ran.code == 1
    assert json.loads(ran.out)["error"]["code"] == "not_found"
    assert "next: Check the identifiers" in ran.err


def test_a_lost_answer_of_a_write_is_not_called_a_failure(place: Place, connected: Sandbox) -> None:
    connected.fault("drop_after_commit", method="POST", path="/api/messages", times=20)
    words = ("sender=support@acme.example", "to=ada@acme.example", "subject=Hello", "text=once")
    ran = place.run("call", "acme", "send_message", *words)
    assert ran.code == 1
    assert "outcome: unknown" in ran.err
    assert connected.state.committed("message") == 1


def test_a_lost_answer_of_a_write_with_an_id_of_ours_is_found(place: Place, connected: Sandbox) -> None:
    connected.fault("drop_after_commit", method="POST", path="/api/tickets")
    ran = place.run("call", "acme", "create_ticket", "subject=once", "--json")
    assert ran.code == 0
    assert json.loads(ran.out)["subject"] == "once"
    assert connected.state.requests["POST /api/tickets"] == 2
    assert connected.state.committed("ticket") == 1


def test_read_only_refuses_a_write_before_anything_else(
    place: Place, connected: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEW_READ_ONLY", "yes")
    ran = place.run("call", "acme", "create_ticket", "subject=x")
    assert (ran.code, ran.err) == (2, "clew: create_ticket changes something, and CLEW_READ_ONLY says read_only.\n")


def test_the_tools_an_operator_serves_do_not_limit_the_person(place: Place, connected: Sandbox) -> None:
    place.configure(f'tools = ["contacts"]\n[connectors.acme]\nbase_url = "{connected.url}"\n')
    assert place.run("call", "acme", "list_tickets").code == 0


def test_the_log_at_debug_holds_no_credential(
    place: Place, connected: Sandbox, processes: Remember, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEW_LOG_LEVEL", "debug")
    calling = processes(place.start("call", "acme", "get_contact", "contact_id=con_000001"))
    _, err = calling.communicate(timeout=20)
    assert calling.returncode == 0
    assert '"tool":"get_contact"' in err
    assert connected.pat not in err


def test_what_cannot_be_undone_needs_a_terminal(place: Place, connected: Sandbox) -> None:
    ran = place.run("call", "acme", "delete_contact", "contact_id=con_000001", stdin="y\n")
    assert ran.code == 1
    assert "this is not a terminal" in ran.err
    assert connected.state.requests["DELETE /api/contacts/{id}"] == 0
    assert not [key for key in connected.state.requests if key.startswith("DELETE")]


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("YES", 0), ("n", 2), ("", 2), ("yep", 2)])
def test_the_person_sees_the_object_and_decides(place: Place, connected: Sandbox, answer: str, code: int) -> None:
    terminal = place.terminal("call", "acme", "delete_contact", "contact_id=con_000001")
    terminal.see("Go ahead? [y/N] ")
    assert "lovelace1@customer.example" in terminal.seen
    terminal.type(answer)
    assert terminal.end() == code
    deleted = [key for key in connected.state.requests if key.startswith("DELETE")]
    assert bool(deleted) is (code == 0)
    assert "Traceback" not in terminal.seen


def test_ctrl_c_at_the_question_is_a_no(place: Place, connected: Sandbox) -> None:
    terminal = place.terminal("call", "acme", "delete_contact", "contact_id=con_000001")
    terminal.see("Go ahead? [y/N] ")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130
    assert "Interrupted. delete_contact was not done." in terminal.seen
    assert "Traceback" not in terminal.seen
    assert not [key for key in connected.state.requests if key.startswith("DELETE")]
    (record,) = json.loads(place.run("audit", "--tool", "delete_contact", "--json").out)
    assert (record["code"], record["outcome"]) == ("denied", "not_applied")


def test_ctrl_c_at_each_moment_of_the_question_is_a_no_even_after_a_yes(place: Place, connected: Sandbox) -> None:
    words = ("call", "acme", "delete_contact", "contact_id=con_000001")
    terminal = Terminal([sys.executable, interrupting.__file__, *words])
    for _ in range(100):  # ahead of the questions, so that a yes is always there to be read
        terminal.type("y")
    assert terminal.end() == 0
    codes = re.findall(r"^moment \d+: (\d+)$", terminal.seen, re.MULTILINE)
    assert codes[:-1] == ["130"] * (len(codes) - 1), codes
    assert len(codes) > 8, "the question has more moments than these"
    assert codes[-1] == "0", "without Ctrl-C the yes counts"
    assert "Traceback" not in terminal.seen
    assert connected.state.committed("contact", "delete") == 1
    records = json.loads(place.run("audit", "--tool", "delete_contact", "--json").out)
    ends = [each["code"] for each in records]
    assert ends.count("denied") >= len(codes) - 2
    assert ends.count("cancelled") == terminal.seen.count("may have happened") <= 1, "once the yes has been taken"


def test_ctrl_c_during_a_write_says_that_it_may_have_happened(
    place: Place, connected: Sandbox, processes: Remember
) -> None:
    connected.fault("slow", method="POST", path="/api/tickets", seconds=None)
    calling = processes(place.start("call", "acme", "create_ticket", "subject=once"))
    wait_for(lambda: connected.state.commits or calling.poll() is not None)
    calling.send_signal(signal.SIGINT)
    out, err = calling.communicate(timeout=20)
    connected.clear_faults()
    assert (calling.returncode, out) == (130, "")
    assert "create_ticket may have happened: look before you repeat it" in err
    assert "Traceback" not in err


def test_a_result_cannot_drive_the_terminal(place: Place, connected: Sandbox) -> None:
    connected.fault("set_field", field="company", value="a\x1b[2J\u009b31m\u202e")
    ran = place.run("call", "acme", "get_contact", "contact_id=con_000001")
    assert json.loads(ran.out)["company"] == "a\x1b[2J\u009b31m\u202e"
    assert all(char.isprintable() or char == "\n" for char in ran.out)


def test_every_tool_of_acme_can_be_named(place: Place) -> None:
    for name in connector.tools:
        assert place.run("call", "acme", name, "nonsense=1").code == 2
