"""Slack: what the tools send, and what they make of the answers."""

import base64
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
import respx
from tests.connectors.calling import Calling, Tool
from tests.people import Person

from clew.connectors.slack import slack
from clew.core.api import Api
from clew.core.connector import Effect
from clew.core.deadline import Deadline
from clew.core.errors import CallError, Code, Outcome
from clew.core.exchange import Trail
from clew.core.host import SilentHost

pytestmark = pytest.mark.anyio


TS = "1767225600.000100"
CHANNEL = {"channel": "C1"}
UPLOAD = "https://files.slack.com/upload/v1/CwABAAAA"


@pytest.fixture
def api() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url="https://slack.com/api", assert_all_called=False) as router:
        yield router


@pytest.fixture
def tool(call: Calling) -> Tool:
    async def run(name: str, **arguments: Any) -> dict[str, Any]:
        found: dict[str, Any] = await call(slack, name, arguments)
        return found

    return run


def form(route: respx.Route) -> dict[str, str]:
    request: httpx.Request = route.calls.last.request
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    return dict(parse_qsl(request.content.decode(), strict_parsing=True))


def answer(router: respx.MockRouter, method: str, **body: Any) -> respx.Route:
    return router.post(f"/{method}").respond(json={"ok": True, **body})


def message(**changes: Any) -> dict[str, Any]:
    return {"type": "message", "ts": TS, "user": "U1", "text": "hello", **changes}


def test_every_tool_has_an_effect_a_toolset_and_a_short_description() -> None:
    effects = {name: tool.effect.value for name, tool in slack.tools.items()}
    assert sorted(name for name, effect in effects.items() if effect == "write") == [
        "add_reaction",
        "post_message",
        "reply",
        "update_message",
        "upload_file",
    ]
    assert [name for name, effect in effects.items() if effect == "destructive"] == ["delete_message"]
    assert {tool.toolset for tool in slack.tools.values()} == {"channels", "files", "messages", "users"}
    assert all(len(tool.description) <= 120 for tool in slack.tools.values())


async def test_the_identity_is_the_user_and_the_workspace(call: Calling, api: respx.MockRouter) -> None:
    answer(api, "auth.test", user="ada", team="Analytical Engines")
    asking = Api(call.wire(slack), Deadline.after(5), Trail(), Effect.READ, SilentHost())
    assert slack.identify is not None
    assert await slack.identify(asking) == "ada in Analytical Engines"


async def test_every_request_is_a_form_and_carries_the_token_in_its_header(tool: Tool, api: respx.MockRouter) -> None:
    route = answer(api, "conversations.history", messages=[])
    await tool("read_channel", **CHANNEL)
    assert form(route) == {"channel": "C1", "limit": "15"}
    request = route.calls.last.request
    assert request.headers["authorization"] == "Bearer a-token"
    assert str(request.url) == "https://slack.com/api/conversations.history"


async def test_channels_are_listed_without_what_says_nothing(tool: Tool, api: respx.MockRouter) -> None:
    channels = [
        {"id": "C1", "name": "ops", "is_private": False, "is_member": True, "num_members": 3, "topic": {"value": ""}},
        {"id": "D1", "user": "U2", "is_im": True},
        {"id": "C2", "name": "long", "topic": {"value": "x" * 200}},
    ]
    route = answer(api, "conversations.list", channels=channels, response_metadata={"next_cursor": ""})
    found = await tool("list_channels")
    assert found["items"] == [
        {"id": "C1", "name": "ops", "is_member": True, "num_members": 3},
        {"id": "D1", "user": "U2"},
        {"id": "C2", "name": "long", "topic": "x" * 80 + "…"},
    ]
    assert "next_cursor" not in found
    assert form(route) == {"types": "public_channel,private_channel", "exclude_archived": "true", "limit": "40"}


async def test_the_cursor_of_a_page_leads_to_the_next_one(tool: Tool, api: respx.MockRouter) -> None:
    route = answer(api, "conversations.list", channels=[], response_metadata={"next_cursor": "dGVhbQ=="})
    found = await tool("list_channels", kinds=["im"], archived=True)
    assert found == {"items": [], "next_cursor": "dGVhbQ=="}  # empty, and not the end
    answer(api, "conversations.list", channels=[])
    assert await tool("list_channels", kinds=["im"], archived=True, cursor="dGVhbQ==") == {"items": []}
    assert form(route) == {"types": "im", "exclude_archived": "false", "limit": "40", "cursor": "dGVhbQ=="}


