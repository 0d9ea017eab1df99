"""One request's way to the provider and back: the stages below a tool function.

    pin        the API version and the fixed headers are on the request
    limit      a moment is reserved in every shared budget and waited for, or the agent is told when there is one
    authorize  the credential is on the request; decrypted here and nowhere earlier
    send       over the wire, bounded in time and size
    learn      what the answer says about budgets and deprecations is remembered
    judge      one code and one outcome; only success goes on

Trying again runs the list again from `limit`, so the credential is applied anew after every wait.
"""

import asyncio
import base64
import binascii
import shlex
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypedDict

import httpx

from clew.core.audit import now, plain_id
from clew.core.bounds import Bounds
from clew.core.connection import Connection
from clew.core.connector import Connector
from clew.core.credentials import Authorizer, Lender
from clew.core.deadline import Deadline
from clew.core.drift import Drift
from clew.core.errors import AuthExpiredError, AuthRevokedError, CallError, Code, InternalError, Outcome
from clew.core.exchange import Exchange
from clew.core.limiter import Limiter, Sending
from clew.core.limits import retry_after
from clew.core.outcomes import judge, lost
from clew.core.response import Response
from clew.core.retry import RetryBudget, RetryPolicy, Sleep, retrying
from clew.core.secret import Secret
from clew.core.transport import send
from clew.core.versions import Notices

AGENT = "clew/0.1"

_DEFAULTS = {"user-agent": AGENT, "accept": "application/json", "accept-encoding": "gzip"}


_PROVIDER_GONE = (
    httpx.NetworkError,
    httpx.ConnectTimeout,
    httpx.ReadTimeout,
    httpx.RemoteProtocolError,
    ConnectionError,
)
"""Faults that speak of the provider's host, not of one request or of us."""

_BACKEND_GONE = frozenset({502, 503, 504, 520, 521, 522, 523, 524, 529})
"""Statuses of an edge with nothing behind it."""


class Sent(TypedDict):
    """What every transport is told about one exchange."""

    bounds: Bounds
    deadline: Deadline
    safe: bool
    provider: str


WireStage = Callable[["Wire", Exchange], Awaitable[None]]


