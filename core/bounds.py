"""How much one request may take."""

from clew.core.values import dataclass

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "PROPFIND", "REPORT"})
"""Methods that change nothing (RFC 9110, 9.2.1; for WebDAV's the IANA registry of methods says so)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Bounds of one request: seconds for each phase, bytes of a decoded body, redirects followed."""

    connect: float = 10.0
    read: float = 30.0
    write: float = 30.0
    pool: float = 10.0
    body: int = 10_000_000
    redirects: int = 5
