"""How the tests of a connector call its tools: through the whole walk, with real httpx, to a mocked provider."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from tests.connectors.described import faults

from clew import Connector, Secret
from clew.auth.schemes import Bearer
from clew.core.call import Call, Walk
from clew.core.connection import Connection
from clew.core.deadline import Deadline
from clew.core.errors import CallError
from clew.core.host import Host, SilentHost
from clew.core.journal import Journal
from clew.core.limiter import Limiter
from clew.core.retry import RetryPolicy
from clew.core.wire import Wire

Tool = Callable[..., Awaitable[dict[str, Any]]]
"""Calls a tool of one connector: its name, and its arguments by theirs."""


class Token:
    """An authorizer with one fixed token that cannot be renewed into another. It sees each request as it leaves."""

    def __init__(self) -> None:
        self.seen: list[httpx.Request] = []

    async def apply(self, request: httpx.Request) -> str:
        Bearer().apply(request, lambda name: Secret("a-token"))
        self.seen.append(request)
        return "1"

    def taken(self) -> list[httpx.Request]:
        """The requests since it was asked last."""
        seen, self.seen = self.seen, []
        return seen

    async def renew(self, generation: str) -> None:
        """The same token is all there is."""


async def no_wait(seconds: float) -> None:
    """Stand in for a sleep."""


@dataclass
class Calling:
    """Calls tools. Two tries for what may be tried again; results must be valid by the tool's output schema, requests
    by the provider's description where we have one."""

    client: httpx.AsyncClient
    journal: Journal | None = None
    seconds: float = 5
    wires: list[Wire] = field(default_factory=list[Wire])

    def wire(self, connector: Connector, base_url: str = "") -> Wire:
        connection = Connection("local", connector.name, "work")
        retry = RetryPolicy(attempts=2)
        made = Wire(connector, connection, Token(), self.client, base_url, Limiter(), retry, sleep=no_wait)
        self.wires.append(made)
        return made

    async def __call__(
        self,
        connector: Connector,
        tool: str,
        arguments: Mapping[str, Any],
        *,
        host: Host | None = None,
        base_url: str = "",
        wire: Wire | None = None,
    ) -> dict[str, Any]:
        wire = wire or self.wire(connector, base_url)
        chosen = connector.tools[tool]
        call = Call(chosen, arguments, wire.connection, wire, Deadline.after(self.seconds), host or SilentHost())
        try:
            result = await Walk(sink=lambda record: None, journal=self.journal)(call)
        finally:
            self.look(wire, tool)
        validator: Any = Draft202012Validator(chosen.signature.output_schema)
        validator.validate(result)
        return result

    def tool(self, connector: Connector, host: Host | None = None, *, base_url: str = "", seconds: float = 0) -> Tool:
        """Call tools of one connector by name. `seconds` when looks begin after a while: they pass at once here, but
        must be within the deadline."""
        self.seconds = seconds or self.seconds

        async def run(name: str, /, **arguments: Any) -> dict[str, Any]:
            return await self(connector, name, arguments, host=host, base_url=base_url)

        return run

    def look(self, wire: Wire, by: str) -> None:
        """Every request that left over this wire since the last look is one that its provider describes."""
        if isinstance(wire.authorizer, Token):
            assert faults(wire, by, wire.authorizer.taken()) == []


async def failed(tool: Tool, name: str, /, **arguments: Any) -> CallError:
    """Call a tool that must fail, and return how."""
    with pytest.raises(CallError) as caught:
        await tool(name, **arguments)
    return caught.value
