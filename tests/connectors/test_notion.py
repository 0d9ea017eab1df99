"""Notion: what the tools send, what they make of the answers, and how they end when something is wrong."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import respx
from tests.connectors.calling import Calling, Tool, failed
from tests.people import Person

from clew.connectors.notion import notion
from clew.core.errors import Code, Outcome
from clew.core.journal import Journal

pytestmark = pytest.mark.anyio

PAGE, ROW, SOURCE, BASE, BOT, ANN = (f"{digit}" * 8 + "-0000-4000-8000-" + "0" * 12 for digit in "123456")
ONE, TWO, THREE = (f"{digit}" * 8 + "-0000-4000-8000-" + "1" * 12 for digit in "abc")
EDITED = "2026-11-22T09:00:00.000Z"


@pytest.fixture
def api() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url="https://api.notion.com/v1", assert_all_called=False) as router:
        router.get("/users/me").respond(json={"object": "user", "id": BOT, "type": "bot", "name": "clew"})
        yield router


@pytest.fixture
def tool(call: Calling, person: Person) -> Tool:
    return call.tool(notion, person, seconds=30)


def sent(route: respx.Route) -> Any:
    return json.loads(route.calls.last.request.content)


def words(text: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": {"content": text, "link": None}, "plain_text": text, "annotations": {}}]


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:00.000Z")


def block(kind: str, known: str, text: str | None = None, **more: Any) -> dict[str, Any]:
    body = {} if text is None else {"rich_text": words(text)}
    made = {"object": "block", "id": known, "type": kind, "has_children": False, "created_time": now()}
    return {**made, "created_by": {"object": "user", "id": BOT}, kind: body, **more}


def child(title: str, known: str, **more: Any) -> dict[str, Any]:
    return {**block("child_page", known), "child_page": {"title": title}, **more}


def listed(*results: dict[str, Any], cursor: str | None = None) -> dict[str, Any]:
    return {"object": "list", "results": list(results), "next_cursor": cursor, "has_more": cursor is not None}


def page(known: str = PAGE, title: str = "Plan", **more: Any) -> dict[str, Any]:
    return {
        "object": "page",
        "id": known,
        "created_time": now(),
        "created_by": {"object": "user", "id": BOT},
        "last_edited_time": EDITED,
        "in_trash": False,
        "url": f"https://www.notion.so/{known.replace('-', '')}",
        "parent": {"type": "workspace", "workspace": True},
        "properties": {"Name": {"id": "title", "type": "title", "title": words(title)}},
        **more,
    }


STATUS = {"options": [{"id": "1", "name": "Open"}, {"id": "2", "name": "Done"}]}
SCHEMA: dict[str, Any] = {
    "Name": {"id": "title", "type": "title", "title": {}},
    "Status": {"id": "a%3A", "type": "status", "status": STATUS},
    "Tags": {"id": "b", "type": "multi_select", "multi_select": {"options": [{"id": "3", "name": "red"}]}},
    "Due": {"id": "c", "type": "date", "date": {}},
    "Points": {"id": "d", "type": "number", "number": {"format": "number"}},
    "Owner": {"id": "e", "type": "people", "people": {}},
    "Sum": {"id": "f", "type": "formula", "formula": {"expression": "1"}},
    "Ready": {"id": "g", "type": "checkbox", "checkbox": {}},
}


def source(api: respx.MockRouter) -> respx.Route:
    body = {"object": "data_source", "id": SOURCE, "title": words("Tasks"), "properties": SCHEMA}
    return api.get(f"/data_sources/{SOURCE}").respond(json=body)


def error(status: int, code: str, message: str) -> httpx.Response:
    return httpx.Response(status, json={"object": "error", "status": status, "code": code, "message": message})


async def test_a_search_tells_pages_and_data_sources_by_title(tool: Tool, api: respx.MockRouter) -> None:
    tasks = {"object": "data_source", "id": SOURCE, "title": words("Tasks"), "properties": SCHEMA}
    tasks["parent"] = {"type": "database_id", "database_id": BASE}
    route = api.post("/search").respond(json=listed(page(), tasks, {"object": "page", "id": ROW}, cursor="c2"))
    found = await tool("search", query="plan", kind="page")
    assert sent(route) == {"page_size": 20, "query": "plan", "filter": {"property": "object", "value": "page"}}
    assert route.calls.last.request.headers["notion-version"] == "2025-09-03"
    assert [(each["kind"], each.get("title")) for each in found["items"]] == [
        ("page", "Plan"),
        ("data_source", "Tasks"),
        ("page", None),
    ]
    assert found["items"][1]["parent"] == f"database {BASE}"
    assert len(json.dumps(found["items"][0])) < 300


async def test_a_search_goes_on_to_its_end_and_never_in_circles(tool: Tool, api: respx.MockRouter) -> None:
    route = api.post("/search")
    route.side_effect = [httpx.Response(200, json=listed(cursor="c2")), httpx.Response(200, json=listed(page()))]
    first = await tool("search", query="")
    assert sent(route)["sort"] == {"timestamp": "last_edited_time", "direction": "descending"}
    last = await tool("search", query="", cursor=first["next_cursor"])
    assert (sent(route)["start_cursor"], last.get("next_cursor")) == ("c2", None)
    route.side_effect = [httpx.Response(200, json=listed(cursor="c2"))]
    assert (await failed(tool, "search", query="", cursor="c2")).code is Code.CONTRACT_CHANGED


async def test_a_search_that_stopped_early_says_so(tool: Tool, api: respx.MockRouter) -> None:
    early = {"type": "incomplete", "incomplete_reason": "query_result_limit_reached"}
    api.post("/search").respond(json={**listed(), "request_status": early})
    assert (await tool("search", query="x"))["incomplete"] is True


async def test_a_page_is_markdown_with_what_is_inside(tool: Tool, api: respx.MockRouter) -> None:
    api.get(f"/pages/{PAGE}").respond(json=page())
    top = [block("heading_1", THREE, "Goals"), block("bulleted_list_item", ONE, "first", has_children=True)]
    route = api.get(f"/blocks/{PAGE}/children").respond(json=listed(*top, cursor="n2"))
    api.get(f"/blocks/{ONE}/children").respond(json=listed(block("to_do", TWO, "inner")))
    read = await tool("get_page", page_id=f"https://www.notion.so/team/Plan-{PAGE.replace('-', '')}?pvs=4")
    assert read["markdown"] == "# Goals\n\n- first\n  - [ ] inner"
    assert (read["title"], read["properties"], read["parent"]) == ("Plan", {"Name": "Plan"}, "workspace")
    assert dict(route.calls.last.request.url.params) == {"page_size": "50"}
    route.respond(json=listed(block("paragraph", TWO, "the end")))
    rest = await tool("get_page", page_id=PAGE, cursor=read["next_cursor"])
    assert rest == {"id": PAGE, "markdown": "the end"}
    assert route.calls.last.request.url.params["start_cursor"] == "n2"


async def test_a_page_with_very_much_inside_says_where_to_go_on(tool: Tool, api: respx.MockRouter) -> None:
    api.get(f"/pages/{PAGE}").respond(json=page())
    ids = [f"{number:08x}-0000-4000-8000-{'2' * 12}" for number in range(20)]
    nested = [block("toggle", each, f"part {number}", has_children=True) for number, each in enumerate(ids)]
    api.get(f"/blocks/{PAGE}/children").respond(json=listed(*nested))
    inside = api.get(path__regex=r"/blocks/[0-9a-f]{8}-0000-4000-8000-2+/children")
    inside.respond(json=listed(block("paragraph", ONE, "x")))
    read = await tool("get_page", page_id=PAGE)
    assert inside.call_count == 15
    assert f"[more inside: get_page with block_id {ids[15]}]" in read["markdown"]
    more = await tool("get_page", page_id=PAGE, block_id=ids[15])
    assert more == {"id": ids[15], "markdown": "x"}


async def test_a_login_withdrawn_between_two_parts_of_a_page_is_said(tool: Tool, api: respx.MockRouter) -> None:
    api.get(f"/pages/{PAGE}").respond(json=page())
    route = api.get(f"/blocks/{PAGE}/children")
    route.respond(json=listed(block("paragraph", ONE, "x"), cursor="n2"))
    first = await tool("get_page", page_id=PAGE)
    route.mock(return_value=error(401, "unauthorized", "API token is invalid."))
    gone = await failed(tool, "get_page", page_id=PAGE, cursor=first["next_cursor"])
    assert (gone.code, gone.outcome) == (Code.AUTH_REVOKED, Outcome.NOT_APPLIED)


async def test_a_page_that_was_not_shared_is_not_found_and_a_person_can_help(tool: Tool, api: respx.MockRouter) -> None:
    api.get(f"/pages/{PAGE}").mock(return_value=error(404, "object_not_found", "Could not find page."))
    lost = await failed(tool, "get_page", page_id=PAGE)
    assert (lost.code, "share" in lost.next_step) == (Code.NOT_FOUND, True)


@pytest.mark.parametrize("known", ["plan", "../users", "https://evil.example/" + "1" * 32, "1" * 31, ""])
async def test_what_is_no_id_is_refused_before_anything_is_sent(tool: Tool, api: respx.MockRouter, known: str) -> None:
    assert (await failed(tool, "get_page", page_id=known)).code is Code.INVALID_INPUT
    assert api.calls.call_count == 0


async def test_a_database_leads_to_its_data_sources_and_their_properties(tool: Tool, api: respx.MockRouter) -> None:
    body = {"object": "database", "id": BASE, "title": words("Work"), "data_sources": [{"id": SOURCE, "name": "Tasks"}]}
    api.get(f"/databases/{BASE}").respond(json=body)
    assert (await tool("get_database", database_id=BASE))["data_sources"] == [{"id": SOURCE, "name": "Tasks"}]
    source(api)
    found = await tool("get_data_source", data_source_id=SOURCE)
    assert found["properties"]["Status"] == {"type": "status", "choices": ["Open", "Done"]}
    assert found["properties"]["Due"] == {"type": "date"}


async def test_rows_are_asked_for_with_the_fields_that_are_wanted(tool: Tool, api: respx.MockRouter) -> None:
    source(api)
    held = {"Status": {"id": "a%3A", "type": "status", "status": {"id": "2", "name": "Done"}}}
    route = api.post(f"/data_sources/{SOURCE}/query").respond(json=listed(page(ROW, properties=held)))
    where = {"property": "Status", "status": {"equals": "Done"}}
    found = await tool("query_data_source", data_source_id=SOURCE, filter=where, sort="-Due", properties=["Status"])
    assert sent(route) == {
        "page_size": 20,
        "filter": where,
        "sorts": [{"property": "Due", "direction": "descending"}],
    }
    assert route.calls.last.request.url.params.get_list("filter_properties") == ["a%3A"]
    assert found["items"][0]["properties"] == {"Status": "Done"}
    unknown = await failed(tool, "query_data_source", data_source_id=SOURCE, properties=["Staus"])
    assert (unknown.code, "Status" in unknown.fields["properties"]) == (Code.INVALID_INPUT, True)


async def test_a_database_id_in_the_place_of_a_data_source_leads_on(tool: Tool, api: respx.MockRouter) -> None:
    answer = error(404, "object_not_found", "Could not find data source.")
    api.post(f"/data_sources/{BASE}/query").mock(return_value=answer)
    lost = await failed(tool, "query_data_source", data_source_id=BASE)
    assert (lost.code, "get_database" in lost.next_step) == (Code.NOT_FOUND, True)


async def test_properties_are_told_as_plain_values(tool: Tool, api: respx.MockRouter) -> None:
    held: dict[str, Any] = {
        "Name": {"type": "title", "title": words("Row")},
        "Text": {"type": "rich_text", "rich_text": words("x" * 900)},
        "Empty": {"type": "select", "select": None},
        "Points": {"type": "number", "number": 0},
        "When": {"type": "date", "date": {"start": "2026-12-01", "end": "2026-12-05", "time_zone": None}},
        "Owner": {"type": "people", "people": [{"object": "user", "id": ANN, "name": "Ann"}, {"id": BOT}]},
        "Links": {"type": "relation", "relation": [{"id": PAGE}], "has_more": False},
        "Total": {"type": "rollup", "rollup": {"type": "array", "array": [{"type": "number", "number": 3}]}},
        "Later": {"type": "rollup", "rollup": {"type": "incomplete", "incomplete": {}}},
        "Sum": {"type": "formula", "formula": {"type": "string", "string": "ok"}},
        "No": {"type": "unique_id", "unique_id": {"prefix": "T", "number": 7}},
        "New": {"type": "of_next_year", "of_next_year": {"x": 1}},
    }
    api.post(f"/data_sources/{SOURCE}/query").respond(json=listed(page(ROW, properties=held)))
    (row,) = (await tool("query_data_source", data_source_id=SOURCE))["items"]
    told = row["properties"]
    assert len(told.pop("Text")) == 501
    assert told == {
        "Name": "Row",
        "Points": 0,
        "When": "2026-12-01/2026-12-05",
        "Owner": ["Ann", BOT],
        "Links": [PAGE],
        "Total": [3],
        "Later": "(incomplete)",
        "Sum": "ok",
        "No": "T-7",
    }


async def test_a_page_is_made_from_markdown_in_one_request(tool: Tool, api: respx.MockRouter) -> None:
    route = api.post("/pages").respond(json=page(title="Minutes *1*"))
    made = await tool("create_page", title="Minutes *1*", parent_page_id=PAGE, markdown="# Who\n\n- **Ann**")
    assert sent(route) == {
        "parent": {"type": "page_id", "page_id": PAGE},
        "properties": {"title": {"title": [{"type": "text", "text": {"content": "Minutes *1*"}}]}},
        "children": [
            {"type": "heading_1", "heading_1": {"rich_text": [{"type": "text", "text": {"content": "Who"}}]}},
            {
                "type": "bulleted_list_item",
                "bulleted_list_item": {
                    "rich_text": [{"type": "text", "text": {"content": "Ann"}, "annotations": {"bold": True}}]
                },
            },
        ],
    }
    assert (made["id"], made["title"]) == (PAGE, "Minutes *1*")


async def test_a_row_gets_its_properties_in_notions_form(tool: Tool, api: respx.MockRouter) -> None:
    source(api)
    route = api.post("/pages").respond(json=page(ROW))
    given = {
        "Status": "Done",
        "Tags": ["red"],
        "Due": "2026-12-01/2026-12-05",
        "Points": 3,
        "Owner": [ANN],
        "Ready": True,
    }
    await tool("create_page", title="Row", data_source_id=SOURCE, properties=given)
    assert sent(route)["parent"] == {"type": "data_source_id", "data_source_id": SOURCE}
    assert sent(route)["properties"] == {
        "title": {"title": [{"type": "text", "text": {"content": "Row"}}]},
        "Status": {"status": {"name": "Done"}},
        "Tags": {"multi_select": [{"name": "red"}]},
        "Due": {"date": {"start": "2026-12-01", "end": "2026-12-05"}},
        "Points": {"number": 3},
        "Owner": {"people": [{"object": "user", "id": ANN}]},
        "Ready": {"checkbox": True},
    }
    assert "children" not in sent(route)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"status": "Done"}, "did you mean 'Status'"),
        ({"Colour": "red"}, "there are: Status"),
        ({"Status": "Finished"}, "Open, Done"),
        ({"Tags": ["red", "blue"]}, "no choice 'blue'"),
        ({"Due": "1.12.2026"}, "ISO date"),
        ({"Due": "2026-12-05/2026-12-01"}, "ends before"),
        ({"Due": "2026-12-05/2026-12-01T09:00:00Z"}, "ends before"),
        ({"Due": "2026-12-01/2026-12-02/2026-12-03"}, "one date, or two"),
        ({"Points": "3"}, "a number"),
        ({"Ready": "yes"}, "true or false"),
        ({"Owner": ["Ann"]}, "neither an id"),
        ({"Sum": "4"}, "computes"),
        ({"Name": "twice"}, "no property here"),
    ],
)
async def test_a_property_that_does_not_fit_is_named_and_nothing_is_made(
    tool: Tool, api: respx.MockRouter, given: dict[str, Any], why: str
) -> None:
    source(api)
    made = api.post("/pages").respond(json=page(ROW))
    refused = await failed(tool, "create_page", title="Row", data_source_id=SOURCE, properties=given)
    (said,) = refused.fields.values()
    assert (refused.code, refused.outcome, why in said) == (Code.INVALID_INPUT, Outcome.NOT_APPLIED, True)
    assert made.call_count == 0


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"parent_page_id": PAGE, "data_source_id": SOURCE},
        {"parent_page_id": PAGE, "properties": {"Status": "Done"}},
        {"parent_page_id": PAGE, "markdown": "\n\n".join(["x"] * 101)},
    ],
)
async def test_a_page_that_cannot_be_made_at_once_is_refused(
    tool: Tool, api: respx.MockRouter, given: dict[str, Any]
) -> None:
    assert (await failed(tool, "create_page", title="Row", **given)).code is Code.INVALID_INPUT
    assert api.calls.call_count == 0


async def test_text_is_added_at_the_end_or_after_a_block(tool: Tool, api: respx.MockRouter) -> None:
    new = listed(block("paragraph", ONE, "a"), block("paragraph", TWO, "b"), block("paragraph", THREE, "older"))
    route = api.patch(f"/blocks/{PAGE}/children").respond(json=new)
    added = await tool("append_to_page", page_id=PAGE, markdown="a\n\nb", after_block_id=THREE)
    assert (sent(route)["after"], len(sent(route)["children"])) == (THREE, 2)
    assert added == {"blocks": 2, "first_block_id": ONE, "last_block_id": TWO}
    assert (await failed(tool, "append_to_page", page_id=PAGE, markdown=" \n")).code is Code.INVALID_INPUT


async def test_a_page_in_the_trash_takes_no_text_and_says_how_to_get_it_back(tool: Tool, api: respx.MockRouter) -> None:
    message = "Can't edit block that is archived. You must unarchive the block before editing."
    api.patch(f"/blocks/{PAGE}/children").mock(return_value=error(400, "validation_error", message))
    refused = await failed(tool, "append_to_page", page_id=PAGE, markdown="a")
    assert (refused.code, refused.outcome) == (Code.CONFLICT, Outcome.NOT_APPLIED)
    assert "restore_page" in refused.next_step


async def test_overload_is_waited_for_and_the_write_goes_once_more(tool: Tool, api: respx.MockRouter) -> None:
    busy = httpx.Response(529, json={"object": "error", "status": 529, "code": "service_overload", "message": "m"})
    route = api.post("/pages")
    route.side_effect = [busy, busy]
    refused = await failed(tool, "create_page", title="T", parent_page_id=PAGE)
    assert (refused.code, refused.outcome) == (Code.RATE_LIMITED, Outcome.NOT_APPLIED)


async def test_properties_are_changed_unless_somebody_was_faster(tool: Tool, api: respx.MockRouter) -> None:
    source(api)
    row = page(ROW, parent={"type": "data_source_id", "data_source_id": SOURCE, "database_id": BASE})
    read = api.get(f"/pages/{ROW}").respond(json=row)
    route = api.patch(f"/pages/{ROW}").respond(json=row)
    change = {"page_id": ROW, "properties": {"Status": "Done", "Due": None, "Tags": None, "Name": "New *name*"}}
    await tool("update_page_properties", **change, unless_edited_since=EDITED)
    assert sent(route)["properties"]["Name"]["title"][1]["annotations"] == {"italic": True}
    assert {name: value for name, value in sent(route)["properties"].items() if name != "Name"} == {
        "Status": {"status": {"name": "Done"}},
        "Due": {"date": None},
        "Tags": {"multi_select": []},
    }
    late = await failed(tool, "update_page_properties", **change, unless_edited_since="2026-11-22T08:59:00.000Z")
    assert (late.code, "get_page" in late.next_step, route.call_count) == (Code.CONFLICT, True, 1)
    read.respond(json={**row, "in_trash": True})
    assert (await failed(tool, "update_page_properties", **change)).code is Code.CONFLICT


async def test_two_who_save_at_the_same_moment_meet_a_conflict(tool: Tool, api: respx.MockRouter) -> None:
    api.get(f"/pages/{PAGE}").respond(json=page())
    api.patch(f"/pages/{PAGE}").mock(return_value=error(409, "conflict_error", "Conflict occurred while saving."))
    refused = await failed(tool, "update_page_properties", page_id=PAGE, properties={"Name": "x"})
    assert (refused.code, refused.outcome) == (Code.CONFLICT, Outcome.NOT_APPLIED)


async def test_a_page_is_shown_before_it_goes_into_the_trash(tool: Tool, api: respx.MockRouter, person: Person) -> None:
    read = api.get(f"/pages/{PAGE}").respond(json=page())
    inside = listed(block("paragraph", ONE, "Top secret"), child("Sub", TWO))
    api.get(f"/blocks/{PAGE}/children").respond(json=inside)
    route = api.patch(f"/pages/{PAGE}").respond(json=page(in_trash=True))
    await tool("archive_page", page_id=PAGE)
    shown = person.asked[0].preview
    assert (shown["title"], shown["begins_with"], shown["pages_inside"]) == ("Plan", "Top secret", ["Sub"])
    assert sent(route) == {"in_trash": True}
    read.respond(json=page(in_trash=True))
    assert (await failed(tool, "archive_page", page_id=PAGE)).code is Code.ALREADY_DONE
    await tool("restore_page", page_id=PAGE)
    assert sent(route) == {"in_trash": False}


async def test_people_and_comments_are_listed_to_the_end(tool: Tool, api: respx.MockRouter) -> None:
    ann = {"object": "user", "id": ANN, "type": "person", "name": "Ann", "person": {"email": "ann@a.example"}}
    users = api.get("/users").respond(json=listed(ann, cursor="u2"))
    first = await tool("list_users")
    assert first["items"] == [{"id": ANN, "kind": "person", "name": "Ann", "email": "ann@a.example"}]
    users.respond(json=listed())
    await tool("list_users", cursor=first["next_cursor"])
    assert dict(users.calls.last.request.url.params) == {"page_size": "50", "start_cursor": "u2"}
    said = {
        "id": ONE,
        "discussion_id": TWO,
        "created_time": EDITED,
        "created_by": {"id": ANN},
        "rich_text": words("hi"),
    }
    route = api.get("/comments").respond(
        json=listed({**said, "display_name": {"type": "user", "resolved_name": "Ann"}})
    )
    (told,) = (await tool("list_comments", page_id=PAGE))["items"]
    assert (told["text"], told["author"]) == ("hi", "Ann")
    assert dict(route.calls.last.request.url.params) == {"page_size": "20", "block_id": PAGE}


async def test_a_comment_begins_a_discussion_or_answers_in_one(tool: Tool, api: respx.MockRouter) -> None:
    route = api.post("/comments").respond(json={"object": "comment", "id": ONE, "discussion_id": TWO})
    await tool("add_comment", page_id=PAGE, text="See [this](https://a.example)")
    assert sent(route) == {
        "parent": {"type": "page_id", "page_id": PAGE},
        "rich_text": [
            {"type": "text", "text": {"content": "See "}},
            {"type": "text", "text": {"content": "this", "link": {"url": "https://a.example"}}},
        ],
    }
    await tool("add_comment", page_id=PAGE, text="Yes", discussion_id=TWO)
    assert sent(route) == {"discussion_id": TWO, "rich_text": [{"type": "text", "text": {"content": "Yes"}}]}


LOST = httpx.ReadTimeout("lost")
MINUTES = {"title": "Minutes", "parent_page_id": PAGE}


async def test_a_page_whose_answer_is_lost_is_found_again(tool: Tool, api: respx.MockRouter, journal: Journal) -> None:
    route = api.post("/pages").mock(side_effect=LOST)
    theirs = child("Minutes", ONE, created_by={"id": ANN})
    old = child("Minutes", TWO, created_time="2020-01-01T00:00:00.000Z")
    api.get(f"/blocks/{PAGE}/children").respond(json=listed(theirs, old, child("Minutes", THREE)))
    api.get(f"/pages/{THREE}").respond(json=page(THREE, "Minutes"))
    assert (await tool("create_page", **MINUTES))["id"] == THREE
    assert route.call_count == 1


async def test_a_page_that_is_not_there_was_not_made(tool: Tool, api: respx.MockRouter, journal: Journal) -> None:
    route = api.post("/pages").mock(side_effect=LOST)
    api.get(f"/blocks/{PAGE}/children").respond(json=listed(child("Other", ONE)))
    refused = await failed(tool, "create_page", **MINUTES)
    assert (refused.outcome, route.call_count) == (Outcome.NOT_APPLIED, 1)


async def test_two_pages_that_could_be_it_leave_the_end_unknown(
    tool: Tool, api: respx.MockRouter, journal: Journal
) -> None:
    route = api.post("/pages").respond(500, json={"object": "error", "code": "internal_server_error", "message": "m"})
    api.get(f"/blocks/{PAGE}/children").respond(json=listed(child("Minutes", ONE), child("Minutes", TWO)))
    refused = await failed(tool, "create_page", **MINUTES)
    assert (refused.code, refused.outcome, route.call_count) == (Code.OUTCOME_UNKNOWN, Outcome.UNKNOWN, 1)


async def test_a_row_whose_answer_is_lost_is_asked_for_by_title(
    tool: Tool, api: respx.MockRouter, journal: Journal
) -> None:
    api.post("/pages").mock(side_effect=LOST)
    route = api.post(f"/data_sources/{SOURCE}/query").respond(json=listed(page(ROW, "Row")))
    api.get(f"/pages/{ROW}").respond(json=page(ROW, "Row"))
    assert (await tool("create_page", title="Row", data_source_id=SOURCE))["id"] == ROW
    assert sent(route)["filter"]["and"][0] == {"property": "title", "title": {"equals": "Row"}}


async def test_text_whose_answer_is_lost_is_found_in_the_page(
    tool: Tool, api: respx.MockRouter, journal: Journal
) -> None:
    route = api.patch(f"/blocks/{PAGE}/children").mock(side_effect=LOST)
    there = [block("paragraph", PAGE, "a"), block("heading_2", ONE, "a"), block("paragraph", TWO, "b c")]
    api.get(f"/blocks/{PAGE}/children", params={"start_cursor": "p2"}).respond(json=listed(*there))
    api.get(f"/blocks/{PAGE}/children").respond(json=listed(block("paragraph", ROW, "z"), cursor="p2"))
    found = await tool("append_to_page", page_id=PAGE, markdown="## a\n\nb **c**")
    assert (found, route.call_count) == ({"blocks": 2, "first_block_id": ONE, "last_block_id": TWO}, 1)


async def test_text_of_another_author_or_time_is_not_taken_for_ours(
    tool: Tool, api: respx.MockRouter, journal: Journal
) -> None:
    api.patch(f"/blocks/{PAGE}/children").mock(side_effect=LOST)
    theirs = block("paragraph", ONE, "a", created_by={"id": ANN})
    old = block("paragraph", TWO, "a", created_time="2020-01-01T00:00:00.000Z")
    api.get(f"/blocks/{PAGE}/children").respond(json=listed(theirs, old))
    assert (await failed(tool, "append_to_page", page_id=PAGE, markdown="a")).outcome is Outcome.NOT_APPLIED


async def test_a_comment_whose_answer_is_lost_is_found_or_stays_unknown(
    tool: Tool, api: respx.MockRouter, journal: Journal
) -> None:
    route = api.post("/comments").mock(side_effect=LOST)
    said = {"id": ONE, "discussion_id": TWO, "created_time": now(), "created_by": {"id": BOT}, "rich_text": words("hi")}
    api.get("/comments").respond(json=listed(said))
    assert (await tool("add_comment", page_id=PAGE, text="hi"))["id"] == ONE
    gone = await failed(tool, "add_comment", page_id=PAGE, text="ho", discussion_id=TWO)
    assert gone.outcome is Outcome.NOT_APPLIED
    elsewhere = await failed(tool, "add_comment", page_id=PAGE, text="hu", discussion_id=THREE)
    assert (elsewhere.outcome, route.call_count) == (Outcome.UNKNOWN, 3)


async def test_a_state_that_is_set_is_set_again(tool: Tool, api: respx.MockRouter, journal: Journal) -> None:
    route = api.patch(f"/pages/{PAGE}")
    route.side_effect = [LOST, httpx.Response(200, json=page())]
    assert (await tool("restore_page", page_id=PAGE))["id"] == PAGE
    assert route.call_count == 2
