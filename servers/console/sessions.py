"""Who is at the console: links that are good once, and sessions. The database keeps hashes, never what opens a door."""

import hashlib
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import field

from clew.core.database import Database
from clew.core.secret import Secret
from clew.core.values import dataclass

STEPS = (
    "CREATE TABLE console_tickets (digest TEXT PRIMARY KEY, person TEXT NOT NULL, ends DOUBLE PRECISION NOT NULL)",
    """CREATE TABLE console_sessions (
        digest TEXT PRIMARY KEY, person TEXT NOT NULL, groups_json TEXT NOT NULL, way TEXT NOT NULL,
        seen DOUBLE PRECISION NOT NULL, ends DOUBLE PRECISION NOT NULL)""",
)

TICKET_SECONDS = 300.0
"""For how long a link that nobody has opened is good."""
IDLE_SECONDS = 3600.0
"""After so long without a request a session has ended."""
_TOUCH = 30.0
LOCAL = "link"
"""The way of those who came by a link; others came by way of their issuer."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """One person's open session. `csrf` stands in every form of theirs; `way` is how they proved who they are."""

    person: str
    groups: tuple[str, ...]
    way: str
    token: Secret = field(repr=False)

    @property
    def csrf(self) -> str:
        """What a form must bring along: it can be told from the session's token and leads back to nothing."""
        return hashlib.sha256(b"clew console form\x00" + self.token.reveal().encode()).hexdigest()


class Sessions:
    """The tickets and sessions of one database. Made by `open_sessions`; `seconds` is a session's longest life."""

    def __init__(self, database: Database, seconds: float, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._seconds = seconds
        self._clock = clock

    async def ticket(self, person: str) -> Secret:
        """Something that lets its bearer in as `person`, once and soon."""
        made, now = Secret(secrets.token_urlsafe(32)), self._clock()
        async with self._database.transaction() as tx:
            await tx.execute("DELETE FROM console_tickets WHERE ends < ?", now)
            await tx.execute(
                "INSERT INTO console_tickets (digest, person, ends) VALUES (?, ?, ?)",
                _digest(made), person, now + TICKET_SECONDS,
            )  # fmt: skip
        return made

    async def spend(self, ticket: Secret) -> str | None:
        """Whom a ticket is for; it is worth nothing afterwards. None for one that is unknown, spent or too old."""
        async with self._database.transaction() as tx:
            row = await tx.fetch_one(
                "SELECT person FROM console_tickets WHERE digest = ? AND ends > ?", _digest(ticket), self._clock()
            )
            gone = await tx.execute("DELETE FROM console_tickets WHERE digest = ?", _digest(ticket))
        return str(row[0]) if row and gone == 1 else None

    async def open(self, person: str, groups: tuple[str, ...], way: str) -> Secret:
        """A new session; its token never existed before, whatever the browser brought along."""
        token, now = Secret(secrets.token_urlsafe(32)), self._clock()
        async with self._database.transaction() as tx:
            await tx.execute("DELETE FROM console_sessions WHERE ends < ? OR seen < ?", now, now - IDLE_SECONDS)
            await tx.execute(
                "INSERT INTO console_sessions (digest, person, groups_json, way, seen, ends) VALUES (?, ?, ?, ?, ?, ?)",
                _digest(token), person, json.dumps(groups), way, now, now + self._seconds,
            )  # fmt: skip
        return token

    async def visitor(self, token: Secret, way: str) -> Visitor | None:
        """Whose session this is, if it is open and began in the way that is the only one now."""
        now = self._clock()
        row = await self._database.fetch_one(
            "SELECT person, groups_json, seen FROM console_sessions "
            "WHERE digest = ? AND way = ? AND ends > ? AND seen > ?",
            _digest(token), way, now, now - IDLE_SECONDS,
        )  # fmt: skip
        if row is None:
            return None
        if now - row[2] > _TOUCH:
            await self._database.execute("UPDATE console_sessions SET seen = ? WHERE digest = ?", now, _digest(token))
        return Visitor(str(row[0]), tuple(json.loads(row[1])), way, token)

    async def close(self, token: Secret) -> None:
        """End a session."""
        await self._database.execute("DELETE FROM console_sessions WHERE digest = ?", _digest(token))


def _digest(secret: Secret) -> str:
    return hashlib.sha256(secret.reveal().encode()).hexdigest()


async def open_sessions(database: Database, seconds: float, clock: Callable[[], float] = time.time) -> Sessions:
    """Make the tables when they are missing and return the sessions."""
    await database.migrate("console", STEPS)
    return Sessions(database, seconds, clock)
