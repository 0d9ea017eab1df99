"""GraphQL schemas become tools whose operations are valid by the schema, and run against an endpoint."""

import json
from pathlib import Path
from typing import Any

import graphql
import httpx
import pytest
import respx

from clew.core.connector import Connector
from clew.core.errors import ConfigurationError
from clew.servers.descriptions.graphql import OPTIONS, described_graphql
from clew.servers.descriptions.live import open_graphql
from clew.servers.descriptions.plans import Described
from clew.servers.descriptions.sources import read_source

from .test_openapi import api_of

SDL = '''
"""What work there is."""
type Issue { id: ID! title: String! state: State assignee: User labels: [String!]! parent: Issue
  secret(key: ID!): String }
type User { id: ID! name: String! issues(first: Int): IssueConnection }
type PageInfo { hasNextPage: Boolean! endCursor: String }
type IssueConnection { nodes: [Issue!]! pageInfo: PageInfo! }
type Deleted { ok: Boolean! }
enum State { OPEN CLOSED }
union Thing = Issue | User
input Where { state: State title: String and: [Where!] }
input NewIssue { title: String! state: State = OPEN labels: [String!] }
type Query {
  "Find one issue. And more words that nobody needs."
  issue(id: ID!): Issue
  issues(where: Where, first: Int, after: String): IssueConnection!
  viewer: User!
  things: [Thing!]!
  total: Int!
}
type Mutation {
  issueCreate(input: NewIssue!): Issue!
  deleteIssue(id: ID!): Deleted!
  deleteEverything: Deleted!
}
'''
SCHEMA = graphql.build_schema(SDL)
RUN: Any = vars(graphql)["graphql_sync"]
ISSUE = {"id": "1", "title": "Fire", "state": "OPEN", "assignee": {"id": "u", "name": "ada"}, "labels": ["a"]}
ROOT = {
    "issue": ISSUE,
    "issues": {"nodes": [ISSUE], "pageInfo": {"hasNextPage": True, "endCursor": "c1"}},
    "total": 3,
    "viewer": {"id": "u", "name": "ada"},
    "issueCreate": {**ISSUE, "assignee": None},
}


@pytest.fixture
def schema(tmp_path: Path) -> str:
    (tmp_path / "schema.graphql").write_text(SDL)
    return f"{tmp_path / 'schema.graphql'}#url=https://api.work.test/graphql&name=work"


def found_in(text: str) -> Described:
    return described_graphql(read_source(text, OPTIONS))


def executed(request: httpx.Request) -> httpx.Response:
    """What the endpoint answers: the schema's own execution."""
    asked: dict[str, Any] = json.loads(request.content)
    done = RUN(SCHEMA, asked["query"], ROOT, variable_values=asked.get("variables"))
    errors = [{"message": each.message} for each in done.errors or ()]
    return httpx.Response(200, json={"data": done.data, **({"errors": errors} if errors else {})})


async def called(connector: Connector, name: str, **arguments: Any) -> Any:
    tool = connector.tools[name]
    with respx.mock() as router:
        router.post("https://api.work.test/graphql").mock(side_effect=executed)
        result = await tool.function(api_of(connector, tool.effect), **tool.signature.check(arguments))
    return tool.signature.structured(result)


def test_queries_and_mutations_become_tools(schema: str) -> None:
    found = found_in(schema)
    assert {name: offer.effect.value for name, offer in found.offers.items()} == {
        "get_issue": "read",
        "list_issues": "read",
        "get_viewer": "read",
        "list_things": "read",
        "get_total": "read",
        "create_issue": "write",
        "delete_issue": "destructive",
    }
    assert found.offers["delete_issue"].preview == "get_issue"
    assert list(found.left_out) == ["mutation deleteEverything"]
    assert found.offers["get_issue"].doc == "Find one issue."


def test_every_operation_is_valid_by_the_schema(schema: str) -> None:
    for offer in found_in(schema).offers.values():
        assert graphql.validate(SCHEMA, graphql.parse(offer.plan.path)) == []


@pytest.mark.anyio
async def test_tools_run_against_an_endpoint(schema: str) -> None:
    connector = open_graphql(schema)
    one = {"id": "1", "title": "Fire", "state": "OPEN", "assignee": "ada", "labels": ["a"]}
    assert await called(connector, "get_issue", id="1") == {"result": one}
    page = await called(connector, "list_issues", where={"state": "OPEN", "and": [{"title": "x"}]})
    assert page["items"] == [one]
    assert page["next_cursor"]
    assert (await called(connector, "create_issue", input={"title": "New"}))["id"] == "1"
    assert await called(connector, "get_total") == {"result": 3}


@pytest.mark.anyio
async def test_an_introspected_endpoint_offers_the_same(schema: str) -> None:
    with respx.mock() as router:
        router.post("https://api.work.test/graphql").mock(side_effect=executed)
        asked = found_in("https://api.work.test/graphql#name=work")
    assert {name: offer.plan for name, offer in asked.offers.items()} == {
        name: offer.plan for name, offer in found_in(schema).offers.items()
    }


def test_introspection_that_is_disabled_is_a_clear_error() -> None:
    refused = {"errors": [{"message": "GraphQL introspection is not allowed"}]}
    for answer in (httpx.Response(400, json=refused), httpx.Response(200, json={"data": None})):
        with respx.mock() as router:
            router.post("https://api.work.test/graphql").mock(return_value=answer)
            with pytest.raises(ConfigurationError, match=r"introspection is disabled.*graphql:FILE#url="):
                found_in("https://api.work.test/graphql")


@pytest.mark.parametrize("text", ["type Query {", '{"data": {}}', "", "query { a }", "{" * 5000])
def test_what_is_no_schema_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "bad.graphql").write_text(text)
    with pytest.raises(ConfigurationError):
        found_in(f"{tmp_path / 'bad.graphql'}#url=https://api.work.test/graphql")


def test_names_that_are_not_graphql_s_reach_no_operation() -> None:
    kind = {"kind": "SCALAR", "name": "String"}
    evil = "a){secret} x:b("
    odd = {"kind": "SCALAR", "name": evil}
    fields: list[Any] = [
        {"name": evil, "args": [], "type": kind},
        {
            "name": "ok",
            "args": [{"name": evil, "type": kind}, {"name": "a", "type": odd}],
            "type": kind,
        },
    ]
    types: list[Any] = [{"kind": "OBJECT", "name": "Query", "fields": fields}]
    answer: dict[str, Any] = {"data": {"__schema": {"queryType": {"name": "Query"}, "types": types}}}
    with respx.mock() as router:
        router.post("https://api.work.test/graphql").mock(return_value=httpx.Response(200, json=answer))
        found = found_in("https://api.work.test/graphql")
    assert {name: offer.plan.path for name, offer in found.offers.items()} == {"get_ok": "query($a:String){ok(a:$a)}"}
