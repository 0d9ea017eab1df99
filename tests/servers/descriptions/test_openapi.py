"""OpenAPI and Swagger documents become tools: names, effects, arguments, results, paging, logins."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx

from clew.auth.schemes import ApiKey, Basic, Bearer, OAuth2
from clew.core.api import Api
from clew.core.connection import Connection
from clew.core.connector import Connector, Effect
from clew.core.deadline import Deadline
from clew.core.errors import ConfigurationError
from clew.core.exchange import Trail
from clew.core.host import SilentHost
from clew.core.once import ProviderKey
from clew.core.pages import Answer, CursorPages, LinkPages, NextUrlPages, NumberPages
from clew.core.wire import Wire
from clew.servers.descriptions.live import connector_of
from clew.servers.descriptions.names import of_operation, of_path, sentence
from clew.servers.descriptions.writing import module_of

from . import OK, answer, document, read

TICKET = {
    "type": "object",
    "required": ["id", "owner"],
    "properties": {
        "id": {"type": "integer"},
        "from": {"type": "string"},
        "owner": {"type": "object", "required": ["login"], "properties": {"login": {"type": "string"}}},
        "labels": {"type": "array", "items": {"type": "object", "properties": {"colour": {"type": "string"}}}},
        "html_url": {"type": "string"},
        "self_url": {"type": "string"},
        "old": {"type": "string", "deprecated": True},
        "note": {"type": "string", "nullable": True},
    },
}
LIST = {"type": "array", "items": {"$ref": "#/components/schemas/Ticket"}}
SIZE = {"name": "limit", "in": "query", "schema": {"type": "integer"}}


def shop(**more: Any) -> dict[str, Any]:
    """A small API with one of everything."""
    item: dict[str, Any] = {"name": "ticket_id", "in": "path", "required": True, "schema": {"type": "integer"}}
    body: dict[str, Any] = {
        "type": "object",
        "required": ["title"],
        "properties": {
            "title": {"type": "string"},
            "from": {"type": "string"},
            "priority": {"type": "string", "enum": ["low", "high"]},
            "contact": {
                "type": "object",
                "required": ["email"],
                "properties": {"email": {"type": "string"}, "x-name": {"type": "string"}},
            },
        },
    }
    query = [
        {"name": "state", "in": "query", "schema": {"type": "string"}},
        {"name": "tags", "in": "query", "explode": False, "schema": {"type": "array", "items": {"type": "string"}}},
        {"name": "page[size]", "in": "query", "schema": {"type": "integer"}},
        {"name": "cursor", "in": "query", "schema": {"type": "string"}},
    ]
    page: dict[str, Any] = {"type": "object", "properties": {"data": LIST, "next_cursor": {"type": "string"}}}
    paths: dict[str, Any] = {
        "/tickets": {
            "get": {"operationId": "listTickets", "tags": ["Tickets"], "parameters": query, "responses": answer(page)},
            "post": {
                "operationId": "createTicket",
                "tags": ["Tickets"],
                "parameters": [{"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}}],
                "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
                "responses": answer({"$ref": "#/components/schemas/Ticket"}),
            },
        },
        "/tickets/{ticket_id}": {
            "parameters": [item],
            "get": {"operationId": "getTicket", "responses": answer({"$ref": "#/components/schemas/Ticket"})},
            "delete": {"operationId": "deleteTicket", "responses": {"204": {"description": "gone"}}},
        },
    }
    schemes: dict[str, Any] = {"token": {"type": "http", "scheme": "bearer"}}
    return document(paths, components={"schemas": {"Ticket": TICKET}, "securitySchemes": schemes}, **more)


def load(text: str, folder: Path) -> Connector:
    """Import a written module."""
    path = folder / "written.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location("written_by_a_test", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[spec.name]
    return next(value for value in vars(module).values() if isinstance(value, Connector))


def api_of(connector: Connector, effect: Effect) -> Api:
    """The connector's requests, without credentials."""
    wire = Wire(
        connector,
        Connection("local", connector.name, "none"),
        None,
        httpx.AsyncClient(verify=False),
        connector.base_url,
    )
    return Api(wire, Deadline.after(5), Trail(), effect, SilentHost())


