"""Which revision of a provider's API we speak, and what the provider says about its end."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from clew.core.errors import quote

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Version:
    """The pinned API version: sent with every request as `header`, or as `parameter` in the query."""

    value: str
    header: str | None = None
    parameter: str | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """A provider's announcement that what we use will end: `Deprecation` (RFC 9745), `Sunset` (RFC 8594)."""

    deprecation: str | None
    sunset: str | None


def notice(headers: Mapping[str, str]) -> Notice | None:
    """The announcement in an answer's headers, if there is one."""
    deprecation, sunset = headers.get("deprecation"), headers.get("sunset")
    return Notice(deprecation, sunset) if deprecation or sunset else None


class Notices:
    """The latest announcement of each connector in this process. Only the first is logged: no flood of log lines."""

    def __init__(self) -> None:
        self.seen: dict[str, Notice] = {}

    def observe(self, connector: str, headers: Mapping[str, str]) -> None:
        """Remember what `headers` announce for `connector`."""
        found = notice(headers)
        if found is None:
            return
        if connector not in self.seen:
            log.warning(
                "%s announces the end of the API version in use: deprecation %s, sunset %s",
                connector,
                quote(found.deprecation or "-", 100),
                quote(found.sunset or "-", 100),
            )
        self.seen[connector] = found
