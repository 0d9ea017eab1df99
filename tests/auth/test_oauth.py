"""OAuth messages, byte for byte where a specification gives them, and what each answer means."""

import dataclasses
import json
from urllib.parse import parse_qs, urlsplit

import pytest

from clew.auth.oauth import (
    Client,
    Grant,
    Refusal,
    authorization_url,
    code_request,
    judge,
    new_verifier,
    refresh_request,
)
from clew.auth.schemes import TokenAnswer, TokenRule
from clew.core.secret import Secret

from .conftest import SCHEME

NOW = 1_000_000.0
TOKEN_URL = "https://acme.example/token"


def body(request_body: bytes) -> dict[str, list[str]]:
    return parse_qs(request_body.decode(), keep_blank_values=True)


def test_the_authorization_address_has_pkce_state_and_scopes() -> None:
    # The verifier and challenge of RFC 7636, appendix B.
    url = authorization_url(
        dataclasses.replace(SCHEME, authorize_parameters={"prompt": "consent"}),
        "https://acme.example/authorize?tenant=1",
        Client("clew"),
        redirect_uri="http://127.0.0.1:1234/callback",
        state="s",
        verifier="dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        scopes=("read", "write"),
    )
    assert parse_qs(urlsplit(url).query) == {
        "tenant": ["1"],
        "response_type": ["code"],
        "client_id": ["clew"],
        "redirect_uri": ["http://127.0.0.1:1234/callback"],
        "scope": ["read write"],
        "state": ["s"],
        "prompt": ["consent"],
        "code_challenge": ["E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"],
        "code_challenge_method": ["S256"],
    }


def test_without_pkce_neither_challenge_nor_verifier_is_sent() -> None:
    scheme = dataclasses.replace(SCHEME, pkce="off")
    common = {"redirect_uri": "http://127.0.0.1:1/callback", "verifier": "v"}
    url = authorization_url(scheme, "https://acme.example/a", Client("c"), state="s", scopes=(), **common)
    assert "challenge" not in url
    assert "scope" not in url
    assert "code_verifier" not in body(code_request(scheme, TOKEN_URL, Client("c"), code=Secret("x"), **common).body)


def test_verifiers_are_long_and_never_repeat() -> None:
    assert len(new_verifier()) >= 43
    assert new_verifier() != new_verifier()


def test_a_public_client_names_itself_in_the_body() -> None:
    request = code_request(
        SCHEME, TOKEN_URL, Client("clew"), code=Secret("c"), redirect_uri="http://127.0.0.1:1/callback", verifier="v"
    )
    assert body(request.body) == {
        "grant_type": ["authorization_code"],
        "code": ["c"],
        "redirect_uri": ["http://127.0.0.1:1/callback"],
        "code_verifier": ["v"],
        "client_id": ["clew"],
    }
    assert request.headers["Accept"] == "application/json"
    assert "Authorization" not in request.headers


def test_a_secret_goes_into_the_body_or_into_basic() -> None:
    client = Client("s6BhdRkqt3", Secret("gX1fBat3bV"))
    post = refresh_request(SCHEME, TOKEN_URL, client, refresh_token=Secret("r"))
    assert body(post.body)["client_secret"] == ["gX1fBat3bV"]
    basic = refresh_request(
        dataclasses.replace(SCHEME, client_auth="basic"), TOKEN_URL, client, refresh_token=Secret("r")
    )
    # RFC 6749 section 2.3.1 has this very header.
    assert basic.headers["Authorization"] == "Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW"
    assert body(basic.body) == {"grant_type": ["refresh_token"], "refresh_token": ["r"]}


def test_extra_parameters_and_json_bodies_are_data() -> None:
    scheme = dataclasses.replace(SCHEME, refresh_parameters={"expiring": "1"}, body_format="json")
    request = refresh_request(scheme, TOKEN_URL, Client("c"), refresh_token=Secret("r+/="))
    assert json.loads(request.body) == {
        "grant_type": "refresh_token",
        "refresh_token": "r+/=",
        "expiring": "1",
        "client_id": "c",
    }
    assert request.headers["Content-Type"] == "application/json"


def test_messages_do_not_show_their_secrets() -> None:
    request = refresh_request(SCHEME, TOKEN_URL, Client("c", Secret("canary-s")), refresh_token=Secret("canary-r"))
    grant = judge(SCHEME, 200, b'{"access_token": "canary-a", "refresh_token": "canary-b"}')
    assert "canary" not in repr(request) + repr(grant)


def grant(content: object, status: int = 200) -> Grant:
    answer = judge(SCHEME, status, json.dumps(content).encode(), now=NOW)
    assert isinstance(answer, Grant)
    return answer


def test_a_full_answer_becomes_a_grant() -> None:
    full = {
        "access_token": "a",
        "refresh_token": "r",
        "expires_in": 3600,
        "refresh_token_expires_in": "7200",
        "scope": "repo,gist read",
    }
    expected = Grant(Secret("a"), Secret("r"), ("repo", "gist", "read"), NOW + 3600, NOW + 7200)
    assert grant(full) == expected


