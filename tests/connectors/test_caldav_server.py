"""CalDAV against a real server: xandikos, one process on loopback, which also schedules (RFC 6638)."""

import contextlib
import importlib.util
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.connectors.calling import Calling
from tests.people import Person

from clew.connectors.caldav import caldav
from clew.core.errors import CallError, Code, Outcome
from clew.core.journal import Journal

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        importlib.util.find_spec("xandikos") is None, reason="xandikos is not installed: pip install 'clew[test]'"
    ),
]

HOME = "/user/calendars/calendar/"
SPRING = {"start": "2030-03-01T00:00:00Z", "end": "2030-04-30T00:00:00Z"}
ADA, BEN = "ada@example.com", "ben@example.com"


class Server:
    """The tools on the calendars of one person, who agrees to everything."""

    def __init__(self, connected: Calling, url: str) -> None:
        self.connected, self.url, self.host = connected, url, Person()

    async def __call__(self, name: str, /, **arguments: Any) -> dict[str, Any]:
        found: dict[str, Any] = await self.connected(caldav, name, arguments, host=self.host, base_url=self.url)
        return found

    async def refused(self, name: str, /, **arguments: Any) -> CallError:
        with pytest.raises(CallError) as caught:
            await self(name, **arguments)
        return caught.value

    async def add(self, title: str = "Review", **more: Any) -> dict[str, Any]:
        given = {"start": "2030-03-04T09:00", "end": "2030-03-04T10:00", "time_zone": "Europe/Berlin", **more}
        return await self("create_event", calendar=HOME, title=title, **given)

    async def listed(self, **more: Any) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = (await self("list_events", calendar=HOME, **{**SPRING, **more}))["items"]
        return items


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "xandikos", "serve", "-d", str(tmp_path_factory.mktemp("dav")), "--defaults"]
    place = ["--listen-address", "127.0.0.1", "--port", str(port), "--no-detect-systemd"]
    environ = {**os.environ, "EMAIL": f"Ada <{ADA}>"}  # the one address of its one user
    with subprocess.Popen(
        [*command, *place], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environ
    ) as process:
        while not _listens(port):
            with contextlib.suppress(subprocess.TimeoutExpired):
                raise RuntimeError(f"xandikos ended with {process.wait(0.05)}")
        yield f"http://127.0.0.1:{port}"
        process.terminate()


@pytest.fixture
async def dav(call: Calling, journal: Journal, server_url: str) -> Server:
    """The server with an empty calendar."""
    call.seconds = 30
    async with httpx.AsyncClient(base_url=server_url, trust_env=False) as client:
        await client.delete(HOME)
        assert (await client.request("MKCALENDAR", HOME)).status_code == 201
    return Server(call, server_url)


async def test_the_calendars_are_found_from_the_servers_name_alone(dav: Server) -> None:
    found = await dav("list_calendars")
    assert found == {"items": [{"id": HOME, "name": "calendar", "writable": True}]}


async def test_an_event_is_made_once_read_changed_and_deleted(dav: Server) -> None:
    made = await dav.add(description="Two\nlines", location="Room 1", request_id="one")
    again = await dav.add(description="Two\nlines", location="Room 1", request_id="one")
    assert (made["id"], made["start"]) == (again["id"], "2030-03-04T09:00:00+01:00")
    (line,) = await dav.listed()
    assert line == {
        "id": made["id"],
        "title": "Review",
        "start": "2030-03-04T09:00:00+01:00",
        "end": "2030-03-04T10:00:00+01:00",
        "time_zone": "Europe/Berlin",
        "location": "Room 1",
    }
    read = await dav("get_event", event=made["id"])
    assert read["description"] == "Two\nlines"
    changed = await dav("update_event", event=made["id"], etag=read["etag"], title="Retro")
    assert (changed["title"], changed["etag"] == read["etag"]) == ("Retro", False)
    stale = await dav.refused("update_event", event=made["id"], etag=read["etag"], title="Third")
    assert (stale.code, stale.outcome) == (Code.CONFLICT, Outcome.NOT_APPLIED)
    assert "get_event" in stale.next_step
    await dav("delete_event", event=made["id"], etag=changed["etag"])
    assert await dav.listed() == []
    assert (await dav.refused("get_event", event=made["id"])).code is Code.NOT_FOUND


