"""Whose credential is this? Asked of the provider before anything is stored, and again by `auth status --check`."""

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from clew.auth.certificates import EXTENSION
from clew.auth.schemes import Minted, Typed
from clew.core.api import Api
from clew.core.connection import Connection
from clew.core.connector import Connector, Effect
from clew.core.credentials import Credential
from clew.core.deadline import Deadline
from clew.core.errors import AuthRevokedError, CallError, ConfigurationError, quote
from clew.core.exchange import Trail
from clew.core.host import SilentHost
from clew.core.secret import Secret
from clew.core.values import dataclass
from clew.core.wire import Wire

if TYPE_CHECKING:
    import httpx

SECONDS = 5.0
"""How long a provider may take to say who we are."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the provider said: `identity` in its words, or `doubt`, a sentence why it could not be asked."""

    identity: str | None = None
    doubt: str | None = None


@dataclass(frozen=True, slots=True)
class HeldCredential:
    """An authorizer over typed-in secrets that are in nobody's vault; `identity` is a certificate and its key."""

    scheme: Typed | Minted
    fields: Mapping[str, Secret]
    identity: tuple[Secret, Secret] | None = None
    variables: Mapping[str, str] = field(default_factory=dict[str, str])

    async def credential(self) -> Credential:
        """The secrets themselves, for a transport that has no requests."""
        return Credential("held", self.scheme.kind, self.fields)

    async def apply(self, request: "httpx.Request") -> str:
        """Put the credential on the request."""
        self.scheme.apply(request, lambda name: self.fields[name])
        if self.identity is not None:
            request.extensions[EXTENSION] = self.identity
        return "held"

    async def renew(self, generation: str) -> None:
        """It cannot be renewed: the provider has refused it."""
        raise AuthRevokedError("refused")


async def try_credential(
    connector: Connector, connection: Connection, held: HeldCredential, *, base_url: str
) -> Verdict:
    """Ask the provider with a credential that is not stored. Raises `AuthRevokedError` when it is refused."""
    from clew.servers.runtime import open_client

    async with open_client() as client:
        try:
            wire = Wire(connector, connection, held, client, base_url, variables=held.variables)
            return await ask_identity(connector, wire)
        except AuthRevokedError as refused:
            raise AuthRevokedError(
                f"{connector.name} does not accept this credential; nothing was stored.",
                next_step="Check that it was copied whole, has not expired and belongs to this provider.",
                provider_code=refused.provider_code,
                provider_message=refused.provider_message,
            ) from refused


async def ask_identity(connector: Connector, wire: Wire) -> Verdict:
    """The identity call of `connector`, at most 5 s. Raises `AuthRevokedError` and nothing else."""
    if connector.identify is None:
        return Verdict(doubt=f"connector {connector.name} has no call that tells whose it is")
    api = Api(wire, Deadline.after(SECONDS), Trail(), Effect.READ, SilentHost())
    try:
        identity = await connector.identify(api)
    except AuthRevokedError:
        raise
    except (CallError, ConfigurationError) as error:
        return Verdict(doubt=str(error).rstrip("."))
    except Exception as error:  # the connector's own code met an answer it does not understand
        return Verdict(doubt=f"the answer could not be read ({type(error).__name__})")
    return Verdict(identity=quote(str(identity), 200))
