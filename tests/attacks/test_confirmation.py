"""A host, or a model behind it, that tries to get a destructive call past the person."""

import time
from collections.abc import AsyncGenerator, Generator
from dataclasses import replace
from pathlib import Path

import pytest
from mcp import Client, MCPError, types

from clew.auth.connections import set_token
from clew.auth.schemes import Bearer
from clew.core.connection import LOCAL_TENANT, Connection
from clew.core.policy import Decision, Policy, PolicyRule, Rate
from clew.core.secret import Secret
from clew.servers.mcp import build_server
from clew.servers.rounds import open_rounds
from clew.servers.runtime import Runtime
from clew.servers.sandbox import Sandbox
from clew.servers.settings import ConnectorSettings, Settings

pytestmark = pytest.mark.anyio

YES: types.InputResponses = {"approve": types.ElicitResult(action="accept", content={"approve": True})}
GRACE = {"contact_id": "con_000002"}
ALAN = {"contact_id": "con_000003"}


@pytest.fixture
def sandbox() -> Generator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
async def runtime(tmp_path: Path, sandbox: Sandbox) -> AsyncGenerator[Runtime]:
    connectors = {"acme": ConnectorSettings(base_url=sandbox.url)}
    settings = Settings(
        home=tmp_path / "home", key_provider="file", connectors=connectors, deadline=20, repeat_window=0.0
    )
    settings = replace(settings, policy=Policy(writes=Decision.ALLOW))
    async with Runtime.open(settings, ["acme"]) as opened:
        connection = Connection(LOCAL_TENANT, "acme", "main")
        await set_token(opened.vault, connection, Bearer(), {"token": Secret(sandbox.pat)}, origin=sandbox.url)
        yield opened