@pytest.mark.parametrize("lifetime", [None, "soon", 0, -5, [], {}, float("inf")])
def test_a_lifetime_that_makes_no_sense_is_unknown(lifetime: object) -> None:
    assert grant({"access_token": "a", "expires_in": lifetime}).expires_at is None


def test_a_fixed_lifetime_fills_in_for_a_missing_one() -> None:
    answer = judge(dataclasses.replace(SCHEME, expires_in=60), 200, b'{"access_token": "a"}', now=NOW)
    assert isinstance(answer, Grant)
    assert answer.expires_at == NOW + 60


def test_scopes_may_be_a_list_or_absent() -> None:
    assert grant({"access_token": "a", "scope": ["x", "y"]}).scopes == ("x", "y")
    assert grant({"access_token": "a"}).scopes is None


@pytest.mark.parametrize(
    ("more", "scopes"),
    [
        ({}, ("User.Read", "Mail.Read", "openid")),
        ({"refresh_token": "r"}, ("User.Read", "Mail.Read", "openid", "offline")),
    ],
)
def test_scopes_are_known_by_the_names_they_are_asked_by(more: dict[str, str], scopes: tuple[str, ...]) -> None:
    named = TokenAnswer(scope_prefix="https://api.example/", offline_scope="offline")
    said = {"access_token": "a", "scope": "https://api.example/User.Read Mail.Read openid", **more}
    answer = judge(dataclasses.replace(SCHEME, answer=named), 200, json.dumps(said).encode())
    assert isinstance(answer, Grant)
    assert answer.scopes == scopes
    unnamed = judge(dataclasses.replace(SCHEME, answer=named), 200, b'{"access_token": "a", "refresh_token": "r"}')
    assert isinstance(unnamed, Grant)
    assert unnamed.scopes is None


def test_a_form_encoded_answer_is_read() -> None:
    answer = judge(SCHEME, 200, b"access_token=a&scope=repo%2Cgist&token_type=bearer")
    assert isinstance(answer, Grant)
    assert answer.scopes == ("repo", "gist")


@pytest.mark.parametrize(
    ("status", "content", "verdict", "code"),
    [
        (400, b'{"error": "invalid_grant"}', "dead", "invalid_grant"),
        (200, b'{"error": "bad_refresh_token"}', "dead", "bad_refresh_token"),
        (200, b"error=bad_refresh_token&error_description=x", "dead", "bad_refresh_token"),
        (200, b'{"ok": false, "error": "invalid_refresh_token"}', "dead", "invalid_refresh_token"),
        (400, b'{"status": "BAD_REFRESH_TOKEN"}', "dead", "BAD_REFRESH_TOKEN"),
        (200, b'{"access_token": "a", "error": "invalid_grant"}', "dead", "invalid_grant"),
        (401, b'{"error": "invalid_client"}', "misconfigured", "invalid_client"),
        (200, b'{"error": "incorrect_client_credentials"}', "misconfigured", "incorrect_client_credentials"),
        (403, b'{"error": "access_denied"}', "misconfigured", "access_denied"),
        (400, b'{"error": {"code": "weird", "message": "m"}}', "misconfigured", "weird"),
        (503, b'{"error": "invalid_grant"}', "outage", "invalid_grant"),
        (429, b'{"error": "invalid_grant"}', "outage", "invalid_grant"),
        (400, b'{"error": "temporarily_unavailable"}', "outage", "temporarily_unavailable"),
        (500, b"<html>oops</html>", "outage", "no_token_answer"),
        (400, b"<html>a=b</html>", "outage", "no_token_answer"),
        (200, b"<html>login</html>", "outage", "no_token_answer"),
        (200, b"", "outage", "no_token_answer"),
        (200, b'{"access_token": ', "outage", "no_token_answer"),
        (200, b"[" * 100_000, "outage", "no_token_answer"),
        (200, b'{"access_token": ' + b"[" * 100_000, "outage", "no_token_answer"),
        (200, b'["access_token"]', "outage", "no_token_answer"),
        (200, b"\xff\xfe", "outage", "no_token_answer"),
        (200, b'{"token_type": "bearer"}', "outage", "no_token_answer"),
        (200, b'{"access_token": "a\\nX-Evil: 1"}', "outage", "no_token_answer"),
        (200, b'{"access_token": 5}', "outage", "no_token_answer"),
    ],
)
def test_every_refusal_is_dead_misconfigured_or_an_outage(status: int, content: bytes, verdict: str, code: str) -> None:
    answer = judge(SCHEME, status, content)
    assert isinstance(answer, Refusal)
    assert (answer.verdict, answer.code, answer.status) == (verdict, code, status)


def test_the_schemes_own_rules_come_first() -> None:
    atlassian = dataclasses.replace(
        SCHEME,
        token_errors=[TokenRule("dead", status=403, code="unauthorized_client", text="refresh_token is invalid")],
    )
    content = b'{"error": "unauthorized_client", "error_description": "refresh_token is invalid"}'
    answer = judge(atlassian, 403, content)
    assert isinstance(answer, Refusal)
    assert answer.verdict == "dead"
    other = judge(SCHEME, 403, content)
    assert isinstance(other, Refusal)
    assert other.verdict == "misconfigured"
