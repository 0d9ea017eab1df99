"""Attacks on the door of the HTTP server: tokens that were made for something else, or by somebody else."""

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwk, jwt
from mcp import MCPError
from tests.attacks.http_world import ACME, ALL, PUBLIC, World, world
from tests.attacks.issuer import Issuer, new_key, running

pytestmark = pytest.mark.anyio
GET_ADA = {"contact_id": "con_000001"}


@pytest.fixture
async def made(tmp_path: Path) -> AsyncGenerator[World]:
    async with world(tmp_path, ("acme", "generic")) as running_world:
        await running_world.connect("ann", "bob")
        yield running_world


def encoded(facts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(facts).encode()).rstrip(b"=").decode()


async def is_refused(made: World, token: str, path: str = "/mcp") -> bool:
    answer = await made.post(token, path=path)
    assert answer.status_code in (200, 401), answer.text
    return answer.status_code == 401 and 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_a_token_is_good_for_one_address(made: World) -> None:
    issuer = made.issuer
    assert not await is_refused(made, issuer.token(ALL))
    assert not await is_refused(made, issuer.token(ACME), "/acme/mcp")
    assert not await is_refused(made, issuer.token(["https://other.example", ACME]), "/acme/mcp")
    for audience in (
        ACME, "https://evil.example/mcp", f"{ALL}/", ALL.upper(), PUBLIC, "", None, [], [ACME], {"a": ALL},
        f"{PUBLIC}/generic/mcp", [[ALL]], ALL[:-1], f"{ALL} {ACME}", made.base + "/mcp",
    ):  # fmt: skip
        assert await is_refused(made, issuer.token(audience)), audience
    assert await is_refused(made, issuer.token(ALL), "/acme/mcp"), "the token for all is none for one"


async def test_a_token_that_has_ended_is_refused(made: World) -> None:
    assert await is_refused(made, made.issuer.token(ALL, exp=int(time.time()) - 62))
    assert not await is_refused(made, made.issuer.token(ALL, exp=int(time.time()) - 30)), "clocks may differ a little"


async def forgeries(made: World) -> dict[str, str]:
    """Tokens whose signature is nobody's, or made with what everybody can read."""
    issuer = made.issuer
    good = issuer.token(ALL)
    head, body, signature = good.split(".")
    public = issuer.keys[0].as_dict(private=False)
    pem = issuer.keys[0].as_pem(private=False)
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    head_facts = {"alg": "ES256", "typ": "at+jwt", "kid": "k1"}
    forged = {"alg": "HS256", "typ": "at+jwt", "kid": "k1"}

    def mac(secret: bytes) -> str:
        text = f"{encoded(forged)}.{body}"
        made = hmac.new(secret, text.encode(), hashlib.sha256).digest()
        return f"{text}.{base64.urlsafe_b64encode(made).rstrip(b'=').decode()}"

    stranger = new_key("k1")
    own = {**stranger.as_dict(private=False), "kid": "k1"}
    other = {**claims, "sub": "bob"}
    found = {
        "none": f"{encoded({'alg': 'none', 'typ': 'at+jwt'})}.{body}.",
        "None": f"{encoded({'alg': 'None', 'typ': 'at+jwt', 'kid': 'k1'})}.{body}.{signature}",
        "no alg": f"{encoded({'typ': 'at+jwt', 'kid': 'k1'})}.{body}.{signature}",
        "alg as a list": f"{encoded({'alg': ['ES256'], 'typ': 'at+jwt', 'kid': 'k1'})}.{body}.{signature}",
        "the public key as a secret": mac(pem),
        "the public key as JSON": mac(json.dumps(public).encode()),
        "an empty secret": mac(b""),
        "another body": f"{head}.{encoded(other)}.{signature}",
        "no signature": f"{head}.{body}.",
        "a zero signature": f"{head}.{body}.{base64.urlsafe_b64encode(bytes(64)).decode().rstrip('=')}",
        "a stranger's key under our kid": issuer.token(ALL, key=stranger),
        "a key in the header": issuer.token(ALL, key=stranger, header={"jwk": own}),
        "an address of keys in the header": issuer.token(ALL, key=stranger, header={"jku": "https://evil.example/k"}),
        "a critical extension": f"{encoded({**head_facts, 'crit': ['x'], 'x': 1})}.{body}.{signature}",
        "an algorithm of another key": f"{encoded({'alg': 'RS256', 'typ': 'at+jwt', 'kid': 'k1'})}.{body}.{signature}",
        "kid as a path": f"{encoded({'alg': 'ES256', 'typ': 'at+jwt', 'kid': '../../k1'})}.{body}.{signature}",
        "kid as a number": f"{encoded({'alg': 'ES256', 'typ': 'at+jwt', 'kid': 1})}.{body}.{signature}",
        "an ID token": issuer.token(ALL, header={"typ": "JWT"}),
        "another issuer's": issuer.token(ALL, iss="https://evil.example"),
        "not a token": "abc",
        "dots": "...",
        "huge": f"{head}.{'A' * 20_000}.{signature}",
        "bound to a key": issuer.token(ALL, cnf={"jkt": "x"}),
    }
    assert not await is_refused(made, good)
    return found


