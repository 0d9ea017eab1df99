"""Attacks on the console's OpenID login: only who the provider names, this browser, this client, this attempt."""

import base64
import dataclasses
import json
import time
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import respx

from clew.core.secret import Secret
from clew.servers.console.desk import Desk, open_desk
from clew.servers.console_settings import ConsoleSettings
from clew.servers.settings import Settings

from .console_world import BASE, ORIGIN, Browser, asked, browser

pytestmark = pytest.mark.anyio

ISSUER = "https://id.example"
RULES = ConsoleSettings(
    issuer=ISSUER, client_id="clew", client_secret=Secret("hush-hush"), people=("ada@x.example",),
    groups=("approvers",), operators=("ada@x.example",),
)  # fmt: skip


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncGenerator[Desk]:
    settings = Settings(home=tmp_path / "home", key_provider="file", console=RULES)
    async with open_desk(settings) as opened:
        yield opened


class Provider:
    """The identity provider: what it was asked, and what it will say."""

    def __init__(self, router: respx.MockRouter) -> None:
        self.claims: dict[str, object] = {}
        self.asked: dict[str, str] = {}
        self.exchanged: list[dict[str, str]] = []
        document = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token",
            "authorization_response_iss_parameter_supported": True,
        }
        router.get(f"{ISSUER}/.well-known/openid-configuration").respond(json=document)
        router.post(f"{ISSUER}/token").mock(side_effect=self.token)

    def token(self, request: httpx.Request) -> httpx.Response:
        self.exchanged.append({name: values[0] for name, values in parse_qs(request.content.decode()).items()})
        honest = {
            "iss": ISSUER, "aud": "clew", "sub": "1", "exp": time.time() + 60, "nonce": self.asked["nonce"],
            "email": "ada@x.example", "email_verified": True,
        }  # fmt: skip
        facts = {name: value for name, value in {**honest, **self.claims}.items() if value is not None}
        body = base64.urlsafe_b64encode(json.dumps(facts).encode()).decode().rstrip("=")
        return httpx.Response(200, json={"access_token": "at", "token_type": "Bearer", "id_token": f"e30.{body}.c2ln"})

    async def begin(self, person: Browser, back: str = "") -> None:
        answer = await person.http.get(f"{BASE}/login", params={"back": back})
        assert answer.status_code == 303, answer.text
        parts = urlsplit(answer.headers["location"])
        assert f"{parts.scheme}://{parts.netloc}" == ISSUER
        self.asked = {name: values[0] for name, values in parse_qs(parts.query).items()}

    async def end(self, person: Browser, **changed: str) -> httpx.Response:
        fields = {"code": "c0de", "state": self.asked["state"], "iss": ISSUER, **changed}
        answer = await person.http.get(
            f"{BASE}/callback", params={name: value for name, value in fields.items() if value}
        )
        if answer.is_redirect:
            return await person.get(answer.headers["location"])
        return answer


@pytest.fixture
def provider() -> Generator[Provider]:
    with respx.mock(assert_all_called=False) as router:
        yield Provider(router)


@pytest.fixture
async def person(desk: Desk) -> AsyncGenerator[Browser]:
    async with browser(desk) as opened:
        yield opened


def inside(person: Browser) -> bool:
    return "clew_console" in person.http.cookies


async def test_a_person_logs_in_under_the_name_that_the_provider_gives(
    desk: Desk, person: Browser, provider: Provider
) -> None:
    waits = await asked(desk)
    outside = await person.get(f"{BASE}/approvals/{waits.id}")
    assert outside.status_code == 401
    assert f"{BASE}/login?back={BASE}/approvals/{waits.id}" in outside.text
    await provider.begin(person, f"{BASE}/approvals/{waits.id}")
    assert provider.asked["code_challenge_method"] == "S256"
    assert provider.asked["redirect_uri"] == f"{ORIGIN}{BASE}/callback"
    assert {"state", "nonce", "code_challenge"} <= set(provider.asked)
    page = await provider.end(person)
    assert page.status_code == 200
    assert str(page.url).endswith(waits.id)
    await person.submit(f"{BASE}/approvals/{waits.id}", verdict="approve")
    assert (await desk.approvals.get(waits.id)).by == "ada@x.example"
    assert provider.exchanged[0]["code_verifier"] not in str(provider.asked)


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "of another login"},
        {"nonce": None},
        {"aud": "another client"},
        {"iss": "https://evil.example"},
        {"exp": 1.0},
        {"email_verified": False},
        {"email_verified": None},
        {"email_verified": "true"},
        {"email": "eve@x.example"},
        {"email": "eve@evil.example", "groups": "approvers"},
        {"email": ["ada@x.example"]},
        {"email": None},
        {"email": "ada@x.example\u202e"},
    ],
)
async def test_whoever_is_not_named_rightly_stays_outside(
    person: Browser, provider: Provider, claims: dict[str, object]
) -> None:
    provider.claims = claims
    await provider.begin(person)
    assert (await provider.end(person)).status_code == 403
    assert not inside(person)


