"""GraphQL through the `Api`: what is a query, what is a mutation, and what its errors leave open."""

import json
import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from clew.core.api import Api
from clew.core.connector import Effect
from clew.core.errors import (
    ConfigurationError,
    ContractChangedError,
    InvalidInputError,
    Outcome,
    OutcomeUnknownError,
    RateLimitError,
)
from clew.core.exchange import Trail
from clew.core.mapping import From
from clew.core.outcomes import ErrorMap, Rule
from clew.core.pages import GraphQLPages, Place

pytestmark = pytest.mark.anyio

Serve = Callable[..., Awaitable[tuple[str, list[bytes]]]]
Build = Callable[..., bytes]
Open = Callable[..., Api]


class Note(BaseModel):
    id: int
    author: Annotated[str, From("user.login")]


ADA = {"id": 7, "user": {"login": "ada"}, "more": "ignored"}


def line(request: bytes) -> str:
    return request.partition(b"\r\n")[0].decode().removesuffix(" HTTP/1.1")


def body(request: bytes) -> bytes:
    return request.partition(b"\r\n\r\n")[2]


def header(request: bytes, name: str) -> list[str]:
    return re.findall(rf"(?im)^{name}: (.*?)\r?$", request.partition(b"\r\n\r\n")[0].decode())


QUERY = "query { viewer { login } }"
MUTATION = "mutation { add { id } }"


async def test_a_graphql_query_is_mapped_from_below_data(serve: Serve, reply: Build, opened: Open) -> None:
    url, requests = await serve(reply(200, {"data": {"viewer": {"note": ADA}}}))
    api = opened(url, graphql="/api/graphql")
    assert (await api.graphql(QUERY, into=Note, at="viewer.note", variables={"a": 1})).author == "ada"
    assert line(requests[0]) == "POST /api/graphql"
    assert json.loads(body(requests[0])) == {"query": QUERY, "variables": {"a": 1}}


@pytest.mark.parametrize(
    "document",
    [
        MUTATION,
        "  \n mutation Add($x: Int) { add(x: $x) { id } }",
        "# a comment\nmutation { add { id } }",
        "\N{ZERO WIDTH NO-BREAK SPACE}mutation { add { id } }",
        ", , mutation { add { id } }",
        "fragment F on Note { id }\nmutation { add { ...F } }",
        'query A { x(text: "}") } mutation B { add { id } }',
        'query A { x(text: """ } # """) } mutation B { add { id } }',
        "query A { x # }\n } mutation B { add { id } }",
        "mutation@live { add { id } }",
    ],
)
async def test_a_mutation_is_seen_wherever_it_stands(serve: Serve, reply: Build, opened: Open, document: str) -> None:
    url, requests = await serve(reply(500))
    with pytest.raises(ConfigurationError, match="may not send a GraphQL mutation"):
        await opened(url).graphql(document, into=int, at="x")
    assert requests == []
    with pytest.raises(OutcomeUnknownError):
        await opened(url, Effect.WRITE).graphql(document, into=int, at="x")
    assert len(requests) == 1


@pytest.mark.parametrize(
    "document",
    [
        "{ mutation { id } }",
        'query { x(text: "mutation {}") }',
        "query { x } # mutation { add }",
        "query($mutation: Int) { x(a: $mutation) }",
        "query Immutation { x }",
        '"""mutation""" query { x }',
    ],
)
async def test_a_query_is_not_mistaken_for_a_mutation(serve: Serve, reply: Build, opened: Open, document: str) -> None:
    url, requests = await serve(reply(500), reply(200, {"data": {"x": 1}}))
    trail = Trail()
    assert await opened(url, trail=trail).graphql(document, into=int, at="x") == 1
    assert await opened(url, Effect.WRITE, trail).graphql(document, into=int, at="x") == 1
    assert len(requests) == 3
    assert trail.changed == 0


ERRORS = {"errors": [{"message": "no such\nfield", "type": "BAD", "path": ["x"]}]}


