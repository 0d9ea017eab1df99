"""What one process shares between its calls: connectors, vault, HTTP client, rate limits and the walk."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import field
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies

import httpx

from clew.auth.authorizer import VaultAuthorizer
from clew.auth.connections import find, granted, usable_scopes
from clew.auth.dpop import hear
from clew.auth.facts import Facts
from clew.auth.leases import open_leases
from clew.auth.minting import MINTERS
from clew.auth.mutual import CertificateTransport, refuse_certificate
from clew.auth.origins import Place
from clew.auth.refresh import Refresher
from clew.auth.vault import Summary, Vault
from clew.auth.webhook_secrets import receiving
from clew.core.api import Api
from clew.core.approvals import open_approvals
from clew.core.audit import Origin
from clew.core.call import Call, Fit, Structured, Walk
from clew.core.connection import Connection
from clew.core.connector import Connector, Effect
from clew.core.consent import Consent, ask_about
from clew.core.deadline import Deadline
from clew.core.drift import Drift
from clew.core.drift_log import open_drift
from clew.core.errors import ActionRequiredError, TransientError
from clew.core.exchange import Trail
from clew.core.host import Host, Question, SilentHost
from clew.core.inbox import Inbox
from clew.core.joining import Joining
from clew.core.journal import Write
from clew.core.limiter import Limiter
from clew.core.policy import Decision, Policy, Ruling
from clew.core.pool import Client, SlotTransport
from clew.core.rates import open_rates
from clew.core.registry import load
from clew.core.retry import RetryBudget, RetryPolicy
from clew.core.values import dataclass
from clew.core.versions import Notices
from clew.core.wire import Wire
from clew.servers.console_address import find_console
from clew.servers.event_tools import event_tools, names_for
from clew.servers.evidence import Evidence, names, open_evidence, versions
from clew.servers.offering import Bound, View, select_tools
from clew.servers.operation_tools import operation_tools
from clew.servers.operations import Operations
from clew.servers.settings import Settings
from clew.servers.store import Store, open_events, open_limits, open_store
from clew.servers.tenancy import Tenancy, tenancy
from clew.servers.waiting import Waiting

if TYPE_CHECKING:
    from clew.servers.connecting import Connecting
    from clew.servers.rounds import Rounds

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Runtime:
    """Connectors that are ready to be called. `open` makes one and closes what it opened."""

    settings: Settings
    connectors: tuple[Connector, ...]
    tools: Mapping[str, Bound]
    vault: Vault
    refresher: Refresher
    client: httpx.AsyncClient
    walk: Walk
    store: Store
    inbox: Inbox
    joining: Joining
    waiting: Waiting
    account: str | None = None
    tenancy: Tenancy = field(default_factory=Tenancy)
    hears: frozenset[str] = frozenset()
    evidence: Evidence | None = None
    discover: bool = False
    tools_changed: Callable[[], Awaitable[None]] | None = None
    rounds: "Rounds | None" = None
    connecting: "Connecting | None" = None
    limiter: Limiter = field(default_factory=Limiter)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    notices: Notices = field(default_factory=Notices)
    drift: Drift = field(default_factory=Drift)
    retries: RetryBudget = field(default_factory=RetryBudget)
    wires: dict[Connection, Wire] = field(default_factory=dict[Connection, Wire])
    closing: bool = False
    active: int = 0
    operations: Operations = field(init=False)

    def __post_init__(self) -> None:
        self.operations = Operations(self.walk, self.store.journal)

    @property
    def name(self) -> str:
        """The server's name: the connector's, or `clew` for several."""
        return self.connectors[0].name if len(self.connectors) == 1 else "clew"

    @property
    def view(self) -> View:
        """Everything that is offered."""
        return View(self.name, self.connectors, self.tools)

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls,
        settings: Settings,
        chosen: Sequence[str],
        *,
        policy: Policy | None = None,
        tools: Sequence[str] = (),
        account: str | None = None,
        users: bool = False,
    ) -> AsyncGenerator["Runtime"]:
        """Load the connectors `chosen` and everything they need. `tools` keeps only these tools or toolsets. With
        `users` every caller brings a tenant of its own, and no call is made for another.

        Raises `ConfigurationError` for unknown connectors and tools, before anything is opened.
        """
        policy = policy or settings.policy
        connectors = tuple(load(name) for name in dict.fromkeys(chosen))
        only = tuple(tools) or settings.tools
        wanted = tuple(each for each in only if each != "events")
        offered = select_tools(connectors, policy=policy, only=wanted) if wanted or not only else {}
        async with contextlib.AsyncExitStack() as stack:
            store = await stack.enter_async_context(open_store(settings))
            refresher = Refresher(store.vault, await open_leases(store.database), minters=MINTERS)
            stack.push_async_callback(refresher.close)
            client = await stack.enter_async_context(open_client())
            limits = open_limits(settings)
            stack.push_async_callback(limits.close)
            limiter = Limiter(limits)
            inbox = await open_events(store)
            whose = Tenancy("", ()) if users else await tenancy(settings, store.vault)
            heard = [await receiving(store.vault, tenant=each) for each in await whose.served(store.vault)]
            hears = {each.connector for found in heard for each in found} & {each.name for each in connectors}
            if not only or "events" in only:
                offered |= _event_tools(inbox, [each for each in connectors if each.name in hears], account, offered)
            joining = Joining(store.journal, inbox, {each.name: each for each in connectors})
            evidence = await stack.enter_async_context(open_evidence(settings, store.database))
            drift = Drift()
            stack.push_async_callback(keep_drift, drift, store)
            runtime = cls(
                settings,
                connectors,
                offered,
                store.vault,
                refresher,
                client,
                Walk(
                    sink=evidence,
                    journal=store.journal,
                    consenting=await _consent(policy, store, settings),
                    begin=evidence.audit.begin,
                    names=names(settings),
                ),
                store,
                inbox,
                joining,
                Waiting(store.journal, joining, store.vault),
                account,
                whose,
                frozenset(hears),
                limiter=limiter,
                evidence=evidence,
                drift=drift,
            )
            runtime.tools = offered | _operation_tools(runtime)
            stack.push_async_callback(runtime.operations.close)
            yield runtime

    async def call(
        self,
        name: str | Bound,
        arguments: Mapping[str, Any],
        *,
        host: Host | None = None,
        account: str | None = None,
        deadline: float | None = None,
        origin: Origin | None = None,
        fit: Fit | None = None,
        patience: float = 0.0,
        tenant: str | None = None,
    ) -> Structured:
        """Call a tool, or the one offered under this name. Raises `CallError`; `deadline` is in seconds. `origin` is
        who calls and `tenant` whom they belong to, `fit` makes the result as small as the caller can take. With
        `patience` (seconds) a workflow that takes longer, or longer than the deadline, goes on without the caller, who
        gets `accepted` with a handle."""
        bound = self.tools[name] if isinstance(name, str) else name
        known = await self._known(bound.connector, account, tenant)
        call = self._call(bound, arguments, known, host, deadline)
        call.origin, call.fit = origin or call.origin, fit
        outlives = patience > 0 and call.tool.workflow
        person = partial(self.waiting.person, host=call.host, seconds=deadline or self.settings.deadline)
        call.outside = None if outlives else person
        if self.closing:
            raise TransientError("the server is shutting down; nothing was sent.")
        self.active += 1
        try:
            result = await (self.operations.run(call, patience=patience) if outlives else self.walk(call))
            if "accepted" in result:
                await self.waiting.accepted(call)
            return result
        except ActionRequiredError as error:
            if not outlives:
                raise
            return await person(call, error)
        finally:
            self.active -= 1
            if self.drift.due():
                await keep_drift(self.drift, self.store)

    async def question(
        self,
        name: str,
        arguments: Mapping[str, Any],
        *,
        account: str | None = None,
        because: str = "",
        tenant: str | None = None,
    ) -> Question:
        """What a person would be asked about a call, with the object as it is now. Nothing is changed."""
        bound = self.tools[name]
        call = self._call(bound, arguments, await self._known(bound.connector, account, tenant), None, None)
        call.typed = call.tool.signature.check(arguments)
        return await ask_about(call, Ruling(Decision.ASK, because), None)

    def _call(
        self, bound: Bound, arguments: Mapping[str, Any], known: Summary, host: Host | None, deadline: float | None
    ) -> Call:
        wire = self._wire(bound.connector, known)
        return Call(
            bound.tool,
            arguments,
            wire.connection,
            wire,
            Deadline.after(deadline or self.settings.deadline),
            host or SilentHost(),
            identity=known.facts.identity,
            granted=granted(known.facts),
            versions=versions(bound.connector),
        )

    def serves(self, connection: Connection, tenant: str = "") -> bool:
        """Is it a connection that the calls of this server are made with, or those of `tenant`?"""
        connector = next((each for each in self.connectors if each.name == connection.connector), None)
        whose = tenant or self.tenancy.own
        if connector is None or (whose and connection.tenant != whose):
            return False
        return self.chosen(connector, None) in (None, connection.account)

    async def resumed(self, row: Write, arguments: Mapping[str, Any]) -> Call | None:
        """The call that goes on with a workflow's row; None when its tool is not offered here."""
        for bound in self.tools.values():
            if bound.tool.workflow and (bound.connector.name, bound.tool.name) == (row.connection.connector, row.tool):
                account = None if row.connection.account == "none" else row.connection.account
                known = await self._known(bound.connector, account, row.connection.tenant)
                call = self._call(bound, arguments, known, None, None)
                call.row = row.id
                return call if call.connection == row.connection else None
        return None

    async def drain(self, seconds: float) -> None:
        """Take no new calls, and wait so long for those under way to end."""
        self.closing = True
        give_up_at = time.monotonic() + seconds
        while (self.active or self.operations.running) and time.monotonic() < give_up_at:  # noqa: ASYNC110 - a few looks, once in a process's life
            await asyncio.sleep(0.02)

    async def lacking(self, tenant: str | None = None, view: View | None = None) -> dict[str, tuple[str, ...]]:
        """The tools (of `view`) that no account could use as things stand, each with the scopes it lacks.

        They need not be shown.
        Where an account's scopes are not known, or nothing is connected yet, nothing is lacking.
        """
        lacks: dict[str, tuple[str, ...]] = {}
        whose, seen = self.tenancy.of(tenant), view or self.view
        for connector in seen.connectors:
            offered = [bound for bound in seen.tools.values() if bound.connector is connector and bound.tool.scopes]
            if not offered:
                continue
            account = self.chosen(connector, None)
            accounts = await usable_scopes(self.vault, connector.name, account=account, tenant=whose) or []
            for bound in offered if accounts else ():
                missing = [bound.tool.lacks(scopes) for scopes in accounts]
                if all(missing):
                    lacks[bound.name] = min(missing, key=len)
        return lacks

    async def identity(
        self, connector: Connector, account: str | None = None, *, deadline: float = 10.0, tenant: str | None = None
    ) -> str | None:
        """Whose credentials these are, in the provider's words; `None` when the connector declares no identity call."""
        if connector.identify is None:
            return None
        wire = await self.wire(connector, account, tenant=tenant)
        return await connector.identify(Api(wire, Deadline.after(deadline), Trail(), Effect.READ, SilentHost()))

    def place(self, connector: Connector) -> Place:
        """The configured root address of a provider, else the connector's own."""
        return self.settings.place(connector.name, connector.base_url)

    async def wire(self, connector: Connector, account: str | None = None, *, tenant: str | None = None) -> Wire:
        """The way to the provider with the credentials of `account`, the configured one or the only one."""
        return self._wire(connector, await self._known(connector, account, tenant))

    def _wire(self, connector: Connector, known: Summary) -> Wire:
        connection = known.connection
        place = self.place(connector)
        base_url = place.url(connector.schemes, connection, known.facts)
        wire = self.wires.get(connection)
        if wire is None or (wire.base_url, wire.variables) != (base_url.rstrip("/"), known.facts.variables):
            authorizer = (
                VaultAuthorizer(
                    connection, connector.schemes, self.vault, self.refresher, base_url=base_url, place=place
                )
                if connector.schemes
                else None
            )
            self.wires[connection] = Wire(
                connector,
                connection,
                authorizer,
                self.client,
                base_url,
                self.limiter,
                self.retry,
                self.notices,
                self.drift,
                retries=self.retries,
                variables=known.facts.variables,
            )
        return self.wires[connection]

    async def _known(self, connector: Connector, account: str | None, tenant: str | None) -> Summary:
        whose = self.tenancy.of(tenant)
        if not connector.schemes:
            return Summary(Connection(whose, connector.name, "none"), 0, Facts(kind="none"), 0.0, 0.0)
        chosen = self.chosen(connector, account)
        return await find(self.vault, connector.name, connector.schemes, account=chosen, tenant=whose)

    def chosen(self, connector: Connector, account: str | None = None) -> str | None:
        """The account that a call uses when several are there: the named one, the server's, the configured one."""
        return account or self.account or self.settings.of(connector.name).account or None


