"""The other side of a call: whoever can be asked a question and shown progress."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from clew.core.cautions import cautions, shown
from clew.core.connection import Connection
from clew.core.errors import ApprovalRequiredError
from clew.core.values import dataclass


@dataclass(frozen=True, slots=True)
class Question:
    """What a person is asked before a destructive call: the action, whose account, and the object as we fetched it.

    `identity` is what the provider calls the account, `schema` says which form of the tool the arguments are for,
    `because` why a person is asked at all, `stated` what the agent itself says about the call.
    """

    tool: str
    description: str
    connection: Connection
    arguments: Mapping[str, Any]
    preview: Mapping[str, Any]
    identity: str | None = None
    schema: str = ""
    because: str = ""
    stated: str = ""

    @property
    def text(self) -> str:
        """The question for a person. Values from outside are on one line each, cut, and marked where they hide
        something. They stand in indented blocks, which hosts that draw Markdown show as they are."""
        facts = [f"tool: {self.tool}", f"account: {shown(str(self.connection), 200)}"]
        facts += [f"there known as: {shown(self.identity, 100)}"] if self.identity else []
        facts += [f"asked because: {shown(self.because)}"] if self.because else []
        facts += [f"the agent says: {shown(self.stated)}"] if self.stated else []
        blocks = [self.description, *_block("What will be done:", facts), *_block("Be careful:", self.cautions)]
        blocks += _block("Arguments:", self.lines(self.arguments) or ["none"])
        blocks += _block("It will hit:", self.lines(self.preview))
        return "\n".join(blocks)

    @staticmethod
    def lines(values: Mapping[str, Any]) -> list[str]:
        """Arguments, or the object, as a person may see them: a line each."""
        return [f"{shown(name, 100)}: {shown(value)}" for name, value in values.items()]

    @property
    def cautions(self) -> list[str]:
        """In which ways what is shown could mislead the person."""
        facts: dict[str, Any] = {**self.arguments, **{f"its {name}": each for name, each in self.preview.items()}}
        return cautions({**facts, "the account's name": self.identity, "the agent's reason": self.stated})

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


def _block(heading: str, lines: Sequence[str]) -> list[str]:
    return ["", heading, "", *(f"    {line}" for line in lines)] if lines else []


class Host(Protocol):
    """What the walk needs from whoever made the call.

    `asks` says that a person can be asked through it, `own` that the person made the call with their own hands (a
    terminal); `who` names that person or program for the record, `session` what a yes for a session is good for (empty:
    for nothing but its call).
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
