"""Attacks on `/connect`: a person must never connect an account for somebody else, whoever sent them the link."""

import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from mcp import types
from tests.attacks.http_world import World, world

from clew.core.connection import Connection
from clew.servers.sandbox import Sandbox

pytestmark = pytest.mark.anyio
both_eras = pytest.mark.parametrize("era", ["legacy", "auto"])
ADA = {"contact_id": "con_000001"}


@pytest.fixture
async def made(tmp_path: Path) -> AsyncGenerator[World]:
    """Here the server is found where it listens, because browsers come to it."""
    async with world(tmp_path, url="here") as running_world:
        yield running_world


class Person:
    """A browser, and who is logged in there at the issuer. Redirects are followed by hand, to look at each."""

    def __init__(self, made: World, **claims: Any) -> None:
        self.made, self.claims = made, claims
        self.http = httpx.AsyncClient(transport=made.wires, timeout=30)

    async def go(self, url: str, until: str = "") -> httpx.Response:
        """Follow redirects, through the issuer's and the provider's pages, to the first page or an address `until`."""
        self.made.issuer.person = self.claims
        answer = await self.http.get(url)
        while True:
            while answer.is_redirect and not (until and answer.headers["location"].startswith(until)):
                answer = await self.http.get(answer.headers["location"])
            if not str(answer.url).startswith(self.made.sandbox.url) or answer.is_redirect:
                return answer
            # The provider asks, too: this person allows everything.
            fields = {**dict(answer.url.params), "approve": "1"}
            answer = await self.http.post(f"{self.made.sandbox.url}/oauth/authorize", data=fields)

    async def agree(self, page: httpx.Response, until: str = "", **changed: str) -> httpx.Response:
        """Press the button of our page."""
        form = re.search(r'name="form" value="([^"]+)"', page.text)
        assert form, page.text
        fields = {"form": form[1], **changed}
        headers = {"origin": self.made.base, "sec-fetch-site": "same-origin"}
        answer = await self.http.post(f"{self.made.base}/connect/go", data=fields, headers=headers)
        if answer.is_redirect:
            return await self.go(answer.headers["location"], until)
        return answer


def caller(made: World, sub: str = "ann", **claims: Any) -> str:
    return made.issuer.token(f"{made.base}/mcp", sub=sub, **claims)


async def link_for(made: World, sub: str = "ann") -> str:
    """What a host that opens no links is told."""
    async with made.client(caller(made, sub)) as client:
        result = await client.call_tool("get_contact", ADA)
    error = result.structured_content["error"]
    assert error["code"] == "auth_revoked"
    assert "Give this link" in error["next"]
    assert error["url"].startswith(f"{made.base}/connect?link=")
    return str(error["url"])


async def is_connected(made: World, tenant: str) -> bool:
    return await made.runtime.vault.get(Connection(tenant, "acme", "main")) is not None


async def test_the_caller_connects_their_account_and_the_call_works(made: World) -> None:
    link = await link_for(made)
    assert await link_for(made) == link, "the same call gives the same link"
    ann = Person(made, sub="ann")
    page = await ann.go(link)
    assert "ann" in page.text
    assert "Connect" in page.text
    done = await ann.agree(page)
    assert "is connected" in done.text, done.text
    assert await is_connected(made, "ann")
    async with made.client(caller(made)) as client:
        assert not (await client.call_tool("get_contact", ADA)).is_error
    async with made.client(caller(made, "bob")) as client:
        assert (await client.call_tool("get_contact", ADA)).structured_content["error"]["code"] == "auth_revoked"
    assert "not good any more" in (await ann.go(link)).text, "a link works once"


