"""Whose connections a process may touch. A tenant that nobody named is a guess only while there is no other one."""

import hashlib
import json
from collections.abc import Sequence

from clew.auth.vault import Vault
from clew.core.connection import LOCAL_TENANT
from clew.core.errors import ConfigurationError, PermissionDeniedError
from clew.core.values import dataclass
from clew.servers.settings import Settings
from clew.servers.settings_values import check_tenant

_DERIVED = "id-"


@dataclass(frozen=True, slots=True)
class Tenancy:
    """`own` is the tenant of this process; empty: nobody has named one and there are several, so that every caller's
    principal has to bring its own."""

    own: str = LOCAL_TENANT
    stored: Sequence[str] = ()

    def of(self, principal: str | None = None) -> str:
        """The tenant of one call, where `principal` is what its caller is known to belong to, None when nobody says.

        Raises `ConfigurationError` with the choices, `PermissionDeniedError` for a caller of another tenant.
        """
        if principal is not None:
            check_tenant(principal)
            if self.own and principal != self.own:
                raise PermissionDeniedError("This server serves another tenant.")
            return principal
        if not self.own:
            raise ConfigurationError(
                f"credentials of several tenants are stored here: {', '.join(self.stored)}. "
                "Choose one with --tenant, or with CLEW_TENANT."
            )
        return self.own

    async def served(self, vault: Vault) -> Sequence[str]:
        """The tenants whose connections this process looks after when nobody calls."""
        return (self.own,) if self.own else await vault.tenants()


async def tenancy(settings: Settings, vault: Vault) -> Tenancy:
    """The tenant that was named; else this machine's own, for as long as no other one has anything stored here."""
    if settings.tenant:
        return Tenancy(settings.tenant)
    others = [each for each in await vault.tenants() if each != LOCAL_TENANT]
    return Tenancy("", sorted({*others, LOCAL_TENANT})) if others else Tenancy()


async def chosen_tenant(settings: Settings, vault: Vault) -> str:
    """The tenant that a command is about. Raises `ConfigurationError` with the choices."""
    return (await tenancy(settings, vault)).of()


def tenant_named(text: str, issuer: str, settings: Settings) -> str:
    """The tenant that belongs to a claim's value: the value where it can be a tenant's name, else a name derived from
    it. Two values never lead to one tenant, and none leads to that of this machine or of the operator."""
    try:
        check_tenant(text)
    except ConfigurationError:
        return _derived(issuer, text)
    return _derived(issuer, text) if text in (LOCAL_TENANT, settings.tenant) or text.startswith(_DERIVED) else text


def _derived(issuer: str, text: str) -> str:
    return _DERIVED + hashlib.sha256(json.dumps([issuer, text]).encode()).hexdigest()[:40]
