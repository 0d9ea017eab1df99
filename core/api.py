"""What a tool function is given: the requests of one connection, nothing else.

`api` is bound to one connection, so a tool cannot choose whose credentials it uses.
Every connector imports this module, so what speaks HTTP is imported by the first request: `clew list` makes none.
"""

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, cast, overload
from urllib.parse import unquote, urlsplit

from clew.core.audit import Attempt
from clew.core.bounds import SAFE_METHODS
from clew.core.connector import Effect
from clew.core.deadline import Deadline
from clew.core.errors import ConfigurationError, ContractChangedError, InvalidInputError, Outcome, OutcomeUnknownError
from clew.core.fields import MISSING, as_list, look
from clew.core.host import Host
from clew.core.mapping import read, read_each
from clew.core.outcomes import ErrorMap, Rule
from clew.core.pages import Answer, GraphQLPages, Page, Paginator, Place, items_of
from clew.core.paths import Segment, expand
from clew.core.request import Reading, Sending, build, trusted
from clew.core.response import Response

if TYPE_CHECKING:
    from clew.core.carrier import Carrier
    from clew.core.exchange import Trail
    from clew.core.mail.api import MailApi
    from clew.core.wire import Wire
    from clew.core.writing import Writing

T = TypeVar("T")

_PATH = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:@%/]*")


