"""A stage on which a tool runs by itself: the real walk and the real wire, to a provider that we play.

Nobody is asked and nothing is kept, so that a destructive tool can be looked at too; nothing leaves the process.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import field
from typing import Any, TypeVar

import httpx

from clew.core import audit
from clew.core.api import Api
from clew.core.call import Call, Structured, Walk
from clew.core.carrier import Carrier, Rehearsed
from clew.core.connection import Connection
from clew.core.connector import Connector, Tool
from clew.core.credentials import Credential
from clew.core.deadline import Deadline
from clew.core.errors import CallError, InternalError
from clew.core.limiter import Limiter
from clew.core.pages import GraphQLPages, Page, Paginator
from clew.core.response import Response
from clew.core.retry import RetryPolicy
from clew.core.secret import Secret
from clew.core.values import dataclass
from clew.core.wire import Wire

T = TypeVar("T")
Answering = Callable[[httpx.Request], Awaitable[httpx.Response]]


class Player(httpx.AsyncBaseTransport):
    """The provider, played by a function of the request. `requests` are those that came, `unsafe` how many of them
    could have changed something."""

    def __init__(self, answering: Answering) -> None:
        self.answering = answering
        self.requests: list[httpx.Request] = []
        self.unsafe = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Note the request and give its answer."""
        self.requests.append(request)
        self.unsafe += "trace" in request.extensions  # the wire follows only those that may change something
        return await self.answering(request)


class Observed(Api):
    """An `api` that notes how the tool pages."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.paging: list[Paginator] = []
        self.fault, self.carried, self.changing = "", 0, 0

    async def carry(self, method: str, route: str, carrier: Carrier, *, safe: bool) -> Response:
        """An operation of another transport than HTTP is only ever rehearsed. Raises `InternalError` where it cannot
        be."""
        if not self.fault or not isinstance(carrier, Rehearsed) or not carrier.rehearse(self.fault):
            raise InternalError("this operation cannot be rehearsed.")
        self.carried += 1
        self.changing += not safe
        return await super().carry(method, route, carrier, safe=safe)

    def _paginator(self, pages: Paginator | None) -> Paginator:
        found = super()._paginator(pages)
        self.paging.append(found)
        return found

    async def graphql_page(
        self,
        query: str,
        *,
        into: type[T],
        pages: GraphQLPages,
        variables: Mapping[str, Any] | None = None,
        cursor: str | None = None,
    ) -> Page[T]:
        """As ever, and noted."""
        self.paging.append(pages)
        return await super().graphql_page(query, into=into, pages=pages, variables=variables, cursor=cursor)


class Bare(Walk):
    """The walk without consent and journal: what the tool itself does."""

    def __init__(self, keep: audit.Sink, fault: str = "") -> None:
        super().__init__(sink=keep)
        self.fault = fault
        self.stages = (self.record, self.check, self.run)
        self.api: Observed | None = None

    async def run(self, call: Call, proceed: Callable[[Call], Awaitable[Structured]]) -> Structured:
        """The tool function with an `api` that is watched."""
        self.api = Observed(call.wire, call.deadline, call.trail, call.tool.effect, call.host)
        self.api.fault = self.fault
        return call.tool.signature.structured(await call.tool.function(self.api, **call.typed))


class Token:
    """An authorizer with one secret, put where the connector's preferred scheme puts it."""

    def __init__(self, connector: Connector, secret: str) -> None:
        self.connector, self.secret = connector, secret

    async def apply(self, request: httpx.Request) -> str:
        """Apply it."""
        for scheme in self.connector.schemes:
            put: Any = getattr(scheme, "apply", None)
            if scheme.kind in {"bearer", "api_key", "basic", "oauth2"} and put is not None:
                put(request, self._open)
                return "1"
        request.headers["Authorization"] = f"Bearer {self.secret}"
        return "1"

    def _open(self, name: str) -> Secret:
        return Secret(self.secret)

    async def credential(self) -> Credential:
        """For a transport that has no requests."""
        return Credential("1", "basic", dict.fromkeys(("username", "password"), Secret(self.secret)))

    async def renew(self, generation: str) -> None:
        """The same secret is all there is."""


@dataclass(slots=True)
class Ran:
    """How a run ended, and everything that it left. `carried` operations went over another transport than HTTP, of
    which `changing` could have changed something."""

    result: dict[str, Any] | None
    error: CallError | None
    player: Player
    paging: list[Paginator]
    records: list[audit.Record] = field(default_factory=list[audit.Record])
    log: str = ""
    carried: int = 0
    changing: int = 0

    @property
    def code(self) -> str:
        """The code of the error, or `ok`."""
        return "ok" if self.error is None else self.error.code.value

    @property
    def outcome(self) -> str:
        """The outcome of the error; empty after a success."""
        return "" if self.error is None else self.error.outcome.value


async def perform(
    connector: Connector,
    tool: Tool,
    arguments: Mapping[str, Any],
    answering: Answering,
    *,
    seconds: float = 5.0,
    secret: str = "a-token",  # noqa: S107 - nobody's
    attempts: int = 2,
    fault: str = "",
) -> Ran:
    """Run `tool` against a provider that answers by `answering`; other transports end by `fault`. Waits take no
    time."""
    player, records = Player(answering), list[audit.Record]()
    connection = Connection("local", connector.name, "check")
    walk = Bare(records.append, fault)
    async with httpx.AsyncClient(transport=player) as client:
        wire = Wire(
            connector,
            connection,
            Token(connector, secret),
            client,
            re.sub(r"\{[^}]*\}", "example", connector.base_url),
            Limiter(),
            RetryPolicy(attempts=attempts),
            sleep=_no_wait,
        )
        call = Call(tool, arguments, connection, wire, Deadline.after(seconds))
        result, error = None, None
        with heard() as log:
            try:
                result = await walk(call)
            except CallError as ended:
                error = ended
    ran = Ran(result, error, player, [], records, "\n".join(log))
    if walk.api is not None:
        ran.paging, ran.carried, ran.changing = walk.api.paging, walk.api.carried, walk.api.changing
    return ran


async def _no_wait(seconds: float) -> None:
    """Stand in for a sleep."""


@contextmanager
def heard() -> Generator[list[str]]:
    """What clew logs meanwhile, at every level, and does not show."""
    lines: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(logging.Formatter().format(record))

    logger, ear = logging.getLogger("clew"), Ear()
    level, propagates = logger.level, logger.propagate
    logger.addHandler(ear)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield lines
    finally:
        logger.removeHandler(ear)
        logger.setLevel(level)
        logger.propagate = propagates


def json_answer(data: Any, status: int = 200, **headers: str) -> httpx.Response:
    """An answer with JSON."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, json=data, headers=named)