@dataclass(slots=True)
class Wire:
    """One connection's way to its provider. Shared by all calls of the connection in this process."""

    connector: Connector
    connection: Connection
    authorizer: Authorizer | None
    client: httpx.AsyncClient
    base_url: str = ""
    limiter: Limiter = field(default_factory=Limiter)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    notices: Notices = field(default_factory=Notices)
    drift: Drift = field(default_factory=Drift)
    sleep: Sleep = asyncio.sleep
    retries: RetryBudget = field(default_factory=RetryBudget)
    secret_parameters: set[str] = field(default_factory=set[str])
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    _fixed: list[tuple[bytes, bytes]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.base_url = (self.base_url or self.connector.base_url).rstrip("/")
        fixed = {name.lower(): value for name, value in self.connector.headers.items()}
        self._fixed = httpx.Headers({**_DEFAULTS, **fixed}).raw

    @staticmethod
    def stages() -> Sequence[WireStage]:
        """The stages in their order."""
        return (Wire.pin, Wire.limit, Wire.authorize, Wire.send, Wire.learn, Wire.judge)

    async def exchange(self, exchange: Exchange) -> Response:
        """Send a request until it is answered, within its deadline. Raises `CallError` for everything but success.

        A refused credential is renewed once and never sent again: loops lock accounts.
        """
        refused: tuple[str, AuthExpiredError] | None = None
        renewed = False

        async def attempt(number: int) -> Response:
            nonlocal refused, renewed
            if refused is None:
                trial = exchange if number == 1 else exchange.again()
                try:
                    return await self._once(trial)
                except AuthExpiredError as error:
                    if renewed:
                        raise self._revoked(error, "not even renewed ones") from error
                    refused = trial.generation, error
            await self._renew(*refused)
            refused, renewed = None, True
            try:
                return await self._once(exchange.again())
            except AuthExpiredError as error:
                raise self._revoked(error, "not even renewed ones") from error

        async def pause(seconds: float) -> None:
            if seconds >= 1:
                await exchange.host.progress(f"waiting {seconds:.0f} s before asking {self.connector.name} again")
            await self.sleep(seconds)

        spend = self.retries.of(self.connector.name)
        return await retrying(attempt, policy=self.retry, deadline=exchange.deadline, sleep=pause, spend=spend)

    async def _once(self, exchange: Exchange) -> Response:
        attempt, began = exchange.attempt, time.monotonic()
        attempt.began = now()
        exchange.trail.attempts.append(attempt)
        try:
            for stage in self.stages():
                await self._timed(stage, exchange)
        except CallError as error:
            attempt.code = error.code
            exchange.landed(changed=error.outcome is not Outcome.NOT_APPLIED)
            raise
        finally:
            attempt.seconds = time.monotonic() - began
            await self.limiter.leave(exchange.room)
        assert exchange.response is not None
        exchange.landed(changed=True)
        return exchange.response

    async def _timed(self, stage: WireStage, exchange: Exchange) -> None:
        at = time.monotonic()
        try:
            await stage(self, exchange)
        finally:
            exchange.attempt.spent(stage.__name__, time.monotonic() - at)

    async def _renew(self, generation: str, refused: AuthExpiredError) -> None:
        if self.authorizer is None:
            raise self._revoked(refused, "none are set") from refused
        await self.authorizer.renew(generation)

    @property
    def _connect_again(self) -> str:
        return f"Ask the person to run: clew auth set {self.connector.name} --account {self.connection.account}"

    def _revoked(self, refused: AuthExpiredError, why: str) -> AuthRevokedError:
        name, account = self.connector.name, self.connection.account
        return AuthRevokedError(
            f"{name} does not accept the credentials of account {account!r}, {why}.",
            next_step=self._connect_again,
            status=refused.status,
            provider_code=refused.provider_code,
            provider_message=refused.provider_message,
            request_id=refused.request_id,
        )

    async def pin(self, exchange: Exchange) -> None:
        """Pin the version and set the fixed headers."""
        request, version = exchange.request, self.connector.version
        own = request.headers.raw
        given = {name.lower() for name, _ in own}
        request.headers = httpx.Headers([*own, *(each for each in self._fixed if each[0] not in given)])
        if version is not None and version.header:
            request.headers[version.header] = version.value
        elif version is not None and version.parameter:
            request.url = request.url.copy_set_param(version.parameter, version.value)

    async def limit(self, exchange: Exchange) -> None:
        """Reserve a moment in every budget and sleep until it comes, or say when there will be room."""
        exchange.room, waited = await self.limiter.enter(
            self.connector.declared,
            self._sending(exchange),
            deadline=exchange.deadline,
            sleep=self.sleep,
            tell=exchange.host.progress,
        )
        exchange.attempt.waited += waited
        exchange.attempt.units = exchange.room.points()

    def _sending(self, exchange: Exchange) -> Sending:
        return Sending(self._principal, exchange.attempt.route, exchange.request, exchange.trail.background)

    @property
    def _principal(self) -> str:
        return f"{self.connection.tenant}/{self.connection.account}"

    async def authorize(self, exchange: Exchange) -> None:
        """Apply the credential."""
        if self.authorizer is None:
            return
        if exchange.carrier is not None:
            await self._lend(exchange, self.authorizer)
            return
        request = exchange.request
        headers, url = set(request.headers.raw), request.url
        exchange.generation = await self.authorizer.apply(request)
        values = [value.decode("latin-1") for name, value in request.headers.raw if (name, value) not in headers]
        if request.url is not url:
            query = url.params
            added = {name: value for name, value in request.url.params.items() if query.get(name) != value}
            self.secret_parameters.update(added)
            values += added.values()
        values += (secret.reveal() for secret in exchange.write_body())
        exchange.secrets = tuple(Secret(part) for part in _parts(values))

    async def _lend(self, exchange: Exchange, authorizer: Authorizer) -> None:
        if not isinstance(authorizer, Lender):
            raise InternalError(f"the credential of {self.connector.name} cannot be used without HTTP.")
        exchange.credential = await authorizer.credential()
        exchange.generation = exchange.credential.generation
        parts = _parts(secret.reveal() for secret in exchange.credential.fields.values())
        exchange.secrets = tuple(Secret(part) for part in parts)

    async def send(self, exchange: Exchange) -> None:
        """Send and read the answer."""
        if exchange.trail.closed:  # by a task that the tool left behind: what was told about the call must stay true
            raise lost("the call has ended", left=False, safe=exchange.safe, provider=self.connector.name)
        writing = exchange.trail.writing
        if not exchange.safe:
            if writing is not None:
                writing.guard()
            exchange.in_flight = True
            exchange.trail.in_flight += 1
        try:
            response = await self._carried(exchange)
        except CallError as error:
            if isinstance(error.__cause__, _PROVIDER_GONE):
                assert exchange.room is not None
                await self.limiter.failed(exchange.room)
            raise
        named = plain_id(response.headers)
        exchange.attempt.status = response.status
        exchange.attempt.request_id = exchange.hide(named) if named else None
        exchange.credential = None
        if writing is not None and not exchange.safe:
            writing.hear(response.headers)
        if self.secret_parameters:
            response = replace(response, url=_without(response.url, self.secret_parameters))
        exchange.response = response

    async def _carried(self, exchange: Exchange) -> Response:
        facts: Sent = {
            "bounds": self.connector.bounds,
            "deadline": exchange.deadline,
            "safe": exchange.safe,
            "provider": self.connector.name,
        }
        if exchange.carrier is not None:
            return await exchange.carrier.carry(exchange.credential, **facts)
        return await send(self.client, exchange.request, **facts)

    async def learn(self, exchange: Exchange) -> None:
        """Remember what the answer's headers say."""
        assert exchange.response is not None
        headers = exchange.response.headers
        for name, value in self.notices.observe(self.connector.name, headers, self.connector.version):
            self.drift.announced(self.connector.name, name, value)
        if exchange.response.status not in _BACKEND_GONE:
            assert exchange.room is not None
            await self.limiter.answered(
                self.connector.declared,
                self._sending(exchange),
                exchange.room,
                headers,
                exchange.response.data,
                sent_at=exchange.request.extensions.get("sent_at"),
            )

    async def judge(self, exchange: Exchange) -> None:
        """Raise what the answer means, if it is not success."""
        assert exchange.response is not None
        error = judge(
            exchange.response,
            errors=self.connector.errors,
            safe=exchange.safe,
            provider=self.connector.name,
            hide=exchange.hide,
        )
        if error is None:
            return
        if error.code is Code.AUTH_REVOKED and error.next_step == AuthRevokedError.default_next:
            error.next_step = self._connect_again
        error.next_step = error.next_step.replace("{account}", shlex.quote(self.connection.account))
        assert exchange.room is not None
        facts = self.connector.declared, self._sending(exchange)
        if error.code is Code.RATE_LIMITED:
            told = retry_after(exchange.response.headers) is not None
            if not told:
                known = await self.limiter.left(*facts, exchange.room)
                error.retry_after = known or error.retry_after or 1.0
            await self.limiter.refused(*facts, exchange.room, error.retry_after or 0.0, told=told)
        elif error.status in _BACKEND_GONE:
            await self.limiter.failed(exchange.room)
        raise error


def _parts(values: Iterable[str]) -> list[str]:
    """What must not come back of applied credentials: each value, its last word (`Bearer …`), what that one names
    (`Token token=…`), a password in `Basic …`.

    Longest first; parts under 6 characters would tear ordinary words apart.
    """
    found: set[str] = set()
    for value in values:
        word = value.rpartition(" ")[2]
        found |= {value, word, word.partition("=")[2].strip('"')}
        if value.lower().startswith("basic "):
            found |= set(_opened(word).split(":", 1))
    return sorted((part for part in found if len(part) >= 6), key=len, reverse=True)


def _opened(word: str) -> str:
    try:
        return base64.b64decode(word).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _without(url: str, parameters: set[str]) -> str:
    """`url` without the query parameters that carry a credential."""
    whole = httpx.URL(url)
    kept = [(name, value) for name, value in whole.params.multi_items() if name not in parameters]
    return str(whole.copy_with(params=kept))
