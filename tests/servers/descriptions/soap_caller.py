"""Calls of a connector that a WSDL made, through the whole walk, with a person who says yes."""

from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from tests.people import Person
from tests.servers.databases.worlds import no_wait

from clew.core.call import Call, Walk
from clew.core.connection import Connection
from clew.core.connector import Connector
from clew.core.credentials import Credential
from clew.core.deadline import Deadline
from clew.core.errors import AuthRevokedError, CallError
from clew.core.policy import Decision, Policy
from clew.core.retry import RetryPolicy
from clew.core.wire import Wire


@dataclass
class Password:
    """An authorizer that sends a user name and a password."""

    user: str
    password: str

    async def apply(self, request: httpx.Request) -> str:
        auth = httpx.BasicAuth(self.user, self.password)
        next(auth.auth_flow(request))
        return "1"

    async def credential(self) -> Credential:
        raise AssertionError("only its header is used")

    async def renew(self, generation: str) -> None:
        raise AuthRevokedError("the password was refused.")


@dataclass
class Caller:
    """Calling it is calling a tool."""

    connector: Connector
    keys: Any = None
    person: Person = field(default_factory=Person)

    async def __call__(self, tool: str, /, **arguments: Any) -> Any:
        connector = self.connector
        async with httpx.AsyncClient(verify=False) as client:
            where = Connection("local", connector.name, "main")
            wire = Wire(connector, where, self.keys, client, retry=RetryPolicy(attempts=1), sleep=no_wait)
            call = Call(connector.tools[tool], arguments, where, wire, Deadline.after(30), self.person)
            result = await Walk(Policy(writes=Decision.ALLOW))(call)
        validator: Any = Draft202012Validator(connector.tools[tool].signature.output_schema)
        validator.validate(result)
        return result.get("result", result)

    async def failed(self, tool: str, /, **arguments: Any) -> CallError:
        with pytest.raises(CallError) as caught:
            await self(tool, **arguments)
        return caught.value