async def test_nothing_but_the_issuers_signature_counts(made: World) -> None:
    for what, token in (await forgeries(made)).items():
        assert await is_refused(made, token), what


async def test_a_shared_secret_in_the_key_set_is_no_key(made: World) -> None:
    """An issuer that publishes a secret by mistake must not let everybody sign."""
    secret = jwk.OctKey.generate_key(256, {"kid": "oops"})
    made.issuer.keys.append(secret)
    now = int(time.time())
    claims = {
        "iss": made.issuer.url,
        "aud": ALL,
        "sub": "ann",
        "client_id": "x",
        "iat": now,
        "exp": now + 60,
        "jti": "1",
    }
    token = jwt.encode({"alg": "HS256", "typ": "at+jwt", "kid": "oops"}, claims, secret)
    assert await is_refused(made, token)


async def test_a_token_anywhere_but_in_its_header_is_none(made: World) -> None:
    token = made.issuer.token(ALL)
    assert (await made.post(None, path=f"/mcp?access_token={token}")).status_code == 401
    assert (await made.post(None, cookie=f"access_token={token}")).status_code == 401
    twice = [("authorization", f"Bearer {token}"), ("authorization", "Bearer x"), ("accept", "text/event-stream")]
    answer = await made.http.post(f"{made.base}/mcp", content=b"{}", headers=twice)
    assert answer.status_code == 401
    for header in (f"Basic {token}", token, f"Bearer {token} x", "Bearer", f"Bearer\t{token}"):
        assert (await made.post(None, authorization=header)).status_code == 401, header[:12]
    assert (await made.post(None, authorization=f"bEARER {token}")).status_code == 200, "the scheme has no case"


async def test_a_flood_of_invented_keys_costs_the_issuer_nothing(made: World) -> None:
    assert not await is_refused(made, made.issuer.token(ALL))
    asked = made.issuer.counts["jwks"]
    flood = [made.issuer.token(ALL, header={"kid": f"invented-{number}"}) for number in range(300)]
    refused = await asyncio.gather(*(is_refused(made, token) for token in flood))
    assert all(refused)
    assert made.issuer.counts["jwks"] - asked <= 1
    assert not await is_refused(made, made.issuer.token(ALL)), "and those with good tokens notice nothing"


async def test_a_flood_of_unknown_tokens_is_asked_about_a_few_at_a_time(tmp_path: Path) -> None:
    from clew.core.secret import Secret

    async with world(tmp_path, verify="introspection", client_secret=Secret("clew-secret")) as made:
        same = await asyncio.gather(*(made.post("one-and-the-same") for _ in range(100)))
        assert {each.status_code for each in same} == {401}
        assert made.issuer.counts["introspect"] == 1


async def test_a_session_is_of_the_caller_who_opened_it(made: World) -> None:
    """The session id of one caller, stolen, in the hands of another one with a good token."""
    ann, bob = made.issuer.token(ALL, sub="ann"), made.issuer.token(ALL, sub="bob")
    opened = await made.post(ann)
    session = {"mcp_session_id": opened.headers["mcp-session-id"], "mcp_protocol_version": "2025-11-25"}
    listed = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    assert (await made.post(bob, body=listed, **session)).status_code == 404
    assert (
        await made.post(made.issuer.token(ALL, sub="ann", client_id="other"), body=listed, **session)
    ).status_code == 404
    assert (await made.post(None, body=listed, **session)).status_code == 401
    assert (await made.post(ann, body=listed, **session)).status_code == 200


async def test_what_one_caller_was_asked_another_cannot_answer(made: World) -> None:
    from mcp import types

    yes: types.InputResponses = {"approve": types.ElicitResult(action="accept", content={"approve": True})}

    async def never(context: object, params: object) -> types.ElicitResult:
        raise AssertionError("driven by hand")

    alan = {"contact_id": "con_000003"}
    async with made.client(made.issuer.token(ALL, sub="ann"), elicitation_callback=never) as ann:
        asked = await ann.session.call_tool("acme_delete_contact", alan, allow_input_required=True)
        assert isinstance(asked, types.InputRequiredResult)
    others: list[dict[str, Any]] = [{"sub": "bob"}, {"sub": "ann", "client_id": "another-program"}]
    for other in others:
        async with made.client(made.issuer.token(ALL, **other), elicitation_callback=never) as client:
            with pytest.raises(MCPError, match="Invalid or expired requestState"):
                await client.session.call_tool(
                    "acme_delete_contact", alan, input_responses=yes, request_state=asked.request_state
                )
    assert made.sandbox.state.committed("contact", "delete") == 0


