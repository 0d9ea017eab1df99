"""A resource server as hosts see it: where to get a token, whose calls they are, what a token opens."""

from pathlib import Path
from typing import Any

import pytest
from mcp import Client, types
from tests.attacks.http_world import ACME, ALL, LIST, PUBLIC, World, world

from clew.core.audit_reading import Filter, last
from clew.core.errors import ConfigurationError
from clew.core.policy import Decision
from clew.core.secret import Secret
from clew.servers.http import parse_address
from clew.servers.http_settings import read_http, with_environment
from clew.servers.settings import load_settings

pytestmark = pytest.mark.anyio
both_eras = pytest.mark.parametrize("era", ["legacy", "auto"])
READ, WRITE = "tools:read", "tools:write"
SCOPES = {READ: ("acme:read",), WRITE: ("acme.*:write", "*:destructive")}


def challenge(answer: Any) -> dict[str, str]:
    scheme, _, facts = answer.headers["www-authenticate"].partition(" ")
    assert scheme == "Bearer"
    return dict(part.split("=", 1) for part in facts.replace('"', "").split(", "))


async def test_without_a_token_a_host_learns_where_to_get_one(tmp_path: Path) -> None:
    async with world(tmp_path, ("acme", "generic"), scopes=SCOPES) as made:
        for path, resource in (("/mcp", ALL), ("/acme/mcp", ACME)):
            answer = await made.post(None, path=path)
            assert answer.status_code == 401
            said = challenge(answer)
            assert "error" not in said, "there was no token to be wrong"
            assert said["resource_metadata"] == f"{PUBLIC}/.well-known/oauth-protected-resource{path}"
            assert said["scope"] == f"{READ} {WRITE}"
            document = (await made.http.get(made.base + said["resource_metadata"].removeprefix(PUBLIC))).json()
            assert document["resource"] == resource
            assert document["authorization_servers"] == [made.issuer.url], "issuers are compared letter by letter"
            assert document["scopes_supported"] == [READ, WRITE]
            assert document["bearer_methods_supported"] == ["header"]
        root = (await made.http.get(f"{made.base}/.well-known/oauth-protected-resource")).json()
        assert root["resource"] == ALL


@both_eras
async def test_each_caller_uses_their_own_connections_and_is_named_in_the_records(tmp_path: Path, era: str) -> None:
    async with world(tmp_path) as made:
        await made.connect("ann", "local")
        async with made.client(made.issuer.token(ALL, sub="ann"), era=era) as ann:
            assert not (await ann.call_tool("get_contact", {"contact_id": "con_000001"})).is_error
        for other in ("bob", "local", "../ann", "ANN"):
            async with made.client(made.issuer.token(ALL, sub=other), era=era) as client:
                result = await client.call_tool("get_contact", {"contact_id": "con_000001"})
            assert result.structured_content["error"]["code"] == "auth_revoked"
        evidence = made.runtime.evidence
        assert evidence is not None
        await evidence.audit.flush()
        first = (await last(made.runtime.store.database, Filter(), 9))[0]
        assert (first["principal"], first["tenant"]) == ("ann", "ann")


@both_eras
async def test_a_claim_may_say_whom_a_caller_belongs_to(tmp_path: Path, era: str) -> None:
    async with world(tmp_path, tenant="org") as made:
        await made.connect("acme-inc")
        for sub in ("ann", "bob"):
            async with made.client(made.issuer.token(ALL, sub=sub, org="acme-inc"), era=era) as client:
                assert not (await client.call_tool("get_contact", {"contact_id": "con_000001"})).is_error
        assert (await made.post(made.issuer.token(ALL))).status_code == 401, "without the claim nobody knows"


async def test_all_may_share_what_the_server_has(tmp_path: Path) -> None:
    async with world(tmp_path, tenant="server") as made:
        await made.connect("local")
        async with made.client(made.issuer.token(ALL)) as client:
            assert not (await client.call_tool("get_contact", {"contact_id": "con_000001"})).is_error


async def test_one_connector_is_served_under_its_own_names(tmp_path: Path) -> None:
    async with world(tmp_path, ("acme", "github")) as made:
        async with made.client(made.issuer.token(ALL)) as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
            assert {"acme_get_contact", "github_list_issues"} <= names
        async with made.client(made.issuer.token(ACME), path="/acme/mcp") as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
            assert "get_contact" in names
            assert not [name for name in names if "github" in name or name == "list_issues"]
            result = await client.call_tool("get_contact", {"contact_id": "con_000001"})
            assert result.structured_content["error"]["code"] == "auth_revoked"


async def call(made: World, token: str, tool: str, **arguments: Any) -> Any:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    return await made.post(token, body=body)


async def test_a_call_that_needs_more_says_which_scopes_to_ask_for(tmp_path: Path) -> None:
    async with world(tmp_path, scopes=SCOPES) as made:
        await made.connect("ann")
        reader = made.issuer.token(ALL, scope=f"{READ} openid")
        answer = await call(made, reader, "create_ticket", subject="x")
        assert answer.status_code == 403
        said = challenge(answer)
        assert said["error"] == "insufficient_scope"
        assert said["scope"] == f"{READ} {WRITE}", "a host asks for what it has and what it lacks"
        assert said["resource_metadata"].endswith("/mcp")
        async with made.client(reader) as client:
            assert "create_ticket" in {tool.name for tool in (await client.list_tools()).tools}, "else nobody steps up"
            assert not (await client.call_tool("get_contact", {"contact_id": "con_000001"})).is_error
        both = made.issuer.token(ALL, scope=f"{READ} {WRITE}")
        async with made.client(both) as client:
            done = await client.call_tool("create_ticket", {"contact_id": "con_000001", "subject": "one", "body": "x"})
            assert not done.is_error


