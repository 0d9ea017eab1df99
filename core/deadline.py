"""How long a call may take."""

import time

from clew.core.errors import ConfigurationError
from clew.core.values import dataclass


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock. Hosts cut tool calls off after 180 to 600 s; ours end before that."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        """The moment `seconds` from now."""
        if not seconds > 0:
            raise ConfigurationError(f"a deadline must be more than 0 seconds away, not {seconds}.")
        return cls(time.monotonic() + seconds)

    def remaining(self) -> float:
        """Seconds left, never below 0."""
        return max(0.0, self.at - time.monotonic())

    def fits(self, wait: float, margin: float = 0.5) -> bool:
        """Is there time for a wait of `wait` seconds and `margin` seconds of work after it?"""
        return wait + margin <= self.remaining()
