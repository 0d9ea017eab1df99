"""What every login of a person shares, whichever way the consent comes: what is asked, and keeping what was granted."""

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING

from clew.auth.answers import Grant, Refusal
from clew.auth.clients import login_client
from clew.auth.discovery import discover, remembered, settled, without_addresses
from clew.auth.endpoints import expand
from clew.auth.facts import Facts
from clew.auth.oauth import Client
from clew.auth.openid import IdTokenError, check_id_token, who
from clew.auth.origins import origin_of
from clew.auth.schemes import OAuth2
from clew.auth.vault import Vault
from clew.core.connection import Connection
from clew.core.errors import ClewError, ConfigurationError, quote
from clew.core.secret import Secret
from clew.core.values import dataclass

if TYPE_CHECKING:
    import httpx

ENDPOINT_SECONDS = 15.0


class LoginError(ClewError):
    """The login did not happen; the message says why and nothing was stored."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A login that is about to begin: where, as whom, and what is asked. Addresses are filled and checked.

    `own_client` says that the client was given for this login alone: its secrets are then kept with the grant. `origin`
    is where the grant may be used.
    """

    connection: Connection
    scheme: OAuth2
    client: Client
    scopes: tuple[str, ...]
    token_url: str
    base_url: str
    own_client: bool = False
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    origin: str = ""

    def address(self, template: str) -> str:
        """An address of the server, filled in for this connection."""
        declared = self.scheme.variables
        return expand(template, base_url=self.base_url, variables=self.variables, declared=declared)


async def plan(
    vault: Vault,
    connection: Connection,
    scheme: OAuth2,
    http: "httpx.AsyncClient",
    *,
    base_url: str,
    client: Client | None = None,
    scopes: Sequence[str] | None = None,
    variables: Mapping[str, str] | None = None,
    origin: str | None = None,
) -> Plan:
    """Find out everything that can be found out before a person is bothered.

    Raises `ConfigurationError` when no OAuth client is known, a variable is missing or malformed, or a server that is
    to describe itself does not.
    """
    given = checked_variables(scheme, variables or {})
    named = scheme.discovery_url == "{issuer}" and bool(given.get("issuer"))
    if scheme.discovery_url is not None and (named or not scheme.token_url):
        address = _issuer(scheme, base_url, given)
        # A server that a person names replaces the declared one whole: no token of one goes to an address of the other.
        scheme = settled(without_addresses(scheme) if named else scheme, await discover(http, address))
        given = {**given, **remembered(scheme)}
    own_client = client is not None
    client = client or await login_client(vault, connection, scheme, given)
    if scheme.dpop:
        from clew.auth.dpop import new_key

        client = replace(client, dpop_key=new_key())
    if not scheme.token_url:
        raise ConfigurationError(f"{connection.connector} declares no token_url and no discovery_url.")
    token_url = expand(scheme.token_url, base_url=base_url, variables=given, declared=scheme.variables)
    asked = tuple(scheme.scopes if scopes is None else scopes)
    return Plan(
        connection, scheme, client, asked, token_url, base_url, own_client, given, origin or origin_of(base_url)
    )


def _issuer(scheme: OAuth2, base_url: str, given: Mapping[str, str]) -> str:
    """Where the server describes itself: an address of the connector's, or the one that a person named."""
    assert scheme.discovery_url is not None
    if scheme.discovery_url == "{issuer}":
        if not given.get("issuer"):
            raise ConfigurationError("Name the authorization server: --issuer https://…")
        return given["issuer"]
    return expand(scheme.discovery_url, base_url=base_url, variables=given, declared=scheme.variables)


def checked_variables(scheme: OAuth2, given: Mapping[str, str]) -> dict[str, str]:
    """The variables in the form that the scheme declares. Raises `ConfigurationError` naming one that is not."""
    return {name: _check(scheme, name, value) for name, value in given.items() if value}


def _check(scheme: OAuth2, name: str, value: str) -> str:
    declared = scheme.variables.get(name)
    return declared.check(name, value) if declared else value


async def keep(
    vault: Vault, plan: Plan, grant: Grant, *, redirect_uri: str | None = None, nonce: str | None = None
) -> Facts:
    """Store a grant under its connection, replacing an older one, and return its facts.

    Raises `LoginError` when the ID token says that the grant answers another login.
    """
    identity: str | None = None
    if grant.id_token is not None and nonce is not None:
        try:
            claims = check_id_token(grant.id_token, issuer=plan.scheme.issuer, client_id=plan.client.id, nonce=nonce)
        except IdTokenError as error:
            raise LoginError(f"The identity that came with the grant is not to be trusted: {error}.") from None
        identity = who(claims)
    client = plan.client
    facts = Facts(
        kind=plan.scheme.kind,
        scopes=plan.scopes if grant.scopes is None else grant.scopes,
        asked=plan.scopes,
        identity=identity,
        client_id=client.id,
        expires_at=grant.expires_at,
        refresh_at=grant.refresh_at,
        refresh_expires_at=grant.refresh_expires_at,
        renewable=grant.refresh_token is not None,
        redirect_uri=redirect_uri,
        variables={**plan.variables, **grant.variables},
        origin=plan.origin,
    )
    own = {"client_secret": client.secret, "private_key": client.key, "certificate": client.certificate}
    own = own if plan.own_client else {}
    fields: dict[str, Secret | None] = {**grant.fields(), **own, "dpop_key": client.dpop_key}
    kept = {name: secret for name, secret in fields.items() if secret is not None}
    await vault.put(plan.connection, kept, facts)
    return facts


def refused(plan: Plan, answer: Refusal, what: str = "authorization code") -> LoginError:
    """The sentence for a token endpoint's refusal during a login."""
    connector = plan.connection.connector
    said = f' It said: "{quote(answer.code)}".' if answer.code else ""
    if answer.verdict == "outage":
        return LoginError(
            f"The authorization server of {connector} cannot be reached or is out.{said} Try again later."
        )
    if answer.verdict in ("dead", "interaction"):
        return LoginError(f"{connector} did not accept the {what}: used twice, or too late.{said}")
    return LoginError(f"{connector} does not accept this OAuth client: check its id and secret.{said}")
