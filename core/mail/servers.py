"""Where a connection's mail servers are, and how the way to them is encrypted.

Written `HOST`, `HOST:PORT` or `HOST:PORT;MODE`. Encryption is not optional: implicit TLS on the ports made for it (RFC
8314) and on unknown ones, STARTTLS on the old ports, and never a fall back from either. `plain` is for test servers on
this machine alone, and is refused when the other end of the connection turns out to be anywhere else.
"""

import re
from collections.abc import Mapping
from typing import Literal, cast

from clew.core.errors import ConfigurationError
from clew.core.values import dataclass

Mode = Literal["tls", "starttls", "plain"]
PATTERN = r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?(?::\d{1,5})?(?:;(?:tls|starttls|plain))?"
"""The form of a server's address."""

_STARTTLS_PORTS = frozenset({25, 143, 587})
_DEFAULT = {"imap": 993, "smtp": 465}
_FORM = re.compile(r"([^:;]+)(?::(\d+))?(?:;(\w+))?")


@dataclass(frozen=True, slots=True)
class Server:
    """One server: its name, port, and how the way there is encrypted."""

    host: str
    port: int
    mode: Mode


def server_of(protocol: Literal["imap", "smtp"], text: str) -> Server:
    """Read an address. Raises `ConfigurationError`."""
    found = _FORM.fullmatch(text.strip()) if re.fullmatch(PATTERN, text.strip()) else None
    port = int(found[2]) if found and found[2] else _DEFAULT[protocol]
    if found is None or not 0 < port < 65536:
        raise ConfigurationError(f"the address of the {protocol} server must be HOST or HOST:PORT, not {text[:80]!r}.")
    mode = found[3] or ("starttls" if port in _STARTTLS_PORTS else "tls")
    return Server(found[1].lower(), port, cast("Mode", mode))


def servers_of(variables: Mapping[str, str]) -> tuple[Server, Server]:
    """The IMAP and the SMTP server of a connection. Raises `ConfigurationError` when one is not set."""
    missing = [name for name in ("imap", "smtp") if not variables.get(name)]
    if missing:
        raise ConfigurationError(f"this account has no {missing[0]} server; set it with --set {missing[0]}=HOST.")
    return server_of("imap", variables["imap"]), server_of("smtp", variables["smtp"])