async def sent(connector: Connector, tool: str, reply: Any, **arguments: Any) -> tuple[httpx.Request, Any]:
    """The request that a tool makes, and what it returns."""
    chosen = connector.tools[tool]
    requests: list[httpx.Request] = []

    def replied(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json=reply)

    with respx.mock(assert_all_called=False) as router:
        router.route().mock(side_effect=replied)
        typed = chosen.signature.check(arguments)
        result = await chosen.function(api_of(connector, chosen.effect), **typed)
    return requests[0], chosen.signature.structured(result)


@pytest.fixture(params=["served", "written"])
def connector(request: pytest.FixtureRequest, tmp_path: Path) -> Connector:
    """The same description both ways: what one does, the other does."""
    found = read(shop(), name="shop")
    return connector_of(found) if request.param == "served" else load(module_of(found, found.chosen()), tmp_path)


def test_operations_become_tools_with_the_effects_of_their_methods(connector: Connector) -> None:
    effects = {name: tool.effect.value for name, tool in connector.tools.items()}
    assert effects == {
        "list_tickets": "read",
        "create_ticket": "write",
        "get_ticket": "read",
        "delete_ticket": "destructive",
    }
    assert connector.tools["delete_ticket"].preview is connector.tools["get_ticket"].function
    assert connector.tools["list_tickets"].toolset == "tickets"
    assert connector.tools["create_ticket"].once == ProviderKey(header="Idempotency-Key")
    assert [scheme.kind for scheme in connector.schemes] == ["bearer"]


@pytest.mark.anyio
async def test_a_list_is_paged_and_its_own_parameters_are_not_the_agents(connector: Connector) -> None:
    properties = connector.tools["list_tickets"].signature.input_schema["properties"]
    assert sorted(properties) == ["cursor", "state", "tags"]
    ticket = {"id": 1, "from": "ada", "owner": {"login": "ada"}, "labels": [{"colour": "red"}], "self_url": "x"}
    reply = {"data": [ticket], "next_cursor": "abc"}
    request, result = await sent(connector, "list_tickets", reply, state="open", tags=["a", "b"])
    assert dict(request.url.params) == {"page[size]": "30", "state": "open", "tags": "a,b"}
    assert result["items"] == [{"id": 1, "from_": "ada", "owner": "ada", "labels": [{"colour": "red"}]}]
    following, _ = await sent(connector, "list_tickets", {"data": []}, cursor=result["next_cursor"])
    assert following.url.params["cursor"] == "abc"


@pytest.mark.anyio
async def test_a_body_is_sent_under_the_provider_s_names_without_what_was_not_given(connector: Connector) -> None:
    arguments = {"title": "Fire", "from_": "ada", "contact": {"email": "a@b.c", "x-name": "A"}}
    request, result = await sent(connector, "create_ticket", {"id": 2, "owner": {"login": "x"}}, **arguments)
    assert json.loads(request.content) == {"title": "Fire", "from": "ada", "contact": {"email": "a@b.c", "x-name": "A"}}
    assert result == {"id": 2, "owner": "x"}
    assert connector.tools["create_ticket"].signature.input_schema["required"] == ["title"]


@pytest.mark.anyio
async def test_values_in_paths_cannot_leave_their_place(connector: Connector, tmp_path: Path) -> None:
    request, _ = await sent(connector, "get_ticket", {"id": 1, "owner": {"login": "x"}}, ticket_id=7)
    assert request.url.path == "/tickets/7"


def test_both_ways_show_an_agent_the_same(tmp_path: Path) -> None:
    found = read(shop(), name="shop")
    served, written = connector_of(found), load(module_of(found, found.chosen()), tmp_path)
    for name, tool in served.tools.items():
        other = written.tools[name]
        assert tool.signature.input_schema == other.signature.input_schema
        assert tool.signature.output_schema == other.signature.output_schema
        assert (tool.description, tool.effect, tool.toolset) == (other.description, other.effect, other.toolset)
    assert (served.base_url, served.errors) == (written.base_url, written.errors)


RUFF = [
    ["ruff", "check", "--select", "E,F,W,I,B,UP,SIM,C4,RET", "--line-length", "120", "--isolated"],
    ["ruff", "format", "--check", "--isolated", "--line-length", "120"],
]
MYPY = [["mypy", "--strict", "--config-file", ""]]