async def test_a_series_is_expanded_across_the_change_of_clocks_and_single_occurrences_differ(dav: Server) -> None:
    made = await dav.add("Weekly", repeats="FREQ=WEEKLY;COUNT=6")
    assert made["repeats"] == "FREQ=WEEKLY;COUNT=6"
    lines = await dav.listed()
    assert [line["start"] for line in lines] == [
        "2030-03-04T09:00:00+01:00", "2030-03-11T09:00:00+01:00", "2030-03-18T09:00:00+01:00",
        "2030-03-25T09:00:00+01:00", "2030-04-01T09:00:00+02:00", "2030-04-08T09:00:00+02:00",
    ]  # fmt: skip
    read = await dav("get_event", event=made["id"])
    moved = await dav(
        "update_event", event=made["id"], etag=read["etag"], occurrence=lines[1]["occurrence"],
        start="2030-03-12T15:00", end="2030-03-12T16:00", time_zone="Europe/Berlin",
    )  # fmt: skip
    await dav("delete_event", event=made["id"], etag=moved["etag"], occurrence=lines[2]["occurrence"])
    assert "Weekly" in str(dav.host.asked[-1].preview)
    assert "'whole_series': False" in str(dav.host.asked[-1].preview)
    starts = [line["start"] for line in await dav.listed()]
    assert starts == [
        "2030-03-04T09:00:00+01:00", "2030-03-12T15:00:00+01:00", "2030-03-25T09:00:00+01:00",
        "2030-04-01T09:00:00+02:00", "2030-04-08T09:00:00+02:00",
    ]  # fmt: skip
    read = await dav("get_event", event=made["id"])
    assert read["changed_occurrences"] == [
        {
            "occurrence": "2030-03-11T09:00:00+01:00",
            "title": "Weekly",
            "start": "2030-03-12T15:00:00+01:00",
            "end": "2030-03-12T16:00:00+01:00",
        }
    ]
    lost = await dav.refused(
        "update_event", event=made["id"], etag=read["etag"], start="2030-03-05T09:00Z", end="2030-03-05T10:00Z"
    )
    assert lost.code is Code.CONFLICT
    none = await dav.refused(
        "update_event", event=made["id"], etag=read["etag"], occurrence="2030-03-13T09:00:00+01:00", title="x"
    )
    assert none.code is Code.INVALID_INPUT


async def test_changes_are_followed_by_token_and_a_dead_token_starts_over(dav: Server) -> None:
    token = (await dav("list_changes", calendar=HOME))["sync_token"]
    one, two = await dav.add("One"), await dav.add("Two")
    first = await dav("list_changes", calendar=HOME, sync_token=token)
    assert {each["title"] for each in first["changed"]} == {"One", "Two"}
    await dav("delete_event", event=one["id"], etag=(await dav("get_event", event=one["id"]))["etag"])
    second = await dav("list_changes", calendar=HOME, sync_token=first["sync_token"])
    assert second["removed"] == [one["id"]]
    assert second["changed"] == []
    dead = await dav("list_changes", calendar=HOME, sync_token="0123456789012345678901234567890123456789")
    assert (dead["start_over"], dead["sync_token"]) == (True, second["sync_token"])
    assert two["id"] != one["id"]


async def test_free_time_is_what_events_leave_and_days_are_days_where_one_asks(dav: Server) -> None:
    await dav.add("Meeting")
    await dav.add("Trip", start="2030-03-05", end="2030-03-06", time_zone=None)
    given = {"start": "2030-03-04T08:00:00+01:00", "end": "2030-03-06T01:00:00+01:00", "time_zone": "Europe/Berlin"}
    found = await dav("find_free_time", **given, calendars=[HOME])
    assert found == await dav("find_free_time", **given)
    assert found["slots"] == [
        {"start": "2030-03-04T08:00:00+01:00", "end": "2030-03-04T09:00:00+01:00", "minutes": 60},
        {"start": "2030-03-04T10:00:00+01:00", "end": "2030-03-05T00:00:00+01:00", "minutes": 840},
        {"start": "2030-03-06T00:00:00+01:00", "end": "2030-03-06T01:00:00+01:00", "minutes": 60},
    ]


