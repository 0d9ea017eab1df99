"""One operation on a database: connect, begin, do it, and end the transaction; cut off at the server when time is over.

The drivers block, so an operation runs in a thread. The event loop keeps the end in its hand: at the deadline, or when
the call is cancelled, it has the server end the statement. A connection serves one operation, so nothing that a
statement does to its session outlives it.
"""

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable
from dataclasses import field
from typing import TYPE_CHECKING, Any

from clew.core.bounds import Bounds
from clew.core.credentials import Credential
from clew.core.deadline import Deadline
from clew.core.errors import CallError, InvalidInputError
from clew.core.outcomes import lost
from clew.core.response import Response
from clew.core.values import dataclass
from clew.servers.databases.dialects import Dialect, Login, need_driver

if TYPE_CHECKING:
    from sqlalchemy import Connection

ASKED = 422
_TRIES = 200
_ENDED = {"57014", 1969, 3024, 1317, "interrupted"}
"""How databases say that they have ended a statement: PostgreSQL, MariaDB, MySQL (twice), SQLite."""

Work = Callable[["Connection"], Any]


@dataclass(slots=True)
class Session:
    """The `Carrier` that runs `work` in one transaction; `result` holds what it returned.

    With `writes` the transaction may change things, and with `keep` the change is committed. `refusal` is the status of
    an answer that says no before the commit: such a change was rolled back, whatever the words are. `ASKED` is that of
    a statement which the agent wrote.
    """

    dialect: Dialect
    work: Work
    writes: bool = False
    keep: bool = False
    refusal: int = 500
    result: Any = field(default=None, init=False)
    _raw: Any = field(default=None, init=False)
    _reached: bool = field(default=False, init=False)
    _sent: bool = field(default=False, init=False)
    _over: bool = field(default=False, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _done: threading.Event = field(default_factory=threading.Event, init=False)

    async def carry(
        self, credential: Credential | None, *, bounds: Bounds, deadline: Deadline, safe: bool, provider: str
    ) -> Response:
        """Do the operation."""
        login = Login()
        if credential is not None:
            login = Login(*(credential.fields[each].reveal() for each in ("username", "password")))
        seconds = min(self.dialect.profile.seconds, max(deadline.remaining() - 0.5, 0.1))
        running = asyncio.get_running_loop().run_in_executor(None, lambda: self._run(login, seconds))
        try:
            async with asyncio.timeout(min(deadline.remaining(), seconds + 2)):
                failed = await asyncio.shield(running)
        except TimeoutError as error:
            if self._end(login, running):
                raise lost("the time is over", left=True, safe=safe, provider=provider) from error
            raise too_heavy(seconds) from error
        except BaseException:
            self._end(login, running)
            raise
        if failed is None:
            return _response(200, {})
        if isinstance(failed, ImportError):
            raise need_driver(failed, self.dialect) from failed
        if isinstance(failed, CallError):
            raise failed
        facts = {**facts_of(failed), "database": self.dialect.profile.product}
        if _ENDED & {facts["sqlstate"], facts["errno"], facts["message"]}:
            raise too_heavy(seconds) from failed
        if facts.pop("lost"):
            reason = "the connection broke"
            raise lost(reason, left=self._sent or safe, safe=safe, provider=provider) from ConnectionError()
        if not self._reached:
            facts["reached"] = False
        return _response(500 if self._sent else self.refusal, facts)

    def rehearse(self, fault: str) -> bool:
        """Fail for `clew check` (`core.carrier.Rehearsed`)."""
        from clew.servers.databases.rehearsal import Rehearsal, errors_of

        impossible = not self.keep if fault.startswith("commit") else self.writes and fault in ("large", "type")
        if impossible or not errors_of(self.dialect.profile.product):
            return False
        self.dialect = Rehearsal(self.dialect, fault)
        if self.writes:  # there are no rows that it could change
            self.work = lambda connection: None
        return True

    def _run(self, login: Login, seconds: float) -> Exception | None:
        """The operation, in a thread. What fails is returned: an exception that nobody waits for is no news."""
        try:
            engine = self.dialect.engine(login)
            with engine.connect() as connection:
                with self._lock:
                    self._raw, self._reached = connection.connection.driver_connection, True
                self._step()
                self._transact(connection, seconds)
        except Exception as error:
            return error
        finally:
            with self._lock:
                raw, self._raw = self._raw, None
            with contextlib.suppress(Exception):
                raw.close()
            self._done.set()
        return None

    def _transact(self, connection: "Connection", seconds: float) -> None:
        try:
            self.dialect.begin(connection, writes=self.writes, seconds=seconds)
            self.dialect.check_role(connection)
            self._step()
            self.result = self.work(connection)
            self._step()
            if self.keep:
                self._leave()
                connection.commit()
        finally:
            with contextlib.suppress(Exception):
                connection.rollback()

    def _step(self) -> None:
        if self._over:
            raise TimeoutError

    def _leave(self) -> None:
        """From here on the change may have happened: whoever gives up is told so, or it does not leave any more."""
        with self._lock:
            self._step()
            self._sent = True

    def _end(self, login: Login, running: "asyncio.Future[Any]") -> bool:
        """Have the server end it, from a thread of its own: the event loop does not wait for that either. True when the
        change was on its way already."""
        with self._lock:
            self._over, left = True, self._sent
        running.add_done_callback(_looked_at)

        def cut() -> None:
            for _ in range(_TRIES):  # the first may come between two statements
                with self._lock, contextlib.suppress(Exception):
                    if self._raw is not None:
                        self.dialect.cancel(self._raw, login)
                if self._done.wait(0.3):
                    return

        threading.Thread(target=cut, name="clew-sql-cancel", daemon=True).start()
        return left


def too_heavy(seconds: float) -> InvalidInputError:
    """The statement was ended for its time."""
    return InvalidInputError(
        f"the statement took longer than {seconds:.0f} s and was ended; nothing was changed.",
        next_step="Ask for less: a narrower WHERE on an indexed column, fewer joins, a LIMIT.",
    )


def _looked_at(running: "asyncio.Future[Any]") -> None:
    if not running.cancelled():
        running.exception()


def facts_of(error: Exception) -> dict[str, Any]:
    """What a database's refusal says, as `connectors.sql` reads it; no statement, no values, no address of it."""
    original: Any = getattr(error, "orig", None) or error
    state = getattr(original, "sqlstate", None)
    first = original.args[0] if original.args else ""
    number = first if isinstance(first, int) else getattr(first, "code", None)
    words = original.args[1] if isinstance(first, int) and len(original.args) > 1 else str(original)
    diagnosis = getattr(getattr(original, "diag", None), "message_primary", None)
    facts = {
        "sqlstate": state,
        "errno": number if isinstance(number, int) else None,
        "message": str(diagnosis or words).strip().partition("\n")[0][:500],
        "lost": bool(getattr(error, "connection_invalidated", False)),
    }
    named = getattr(original, "sqlite_errorname", None)
    return {**facts, "name": named} if named else {**facts, "kind": type(original).__name__}


def _response(status: int, data: dict[str, Any]) -> Response:
    facts = {name: value for name, value in data.items() if value is not None}
    return Response(status, {}, json.dumps(facts).encode(), facts, None, "SQL", "sql:")
