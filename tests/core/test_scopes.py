"""A tool that was not granted what it needs says so before anything is sent; whose account it is is always shown."""

from typing import Any

import httpx
import pytest
import respx

from clew.core import audit
from clew.core.api import Api
from clew.core.call import Call, Walk
from clew.core.connection import Connection
from clew.core.connector import Connector
from clew.core.deadline import Deadline
from clew.core.errors import PermissionDeniedError
from clew.core.host import Question, SilentHost
from clew.core.wire import Wire

pytestmark = pytest.mark.anyio

HERE = Connection("local", "shop", "work")


def shop() -> Connector:
    made = Connector("shop", "https://shop.example")

    @made.read(scopes=("orders:read|orders", "profile"))
    async def list_orders(api: Api) -> list[Any]:
        """List orders."""
        found: list[Any] = await api.get("/orders")
        return found

    @made.read
    async def get_order(api: Api, order: int) -> dict[str, Any]:
        """Read an order."""
        return {"order": order}

    @made.destructive(preview=get_order, scopes=("orders:write",))
    async def delete_order(api: Api, order: int) -> None:
        """Delete an order."""

    return made


async def call(name: str, granted: frozenset[str] | None, connection: Connection = HERE, **more: Any) -> audit.Record:
    connector = shop()
    records: list[audit.Record] = []
    async with httpx.AsyncClient(verify=False) as client:
        made = Call(
            connector.tools[name],
            more.get("arguments", {}),
            connection,
            Wire(connector, connection, None, client),
            Deadline.after(5),
            more.get("host") or SilentHost(),
            identity="ada@shop.example",
            granted=granted,
        )
        try:
            await Walk(sink=records.append)(made)
        finally:
            assert records[0].identity == "ada@shop.example"
    return records[0]


@pytest.mark.parametrize("granted", [None, frozenset({"orders:read", "profile"}), frozenset({"orders", "profile"})])
async def test_what_was_granted_or_is_not_known_lets_the_call_go_on(granted: frozenset[str] | None) -> None:
    with respx.mock:
        respx.get("https://shop.example/orders").respond(json=[])
        assert (await call("list_orders", granted)).code == "ok"


async def test_a_missing_scope_is_a_permission_with_the_exact_login() -> None:
    with respx.mock, pytest.raises(PermissionDeniedError) as caught:
        await call("list_orders", frozenset({"orders:write", "profile"}))
    assert "needs orders:read" in str(caught.value)
    assert caught.value.next_step == (
        "Ask the person to run: clew auth login shop --account work --scopes orders:write,profile,orders:read"
    )


async def test_another_tenants_login_names_the_tenant() -> None:
    with pytest.raises(PermissionDeniedError) as caught:
        await call("list_orders", frozenset({"x"}), Connection("t1", "shop", "work"))
    assert caught.value.next_step.endswith("--tenant t1")


def test_the_first_of_a_choice_is_asked_for() -> None:
    tools = shop().tools
    assert tools["list_orders"].asks == ("orders:read", "profile")
    assert tools["delete_order"].asks == ("orders:write",)
    assert tools["get_order"].asks == ()


async def test_a_person_is_shown_whose_account_a_call_will_hit() -> None:
    asked: list[Question] = []

    class Asking(SilentHost):
        asks = True

        async def confirm(self, question: Question) -> bool:
            asked.append(question)
            return True

    await call("delete_order", None, host=Asking(), arguments={"order": 7})
    assert "account: shop (work)\n    there known as: ada@shop.example" in asked[0].text


def test_an_answer_for_one_identity_is_none_for_another() -> None:
    def digest(identity: str | None) -> str:
        return Question("t", "d", HERE, {}, {}, identity).digest

    assert len({digest(None), digest("ada"), digest("bob")}) == 3
