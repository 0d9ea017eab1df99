"""Disconnecting: the provider is told (RFC 7009 or its own way) before the credential is forgotten here."""

import asyncio
import base64
import logging
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from clew.auth.answers import Refusal, error_of, parse
from clew.auth.clients import Material, client_of, is_app
from clew.auth.discovery import recalled
from clew.auth.endpoints import Revocation, expand, fill
from clew.auth.exchange import Answer, send
from clew.auth.facts import Facts
from clew.auth.leases import Lease, Leases, lease_name
from clew.auth.oauth import Client, TokenRequest, token_request
from clew.auth.schemes import OAuth2, TokenScheme
from clew.auth.vault import Record, Summary, Vault
from clew.core.connection import Connection
from clew.core.credentials import Scheme
from clew.core.errors import CallError, ConfigurationError, TransientError, quote
from clew.core.secret import Secret
from clew.core.values import dataclass

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)

ENDPOINT_SECONDS = 10.0
PATIENCE_SECONDS = 40.0
"""How long a logout waits for a refresh under way; one that is alive ends sooner."""
_LEASE_SECONDS = 30.0
_ROUNDS = 3

Told = Literal["revoked", "gone", "impossible", "failed"]
"""What the provider was told: it has revoked it, it knew it no more, it cannot be told, or it did not take it."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What became of one connection. `why` says what could not be revoked or forgotten; `siblings` are accounts whose
    credential comes from the same grant and has ended with it; `forgotten` says whether it is gone here; `newer` that
    a login made meanwhile is stored in its place and was not ended."""

    connection: Connection
    told: Told
    forgotten: bool
    why: str = ""
    siblings: tuple[str, ...] = ()
    newer: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The same for `--json`."""
        return {
            "connector": self.connection.connector,
            "account": self.connection.account,
            "tenant": self.connection.tenant,
            "told": self.told,
            "forgotten": self.forgotten,
            "newer": self.newer,
            "why": self.why or None,
            "siblings": list(self.siblings),
        }


async def log_out(
    vault: Vault,
    leases: Leases,
    connection: Connection,
    schemes: Sequence[Scheme],
    http: "httpx.AsyncClient",
    *,
    base_url: str,
    patience: float = PATIENCE_SECONDS,
) -> Ending:
    """Revoke at the provider, then forget here. While the provider may yet be told, the credential stays: once it is
    forgotten nobody could revoke it any more. A refresh under way is waited for, for `patience` seconds."""
    async with _alone(leases, connection, patience) as lease:
        if lease is None:
            busy = "it is being renewed by another process, and the tokens which that brings could not be revoked"
            return Ending(connection, "failed", forgotten=False, why=busy)
        record = await vault.get(connection)
        if record is None:
            return Ending(connection, "gone", forgotten=False, why="it was not stored")
        ending = await _end(vault, leases, lease, record, schemes=schemes, http=http, base_url=base_url)
    if lease.taken_over and ending.told in ("revoked", "gone") and not ending.newer:
        lost = (
            "a process that was renewing it never finished: tokens that it may have got could not be revoked from here"
        )
        return replace(ending, why=lost)
    return ending


async def _end(
    vault: Vault,
    leases: Leases,
    lease: Lease,
    record: Record,
    *,
    schemes: Sequence[Scheme],
    http: "httpx.AsyncClient",
    base_url: str,
) -> Ending:
    """Tell and forget, again for a pair that a refresher stored meanwhile: it may have slept past its lease."""
    known: list[Told] = []
    for _ in range(_ROUNDS):
        await leases.extend(lease, seconds=_LEASE_SECONDS)
        told, why = await _tell(vault, record, schemes, http, base_url)
        if told == "failed":
            return Ending(record.connection, told, forgotten=False, why=why)
        known.append(told)
        told = "revoked" if "revoked" in known else told
        siblings = await _siblings(vault, record, schemes) if told == "revoked" else ()
        newer = await _forget(vault, record)
        if newer is None:
            return Ending(record.connection, told, forgotten=True, why=why, siblings=siblings)
        if newer.facts.refreshed <= record.facts.refreshed:
            why = "a login that was made meanwhile is stored in its place and was kept"
            return Ending(record.connection, told, forgotten=False, why=why, siblings=siblings, newer=True)
        record = newer
    return Ending(record.connection, "failed", forgotten=False, why="it was renewed again and again meanwhile")


async def _forget(vault: Vault, record: Record) -> Record | None:
    """Forget these tokens, whatever else of the record has changed; returns it when it holds other tokens now."""
    current: Record | None = record
    while current is not None and current.facts.generation == record.facts.generation:
        if await vault.delete(record.connection, expect_version=current.version):
            return None
        current = await vault.get(record.connection)
    return current


@asynccontextmanager
async def _alone(leases: Leases, connection: Connection, patience: float) -> AsyncGenerator[Lease | None]:
    """No refresh goes on meanwhile: it would bring a new pair that nobody revokes. None when one does not end."""
    name, give_up_at = lease_name("refresh", connection), time.monotonic() + patience
    lease = await leases.acquire(name, seconds=_LEASE_SECONDS)
    while lease is None and time.monotonic() < give_up_at:
        await asyncio.sleep(0.1)
        with suppress(TransientError):  # others keep the store busy: one more reason to wait
            lease = await leases.acquire(name, seconds=_LEASE_SECONDS)
    try:
        yield lease
    finally:
        if lease is not None:
            await leases.release(lease)


@dataclass(frozen=True, slots=True)
class _Unstored:
    """Tokens that came too late to be stored."""

    connection: Connection
    facts: Facts
    _secrets: Mapping[str, Secret]

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(self._secrets)

    def secret(self, name: str) -> Secret | None:
        return self._secrets.get(name)


async def disown(
    vault: Vault,
    record: Record,
    secrets: Mapping[str, Secret],
    scheme: Scheme,
    http: "httpx.AsyncClient",
    *,
    base_url: str,
) -> None:
    """Revoke the tokens that a refresh of `record` brought after somebody had logged out; a failure goes to the log."""
    told, why = await _tell(vault, _Unstored(record.connection, record.facts, secrets), [scheme], http, base_url)
    if told in ("failed", "impossible"):
        log.error("%s was logged out while it was renewed; its new tokens are not revoked: %s", record.connection, why)


async def _tell(
    vault: Vault, record: Material, schemes: Sequence[Scheme], http: "httpx.AsyncClient", base_url: str
) -> tuple[Told, str]:
    scheme = _scheme(record, schemes)
    way = revocation_of(scheme)
    if scheme is None or way is None:
        where = getattr(scheme or next(iter(schemes), None), "help", "")
        hint = f" ({where})" if where else ""
        return "impossible", f"the provider still honours it until it is revoked there{hint}"
    told: Told = "gone"
    why = "there was no token"
    try:
        client = await client_of(vault, record, scheme)
        for token, name in _tokens(record, way):
            request = revocation_request(
                scheme, way, client, token, hint=name, access_token=record.secret("access_token"),
                base_url=base_url, variables=record.facts.variables,
            )  # fmt: skip
            told, why = read(await send(http, request, seconds=ENDPOINT_SECONDS), way)
            if told == "failed":
                return told, why
    except (ConfigurationError, CallError) as error:
        return "failed", str(error)
    return told, why


def _scheme(record: Material, schemes: Sequence[Scheme]) -> TokenScheme | None:
    for scheme in schemes:
        if isinstance(scheme, TokenScheme) and scheme.kind == record.facts.kind:
            return recalled(scheme, record.facts.variables) if isinstance(scheme, OAuth2) else scheme
    return None


def revocation_of(scheme: TokenScheme | None) -> Revocation | None:
    """How this provider is told; None when it cannot be."""
    if scheme is None:
        return None
    address = scheme.revoke_url if isinstance(scheme, OAuth2) else None
    return scheme.revocation or (Revocation(address) if address else None)


def _tokens(record: Material, way: Revocation) -> list[tuple[Secret, str]]:
    """The tokens to revoke, the one that ends most first."""
    order = {"refresh": ("refresh_token",), "access": ("access_token",), "both": ("refresh_token", "access_token")}
    found = [(secret, name) for name in order[way.token] if (secret := record.secret(name)) is not None]
    fallback = record.secret("access_token")
    return found or ([(fallback, "access_token")] if fallback is not None else [])


def revocation_request(
    scheme: TokenScheme,
    way: Revocation,
    client: Client,
    token: Secret,
    *,
    hint: str,
    access_token: Secret | None,
    base_url: str,
    variables: Mapping[str, str],
) -> TokenRequest:
    """What tells the provider to forget `token`; `hint` is its kind in the words of RFC 7009."""
    known = {**variables, "client_id": client.id}
    url = expand(way.url, base_url=base_url, variables=known, declared=scheme.variables)
    fields = {name: fill(text, known) for name, text in way.parameters.items()}
    if way.send != "none":
        fields |= {way.parameter: token.reveal(), **({"token_type_hint": hint} if way.hint else {})}
    format_ = way.send if way.send in ("json", "query") else "form"
    plain = replace(
        scheme,
        body_format=format_,
        token_parameters={},
        token_headers=dict(way.headers),
        token_method="POST",  # noqa: S106
    )
    asks = client if way.auth == "client" else Client("")
    if way.auth != "client":
        plain = replace(plain, client_auth="none", dpop=False)
    request = token_request(plain, url, asks, fields)
    return replace(request, method=way.method, headers={**request.headers, **_proof(way, client, access_token)})


def _proof(way: Revocation, client: Client, access_token: Secret | None) -> dict[str, str]:
    if way.auth == "bearer" and access_token is not None:
        return {"Authorization": f"Bearer {access_token.reveal()}"}
    if way.auth == "basic":
        pair = f"{client.id}:{client.secret.reveal() if client.secret else ''}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    return {}


def read(answer: Answer | Refusal, way: Revocation) -> tuple[Told, str]:
    """What an answer says. RFC 7009 answers 200 for tokens that it does not know; others have words for it."""
    if isinstance(answer, Refusal):
        return "failed", f"the provider could not be reached ({answer.code})"
    content = parse(answer.body) or {}
    code = error_of(content)[0] if answer.status >= 400 or content.get("ok") is False or "error" in content else ""
    if code in way.gone or str(answer.status) in way.gone:
        return "gone", ""
    if answer.status < 300 and not code:
        return "revoked", ""
    return "failed", f'the provider refused with {answer.status}: "{quote(code or "no reason", 100)}"'


async def _siblings(vault: Vault, record: Record, schemes: Sequence[Scheme]) -> tuple[str, ...]:
    """Other accounts here whose tokens come from the same person's consent to the same client."""
    way = revocation_of(_scheme(record, schemes))
    if way is None or way.kills == "token" or record.facts.identity is None:
        return ()
    own = record.connection
    stored = await vault.list(tenant=own.tenant, connector=own.connector)
    return tuple(each.connection.account for each in stored if each.connection != own and _shares(each, record))


def _shares(other: Summary, record: Record) -> bool:
    same = (other.facts.identity, other.facts.client_id) == (record.facts.identity, record.facts.client_id)
    return same and other.facts.kind == record.facts.kind and not is_app(other.connection)