async def keep_drift(drift: Drift, store: Store) -> None:
    """Write down what answers have shown. It is an observation: where it cannot be kept, calls go on."""
    try:
        await (await open_drift(store.database)).keep(drift.take())
    except Exception as error:
        log.warning("changes of providers are not written down: %s", error)


async def _consent(policy: Policy, store: Store, settings: Settings) -> Consent:
    approvals = await open_approvals(store.database, store.sealer)
    rates = await open_rates(store.database)
    return Consent(policy, approvals, console=lambda: find_console(settings), rates=rates)


def _event_tools(
    inbox: Inbox, connectors: Sequence[Connector], account: str | None, offered: Mapping[str, Bound]
) -> dict[str, Bound]:
    """The tools about events, where an account of a served connector receives some: a list of tools stays small."""
    own = event_tools(inbox, connectors, account)
    if own is None:
        return {}
    return {name: Bound(name, own, own.tools[each]) for each, name in names_for(own, offered).items()}


def _operation_tools(runtime: Runtime) -> dict[str, Bound]:
    """The tool that reads how far a workflow is, where one is offered."""
    if not any(bound.tool.workflow for bound in runtime.tools.values()):
        return {}
    own = operation_tools(runtime.store.journal, runtime.serves)
    return {name: Bound(name, own, own.tools[name]) for name in own.tools if name not in runtime.tools}


def open_client() -> httpx.AsyncClient:
    """The one client of a process. Where the environment names a proxy, httpx's own pool knows how to use it."""
    hooks: dict[str, list[Any]] = {"response": [hear]}
    if getproxies().keys() & {"http", "https", "all"}:
        hooks = {**hooks, "request": [refuse_certificate]}
        return Client(follow_redirects=False, event_hooks=hooks)
    return Client(follow_redirects=False, event_hooks=hooks, direct=CertificateTransport(SlotTransport()))
