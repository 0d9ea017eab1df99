"""Results within a budget: what fits is shown, the rest is a resource, and no host pays twice."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from mcp import Client, MCPError, types

from clew.core.connection import Connection
from clew.core.errors import InvalidInputError, NotFoundError
from clew.servers.mcp import build_server
from clew.servers.rendering import fail, succeed
from clew.servers.results import BUDGET_BYTES, KEPT_SECONDS, Spill, project
from clew.servers.runtime import Runtime

pytestmark = pytest.mark.anyio
CALL: Any = SimpleNamespace(connection=Connection("local", "acme", "main"))


def rest_of(spill: Spill, uri: str | None) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    while uri:
        text = spill.read(uri)
        assert text is not None
        assert len(text.encode()) <= BUDGET_BYTES
        parts.append(json.loads(text))
        uri = parts[-1]["next"]
    return parts


def test_a_small_result_is_left_alone() -> None:
    result = {"items": [1, 2]}
    assert Spill().fit(CALL, result) is result


def test_a_long_list_shows_what_fits_and_the_rest_is_read_part_by_part() -> None:
    items = [{"id": number, "text": "é" * 100} for number in range(300)]
    spill = Spill()
    cut = spill.fit(CALL, {"items": items, "next_cursor": "abc"})
    assert len(json.dumps(cut, ensure_ascii=False).encode()) <= BUDGET_BYTES
    assert cut["next_cursor"] == "abc"
    parts = rest_of(spill, cut["partial"]["rest"])
    assert len(parts) == parts[0]["of"] > 3
    assert cut["items"] + [item for part in parts for item in part["items"]] == items
    assert cut["partial"]["says"] == f"{len(cut['items'])} of 300 items are shown"


def test_a_long_text_is_cut_and_can_be_read_whole() -> None:
    result = {"id": 7, "body": 'x"\n' * 20_000, "inner": {"list": list(range(5))}}
    spill = Spill()
    cut = spill.fit(CALL, result)
    assert cut["id"] == 7
    assert cut["body"].endswith("… [60000 characters in all]")
    whole = "".join(part["text"] for part in rest_of(spill, cut["partial"]["rest"]))
    assert json.loads(whole) == result


def test_a_result_that_cannot_be_cut_is_only_named() -> None:
    spill = Spill()
    cut = spill.fit(CALL, {f"key{number}": number for number in range(3000)})
    assert list(cut) == ["partial"]
    assert rest_of(spill, cut["partial"]["rest"])


def test_the_rest_is_there_for_a_time_and_for_nobody_who_guesses() -> None:
    now = [0.0]
    spill = Spill(clock=lambda: now[0])
    uri = spill.fit(CALL, {"items": ["x" * 500] * 100})["partial"]["rest"]
    assert spill.read(uri) is not None
    for wrong in (f"{uri}x", f"{uri}?cursor=99", f"{uri}?cursor=-1", f"{uri}?cursor={'9' * 9}", "file:///etc/passwd"):
        assert spill.read(wrong) is None
    now[0] = KEPT_SECONDS
    assert spill.read(uri) is None
    spill.fit(CALL, {"items": ["x" * 500] * 100})
    assert len(spill._parts) == 1  # pyright: ignore[reportPrivateUsage]


def test_fields_keep_only_what_is_wanted_and_name_what_there_is() -> None:
    result = {"items": [{"id": 1, "name": "a"}, {"id": 2}], "next_cursor": "c"}
    assert project(result, ["name"])["items"] == [{"name": "a"}, {}]
    assert project({"items": []}, ["anything"])["items"] == []
    with pytest.raises(InvalidInputError) as caught:
        project(result, ["nmae"])
    assert caught.value.fields == {"fields": "there is no nmae; there are id, name"}


def test_a_host_that_shows_both_halves_gets_one() -> None:
    whole = succeed({"id": 1}, "claude-code 2.1")
    once = succeed({"id": 1}, "github-copilot-cli 1.0")
    assert (len(whole.content), whole.structured_content) == (1, {"id": 1})
    assert once.structured_content == {"id": 1}
    assert isinstance(once.content[0], types.TextContent)
    assert '"id"' not in once.content[0].text
    error = NotFoundError("it is not there.")
    assert fail(error, "codex").structured_content == {"error": error.as_dict()}
    assert fail(error, "gemini-cli 0.61").structured_content is None


@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_a_host_reads_fields_and_the_rest_over_the_protocol(
    runtime: Runtime, era: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clew.servers.mcp.Spill", lambda: Spill(budget=1300))
    async with Client(build_server(runtime), mode=era) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert "fields" in tools["search_contacts"].input_schema["properties"]
        assert "fields" not in tools["get_contact"].input_schema["properties"]
        some = await client.call_tool("search_contacts", {"text": "books", "fields": ["id"]})
        assert {frozenset(item) for item in some.structured_content["items"]} == {frozenset({"id"})}
        cut = await client.call_tool("search_contacts", {"text": ""})
        Draft202012Validator(tools["search_contacts"].output_schema or {}).validate(cut.structured_content)  # pyright: ignore
        uri = cut.structured_content["partial"]["rest"]
        (contents,) = (await client.read_resource(uri)).contents
        assert isinstance(contents, types.TextResourceContents)
        assert json.loads(contents.text)["items"]
        wrong = await client.call_tool("search_contacts", {"text": "books", "fields": "id"})
        assert wrong.structured_content["error"]["code"] == "invalid_input"
        assert (await client.list_resources()).resources == []
        with pytest.raises(MCPError, match="no such resource"):
            await client.read_resource("clew://results/guessed")


@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_three_tools_find_describe_and_call_all_others_by_the_same_policy(runtime: Runtime, era: str) -> None:
    runtime.discover = True
    async with Client(build_server(runtime), mode=era) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == [
            "call_tool",
            "describe_tool",
            "search_tools",
        ]
        found = (await client.call_tool("search_tools", {"query": "create a ticket"})).structured_content["tools"]
        assert found[0]["name"] == "create_ticket"
        told = (await client.call_tool("describe_tool", {"name": "get_contact"})).structured_content
        assert told["input_schema"]["required"] == ["contact_id"]
        one = {"name": "get_contact", "arguments": {"contact_id": "con_000001"}}
        assert (await client.call_tool("call_tool", one)).structured_content["id"] == "con_000001"
        risky = {"name": "delete_contact", "arguments": {"contact_id": "con_000001"}}
        refused = (await client.call_tool("call_tool", risky)).structured_content["error"]
        assert (refused["code"], refused["outcome"]) == ("approval_required", "not_applied")
        missing = await client.call_tool("call_tool", {"name": "drop_everything"})
        assert missing.structured_content["error"]["code"] == "not_found"
        shapeless = await client.call_tool("call_tool", {"name": "get_contact", "arguments": []})
        assert shapeless.structured_content["error"]["code"] == "invalid_input"
        with pytest.raises(MCPError, match="Unknown tool"):
            await client.call_tool("get_contact", {"contact_id": "con_000001"})