@pytest.mark.parametrize(
    ("name", "method", "arguments", "body"),
    [
        ("list_channels", "conversations.list", {}, {"channels": []}),
        ("list_users", "users.list", {}, {"members": []}),
        ("read_channel", "conversations.history", CHANNEL, {"messages": []}),
        ("read_thread", "conversations.replies", {**CHANNEL, "thread_ts": TS}, {"messages": []}),
    ],
)
async def test_a_cursor_that_leads_to_itself_ends_the_reading(
    tool: Tool, api: respx.MockRouter, name: str, method: str, arguments: dict[str, Any], body: dict[str, Any]
) -> None:
    answer(api, method, **body, response_metadata={"next_cursor": "again"})
    with pytest.raises(CallError) as caught:
        await tool(name, **arguments, cursor="again")
    assert caught.value.code is Code.CONTRACT_CHANGED


async def test_users_are_listed_with_their_real_names(tool: Tool, api: respx.MockRouter) -> None:
    members = [
        {"id": "U1", "name": "ada", "deleted": False, "profile": {"real_name": "Ada Lovelace"}},
        {"id": "U2", "name": "old", "deleted": True, "is_bot": True},
    ]
    answer(api, "users.list", members=members, response_metadata={"next_cursor": "more"})
    assert await tool("list_users") == {
        "items": [
            {"id": "U1", "name": "ada", "real_name": "Ada Lovelace"},
            {"id": "U2", "name": "old", "is_bot": True, "deleted": True},
        ],
        "next_cursor": "more",
    }


async def test_a_user_is_read_with_what_the_profile_says(tool: Tool, api: respx.MockRouter) -> None:
    profile = {"real_name": "Ada Lovelace", "display_name": "", "email": "ada@example.com", "title": "Countess"}
    user = {"id": "U1", "name": "ada", "tz": "Europe/London", "is_admin": True, "is_bot": False, "profile": profile}
    route = answer(api, "users.info", user=user)
    assert await tool("get_user", user="U1") == {
        "id": "U1",
        "name": "ada",
        "real_name": "Ada Lovelace",
        "email": "ada@example.com",
        "title": "Countess",
        "tz": "Europe/London",
        "is_admin": True,
    }
    assert form(route) == {"user": "U1"}


async def test_a_message_shows_its_time_thread_reactions_and_files(tool: Tool, api: respx.MockRouter) -> None:
    full = message(
        thread_ts=TS,
        reply_count=2,
        edited={"user": "U1", "ts": "1767225660.000000"},
        reactions=[{"name": "thumbsup", "count": 3, "users": ["U1"]}],
        files=[{"id": "F1", "name": "plan.txt"}, {"id": "F2", "mode": "tombstone"}],
    )
    joined = message(ts="1767225500.000000", user=None, bot_id="B1", username="deploys", subtype="bot_message")
    answer(api, "conversations.history", messages=[full, joined])
    first, second = (await tool("read_channel", **CHANNEL))["items"]
    assert first == {
        "ts": TS,
        "time": "2026-01-01T00:00:00Z",
        "user": "U1",
        "text": "hello",
        "thread_ts": TS,
        "reply_count": 2,
        "edited": "2026-01-01T00:01:00Z",
        "reactions": ["thumbsup 3"],
        "files": ["F1 plan.txt", "F2"],
    }
    assert (second["user"], second["name"], second["subtype"]) == ("B1", "deploys", "bot_message")


async def test_a_page_of_long_messages_stays_below_ten_kilobytes(tool: Tool, api: respx.MockRouter) -> None:
    reactions = [{"name": "thumbsup", "count": 3}]
    answer(api, "conversations.history", messages=[message(text="x" * 9000, reactions=reactions)] * 15)
    assert len(json.dumps(await tool("read_channel", **CHANNEL))) < 10_000


async def test_a_long_text_is_cut_in_a_list_and_whole_alone(tool: Tool, api: respx.MockRouter) -> None:
    long = message(text="x" * 700, thread_ts=TS)
    answer(api, "conversations.replies", messages=[long])
    (shown,) = (await tool("read_thread", **CHANNEL, thread_ts=TS))["items"]
    assert (len(shown["text"]), shown["text_length"], "thread_ts" in shown) == (501, 700, False)
    alone = await tool("get_message", **CHANNEL, ts=TS)
    assert (alone["text"], "text_length" in alone) == ("x" * 700, False)


