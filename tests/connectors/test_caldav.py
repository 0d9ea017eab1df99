"""CalDAV where a real server is too good: lost answers, odd servers, hostile calendars."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import respx
from tests.connectors.calling import Calling
from tests.people import Person

from clew.connectors.caldav import caldav
from clew.core.errors import CallError, Code, Outcome
from clew.core.journal import Journal

pytestmark = pytest.mark.anyio

ROOT = "https://dav.example"
HOME = "/cal/work/"
EVENT = f"{HOME}a.ics"
LOST = httpx.ReadTimeout("slow")
WINDOW = {"calendar": HOME, "start": "2030-03-01T00:00:00Z", "end": "2030-03-08T00:00:00Z"}
NEW = {"calendar": HOME, "title": "Review", "start": "2030-03-04T09:00:00Z", "end": "2030-03-04T10:00:00Z"}


def ics(*lines: str, uid: str = "a", summary: str = "Review") -> str:
    event = ["BEGIN:VEVENT", f"UID:{uid}", "DTSTAMP:20300101T000000Z", f"SUMMARY:{summary}", *lines, "END:VEVENT"]
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//x//EN", *event, "END:VCALENDAR", ""])


TIMES = ("DTSTART:20300304T090000Z", "DTEND:20300304T100000Z")


def found(content: str, etag: str | None = '"1"') -> httpx.Response:
    return httpx.Response(200, text=content, headers={"etag": etag} if etag else {})


def multi(*responses: str, more: str = "") -> httpx.Response:
    space = 'xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"'
    text = f'<?xml version="1.0"?><D:multistatus {space}>{"".join(responses)}{more}</D:multistatus>'
    return httpx.Response(207, text=text, headers={"content-type": "application/xml"})


def one(href: str, properties: str = "", status: str = "HTTP/1.1 200 OK") -> str:
    held = f"<D:propstat><D:prop>{properties}</D:prop><D:status>{status}</D:status></D:propstat>"
    return f"<D:response><D:href>{href}</D:href>{held}</D:response>"


def gone(href: str, status: str) -> str:
    return f"<D:response><D:href>{href}</D:href><D:status>{status}</D:status></D:response>"


def data(content: str) -> str:
    return f'<D:getetag>"1"</D:getetag><C:calendar-data><![CDATA[{content}]]></C:calendar-data>'


def refusal(status: int, element: str) -> httpx.Response:
    body = f'<D:error xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><{element}/></D:error>'
    return httpx.Response(status, text=body, headers={"content-type": "application/xml"})


@pytest.fixture
def dav() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url=ROOT, assert_all_called=False) as router:
        yield router


@pytest.fixture
def tool(call: Calling) -> Any:
    async def run(name: str, /, **arguments: Any) -> dict[str, Any]:
        base = arguments.pop("base_url", ROOT)
        result: dict[str, Any] = await call(caldav, name, arguments, host=Person(), base_url=base)
        return result

    return run


async def refused(tool: Any, name: str, /, **arguments: Any) -> CallError:
    with pytest.raises(CallError) as caught:
        await tool(name, **arguments)
    return caught.value


# Writes whose answer is lost.


async def test_a_lost_creation_is_sent_again_under_the_same_uid_and_then_read(
    tool: Any, dav: respx.MockRouter, journal: Journal
) -> None:
    put = dav.put(path__startswith=HOME).mock(side_effect=[LOST, httpx.Response(412)])
    dav.get(path__startswith=HOME).mock(return_value=found(ics(*TIMES)))
    made = await tool("create_event", **NEW)
    calls: Any = put.calls
    first, second = (each.request for each in calls)
    assert first.url == second.url
    assert made["id"] == first.url.path
    for request in (first, second):
        assert request.headers["if-none-match"] == "*"
        assert f"UID:{first.url.path.rpartition('/')[2].removesuffix('.ics')}".encode() in request.content
    assert (await journal.rows())[0].state == "applied"


async def test_a_creation_that_the_server_takes_twice_is_one(
    tool: Any, dav: respx.MockRouter, journal: Journal
) -> None:
    dav.put(path__startswith=HOME).mock(side_effect=[LOST, httpx.Response(201, headers={"etag": '"2"'})])
    assert (await tool("create_event", **NEW))["etag"] == '"2"'


@pytest.mark.parametrize(("status", "element"), [(409, "C"), (412, "C"), (403, "C")])
async def test_a_uid_that_is_taken_has_one_meaning_and_three_statuses(
    tool: Any, dav: respx.MockRouter, status: int, element: str
) -> None:
    dav.put(path__startswith=HOME).mock(return_value=refusal(status, f"{element}:no-uid-conflict"))
    assert (await refused(tool, "create_event", **NEW)).code is Code.ALREADY_DONE


@pytest.mark.parametrize("became", ["ours", "nothing", "theirs"])
async def test_a_lost_change_is_found_out_by_reading(
    tool: Any, dav: respx.MockRouter, journal: Journal, became: str
) -> None:
    before, after = found(ics(*TIMES)), found(ics(*TIMES, summary="Retro"), '"2"')
    theirs = found(ics(*TIMES, summary="Other"), '"3"')
    puts = dav.put(EVENT).mock(side_effect=[LOST, httpx.Response(204, headers={"etag": '"2"'})])
    later = {"ours": after, "nothing": before, "theirs": theirs}[became]
    dav.get(EVENT).mock(side_effect=[before, *[later] * 9])
    given = {"event": EVENT, "etag": '"1"', "title": "Retro"}
    if became == "theirs":
        error = await refused(tool, "update_event", **given)
        assert error.outcome is Outcome.UNKNOWN
    else:
        assert (await tool("update_event", **given))["title"] == "Retro"
    assert len(puts.calls) == (2 if became == "nothing" else 1)


async def test_a_lost_deletion_is_done_when_the_event_is_gone(
    tool: Any, dav: respx.MockRouter, journal: Journal
) -> None:
    dav.delete(EVENT).mock(side_effect=[LOST, httpx.Response(404)])
    dav.get(EVENT).mock(side_effect=[*[found(ics(*TIMES))] * 2, httpx.Response(404)])
    dav.options(EVENT).mock(return_value=httpx.Response(200))
    error = await refused(tool, "delete_event", event=EVENT, etag='"1"')
    assert (error.code, error.outcome) == (Code.ALREADY_DONE, Outcome.APPLIED)
    assert (await journal.rows())[0].state == "applied"


async def test_somebody_was_faster_between_reading_and_writing(tool: Any, dav: respx.MockRouter) -> None:
    dav.get(EVENT).mock(return_value=found(ics(*TIMES)))
    put = dav.put(EVENT).mock(return_value=httpx.Response(412))
    error = await refused(tool, "update_event", event=EVENT, etag="1", title="Retro")
    assert put.calls.last.request.headers["if-match"] == '"1"'
    assert (error.code, error.outcome) == (Code.CONFLICT, Outcome.NOT_APPLIED)
    assert "get_event" in error.next_step


# Servers.


async def test_discovery_follows_a_redirect_at_home_and_reads_a_foreign_host_to_nobody(
    tool: Any, dav: respx.MockRouter
) -> None:
    dav.request("PROPFIND", "/.well-known/caldav").mock(return_value=httpx.Response(302, headers={"location": "/dav/"}))
    who = one("/dav/", "<D:current-user-principal><D:href>/dav/p/ada%40x/</D:href></D:current-user-principal>")
    root = dav.request("PROPFIND", "/dav/").mock(return_value=multi(who))
    home = "<C:calendar-home-set><D:href>https://p34-caldav.example:443/1/calendars</D:href></C:calendar-home-set>"
    dav.request("PROPFIND", "/dav/p/ada%40x/").mock(return_value=multi(one("/dav/p/ada%40x/", home)))
    error = await refused(tool, "list_calendars")
    assert error.code is Code.PERMISSION
    assert "--set server=p34-caldav.example" in error.next_step
    assert root.calls.last.request.headers["depth"] == "0"
    assert b"current-user-principal" in root.calls.last.request.content


async def test_a_server_below_a_path_and_without_a_well_known_place(tool: Any, dav: respx.MockRouter) -> None:
    dav.request("PROPFIND", "/x/.well-known/caldav").mock(return_value=httpx.Response(404))
    who = one("/x/", "<D:current-user-principal><D:href>/x/p/</D:href></D:current-user-principal>")
    dav.request("PROPFIND", "/x/").mock(return_value=multi(who))
    home = "<C:calendar-home-set><D:href>/x/cal</D:href></C:calendar-home-set>"
    dav.request("PROPFIND", "/x/p/").mock(return_value=multi(one("/x/p/", home)))
    kind = "<D:resourcetype><D:collection/><C:calendar/></D:resourcetype><D:displayname>Work</D:displayname>"
    tasks = '<C:supported-calendar-component-set><C:comp name="VTODO"/></C:supported-calendar-component-set>'
    rights = "<D:current-user-privilege-set><D:privilege><D:read/></D:privilege></D:current-user-privilege-set>"
    listed = multi(one("/x/cal/", "<D:resourcetype><D:collection/></D:resourcetype>"),
                   one("/x/cal/work/", kind + rights), one("/x/cal/tasks/", kind + tasks))  # fmt: skip
    dav.request("PROPFIND", "/x/cal/").mock(return_value=listed)
    result = await tool("list_calendars", base_url=f"{ROOT}/x")
    assert result == {"items": [{"id": HOME, "name": "Work", "writable": False}]}


async def test_nobody_says_who_we_are(tool: Any, dav: respx.MockRouter) -> None:
    dav.request("PROPFIND", path__regex=".*").mock(return_value=multi(one("/")))
    assert (await refused(tool, "list_calendars")).code is Code.NOT_FOUND


async def test_a_page_or_a_document_type_instead_of_resources(tool: Any, dav: respx.MockRouter) -> None:
    page = httpx.Response(200, text="<html>log in</html>", headers={"content-type": "text/html"})
    evil = httpx.Response(207, text='<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', headers={"content-type": "text/xml"})
    other = httpx.Response(200, text="<a/>", headers={"content-type": "text/xml"})
    dav.request("REPORT", HOME).mock(side_effect=[page, page, evil, other])
    assert (await refused(tool, "list_events", **WINDOW)).code is Code.TRANSIENT
    assert (await refused(tool, "list_events", **WINDOW)).code is Code.CONTRACT_CHANGED
    assert (await refused(tool, "list_events", **WINDOW)).code is Code.CONTRACT_CHANGED


async def test_a_list_that_was_cut_is_not_shown_as_whole(tool: Any, dav: respx.MockRouter) -> None:
    cut = multi(one(EVENT, data(ics(*TIMES))), gone(HOME, "HTTP/1.1 507 Insufficient Storage"))
    dav.request("REPORT", HOME).mock(return_value=cut)
    assert "shorter range" in (await refused(tool, "list_events", **WINDOW)).next_step


async def test_an_inexact_version_is_never_sent_back(tool: Any, dav: respx.MockRouter) -> None:
    put = dav.put(EVENT)
    error = await refused(tool, "update_event", event=EVENT, etag='W/"1"', title="Retro")
    assert (error.code, put.called) == (Code.CONFLICT, False)
    dav.get(EVENT).mock(return_value=found(ics(*TIMES)))
    await tool("get_event", event=EVENT)
    assert dav.calls.last.request.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("status", [403, 409, 412, 507])
async def test_a_dead_token_starts_over_whatever_the_status(tool: Any, dav: respx.MockRouter, status: int) -> None:
    report = dav.request("REPORT", HOME).mock(return_value=refusal(status, "D:valid-sync-token"))
    dav.request("PROPFIND", HOME).mock(return_value=multi(one(HOME, "<D:sync-token>urn:2</D:sync-token>")))
    result = await tool("list_changes", calendar=HOME, sync_token="urn:<1>&")
    assert result == {"changed": [], "removed": [], "sync_token": "urn:2", "start_over": True}
    assert b"urn:&lt;1&gt;&amp;" in report.calls.last.request.content


async def test_changes_go_on_where_they_were_cut(tool: Any, dav: respx.MockRouter) -> None:
    token = "<D:sync-token>urn:2</D:sync-token>"
    cut = multi(one(EVENT, '<D:getetag>"1"</D:getetag>'), gone(f"{HOME}b.ics", "HTTP/1.1 404 Not Found"),
                gone(HOME, "HTTP/1.1 507 Full"), more=token)  # fmt: skip
    dav.request("REPORT", HOME).mock(side_effect=[cut, multi(one(EVENT, data(ics(*TIMES))))])
    result = await tool("list_changes", calendar=HOME, sync_token="urn:1")
    assert result == {
        "changed": [{"id": EVENT, "etag": '"1"', "title": "Review", "start": "2030-03-04T09:00:00Z"}],
        "removed": [f"{HOME}b.ics"],
        "sync_token": "urn:2",
        "more": True,
    }


async def test_a_calendar_that_cannot_say_what_changed(tool: Any, dav: respx.MockRouter) -> None:
    dav.request("PROPFIND", HOME).mock(return_value=multi(one(HOME)))
    assert "list_events" in (await refused(tool, "list_changes", calendar=HOME)).next_step
    dav.request("REPORT", HOME).mock(return_value=refusal(403, "D:supported-report"))
    assert (await refused(tool, "list_changes", calendar=HOME, sync_token="x")).code is Code.INVALID_INPUT


async def test_a_password_that_died_in_between(tool: Any, dav: respx.MockRouter) -> None:
    answers = [multi(one(HOME, "<D:sync-token>1</D:sync-token>")), *[httpx.Response(401)] * 3]
    dav.request("PROPFIND", HOME).mock(side_effect=answers)
    await tool("list_changes", calendar=HOME)
    error = await refused(tool, "list_changes", calendar=HOME)
    assert error.code in (Code.AUTH_REVOKED, Code.AUTH_EXPIRED)


# What stands in calendars.


async def test_hostile_and_damaged_objects_are_told_and_never_guessed(tool: Any, dav: respx.MockRouter) -> None:
    rules = ("FREQ=SECONDLY", "FREQ=DAILY;BYSECOND=0,1;BYMINUTE=0,1,2;BYHOUR=1")
    bad = [ics("RRULE:" + rule, *TIMES, uid=str(number)) for number, rule in enumerate(rules)]
    old = ics("RRULE:FREQ=DAILY", "DTSTART:00010101T000000Z", uid="old")
    damaged = ["nonsense", ics(), ics("DTSTART:yesterday"), "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"]
    held = [one(f"{HOME}{number}.ics", data(each)) for number, each in enumerate([*bad, old, *damaged])]
    dav.request("REPORT", HOME).mock(return_value=multi(*held))
    result = await tool("list_events", **WINDOW)
    assert [line.get("not_expanded") for line in result["items"]] == ["FREQ=DAILY", *rules]
    assert result["unreadable"] == 4
    error = await refused(tool, "list_events", **{**WINDOW, "end": "2033-01-01T00:00:00Z"})
    assert "366 days" in error.message


async def test_pages_of_a_long_list_and_words_in_it(tool: Any, dav: respx.MockRouter) -> None:
    held = multi(one(EVENT, data(ics("RRULE:FREQ=DAILY;BYHOUR=1,2,3,4,5,6,7,8,9", *TIMES))),
                 one(f"{HOME}b.ics", data(ics(*TIMES, "LOCATION:Mars", uid="b"))))  # fmt: skip
    dav.request("REPORT", HOME).mock(return_value=held)
    window = {**WINDOW, "end": "2030-03-11T00:00:00Z"}
    first = await tool("list_events", **window)
    last = await tool("list_events", **window, cursor=first["next_cursor"])
    assert (len(first["items"]), "next_cursor" in last) == (50, False)
    assert not {each.get("occurrence") for each in first["items"]} & {each["occurrence"] for each in last["items"]}
    assert [each["id"] for each in (await tool("list_events", **window, query="MARS"))["items"]] == [f"{HOME}b.ics"]
    assert (await refused(tool, "list_events", **window, cursor="x")).code is Code.INVALID_INPUT


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"start": "2020-03-04T09:00:00Z", "end": "2020-03-04T10:00:00Z"}, "end"),
        ({"end": "2030-03-04T08:00:00Z"}, "end"),
        ({"start": "2030-03-04"}, "end"),
        ({"start": "2030-03-04T09:00"}, "start"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"title": "a\x00b"}, "summary"),
        ({"repeats": "FREQ=MINUTELY"}, "repeats"),
        ({"repeats": "weekly"}, "repeats"),
        ({"calendar": "work"}, "calendar"),
    ],
)
async def test_bad_input_is_refused_before_anything_is_sent(
    tool: Any, dav: respx.MockRouter, more: dict[str, str], named: str
) -> None:
    error = await refused(tool, "create_event", **{**NEW, **more})
    assert (error.code, error.outcome, list(error.fields)) == (Code.INVALID_INPUT, Outcome.NOT_APPLIED, [named])
    assert not dav.calls


@pytest.mark.parametrize("event", ["/cal/work/", "cal/a.ics", "/", "/cal/../a.ics"])
async def test_an_event_is_never_a_whole_calendar(tool: Any, dav: respx.MockRouter, event: str) -> None:
    assert (await refused(tool, "delete_event", event=event, etag='"1"')).code is Code.INVALID_INPUT
    assert not dav.calls


async def test_something_that_is_no_event_is_not_deleted(tool: Any, dav: respx.MockRouter) -> None:
    dav.get("/cards/ben.vcf").mock(return_value=found("BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Ben\r\nEND:VCARD\r\n"))
    delete = dav.delete("/cards/ben.vcf")
    error = await refused(tool, "delete_event", event="/cards/ben.vcf", etag='"1"')
    assert (error.code, error.outcome, delete.called) == (Code.CONTRACT_CHANGED, Outcome.NOT_APPLIED, False)


async def test_time_that_nobody_can_work_out_does_not_pass_for_free(tool: Any, dav: respx.MockRouter) -> None:
    who = "<D:current-user-principal><D:href>/p/</D:href></D:current-user-principal>"
    mail = "<C:calendar-user-address-set><D:href>MAILTO:Ada@example.com</D:href></C:calendar-user-address-set>"
    dav.request("PROPFIND", path__regex=".*").mock(return_value=multi(one("/p/", who + mail)))
    given = {"start": "2030-03-04T09:00:00Z", "end": "2030-03-04T11:00:00Z", "calendars": [HOME]}
    no = ics(*TIMES, "ATTENDEE;PARTSTAT=DECLINED:mailto:ada@example.com")
    for content, slots in ((ics(*TIMES), 1), (no, 1), (ics(*TIMES, "TRANSP:TRANSPARENT"), 1), (ics("nonsense"), None),
                           (ics(*TIMES, "RRULE:FREQ=HOURLY"), None)):  # fmt: skip
        dav.request("REPORT", HOME).mock(return_value=multi(one(EVENT, data(content))))
        if slots is None:
            assert (await refused(tool, "find_free_time", **given)).code is Code.CONTRACT_CHANGED
        else:
            minutes = [slot["minutes"] for slot in (await tool("find_free_time", **given))["slots"]]
            assert minutes == ([60] if content == ics(*TIMES) else [120])
