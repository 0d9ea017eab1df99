"""Whose credentials a call uses."""

from clew.core.values import dataclass


@dataclass(frozen=True, slots=True)
class Connection:
    """One stored set of credentials: which tenant, at which connector's provider, under which account name.

    `account` is the name the owner gave it (`work`, `personal`); `tenant` isolates owners from each other.
    """

    tenant: str
    connector: str
    account: str

    def __str__(self) -> str:
        """The short form for people: `github (work)`, and `github (work, tenant acme)` outside the local tenant."""
        tenant = "" if self.tenant == LOCAL_TENANT else f", tenant {self.tenant}"
        return f"{self.connector} ({self.account}{tenant})"


LOCAL_TENANT = "local"
"""The tenant of a single person's machine."""
