"""What may happen without a person: decided here, in code, before anything leaves."""

from dataclasses import dataclass
from enum import StrEnum

from clew.core.connector import Effect, Tool


class Decision(StrEnum):
    """What the policy says about one call."""

    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Reads are allowed, destructive tools always ask, writes are allowed unless the operator said read-only."""

    read_only: bool = False

    def decide(self, tool: Tool) -> Decision:
        """The decision for `tool`."""
        if tool.effect is Effect.READ:
            return Decision.ALLOW
        if self.read_only:
            return Decision.DENY
        return Decision.ASK if tool.effect is Effect.DESTRUCTIVE else Decision.ALLOW

    def shows(self, tool: Tool) -> bool:
        """Is `tool` offered at all? What is always denied is not."""
        return self.decide(tool) is not Decision.DENY
