"""The story of a meeting in two calendars that has to move, while somebody else changes it and an answer is lost.

A scripted agent drives the real server over MCP: it finds a time that is free in both, moves the one in Microsoft's
calendar, meets a conflict, decides anew, and moves the one in Google's, of which the answer never comes.
"""

import json
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, types

from clew.auth.facts import Facts
from clew.core.audit_chain import rows as records
from clew.core.audit_chain import verify
from clew.core.connection import LOCAL_TENANT, Connection
from clew.core.secret import Secret
from clew.servers.mcp import build_server
from clew.servers.runtime import Runtime
from clew.servers.settings import ConnectorSettings, Settings

from .meeting_world import BEA, CARL, GOOGLE_TOKEN, GRAPH_TOKEN, Google, Graph, at, calendars, google, graph, utc

pytestmark = pytest.mark.anyio
Result = dict[str, Any]
SCOPES = {
    "google_calendar": ("https://www.googleapis.com/auth/calendar",),
    "microsoft": ("Calendars.ReadWrite", "Calendars.Read.Shared"),
}


@dataclass
class World:
    """Both calendars, the server, and what the person at the host was asked."""

    runtime: Runtime
    google: Google
    graph: Graph
    asked: list[str] = field(default_factory=list[str])

    @asynccontextmanager
    async def host(self) -> AsyncGenerator[Client]:
        async def agree(context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
            assert isinstance(params, types.ElicitRequestFormParams)
            self.asked.append(params.message)
            return types.ElicitResult(action="accept", content={"approve": True})

        async with Client(build_server(self.runtime), elicitation_callback=agree) as client:
            yield client


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    for name in [name for name in os.environ if name.startswith("CLEW_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    first, second = google(), graph()
    async with calendars(first, second) as (at_google, at_graph):
        settings = Settings(
            home=tmp_path / "home",
            key_provider="file",
            deadline=18,
            connectors={
                "google_calendar": ConnectorSettings(base_url=at_google),
                "microsoft": ConnectorSettings(base_url=f"{at_graph}/v1.0"),
            },
        )
        async with Runtime.open(settings, ["google_calendar", "microsoft"]) as runtime:
            for name, token, origin in (
                ("google_calendar", GOOGLE_TOKEN, at_google),
                ("microsoft", GRAPH_TOKEN, at_graph),
            ):
                facts = Facts("oauth2", scopes=SCOPES[name], expires_at=time.time() + 3600, origin=origin)
                where = Connection(LOCAL_TENANT, name, "work")
                await runtime.vault.put(where, {"access_token": Secret(token)}, facts)
            yield World(runtime, first, second)


async def call(client: Client, tool: str, **arguments: Any) -> Result:
    result = await client.call_tool(tool, arguments)
    told: Result = result.structured_content
    return told


async def test_a_meeting_moves_in_both_calendars_once(world: World) -> None:
    async with world.host() as agent:
        start, end = await _find_a_time(agent)
        assert (start, end) == (at("11:00"), at("12:00"))
        await _move_at_microsoft(world, agent, start, end)
        await _move_at_google(world, agent, start, end)
    await _assert_evidence(world)
    assert world.graph.mailed == [[BEA]]
    assert world.google.mailed == [[CARL]]
    for event in (world.graph.events["AAplanning"], world.google.events["planning"]):
        assert (utc(event["start"]), utc(event["end"])) == (start, end)


async def _find_a_time(agent: Client) -> tuple[str, str]:
    """The first hour that is free in Google's calendar and has nothing in Microsoft's."""
    window = {"start": at("09:00"), "end": at("17:00")}
    busy = (await call(agent, "microsoft_list_events", **window))["items"]
    free = await call(agent, "google_calendar_find_free_time", **window, minutes=60)
    taken = [(one["start"], one["end"]) for one in busy]
    for slot in free["slots"]:
        start = max(slot["start"], at("11:00"))
        end = at(f"{int(start[11:13]) + 1:02}:00")
        if end <= slot["end"] and all(end <= begins or ends <= start for begins, ends in taken):
            return start, end
    raise AssertionError(free)


async def _move_at_microsoft(world: World, agent: Client, start: str, end: str) -> None:
    """Between reading and writing somebody renames it: nothing moves and nobody is mailed until it was read again."""
    found = await call(agent, "microsoft_list_events", start=at("09:00"), end=at("17:00"))
    (line,) = [one for one in found["items"] if one["title"] == "Planning"]
    event = await call(agent, "microsoft_get_event", event_id=line["id"])
    change = {"event_id": line["id"], "start": start, "end": end, "mail_attendees": True}
    theirs = world.graph.events["AAplanning"]
    world.graph.change(theirs, {"subject": "Planning (with budget)"})
    refused = (await call(agent, "microsoft_update_event", **change, change_key=event["change_key"]))["error"]
    assert (refused["code"], refused["outcome"]) == ("conflict", "not_applied")
    assert "get_event" in refused["next"]
    assert world.graph.mailed == []
    event = await call(agent, "microsoft_get_event", event_id=line["id"])
    assert event["title"] == "Planning (with budget)"
    moved = await call(agent, "microsoft_update_event", **change, change_key=event["change_key"])
    assert (moved["start"], moved["mailed"]) == (start, 1)
    assert BEA in world.asked[-1]
    assert "Planning (with budget)" in world.asked[-1]


async def _move_at_google(world: World, agent: Client, start: str, end: str) -> None:
    """The change is refused once because a guest answered meanwhile; then it is made, and its answer is lost."""
    event = await call(agent, "google_calendar_get_event", event_id="planning")
    theirs = world.google.events["planning"]
    carl_declines = {"attendees": [{"email": CARL, "responseStatus": "tentative"}]}
    world.google.meanwhile = lambda: world.google.change(theirs, carl_declines)
    change = {"event_id": "planning", "start": start, "end": end, "send_updates": "all"}
    refused = (await call(agent, "google_calendar_update_event", **change, etag=event["etag"]))["error"]
    assert (refused["code"], refused["outcome"]) == ("conflict", "not_applied")
    event = await call(agent, "google_calendar_get_event", event_id="planning")
    assert event["guests"] == [{"email": CARL, "response": "tentative"}]
    world.google.lost = 1
    change |= {"etag": event["etag"]}
    for _ in range(2):  # the agent repeats itself: the version it names is gone, so nothing happens twice
        told = (await call(agent, "google_calendar_update_event", **change))["error"]
        assert (told["code"], told["outcome"]) == ("conflict", "unknown")
        assert "Whether the first request happened is not known. Read it again with get_event" in told["next"]
    event = await call(agent, "google_calendar_get_event", event_id="planning")
    assert (event["start"], event["end"]) == (start, end)
    made = [path for method, path, status in world.google.asked if (method, status) == ("PATCH", 200)]
    assert len(made) == 1


async def _assert_evidence(world: World) -> None:
    """What is not known is on record as that, until somebody looks; every call is in a chain that holds."""
    rows = await world.runtime.store.journal.rows()
    assert sorted((row.connection.connector, row.state.value) for row in rows) == [
        ("google_calendar", "not_applied"),
        ("google_calendar", "unknown"),
        ("microsoft", "applied"),
        ("microsoft", "not_applied"),
    ]
    assert world.runtime.evidence is not None
    assert await world.runtime.evidence.audit.flush()
    verdict = await verify(world.runtime.store.database)
    assert not verdict.faults
    bodies = [json.loads(row[6]) async for row in records(world.runtime.store.database, 0)]
    told = [(each["tool"], each["code"]) for each in bodies if each["effect"] == "write" and each["code"] != "asked"]
    assert told == [
        ("update_event", "conflict"),
        ("update_event", "ok"),
        ("update_event", "conflict"),
        ("update_event", "conflict"),
        ("update_event", "conflict"),
    ]
    for private in (BEA, CARL, GOOGLE_TOKEN, GRAPH_TOKEN, "budget"):
        assert private not in json.dumps(bodies)
