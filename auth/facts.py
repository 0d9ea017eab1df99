"""What is known about a connection besides its secrets; safe to show, and kept readable without the key."""

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, field, fields
from typing import Any

from clew.core.values import dataclass


def new_generation() -> str:
    """A tag for one set of secrets; two sets never share one, not even after a deletion."""
    return secrets.token_hex(6)


@dataclass(frozen=True, slots=True)
class Facts:
    """The public half of a stored credential. Times are UTC seconds since 1970; None means unknown or never.

    `asked` are the scopes that were asked for, `scopes` those that were granted. `redirect_uri` is the login's.
    `refresh_at` is when the provider wants the access token replaced, some time before `expires_at`.
    `generation` changes whenever the secrets do. `client_id` is the OAuth client that got the grant, `identity` what
    the provider calls the account, `refreshed` counts refreshes, `renewable` says that there
    is a refresh token. `refused_at` and `refused` say when and why (the
    provider's code) the credential was refused for good. `variables` fill the templates of the scheme's addresses.
    `origin` is the API's that the credential was given for (`origins`); it is sent to no other.
    """

    kind: str
    generation: str = field(default_factory=new_generation)
    scopes: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    identity: str | None = None
    client_id: str | None = None
    obtained_at: float = field(default_factory=time.time)
    expires_at: float | None = None
    refresh_at: float | None = None
    refresh_expires_at: float | None = None
    refreshed: int = 0
    renewable: bool = False
    refused_at: float | None = None
    refused: str | None = None
    redirect_uri: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    origin: str | None = None

    def encode(self) -> str:
        """The stored form: JSON with sorted keys, the same text for the same facts."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def decode(cls, text: str) -> "Facts":
        """Read the stored form. Unknown keys, written by a newer version, are ignored. Raises `ValueError`."""
        content: Any = json.loads(text)
        if not isinstance(content, dict) or "kind" not in content:
            raise ValueError("facts without a kind")
        known: dict[str, Any] = {name: content[name] for name in _NAMES if name in content}
        known |= {name: tuple(known.get(name, ())) for name in ("scopes", "asked")}
        return cls(**known)


_NAMES = tuple(item.name for item in fields(Facts))