@both_eras
async def test_a_host_that_opens_links_waits_and_goes_on_by_itself(made: World, era: str) -> None:
    opened: list[str] = []
    results: list[types.CallToolResult] = []
    ann = Person(made, sub="ann")

    async with anyio.create_task_group() as group:

        async def visit(context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
            assert isinstance(params, types.ElicitRequestURLParams)
            opened.append(params.url)

            async def later() -> None:
                await ann.agree(await ann.go(params.url))

            group.start_soon(later)
            return types.ElicitResult(action="accept")

        async with made.client(caller(made), era=era, elicitation_callback=visit) as client:
            results.append(await client.call_tool("get_contact", ADA))
    assert not results[0].is_error, results
    assert len(opened) == 1


async def test_a_link_that_an_attacker_sends_connects_nothing(made: World) -> None:
    """The attack of the specification: the victim opens the attacker's link and would connect their own account to the
    attacker's agent."""
    link = await link_for(made, "mallory")
    victim = Person(made, sub="victim")
    page = await victim.go(link)
    assert page.status_code == 403
    assert "made for somebody else" in " ".join(page.text.split())
    for claims in (
        {"sub": "mallory2"},
        {"sub": "Mallory"},
        {"sub": "mallory "},
        {"email": "mallory"},
        {"sub": ["mallory"]},
    ):
        assert (await Person(made, **claims).go(link)).status_code in (403, 502), claims
    assert not await is_connected(made, "mallory")
    assert not await is_connected(made, "victim")


async def test_the_steps_of_one_browser_are_worth_nothing_in_another(made: World) -> None:
    """Session fixation: the attacker goes all the way to the provider and has the victim do the last step."""
    mallory, victim = Person(made, sub="mallory"), Person(made, sub="victim")
    page = await mallory.go(await link_for(made, "mallory"))
    last = await mallory.agree(page, until=f"{made.base}/connect/done")
    address = last.headers["location"]
    assert address.startswith(f"{made.base}/connect/done?")
    stolen = await victim.go(address)
    assert stolen.status_code == 403
    assert not await is_connected(made, "victim")
    assert not await is_connected(made, "mallory")
    assert (await mallory.go(address)).status_code == 200, "in the browser that began it works"
    assert await is_connected(made, "mallory")
    assert (await mallory.go(address)).status_code == 403, "and once"


async def test_a_step_cannot_be_left_out_or_played_twice(made: World) -> None:
    ann = Person(made, sub="ann")
    link = await link_for(made)
    for step in ("callback", "done", "callback?code=x&state=y", "done?code=x&state=y"):
        assert (await ann.go(f"{made.base}/connect/{step}")).status_code == 403
    assert (await ann.http.post(f"{made.base}/connect/go", data={"form": ""})).status_code == 403
    page = await ann.go(link)
    old = dict(ann.http.cookies)
    # The cookie of the question is none for the provider's answer, and a forged one is none at all.
    assert (await ann.go(f"{made.base}/connect/done?code=x&state=y")).status_code == 403
    for forged in ("", "00", "zz", old["clew_connect"][:-2] + "00"):
        ann.http.cookies.clear()
        ann.http.cookies.set("clew_connect", forged)
        assert (await ann.http.post(f"{made.base}/connect/go", data={"form": "x"})).status_code == 403
    ann.http.cookies.clear()
    ann.http.cookies.update(old)
    assert (await ann.agree(page)).status_code == 200


async def test_a_page_of_another_site_cannot_press_the_button(made: World) -> None:
    ann = Person(made, sub="ann")
    page = await ann.go(await link_for(made))
    form = re.search(r'name="form" value="([^"]+)"', page.text)
    assert form
    own = {"origin": made.base, "sec-fetch-site": "same-origin"}
    tries: list[tuple[dict[str, str], dict[str, str]]] = [
        ({"form": form[1]}, {"origin": "https://evil.example"}),
        ({"form": form[1]}, {"origin": "null"}),
        ({"form": form[1]}, {"sec-fetch-site": "cross-site"}),
        ({"form": form[1]}, {}),
        ({"form": "x"}, own),
        ({}, own),
    ]
    for fields, headers in tries:
        answer = await ann.http.post(f"{made.base}/connect/go", data=fields, headers=headers)
        assert answer.status_code == 403, (fields, headers)
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    rebound = await ann.http.get(f"{made.base}/connect", headers={"host": "evil.example"})
    assert rebound.status_code == 421


async def test_what_a_program_calls_itself_is_shown_as_text(made: World) -> None:
    """The name of a program is its own to choose, and stands on a page of ours."""
    name = "<script>alert(1)</script>\u202e\u200bGood"
    token = caller(made)
    async with made.client(token, client_info=types.Implementation(name=name, version="1")) as client:
        result = await client.call_tool("get_contact", ADA)
    page = await Person(made, sub="ann").go(result.structured_content["error"]["url"])
    assert "<script>alert" not in page.text
    assert "\u202e" not in page.text


async def test_an_issuer_that_vouches_for_an_unproven_address_vouches_for_nobody(tmp_path: Path) -> None:
    async with world(tmp_path, url="here", identity="email") as made:
        token = made.issuer.token(f"{made.base}/mcp", email="ann@example.com")
        assert (await made.post(token)).status_code == 401, "the address is not verified"
        good = made.issuer.token(f"{made.base}/mcp", email="ann@example.com", email_verified=True)
        async with made.client(good) as client:
            link = (await client.call_tool("get_contact", ADA)).structured_content["error"]["url"]
        for claims in (
            {"sub": "evil", "email": "ann@example.com"},
            {"sub": "evil", "email": "ann@example.com", "email_verified": "true"},
        ):
            assert (await Person(made, **claims).go(link)).status_code == 403


KEYED = """
from clew import Api, Bearer, Connector

keyed = Connector("keyed", base_url="{url}", auth=Bearer(help="Settings, API tokens"))


@keyed.read
async def get_contact(api: Api, contact_id: str) -> dict[str, object]:
    \"\"\"Read a contact.\"\"\"
    return await api.get("/api/contacts/{{}}", contact_id, into=dict[str, object])
"""


async def test_a_key_can_be_typed_where_there_is_no_login(tmp_path: Path) -> None:
    file = tmp_path / "keyed.py"
    with Sandbox() as sandbox:
        file.write_text(KEYED.format(url=sandbox.url))
        async with world(tmp_path, (str(file),), url="here") as made, made.client(caller(made)) as client:
            for token, code in (("not-a-token", "auth_revoked"), (sandbox.pat, None)):
                error = (await client.call_tool("get_contact", ADA)).structured_content["error"]
                ann = Person(made, sub="ann")
                page = await ann.go(error["url"])
                assert 'type="password"' in page.text
                done = await ann.agree(page, token=token)
                assert "is connected" in done.text, done.text
                result = await client.call_tool("get_contact", ADA)
                found = result.structured_content.get("error", {}).get("code")
                assert found == code
                assert token not in page.text + done.text + str(result)
