"""Five ways of paging, and cursors that lead nowhere but on."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.core.errors import ContractChangedError, InvalidInputError
from clew.core.pages import (
    Answer,
    CursorPages,
    GraphQLPages,
    LinkPages,
    NextUrlPages,
    NumberPages,
    Page,
    Paginator,
    Place,
    items_of,
    place_of_url,
)

ASKED = "https://api.acme.example/v1/notes?limit=30"


def after(pages: Paginator, data: Any = None, url: str = ASKED, **headers: str) -> Place | None:
    return pages.next(Answer(data, headers, url))


def forge(*facts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(facts[0] if len(facts) == 1 else facts).encode()).decode().rstrip("=")


@given(
    st.dictionaries(st.text(), st.text() | st.lists(st.text(), min_size=2, max_size=3), max_size=4),
    st.none() | st.text(),
)
def test_a_place_comes_back_from_its_cursor(query: dict[str, str | list[str]], path: str | None) -> None:
    cursor = Place(query, path).cursor()
    assert Place.from_cursor(cursor) == Place(query, path)
    assert cursor.isascii()
    assert not set(cursor) & set("/+= ")


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "not base64 at all",
        "\N{SNOWMAN}",
        forge({}),
        forge([]),
        forge([{}]),
        forge([{}, None, 1]),
        forge(["a", None]),
        forge([{"a": 1}, None]),
        forge([{"a": None}, None]),
        forge([{"a": []}, None]),
        forge([{"a": [1]}, None]),
        forge([{"a": {"b": "c"}}, None]),
        forge([{}, 7]),
        forge([{"a": "\ud800"}, None]),
        forge(7),
        base64.urlsafe_b64encode(b"[" * 100_000).decode(),
        base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    ],
    ids=range(18),
)
def test_what_is_no_cursor_of_ours_is_refused_with_what_to_do(cursor: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Place.from_cursor(cursor)
    assert "next_cursor" in caught.value.next_step


@given(st.text(max_size=100))
def test_no_text_in_place_of_a_cursor_breaks_anything(cursor: str) -> None:
    try:
        place = Place.from_cursor(cursor)
    except InvalidInputError:
        return
    assert Place.from_cursor(place.cursor()) == place


def test_parameters_that_carry_a_credential_do_not_travel() -> None:
    assert Place({"page": "2", "api_key": "k"}, "/p").without({"api_key"}) == Place({"page": "2"}, "/p")


def test_a_page_needs_no_cursor() -> None:
    assert Page[int](items=[1]).model_dump(exclude_none=True) == {"items": [1]}


@pytest.mark.parametrize(
    ("link", "place"),
    [
        ("https://api.acme.example/v1/notes?page=2", Place({"page": "2"})),
        ("https://API.acme.example:443/v1/notes?page=2", Place({"page": "2"})),
        ("/v1/notes?page=2", Place({"page": "2"})),
        ("?page=2&q=", Place({"page": "2", "q": ""})),
        ("?id=1&id=2&x=%20", Place({"id": ["1", "2"], "x": " "})),
        ("/v1/notes/next/2", Place({}, "/v1/notes/next/2")),
    ],
)
def test_a_next_url_of_the_same_origin_becomes_a_place(link: str, place: Place) -> None:
    assert place_of_url(link, ASKED) == place


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/v1/notes?page=2",
        "//evil.example/v1/notes",
        "http://api.acme.example/v1/notes",
        "https://api.acme.example:8443/v1/notes",
        "https://api.acme.example@evil.example/v1/notes",
        "https://user:pass@api.acme.example/v1/notes",
        "https://api.acme.example.evil.example/",
        "file:///etc/passwd",
        "javascript:alert(1)",
    ],
)
def test_a_next_url_that_leaves_the_origin_is_not_followed(link: str) -> None:
    with pytest.raises(ContractChangedError, match="another host"):
        place_of_url(link, ASKED)


@pytest.mark.parametrize("link", ["https://[bad", "https://api.acme.example:port/", "https://api.acme.example:99999/"])
def test_a_next_url_that_is_no_url_is_a_changed_contract(link: str) -> None:
    with pytest.raises(ContractChangedError, match="no URL"):
        place_of_url(link, ASKED)


NEXT = "<https://api.acme.example/v1/notes?page=2>"


@pytest.mark.parametrize(
    "header",
    [
        f'{NEXT}; rel="next"',
        f"{NEXT}; rel=next",
        f"{NEXT};rel=next",
        f'{NEXT} ; REL = "Next"',
        f'{NEXT}; rel="last next"',
        f'{NEXT}; title="a, b"; rel="next"',
        f'{NEXT}; title="say \\"hi\\"; rel=prev"; rel="next"',
        f'<https://api.acme.example/v1/notes?page=9>; rel="last", {NEXT}; rel="next"',
        f'<https://evil.example/?a=1,2>; rel="prev",{NEXT}; rel="next", <https://evil.example/>; rel="last"',
        f'<https://evil.example/>; title="x>; rel=next"; rel=prev, {NEXT}; rel="next"; type="a/b"',
    ],
)
def test_the_next_link_is_found_in_every_spelling_the_grammar_allows(header: str) -> None:
    assert after(LinkPages(), link=header) == Place({"page": "2"})


@pytest.mark.parametrize(
    "header",
    [
        "",
        "<>",
        NEXT,
        f'{NEXT}; rel="prev"',
        f'{NEXT}; rel="nextish"',
        f'{NEXT}; rel="x-next"',
        f'{NEXT}; rel="prev"; rel="next"',
        f'{NEXT}; title="; rel=next"',
        f'{NEXT}; title="a, <b>; rel=next"; rel=prev',
        f"{NEXT}; norel=next",
        'nonsense; rel="next"',
        "<" * 5000,
        '<a>; x="' * 2000,
    ],
)
def test_what_is_not_a_next_link_ends_the_list(header: str) -> None:
    assert after(LinkPages(), link=header) is None


def test_without_a_link_header_the_list_ends() -> None:
    assert after(LinkPages()) is None
    assert LinkPages(size=5).first() == {"per_page": "5"}


def test_of_a_next_link_only_the_query_is_used() -> None:
    header = '<https://api.acme.example/repositories/17/issues?page=2>; rel="next"'
    assert after(LinkPages(), link=header) == Place({"page": "2"})


def test_a_next_link_to_another_host_is_not_followed() -> None:
    with pytest.raises(ContractChangedError, match="another host"):
        after(LinkPages(), link='<https://evil.example/v1/notes?page=2>; rel="next"')


@pytest.mark.parametrize("end", [{}, {"next": None}, {"next": ""}, {"next_cursor": None}, {"next_cursor": ""}, []])
def test_null_empty_and_absent_all_mean_the_end(end: Any) -> None:
    assert after(NextUrlPages(), end) is None
    assert after(CursorPages(), end) is None


def test_a_next_url_in_the_body_is_followed_with_its_path() -> None:
    assert after(NextUrlPages(), {"next": "/v1/notes/more?c=2"}) == Place({"c": "2"}, "/v1/notes/more")
    pages = NextUrlPages(next_url="['@odata.nextLink']", items="value", size=10, size_parameter="$top")
    assert after(pages, {"@odata.nextLink": ASKED + "&$skiptoken=x"}) == Place({"limit": "30", "$skiptoken": "x"})
    assert pages.first() == {"$top": "10"}
    assert NextUrlPages().first() == {}


@pytest.mark.parametrize(("next_url", "word"), [(7, "number"), (True, "boolean"), ({"href": "/"}, "object")])
def test_a_next_url_of_another_type_is_a_changed_contract(next_url: Any, word: str) -> None:
    with pytest.raises(ContractChangedError, match=f"next should be a URL and is {word}"):
        after(NextUrlPages(), {"next": next_url})


def test_a_cursor_goes_back_as_a_parameter() -> None:
    pages = CursorPages(cursor="meta.next", parameter="after", size=5)
    assert after(pages, {"meta": {"next": "abc"}}) == Place({"after": "abc"})
    assert after(pages, {"meta": {"next": 0}}) == Place({"after": "0"})
    assert after(pages, {"meta": {"next": False}}) is None
    assert pages.first() == {"limit": "5"}


def test_a_cursor_on_the_last_page_leads_nowhere() -> None:
    pages = CursorPages(cursor="meta.after", more="meta.has_more")
    assert after(pages, {"meta": {"after": "abc", "has_more": True}}) == Place({"cursor": "abc"})
    assert after(pages, {"meta": {"after": "abc", "has_more": False}}) is None
    assert after(pages, {"meta": {"after": "abc"}}) == Place({"cursor": "abc"})


@pytest.mark.parametrize(("cursor", "word"), [([1], "list"), ({"a": 1}, "object"), (True, "boolean"), (1.5, "number")])
def test_a_cursor_that_is_none_is_a_changed_contract(cursor: Any, word: str) -> None:
    with pytest.raises(ContractChangedError, match=f"next_cursor should be a cursor and is {word}"):
        after(CursorPages(), {"next_cursor": cursor})


ITEMS = {"items": list(range(30))}


def test_page_numbers_count_on_from_the_one_that_was_asked() -> None:
    assert after(NumberPages(), ITEMS, "https://x/?per_page=30&page=4") == Place({"page": "5"})
    assert after(NumberPages(), ITEMS, "https://x/") == Place({"page": "2"})
    assert NumberPages().first() == {"per_page": "30", "page": "1"}


def test_offsets_count_items() -> None:
    pages = NumberPages(parameter="offset", start=0, step="items", size_parameter="limit", more="more")
    assert after(pages, {**ITEMS, "more": True}, "https://x/?limit=30&offset=60") == Place({"offset": "90"})
    assert after(pages, {"items": [1, 2], "more": True}, "https://x/?offset=90") == Place({"offset": "92"})
    assert after(pages, {**ITEMS, "more": False}, "https://x/?offset=0") is None
    assert pages.first() == {"limit": "30", "offset": "0"}


def test_a_short_or_empty_page_is_the_last() -> None:
    assert after(NumberPages(), {"items": [1]}) is None
    assert after(NumberPages(more="more"), {"items": [], "more": True}) is None


def test_short_is_measured_by_the_size_that_was_asked_for() -> None:
    assert after(NumberPages(), {"items": [1, 2]}, "https://x/?per_page=2&page=1") == Place({"page": "2"})
    assert after(NumberPages(), ITEMS, "https://x/?per_page=100") is None
    assert after(NumberPages(), ITEMS, "https://x/?per_page=lots") == Place({"page": "2"})


def test_a_forged_number_counts_as_the_first() -> None:
    assert after(NumberPages(), ITEMS, "https://x/?page=abc") == Place({"page": "2"})
    assert after(NumberPages(), ITEMS, "https://x/?page=-4") == Place({"page": "2"})
    assert after(NumberPages(), ITEMS, "https://x/?page=" + "9" * 5000) == Place({"page": "2"})


@pytest.mark.parametrize("more", [{}, {"more": None}, {"more": "yes"}, {"more": 1}])
def test_a_list_does_not_end_silently_when_its_marker_is_gone(more: dict[str, Any]) -> None:
    with pytest.raises(ContractChangedError, match="more should be true or false"):
        after(NumberPages(more="more"), {**ITEMS, **more})


def connection(**info: Any) -> dict[str, Any]:
    return {"repo": {"issues": {"nodes": [1], "pageInfo": info}}}


def test_a_graphql_connection_is_followed_by_its_end_cursor() -> None:
    pages = GraphQLPages("repo.issues", size=5)
    assert after(pages, connection(hasNextPage=True, endCursor="abc")) == Place({"after": "abc"})
    assert after(pages, connection(hasNextPage=False, endCursor=None)) is None
    assert items_of(pages, connection()) == [1]
    assert pages.first() == {"first": "5"}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({}, "repo.issues.pageInfo.hasNextPage should be true or false"),
        (connection(), "repo.issues.pageInfo.hasNextPage should be true or false and is null"),
        (connection(hasNextPage="yes"), "is string"),
        (connection(hasNextPage=True), "repo.issues.pageInfo.endCursor should be a cursor and is missing"),
        (connection(hasNextPage=True, endCursor=None), "endCursor should be a cursor and is null"),
        (connection(hasNextPage=True, endCursor=""), "endCursor should be a cursor and is string"),
    ],
)
def test_a_graphql_page_without_its_page_info_is_a_changed_contract(data: Any, says: str) -> None:
    with pytest.raises(ContractChangedError, match=says):
        after(GraphQLPages("repo.issues"), data)


def test_items_are_the_body_or_stand_in_it() -> None:
    assert items_of(LinkPages(), [1, 2]) == [1, 2]
    assert items_of(CursorPages(items="data.list"), {"data": {"list": []}}) == []


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({}, "items should be a list and is missing"),
        ({"items": None}, "items should be a list and is null"),
        ({"items": {"0": 1}}, "items should be a list and is object"),
        ("<html>", "items should be a list and is missing"),
    ],
)
def test_items_that_are_not_where_they_should_be_are_a_changed_contract(data: Any, says: str) -> None:
    with pytest.raises(ContractChangedError, match=says):
        items_of(CursorPages(), data)
    with pytest.raises(ContractChangedError, match="the answer should be a list"):
        items_of(LinkPages(), {"items": []})


def test_a_size_is_not_sent_where_the_provider_takes_none() -> None:
    assert CursorPages(size=None).first() == {}
    pages = NumberPages(items=None, size=None)
    assert pages.first() == {"page": "1"}
    assert after(pages, [1], "https://api.acme.example/v1/notes?page=2") == Place({"page": "3"})
    assert after(pages, []) is None
