"""Operations over a transport that is not HTTP: the same record, the same judgement."""

from typing import Any

import httpx
import pytest

from clew.core.api import Api
from clew.core.connection import Connection
from clew.core.connector import Connector, Effect
from clew.core.deadline import Deadline
from clew.core.errors import ConfigurationError
from clew.core.exchange import Trail
from clew.core.host import SilentHost
from clew.core.response import Response
from clew.core.wire import Wire

pytestmark = pytest.mark.anyio


class Loopback:
    """A carrier that answers yes."""

    def __init__(self) -> None:
        self.safe: list[bool] = []

    async def carry(self, credential: Any, *, safe: bool, **facts: Any) -> Response:
        self.safe.append(safe)
        return Response(200, {}, b"", {"done": True}, None, "SQL", "sql:")


async def test_an_operation_leaves_a_record_and_a_read_tool_changes_nothing() -> None:
    carrier, trail = Loopback(), Trail()
    shop = Connector("shop", base_url="sql://db.example:5432")
    async with httpx.AsyncClient(verify=False) as client:
        wire = Wire(shop, Connection("local", "shop", "main"), None, client)
        for effect, safe in ((Effect.READ, True), (Effect.WRITE, False)):
            api = Api(wire, Deadline.after(5), trail, effect, SilentHost())
            answer = await api.carry("SQL", "query", carrier, safe=safe)
            assert answer.data == {"done": True}
        reader = Api(wire, Deadline.after(5), trail, Effect.READ, SilentHost())
        with pytest.raises(ConfigurationError):
            await reader.carry("SQL", "query", carrier, safe=False)
    assert carrier.safe == [True, False]
    assert [(each.method, each.route, each.status) for each in trail.attempts] == [("SQL", "query", 200)] * 2
    assert trail.changed == 1
