"""`clew policy` and `clew approvals`, as the person who decides uses them."""

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client

from clew.core.approvals import Edit, Verdict, open_approvals
from clew.core.policy import Channel
from clew.servers.mcp import build_server
from clew.servers.runtime import Runtime
from clew.servers.sandbox import Sandbox
from clew.servers.settings import load_settings

if TYPE_CHECKING:
    from .conftest import Place

ALAN = {"contact_id": "con_000003"}
CHANGED = {"contact_id": "con_000004"}


@pytest.fixture
def rules(place: "Place", monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Rules in the user's own configuration."""

    def write(text: str) -> None:
        path = place.folder / "config" / "clew" / "clew.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return write


async def _agent_calls(arguments: dict[str, Any] = ALAN) -> dict[str, Any]:
    """What a host that cannot ask gets for one destructive call."""
    async with Runtime.open(load_settings(), ["acme"]) as runtime:
        async with Client(build_server(runtime)) as client:
            result = await client.call_tool("delete_contact", arguments)
        return dict(result.structured_content or {})


def agent_calls(arguments: dict[str, Any] = ALAN) -> dict[str, Any]:
    """The same, from where no event loop runs."""
    return asyncio.run(_agent_calls(arguments))


@pytest.fixture
def hasty(place: "Place", monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls that leave no time to wait for people; `place` empties the environment first."""
    monkeypatch.setenv("CLEW_DEADLINE", "15")


@pytest.mark.usefixtures("hasty")
def test_a_yes_on_the_terminal_lets_the_same_call_run_once(place: "Place", connected: Sandbox) -> None:
    error = (agent_calls())["error"]
    assert error["code"] == "approval_required"
    (waiting,) = json.loads(place.run("approvals", "--json").out)
    assert waiting["id"] in error["next"]
    assert waiting["preview"]["name"] == "Alan"
    assert "waits" in place.run("approvals").out
    assert "Alan" in place.run("approvals", "show", waiting["id"]).out
    terminal = place.terminal("approvals", "approve", waiting["id"], "--note", "he asked for it")
    terminal.see("Approve this? [y/N]")
    assert "name: Alan" in terminal.seen
    terminal.type("y")
    assert terminal.end() == 0
    done = agent_calls()
    assert "They wrote: he asked for it" in done["note"]
    assert connected.state.committed("contact", "delete") == 1
    assert (agent_calls())["error"]["code"] in {"approval_required", "not_found", "already_done"}
    assert connected.state.committed("contact", "delete") == 1


@pytest.mark.usefixtures("hasty")
def test_other_arguments_are_shown_before_they_are_approved(place: "Place", connected: Sandbox) -> None:
    agent_calls()
    (waiting,) = json.loads(place.run("approvals", "list", "--json").out)
    terminal = place.terminal("approvals", "edit", waiting["id"], "contact_id=con_000004")
    terminal.see("Approve this? [y/N]")
    assert "id: con_000004" in terminal.seen
    terminal.type("y")
    assert terminal.end() == 0
    done = agent_calls()
    assert "changed the arguments before approving" in done["note"]
    assert [(each.action, each.id) for each in connected.state.commits] == [("delete", "con_000004")]


@pytest.mark.usefixtures("hasty")
def test_a_no_and_a_deed_by_hand_are_told_to_the_agent(place: "Place", connected: Sandbox) -> None:
    agent_calls()
    (first,) = json.loads(place.run("approvals", "--json").out)
    assert place.run("approvals", "deny", first["id"], "--note", "wrong one").code == 0
    error = (agent_calls())["error"]
    assert (error["code"], "wrong one" in error["message"]) == ("denied", True)
    agent_calls(CHANGED)
    (second,) = json.loads(place.run("approvals", "--json").out)
    assert place.run("approvals", "done", second["id"]).code == 0
    assert (agent_calls(CHANGED))["error"]["code"] == "already_done"
    assert connected.state.committed("contact", "delete") == 0
    assert len(json.loads(place.run("approvals", "--all", "--json").out)) == 2
    assert place.run("approvals", "deny", second["id"]).code == 1


@pytest.mark.usefixtures("hasty")
def test_a_yes_needs_somebody_at_a_terminal(place: "Place", connected: Sandbox) -> None:
    agent_calls()
    (waiting,) = json.loads(place.run("approvals", "--json").out)
    ran = place.run("approvals", "approve", waiting["id"], stdin="y\n")
    assert (ran.code, "needs a terminal" in ran.err) == (2, True)
    terminal = place.terminal("approvals", "approve", waiting["id"])
    terminal.see("[y/N]")
    terminal.type("")
    assert terminal.end() == 1
    assert (agent_calls())["error"]["code"] == "approval_required"


async def _bob(id: str, contact: str) -> None:
    """Another person approves the deletion of another contact, which they have looked at."""
    settings = load_settings()
    async with Runtime.open(settings, ["acme"]) as runtime:
        question = await runtime.question("delete_contact", {"contact_id": contact}, because="rule 'pairs'")
        approvals = await open_approvals(runtime.store.database, runtime.store.sealer)
        edit = Edit(question.arguments, question.digest, question.preview)
        await approvals.vote(id, Verdict.APPROVE, approver="bob", channel=Channel.CLI, edit=edit)


PAIRS = '[[policy.rules]]\nname = "pairs"\ntool = "delete_*"\nthen = "ask"\nneeded = 2\nchannels = ["cli"]\n'


@pytest.mark.usefixtures("hasty")
def test_the_second_person_is_shown_what_the_first_one_changed_and_says_yes_to_that(
    place: "Place", connected: Sandbox, rules: Callable[[str], None]
) -> None:
    rules(PAIRS)
    agent_calls()
    (waiting,) = json.loads(place.run("approvals", "--json").out)
    asyncio.run(_bob(waiting["id"], "con_000004"))
    shown = place.run("approvals", "show", waiting["id"]).out
    terminal = place.terminal("approvals", "approve", waiting["id"])
    terminal.see("Approve this? [y/N]")
    for told in (shown, terminal.seen):
        assert "family_name: Dijkstra" in told
        assert "Turing" not in told
    assert "bob approved other arguments" in terminal.seen
    terminal.type("y")
    assert terminal.end() == 0
    agent_calls()
    assert [(each.action, each.id) for each in connected.state.commits] == [("delete", "con_000004")]


@pytest.mark.usefixtures("hasty")
def test_a_yes_to_what_another_person_changed_while_one_was_reading_is_refused(
    place: "Place", connected: Sandbox, rules: Callable[[str], None]
) -> None:
    rules(PAIRS)
    agent_calls()
    (waiting,) = json.loads(place.run("approvals", "--json").out)
    terminal = place.terminal("approvals", "approve", waiting["id"])
    terminal.see("Approve this? [y/N]")
    asyncio.run(_bob(waiting["id"], "con_000004"))
    terminal.type("y")
    terminal.see("is for other arguments by now; look at it again")
    assert terminal.end() == 1
    assert agent_calls()["error"]["code"] == "approval_required"
    assert connected.state.committed("contact", "delete") == 0


@pytest.mark.usefixtures("hasty")
def test_what_is_decided_or_is_for_others_is_refused_before_anybody_reads_it(
    place: "Place", connected: Sandbox, rules: Callable[[str], None]
) -> None:
    agent_calls()
    (waiting,) = json.loads(place.run("approvals", "--json").out)
    assert place.run("approvals", "deny", waiting["id"]).code == 0
    for words in (("approve", waiting["id"]), ("edit", waiting["id"], "contact_id=con_000004")):
        terminal = place.terminal("approvals", *words)
        terminal.see("is denied by")
        assert terminal.end() == 1
        assert "[y/N]" not in terminal.seen
    rules('[[policy.rules]]\nname = "boss"\ntool = "delete_*"\nthen = "ask"\napprovers = ["the boss"]\n')
    agent_calls(CHANGED)
    (others,) = json.loads(place.run("approvals", "--json").out)
    place.patch.setenv("USER", "the boss")
    place.patch.setenv("LOGNAME", "the boss")
    terminal = place.terminal("approvals", "approve", others["id"])
    terminal.see("may not decide this")
    assert terminal.end() == 1
    assert "[y/N]" not in terminal.seen
    assert connected.state.committed("contact", "delete") == 0


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ("contact_id=", "is not a valid name"),
        ("contact_idd=con_000004", "Did you mean contact_id"),
        ("contact_id=con_999999", "not_found"),
        ("con_000004", "is not key=value"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused_in_a_sentence(
    place: "Place", connected: Sandbox, pair: str, said: str
) -> None:
    agent_calls()
    (waiting,) = json.loads(place.run("approvals", "--json").out)
    terminal = place.terminal("approvals", "edit", waiting["id"], pair)
    terminal.see(said)
    assert terminal.end() in {1, 2}
    assert "[y/N]" not in terminal.seen
    assert json.loads(place.run("approvals", "--json").out)[0]["state"] == "pending"


@pytest.mark.usefixtures("hasty")
def test_what_a_terminal_could_obey_or_an_eye_mistake_is_told(place: "Place", connected: Sandbox) -> None:
    alan = connected.state.store.contacts.get("con_000003")
    assert alan is not None
    alan["email"] = "\u0430lan@customer.example\x1b[2J\x1b]0;x\x07\u202e"
    agent_calls()
    (waiting,) = json.loads(place.run("approvals", "--json").out)
    place.run("approvals", "deny", waiting["id"], "--note", "no\x1b[2J\u202e")
    ways = [place.run("approvals", *words).out for words in (("--all",), ("--all", "--json"), ("show", waiting["id"]))]
    for told in ways:
        assert not any(each in told for each in ("\x1b", "\x07", "\u202e")), repr(told)
    assert "Be careful" in ways[2]
    assert "reads as" in ways[2]


def test_nothing_waits_where_nothing_was_asked(place: "Place") -> None:
    assert "Nothing waits" in place.run("approvals").err
    assert place.run("approvals", "show", "nope").code == 1


def test_the_policy_is_shown_and_explained(place: "Place", acme: Sandbox, rules: Callable[[str], None]) -> None:
    assert "asked about once per session" in place.run("policy").out
    rules(
        '[policy]\nwrites = "allow"\n[[policy.rules]]\nname = "big"\ntool = "create_*"\nthen = "ask"\nneeded = 2\n'
        'approvers = ["ada", "bob"]\nwhen = { subject = "longer than 5" }\nduring = "00:00-00:00"\nabove = "0/hour"\n'
        'confidence = 0.5\nexpires = "2h"\nchannels = ["cli"]\n'
    )
    shown = place.run("policy").out
    assert "ask 2 of ada, bob" in shown
    assert "subject longer than 5, during 00:00-00:00, more than 0/hour, confidence below 0.5" in shown
    data = json.loads(place.run("policy", "--json").out)
    assert (data["rules"][0]["expires_seconds"], data["defaults"]["write"]) == (7200.0, "allowed")
    explained = json.loads(place.run("policy", "explain", "acme", "create_ticket", "subject=tea", "--json").out)
    assert explained == {"decision": "allow", "because": "the operator allows writes"}
    told = place.run("policy", "explain", "acme", "delete_contact", "contact_id=c").out
    assert "what cannot be taken back" in told


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("policy = 5", "policy must be a table"),
        ("[policy]\nrule = []", "Did you mean 'rules'"),
        ("[policy]\nwrites = 'maybe'", "must be one of allow, ask, deny"),
        ("[policy]\nrules = 5", "must be a list of tables"),
        ("[policy]\nrules = [5]", "must be a table"),
        ("[[policy.rules]]\nthen = 'ask'", "name must be a text"),
        ("[[policy.rules]]\nname = 'a'", "then is missing"),
        ("[[policy.rules]]\nname = 'a'\nthen = 'ask'\n[[policy.rules]]\nname = 'a'\nthen = 'ask'", "two policy rules"),
        ("[[policy.rules]]\nname = 'a'\nthen = 'ask'\nwhen = 'x'", "must be a table like"),
        ("[[policy.rules]]\nname = 'a'\nthen = 'ask'\nwhen = { x = 'soon' }", "is no condition"),
        ("[[policy.rules]]\nname = 'a'\nthen = 'ask'\nduring = 'noon'", "is no time of the week"),
        ("[[policy.rules]]\nname = 'a'\nthen = 'ask'\nabove = 'often'", "must be a rate like"),
        ("[[policy.rules]]\nname = 'a'\nthen = 'ask'\nexpires = '8d'", "must be a time from"),
        ("[[policy.rules]]\nname = 'a'\nthen = 'ask'\nconfidence = 2", "must be a number from 0 to 1"),
        ("[[policy.rules]]\nname = 'a'\nthen = 'ask'\nneeded = 0", "must be a number of people"),
        ("[[policy.rules]]\nname = 'a'\nthen = 'ask'\napprovers = []", "must be a list of names"),
        ("[[policy.rules]]\nname = 'a'\nthen = 'ask'\nchannels = ['phone']", "must be one of host, console, cli"),
    ],
)
def test_a_policy_that_is_not_understood_is_one_sentence(
    place: "Place", rules: Callable[[str], None], text: str, why: str
) -> None:
    rules(text)
    ran = place.run("policy")
    assert (ran.code, why in ran.err) == (2, True), ran.err


def test_a_project_can_make_the_policy_stricter_and_never_looser(place: "Place", rules: Callable[[str], None]) -> None:
    rules('[[policy.rules]]\nname = "mine"\nthen = "allow"\ntool = "create_ticket"\n')
    place.configure('[[policy.rules]]\nname = "theirs"\nthen = "deny"\ntool = "create_*"\n')
    (first, second) = json.loads(place.run("policy", "--json").out)["rules"]
    assert (first["name"], second["name"]) == ("theirs", "mine")
    for text in ('[[policy.rules]]\nname = "x"\nthen = "allow"\n', '[policy]\nwrites = "allow"\n'):
        place.configure(text)
        assert "a project's file cannot allow anything" in place.run("policy").err
    place.configure("allow_writes = true\n")
    assert "allow_writes cannot be set by a project" in place.run("policy").err