@pytest.mark.parametrize("checks", [RUFF, pytest.param(MYPY, marks=pytest.mark.slow)], ids=["ruff", "mypy"])
def test_what_is_written_passes(checks: list[list[str]], tmp_path: Path) -> None:
    found = read(shop(), name="shop")
    path = tmp_path / "shop.py"
    path.write_text(module_of(found, found.chosen(), source="shop.yaml"))
    for check in checks:
        command = [sys.executable, "-m", *check, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("parameters", "schema", "headers", "expected"),
    [
        ([SIZE, {"name": "page", "in": "query"}], LIST, {"Link": {}}, LinkPages(30, "limit")),
        (
            [{"name": "pageToken", "in": "query"}],
            {"type": "object", "properties": {"items": LIST, "nextPageToken": {"type": "string"}}},
            {},
            CursorPages(cursor="nextPageToken", parameter="pageToken", size=None),
        ),
        (
            [SIZE],
            {"type": "object", "properties": {"value": LIST, "@odata.nextLink": {"type": "string"}}},
            {},
            NextUrlPages(next_url="@odata.nextLink", items="value", size=30),
        ),
        (
            [SIZE, {"name": "offset", "in": "query", "schema": {"type": "integer", "default": 0}}],
            {"type": "object", "properties": {"records": LIST, "has_more": {"type": "boolean"}}},
            {},
            NumberPages("offset", 0, "items", items="records", more="has_more", size_parameter="limit"),
        ),
        ([SIZE, {"name": "page", "in": "query"}], LIST, {}, NumberPages(items=None, size_parameter="limit")),
        ([SIZE, {"name": "starting_after", "in": "query"}], {"type": "object", "properties": {"data": LIST}}, {}, None),
        ([], LIST, {}, None),
    ],
)
def test_the_ways_of_paging_are_recognised(
    parameters: list[Any], schema: Mapping[str, Any], headers: Mapping[str, Any], expected: Any
) -> None:
    operation: dict[str, Any] = {"parameters": parameters, "responses": answer(schema, headers=headers)}
    found = read(document({"/tickets": {"get": operation}}, components={"schemas": {"Ticket": TICKET}}))
    paginator = found.offers["list_tickets"].plan.pages
    if expected is None:
        assert paginator is None
    elif isinstance(expected, NextUrlPages):
        assert isinstance(paginator, NextUrlPages)
        assert (paginator.items, paginator.size) == (expected.items, expected.size)
        link = {"@odata.nextLink": "https://api.test/tickets?$skip=2"}
        following = paginator.next(Answer(link, {}, "https://api.test/tickets"))
        assert following is not None
    else:
        assert paginator == expected


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        ({"type": "http", "scheme": "basic"}, Basic()),
        ({"type": "http", "scheme": "Bearer"}, Bearer()),
        ({"type": "apiKey", "in": "header", "name": "X-Key"}, ApiKey(header="X-Key")),
        ({"type": "apiKey", "in": "query", "name": "key"}, ApiKey(query="key")),
        (
            {"type": "openIdConnect", "openIdConnectUrl": "https://id.api.test/x"},
            OAuth2(discovery_url="https://id.api.test/x"),
        ),
        (
            {
                "type": "oauth2",
                "flows": {
                    "authorizationCode": {
                        "authorizationUrl": "https://api.test/a",
                        "tokenUrl": "/token",
                        "scopes": {"read": ""},
                    }
                },
            },
            OAuth2(authorize_url="https://api.test/a", token_url="https://api.test/token"),
        ),
    ],
)
def test_the_ways_of_authenticating_are_recognised(scheme: Mapping[str, Any], expected: Any) -> None:
    found = read(document({"/a": {"get": {"responses": OK}}}, components={"securitySchemes": {"it": scheme}}))
    assert found.schemes == (expected,)


def test_a_scheme_that_we_do_not_have_is_noted_and_the_operator_may_say_another() -> None:
    cookie = {"it": {"type": "apiKey", "in": "cookie", "name": "sid"}}
    root: dict[str, Any] = document({"/a": {"get": {"responses": OK}}}, components={"securitySchemes": cookie})
    found = read(root)
    assert found.schemes == ()
    assert "neither in a header nor in the query" in found.notes[0]
    assert read(root, options={"auth": "api_key:X-Token"}).schemes == (ApiKey(header="X-Token"),)
    with pytest.raises(ConfigurationError, match="say bearer"):
        read(root, options={"auth": "magic"})


