"""What the console works on: the stores of one process, opened for it or shared with the server it runs in."""

import contextlib
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from clew.core.approvals import Approval, Approvals, open_approvals, refused_to
from clew.core.audit_log import take_in
from clew.core.errors import NotFoundError
from clew.core.host import Question
from clew.core.inbox import Inbox
from clew.core.limit_store import LimitStore
from clew.core.policy import Channel
from clew.core.schema import Signature
from clew.core.secret import Secret
from clew.core.values import dataclass
from clew.servers.console.sessions import LOCAL, Sessions, Visitor, open_sessions
from clew.servers.console_settings import ConsoleSettings
from clew.servers.evidence import folder
from clew.servers.offering import Bound
from clew.servers.runtime import Runtime
from clew.servers.settings import Settings
from clew.servers.store import Store, open_events, open_limits, open_store
from clew.servers.tenancy import tenant_named


@dataclass(frozen=True, slots=True)
class Desk:
    """Made by `open_desk`. `runtime` is the server's own, where the console runs in one."""

    settings: Settings
    store: Store
    approvals: Approvals
    inbox: Inbox
    limits: LimitStore
    sessions: Sessions
    runtime: Runtime | None = None

    @property
    def rules(self) -> ConsoleSettings:
        """Who gets in."""
        return self.settings.console

    @property
    def way(self) -> str:
        """The one way in that is open: the issuer's, or a link."""
        return self.rules.issuer or LOCAL

    @property
    def tenant(self) -> str | None:
        """Whose things are looked at; None: everybody's, while nobody has named a tenant."""
        return (self.runtime.tenancy.own if self.runtime else self.settings.tenant) or None

    async def visitor(self, token: str) -> Visitor | None:
        """The person of this session, while the settings still admit them."""
        found = await self.sessions.visitor(Secret(token), self.way) if token else None
        if found is None or (self.rules.issuer and not self.rules.admits(found.person, found.groups)):
            return None
        return found

    def is_operator(self, visitor: Visitor) -> bool:
        """May they see more than what is theirs to approve? Whoever came by a link has the files anyway. Where many
        people's things are here, only those who are named as operators may."""
        named = bool(self.rules.operators or self.rules.operator_groups) or not self.settings.http.has_users
        return visitor.way == LOCAL or (named and self.rules.is_operator(visitor.person, visitor.groups))

    def is_theirs(self, visitor: Visitor, approval: Approval) -> bool:
        """Is it a question about the connections of this person? Where calls have tenants of their own, others' are
        for operators, and for those whom a rule names."""
        http, asked = self.settings.http, approval.question.connection.tenant
        if not http.has_users or self.is_operator(visitor) or visitor.person in approval.approvers:
            return True
        same = (http.issuer, http.identity, http.tenant) == (self.rules.issuer, self.rules.identity, "user")
        return same and asked == tenant_named(visitor.person, http.issuer, self.settings)

    async def shown_to(self, visitor: Visitor) -> list[Approval]:
        """The approvals that this person may decide here, or has decided or could have; the newest first."""
        kept = await self.approvals.list(pending=False, tenant=self.tenant)
        return [
            each
            for each in kept
            if self.is_theirs(visitor, each) and refused_to(each, visitor.person, Channel.CONSOLE) is None
        ]

    async def approval(self, id: str, visitor: Visitor) -> Approval:
        """One of those. What is not theirs to decide is not there."""
        found = await self.approvals.get(id)
        if (
            self.tenant not in (None, found.question.connection.tenant)
            or not self.is_theirs(visitor, found)
            or refused_to(found, visitor.person, Channel.CONSOLE) is not None
        ):
            raise NotFoundError(f"there is no approval {id[:20]!r} for you here.", next_step="Look at the list.")
        return found

    @contextlib.asynccontextmanager
    async def tool(self, connector: str, tool: str) -> AsyncGenerator[tuple[Runtime, Bound]]:
        """A tool that can be looked at: the server's own, or its connector opened for this."""
        for bound in self.runtime.tools.values() if self.runtime else ():
            if (bound.connector.name, bound.tool.name) == (connector, tool):
                assert self.runtime is not None
                yield self.runtime, bound
                return
        async with Runtime.open(self.settings, [connector], tools=[tool]) as opened:
            (bound,) = opened.tools.values()
            yield opened, bound

    async def question(self, approval: Approval, arguments: Mapping[str, Any]) -> Question:
        """What the person would agree to with other arguments, with the object as it is now."""
        where = approval.question.connection
        async with self.tool(where.connector, approval.question.tool) as (runtime, bound):
            account = None if where.account == "none" else where.account
            because = approval.question.because
            return await runtime.question(bound.name, arguments, account=account, because=because, tenant=where.tenant)

    async def signature(self, approval: Approval) -> Signature:
        """The schema of an approval's tool."""
        where = approval.question.connection
        async with self.tool(where.connector, approval.question.tool) as (_, bound):
            return bound.tool.signature


@contextlib.asynccontextmanager
async def open_desk(settings: Settings, runtime: Runtime | None = None) -> AsyncGenerator[Desk]:
    """Open what the pages need, or share what a server has open."""
    async with contextlib.AsyncExitStack() as stack:
        store = runtime.store if runtime else await stack.enter_async_context(open_store(settings))
        limits = runtime.limiter.store if runtime else open_limits(settings)
        if runtime is None:
            stack.push_async_callback(limits.close)
        await take_in(store.database, folder(settings))
        yield Desk(
            settings,
            store,
            await open_approvals(store.database, store.sealer),
            runtime.inbox if runtime else await open_events(store),
            limits,
            await open_sessions(store.database, settings.console.session),
            runtime,
        )
