"""What a host sees, through the official client in memory, in both protocol eras."""

import json
from typing import Any

import anyio
import pytest
from jsonschema import Draft202012Validator
from mcp import Client, MCPError, types
from mcp.client.session import ElicitationFnT

from clew.auth.mutual import CertificateTransport
from clew.core.connector import Connector
from clew.core.policy import Policy
from clew.core.pool import SlotTransport
from clew.servers.mcp import build_server
from clew.servers.offering import Bound, select_tools
from clew.servers.runtime import Runtime
from clew.servers.sandbox import Sandbox
from clew.servers.settings import Settings

pytestmark = pytest.mark.anyio
both_eras = pytest.mark.parametrize("era", ["legacy", "auto"])


def answering(action: str, content: dict[str, Any] | None, asked: list[str]) -> ElicitationFnT:
    async def answer(context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
        asked.append(params.message)
        return types.ElicitResult.model_validate({"action": action, "content": content})

    return answer


def assert_fits(value: object, tool: types.Tool) -> None:
    faults: list[object] = list(Draft202012Validator(tool.output_schema or {}).iter_errors(value))  # pyright: ignore
    assert faults == []


def text_of(result: types.CallToolResult) -> str:
    assert isinstance(result.content[0], types.TextContent)
    return result.content[0].text


@both_eras
async def test_tools_are_listed_on_one_page_in_order_with_hints_and_schemas(runtime: Runtime, era: str) -> None:
    async with Client(build_server(runtime), mode=era) as client:
        listed = await client.list_tools()
    names = [tool.name for tool in listed.tools]
    assert names == sorted(names)
    assert listed.next_cursor is None
    hints = {tool.name: tool.annotations for tool in listed.tools}
    delete, search, create = hints["delete_contact"], hints["search_contacts"], hints["create_ticket"]
    kinds = [(each.read_only_hint, each.destructive_hint) for each in (delete, search, create) if each]
    assert kinds == [(False, True), (True, False), (False, False)]
    for tool in listed.tools:
        Draft202012Validator.check_schema(tool.input_schema)
        Draft202012Validator.check_schema(tool.output_schema or {})
        assert '"$ref"' not in json.dumps([tool.input_schema, tool.output_schema])


@both_eras
async def test_a_result_says_everything_in_each_half_and_fits_its_schema(runtime: Runtime, era: str) -> None:
    async with Client(build_server(runtime), mode=era) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        result = await client.call_tool("search_contacts", {"text": "books"})
    assert not result.is_error
    assert json.loads(text_of(result)) == result.structured_content
    assert_fits(result.structured_content, tools["search_contacts"])


@both_eras
async def test_an_error_keeps_its_message_code_and_next_step_in_each_half(runtime: Runtime, era: str) -> None:
    async with Client(build_server(runtime), mode=era) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        result = await client.call_tool("get_contact", {"contact_id": "con_999999"})
    assert result.is_error
    error = result.structured_content["error"]
    # Some hosts check errors against the output schema as well, and hide the error when it does not fit.
    assert_fits(result.structured_content, tools["get_contact"])
    assert error["code"] == "not_found"
    assert error["outcome"] == "not_applied"
    for fact in (error["message"], error["next"], f"code: {error['code']}", error["reference"]):
        assert fact in text_of(result)


@both_eras
async def test_arguments_that_do_not_fit_are_refused_by_field_before_anything_is_sent(
    runtime: Runtime, sandbox: Sandbox, era: str
) -> None:
    async with Client(build_server(runtime), mode=era) as client:
        result = await client.call_tool("create_ticket", {"subject": 5, "colour": "red"})
    fields = result.structured_content["error"]["fields"]
    assert "subject" in fields
    assert "colour" in fields["arguments"]
    assert sandbox.state.requests.total() == 0


@both_eras
async def test_an_unknown_tool_is_a_protocol_error(runtime: Runtime, era: str) -> None:
    async with Client(build_server(runtime), mode=era) as client:
        with pytest.raises(MCPError, match="Unknown tool: drop_everything"):
            await client.call_tool("drop_everything", {})


@both_eras
async def test_a_person_who_agrees_lets_the_destructive_tool_run_once(
    runtime: Runtime, sandbox: Sandbox, era: str
) -> None:
    asked: list[str] = []
    agree = answering("accept", {"approve": True}, asked)
    async with Client(build_server(runtime), mode=era, elicitation_callback=agree) as client:
        result = await client.call_tool("delete_contact", {"contact_id": "con_000003"})
    assert result.structured_content == {"done": True}
    assert len(asked) == 1
    assert "turing3@customer.example" in asked[0], "the person must see the object as we fetched it"
    assert sandbox.state.committed("contact", "delete") == 1


@both_eras
@pytest.mark.parametrize(
    ("action", "content", "code"),
    [
        ("decline", None, "denied"),
        ("cancel", None, "approval_required"),
        ("accept", {"approve": False}, "denied"),
        ("accept", None, "denied"),
        ("accept", {"approve": "yes"}, "denied"),
        ("accept", {"something": True}, "denied"),
    ],
)
async def test_anything_but_a_clear_yes_is_a_no(
    runtime: Runtime, sandbox: Sandbox, era: str, action: str, content: dict[str, Any] | None, code: str
) -> None:
    callback = answering(action, content, [])
    async with Client(build_server(runtime), mode=era, elicitation_callback=callback) as client:
        result = await client.call_tool("delete_contact", {"contact_id": "con_000003"})
    assert result.structured_content["error"]["code"] == code
    assert sandbox.state.committed("contact", "delete") == 0


@both_eras
async def test_a_host_that_cannot_ask_gets_a_refusal_with_the_command_to_run(
    runtime: Runtime, sandbox: Sandbox, era: str
) -> None:
    async with Client(build_server(runtime), mode=era) as client:
        result = await client.call_tool("delete_contact", {"contact_id": "con_000003"})
    error = result.structured_content["error"]
    assert error["code"] == "approval_required"
    assert "clew approvals show" in error["next"]
    assert sandbox.state.committed("contact", "delete") == 0


async def test_read_only_offers_reads_and_nothing_else(settings: Settings) -> None:
    async with Runtime.open(settings, ["acme"], policy=Policy(read_only=True)) as runtime:
        assert set(runtime.tools) == {"search_contacts", "get_contact", "list_tickets", "find_payment"}


async def test_tools_can_be_chosen_by_name_and_toolset_and_are_prefixed_among_several(runtime: Runtime) -> None:
    (acme,) = runtime.connectors
    other = Connector("other", base_url="https://api.example")
    chosen = select_tools([acme, other], policy=Policy(), only=["tickets", "get_contact"])
    assert set(chosen) == {
        "acme_list_tickets",
        "acme_create_ticket",
        "acme_add_comment",
        "acme_close_ticket",
        "acme_get_contact",
    }
    assert set(select_tools([acme], policy=Policy(), only=["acme_contacts"])) >= {"search_contacts"}


async def test_a_missing_login_is_a_tool_result_with_the_command(settings: Settings) -> None:
    async with Runtime.open(settings, ["acme"]) as runtime, Client(build_server(runtime)) as client:
        result = await client.call_tool("search_contacts", {})
    error = result.structured_content["error"]
    assert error["code"] == "auth_revoked"
    assert "clew auth" in error["next"]


async def test_an_exception_inside_a_tool_never_reaches_the_host_in_words(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    broken = Connector("broken", base_url="https://api.example")

    @broken.read
    async def fail_badly(api: object) -> None:
        """Fail."""
        raise RuntimeError("canary-3f1c")

    runtime.tools = {"fail_badly": Bound("fail_badly", broken, broken.tools["fail_badly"])}
    for era in ("legacy", "auto"):
        async with Client(build_server(runtime), mode=era) as client:
            result = await client.call_tool("fail_badly", {})
        assert result.structured_content["error"]["code"] == "internal"
        assert "canary-3f1c" not in result.model_dump_json()
    assert "canary-3f1c" in caplog.text


async def test_a_cancelled_call_ends_the_upstream_request(runtime: Runtime, sandbox: Sandbox) -> None:
    sandbox.fault("slow", seconds=None, when="before")
    async with Client(build_server(runtime)) as client:
        with anyio.move_on_after(10):
            async with anyio.create_task_group() as group:
                group.start_soon(client.call_tool, "search_contacts")
                await sandbox.wait_until(lambda: sandbox.state.requests["GET /api/contacts"] == 1)
                group.cancel_scope.cancel()
    assert runtime.wires
    outer: Any = vars(runtime.client)["_transport"]
    assert isinstance(outer, CertificateTransport)
    transport = outer.inner
    assert isinstance(transport, SlotTransport)
    assert transport.busy == 0
