"""The runtime knows whose account it uses: its address, its identity, its scopes."""

import asyncio
import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import respx
from mcp import Client

from clew.auth.facts import Facts
from clew.core import pool
from clew.core.connection import Connection
from clew.core.errors import ConfigurationError, PermissionDeniedError
from clew.core.secret import Secret
from clew.servers.cli import main
from clew.servers.mcp import build_server
from clew.servers.runtime import Runtime
from clew.servers.settings import Settings

pytestmark = pytest.mark.anyio

CONNECTOR = r'''
from clew import Api, Bearer, Connector, OAuth2, schemes

shop = Connector(
    "shop",
    base_url="https://{host}/api",
    auth=[
        OAuth2(
            authorize_url="https://id.example/auth",
            token_url="https://id.example/token",
            variables={"host": schemes.Variable(r"([a-z]+\.shop\.example)", default="www.shop.example")},
        ),
        Bearer(),
    ],
)

@shop.read(scopes=("orders",))
async def list_orders(api: Api) -> list[str]:
    """List orders."""
    return await api.get("/orders")
'''


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "shop.py"
    path.write_text(CONNECTOR, encoding="utf-8")
    return str(path)


def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", key_provider="file")


async def connect(runtime: Runtime, account: str, scopes: tuple[str, ...], **variables: str) -> None:
    facts = Facts("oauth2", scopes=scopes, identity=f"{account}@shop.example", variables=variables)
    await runtime.vault.put(Connection("local", "shop", account), {"access_token": Secret(account)}, facts)


@contextmanager
def provider(runtime: Runtime) -> Generator[None]:
    """respx answers instead of the network: it knows httpx's own connections only."""
    with respx.mock:
        assert isinstance(runtime.client, pool.Client)
        runtime.client.direct = httpx.MockTransport(respx.mock.async_handler)
        yield


async def test_each_account_is_called_at_its_own_address(tmp_path: Path, file: str) -> None:
    async with Runtime.open(settings(tmp_path), [file]) as runtime:
        await connect(runtime, "ada", ("orders",), host="ada.shop.example")
        await connect(runtime, "bob", ("orders",))
        with provider(runtime):
            ada = respx.get("https://ada.shop.example/api/orders").respond(json=["a"])
            bob = respx.get("https://www.shop.example/api/orders").respond(json=["b"])
            for account in ("ada", "bob"):
                await runtime.call("list_orders", {}, account=account)
        assert ada.calls.last.request.headers["authorization"] == "Bearer ada"
        assert bob.calls.last.request.headers["authorization"] == "Bearer bob"


async def test_several_accounts_and_none_named_is_refused_with_the_choices(tmp_path: Path, file: str) -> None:
    async with Runtime.open(settings(tmp_path), [file]) as runtime:
        await connect(runtime, "ada", ())
        await connect(runtime, "bob", ())
        with pytest.raises(ConfigurationError, match="several accounts: ada, bob"):
            await runtime.call("list_orders", {})


async def test_a_scope_that_was_not_granted_stops_the_call_before_it_is_sent(tmp_path: Path, file: str) -> None:
    async with Runtime.open(settings(tmp_path), [file]) as runtime:
        await connect(runtime, "ada", ("profile",))
        with respx.mock, pytest.raises(PermissionDeniedError) as caught:
            await runtime.call("list_orders", {})
    assert caught.value.next_step == (
        "Ask the person to run: clew auth login shop --account ada --scopes profile,orders"
    )


async def test_a_tool_that_no_account_has_the_scopes_for_is_not_listed(tmp_path: Path, file: str) -> None:
    async with Runtime.open(settings(tmp_path), [file]) as runtime:

        async def listed() -> list[str]:
            async with Client(build_server(runtime)) as client:  # a client keeps the list for a minute
                return [tool.name for tool in (await client.list_tools()).tools]

        assert await listed() == ["list_orders"], "nothing is connected yet: the call says how"
        await connect(runtime, "ada", ("profile",))
        assert (await listed(), await runtime.lacking()) == ([], {"list_orders": ("orders",)})
        async with Client(build_server(runtime)) as client:
            refused = await client.call_tool("list_orders", {})
        assert refused.structured_content is not None
        assert "--scopes profile,orders" in refused.structured_content["error"]["next"], "called anyway, it steps up"
        await connect(runtime, "bob", ("orders",))
        assert await listed() == ["list_orders"], "one of the accounts can"
        await runtime.vault.delete(Connection("local", "shop", "bob"))
        assert await listed() == []
        await connect(runtime, "ada", ())
        assert await listed() == ["list_orders"], "nobody knows what this grant is good for"


async def test_show_says_which_tools_are_not_offered_and_why(
    tmp_path: Path, file: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLEW_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CLEW_KEY_PROVIDER", "file")
    async with Runtime.open(settings(tmp_path), [file]) as runtime:
        await connect(runtime, "ada", ("profile",))
    capsys.readouterr()
    assert await asyncio.to_thread(main, ["show", file]) == 0
    said = capsys.readouterr().out
    assert "Not offered to agents, because no account was granted what they need: list_orders (orders)." in said
    assert "clew auth login shop --scopes profile,orders" in said
    assert await asyncio.to_thread(main, ["show", file, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tools"][0]["lacks"] == ["orders"]


async def test_an_address_that_changes_with_a_new_login_is_used_at_once(tmp_path: Path, file: str) -> None:
    async with Runtime.open(settings(tmp_path), [file]) as runtime:
        with provider(runtime):
            respx.get("https://one.shop.example/api/orders").respond(json=["1"])
            respx.get("https://two.shop.example/api/orders").respond(json=["2"])
            for host in ("one", "two"):
                await connect(runtime, "ada", ("orders",), host=f"{host}.shop.example")
                result = await runtime.call("list_orders", {})
                assert result["result"] == [{"one": "1", "two": "2"}[host]]


async def test_a_hosts_nonce_is_heard(tmp_path: Path, file: str) -> None:
    from clew.auth.dpop import forget, known_nonce

    forget()
    async with Runtime.open(settings(tmp_path), [file]) as runtime:
        await connect(runtime, "ada", ("orders",))
        with provider(runtime):
            answer = httpx.Response(200, json=[], headers={"DPoP-Nonce": "n1"})
            respx.get("https://www.shop.example/api/orders").mock(return_value=answer)
            await runtime.call("list_orders", {})
    assert known_nonce("https://www.shop.example/") == "n1"
    forget()
