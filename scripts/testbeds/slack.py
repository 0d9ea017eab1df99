"""emulate's Slack: every tool but the search, which emulate has not, through `clew serve` and the MCP client."""

import contextlib
import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from mcp import Client, types
from mcp.client.stdio import stdio_client

from testbeds.packages import PINNED, script
from testbeds.processes import free_port, plain_environment, serving
from testbeds.report import Report, expect, same
from testbeds.subject import ERAS, Subject, set_up

TOKEN = "xoxb-bed-token"
USERS, MESSAGES = 70, 40
WAYS = tuple(f"{transport}, {era}" for transport in ("stdio", "http") for era in ERAS)
NOT_IN_EMULATE = {"search_messages"}


@contextlib.asynccontextmanager
async def emulated(folder: Path) -> AsyncGenerator[str]:
    """emulate's Slack with users, a channel for each way, and messages in them; yields the address of its API."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [*script("emulate", "dist/index.js"), "start", "--service", "slack", "--port", str(port)]
    command += ["--base-url", url, "--seed", str(_write_seed(folder))]
    async with serving(command, environment=plain_environment(folder), ready=re.compile("Ready"), folder=folder):
        async with httpx.AsyncClient(base_url=url, headers={"authorization": f"Bearer {TOKEN}"}) as client:
            for way in WAYS:
                for number in range(1, MESSAGES + 1):
                    form = {"channel": _channel(way), "text": f"Message {number}"}
                    answer = await client.post("/api/chat.postMessage", data=form)
                    expect(answer.json().get("ok"), f"emulate refused a message: {answer.text}")
        yield f"{url}/api"


def _write_seed(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    users = [{"name": "ada", "real_name": "Ada Lovelace", "email": "ada@example.com"}]
    users += [{"name": f"user{number}"} for number in range(1, USERS)]
    channels = [{"name": _channel(way), "topic": f"over {way}"} for way in WAYS]
    tokens = [{"token": TOKEN, "user": "ada"}]
    seed = folder / "seed.json"
    seed.write_text(json.dumps({"slack": {"users": users, "channels": channels, "tokens": tokens}}), encoding="utf-8")
    return seed


def _channel(way: str) -> str:
    return way.replace(", ", "-")


@dataclass(slots=True)
class Visit:
    """One client on one server, with a person who answers `answer` when asked."""

    client: Client
    name: str
    asked: list[str]
    answer: list[str]
    notes: dict[str, Any] = field(default_factory=dict[str, Any])
    used: set[str] = field(default_factory=set[str])

    async def _send(self, tool: str, arguments: dict[str, Any]) -> tuple[bool, dict[str, Any], str]:
        self.used.add(tool)
        result = await self.client.call_tool(tool, arguments)
        text = "".join(block.text for block in result.content if isinstance(block, types.TextContent))
        return bool(result.is_error), result.structured_content or {}, text

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool; its result, which must stand in both halves."""
        failed, found, text = await self._send(tool, arguments)
        expect(not failed, found or text)
        same(found, json.loads(text))
        return found

    async def refused(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool that must fail; its error, whose message must stand in both halves."""
        failed, found, text = await self._send(tool, arguments)
        expect(failed, f"{tool} did not fail: {found}")
        error: dict[str, Any] = found["error"]
        expect(error["message"] in text and f"code: {error['code']}" in text, text)
        return error

    async def pages(self, tool: str, **arguments: Any) -> tuple[list[dict[str, Any]], int]:
        """All items of a list, and how many pages they came on."""
        page = await self.call(tool, **arguments)
        items, pages = list(page["items"]), 1
        while cursor := page.get("next_cursor"):
            expect(pages < 20, f"{tool} does not come to an end")
            page = await self.call(tool, **arguments, cursor=cursor)
            items, pages = items + page["items"], pages + 1
        return items, pages


@contextlib.asynccontextmanager
async def visit(subject: Subject, url: str, way: str, *, asks: bool = True) -> AsyncGenerator[Visit]:
    """A client that came this way: `stdio` or `http` (to `url`), and the era it asks for. A stdio server that wrote to
    standard error has failed at the end."""
    transport, _, era = way.partition(", ")
    asked: list[str] = []
    answer = ["accept"]

    async def person(context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
        asked.append(params.message)
        action: Any = answer[0]
        return types.ElicitResult(action=action, content={"approve": True} if action == "accept" else None)

    mode: Any = "legacy" if era == "legacy" else "auto"
    with (subject.home / "stderr.txt").open("w+", encoding="utf-8") as said:
        server: Any = url if transport == "http" else stdio_client(subject.stdio("slack"), errlog=said)
        callback = person if asks else None
        async with Client(server, mode=mode, elicitation_callback=callback, read_timeout_seconds=60) as client:
            same(ERAS[era], client.protocol_version)
            yield Visit(client, _channel(way), asked, answer)
        said.seek(0)
        same("", said.read())


async def _lists_tools(at: Visit) -> str:
    tools = (await at.client.list_tools()).tools
    destructive = [tool.name for tool in tools if tool.annotations and tool.annotations.destructive_hint]
    same(["delete_message"], destructive)
    expect(all(tool.output_schema for tool in tools), "a tool has no output schema")
    at.notes["tools"] = {tool.name for tool in tools}
    return f"{len(tools)} tools, {len(destructive)} destructive"


async def _lists_channels(at: Visit) -> str:
    channels = {each["name"]: each for each in (await at.pages("list_channels"))[0]}
    mine = channels[at.name]
    at.notes["channel"] = mine["id"]
    same((True, "over "), (mine["is_member"], mine["topic"][:5]))
    return "the channel, with its topic"


async def _lists_users(at: Visit) -> str:
    users, pages = await at.pages("list_users")
    ids = [each["id"] for each in users]
    same((len(ids), 2), (len(set(ids)), pages))
    ada = next(each for each in users if each["name"] == "ada")
    found = await at.call("get_user", user=ada["id"])
    same(("Ada Lovelace", "ada@example.com"), (found["real_name"], found["email"]))
    at.notes["ada"] = ada["id"]
    return f"{len(ids)} users on {pages} pages, none twice; one read alone"


async def _reads(at: Visit) -> str:
    messages, pages = await at.pages("read_channel", channel=at.notes["channel"])
    texts = [each["text"] for each in messages]
    same([f"Message {number}" for number in range(MESSAGES, 0, -1)], texts)
    same(3, pages)
    same(len(messages), len({each["ts"] for each in messages}))
    return f"{len(texts)} messages on {pages} pages, newest first"


async def _posts(at: Visit) -> str:
    channel = at.notes["channel"]
    made = await at.call("post_message", channel=channel, text="ünïcode ✓ & more")
    read = await at.call("get_message", channel=channel, ts=made["ts"])
    same(("ünïcode ✓ & more", at.notes["ada"]), (read["text"], read["user"]))
    at.notes["ts"] = made["ts"]
    return "reads as written, with its letters beyond ASCII"


async def _replies(at: Visit) -> str:
    channel, ts = at.notes["channel"], at.notes["ts"]
    made = await at.call("reply", channel=channel, thread_ts=ts, text="an answer")
    thread, _ = await at.pages("read_thread", channel=channel, thread_ts=ts)
    same([ts, made["ts"]], [each["ts"] for each in thread])
    same((ts, "an answer", 1), (made["thread_ts"], thread[1]["text"], thread[0]["reply_count"]))
    same("an answer", (await at.call("get_message", channel=channel, ts=made["ts"]))["text"])
    listed = {each["ts"] for each in (await at.call("read_channel", channel=channel))["items"]}
    expect(made["ts"] not in listed, "the reply stands in the channel")
    return "the thread has it, the channel has not"


async def _updates(at: Visit) -> str:
    channel, ts = at.notes["channel"], at.notes["ts"]
    await at.call("update_message", channel=channel, ts=ts, text="changed")
    read = await at.call("get_message", channel=channel, ts=ts)
    expect(read["text"] == "changed" and "edited" in read, read)
    return "the text is new and marked as edited"


async def _reacts(at: Visit) -> str:
    where = {"channel": at.notes["channel"], "ts": at.notes["ts"]}
    await at.call("add_reaction", **where, emoji=":thumbsup:")
    same(["thumbsup 1"], (await at.call("get_message", **where))["reactions"])
    again = await at.refused("add_reaction", **where, emoji="thumbsup")
    same(("already_done", "applied"), (again["code"], again["outcome"]))
    return "counted once; a second one is already_done"


async def _uploads(at: Visit) -> str:
    channel, ts = at.notes["channel"], at.notes["ts"]
    made = await at.call(
        "upload_file", channel=channel, filename="plan.txt", content="näh\n", comment="see", thread_ts=ts
    )
    thread, _ = await at.pages("read_thread", channel=channel, thread_ts=ts)
    same([f"{made['id']} plan.txt"], thread[-1]["files"])
    same("see", thread[-1]["text"])
    missed = await at.refused("upload_file", channel="C404", filename="a.txt", content="x")
    same(("not_found", "not_applied"), (missed["code"], missed["outcome"]))
    return "three steps, then it stands in the thread; to an unknown channel nothing"


async def _declines(at: Visit) -> str:
    where = {"channel": at.notes["channel"], "ts": at.notes["ts"]}
    at.answer[0] = "decline"
    error = await at.refused("delete_message", **where)
    same(("denied", "not_applied"), (error["code"], error["outcome"]))
    same("changed", (await at.call("get_message", **where))["text"])
    return "denied, and the message is still there"


async def _deletes(at: Visit) -> str:
    channel = at.notes["channel"]
    made = await at.call("post_message", channel=channel, text="to be deleted")
    where = {"channel": channel, "ts": made["ts"]}
    at.answer[0] = "accept"
    before = len(at.asked)
    await at.call("delete_message", **where)
    same(before + 1, len(at.asked))
    expect("to be deleted" in at.asked[-1], f"the question shows no preview: {at.asked[-1]}")
    same("not_found", (await at.refused("get_message", **where))["code"])
    return "asked once, with the message's text; then it is gone"


async def _misses(at: Visit) -> str:
    channel = at.notes["channel"]
    for tool, more in (("read_channel", {"channel": "C404"}), ("post_message", {"channel": "C404", "text": "x"})):
        error = await at.refused(tool, **more)
        same(("not_found", "not_applied", "after_fix"), (error["code"], error["outcome"], error["retry"]))
    same("not_found", (await at.refused("get_user", user="U404"))["code"])
    gone = await at.refused("update_message", channel=channel, ts="1.000001", text="x")
    same(("not_found", "not_applied"), (gone["code"], gone["outcome"]))
    return "not_found behind status 200, for reads and for writes"


STORY: Mapping[str, Callable[[Visit], Awaitable[str]]] = {
    "tools/list": _lists_tools,
    "list_channels": _lists_channels,
    "list_users follows the cursors, get_user": _lists_users,
    "read_channel follows the cursors": _reads,
    "post_message is read back by get_message": _posts,
    "reply is read back by read_thread": _replies,
    "update_message is read back": _updates,
    "add_reaction, twice": _reacts,
    "upload_file is read back by read_thread": _uploads,
    "delete_message, the person says no": _declines,
    "delete_message, the person says yes": _deletes,
    "what is not there": _misses,
}


async def check(report: Report, folder: Path) -> None:
    """The whole story over both transports and in both eras."""
    report.versions["emulate"] = PINNED["emulate"]
    async with emulated(folder / "emulate") as base:
        subject = await set_up(folder / "clew", {"slack": base}, {"slack": TOKEN})
        async with subject.http("slack") as served:
            for way in WAYS:
                await _tell(report, subject, served.found[0], way)
            same([], served.lines)


async def _tell(report: Report, subject: Subject, url: str, way: str) -> None:
    async def story() -> str:
        async with visit(subject, url, way) as at:
            for title, act in STORY.items():
                await report.check("slack", way, title, partial(act, at))
            same(at.notes["tools"] - NOT_IN_EMULATE, at.used)
        return f"all tools but search_messages ({len(at.used)}) on one connection; nothing on standard error"

    await report.check("slack", way, "the connection opens and ends", story)
    await report.check("slack", way, "a client that cannot ask a person", partial(_silent, subject, url, way))


async def _silent(subject: Subject, url: str, way: str) -> str:
    async with visit(subject, url, way, asks=False) as at:
        channel = next(each["id"] for each in (await at.call("list_channels"))["items"] if each["name"] == at.name)
        where = {"channel": channel, "ts": (await at.call("read_channel", channel=channel))["items"][0]["ts"]}
        error = await at.refused("delete_message", **where)
        same(("approval_required", "not_applied"), (error["code"], error["outcome"]))
        await at.call("get_message", **where)
    return "approval_required, and the message is still there"
