"""The other side of a call: whoever can be asked a question and shown progress."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from clew.core.connection import Connection
from clew.core.errors import ApprovalRequiredError, quote


@dataclass(frozen=True, slots=True)
class Question:
    """What a person is asked before a destructive call: the action, whose account, and the object as we fetched it.

    `identity` is what the provider calls the account, `schema` says which form of the tool the arguments are for,
    `because` why a person is asked at all.
    """

    tool: str
    description: str
    connection: Connection
    arguments: Mapping[str, Any]
    preview: Mapping[str, Any]
    identity: str | None = None
    schema: str = ""
    because: str = ""

    @property
    def text(self) -> str:
        """The question for a person. Values from outside are quoted and shortened: they may be made to mislead."""
        lines = [self.description, f"Tool: {self.tool}, account: {self._whose}", "Arguments:"]
        lines += [f"  {name}: {_shown(value)}" for name, value in self.arguments.items()] or ["  none"]
        lines += ["It will hit:"] if self.preview else []
        lines += [f"  {quote(name, 100)}: {_shown(value)}" for name, value in self.preview.items()]
        return "\n".join(lines)

    @property
    def _whose(self) -> str:
        known = f", there known as {quote(self.identity, 100)}" if self.identity else ""
        return f"{self.connection}{known}"

    @property
    def digest(self) -> str:
        """A hash of exactly this action on exactly this object."""
        whose = [self.connection.tenant, self.connection.connector, self.connection.account]
        whose += [self.identity] if self.identity else []
        facts = [self.tool, whose, dict(self.arguments), dict(self.preview)]
        return _hash([*facts, self.schema] if self.schema else facts)

    @property
    def action(self) -> str:
        """A hash of the action alone, whatever the object looks like now."""
        whose = [self.connection.tenant, self.connection.connector, self.connection.account]
        return _hash([self.tool, whose, dict(self.arguments)])


def _hash(facts: Any) -> str:
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _shown(value: Any) -> str:
    return quote(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str), 400)


class Host(Protocol):
    """What the walk needs from whoever made the call.

    `asks` says that a person can be asked through it, `own` that the person made the call with their own hands (a
    terminal); `who` names that person or program for the record, `session` what a yes for a session is good for.
    """

    @property
    def asks(self) -> bool: ...
    @property
    def own(self) -> bool: ...
    @property
    def who(self) -> str: ...
    @property
    def session(self) -> str: ...

    async def confirm(self, question: Question) -> bool:
        """Ask a person. Raises `ApprovalRequiredError` when this host cannot ask; never returns `True` by default."""
        ...

    async def progress(self, message: str) -> None:
        """Tell the host that a call is waiting, and for what."""
        ...


class SilentHost:
    """A host that can neither be asked nor told: every question is refused."""

    asks = False
    own = False
    who = "a program"
    session = ""

    async def confirm(self, question: Question) -> bool:
        """Refuse, naming the way that works without the host."""
        arguments = " ".join(f"{name}=…" for name in question.arguments)
        raise ApprovalRequiredError(
            f"{question.tool} cannot be taken back and needs a person's approval; this host cannot ask for it.",
            next_step=f"Ask the person to run it themselves: clew call {question.connection.connector} "
            f"{question.tool} {arguments} --account {question.connection.account}",
        )

    async def progress(self, message: str) -> None:
        """Say nothing."""
