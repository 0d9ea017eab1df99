"""Logging in by device code: patient, polite, and not fooled."""

import json
from collections.abc import Iterator
from urllib.parse import parse_qs

import httpx
import pytest
import respx

from clew.auth.consent import LoginError
from clew.auth.device import Prompt, device_login
from clew.auth.facts import Facts
from clew.auth.schemes import OAuth2
from clew.auth.vault import Vault
from clew.core.errors import ConfigurationError

from .conftest import BASE_URL, WORK, revealed

pytestmark = pytest.mark.anyio

SCHEME = OAuth2("", "{origin}/token", device_url="{origin}/device", client_id="clew", scopes=("read",))
BEGUN = {
    "device_code": "dev-1",
    "user_code": "WDJB-MJHT",
    "verification_uri": "https://acme.example/activate",
    "expires_in": 900,
    "interval": 5,
}
PENDING, SLOWER = {"error": "authorization_pending"}, {"error": "slow_down"}
TOKEN = {"access_token": "access-1", "token_type": "bearer"}


class Clock:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server() -> Iterator[respx.MockRouter]:
    with respx.mock(assert_all_called=False) as router:
        router.post("https://acme.example/device", name="begin").respond(json=BEGUN)
        yield router


async def log_in(vault: Vault, clock: Clock, prompts: list[Prompt] | None = None, scheme: OAuth2 = SCHEME) -> Facts:
    async def show(prompt: Prompt) -> None:
        if prompts is not None:
            prompts.append(prompt)

    return await device_login(vault, WORK, scheme, base_url=BASE_URL, show=show, sleep=clock.sleep, clock=clock)


def answers(server: respx.MockRouter, *contents: object) -> respx.Route:
    made = [
        content if isinstance(content, Exception) else httpx.Response(200 if content is TOKEN else 400, json=content)
        for content in contents
    ]
    return server.post("https://acme.example/token").mock(side_effect=made)


async def test_it_asks_at_the_interval_until_the_person_has_agreed(vault: Vault, server: respx.MockRouter) -> None:
    route, clock, prompts = answers(server, PENDING, PENDING, TOKEN), Clock(), list[Prompt]()
    facts = await log_in(vault, clock, prompts)
    assert prompts == [Prompt("https://acme.example/activate", "WDJB-MJHT", None, 900)]
    assert clock.waits == [5, 5, 5]
    assert parse_qs(route.calls.last.request.content.decode()) == {
        "grant_type": ["urn:ietf:params:oauth:grant-type:device_code"],
        "device_code": ["dev-1"],
        "client_id": ["clew"],
    }
    assert await revealed(vault, "access_token") == "access-1"
    assert (facts.scopes, facts.client_id) == (("read",), "clew")


async def test_slow_down_makes_it_slower_for_good(vault: Vault, server: respx.MockRouter) -> None:
    answers(server, SLOWER, PENDING, SLOWER, TOKEN)
    clock = Clock()
    await log_in(vault, clock)
    assert clock.waits == [5, 10, 10, 15]


async def test_an_outage_is_waited_out_with_longer_pauses(vault: Vault, server: respx.MockRouter) -> None:
    answers(server, httpx.ConnectError("down"), httpx.ReadTimeout("slow"), TOKEN)
    clock = Clock()
    await log_in(vault, clock)
    assert clock.waits == [5, 10, 20]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"error": "access_denied"}, "was declined"),
        ({"error": "expired_token"}, "has ended"),
        ({"error": "invalid_client"}, "check its id and secret"),
        ({"error": "invalid_grant"}, "did not accept the device code"),
    ],
)
async def test_an_end_is_one_sentence_and_nothing_is_stored(
    vault: Vault, server: respx.MockRouter, content: object, sentence: str
) -> None:
    answers(server, PENDING, content)
    with pytest.raises(LoginError, match=sentence):
        await log_in(vault, Clock())
    assert await vault.get(WORK) is None


async def test_a_code_that_nobody_confirms_ends_by_our_clock_too(vault: Vault, server: respx.MockRouter) -> None:
    server.post("https://acme.example/token").respond(400, json=PENDING)
    clock = Clock()
    with pytest.raises(LoginError, match="has ended"):
        await log_in(vault, clock)
    assert clock.now == 900


@pytest.mark.parametrize(
    "change",
    [
        {"verification_uri": "javascript:alert(1)"},
        {"verification_uri": "http://evil.example/"},
        {"verification_uri": "https://a b"},
        {"user_code": "x" * 65},
        {"user_code": "A\x1b[2J"},
        {"user_code": 5},
        {"device_code": "a\nb"},
        {"device_code": ""},
    ],
)
async def test_a_prompt_that_is_not_fit_to_show_is_refused(
    vault: Vault, server: respx.MockRouter, change: dict[str, object]
) -> None:
    server["begin"].respond(json={**BEGUN, **change})
    with pytest.raises(LoginError, match="nonsense"):
        await log_in(vault, Clock())


async def test_odd_numbers_are_brought_into_bounds(vault: Vault, server: respx.MockRouter) -> None:
    server["begin"].respond(content=json.dumps({**BEGUN, "interval": 1e9, "expires_in": "1e400"}))
    answers(server, TOKEN)
    clock, prompts = Clock(), list[Prompt]()
    await log_in(vault, clock, prompts)
    assert clock.waits == [60]
    assert prompts[0].seconds == 900


async def test_a_refused_request_for_a_code_is_quoted(vault: Vault, server: respx.MockRouter) -> None:
    server["begin"].respond(400, json={"error": "device_flow_disabled"})
    with pytest.raises(LoginError, match="device_flow_disabled"):
        await log_in(vault, Clock())


async def test_a_provider_without_device_login_says_so(vault: Vault) -> None:
    with pytest.raises(ConfigurationError, match="no login by device code"):
        await log_in(vault, Clock(), scheme=OAuth2("", "{origin}/token", client_id="clew"))