def test_the_scopes_of_an_operation_are_those_of_its_tool() -> None:
    flows: dict[str, Any] = {
        "authorizationCode": {"authorizationUrl": "/a", "tokenUrl": "/t", "scopes": {"read:x": ""}}
    }
    operation: dict[str, Any] = {"security": [{"it": ["read:x"]}], "responses": OK}
    schemes: dict[str, Any] = {"it": {"type": "oauth2", "flows": flows}}
    found = read(document({"/a": {"get": operation}}, components={"securitySchemes": schemes}))
    assert connector_of(found).tools["get_a"].scopes == ("read:x",)


def test_swagger_2_is_read_too() -> None:
    root: dict[str, Any] = {
        "swagger": "2.0",
        "info": {"title": "Pets"},
        "host": "pets.test",
        "basePath": "/v2",
        "schemes": ["http", "https"],
        "securityDefinitions": {"key": {"type": "apiKey", "in": "header", "name": "api_key"}},
        "definitions": {"Pet": {"type": "object", "properties": {"name": {"type": "string"}}}},
        "paths": {
            "/pets": {
                "get": {
                    "operationId": "findPets",
                    "parameters": [{"name": "tags", "in": "query", "type": "array", "items": {"type": "string"}}],
                    "responses": {200: {"schema": {"type": "array", "items": {"$ref": "#/definitions/Pet"}}}},
                },
                "post": {
                    "operationId": "addPet",
                    "parameters": [{"name": "body", "in": "body", "schema": {"$ref": "#/definitions/Pet"}}],
                    "responses": {"200": {"schema": {"$ref": "#/definitions/Pet"}}},
                },
            },
            "/pets/{id}/rename": {
                "post": {
                    "operationId": "renamePet",
                    "parameters": [
                        {"name": "id", "in": "path", "type": "integer", "required": True},
                        {"name": "name", "in": "formData", "type": "string", "required": True},
                    ],
                    "responses": {"200": {}},
                }
            },
        },
    }
    found = read(root)
    assert found.base_url == "https://pets.test/v2"
    assert found.offers["find_pets"].plan.arguments[0].joined
    assert [each.wire for each in found.offers["add_pet"].plan.of("body")] == ["name"]
    assert found.offers["rename_pet"].plan.form


def test_addresses_differ_from_account_to_account_where_the_description_says_so() -> None:
    server: dict[str, Any] = {
        "url": "https://your-domain.api.test/{region}",
        "variables": {"region": {"default": "eu", "enum": ["eu"]}},
    }
    schemes: dict[str, Any] = {"it": {"type": "http", "scheme": "bearer"}}
    root: dict[str, Any] = document(
        {"/a": {"get": {"responses": OK}}}, components={"securitySchemes": schemes}, servers=[server]
    )
    found = read(root)
    assert found.base_url == "https://{your_domain}.api.test/eu"
    assert list(getattr(found.schemes[0], "variables", {})) == ["your_domain"]
    assert read(root, options={"base_url": "https://x.test/"}).base_url == "https://x.test"


def test_what_is_destructive_needs_a_preview_and_takes_only_its_path() -> None:
    item = [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}]
    paths: dict[str, Any] = {
        "/a/{id}": {
            "parameters": item,
            "get": {"parameters": [{"name": "fields", "in": "query"}], "responses": OK},
            "delete": {"parameters": [{"name": "force", "in": "query"}], "responses": {}},
        },
        "/a/{id}/lock": {"parameters": item, "delete": {"operationId": "unlockIt", "responses": {}}},
        "/b/{id}": {"parameters": item, "delete": {"operationId": "deleteB", "responses": {}}},
        "/c/{id}": {
            "parameters": item,
            "get": {"responses": OK},
            "delete": {"parameters": [{"name": "sure", "in": "query", "required": True}], "responses": {}},
        },
        "/d/purge": {"post": {"operationId": "purgeEverything", "responses": {}}},
    }
    found = read(document(paths))
    assert {name: offer.preview for name, offer in found.offers.items() if offer.effect is Effect.DESTRUCTIVE} == {
        "delete_a": "get_a",
        "unlock_it": "get_a",
    }
    assert [each.name for each in found.offers["get_a"].plan.arguments] == ["id"]
    assert set(found.left_out.values()) == {"no read operation shows what it would hit"}
    assert len(found.left_out) == 3
    said = read(document(paths), effects={"purgeEverything": Effect.WRITE})
    assert said.offers["purge_everything"].effect is Effect.WRITE


