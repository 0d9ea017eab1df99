"""What a proof is tried with, and what it found."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from clew.core.values import dataclass
from clew.core.webhooks.delivery import Delivery, Refused, RefusedError
from clew.core.webhooks.secrets import Given

Known = Callable[[str], bytes | None]
"""What stands at the URL of a key, if that was fetched before."""


def nothing_known(url: str) -> bytes | None:
    """No key was fetched."""
    return None


@dataclass(slots=True)
class Attempt:
    """One delivery, what is configured, and the clock (seconds since 1970). `tolerance` overrides the scheme's."""

    delivery: Delivery
    given: Given
    now: float
    tolerance: float | None = None
    known: Known = nothing_known

    def texts(self) -> tuple[str, ...]:
        """The secrets and keys. Raises `RefusedError` when there are none: nothing is accepted unverified."""
        if not self.given.texts:
            raise RefusedError(Refused.NO_SECRET, "no secret is configured")
        return self.given.texts


@dataclass(slots=True)
class Proven:
    """A proof that holds: by which secret (the first is 0), signed when, with which claims."""

    secret: int | None
    signed_at: float | None = None
    claims: Mapping[str, Any] | None = None


@runtime_checkable
class Proof(Protocol):
    """One way in which a sender proves who it is. A value: it holds no secret and no state."""

    @property
    def covers_body(self) -> bool:
        """Does the proof fail when a byte of the body changes?"""
        ...

    @property
    def replayable_for(self) -> float | None:
        """Seconds that a copy of a delivery is accepted for; `None` means for ever."""
        ...

    def applies(self, delivery: Delivery) -> bool:
        """Did the sender use this way?"""
        ...

    def prove(self, attempt: Attempt) -> Proven:
        """Try it. Raises `RefusedError`."""
        ...

    def describe(self) -> str:
        """The way in a few words, for tables."""
        ...
