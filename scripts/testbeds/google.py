"""emulate's Google: a login with PKCE, refreshes, and every tool of Google Calendar through `clew serve`."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
from mcp import Client, types
from mcp.client.stdio import stdio_client

from testbeds.annex import Annex, annexed
from testbeds.packages import PINNED, script
from testbeds.processes import Done, free_port, plain_environment, run, serving
from testbeds.report import Report, expect, same
from testbeds.subject import CLEW, ERAS, Subject, write_settings

NAME, PERSON = "google_calendar", "ada@example.com"
TEAM = "team@group.calendar.google.com"
EVENTS = 30
SCOPE = "https://www.googleapis.com/auth/"
WAYS = tuple(f"stdio, {era}" for era in ERAS)
DAY = "2091-03-19"


@contextlib.asynccontextmanager
async def google(folder: Path) -> AsyncGenerator[str]:
    """emulate's Google with a person, two calendars and `EVENTS` events; yields its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [*script("emulate", "dist/index.js"), "start", "--service", "google", "--port", str(port)]
    command += ["--base-url", url, "--seed", str(_write_seed(folder))]
    async with serving(command, environment=plain_environment(folder), ready=re.compile("Ready"), folder=folder):
        yield url


def _write_seed(folder: Path) -> Path:
    calendars = [
        {"id": PERSON, "summary": "Ada", "primary": True, "time_zone": "Europe/Berlin"},
        {"id": TEAM, "summary": "Team", "time_zone": "Europe/Berlin"},
    ]
    events = [
        {
            "id": f"seeded{number:02}",
            "calendar_id": PERSON,
            "summary": f"Event {number}",
            "start_date_time": f"2091-01-{number:02}T09:00:00Z",
            "end_date_time": f"2091-01-{number:02}T10:00:00Z",
        }
        for number in range(1, EVENTS + 1)
    ]
    busy = [(PERSON, "08:00", "09:00"), (TEAM, "08:30", "10:00")]  # 9 to 10 and 9:30 to 11 in Berlin
    events += [
        {
            "id": f"busy{number}",
            "calendar_id": calendar,
            "summary": "Busy",
            "start_date_time": f"{DAY}T{begins}:00Z",
            "end_date_time": f"{DAY}T{ends}:00Z",
        }
        for number, (calendar, begins, ends) in enumerate(busy)
    ]
    seed = {"google": {"users": [{"email": PERSON, "name": "Ada"}], "calendars": calendars, "calendar_events": events}}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "seed.json"
    path.write_text(json.dumps(seed), encoding="utf-8")
    return path


@dataclass(slots=True)
class Visit:
    """One client on one server, with a person who answers `answer` when asked."""

    client: Client
    annex: Annex
    asked: list[str]
    answer: list[str]
    notes: dict[str, Any] = field(default_factory=dict[str, Any])
    used: set[str] = field(default_factory=set[str])

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool; its result, which must stand in both halves."""
        result = await self._send(tool, arguments)
        found: dict[str, Any] = result.structured_content or {}
        expect(not result.is_error, found or _text(result))
        same(found, json.loads(_text(result)))
        return found

    async def refused(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool that must fail; its error."""
        result = await self._send(tool, arguments)
        expect(result.is_error, f"{tool} did not fail: {result.structured_content}")
        error: dict[str, Any] = (result.structured_content or {})["error"]
        return error

    async def _send(self, tool: str, arguments: dict[str, Any]) -> types.CallToolResult:
        self.used.add(tool)
        return await self.client.call_tool(tool, arguments)


def _text(result: types.CallToolResult) -> str:
    return "".join(block.text for block in result.content if isinstance(block, types.TextContent))


