"""What core needs from auth, as protocols that core owns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from clew.core.secret import Secret

if TYPE_CHECKING:
    import httpx


@dataclass(frozen=True, slots=True)
class Credential:
    """One connection's credential, opened for one operation of a transport that is not HTTP.

    `kind` is the scheme's, `fields` are its secret fields by name: `username` and `password`, or `access_token`.
    """

    generation: str
    kind: str
    fields: Mapping[str, Secret]


IN_BODY, BARE_BODY = "clew_in_body", "clew_bare_body"
"""Extensions of a request: an `InBody`, and the body as it was without it."""


@dataclass(frozen=True, slots=True)
class InBody:
    """A body with a credential in it. A scheme leaves it in the request's extensions under `IN_BODY`, for a request
    cannot change its own. `secrets` are the parts that must not come back, as the provider may repeat them."""

    content: bytes = field(repr=False)
    secrets: tuple[Secret, ...]


class Authorizer(Protocol):
    """Puts one connection's credential on requests and renews it when the provider refuses it."""

    async def apply(self, request: "httpx.Request") -> str:
        """Put the credential on `request` and return its generation, an opaque tag that is never secret.

        One that belongs into the body is left in the extensions, as an `InBody`.

        Called before every attempt, after every wait, so the credential is decrypted only for the request that
        needs it. Refreshes a token that is about to expire. Raises `AuthRevokedError` when no credential can be had
        without a person, `TransientError` when the authorization server is out.
        """
        ...

    async def renew(self, generation: str) -> None:
        """Replace the credential that the provider has just refused, unless somebody already has.

        Returns when a different generation is in place. Raises `AuthRevokedError` when the credential cannot be
        renewed without a person, `TransientError` when the authorization server is out.
        """
        ...


@runtime_checkable
class Lender(Protocol):
    """An authorizer that can also hand out the credential itself, where there is no request to put it on."""

    async def credential(self) -> Credential:
        """The credential, fresh as `apply` would use it. Raises what `apply` raises."""
        ...


@runtime_checkable
class Scheme(Protocol):
    """How a connector authenticates, declared as data. `clew.auth.schemes` has the kinds."""

    kind: ClassVar[str]
    """The word for people and files: `oauth2`, `bearer`, `api_key`, `basic`."""
