"""Approvals: a person's decision on one exact action, kept so that it works without the host.

An approval is bound to the hash of tool, arguments, account, schema and the object as we fetched it. It is good once
and for a time. What people vote is kept with their names; several may be needed. Texts are sealed: they hold arguments.
"""

import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from enum import StrEnum
from typing import Any

from clew.core.connection import Connection
from clew.core.database import Database, Row, Transaction
from clew.core.errors import ConflictError, NotFoundError, PermissionDeniedError
from clew.core.host import Question
from clew.core.policy import Channel, Ruling
from clew.core.sealer import Sealer
from clew.core.values import dataclass

STEPS = (
    """CREATE TABLE approvals (
        id TEXT PRIMARY KEY, digest TEXT NOT NULL, action TEXT NOT NULL, tenant TEXT NOT NULL, connector TEXT NOT NULL,
        account TEXT NOT NULL, tool TEXT NOT NULL, state TEXT NOT NULL, needed BIGINT NOT NULL, approvers TEXT NOT NULL,
        channels TEXT NOT NULL, requester TEXT NOT NULL, created DOUBLE PRECISION NOT NULL,
        ends DOUBLE PRECISION NOT NULL, body BLOB NOT NULL)""",
    "CREATE INDEX approvals_by_action ON approvals (action, state)",
    """CREATE TABLE approval_votes (
        approval TEXT NOT NULL, approver TEXT NOT NULL, channel TEXT NOT NULL, verdict TEXT NOT NULL,
        at DOUBLE PRECISION NOT NULL, note BLOB NOT NULL, PRIMARY KEY (approval, approver))""",
)

_COLUMNS = (
    "id, digest, action, tenant, connector, account, tool, state, needed, approvers, channels, requester, created, "
    "ends, body"
)
_KEPT = 30 * 86400.0
"""Seconds after its end for which a decided approval can still be read."""


class State(StrEnum):
    """Where an approval stands. `superseded`: the object changed and was asked about again."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    DONE = "done_by_hand"
    USED = "used"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"


class Verdict(StrEnum):
    """What a person can say: yes, no, or that they have done it themselves."""

    APPROVE = "approve"
    DENY = "deny"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Vote:
    """One person's word, at `at` (epoch seconds)."""

    approver: str
    channel: Channel
    verdict: Verdict
    at: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Edit:
    """Other arguments that a person approved instead, the hash of the action with them, and what it would hit: whoever
    decides after that person has to see that object and not the one that was asked about."""

    arguments: Mapping[str, Any]
    digest: str
    preview: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Approval:
    """One question and where it stands. Times are epoch seconds."""

    id: str
    question: Question
    digest: str
    state: State
    needed: int
    approvers: tuple[str, ...]
    channels: tuple[Channel, ...]
    requester: str
    created: float
    ends: float
    votes: tuple[Vote, ...] = ()
    edit: Edit | None = None

    @property
    def note(self) -> str:
        """What the last person who voted wrote."""
        return self.votes[-1].note if self.votes else ""

    @property
    def shown(self) -> str:
        """The hash of what a yes would be to: of the arguments as a person changed them, or else as they were asked."""
        return self.edit.digest if self.edit else self.digest

    @property
    def asks(self) -> Question:
        """What a yes would be to, as a person reads it: with the arguments as another person has changed them."""
        if self.edit is None:
            return self.question
        return replace(self.question, arguments=self.edit.arguments, preview=self.edit.preview)

    @property
    def by(self) -> str:
        """Who decided, in words."""
        return " and ".join(vote.approver for vote in self.votes) or "nobody"


