"""Which revision of a provider's API we speak, and what the provider says about its end."""

import logging
from collections.abc import Mapping, Sequence

from clew.core.errors import quote
from clew.core.values import dataclass

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Version:
    """The pinned API version: sent with every request as `header`, or as `parameter` in the query. `announced` names
    the headers, besides `Deprecation`, `Sunset` and `Warning`, in which the provider announces its end."""

    value: str
    header: str | None = None
    parameter: str | None = None
    announced: tuple[str, ...] = ()


STANDARD = ("deprecation", "sunset")
"""Announcements by standard: `Deprecation` (RFC 9745), `Sunset` (RFC 8594)."""


class Notices:
    """The latest announcement of each connector in this process. Only the first is logged: no flood of log lines."""

    def __init__(self) -> None:
        self.seen: dict[str, Mapping[str, str]] = {}

    def observe(
        self, connector: str, headers: Mapping[str, str], version: Version | None = None
    ) -> Sequence[tuple[str, str]]:
        """Remember what `headers` announce for `connector`; header and words of each announcement."""
        announced = version.announced if version else ()
        found = [(name, headers[name]) for name in (*STANDARD, *announced) if headers.get(name)]
        found += [("warning", said) for said in [headers.get("warning", "")] if said.startswith("299")]
        if not found:
            return ()
        if connector not in self.seen:
            said = ", ".join(f"{name} {quote(value, 100)}" for name, value in found)
            log.warning("%s announces the end of the API version in use: %s", connector, said)
        self.seen[connector] = dict(found)
        return found
