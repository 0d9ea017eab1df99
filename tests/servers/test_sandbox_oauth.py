"""Acme's authorization server, by real HTTP."""

import base64
import hashlib
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from clew.servers.sandbox import Sandbox

VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
REDIRECT = "http://127.0.0.1:9/callback"
SERVICE = ("acme-service", "acme-service-secret")
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox(access_token_seconds=600, device_interval_seconds=5) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    running.reset()
    return running


@pytest.fixture
def web(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sandbox.url) as client:
        yield client


def authorize_fields(**changes: str) -> dict[str, str]:
    return {
        "response_type": "code",
        "client_id": "clew-demo",
        "redirect_uri": REDIRECT,
        "scope": "contacts:read",
        "state": "st&te",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changes,
    }


def come_back(response: httpx.Response) -> dict[str, str]:
    assert response.status_code == 303, response.text
    location = response.headers["location"]
    assert location.startswith(REDIRECT + "?")
    return {key: values[0] for key, values in parse_qs(urlsplit(location).query).items()}


def get_code(web: httpx.Client, **changes: str) -> str:
    return come_back(web.post("/oauth/authorize", data={**authorize_fields(**changes), "approve": "1"}))["code"]


def redeem(web: httpx.Client, code: str, /, **changes: str) -> httpx.Response:
    fields = {"grant_type": "authorization_code", "client_id": "clew-demo", "code": code, "redirect_uri": REDIRECT}
    return web.post("/oauth/token", data={**fields, "code_verifier": VERIFIER, **changes})


def refresh(web: httpx.Client, token: object, **changes: str) -> httpx.Response:
    fields = {"grant_type": "refresh_token", "client_id": "clew-demo", "refresh_token": str(token)}
    return web.post("/oauth/token", data={**fields, **changes})


def me(web: httpx.Client, token: object) -> httpx.Response:
    return web.get("/api/me", headers={"Authorization": f"Bearer {token}"})


