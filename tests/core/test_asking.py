"""Writes that ask a person for some of their calls, and the account in a next step."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest
import respx
from tests.people import Person

from clew.core.api import Api
from clew.core.call import Call, Walk
from clew.core.connection import Connection
from clew.core.connector import Connector
from clew.core.deadline import Deadline
from clew.core.errors import ConfigurationError, DeniedError, PermissionDeniedError
from clew.core.outcomes import ErrorMap, Rule
from clew.core.policy import Policy
from clew.core.wire import Wire

pytestmark = pytest.mark.anyio


def shop() -> Connector:
    rule = Rule(code="permission", status=403, next_step="Run: clew auth login shop --account {account}")
    made = Connector("shop", base_url="https://shop.example", errors=ErrorMap(rules=(rule,)))

    @made.read
    async def look(api: Api, item: str) -> dict[str, str]:
        """Look at an item."""
        return {"price": "7"}

    @made.read
    async def count(api: Api, shelf: str) -> int:
        """Count."""
        return 1

    @made.write
    async def buy(api: Api, item: str, gift: bool = False) -> None:
        """Buy an item."""
        await api.post("/items/{}", item)

    @made.asks_when(buy, preview=look)
    def is_gift(arguments: Mapping[str, Any]) -> bool:
        return bool(arguments["gift"])

    assert is_gift({"gift": True})
    return made


async def call(connector: Connector, arguments: dict[str, Any], person: Person, policy: Policy | None = None) -> None:
    async with httpx.AsyncClient(verify=False) as client:
        connection = Connection("local", connector.name, "ada's shop")
        wire = Wire(connector, connection, None, client)
        asked = Call(connector.tools["buy"], arguments, connection, wire, Deadline.after(5), person)
        await Walk(policy, sink=lambda record: None)(asked)


async def test_only_the_calls_that_the_declaration_names_are_asked_about() -> None:
    person = Person(agrees=False)
    with respx.mock(base_url="https://shop.example") as router:
        route = router.post("/items/tea").respond(204)
        await call(shop(), {"item": "tea"}, person)
        assert (route.call_count, len(person.asked)) == (1, 0)
        with pytest.raises(DeniedError):
            await call(shop(), {"item": "tea", "gift": True}, person)
        assert (route.call_count, len(person.asked)) == (1, 1)
    assert person.asked[0].preview == {"price": "7"}
    assert "It will hit:\n\n    price: 7" in person.asked[0].text


async def test_a_question_without_a_preview_does_not_speak_of_one() -> None:
    connector, person = shop(), Person(agrees=False)
    connector.asks_when(connector.tools["buy"].function)(lambda arguments: True)
    with pytest.raises(DeniedError):
        await call(connector, {"item": "tea"}, person)
    assert "It will hit" not in person.asked[0].text


async def test_what_the_policy_denies_is_not_asked_about() -> None:
    person = Person(agrees=False)
    with pytest.raises(DeniedError, match="policy"):
        await call(shop(), {"item": "tea", "gift": True}, person, Policy(read_only=True))
    assert not person.asked


async def test_a_next_step_names_the_account_as_a_command_wants_it() -> None:
    with respx.mock(base_url="https://shop.example") as router:
        router.post("/items/tea").respond(403)
        with pytest.raises(PermissionDeniedError) as caught:
            await call(shop(), {"item": "tea"}, Person(agrees=False))
    assert caught.value.next_step == """Run: clew auth login shop --account 'ada'"'"'s shop'"""


def test_a_declaration_that_cannot_work_is_refused() -> None:
    connector = shop()
    look, count, buy = (connector.tools[name].function for name in ("look", "count", "buy"))
    with pytest.raises(ConfigurationError, match="only its write tools"):
        connector.asks_when(look)
    with pytest.raises(ConfigurationError, match="must be one of its read tools"):
        connector.asks_when(buy, preview=buy)
    with pytest.raises(ConfigurationError, match="takes what it does not"):
        connector.asks_when(buy, preview=count)