async def test_health_says_whether_to_send_work(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        for path in ("/healthz", "/readyz"):
            assert (await made.http.get(made.base + path)).json() == {"status": "ok"}
        made.runtime.closing = True
        assert (await made.http.get(f"{made.base}/healthz")).status_code == 200
        assert (await made.http.get(f"{made.base}/readyz")).json() == {"status": "closing"}
        late = await made.post(made.issuer.token(ALL))
        assert (late.status_code, late.headers["retry-after"]) == (503, "1")
        made.runtime.closing = False
        await made.runtime.store.database.close()
        assert (await made.http.get(f"{made.base}/readyz")).status_code in (500, 503)


async def test_while_the_issuer_is_out_nobody_is_told_to_log_in_again(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        made.issuer.down = True
        answer = await made.post(made.issuer.token(ALL))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "www-authenticate" not in answer.headers


async def test_a_token_may_be_asked_about_instead(tmp_path: Path) -> None:
    async with world(tmp_path, verify="introspection", client_secret=Secret("clew-secret")) as made:
        await made.connect("ann")
        async with made.client(made.issuer.opaque(ALL)) as client:
            assert not (await client.call_tool("get_contact", {"contact_id": "con_000001"})).is_error
        assert (await made.post(made.issuer.opaque(ACME))).status_code == 401
        assert (await made.post("unknown")).status_code == 401


@both_eras
async def test_a_yes_for_the_session_is_of_one_person_and_one_login(tmp_path: Path, era: str) -> None:
    async with world(tmp_path, writes=Decision.ASK) as made:
        await made.connect("ann", "bob")
        asked: list[str] = []

        async def agree(context: Any, params: Any) -> Any:
            asked.append(params.message)
            return types.ElicitResult(action="accept", content={"approve": True})

        async def write(client: Client, subject: str) -> None:
            ticket = {"contact_id": "con_000001", "subject": subject, "body": "x"}
            assert not (await client.call_tool("create_ticket", ticket)).is_error

        one, two = (made.issuer.token(ALL, sub="ann") for _ in range(2))
        async with made.client(one, era=era, elicitation_callback=agree) as client:
            await write(client, "1")
            await write(client, "2")
        assert len(asked) == 1
        async with made.client(two, era=era, elicitation_callback=agree) as client:
            await write(client, "3")
        async with made.client(made.issuer.token(ALL, sub="bob"), era=era, elicitation_callback=agree) as client:
            await write(client, "4")
        assert len(asked) == 3


async def test_other_addresses_than_loopback_need_somebody_who_vouches() -> None:
    assert parse_address("0.0.0.0:80", vouched=True) == ("0.0.0.0", 80)
    with pytest.raises(ConfigurationError, match="name an issuer"):
        parse_address("0.0.0.0:80")


BAD: list[tuple[dict[str, Any], str]] = [
    ({"isuer": "x"}, "no setting 'isuer'"),
    ({"issuer": "http://id.example"}, "must be an https address"),
    ({"issuer": "https://id.example"}, "no url"),
    ({"url": "https://mcp.example.com/clew"}, "must have no path"),
    ({"url": "https://ann@mcp.example.com"}, "must be an https address"),
    ({"client_secret": "x"}, "CLEW_HTTP_CLIENT_SECRET"),
    ({"verify": "trust"}, "jwt, introspection"),
    ({"url": PUBLIC, "issuer": "https://id.example", "verify": "introspection"}, "no client_id"),
    ({"scopes": {"a": ["*"]}}, "no issuer"),
    ({"scopes": {"a b": ["*"]}}, "cannot be a scope"),
    ({"scopes": {"a": []}}, "must be a list"),
    ({"scopes": {}}, "must be a table"),
    ({"origins": ["https://*.example"]}, "must be like"),
    ({"sessions": "no"}, "true or false"),
    ({"most_body": 5}, "bytes from"),
]


@pytest.mark.parametrize(("table", "why"), BAD)
async def test_settings_that_do_not_fit_are_refused(table: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        with_environment(read_http("http", table, "clew.toml"), {})


async def test_the_environment_is_nearer_than_the_file(tmp_path: Path) -> None:
    file = tmp_path / "clew.toml"
    file.write_text(f"[http]\nurl = '{PUBLIC}'\nissuer = 'https://old.example'\n[http.scopes]\na = '*'\n")
    said = load_settings(
        {"CLEW_CONFIG": str(file), "CLEW_HTTP_ISSUER": "https://id.example", "CLEW_HTTP_CLIENT_SECRET": "s3"}
    ).http
    assert (said.issuer, said.scopes, said.has_users) == ("https://id.example", {"a": ("*",)}, True)
    assert "s3" not in repr(said)


async def test_a_scope_that_opens_nothing_is_a_mistake(tmp_path: Path) -> None:
    for pattern, why in (("jira", "fits no tool"), ("acme:erase", "names no effect")):
        with pytest.raises((ConfigurationError, ExceptionGroup)) as caught:
            async with world(tmp_path, scopes={"x": (pattern,)}) as made:
                await made.post(None, body=LIST)
        assert why in str(caught.value) or why in str(getattr(caught.value, "exceptions", ""))
