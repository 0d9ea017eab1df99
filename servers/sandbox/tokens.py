"""Grants and their tokens: what an authorization server must remember to rotate, expire and revoke."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

SCOPES = frozenset(
    f"{resource}:{right}"
    for resource in ("contacts", "tickets", "payments", "messages", "webhooks")
    for right in ("read", "write")
) | {"invoices:read"}
"""Every scope Acme knows."""

SEEDED_PAT = "acme_pat_sandbox"
"""The personal API token that exists at start, with every scope."""

USERS = {"usr_ada": ("ada@acme.example", "Ada Lovelace"), "usr_grace": ("grace@acme.example", "Grace Hopper")}
"""The people who can log in: id -> (e-mail, name)."""


class InvalidGrantError(Exception):
    """The code or refresh token is unknown, used, expired or revoked, or belongs to another client."""


@dataclass(slots=True)
class Grant:
    """What one subject allowed one client: the family that all its tokens belong to."""

    id: str
    client_id: str
    subject: str
    scopes: frozenset[str]
    revoked: bool = False


@dataclass(slots=True)
class Token:
    """One access, refresh or personal token; `expires_at` in UTC epoch seconds, None for never."""

    value: str = field(repr=False)
    kind: str
    grant: Grant
    scopes: frozenset[str]
    expires_at: float | None
    used: bool = False
    revoked: bool = False

    def is_live(self, now: float) -> bool:
        """Say whether the token is neither revoked, used nor expired."""
        expired = self.expires_at is not None and self.expires_at <= now
        return not (self.revoked or self.grant.revoked or self.used or expired)


@dataclass(slots=True)
class Code:
    """An authorization code that waits to be redeemed; `grant` is set once it was."""

    value: str = field(repr=False)
    client_id: str
    redirect_uri: str
    challenge: str
    scopes: frozenset[str]
    subject: str
    expires_at: float
    grant: Grant | None = None


@dataclass(slots=True)
class DeviceRequest:
    """A device that waits for its person; `approved` is None until they decide."""

    device_code: str = field(repr=False)
    user_code: str
    client_id: str
    scopes: frozenset[str]
    expires_at: float
    interval: float
    polled_at: float = 0.0
    approved: bool | None = None
    used: bool = False


class Tokens:
    """All grants and tokens, and counters of what happened to them."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}
        self.grants: list[Grant] = []
        self.codes: dict[str, Code] = {}
        self.devices: dict[str, DeviceRequest] = {}
        self.issued = 0
        self.refreshed = 0
        self.reused = 0
        self.families_revoked = 0
        self.mint_pat(SCOPES, value=SEEDED_PAT)

    def grant(self, client_id: str, subject: str, scopes: Iterable[str]) -> Grant:
        """Start a family."""
        grant = Grant(f"grant_{len(self.grants) + 1:06d}", client_id, subject, frozenset(scopes))
        self.grants.append(grant)
        return grant

    def mint_pat(
        self,
        scopes: Iterable[str],
        *,
        subject: str = "usr_ada",
        expires_at: float | None = None,
        value: str | None = None,
    ) -> Token:
        """Make a personal API token; each is a family, and a quota, of its own."""
        grant = self.grant("personal", subject, scopes)
        return self._add(grant, "pat", grant.scopes, expires_at, value=value or f"acme_pat_{secrets.token_urlsafe(24)}")

    def issue_access(self, grant: Grant, scopes: frozenset[str], expires_at: float) -> Token:
        """Make an access token of the family."""
        self.issued += 1
        return self._add(grant, "access", scopes, expires_at, value=f"acme_at_{secrets.token_urlsafe(24)}")

    def issue_refresh(self, grant: Grant, expires_at: float) -> Token:
        """Make the family's next refresh token."""
        return self._add(grant, "refresh", grant.scopes, expires_at, value=f"acme_rt_{secrets.token_urlsafe(24)}")

    def redeem_refresh(self, value: str, client_id: str, now: float) -> Token:
        """Use up a refresh token; a second use is taken for theft and ends the family (RFC 9700 §4.14.2)."""
        token = self._tokens.get(value)
        if token is None or token.kind != "refresh" or token.grant.client_id != client_id:
            raise InvalidGrantError("The refresh token is not known.")
        if token.used:
            self.reused += 1
            self.revoke_family(token.grant)
            raise InvalidGrantError("The refresh token was used before; the grant is revoked.")
        if not token.is_live(now):
            raise InvalidGrantError("The refresh token is expired or revoked.")
        token.used = True
        self.refreshed += 1
        return token

    def find(self, value: str) -> Token | None:
        """Return the token with this value, live or not."""
        return self._tokens.get(value)

    def revoke(self, token: Token) -> None:
        """Revoke one token; a refresh token takes its family with it (RFC 7009 §2.1)."""
        token.revoked = True
        if token.kind == "refresh":
            self.revoke_family(token.grant)

    def revoke_family(self, grant: Grant) -> None:
        """End a grant and every token of it."""
        self.families_revoked += not grant.revoked
        grant.revoked = True

    def revoke_grants(self) -> None:
        """End every OAuth grant, as when people remove the app from their accounts."""
        for grant in self.grants:
            if grant.client_id != "personal":
                self.revoke_family(grant)

    def expire_access(self, now: float) -> None:
        """Expire every OAuth access token now; refresh tokens stay good."""
        for token in self._tokens.values():
            if token.kind == "access":
                token.expires_at = now

    def _add(self, grant: Grant, kind: str, scopes: frozenset[str], expires_at: float | None, *, value: str) -> Token:
        token = Token(value, kind, grant, scopes, expires_at)
        self._tokens[value] = token
        return token
