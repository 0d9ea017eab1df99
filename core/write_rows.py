"""The table of writes: what a row says, and the statements that make one, find it and read it."""

import hashlib
import json
import time
from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property
from typing import Any

from clew.core.connection import Connection
from clew.core.database import Row, Statement, Value
from clew.core.values import dataclass

OPEN = "(pending IS NOT NULL OR state IN ('sent', 'unknown'))"
STEPS = (
    """CREATE TABLE writes (
        id TEXT PRIMARY KEY, tenant TEXT NOT NULL, connector TEXT NOT NULL, account TEXT NOT NULL, tool TEXT NOT NULL,
        request_key TEXT NOT NULL, fingerprint TEXT NOT NULL, state TEXT NOT NULL, pending TEXT, settled_by TEXT,
        generation BIGINT NOT NULL, attempts BIGINT NOT NULL,
        owner TEXT NOT NULL, fence BIGINT NOT NULL, lease_ends DOUBLE PRECISION NOT NULL,
        reference TEXT, code TEXT, arguments BLOB, answer BLOB,
        created_at DOUBLE PRECISION NOT NULL, sent_at DOUBLE PRECISION, ended_at DOUBLE PRECISION,
        UNIQUE (tenant, connector, account, tool, request_key))""",
    "CREATE INDEX writes_same ON writes (tenant, connector, account, tool, fingerprint, created_at)",
    "CREATE INDEX writes_by_state ON writes (state, created_at)",
    "CREATE INDEX writes_by_reference ON writes (connector, reference)",
    f"CREATE INDEX writes_open ON writes (connector, created_at) WHERE {OPEN}",
)

RUNNING = "running"
"""A workflow whose caller was told `accepted`: whoever finds its row without a holder goes on with it."""

LEASE_SECONDS = 15.0
"""How long a holder is believed without a word; a call that takes longer renews it."""

_COLUMNS = (
    "id, tenant, connector, account, tool, request_key, fingerprint, state, pending, settled_by, generation, attempts, "
    "owner, fence, reference, code, arguments, answer, created_at, sent_at, ended_at"
)
# An end further away than a lease is long cannot be right: the machine's clock began anew.
HELD = f"CASE WHEN clew_now() < lease_ends AND lease_ends <= clew_now() + {LEASE_SECONDS} THEN 1 ELSE 0 END"
SELECT = f"SELECT {_COLUMNS}, {HELD} FROM writes "  # noqa: S608 - constants
_SAME = "tenant = ? AND connector = ? AND account = ? AND tool = ? AND "
# Of equal writes without a key of the caller, those that this one may be a repetition of.
_RECENT = (
    "fingerprint = ? AND (state IN ('intended', 'sent', 'unknown') OR pending IS NOT NULL "
    "OR (state = 'applied' AND ended_at > ?))"
)


class State(StrEnum):
    """What is known of a write."""

    INTENDED = "intended"
    SENT = "sent"
    APPLIED = "applied"
    NOT_APPLIED = "not_applied"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Wanted:
    """A write that somebody asks for. `request_id` is the caller's own key, `window` (seconds) how long an equal write
    without one counts as the same, `row` the very row that is gone on with. `arguments` are plain data; `asked` are
    those of the caller, when a person has changed them since: they are what a repetition will come with."""

    connection: Connection
    tool: str
    arguments: Mapping[str, Any]
    request_id: str | None
    window: float
    row: str = ""
    asked: Mapping[str, Any] | None = None

    @cached_property
    def fingerprint(self) -> str:
        """A hash of exactly the caller's arguments."""
        given = self.arguments if self.asked is None else self.asked
        text = json.dumps(given, sort_keys=True, separators=(",", ":"), default=str)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Write:
    """One row. `pending` is `accepted`, `action_required` or `running` while the end comes later; times are epoch
    seconds.

    `held` says that its lease runs; `sealed_arguments` and `sealed_answer` are opened by `Journal.arguments`, `answer`.
    """

    id: str
    connection: Connection
    tool: str
    request_key: str
    fingerprint: str
    state: State
    pending: str | None
    settled_by: str | None
    generation: int
    attempts: int
    owner: str
    fence: int
    reference: str | None
    code: str | None
    sealed_arguments: bytes | None
    sealed_answer: bytes | None
    created_at: float
    sent_at: float | None
    ended_at: float | None
    held: bool

    @property
    def seed(self) -> str:
        """What the keys for the provider are made of: another one after each certain failure."""
        return f"{self.id}/{self.generation}"

    @property
    def marker(self) -> str:
        """The mark of this write in the content it makes."""
        return f"clew-{hashlib.sha256(self.seed.encode()).hexdigest()[:20]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a write, or one look at it, ended. `answer` is kept: `{"result": …}` or `{"error": …}`."""

    state: State
    answer: Mapping[str, Any] | None = None
    code: str | None = None
    reference: str | None = None
    pending: str | None = None
    settled_by: str | None = None


LATEST = "ORDER BY created_at DESC, id DESC LIMIT 1"


def _scope(wanted: Wanted) -> tuple[str, str, str, str]:
    where = wanted.connection
    return where.tenant, where.connector, where.account, wanted.tool


def matching(wanted: Wanted) -> tuple[str, tuple[Value, ...]]:
    """The condition that finds the row a write would meet."""
    if wanted.row:
        return "id = ?", (wanted.row,)
    if wanted.request_id is not None:
        return f"{_SAME}request_key = ?", (*_scope(wanted), f"id:{wanted.request_id}")
    return f"{_SAME}{_RECENT}", (*_scope(wanted), wanted.fingerprint, time.time() - wanted.window)


def insertion(wanted: Wanted, state: State, made: tuple[str, str, str | None], sealed: bytes) -> Statement:
    """Make the row, unless there is one that the caller must meet. `made` is its id, its owner and its key.

    Equal writes without a key form a chain: the key of each names the one before, so two at once are never both made.
    """
    identity, owner, key = made
    same = (*_scope(wanted), wanted.fingerprint)
    now, (where, parameters) = time.time(), matching(wanted)
    sql = (
        "INSERT INTO writes (id, tenant, connector, account, tool, request_key, fingerprint, state, generation, "  # noqa: S608
        "attempts, owner, fence, lease_ends, arguments, created_at, sent_at) "
        "SELECT ?, ?, ?, ?, ?, COALESCE(?, 'auto:' || ? || ':' || COALESCE((SELECT MAX(id) FROM writes WHERE "
        f"{_SAME}fingerprint = ? AND created_at = (SELECT MAX(created_at) FROM writes WHERE {_SAME}"
        "fingerprint = ?)), '')), ?, ?, 1, ?, ?, 1, clew_now() + ?, ?, ?, ? "
        f"WHERE NOT EXISTS (SELECT 1 FROM writes WHERE {where}) "
        "ON CONFLICT (tenant, connector, account, tool, request_key) DO NOTHING"
    )
    sent = state is State.SENT
    values = (identity, *_scope(wanted), key, wanted.fingerprint, *same, *same, wanted.fingerprint, state.value)
    more = (int(sent), owner, LEASE_SECONDS, sealed, now, now if sent else None)
    return sql, (*values, *more, *parameters)


def write_of(row: Row) -> Write:
    identity, tenant, connector, account, *facts = row
    fields: dict[str, Any] = dict(zip(_FIELDS, facts, strict=True))
    fields |= {"state": State(fields["state"]), "held": bool(fields["held"])}
    return Write(id=identity, connection=Connection(tenant, connector, account), **fields)


_FIELDS = tuple(Write.__dataclass_fields__)[2:]