class Form(HTMLParser):
    """Reads the fields and buttons of a page, as a browser would."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.buttons: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        if tag == "input" and given.get("type") == "hidden":
            self.fields[given["name"]] = given["value"]
        if tag == "button":
            self.buttons.append((given["name"], given["value"]))


def test_metadata_names_the_running_address(web: httpx.Client, sandbox: Sandbox) -> None:
    data = web.get("/.well-known/oauth-authorization-server").json()
    assert data["issuer"] == sandbox.url
    assert data["token_endpoint"] == f"{sandbox.url}/oauth/token"
    assert data["code_challenge_methods_supported"] == ["S256"]
    assert data["authorization_response_iss_parameter_supported"] is True


def test_a_person_allows_on_the_consent_page_and_the_code_gives_tokens(web: httpx.Client, sandbox: Sandbox) -> None:
    page = web.get("/oauth/authorize", params=authorize_fields(login_hint="grace@acme.example"))
    assert "Grace Hopper" in page.text
    form = Form(page.text)
    assert form.buttons == [("approve", "1"), ("approve", "0")]
    answer = come_back(web.post("/oauth/authorize", data={**form.fields, "approve": "1"}))
    assert answer["state"] == "st&te"
    assert answer["iss"] == sandbox.url
    tokens = redeem(web, answer["code"])
    assert tokens.headers["cache-control"] == "no-store"
    body = tokens.json()
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 600, "contacts:read")
    assert me(web, body["access_token"]).json()["email"] == "grace@acme.example"


def test_a_person_denies(web: httpx.Client) -> None:
    answer = come_back(web.post("/oauth/authorize", data={**authorize_fields(), "approve": "0"}))
    assert (answer["error"], answer["state"]) == ("access_denied", "st&te")
    assert "code" not in answer


def test_what_the_client_sends_is_escaped_on_the_page(web: httpx.Client) -> None:
    page = web.get("/oauth/authorize", params=authorize_fields(state='"><script>alert(1)</script>'))
    assert "<script>" not in page.text
    assert Form(page.text).fields["state"] == '"><script>alert(1)</script>'


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody"},
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": "http://127.0.0.1@evil.example/"},
    ],
)
def test_an_unknown_client_or_address_is_never_redirected_to(web: httpx.Client, changes: dict[str, str]) -> None:
    response = web.post("/oauth/authorize", data={**authorize_fields(**changes), "approve": "1"})
    assert response.status_code == 400
    assert "location" not in response.headers


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
    ],
)
def test_a_wrong_request_comes_back_as_an_error(web: httpx.Client, changes: dict[str, str], error: str) -> None:
    assert come_back(web.get("/oauth/authorize", params=authorize_fields(**changes)))["error"] == error


@pytest.mark.parametrize(
    "changes",
    [{"code_verifier": "w" * 43}, {"code_verifier": ""}, {"redirect_uri": REDIRECT + "2"}, {"code": "acme_code_x"}],
)
def test_a_code_needs_its_verifier_and_address(web: httpx.Client, changes: dict[str, str]) -> None:
    response = redeem(web, get_code(web), **changes)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")


def test_a_code_expires(web: httpx.Client, sandbox: Sandbox) -> None:
    code = get_code(web)
    sandbox.advance(61)
    assert redeem(web, code).json()["error"] == "invalid_grant"


def test_a_code_used_twice_revokes_what_it_gave(web: httpx.Client) -> None:
    code = get_code(web)
    first = redeem(web, code).json()
    assert redeem(web, code).json()["error"] == "invalid_grant"
    assert me(web, first["access_token"]).json()["error"]["code"] == "token_invalid"


def test_refresh_tokens_rotate(web: httpx.Client, sandbox: Sandbox) -> None:
    first = sandbox.log_in()
    second = refresh(web, first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert second["access_token"] != first["access_token"]
    assert me(web, second["access_token"]).status_code == 200
    assert refresh(web, second["refresh_token"]).status_code == 200
    assert (sandbox.state.tokens.issued, sandbox.state.tokens.refreshed) == (3, 2)


def test_reuse_of_a_refresh_token_kills_the_family(web: httpx.Client, sandbox: Sandbox) -> None:
    first = sandbox.log_in()
    second = refresh(web, first["refresh_token"]).json()
    other = sandbox.log_in()
    reuse = refresh(web, first["refresh_token"])
    assert (reuse.status_code, reuse.json()["error"]) == (400, "invalid_grant")
    assert refresh(web, second["refresh_token"]).json()["error"] == "invalid_grant"
    assert me(web, second["access_token"]).status_code == 401
    assert me(web, other["access_token"]).status_code == 200
    assert (sandbox.state.tokens.reused, sandbox.state.tokens.families_revoked) == (1, 1)


def test_a_refused_scope_does_not_cost_the_refresh_token(web: httpx.Client, sandbox: Sandbox) -> None:
    token = sandbox.log_in(scopes=["contacts:read", "tickets:read"])["refresh_token"]
    assert refresh(web, token, scope="payments:write").json()["error"] == "invalid_scope"
    narrowed = refresh(web, token, scope="tickets:read").json()
    assert narrowed["scope"] == "tickets:read"
    assert refresh(web, narrowed["refresh_token"]).json()["scope"] == "contacts:read tickets:read"


def test_a_refresh_token_belongs_to_its_client(web: httpx.Client, sandbox: Sandbox) -> None:
    token = sandbox.log_in()["refresh_token"]
    fields = {"grant_type": "refresh_token", "refresh_token": str(token)}
    assert web.post("/oauth/token", data=fields, auth=SERVICE).json()["error"] == "invalid_grant"
    assert refresh(web, token).status_code == 200


def test_an_access_token_expires_and_can_be_refreshed(web: httpx.Client, sandbox: Sandbox) -> None:
    tokens = sandbox.log_in()
    sandbox.advance(601)
    expired = me(web, tokens["access_token"])
    assert (expired.status_code, expired.json()["error"]["code"]) == (401, "token_expired")
    assert 'error="invalid_token"' in expired.headers["www-authenticate"]
    assert me(web, refresh(web, tokens["refresh_token"]).json()["access_token"]).status_code == 200


def test_a_refresh_token_expires_too(web: httpx.Client, sandbox: Sandbox) -> None:
    tokens = sandbox.log_in()
    sandbox.advance(31 * 24 * 3600)
    assert refresh(web, tokens["refresh_token"]).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("way", ["basic", "post"])
def test_a_confidential_client_gets_a_token_of_its_own(web: httpx.Client, way: str) -> None:
    fields = {"grant_type": "client_credentials", "scope": "tickets:read"}
    if way == "basic":
        response = web.post("/oauth/token", data=fields, auth=SERVICE)
    else:
        response = web.post("/oauth/token", data={**fields, "client_id": SERVICE[0], "client_secret": SERVICE[1]})
    body = response.json()
    assert "refresh_token" not in body
    assert me(web, body["access_token"]).json()["id"] == "acme-service"


def test_a_wrong_secret_is_invalid_client(web: httpx.Client) -> None:
    response = web.post("/oauth/token", data={"grant_type": "client_credentials"}, auth=("acme-service", "wrong"))
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
    assert response.headers["www-authenticate"].startswith("Basic")
    posted = web.post("/oauth/token", data={"grant_type": "client_credentials", "client_id": "acme-service"})
    assert (posted.status_code, posted.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("grant_type=password&client_id=clew-demo", "unsupported_grant_type"),
        ("grant_type=client_credentials&client_id=clew-demo", "unauthorized_client"),
        ("grant_type=refresh_token&client_id=clew-demo", "invalid_grant"),
        ("grant_type=a&grant_type=b&client_id=clew-demo", "invalid_request"),
    ],
)
def test_token_errors_have_the_form_of_the_rfc(web: httpx.Client, body: str, error: str) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    response = web.post("/oauth/token", content=body, headers=headers)
    assert (response.status_code, response.json()["error"]) == (400, error)
    assert response.json()["error_description"]


def test_revoking_a_refresh_token_ends_the_grant(web: httpx.Client, sandbox: Sandbox) -> None:
    tokens = sandbox.log_in()
    answer = web.post("/oauth/revoke", data={"token": str(tokens["refresh_token"]), "client_id": "clew-demo"})
    assert answer.status_code == 200
    assert me(web, tokens["access_token"]).status_code == 401
    assert sandbox.state.tokens.families_revoked == 1


def test_revoking_an_access_token_leaves_the_grant(web: httpx.Client, sandbox: Sandbox) -> None:
    tokens = sandbox.log_in()
    web.post("/oauth/revoke", data={"token": str(tokens["access_token"]), "client_id": "clew-demo"})
    assert me(web, tokens["access_token"]).status_code == 401
    assert refresh(web, tokens["refresh_token"]).status_code == 200


def test_revoking_an_unknown_token_is_fine(web: httpx.Client) -> None:
    assert web.post("/oauth/revoke", data={"token": "x", "client_id": "clew-demo"}).status_code == 200
    assert web.post("/oauth/revoke", data={"client_id": "clew-demo"}).json()["error"] == "invalid_request"


def start_device(web: httpx.Client) -> dict[str, Any]:
    data: dict[str, Any] = web.post("/oauth/device_authorization", data={"client_id": "clew-demo"}).json()
    return data


def poll(web: httpx.Client, device: dict[str, Any]) -> httpx.Response:
    fields = {"grant_type": DEVICE_GRANT, "client_id": "clew-demo", "device_code": device["device_code"]}
    return web.post("/oauth/token", data=fields)


def test_a_device_gets_its_token_after_the_person_allows(web: httpx.Client, sandbox: Sandbox) -> None:
    device = start_device(web)
    assert device["interval"] == 5
    assert poll(web, device).json()["error"] == "authorization_pending"
    form = Form(web.get(device["verification_uri_complete"]).text)
    assert web.post("/device", data={**form.fields, "approve": "1"}).status_code == 200
    sandbox.advance(5)
    token = poll(web, device).json()
    assert me(web, token["access_token"]).status_code == 200
    sandbox.advance(5)
    assert poll(web, device).json()["error"] == "invalid_grant"


def test_a_device_that_polls_too_fast_must_slow_down(web: httpx.Client, sandbox: Sandbox) -> None:
    device = start_device(web)
    poll(web, device)
    assert poll(web, device).json()["error"] == "slow_down"
    sandbox.advance(9)
    assert poll(web, device).json()["error"] == "slow_down"
    sandbox.advance(15)
    assert poll(web, device).json()["error"] == "authorization_pending"


def test_a_device_can_be_denied_and_expires(web: httpx.Client, sandbox: Sandbox) -> None:
    denied, late = start_device(web), start_device(web)
    web.post("/device", data={"user_code": denied["user_code"].lower(), "approve": "0"})
    assert poll(web, denied).json()["error"] == "access_denied"
    assert web.post("/device", data={"user_code": "NONE-SUCH", "approve": "1"}).status_code == 400
    assert "Code" in web.get("/device").text
    sandbox.advance(601)
    assert poll(web, late).json()["error"] == "expired_token"


def test_personal_tokens_are_bearers_with_scopes_and_an_end(web: httpx.Client, sandbox: Sandbox) -> None:
    assert me(web, sandbox.pat).json()["id"] == "usr_ada"
    token = sandbox.mint_pat(scopes=["contacts:read"], expires_in=60)
    refused = web.get("/api/tickets", headers={"Authorization": f"Bearer {token}"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "insufficient_scope")
    assert 'scope="tickets:read"' in refused.headers["www-authenticate"]
    sandbox.advance(61)
    assert me(web, token).json()["error"]["code"] == "token_expired"


def test_a_refresh_token_is_no_access_token(web: httpx.Client, sandbox: Sandbox) -> None:
    assert me(web, sandbox.log_in()["refresh_token"]).json()["error"]["code"] == "token_invalid"


def test_tokens_are_not_in_what_the_state_prints(sandbox: Sandbox) -> None:
    tokens = sandbox.log_in()
    found = sandbox.state.tokens.find(str(tokens["access_token"]))
    assert found is not None
    assert str(tokens["access_token"]) not in repr(found)