class Api:
    """The requests a tool may make. Paths are templates (`/repos/{}/{}`), their values positional and quoted.

    Every method takes `into`, the type the answer is mapped to (without it: plain data), `at`, the field path of the
    answer that is mapped (`data.contact`), and `query`, whose `None` values are left out. All raise `CallError`.
    """

    def __init__(self, wire: "Wire", deadline: Deadline, trail: "Trail", effect: Effect, host: Host) -> None:
        self._wire = wire
        self._deadline = deadline
        self._trail = trail
        self._effect = effect
        self._host = host

    @property
    def tenant(self) -> str:
        """Whose connection this is."""
        return self._wire.connection.tenant

    @overload
    async def get(self, path: str, *values: Segment, into: type[T], at: str = "", **more: Unpack[Reading]) -> T: ...
    @overload
    async def get(self, path: str, *values: Segment, at: str = "", **more: Unpack[Reading]) -> Any: ...
    async def get(self, path: str, *values: Segment, into: Any = None, at: str = "", **more: Unpack[Reading]) -> Any:
        """Read one resource."""
        return self._mapped(await self.request("GET", path, *values, **more), into, at)

    @overload
    async def post(self, path: str, *values: Segment, into: type[T], at: str = "", **more: Unpack[Sending]) -> T: ...
    @overload
    async def post(self, path: str, *values: Segment, at: str = "", **more: Unpack[Sending]) -> Any: ...
    async def post(self, path: str, *values: Segment, into: Any = None, at: str = "", **more: Unpack[Sending]) -> Any:
        """Create, or act. In a read tool: a search that the provider takes as POST."""
        response = await self.request("POST", path, *values, **more)
        return self._mapped(response, into, at, safe=more.get("safe", False))

    @overload
    async def put(self, path: str, *values: Segment, into: type[T], at: str = "", **more: Unpack[Sending]) -> T: ...
    @overload
    async def put(self, path: str, *values: Segment, at: str = "", **more: Unpack[Sending]) -> Any: ...
    async def put(self, path: str, *values: Segment, into: Any = None, at: str = "", **more: Unpack[Sending]) -> Any:
        """Replace."""
        return self._mapped(await self.request("PUT", path, *values, **more), into, at)

    @overload
    async def patch(self, path: str, *values: Segment, into: type[T], at: str = "", **more: Unpack[Sending]) -> T: ...
    @overload
    async def patch(self, path: str, *values: Segment, at: str = "", **more: Unpack[Sending]) -> Any: ...
    async def patch(self, path: str, *values: Segment, into: Any = None, at: str = "", **more: Unpack[Sending]) -> Any:
        """Change some fields."""
        return self._mapped(await self.request("PATCH", path, *values, **more), into, at)

    async def delete(self, path: str, *values: Segment, **more: Unpack[Reading]) -> None:
        """Delete. What the provider answers is not looked at beyond its judgement."""
        await self.request("DELETE", path, *values, **more)

    async def page(
        self,
        path: str,
        *values: Segment,
        into: type[T],
        cursor: str | None = None,
        pages: Paginator | None = None,
        **more: Unpack[Reading],
    ) -> Page[T]:
        """Read one page of a list: the first, or the one that `cursor` names."""
        paginator = self._paginator(pages)
        place = Place.from_cursor(cursor) if cursor else Place({})
        target = expand(path, values)
        own = {name: value for name, value in (more.get("query") or {}).items() if value is not None}
        response = await self._send(
            "GET",
            self._inside(place.path, target) if place.path else target,
            path,
            query={**paginator.first(), **place.query, **own},
            headers=more.get("headers"),
        )
        items = self._read_each(into, items_of(paginator, response.data))
        following = paginator.next(Answer(response.data, response.headers, response.url))
        return Page[T](items=items, next_cursor=self._cursor(following, cursor))

    async def graphql(self, query: str, *, into: type[T], at: str, variables: Mapping[str, Any] | None = None) -> T:
        """Run a GraphQL operation and map what stands at `at` below `data`."""
        data, outcome = await self._graphql(query, variables)
        found = look(data, at)
        if found is MISSING:
            raise ContractChangedError(f"the provider's answer changed its shape: {at} is missing.", outcome=outcome)
        return self._read(into, found, outcome)

    async def graphql_page(
        self,
        query: str,
        *,
        into: type[T],
        pages: GraphQLPages,
        variables: Mapping[str, Any] | None = None,
        cursor: str | None = None,
    ) -> Page[T]:
        """Run a GraphQL query over a connection and return one page of its nodes."""
        place = Place.from_cursor(cursor) if cursor else Place({})
        after = {name: value for name, value in place.query.items() if name == pages.variable}
        data, _ = await self._graphql(query, {**(variables or {}), pages.size_variable: pages.size, **after})
        items = self._read_each(into, items_of(pages, data))
        return Page[T](items=items, next_cursor=self._cursor(pages.next(Answer(data, {}, "")), cursor))

    async def request(self, method: str, path: str, *values: Segment, **more: Unpack[Sending]) -> Response:
        """Send any request and get the whole answer, for what the other methods do not fit."""
        return await self._send(method, expand(path, values), path, **more)

    def mapped(self, response: Response, data: Any, *, into: type[T]) -> T:
        """Data that a tool has read out of an answer of its `request` (out of XML, say), mapped like any other."""
        found: T = self._mapped(replace(response, data=data), into, "")
        return found

    async def upload(self, url: str, content: bytes, *, hosts: Sequence[str]) -> None:
        """Send bytes to an address that the provider has just named, without credentials and with none of our headers.

        The address must be HTTPS on one of `hosts` or below it, or on the API's own origin. An upload is sent again
        when its answer is lost: it has no effect until a further request makes use of it.
        """
        if not trusted(url, self._wire.base_url, hosts):
            raise ContractChangedError("the provider wants the upload on an unknown host; nothing was sent there.")
        import httpx

        from clew.core.exchange import Exchange

        stranger = replace(self._wire.connector, headers={}, version=None, rate_limits=None, errors=_UPLOADS)
        wire = replace(self._wire, connector=stranger, authorizer=None)
        request = httpx.Request("POST", url, headers={"content-type": "application/octet-stream"}, content=content)
        attempt = Attempt("POST", "(upload)")
        await wire.exchange(Exchange(request, attempt, True, self._deadline, self._host, self._trail))

    async def carry(self, method: str, route: str, carrier: "Carrier", *, safe: bool) -> Response:
        """Have `carrier` do one operation over a transport that is not HTTP. `method` and `route` are for the record;
        `safe` says that it changes nothing, so that it may be done again."""
        import httpx

        from clew.core.exchange import Exchange

        if self._effect is Effect.READ and not safe:
            raise ConfigurationError(f"a read tool may not do {method} {route}.")
        if self._writing is not None:
            await self._writing.depart(safe=safe)
        request = httpx.Request(method, f"{self._wire.base_url}/{route}")
        end, host, trail = self._deadline, self._host, self._trail
        exchange = Exchange(request, Attempt(method, route), safe, end, host, trail, carrier=carrier)
        return await self._wire.exchange(exchange)

    @property
    def mail(self) -> "MailApi":
        """The mailbox and the submission server of a connection whose connector has `base_url="mail://account"`."""
        from clew.core.mail.api import MailApi

        return MailApi(self._wire, self._deadline, self._trail, self._effect, self._host)

    async def own_id(self) -> str:
        """The id by which this write names what it makes, for a path or a `content` that the tool writes itself: the
        same at every repeat, and the `key` of its `verify`. Needs `once=NaturalKey(…)`, and comes before any change."""
        if self._effect is Effect.READ:
            raise ConfigurationError("only a write names what it makes.")
        if self._writing is None:  # nothing is kept of this call, so nothing can repeat it
            return uuid.uuid4().hex
        await self._writing.depart(safe=True)
        return self._writing.own_id()

    def reference(self, reference: str) -> None:
        """Say what the provider calls the object that this write makes or changes, so that an event can name it."""
        if self._writing is not None:
            self._writing.refer(reference)

    def accepted(self, follow_up: str, *, reference: str | None = None) -> None:
        """Say that the provider has taken the write on and that its end comes later; `follow_up` tells the agent what
        to do then. The tool returns its result as ever."""
        if self._writing is not None:
            self._writing.follow_up = follow_up
        if reference is not None:
            self.reference(reference)

    async def progress(self, message: str) -> None:
        """Tell the host that this call is waiting, and for what."""
        await self._host.progress(message)

    @property
    def _writing(self) -> "Writing | None":
        return None if self._effect is Effect.READ else self._trail.writing

    async def _send(self, method: str, path: str, route: str, inside: str = "", **more: Unpack[Sending]) -> Response:
        from clew.core.exchange import Exchange

        method = method.upper()
        if self._effect is Effect.READ and method not in {*SAFE_METHODS, "POST"}:
            raise ConfigurationError(f"a read tool may not send {method} {route}.")
        safe = more.get("safe", method in SAFE_METHODS or self._effect is Effect.READ)
        if self._writing is not None:
            await self._writing.depart(safe=safe)
            if not safe:
                more = cast(Sending, self._writing.dress(method, dict(more), inside))
        request = build(method, f"{self._wire.base_url}{path}", more)
        record = Attempt(method, route)
        return await self._wire.exchange(Exchange(request, record, safe, self._deadline, self._host, self._trail))

    async def _graphql(self, query: str, variables: Mapping[str, Any] | None) -> tuple[Any, Outcome]:
        """What stands at `data`, and the outcome when that cannot be read. Without `data` nothing was executed."""
        mutates = _mutates(query)
        if mutates and self._effect is Effect.READ:
            raise ConfigurationError("a read tool may not send a GraphQL mutation.")
        path = self._wire.connector.graphql
        body = {"query": query, "variables": dict(variables or {})}
        response = await self._send("POST", path, path, "variables.", json=body, safe=not mutates)
        data, errors = look(response.data, "data"), look(response.data, "errors")
        if as_list(errors):
            if mutates and data is MISSING:
                self._trail.changed -= 1
            kind = OutcomeUnknownError if mutates and data is not MISSING else InvalidInputError
            raise kind(
                f"{self._wire.connector.name} refused the query.",
                status=response.status,
                provider_message=response.field("errors[0].message"),
                provider_code=response.field("errors[0].type") or response.field("errors[0].extensions.code"),
            )
        return data, Outcome.APPLIED if mutates else Outcome.NOT_APPLIED

    def _mapped(self, response: Response, into: Any, at: str, *, safe: bool = False) -> Any:
        changed = not safe and response.method not in SAFE_METHODS and self._effect is not Effect.READ
        outcome = Outcome.APPLIED if changed else Outcome.NOT_APPLIED
        found = look(response.data, at) if at else response.data
        if found is MISSING:
            raise ContractChangedError(f"the provider's answer changed its shape: {at} is missing.", outcome=outcome)
        return found if into is None else self._read(into, found, outcome)

    def _read(self, into: type[T], found: Any, outcome: Outcome = Outcome.NOT_APPLIED) -> T:
        """The answer as `into`, and a look at what has changed in it."""
        name, drift = self._wire.connector.name, self._wire.drift
        try:
            value = read(into, found, outcome=outcome)
        except ContractChangedError as error:
            drift.failed(name, into, found, error.fields)
            raise
        drift.observe(name, into, found, outcome=outcome)
        return value

    def _read_each(self, into: type[T], found: Sequence[Any]) -> list[T]:
        values = read_each(into, found)
        if values is None:
            return [self._read(into, each) for each in found]
        self._wire.drift.observe_each(self._wire.connector.name, into, found)
        return values

    def _paginator(self, pages: Paginator | None) -> Paginator:
        paginator = pages or self._wire.connector.pages
        if paginator is None:
            raise ConfigurationError(f"connector {self._wire.connector.name} declares no pages=.")
        return paginator

    def _inside(self, target: str, path: str) -> str:
        """A cursor's path, refused unless it is the tool's own resource or below it, however it is spelled."""
        prefix = urlsplit(self._wire.base_url).path
        own, plain = target.removeprefix(prefix), unquote(unquote(target))
        below = own == path or (path != "/" and own.startswith(path.rstrip("/") + "/"))
        climbs = not {".", ".."}.isdisjoint(re.split(r"[/\\]", plain))
        if climbs or not below or not target.startswith(prefix) or not _PATH.fullmatch(own):
            raise InvalidInputError(
                "the cursor does not belong to this call.", next_step="Start again without a cursor."
            )
        return own

    def _cursor(self, following: Place | None, current: str | None) -> str | None:
        cursor = following.without(self._wire.secret_parameters).cursor() if following else None
        if cursor is not None and cursor == current:
            raise ContractChangedError("the provider's next page is the same page again; stopped.")
        return cursor


_UPLOADS = ErrorMap(
    rules=(
        Rule(
            code="conflict",
            status=(401, 403, 404, 409, 410),
            message="{provider} no longer takes the upload at the address it gave.",
            next_step="Make the same call again: it asks for a new address.",
        ),
    )
)
"""How hosts for uploads refuse. A 401 there is about the address and says nothing about our credentials."""


def _mutates(document: str) -> bool:
    """Does a GraphQL document hold a mutation, wherever it stands? Comments, texts and selections are no operations."""
    rest = re.sub(r'"""(?:.|\n)*?"""|"(?:[^"\\\n]|\\.)*"|#[^\n]*', " ", document)
    found = 1
    while found:
        rest, found = re.subn(r"\{[^{}]*\}", " ", rest)
    return re.search(r"(?<![\w$@])mutation\b", rest) is not None