async def test_a_refused_query_is_an_invalid_argument_in_the_providers_words(
    serve: Serve, reply: Build, opened: Open
) -> None:
    url, _ = await serve(reply(200, {"data": {"x": 1}, **ERRORS}), reply(200, {"errors": ["odd"]}))
    with pytest.raises(InvalidInputError, match="acme refused the query") as caught:
        await opened(url).graphql(QUERY, into=int, at="x")
    assert (caught.value.provider_message, caught.value.provider_code) == ("no such field", "BAD")
    assert caught.value.status == 200
    with pytest.raises(InvalidInputError) as caught:
        await opened(url).graphql(QUERY, into=int, at="x")
    assert (caught.value.provider_message, caught.value.provider_code) == (None, None)


async def test_a_mutation_refused_before_it_ran_was_not_applied(serve: Serve, reply: Build, opened: Open) -> None:
    extended = {"errors": [{"message": "m", "extensions": {"code": "BAD_USER_INPUT"}}]}
    url, _ = await serve(reply(200, extended), reply(200, {"errors": ["odd"]}))
    trail = Trail()
    with pytest.raises(InvalidInputError) as caught:
        await opened(url, Effect.WRITE, trail).graphql(MUTATION, into=int, at="x")
    assert caught.value.provider_code == "BAD_USER_INPUT"
    with pytest.raises(InvalidInputError):
        await opened(url, Effect.WRITE, trail).graphql(MUTATION, into=int, at="x")
    assert trail.outcome() is Outcome.NOT_APPLIED


@pytest.mark.parametrize("data", [None, {"add": None}, {"add": {"id": 1}}])
async def test_a_mutation_that_failed_while_running_is_unknown(
    serve: Serve, reply: Build, opened: Open, data: Any
) -> None:
    url, _ = await serve(reply(200, {"data": data, **ERRORS}))
    trail = Trail()
    with pytest.raises(OutcomeUnknownError) as caught:
        await opened(url, Effect.WRITE, trail).graphql(MUTATION, into=int, at="x")
    assert caught.value.outcome is Outcome.UNKNOWN
    assert trail.outcome() is Outcome.UNKNOWN


async def test_rules_judge_graphql_errors_before_anything_else(serve: Serve, reply: Build, opened: Open) -> None:
    limited = ErrorMap(rules=(Rule(code="rate_limited", status=200, body={"errors[*].type": "BAD"}, retry_after=60),))
    url, _ = await serve(reply(200, {"data": None, **ERRORS}))
    with pytest.raises(RateLimitError):
        await opened(url, errors=limited).graphql(QUERY, into=int, at="x")


async def test_a_graphql_answer_of_another_shape_is_a_changed_contract(
    serve: Serve, reply: Build, opened: Open
) -> None:
    url, _ = await serve(reply(200, {"data": {"x": "text"}, "errors": []}), reply(200, "odd"))
    with pytest.raises(ContractChangedError, match=r"a\.b is missing") as caught:
        await opened(url).graphql(QUERY, into=int, at="a.b")
    assert caught.value.outcome is Outcome.NOT_APPLIED
    url, _ = await serve(reply(200, {"data": {"x": "text"}}))
    for at in ("a.b", "x"):
        with pytest.raises(ContractChangedError) as caught:
            await opened(url, Effect.WRITE).graphql(MUTATION, into=int, at=at)
        assert caught.value.outcome is Outcome.APPLIED


async def test_a_graphql_connection_is_paged_by_its_variable_alone(serve: Serve, reply: Build, opened: Open) -> None:
    def page(nodes: list[int], **info: Any) -> bytes:
        return reply(200, {"data": {"repo": {"notes": {"nodes": nodes, "pageInfo": info}}}})

    url, requests = await serve(
        page([1], hasNextPage=True, endCursor="c1"), page([2], hasNextPage=False, endCursor=None)
    )
    api = opened(url)
    pages = GraphQLPages("repo.notes", size=5)
    first = await api.graphql_page(QUERY, into=int, pages=pages, variables={"owner": "me"})
    assert first.items == [1]
    forged = Place({"after": "c1", "owner": "you", "first": "1000"}).cursor()
    last = await api.graphql_page(QUERY, into=int, pages=pages, variables={"owner": "me"}, cursor=forged)
    assert (last.items, last.next_cursor) == ([2], None)
    asked = [json.loads(body(request))["variables"] for request in requests]
    assert asked == [{"owner": "me", "first": 5}, {"owner": "me", "first": 5, "after": "c1"}]
    assert first.next_cursor == Place({"after": "c1"}).cursor()