@pytest.mark.parametrize("ts", [1767225600.0001, "", "soon", "999999999999.0", None])
async def test_a_message_without_a_valid_ts_is_a_changed_contract(tool: Tool, api: respx.MockRouter, ts: Any) -> None:
    answer(api, "conversations.history", messages=[message(ts=ts)])
    with pytest.raises(CallError) as caught:
        await tool("read_channel", **CHANNEL)
    assert caught.value.code is Code.CONTRACT_CHANGED


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("2026-01-01T00:00:00Z", "1767225600.000000"),
        ("2026-01-01T01:00:00+01:00", "1767225600.000000"),
        ("2026-01-01", "1767225600.000000"),
        (TS, TS),
        ("1767225600", "1767225600"),
    ],
)
async def test_a_moment_may_be_an_iso_time_or_a_ts(tool: Tool, api: respx.MockRouter, given: str, sent: str) -> None:
    route = answer(api, "conversations.history", messages=[])
    await tool("read_channel", **CHANNEL, after=given, before=given)
    assert (form(route)["oldest"], form(route)["latest"]) == (sent, sent)


async def test_a_moment_that_is_none_is_refused_before_anything_is_sent(tool: Tool, api: respx.MockRouter) -> None:
    with pytest.raises(CallError) as caught:
        await tool("read_channel", **CHANNEL, after="yesterday")
    assert (caught.value.code, api.calls.call_count) == (Code.INVALID_INPUT, 0)


async def test_one_message_is_found_among_what_slack_sends_along(tool: Tool, api: respx.MockRouter) -> None:
    parent = message(ts="1767225000.000000", text="parent")
    route = answer(api, "conversations.replies", messages=[parent, message()])
    assert (await tool("get_message", **CHANNEL, ts=TS))["text"] == "hello"
    assert form(route) == {"channel": "C1", "ts": TS, "oldest": TS, "latest": TS, "inclusive": "true", "limit": "15"}


async def test_a_message_that_is_not_there_is_not_found(tool: Tool, api: respx.MockRouter) -> None:
    answer(api, "conversations.replies", messages=[message(ts="1767225000.000000")])
    with pytest.raises(CallError) as caught:
        await tool("get_message", **CHANNEL, ts=TS)
    assert caught.value.code is Code.NOT_FOUND


def hits(page: int, pages: int, count: int = 1) -> dict[str, Any]:
    match = {**message(text="y" * 400), "channel": {"id": "C1", "name": "ops"}, "permalink": "https://a.slack.com/p1"}
    return {"total": 41, "matches": [match] * count, "paging": {"count": 20, "total": 41, "page": page, "pages": pages}}


async def test_a_search_pages_by_number_to_its_end(tool: Tool, api: respx.MockRouter) -> None:
    route = answer(api, "search.messages", messages=hits(1, 2))
    first = await tool("search_messages", query="deploy in:#ops")
    assert (first["total_count"], first["next_cursor"]) == (41, "2")
    assert first["items"] == [
        {
            "channel": "C1",
            "channel_name": "ops",
            "ts": TS,
            "time": "2026-01-01T00:00:00Z",
            "user": "U1",
            "text": "y" * 250 + "…",
            "permalink": "https://a.slack.com/p1",
        }
    ]
    answer(api, "search.messages", messages=hits(2, 2))
    assert "next_cursor" not in await tool("search_messages", query="deploy in:#ops", sort="timestamp", cursor="2")
    assert form(route) == {"query": "deploy in:#ops", "sort": "timestamp", "count": "20", "page": "2"}


async def test_an_empty_page_and_the_hundredth_one_end_a_search(tool: Tool, api: respx.MockRouter) -> None:
    answer(api, "search.messages", messages=hits(1, 5, count=0))
    assert "next_cursor" not in await tool("search_messages", query="x")
    answer(api, "search.messages", messages=hits(100, 200))
    assert "next_cursor" not in await tool("search_messages", query="x", cursor="100")


@pytest.mark.parametrize("cursor", ["1", "101", "x", "\uff12"])
async def test_a_search_refuses_cursors_it_never_gave(tool: Tool, api: respx.MockRouter, cursor: str) -> None:
    with pytest.raises(CallError) as caught:
        await tool("search_messages", query="x", cursor=cursor)
    assert (caught.value.code, api.calls.call_count) == (Code.INVALID_INPUT, 0)