@contextlib.asynccontextmanager
async def visit(subject: Subject, annex: Annex, way: str, *words: str) -> AsyncGenerator[Visit]:
    """A client that starts `clew serve google_calendar` and asks for one era."""
    era = way.partition(", ")[2]
    asked: list[str] = []
    answer = ["accept"]

    async def person(context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
        asked.append(params.message)
        action: Any = answer[0]
        return types.ElicitResult(action=action, content={"approve": True} if action == "accept" else None)

    mode: Any = "legacy" if era == "legacy" else "auto"
    with (subject.home / "stderr.txt").open("w+", encoding="utf-8") as said:
        server: Any = stdio_client(subject.stdio(NAME, *words), errlog=said)
        async with Client(server, mode=mode, elicitation_callback=person, read_timeout_seconds=60) as client:
            same(ERAS[era], client.protocol_version)
            yield Visit(client, annex, asked, answer)
        said.seek(0)
        same("", said.read())


async def _clew(subject: Subject, *words: str, given: str = "") -> Done:
    done = await run([CLEW, *words], environment=subject.environment, folder=subject.home, given=given)
    expect(done.code == 0, f"clew {' '.join(words)} ended with {done.code}: {done.error.strip()}")
    return done


async def _log_in(subject: Subject, issuer: str, *words: str) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """`clew auth login` with a person who picks their name; its answer, and what the address to open asked for."""
    command = [CLEW, "auth", "login", NAME, "--issuer", issuer, "--no-browser", "--json", *words]
    process = await asyncio.create_subprocess_exec(
        *command,
        env=subject.environment,
        cwd=subject.home,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(60):
            said, address = "", ""
            while not address and (line := await process.stderr.readline()):
                said += line.decode()
                address = line.decode().strip() if line.startswith(b"http") else ""
            expect(address, said)
            await _consent(address)
            output, error = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    expect(process.returncode == 0, said + error.decode())
    found: dict[str, Any] = json.loads(output)
    return found, parse_qs(urlsplit(address).query)


async def _consent(address: str) -> None:
    """Open the login page, press the button with the person's name, and end where the browser ends."""
    async with httpx.AsyncClient(follow_redirects=True, timeout=20) as browser:
        page = await browser.get(address)
        forms = re.findall(r"<form[^>]*action=\"([^\"]+)\"[^>]*>(.*?)</form>", page.text, re.DOTALL)
        filled = [(action, fields) for action, text in forms if (fields := _fields(text)).get("email") == PERSON]
        expect(filled, f"the login page ({page.status_code}) does not offer {PERSON}")
        action, fields = filled[0]
        ended = await browser.post(urljoin(str(page.url), unescape(action)), data=fields)
        expect(
            ended.status_code == 200 and ended.url.host == "127.0.0.1", f"the browser ended with {ended.status_code}"
        )


def _fields(form: str) -> dict[str, str]:
    inputs = re.findall(r"<input[^>]*>", form)
    return {_attribute(each, "name"): _attribute(each, "value") for each in inputs}


def _attribute(tag: str, name: str) -> str:
    found = re.search(rf"\b{name}=\"([^\"]*)\"", tag)
    return unescape(found[1]) if found else ""


async def _logs_in(subject: Subject, issuer: str) -> str:
    found, asked = await _log_in(subject, issuer)
    same((PERSON, PERSON, []), (found["account"], found["identity"], found["missing"]))
    same((["S256"], ["offline"], ["consent"]), tuple(asked[n] for n in _LEGS))
    expect(len(asked["code_challenge"][0]) == 43, asked)
    wanted = ("userinfo.email", "calendar.calendarlist.readonly", "calendar.events", "calendar.freebusy")
    same([f"{SCOPE}{name}" for name in wanted], asked["scope"][0].split())
    return f"PKCE S256, offline, consent; account and identity {PERSON}; 4 scopes for 8 tools"


_LEGS = ("code_challenge_method", "access_type", "prompt")


async def _knows_account(subject: Subject) -> str:
    (row,) = json.loads((await _clew(subject, "auth", "status", "--check", "--json")).output)
    same(("ready", PERSON, []), (row["state"], row["identity"], list(row["missing"])))
    return "ready, and the provider says whose it is"


async def _refreshes(subject: Subject, annex: Annex, way: str) -> str:
    for _ in range(2):  # the same refresh token works again: it does not come with the answer
        await _clew(subject, "auth", "refresh", NAME, "--account", PERSON)
    async with visit(subject, annex, way, "--account", PERSON) as at:
        same(PERSON, (await at.call("list_calendars"))["items"][0]["id"])  # an unknown token gets another person's
    return "twice with the same refresh token; the new access token is used"


async def _grants_less(subject: Subject, issuer: str, annex: Annex, way: str) -> str:
    scopes = f"{SCOPE}userinfo.email,{SCOPE}calendar.calendarlist.readonly"
    await _log_in(subject, issuer, "--account", "narrow", "--scopes", scopes)
    async with visit(subject, annex, way, "--account", "narrow") as at:
        await at.call("list_calendars")
        before = len(annex.seen)
        error = await at.refused("create_event", title="x", start=f"{DAY}T10:00:00Z", end=f"{DAY}T11:00:00Z")
        same(("permission", before), (error["code"], len(annex.seen)))
        words = ("clew auth login google_calendar --account narrow --scopes", f"{SCOPE}calendar.events")
        expect(all(word in error["next"] for word in words), error["next"])
    return "list_calendars works; create_event: permission with the command, nothing sent"


async def _logs_out(subject: Subject) -> str:
    done = await _clew(subject, "auth", "logout", NAME, "--account", PERSON, "--json")
    expect('"revoked"' in done.output, done.output)
    return "revoked at the provider, forgotten here"


async def _lists(at: Visit) -> str:
    tools = (await at.client.list_tools()).tools
    at.notes["tools"] = {tool.name for tool in tools}
    destructive = [tool.name for tool in tools if tool.annotations and tool.annotations.destructive_hint]
    same(["delete_event"], destructive)
    return f"{len(tools)} tools, 1 destructive"


async def _calendars(at: Visit) -> str:
    found = (await at.call("list_calendars"))["items"]
    same([(PERSON, True), (TEAM, None)], [(each["id"], each.get("primary")) for each in found])
    same({"owner"}, {each["access"] for each in found})
    return "2, the own one first"


async def _pages(at: Visit) -> str:
    window = {"start": "2091-01-01T00:00:00Z", "end": "2091-02-01T00:00:00Z"}
    page = await at.call("list_events", **window)
    found, pages = list(page["items"]), 1
    while cursor := page.get("next_cursor"):
        page = await at.call("list_events", **window, cursor=cursor)
        found, pages = found + page["items"], pages + 1
        expect(pages < 9, "list_events does not come to an end")
    same([f"seeded{number:02}" for number in range(1, EVENTS + 1)], [each["id"] for each in found])
    same(2, pages)
    return f"{len(found)} events on {pages} pages, by time, none twice"


async def _finds_time(at: Visit) -> str:
    search = {"start": f"{DAY}T00:00:00+01:00", "end": f"{DAY}T23:00:00+01:00", "time_zone": "Europe/Berlin"}
    found = await at.call("find_free_time", **search, hours="09:00-12:00", calendars=["primary", TEAM], minutes=30)
    same(
        [(f"{DAY}T11:00:00+01:00", f"{DAY}T12:00:00+01:00")], [(each["start"], each["end"]) for each in found["slots"]]
    )
    error = await at.refused("find_free_time", **search, calendars=["primary", "eve@example.com"])
    same(("not_found", ["eve@example.com"]), (error["code"], list(error["fields"])))
    return "the gap that both calendars share; an unknown calendar is an error, not free"


async def _creates(at: Visit) -> str:
    times = {"start": "2091-05-02T09:00:00", "end": "2091-05-02T10:30:00", "time_zone": "Europe/Berlin"}
    made = await at.call("create_event", title="Ünïcode ✓", location="Room 4", **times)
    at.notes["event"] = made["id"]
    read = await at.call("get_event", event_id=made["id"])
    same(("Ünïcode ✓", "Room 4", times["start"]), (read["title"], read["location"], read["start"]))
    day = await at.call("create_event", title="Fair", start="2091-06-02", end="2091-06-04")
    same((True, "2091-06-02", "2091-06-04"), (day["all_day"], day["start"], day["end"]))
    window = {"start": "2091-06-01T00:00:00Z", "end": "2091-06-30T00:00:00Z"}
    expect(day["id"] in [each["id"] for each in (await at.call("list_events", **window))["items"]], "not listed")
    return "timed in a zone and all-day; both read back"


async def _mails(at: Visit) -> str:
    invited = {"title": "Lunch", "start": "2091-07-01T12:00:00Z", "end": "2091-07-01T13:00:00Z", "send_updates": "all"}
    at.answer[0] = "decline"
    before = len(at.annex.seen)
    error = await at.refused("create_event", **invited, guests=["grace@example.com"])
    same(("denied", before), (error["code"], len(at.annex.seen)))
    expect("grace@example.com" in at.asked[-1] and "send_updates: all" in at.asked[-1], at.asked[-1])
    at.answer[0] = "accept"
    made = await at.call("create_event", **invited, guests=["grace@example.com"])
    same(("all", 1), (made["mailed"], made["guests"]))
    expect("sendUpdates=all" in at.annex.seen[-1][2], at.annex.seen[-1])
    return "a no: nothing was sent; a yes: sendUpdates=all"


async def _updates(at: Visit) -> str:
    event = await at.call("get_event", event_id=at.notes["event"])
    saved = await at.call("update_event", event_id=event["id"], etag=event["etag"], title="Renamed")
    same("Renamed", (await at.call("get_event", event_id=event["id"]))["title"])
    error = await at.refused("update_event", event_id=event["id"], etag=event["etag"], title="Late")
    same(("conflict", "not_applied"), (error["code"], error["outcome"]))
    at.notes["etag"] = saved["etag"]
    return "renamed; with the etag from before: conflict"


async def _deletes(at: Visit) -> str:
    target = {"event_id": at.notes["event"], "etag": at.notes["etag"]}
    same("Renamed", (await at.call("preview_deletion", **target))["title"])
    at.answer[0] = "decline"
    same("denied", (await at.refused("delete_event", **target))["code"])
    same("Renamed", (await at.call("get_event", event_id=at.notes["event"]))["title"])
    at.answer[0] = "accept"
    before = len(at.asked)
    await at.call("delete_event", **target)
    same(before + 1, len(at.asked))
    expect("Renamed" in at.asked[-1] and "goes to nobody" in at.asked[-1], at.asked[-1])
    same("not_found", (await at.refused("get_event", event_id=at.notes["event"]))["code"])
    return "a no: it is still there; a yes: asked once, with its title and who gets mail; then it is gone"


async def _refuses(at: Visit) -> str:
    before = len(at.annex.seen)
    past = await at.refused("create_event", title="x", start="2020-01-01T09:00:00Z", end="2020-01-01T10:00:00Z")
    turned = await at.refused("list_events", start="2091-02-01T00:00:00Z", end="2091-01-01T00:00:00Z")
    same(("invalid_input", "invalid_input", before), (past["code"], turned["code"], len(at.annex.seen)))
    missing = await at.refused("list_events", calendar_id="none", start=f"{DAY}T00:00:00Z", end="2091-12-01T00:00:00Z")
    same("not_found", missing["code"])
    return "past and inverted times: invalid_input, nothing sent; an unknown calendar: not_found"


STORY: Mapping[str, Callable[[Visit], Awaitable[str]]] = {
    "tools/list": _lists,
    "list_calendars": _calendars,
    "list_events follows page tokens": _pages,
    "find_free_time over two calendars": _finds_time,
    "create_event is read back": _creates,
    "create_event with mail to guests, no and yes": _mails,
    "update_event, guarded by the etag (annex)": _updates,
    "delete_event, no and yes (annex)": _deletes,
    "wrong times, unknown calendars": _refuses,
}


async def check(report: Report, folder: Path) -> None:
    """A login, the whole story in both eras, refreshes, a narrow login, and the end of the grant."""
    report.versions["emulate"] = PINNED["emulate"]
    async with google(folder / "emulate") as issuer:
        with annexed(issuer) as annex:
            subject = write_settings(folder / "clew", {NAME: annex.url})
            await _clew(subject, "auth", "apps", "set", NAME, "--client-id", "bed", given="bed-secret\n")
            first = WAYS[0]
            await report.check("google", first, "clew auth login", partial(_logs_in, subject, issuer))
            await report.check("google", first, "clew auth status --check", partial(_knows_account, subject))
            for way in WAYS:
                await _tell(report, subject, annex, way)
            refreshed = partial(_refreshes, subject, annex, first)
            await report.check("google", first, "clew auth refresh", refreshed)
            narrow = partial(_grants_less, subject, issuer, annex, first)
            await report.check("google", first, "a login that grants less", narrow)
            await report.check("google", first, "clew auth logout", partial(_logs_out, subject))


async def _tell(report: Report, subject: Subject, annex: Annex, way: str) -> None:
    async def story() -> str:
        async with visit(subject, annex, way) as at:
            for title, act in STORY.items():
                await report.check("google", way, title, partial(act, at))
            same(at.notes["tools"], at.used)
        return f"all {len(at.used)} tools were called, on one connection; nothing on standard error"

    await report.check("google", way, "the connection opens and ends", story)
