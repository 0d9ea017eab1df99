"""When a way of proving is the one in use."""

import re
from collections.abc import Callable, Mapping

from clew.core.errors import ConfigurationError
from clew.core.values import dataclass
from clew.core.webhooks.delivery import Delivery, Reader, reader


@dataclass(frozen=True, slots=True)
class Condition:
    """Values at places, each of which must match a pattern whole; what is not there is an empty text."""

    parts: tuple[tuple[Reader, Callable[[str], re.Match[str] | None]], ...] = ()
    absent: tuple[Reader, ...] = ()

    @classmethod
    def of(cls, when: Mapping[str, str]) -> "Condition":
        """Compile what an author declared. Raises `ConfigurationError`."""
        try:
            parts = tuple((reader(place), re.compile(pattern).fullmatch) for place, pattern in when.items() if pattern)
        except re.error as error:
            raise ConfigurationError(f"a pattern of a webhook scheme does not compile: {error}.") from None
        return cls(parts, tuple(reader(place) for place, pattern in when.items() if not pattern))

    def holds(self, delivery: Delivery) -> bool:
        """Do all match? Raises `RefusedError` for a value that is there twice."""
        for read in self.absent:
            if read(delivery):
                return False
        for read, matches in self.parts:  # noqa: SIM110 - this runs for every delivery, and a generator costs as much
            if matches(read(delivery) or "") is None:
                return False
        return True
