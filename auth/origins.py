"""Where a credential may be sent: to the origin it was stored for, and nowhere else.

A configuration file can give a connector another root address (GitHub Enterprise, a sandbox). Such a file may come with
somebody's project, so an address alone must never be enough to be sent a credential.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from clew.auth.advice import connect_command
from clew.auth.endpoints import expand
from clew.auth.facts import Facts
from clew.auth.schemes import Variable
from clew.core.connection import Connection
from clew.core.credentials import Scheme
from clew.core.errors import ConfigurationError
from clew.core.values import dataclass

_PORTS = {"https": 443, "http": 80}
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def origin_of(address: str) -> str:
    """Scheme, host and port of an address, in one spelling. Variables of a template stay as they are.

    Raises `ConfigurationError` for what is no address.
    """
    try:
        parts = urlsplit(address)
        scheme, host, port = parts.scheme.lower(), parts.hostname or "", parts.port
    except ValueError:
        raise ConfigurationError(f"{address} is not an address.") from None
    host = f"[{host}]" if ":" in host else host
    return f"{scheme}://{host}" if port in (None, _PORTS.get(scheme)) else f"{scheme}://{host}:{port}"


def is_loopback(address: str) -> bool:
    """Is this an address of this machine itself?"""
    return urlsplit(address).hostname in _LOOPBACK


@dataclass(frozen=True, slots=True)
class Place:
    """Where a connector's requests go: the root address in force, the connector's own, and who says so.

    Both addresses are templates. Their variables are of the connection and sealed with it, so the origin of the
    template is what has to be compared.
    """

    address: str
    declared: str
    source: str = ""

    @property
    def origin(self) -> str:
        """The origin of the address in force."""
        return origin_of(self.address)

    def check(self, connection: Connection, facts: Facts) -> None:
        """Raise `ConfigurationError` when this credential was stored for another origin.

        One that was stored before origins were kept is good for the connector's own.
        """
        stored = facts.origin or origin_of(self.declared)
        if stored == self.origin:
            return
        says = f" ({self.source})" if self.source else ""
        command = connect_command(facts.kind, connection.connector, connection.account, connection.tenant)
        raise ConfigurationError(
            f"the credential of {connection} was stored for {stored}, and base_url{says} leads to {self.origin}: "
            f"nothing was sent. To allow it, connect the account again: {command} --origin {self.origin}"
        )

    def url(self, schemes: Sequence[Scheme], connection: Connection, facts: Facts) -> str:
        """The root address for one connection; raises as `check` does, and when a variable is missing."""
        self.check(connection, facts)
        return connection_url(self.address, schemes, facts.variables)


def connection_url(template: str, schemes: Sequence[Scheme], variables: Mapping[str, str]) -> str:
    """A root address with its variables filled in. Raises `ConfigurationError` when one is missing."""
    if "{" not in template:
        return template
    return expand(template, base_url=template, variables=variables, declared=declared_variables(schemes))


def declared_variables(schemes: Sequence[Scheme]) -> dict[str, Variable]:
    """The variables that a connector's schemes declare, by name."""
    found: dict[str, Variable] = {}
    for scheme in schemes:
        found |= getattr(scheme, "variables", {})
    return found