async def test_members_of_a_group_get_in_and_operators_alone_see_the_rest(
    desk: Desk, person: Browser, provider: Provider
) -> None:
    provider.claims = {"email": "bob@y.example", "groups": ["approvers"]}
    await provider.begin(person)
    assert (await provider.end(person)).status_code == 200
    for path in ("connections", "limits", "events", "writes", "audit", "stats", "audit/0123456789abcdef"):
        assert (await person.get(f"{BASE}/{path}")).status_code == 403
    assert "/audit" not in (await person.get(f"{BASE}/approvals")).text
    token = person.form(f"{BASE}/leave")["csrf"]
    assert (await person.post(f"{BASE}/events", {"csrf": token, "event": "all"})).status_code == 403


@pytest.mark.parametrize(
    "answer", [{"state": "x" * 43}, {"state": ""}, {"iss": "https://evil.example"}, {"iss": ""}, {"code": ""}]
)
async def test_an_answer_to_another_attempt_or_from_another_server_is_none(
    person: Browser, provider: Provider, answer: dict[str, str]
) -> None:
    await provider.begin(person)
    assert (await provider.end(person, **answer)).status_code == 403
    assert not inside(person)
    assert provider.exchanged == [], "the code was not sent anywhere"


async def test_nobody_can_be_logged_in_as_somebody_else(desk: Desk, person: Browser, provider: Provider) -> None:
    async with browser(desk) as attacker:
        await provider.begin(attacker)
        assert (await provider.end(person)).status_code == 403, "another browser did not begin this"
        person.http.cookies.set("clew_login", "00" * 60, domain="127.0.0.1", path="/")
        assert (await provider.end(person)).status_code == 403
    assert not inside(person)
    assert provider.exchanged == []


async def test_a_callback_works_once(person: Browser, provider: Provider) -> None:
    await provider.begin(person)
    await provider.end(person)
    assert "clew_login" not in person.http.cookies
    assert (await provider.end(person)).status_code == 403


@pytest.mark.parametrize(
    "back", ["https://evil.example", "//evil.example", f"{BASE}//evil.example", f"{BASE}/\\evil", "/elsewhere", ""]
)
async def test_a_login_leads_nowhere_else(person: Browser, provider: Provider, back: str) -> None:
    await provider.begin(person, back)
    fields = {"code": "c", "state": provider.asked["state"], "iss": ISSUER}
    answer = await person.http.get(f"{BASE}/callback", params=fields)
    assert answer.headers["location"] == f"{BASE}/approvals"


async def test_links_do_not_open_a_console_with_logins(desk: Desk, person: Browser) -> None:
    ticket = await desk.sessions.ticket("ada")
    await person.post(f"{BASE}/enter", {"ticket": ticket.reveal()})
    assert not inside(person)
    token = await desk.sessions.open("ada@x.example", (), "link")
    person.http.cookies.set("clew_console", token.reveal(), domain="127.0.0.1", path="/")
    assert (await person.get(f"{BASE}/approvals")).status_code == 401


async def test_who_is_taken_from_the_list_is_out_at_once(desk: Desk, person: Browser, provider: Provider) -> None:
    await provider.begin(person)
    assert (await provider.end(person)).status_code == 200
    rules = dataclasses.replace(RULES, people=("bob@x.example",))
    changed = dataclasses.replace(desk, settings=dataclasses.replace(desk.settings, console=rules))
    async with browser(changed) as later:
        later.http.cookies = person.http.cookies
        assert (await later.get(f"{BASE}/approvals")).status_code == 401


async def test_a_provider_that_is_out_is_said_so(desk: Desk, person: Browser) -> None:
    with respx.mock:
        respx.route(host="id.example").respond(503)
        answer = await person.get(f"{BASE}/login")
    assert answer.status_code == 503
    assert "cannot be reached" in answer.text