async def test_all_day_events_stay_dates(dav: Server) -> None:
    made = await dav.add("Fair", start="2030-03-05", end="2030-03-07", time_zone=None)
    assert (made["start"], made["end"]) == ("2030-03-05", "2030-03-07")
    (line,) = await dav.listed()
    assert (line["all_day"], line["start"], line["end"]) == (True, "2030-03-05", "2030-03-07")


async def test_a_calendar_that_is_not_there_and_an_event_in_no_calendar(dav: Server) -> None:
    missing = await dav.refused("list_events", calendar="/user/calendars/none/", **SPRING)
    assert missing.code is Code.NOT_FOUND
    assert (await dav.refused("get_event", event="/user/calendars/calendar/none.ics")).code is Code.NOT_FOUND
    assert (await dav.refused("get_event", event="/../etc/passwd")).code is Code.INVALID_INPUT


async def test_whoever_may_get_mail_is_named_before_it_goes(dav: Server) -> None:
    quiet = await dav.add("Quiet", attendees=[BEN])
    assert (quiet["attendees"], "told" in quiet, dav.host.asked) == (1, False, [])
    made = await dav.add("Loud", attendees=[BEN, "cy@example.com"], tell_attendees=True)
    assert made["told"] == "2 attendees, by the server"
    assert BEN in str(dav.host.asked[0].arguments)
    read = await dav("get_event", event=made["id"])
    assert (read["organizer"], read["server_mails"]) == (ADA, True)
    held = await dav.refused("update_event", event=made["id"], etag=read["etag"], title="Louder")
    assert (held.code, held.outcome) == (Code.INVALID_INPUT, Outcome.NOT_APPLIED)
    assert "tell_attendees=true" in held.next_step
    await dav("update_event", event=made["id"], etag=read["etag"], title="Louder", tell_attendees=True)
    assert BEN in str(dav.host.asked[1].preview)
    read = await dav("get_event", event=made["id"])
    await dav("delete_event", event=made["id"], etag=read["etag"])
    assert "a cancellation goes to 2 attendees" in str(dav.host.asked[2].preview)
    read = await dav("get_event", event=quiet["id"])
    await dav("update_event", event=quiet["id"], etag=read["etag"], title="Still quiet", remove_attendees=[BEN])


async def test_whoever_is_taken_off_the_list_is_not_written_to_unasked(dav: Server) -> None:
    made = await dav.add("Loud", attendees=[BEN], tell_attendees=True)
    etag = (await dav("get_event", event=made["id"]))["etag"]
    held = await dav.refused("update_event", event=made["id"], etag=etag, remove_attendees=[BEN])
    assert (held.code, "tell_attendees" in held.fields) == (Code.INVALID_INPUT, True)


async def test_an_invitation_is_answered_and_changed_by_nobody_but_its_organizer(dav: Server) -> None:
    invitation = (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\nBEGIN:VEVENT\r\nUID:inv\r\nDTSTAMP:20300101T000000Z\r\n"
        "DTSTART:20300304T090000Z\r\nDTEND:20300304T100000Z\r\nSUMMARY:Party\r\nX-KEPT;X-A=b:c\r\n"
        f"ORGANIZER:mailto:{BEN}\r\nATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:{ADA}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    place = f"{HOME}inv.ics"
    async with httpx.AsyncClient(base_url=dav.url, trust_env=False) as client:
        await client.put(place, content=invitation, headers={"content-type": "text/calendar"})
        etag = (await dav("get_event", event=place))["etag"]
        other = await dav.refused("update_event", event=place, etag=etag, title="Mine")
        assert (other.code, BEN in other.next_step) == (Code.PERMISSION, True)
        said = await dav("reply_to_invitation", event=place, etag=etag, response="accepted")
        assert said["told"] == f"{BEN}, by the server"
        assert "Party" in str(dav.host.asked[0].preview)
        kept = (await client.get(place)).text
    assert "PARTSTAT=ACCEPTED" in kept
    assert "X-KEPT;X-A=b:c" in kept