async def test_what_was_too_long_for_one_caller_is_not_read_by_another(made: World) -> None:
    async with (
        made.client(made.issuer.token(ALL, sub="ann")) as ann,
        made.client(made.issuer.token(ALL, sub="bob")) as bob,
    ):
        made.sandbox.fault(
            "set_field", method="GET", path="/api/contacts/con_000001", field="company", value="x" * 30_000
        )
        cut = await ann.call_tool("acme_get_contact", GET_ADA)
        rest = cut.structured_content["partial"]["rest"]
        with pytest.raises(MCPError, match="no such resource"):
            await bob.read_resource(rest)
        assert (await ann.read_resource(rest)).contents


async def test_a_scope_cannot_be_had_by_hiding_the_call(tmp_path: Path) -> None:
    """The gate reads a body to tell the host; a body that it reads otherwise than the server must gain nothing."""
    scopes = {"read": ("acme:read",), "write": ("acme:write", "acme:destructive")}
    async with world(tmp_path, scopes=scopes) as made:
        await made.connect("ann")
        reader = made.issuer.token(ALL, scope="read")
        arguments = '{"subject":"x","body":"x","contact_id":"con_000001"}'
        params = '{"name":%s,"arguments":' + arguments + "}"
        call = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":' + params + "}"
        bodies = [
            call % '"create_ticket"',
            call % '"get_contact","name":"create_ticket"',
            call % '"create_ticket","name":"get_contact"',
            (call % '"create_ticket"').replace("tools/call", "tools\\u002fcall"),
            (call % '"create_tick\\u0065t"'),
            "[" + call % '"create_ticket"' + "]",
            "\ufeff" + call % '"create_ticket"',
        ]
        for body in bodies:
            for version in ("2025-11-25", "2025-03-26"):
                await made.http.post(
                    f"{made.base}/mcp", content=body.encode(),
                    headers={"authorization": f"Bearer {reader}", "content-type": "application/json",
                             "accept": "application/json, text/event-stream", "mcp-protocol-version": version},
                )  # fmt: skip
        async with made.client(reader) as client:
            with pytest.raises((MCPError, httpx.HTTPError, Exception)):
                await client.call_tool("create_ticket", {"contact_id": "con_000001", "subject": "s", "body": "b"})
        assert made.sandbox.state.committed("ticket", "create") == 0


@pytest.mark.parametrize("host", ["evil.example", "mcp.example.com.evil.example", "mcp.example.com:99", "0.0.0.0", ""])
async def test_a_name_that_was_rebound_to_us_is_not_ours(made: World, host: str) -> None:
    token = made.issuer.token(ALL)
    answer = await made.post(token, host=host)
    assert answer.status_code in (400, 421)
    assert (await made.post(token, host="mcp.example.com")).status_code == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "https://mcp.example.com.evil.example", "http://mcp.example.com"]
)
async def test_a_page_of_another_site_is_refused_before_its_token_is_looked_at(made: World, origin: str) -> None:
    assert (await made.post(made.issuer.token(ALL), origin=origin)).status_code == 403
    assert (await made.post(None, origin=origin)).status_code == 403


async def test_no_token_is_ever_logged_or_told_back(made: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    tokens = [*(await forgeries(made)).values(), made.issuer.token(ALL)]
    for token in tokens:
        answer = await made.post(token)
        if len(token) > 20:
            assert token not in answer.text + str(answer.headers)
    ours = "".join(
        record.getMessage() for record in caplog.records if record.name.startswith(("clew", "mcp", "uvicorn"))
    )
    assert not [token for token in tokens if len(token) > 20 and token in ours]


async def test_the_keys_of_another_issuer_open_nothing(tmp_path: Path) -> None:
    async with running(Issuer()) as evil, world(tmp_path) as made:
        evil.keys[0] = new_key("k1")
        assert await is_refused(made, evil.token(ALL))
        assert await is_refused(made, evil.token(ALL, iss=made.issuer.url))


async def test_metrics_are_for_this_machine(made: World) -> None:
    through = {"x-forwarded-for": "203.0.113.9"}
    assert (await made.http.get(f"{made.base}/metrics", headers=through)).status_code == 421