def test_what_no_tool_can_do_is_left_out_with_the_reason() -> None:
    upload: dict[str, Any] = {
        "requestBody": {"required": True, "content": {"multipart/form-data": {}}},
        "responses": OK,
    }
    odd: dict[str, Any] = {
        "parameters": [{"name": "filter", "in": "query", "required": True, "schema": {"type": "object"}}],
        "responses": OK,
    }
    paths: dict[str, Any] = {
        "/upload": {"post": upload},
        "/pdf": {"get": {"responses": {"200": {"content": {"application/pdf": {}}}}}},
        "/odd": {"get": odd},
        "/old": {"get": {"deprecated": True, "responses": OK}},
    }
    found = read(document(paths))
    assert not found.offers
    assert [found.left_out[label] for label in sorted(found.left_out)] == [
        "it needs a query parameter that is an object (filter)",
        "it is deprecated",
        "it answers with application/pdf",
        "it takes multipart/form-data",
    ]
    with pytest.raises(ConfigurationError, match="it is left out, it is deprecated"):
        found.chosen(["GET /old"])


def test_the_version_and_the_errors_are_recognised() -> None:
    problem: dict[str, Any] = {
        "properties": {"error": {"properties": {"message": {"type": "string"}, "code": {"type": "string"}}}}
    }
    version: dict[str, Any] = {
        "name": "Api-Version",
        "in": "header",
        "required": True,
        "schema": {"enum": ["2026-01-01"]},
    }
    wrong: dict[str, Any] = {"description": "no", "content": {"application/json": {"schema": problem}}}
    found = read(document({"/a": {"get": {"parameters": [version], "responses": {**OK, "400": wrong}}}}))
    assert found.version is not None
    assert (found.version.value, found.version.header) == ("2026-01-01", "Api-Version")
    assert found.errors.message == ("error.message",)
    assert found.errors.provider_code == ("error.code",)
    assert found.offers["get_a"].plan.arguments == ()


@pytest.mark.parametrize(
    ("method", "path", "operation", "tag", "name"),
    [
        ("GET", "/repos/{o}/{r}/issues", "issues/list-for-repo", "issues", "list_issues_for_repo"),
        ("PUT", "/pulls/{n}/merge", "pulls/merge", "pulls", "merge_pull"),
        ("GET", "/x", "gmail.users.messages.list", "", "list_gmail_users_messages"),
        ("GET", "/pets/{id}", "petById", "", "get_pet_by_id"),
        ("GET", "/pets/{id}", "retrievePet", "", "get_pet"),
    ],
)
def test_tools_are_called_verb_noun(method: str, path: str, operation: str, tag: str, name: str) -> None:
    assert of_operation(method, path, operation, tag) == name


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/v1/customers", "list_customers"),
        ("GET", "/v1/customers/{c}", "get_customer"),
        ("POST", "/v1/customers", "create_customer"),
        ("POST", "/v1/customers/{c}", "update_customer"),
        ("POST", "/v1/invoices/{i}/finalize", "finalize_invoice"),
        ("DELETE", "/v1/customers/{c}/sources/{id}", "delete_customer_source"),
        ("GET", "/", "get_root"),
    ],
)
def test_names_are_made_of_paths_where_operations_have_none(method: str, path: str, name: str) -> None:
    assert of_path(method, path) == name


def test_long_texts_cost_nothing() -> None:
    long = "Word " * 100
    parameter: dict[str, Any] = {"name": "state", "in": "query", "description": long, "example": "sk_live_secret"}
    found = read(document({"/a": {"get": {"description": long, "parameters": [parameter], "responses": OK}}}))
    tool = connector_of(found).tools["get_a"]
    assert len(tool.description) <= 105
    assert tool.signature.input_schema["properties"] == {"state": {"type": "string"}}
    assert sentence("First **bold** `code` sentence. Second one.") == "First bold code sentence."