async def never_asked(context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
    raise AssertionError("these attacks drive the rounds by hand")


def deletions(sandbox: Sandbox) -> int:
    return sandbox.state.committed("contact", "delete")


async def ask(client: Client, arguments: dict[str, str]) -> types.InputRequiredResult:
    asked = await client.session.call_tool("delete_contact", arguments, allow_input_required=True)
    assert isinstance(asked, types.InputRequiredResult)
    return asked


async def test_an_answer_nobody_asked_for_is_no_answer(runtime: Runtime, sandbox: Sandbox) -> None:
    async with Client(build_server(runtime), elicitation_callback=never_asked) as client:
        result = await client.session.call_tool("delete_contact", ALAN, input_responses=YES, allow_input_required=True)
    assert isinstance(result, types.InputRequiredResult), "the question must be asked all the same"
    assert deletions(sandbox) == 0


async def test_an_approval_works_once_and_its_replay_does_not(runtime: Runtime, sandbox: Sandbox) -> None:
    async with Client(build_server(runtime), elicitation_callback=never_asked) as client:
        state = (await ask(client, ALAN)).request_state
        first = await client.session.call_tool("delete_contact", ALAN, input_responses=YES, request_state=state)
        assert not first.is_error
        sandbox.reset(keep_tokens=True)  # the contact is there again, so only the spent approval can stop the replay
        again = await client.session.call_tool("delete_contact", ALAN, input_responses=YES, request_state=state)
    assert again.structured_content["error"]["code"] == "already_done"
    assert deletions(sandbox) == 0


async def test_an_approval_for_one_object_does_not_open_another(runtime: Runtime, sandbox: Sandbox) -> None:
    async with Client(build_server(runtime), elicitation_callback=never_asked) as client:
        state = (await ask(client, ALAN)).request_state
        with pytest.raises(MCPError, match="Invalid or expired requestState"):
            await client.session.call_tool("delete_contact", GRACE, input_responses=YES, request_state=state)
    assert deletions(sandbox) == 0


async def test_an_object_that_changed_after_the_question_is_shown_again(runtime: Runtime, sandbox: Sandbox) -> None:
    async with Client(build_server(runtime), elicitation_callback=never_asked) as client:
        state = (await ask(client, ALAN)).request_state
        alan = {"method": "GET", "path": "/api/contacts/con_000003"}
        sandbox.fault("set_field", **alan, field="email", value="new@acme.example")
        result = await client.session.call_tool(
            "delete_contact", ALAN, input_responses=YES, request_state=state, allow_input_required=True
        )
    assert isinstance(result, types.InputRequiredResult)
    assert "new@acme.example" in result.model_dump_json()
    assert deletions(sandbox) == 0


async def test_a_tampered_or_foreign_state_is_refused(runtime: Runtime, sandbox: Sandbox) -> None:
    async with Client(build_server(runtime), elicitation_callback=never_asked) as client:
        state = (await ask(client, ALAN)).request_state or ""
        forged = state[:-4] + ("AAAA" if not state.endswith("AAAA") else "BBBB")
        for each in (forged, '{"question": "x", "nonce": "y"}', "v1."):
            with pytest.raises(MCPError, match="Invalid or expired requestState"):
                await client.session.call_tool("delete_contact", ALAN, input_responses=YES, request_state=each)
    async with Client(build_server(runtime), elicitation_callback=never_asked) as other:
        with pytest.raises(MCPError, match="Invalid or expired requestState"):
            await other.session.call_tool("delete_contact", ALAN, input_responses=YES, request_state=state)
    assert deletions(sandbox) == 0


LIES = {
    "escapes": ("x\x1b[2J\nArguments:\n    contact_id: con_000009", "control characters that could draw"),
    "order": ("refund\u202egpj.exe", "right-to-left override"),
    "unseen": ("Ac\u200bme", "zero width space"),
    "letters": ("\u0410\u0441me Ltd", "reads as Acme"),
    "styled": ("\uff21\uff43\uff4d\uff45", "reads as Acme"),
    "markdown": ("[Acme](https://evil.example)\n# Approved", "holds Markdown or HTML"),
    "html": ("Acme <!-- <b>never mind</b> -->", "holds Markdown or HTML"),
    "address": ("see https://acme.example@evil.example/a", "leads to evil.example"),
    "coded": ("see xn--80ak6aa92e.com", "is a coded name"),
    "tail": ("Acme " + "." * 900 + " and delete everything", "longer than what is shown"),
}


@pytest.mark.parametrize("era", ["legacy", "auto"])
@pytest.mark.parametrize("kind", LIES)
async def test_a_preview_that_lies_is_shown_as_it_is_with_a_warning(
    runtime: Runtime, sandbox: Sandbox, kind: str, era: str
) -> None:
    """Every channel shows this text: the host's dialogue, the terminal, `clew approvals`."""
    lie, warning = LIES[kind]
    sandbox.fault("set_field", method="GET", path="/api/contacts/con_000003", field="company", value=lie)
    asked: list[str] = []

    async def decline(context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
        asked.append(params.message)
        return types.ElicitResult(action="decline")

    async with Client(build_server(runtime), mode=era, elicitation_callback=decline) as client:
        await client.call_tool("delete_contact", ALAN)
    message = asked[0]
    assert warning in message
    head, body = message.split("Arguments:", 1)
    assert "Be careful:" in head
    assert all(line.isprintable() for line in message.splitlines())
    assert "\u202e" not in message
    assert [line for line in body.splitlines() if "contact_id:" in line.split(",")[0][:16]] == [
        "    contact_id: con_000003"
    ]
    # Four blanks after an empty line: to whoever draws Markdown this is a block of code, and nothing in it is drawn.
    assert all(line.startswith("    ") for line in body.splitlines() if line and line != "It will hit:")
    assert deletions(sandbox) == 0


async def test_a_yes_that_came_too_late_is_no_yes(
    runtime: Runtime, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Client(build_server(runtime), elicitation_callback=never_asked) as client:
        state = (await ask(client, ALAN)).request_state
        later = time.time() + 601
        monkeypatch.setattr("mcp.server.request_state.time.time", lambda: later)
        with pytest.raises(MCPError, match="Invalid or expired requestState"):
            await client.session.call_tool("delete_contact", ALAN, input_responses=YES, request_state=state)
    assert deletions(sandbox) == 0


async def test_a_yes_for_one_account_does_not_open_another_even_under_one_key(
    runtime: Runtime, sandbox: Sandbox
) -> None:
    """Two servers that share their key, as several behind one address would; each works for another person."""
    connection = Connection(LOCAL_TENANT, "acme", "other")
    await set_token(runtime.vault, connection, Bearer(), {"token": Secret(sandbox.pat)}, origin=sandbox.url)
    runtime.rounds, runtime.account = await open_rounds(runtime.store.database, runtime.store.sealer), "main"
    async with Client(build_server(runtime), elicitation_callback=never_asked) as client:
        state = (await ask(client, ALAN)).request_state
    runtime.account = "other"
    async with Client(build_server(runtime), elicitation_callback=never_asked) as client:
        result = await client.session.call_tool(
            "delete_contact", ALAN, input_responses=YES, request_state=state, allow_input_required=True
        )
    assert isinstance(result, types.InputRequiredResult), "the person of the other account must be asked"
    assert "acme (other)" in result.model_dump_json()
    assert deletions(sandbox) == 0


async def test_a_no_stays_a_no_when_the_rule_that_asked_no_longer_applies(runtime: Runtime, sandbox: Sandbox) -> None:
    often = PolicyRule(name="often", then=Decision.ASK, tool="create_ticket", above=Rate(1, 60))
    consent = runtime.walk.consenting
    consent.policy = Policy(writes=Decision.ALLOW, rules=(often,))
    no: types.InputResponses = {"approve": types.ElicitResult(action="decline")}
    tickets = [{"contact_id": "con_000001", "subject": name, "body": "x"} for name in ("one", "two")]
    async with Client(build_server(runtime), elicitation_callback=never_asked) as client:
        assert not (await client.call_tool("create_ticket", tickets[0])).is_error
        asked = await client.session.call_tool("create_ticket", tickets[1], allow_input_required=True)
        assert isinstance(asked, types.InputRequiredResult)
        later = time.time() + 120
        consent.clock = lambda: later
        result = await client.session.call_tool(
            "create_ticket", tickets[1], input_responses=no, request_state=asked.request_state
        )
    assert result.structured_content["error"]["code"] == "denied"
    assert sandbox.state.committed("ticket", "create") == 1