class Approvals:
    """The approvals of one database. Make one with `open_approvals`."""

    def __init__(self, database: Database, sealer: Sealer, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock

    async def request(self, question: Question, ruling: Ruling, *, requester: str) -> Approval:
        """The live approval of exactly this action under these terms, else a new one. One of the same action on an
        object that looked otherwise, or that a former policy wanted otherwise, is superseded."""
        digest, now = question.digest, self._clock()
        fresh = Approval(
            secrets.token_hex(5), question, digest, State.PENDING, ruling.needed, ruling.approvers, ruling.channels,
            requester, now, now + ruling.expires,
        )  # fmt: skip
        body = await self._sealed(fresh)
        async with self._database.transaction() as tx:
            row = await tx.fetch_one(
                f"SELECT {_COLUMNS} FROM approvals WHERE action = ? AND digest = ? AND ends > ? "  # noqa: S608
                "AND state NOT IN ('used', 'superseded') AND needed = ? AND approvers = ? AND channels = ? "
                "ORDER BY created DESC",
                question.action,
                digest,
                now,
                fresh.needed,
                json.dumps(fresh.approvers),
                json.dumps(fresh.channels),
            )
            if row is None:
                await tx.execute(
                    "UPDATE approvals SET state = 'superseded' WHERE action = ? AND state IN ('pending', 'approved')",
                    question.action,
                )
                await tx.execute("DELETE FROM approvals WHERE ends < ?", now - _KEPT)
                await self._insert(tx, fresh, body)
        return fresh if row is None else await self._approval(row)

    async def get(self, id: str) -> Approval:
        """One approval. Raises `NotFoundError`."""
        row = await self._database.fetch_one(f"SELECT {_COLUMNS} FROM approvals WHERE id = ?", id)  # noqa: S608
        if row is None:
            raise NotFoundError(f"there is no approval {id[:20]!r}.", next_step="'clew approvals list' shows them.")
        return await self._approval(row)

    async def list(self, *, pending: bool = True, tenant: str | None = None) -> list[Approval]:
        """Those that wait for a person, or all that are kept, the newest first."""
        rows = await self._database.fetch_all(
            f"SELECT {_COLUMNS} FROM approvals ORDER BY created DESC, id"  # noqa: S608
        )
        found = [await self._approval(row) for row in rows if tenant in (None, row[3])]
        return [each for each in found if not pending or each.state is State.PENDING]

    async def vote(
        self,
        id: str,
        verdict: Verdict,
        *,
        approver: str,
        channel: Channel,
        note: str = "",
        edit: Edit | None = None,
        seen: str = "",
    ) -> Approval:
        """Record one person's word. Raises `ConflictError` when it is no longer open (or the person has voted, or
        another's edit is on it), `PermissionDeniedError` when this person, or this channel, does not count.

        `seen` is the `shown` of the approval that the person had before them: a yes to anything else is refused.
        """
        approval = await self.get(id)
        refusal = refused_to(approval, approver, channel)
        if refusal is not None:
            raise refusal
        cast = Vote(approver, channel, verdict, self._clock(), note)
        sealed_note = await self._sealer.seal(note.encode(), tenant=_tenant(approval), label=f"approval note {id}")
        async with self._database.transaction() as tx:
            row = await tx.fetch_one(f"SELECT {_COLUMNS} FROM approvals WHERE id = ?", id)  # noqa: S608
            now = await self._approval(row, tx) if row else approval
            closed = closed_to(now, approver)
            if closed is not None:
                raise closed
            if edit is not None and now.edit is None and edit.digest == now.digest:
                edit = None  # nothing was changed after all, and the agent must not be told so
            if seen and seen != now.shown:
                raise ConflictError(f"approval {id} is for other arguments by now; look at it again.")
            if edit is not None or (now.edit is not None and verdict is Verdict.APPROVE):
                now = self._edited(now, edit)
                await tx.execute("UPDATE approvals SET body = ? WHERE id = ?", await self._sealed(now), id)
            await tx.execute(
                "INSERT INTO approval_votes (approval, approver, channel, verdict, at, note) VALUES (?, ?, ?, ?, ?, ?)",
                id, approver, channel.value, verdict.value, cast.at, sealed_note,
            )  # fmt: skip
            now = replace(now, votes=(*now.votes, cast))
            now = replace(now, state=_counted(now))
            await tx.execute("UPDATE approvals SET state = ? WHERE id = ?", now.state.value, id)
        return now

    async def spend(self, approval: Approval) -> bool:
        """Use it up; False when it is not approved any more, or was used."""
        return bool(
            await self._database.execute(
                "UPDATE approvals SET state = 'used' WHERE id = ? AND state = 'approved' AND ends > ?",
                approval.id,
                self._clock(),
            )
        )

    @staticmethod
    def _edited(approval: Approval, edit: Edit | None) -> Approval:
        """Everybody must approve the same arguments."""
        former = approval.shown
        if any(vote.verdict is Verdict.APPROVE for vote in approval.votes):
            if edit is not None and edit.digest != former:
                raise ConflictError("another person has approved other arguments; deny it and have it asked again.")
            return approval
        return replace(approval, edit=edit or approval.edit)

    async def _insert(self, tx: Transaction, approval: Approval, body: bytes) -> None:
        where = approval.question.connection
        await tx.execute(
            f"INSERT INTO approvals ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            approval.id, approval.digest, approval.question.action, where.tenant, where.connector, where.account,
            approval.question.tool, approval.state.value, approval.needed, json.dumps(approval.approvers),
            json.dumps(approval.channels), approval.requester, approval.created, approval.ends, body,
        )  # fmt: skip

    async def _sealed(self, approval: Approval) -> bytes:
        question, edit = approval.question, approval.edit
        facts = {
            "description": question.description, "arguments": dict(question.arguments),
            "preview": dict(question.preview), "identity": question.identity, "schema": question.schema,
            "because": question.because, "stated": question.stated,
            "edit": {"arguments": dict(edit.arguments), "digest": edit.digest, "preview": dict(edit.preview)}
            if edit else None,
        }  # fmt: skip
        data = json.dumps(facts, default=str).encode()
        return await self._sealer.seal(data, tenant=_tenant(approval), label=f"approval {approval.id}")

    async def _approval(self, row: Row, at: Transaction | None = None) -> Approval:
        (
            id,
            digest,
            _,
            tenant,
            connector,
            account,
            tool,
            state,
            needed,
            approvers,
            channels,
            requester,
            created,
            ends,
        ) = row[:14]
        facts = json.loads(await self._sealer.open(bytes(row[14]), tenant=tenant, label=f"approval {id}"))
        question = Question(
            tool, facts["description"], Connection(tenant, connector, account), facts["arguments"], facts["preview"],
            facts["identity"], facts["schema"], facts["because"], facts.get("stated", ""),
        )  # fmt: skip
        edit = Edit(**facts["edit"]) if facts["edit"] else None
        now = State(state)
        if now in (State.PENDING, State.APPROVED) and ends <= self._clock():
            now = State.EXPIRED
        return Approval(
            id, question, digest, now, needed, tuple(json.loads(approvers)),
            tuple(Channel(each) for each in json.loads(channels)), requester, created, ends,
            await self._votes(at or self._database, id, tenant), edit,
        )  # fmt: skip

    async def _votes(self, at: Transaction, id: str, tenant: str) -> tuple[Vote, ...]:
        rows = await at.fetch_all(
            "SELECT approver, channel, verdict, at, note FROM approval_votes WHERE approval = ? ORDER BY at", id
        )
        votes: list[Vote] = []
        for approver, channel, verdict, when, note in rows:
            text = await self._sealer.open(bytes(note), tenant=tenant, label=f"approval note {id}")
            votes.append(Vote(approver, Channel(channel), Verdict(verdict), when, text.decode()))
        return tuple(votes)


def refused_to(approval: Approval, approver: str, channel: Channel) -> PermissionDeniedError | None:
    """Why this person may not decide it over this channel; None when they may. What one may not decide is not shown."""
    if channel not in approval.channels:
        ways = ", ".join(each.value for each in approval.channels)
        return PermissionDeniedError(f"this approval is not given here; the policy wants: {ways}.")
    if approval.approvers and approver not in approval.approvers:
        return PermissionDeniedError(
            f"{approver} may not decide this.", next_step=f"Ask one of: {', '.join(approval.approvers)}."
        )
    if approval.needed > 1 and approver == approval.requester:
        return PermissionDeniedError("whoever asked for it cannot be one of several who approve it.")
    return None


def closed_to(approval: Approval, approver: str) -> ConflictError | None:
    """Why there is nothing left to decide for this person; None while there is."""
    if approval.state is not State.PENDING:
        decided = f" by {approval.by}" if approval.votes else ""
        return ConflictError(f"approval {approval.id} is {approval.state.value.replace('_', ' ')}{decided}.")
    if any(vote.approver == approver for vote in approval.votes):
        return ConflictError(f"{approver} has voted on {approval.id}; another person must.")
    return None


def _tenant(approval: Approval) -> str:
    return approval.question.connection.tenant


def _counted(approval: Approval) -> State:
    """One no ends it, and so does one who did it by hand; a yes counts until there are enough."""
    verdicts = [vote.verdict for vote in approval.votes]
    if Verdict.DENY in verdicts:
        return State.DENIED
    if Verdict.DONE in verdicts:
        return State.DONE
    return State.APPROVED if verdicts.count(Verdict.APPROVE) >= approval.needed else State.PENDING


async def open_approvals(database: Database, sealer: Sealer, clock: Callable[[], float] = time.time) -> Approvals:
    """Make the tables when they are missing and return the approvals."""
    await database.migrate("approvals", STEPS)
    return Approvals(database, sealer, clock)
