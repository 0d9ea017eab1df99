"""Everything Acme remembers, in memory: rows, tokens, limits, faults, and a log of what was asked and done."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .faults import Faults
from .limits import Limits
from .seed import plant
from .settings import Settings
from .tables import Store
from .tokens import Tokens


@dataclass(frozen=True, slots=True)
class Commit:
    """One change that became true: `resource` "payment", `action` "create", the row's id, the request that did it."""

    resource: str
    action: str
    id: str
    request_id: str


@dataclass(slots=True)
class Seen:
    """One request as the log keeps it; `status` is None while it runs and when no answer was sent."""

    method: str
    path: str
    request_id: str
    at: float
    status: int | None = None
    fault: str | None = None


@dataclass(slots=True)
class Kept:
    """The answer kept under an idempotency key; `answer` is None while the first request runs."""

    fingerprint: str
    at: float
    answer: tuple[int, bytes] | None = None


@dataclass(slots=True, kw_only=True)
class Delivery:
    """One event on its way to one webhook endpoint."""

    id: str
    webhook_id: str
    event_id: str
    event_type: str
    attempts: int = 0
    status: str = "pending"
    response_status: int | None = None


class State:
    """All of Acme's memory. It changes on the server's event loop only; any thread may read it."""

    def __init__(self, settings: Settings | None = None, *, url: str = "") -> None:
        self.settings = settings or Settings()
        self.url = url
        self.closing = False
        self.tokens = Tokens()
        self._tasks: set[asyncio.Task[None]] = set()
        self.reset()

    def reset(self, *, keep_tokens: bool = False) -> None:
        """Go back to the seed data; log, counters, faults, limits, webhooks and the clock are new."""
        for task in self._tasks:
            task.cancel()
        if not keep_tokens:
            self.tokens = Tokens()
        self._clock_offset = 0.0
        self.store = Store()
        self.faults = Faults()
        self.limits = Limits(self.settings)
        self.kept: dict[tuple[str, str], Kept] = {}
        self.deliveries: list[Delivery] = []
        self.requests: Counter[str] = Counter()
        self.commits: list[Commit] = []
        self.log: deque[Seen] = deque(maxlen=500)
        plant(self.store)

    def now(self) -> float:
        """Return Acme's time in UTC epoch seconds; `advance` moves it."""
        return time.time() + self._clock_offset

    def advance(self, seconds: float) -> None:
        """Move Acme's clock: expiry, quota windows and idempotency keys see it, running timers do not."""
        self._clock_offset += seconds

    def timestamp(self) -> str:
        """Return Acme's time as RFC 3339 text in UTC."""
        return datetime.fromtimestamp(self.now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def commit(self, resource: str, action: str, identifier: str, request_id: str) -> None:
        """Record that a change became true."""
        self.commits.append(Commit(resource, action, identifier, request_id))

    def committed(self, resource: str, action: str = "create") -> int:
        """Return how often this change became true since the last reset."""
        return sum(1 for commit in self.commits if (commit.resource, commit.action) == (resource, action))

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run work that outlives its request: a delivery, a message on its way."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