async def test_a_message_is_posted_and_its_place_returned(tool: Tool, api: respx.MockRouter) -> None:
    route = answer(api, "chat.postMessage", channel="C1", ts=TS, message=message())
    assert await tool("post_message", **CHANNEL, text="ünïcode & <@U1>") == {"channel": "C1", "ts": TS}
    assert form(route) == {"channel": "C1", "text": "ünïcode & <@U1>"}


async def test_a_text_that_slack_would_cut_off_is_refused(tool: Tool, api: respx.MockRouter) -> None:
    with pytest.raises(CallError) as caught:
        await tool("post_message", **CHANNEL, text="x" * 40_001)
    assert (caught.value.code, api.calls.call_count) == (Code.INVALID_INPUT, 0)


async def test_a_reply_names_its_thread(tool: Tool, api: respx.MockRouter) -> None:
    made = "1767225700.000000"
    route = answer(api, "chat.postMessage", channel="C1", ts=made, message=message(ts=made, thread_ts=TS))
    found = await tool("reply", **CHANNEL, thread_ts=TS, text="yes")
    assert found == {"channel": "C1", "ts": made, "thread_ts": TS}
    assert form(route) == {"channel": "C1", "thread_ts": TS, "text": "yes"}
    await tool("reply", **CHANNEL, thread_ts=TS, text="yes", broadcast=True)
    assert form(route)["reply_broadcast"] == "true"


async def test_a_ts_that_a_model_turned_into_a_number_is_refused(tool: Tool, api: respx.MockRouter) -> None:
    for wrong in (1767225600.0001, "1767225600", "p1767225600000100"):
        with pytest.raises(CallError) as caught:
            await tool("reply", **CHANNEL, thread_ts=wrong, text="yes")
        assert caught.value.code is Code.INVALID_INPUT
    assert api.calls.call_count == 0


async def test_a_message_is_updated(tool: Tool, api: respx.MockRouter) -> None:
    route = answer(api, "chat.update", channel="C1", ts=TS, text="new")
    assert await tool("update_message", **CHANNEL, ts=TS, text="new") == {"channel": "C1", "ts": TS}
    assert form(route) == {"channel": "C1", "ts": TS, "text": "new"}


@pytest.mark.parametrize(("given", "sent"), [("thumbsup", "thumbsup"), (":wave::skin-tone-2:", "wave::skin-tone-2")])
async def test_a_reaction_is_sent_without_colons(tool: Tool, api: respx.MockRouter, given: str, sent: str) -> None:
    route = answer(api, "reactions.add")
    assert await tool("add_reaction", **CHANNEL, ts=TS, emoji=given) == {"done": True}
    assert form(route) == {"channel": "C1", "timestamp": TS, "name": sent}


async def test_deleting_shows_the_message_first_and_waits_for_a_yes(call: Calling, api: respx.MockRouter) -> None:
    answer(api, "conversations.replies", messages=[message(text="to be deleted")])
    route = answer(api, "chat.delete", channel="C1", ts=TS)
    no, yes = Person(agrees=False), Person(agrees=True)
    with pytest.raises(CallError) as caught:
        await call(slack, "delete_message", {**CHANNEL, "ts": TS}, host=no)
    assert (caught.value.code, route.call_count) == (Code.DENIED, 0)
    assert no.asked[0].preview["text"] == "to be deleted"
    assert await call(slack, "delete_message", {**CHANNEL, "ts": TS}, host=yes) == {"done": True}
    assert form(route) == {"channel": "C1", "ts": TS}


def upload_steps(api: respx.MockRouter, url: str = UPLOAD) -> tuple[respx.Route, respx.Route, respx.Route]:
    asking = answer(api, "files.getUploadURLExternal", upload_url=url, file_id="F1")
    sending = api.post(url).respond(200, text="OK - 5")
    file = {"id": "F1", "title": "Plan", "permalink": "https://a.slack.com/files/F1"}
    return asking, sending, answer(api, "files.completeUploadExternal", files=[file])


