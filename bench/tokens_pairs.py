"""Which servers are held against each other, on which upstream, and what the five commonest tasks call."""

import base64
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from bench.token_sites import slack
from bench.tokens_client import APP, node
from bench.tokens_upstream import Site

TOKEN = "bench-token"
NOTE = (
    "The export stops after the first page when a filter is set. We saw it with the weekly report of the finance team:"
    " 312 rows were expected, 100 came, and no error was shown.\n\n1. Open the report and choose a filter.\n2. Press"
    " Export.\n3. Count the lines of the file.\n\nExpected: all rows. It worked in the version before, and without a"
    " filter it works still. The log says `cursor ignored` once for every export."
)

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}

Known = dict[str, Any]
Calls = Sequence[tuple[str, dict[str, Any]]]
Tasks = Sequence[tuple[str, Calls, Calls]]
"""Of each task: what it is, their calls for it, ours."""


async def _seeded(client: httpx.AsyncClient) -> Known:
    return {}


@dataclass(frozen=True)
class Pair:
    """A connector, its peer, and an upstream for both."""

    connector: str
    peer: str
    program: Sequence[str]
    environment: Mapping[str, str]
    hosts: Sequence[str]
    base: str
    """Where our connector's paths begin upstream."""
    tasks: Callable[[Known], Tasks]
    seed: Mapping[str, Any] = field(default_factory=dict[str, Any])
    fill: Callable[[httpx.AsyncClient], Awaitable[Known]] = _seeded
    service: str = ""
    """Its name in emulate."""
    beside: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What emulate lacks: answers by path."""
    complete: Callable[[Any], Any] | None = None
    """Adds to an answer of emulate's what the provider's has besides."""
    site: Callable[[], tuple[Site, Known]] | None = None
    """An upstream of our own, where emulate has none; and what the tasks need to know of it."""
    scopes: Sequence[str] = ()
    """Of a connector that knows OAuth alone."""
    files: Mapping[str, str] = field(default_factory=dict[str, str])


async def _fill_github(client: httpx.AsyncClient) -> Known:
    async def send(method: str, path: str, body: Any) -> Any:
        answer = await client.request(method, f"/repos/ada/reports{path}", json=body)
        answer.raise_for_status()
        return answer.json()

    for number in range(1, 13):
        body = {"title": f"Export stops after page {number}", "body": NOTE, "labels": ["bug", "export"]}
        await send("POST", "/issues", {**body, "assignees": ["ada"]})
    text = "\n".join(f'    "{number}": report(rows={number}, pages=True),' for number in range(120))
    content = base64.b64encode(f"REPORTS = {{\n{text}\n}}\n".encode()).decode()
    await send("PUT", "/contents/src/reports.py", {"message": "Add reports", "content": content, "branch": "main"})
    return {}


def _github(known: Known) -> Tasks:
    repo = {"owner": "ada", "repo": "reports"}
    query = "repo:ada/reports is:open export"
    made = {**repo, "title": "Export loses its filter", "body": NOTE, "labels": ["bug"]}
    return (
        ("find an issue", [("search_issues", {"q": query})], [("search_issues", {"query": query})]),
        ("read it", [("get_issue", {**repo, "issue_number": 3})], [("get_issue", {**repo, "number": 3})]),
        ("open one", [("create_issue", made)], [("create_issue", {**made, "request_id": "one"})]),
        (
            "comment",
            [("add_issue_comment", {**repo, "issue_number": 3, "body": NOTE})],
            [("add_comment", {**repo, "number": 3, "body": NOTE, "request_id": "two"})],
        ),
        (
            "read a file",
            [("get_file_contents", {**repo, "path": "src/reports.py"})],
            [("get_file", {**repo, "path": "src/reports.py"})],
        ),
    )


CHANNELS, MESSAGES, REPLIES = 15, 20, 8


async def _slack_call(client: httpx.AsyncClient, method: str, **form: Any) -> Any:
    answer = (await client.post(f"/api/{method}", data=form)).json()
    if not answer.get("ok"):
        raise LookupError(f"{method}: {answer}")
    return answer


async def _fill_slack(client: httpx.AsyncClient) -> Known:
    found = await _slack_call(client, "conversations.list", limit="100")
    channel = next(each["id"] for each in found["channels"] if each["name"] == "team-1")
    thread = ""
    for number in range(MESSAGES):
        text = f"{number}: {NOTE[:200]} <https://example.com/reports/{number}|Report {number}>"
        thread = (await _slack_call(client, "chat.postMessage", channel=channel, text=text))["ts"]
    for number in range(REPLIES):
        await _slack_call(client, "chat.postMessage", channel=channel, thread_ts=thread, text=f"{number}: {NOTE[:150]}")
    return {"channel": channel, "thread": thread}


def _slack(known: Known) -> Tasks:
    channel, thread = known["channel"], known["thread"]
    at = {"channel_id": channel, "thread_ts": thread}
    us = {"channel": channel, "thread_ts": thread}
    return (
        ("find a channel", [("slack_list_channels", {})], [("list_channels", {})]),
        (
            "read it",
            [("slack_get_channel_history", {"channel_id": channel, "limit": MESSAGES})],
            [("read_channel", {"channel": channel})],
        ),
        ("read a thread", [("slack_get_thread_replies", at)], [("read_thread", us)]),
        (
            "post",
            [("slack_post_message", {"channel_id": channel, "text": NOTE})],
            [("post_message", {"channel": channel, "text": NOTE, "request_id": "one"})],
        ),
        (
            "reply",
            [("slack_reply_to_thread", {**at, "text": NOTE})],
            [("reply", {**us, "text": NOTE, "request_id": "two"})],
        ),
    )


MAILS = 15


def mail(number: int) -> str:
    """An id as Gmail gives them: 16 hexadecimal digits, and the thread that a message begins has its id."""
    return f"{0x19A9C3F27B5E0D41 + number * 0x3B7A51:x}"


def _gmail(known: Known) -> Tasks:
    letter = {"to": ["grace@example.com"], "subject": "The export"}
    return (
        (
            "find a message",
            [("search_emails", {"query": "export", "maxResults": MAILS})],
            [("search_messages", {"query": "export"})],
        ),
        ("read it", [("read_email", {"messageId": mail(3)})], [("get_message", {"message_id": mail(3)})]),
        (
            "send",
            [("send_email", {**letter, "body": NOTE})],
            [("send_message", {**letter, "text": NOTE, "request_id": "one"})],
        ),
        (
            "draft",
            [("draft_email", {**letter, "body": NOTE})],
            [("create_draft", {**letter, "text": NOTE, "request_id": "two"})],
        ),
        (
            "label",
            [("modify_email", {"messageId": mail(3), "removeLabelIds": ["UNREAD"]})],
            [("label_messages", {"message_ids": [mail(3)], "remove": ["UNREAD"], "request_id": "three"})],
        ),
    )


DAY, TEAM = "2091-03-19", "team@group.calendar.google.com"


def _calendar(known: Known) -> Tasks:
    span = {"timeMin": f"{DAY}T00:00:00", "timeMax": f"{DAY}T23:59:00", "timeZone": "UTC"}
    ours = {"start": f"{DAY}T00:00:00Z", "end": f"{DAY}T23:59:00Z"}
    hour = {"start": f"{DAY}T21:00:00", "end": f"{DAY}T22:00:00"}
    me = ADA["email"]
    return (
        ("which calendars", [("list-calendars", {})], [("list_calendars", {})]),
        ("what is on", [("list-events", {"calendarId": me, **span})], [("list_events", {"calendar_id": me, **ours})]),
        (
            "when are all free",
            [("get-freebusy", {"calendars": [{"id": me}, {"id": TEAM}], **span})],
            [("find_free_time", {"calendars": [me, TEAM], "time_zone": "UTC", **ours})],
        ),
        (
            "make an event",
            [("create-event", {"calendarId": me, "summary": "Export", "description": NOTE, "timeZone": "UTC", **hour})],
            [
                (
                    "create_event",
                    {"title": "Export", "description": NOTE, "time_zone": "UTC", **hour, "request_id": "one"},
                )
            ],
        ),
        (
            "move it",
            [("update-event", {"calendarId": me, "eventId": "seeded8", "timeZone": "UTC", **hour})],
            [
                (
                    "update_event",
                    {"event_id": "seeded8", "etag": "seeded8", "time_zone": "UTC", **hour, "request_id": "two"},
                )
            ],
        ),
    )


CALENDAR_SCOPES = ("userinfo.email", "calendar.calendarlist.readonly", "calendar.events", "calendar.freebusy")

PAIRS = (
    Pair(
        "github",
        "@modelcontextprotocol/server-github 2025.4.8",
        node("mcp-server-github"),
        {"GITHUB_PERSONAL_ACCESS_TOKEN": TOKEN},
        ["api.github.com"],
        "",
        _github,
        seed={
            "tokens": {TOKEN: {"login": "ada", "scopes": ["repo"]}},
            "github": {
                "users": [{**ADA, "login": "ada"}],
                "repos": [{"owner": "ada", "name": "reports", "auto_init": True}],
            },
        },
        service="github",
        fill=_fill_github,
    ),
    Pair(
        "slack",
        "@modelcontextprotocol/server-slack 2025.4.25",
        node("mcp-server-slack"),
        {"SLACK_BOT_TOKEN": TOKEN, "SLACK_TEAM_ID": "T000000001"},
        ["slack.com"],
        "/api",
        _slack,
        seed={
            "slack": {
                "users": [{"name": "ada", "real_name": ADA["name"], "email": ADA["email"]}],
                "channels": [
                    {"name": f"team-{number}", "topic": f"Reports of team {number}", "purpose": "Who does what"}
                    for number in range(1, CHANNELS + 1)
                ],
                "tokens": [{"token": TOKEN, "user": "ada"}],
            }
        },
        service="slack",
        complete=slack.complete,
        fill=_fill_slack,
    ),
    Pair(
        "gmail",
        "@gongrzhe/server-gmail-autoauth-mcp 1.1.11",
        node("gmail-mcp"),
        {"GMAIL_OAUTH_PATH": "{home}/app.json", "GMAIL_CREDENTIALS_PATH": "{home}/token.json"},
        ["gmail.googleapis.com", "www.googleapis.com", "oauth2.googleapis.com"],
        "",
        _gmail,
        seed={
            "tokens": {TOKEN: {"login": ADA["email"], "scopes": []}},
            "google": {
                "users": [ADA],
                "messages": [
                    {
                        "id": mail(number),
                        "thread_id": mail(number),
                        "user_email": ADA["email"],
                        "from": "Grace Hopper <grace@example.com>",
                        "to": ADA["email"],
                        "subject": f"Report {number}: the export stops",
                        "body_text": NOTE,
                        "body_html": f"<html><body><p>{NOTE}</p></body></html>",
                        "label_ids": ["INBOX", "UNREAD"],
                        "date": f"2026-11-{number:02}T10:00:00.000Z",
                    }
                    for number in range(1, MAILS + 1)
                ],
            },
        },
        service="google",
        beside={
            "/gmail/v1/users/me/profile": {
                "emailAddress": ADA["email"],
                "messagesTotal": MAILS,
                "threadsTotal": MAILS,
                "historyId": "1",
            }
        },
        scopes=["https://www.googleapis.com/auth/gmail.modify", "https://www.googleapis.com/auth/userinfo.email"],
        files={"app.json": APP, "token.json": json.dumps({"access_token": TOKEN, "expiry_date": 4102444800000})},
    ),
    Pair(
        "google_calendar",
        "@cocal/google-calendar-mcp 2.6.3",
        node("google-calendar-mcp"),
        {"GOOGLE_OAUTH_CREDENTIALS": "{home}/app.json", "GOOGLE_CALENDAR_MCP_TOKEN_PATH": "{home}/token.json"},
        ["www.googleapis.com", "oauth2.googleapis.com"],
        "",
        _calendar,
        seed={
            "tokens": {TOKEN: {"login": ADA["email"], "scopes": []}},
            "google": {
                "users": [ADA],
                "calendars": [
                    {"id": ADA["email"], "summary": "Ada", "primary": True, "time_zone": "UTC"},
                    {"id": TEAM, "summary": "Team", "time_zone": "UTC"},
                ],
                "calendar_events": [
                    {
                        "id": f"seeded{hour}",
                        "calendar_id": ADA["email"],
                        "summary": f"Review {hour}",
                        "description": NOTE,
                        "location": "Room 4",
                        "start_date_time": f"{DAY}T{hour:02}:00:00Z",
                        "end_date_time": f"{DAY}T{hour:02}:30:00Z",
                        "attendees": [{"email": "grace@example.com", "response_status": "accepted"}],
                    }
                    for hour in range(8, 18)
                ],
            },
        },
        service="google",
        scopes=[f"https://www.googleapis.com/auth/{name}" for name in CALENDAR_SCOPES],
        files={
            "app.json": APP,
            "token.json": json.dumps(
                {"normal": {"access_token": TOKEN, "refresh_token": TOKEN, "expiry_date": 4102444800000}}
            ),
        },
    ),
)