async def test_a_file_goes_up_in_three_steps(tool: Tool, api: respx.MockRouter) -> None:
    asking, sending, sharing = upload_steps(api)
    arguments = {
        **CHANNEL,
        "filename": "plan.txt",
        "content": "näh",
        "title": "Plan",
        "comment": "see",
        "thread_ts": TS,
    }
    found = await tool("upload_file", **arguments)
    assert found == {"id": "F1", "title": "Plan", "permalink": "https://a.slack.com/files/F1"}
    assert form(asking) == {"filename": "plan.txt", "length": "4"}  # bytes, not characters
    assert sending.calls.last.request.content == "näh".encode()
    shared = form(sharing)
    assert json.loads(shared.pop("files")) == [{"id": "F1", "title": "Plan"}]
    assert shared == {"channel_id": "C1", "initial_comment": "see", "thread_ts": TS}


async def test_the_upload_host_sees_the_bytes_and_no_credential(tool: Tool, api: respx.MockRouter) -> None:
    _, sending, _ = upload_steps(api)
    content = base64.b64encode(b"\x89PNG\x00").decode()
    await tool("upload_file", **CHANNEL, filename="a.png", content=content, encoding="base64")
    request = sending.calls.last.request
    assert request.content == b"\x89PNG\x00"
    assert "authorization" not in request.headers
    assert "a-token" not in str(request.headers.raw) + str(request.url)


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/upload",
        "https://slack.com.evil.example/upload",
        "https://evilslack.com/upload",
        "http://files.slack.com/upload",
        "https://files.slack.com:8443/upload",
        "https://a@files.slack.com/upload",
        "https://files.slack.com\\@evil.example/upload",
        "https://evil.example\\.slack.com/upload",
        "http://169.254.169.254/latest",
        "file:///etc/passwd",
        "",
        "https://",
    ],
)
async def test_an_upload_address_on_another_host_is_not_used(tool: Tool, api: respx.MockRouter, url: str) -> None:
    answer(api, "files.getUploadURLExternal", upload_url=url, file_id="F1")
    with pytest.raises(CallError) as caught:
        await tool("upload_file", **CHANNEL, filename="a.txt", content="x")
    assert (caught.value.code, caught.value.outcome) == (Code.CONTRACT_CHANGED, Outcome.NOT_APPLIED)
    assert api.calls.call_count == 1


async def test_a_refused_upload_says_nothing_about_our_credentials(tool: Tool, api: respx.MockRouter) -> None:
    _, sending, sharing = upload_steps(api)
    sending.respond(401, text="expired")
    with pytest.raises(CallError) as caught:
        await tool("upload_file", **CHANNEL, filename="a.txt", content="x")
    assert (caught.value.code, caught.value.outcome) == (Code.CONFLICT, Outcome.NOT_APPLIED)
    assert (sending.call_count, sharing.call_count) == (1, 0)


async def test_an_upload_without_an_answer_is_sent_again_and_shared_once(tool: Tool, api: respx.MockRouter) -> None:
    _, sending, sharing = upload_steps(api)
    sending.side_effect = [httpx.ReadTimeout("slow"), httpx.Response(200, text="OK")]
    await tool("upload_file", **CHANNEL, filename="a.txt", content="x")
    assert (sending.call_count, sharing.call_count) == (2, 1)


async def test_a_share_without_an_answer_is_unknown_and_not_repeated(tool: Tool, api: respx.MockRouter) -> None:
    _, _, sharing = upload_steps(api)
    sharing.side_effect = httpx.ReadTimeout("slow")
    with pytest.raises(CallError) as caught:
        await tool("upload_file", **CHANNEL, filename="a.txt", content="x")
    assert (caught.value.outcome, sharing.call_count) == (Outcome.UNKNOWN, 1)


async def test_a_share_that_is_refused_has_changed_nothing(tool: Tool, api: respx.MockRouter) -> None:
    upload_steps(api)
    api.post("/files.completeUploadExternal").respond(json={"ok": False, "error": "channel_not_found"})
    with pytest.raises(CallError) as caught:
        await tool("upload_file", **CHANNEL, filename="a.txt", content="x")
    assert (caught.value.code, caught.value.outcome) == (Code.NOT_FOUND, Outcome.NOT_APPLIED)


@pytest.mark.parametrize("content", ["not base64!", "===="])
async def test_content_that_is_no_base64_is_refused(tool: Tool, api: respx.MockRouter, content: str) -> None:
    with pytest.raises(CallError) as caught:
        await tool("upload_file", **CHANNEL, filename="a.bin", content=content, encoding="base64")
    assert (caught.value.code, api.calls.call_count) == (Code.INVALID_INPUT, 0)
