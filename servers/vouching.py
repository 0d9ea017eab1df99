"""Who vouches for callers over HTTP, as `[http]` says."""

import httpx

from clew.auth.access_tokens import ALGORITHMS, IntrospectionVerifier, JwtVerifier, Remembering, Verifier
from clew.auth.issuer_keys import IssuerKeys
from clew.auth.oauth import Client
from clew.core.errors import ConfigurationError
from clew.servers.gate import Vouching
from clew.servers.settings import Settings


def vouching(settings: Settings, http: httpx.AsyncClient) -> Vouching | None:
    """What checks tokens; None where callers are not authenticated. Raises `ConfigurationError`."""
    said = settings.http
    if not said.issuer:
        return None
    unknown = set(said.algorithms) - set(ALGORITHMS)
    if unknown:
        raise ConfigurationError(
            f"http.algorithms: {', '.join(sorted(unknown))} cannot be used; there are: {', '.join(ALGORITHMS)}."
        )
    if said.verify == "introspection":
        client = Client(said.client_id, said.client_secret or None)
        verifier: Verifier = IntrospectionVerifier(http, said.issuer, client, said.introspection_url)
    else:
        keys = IssuerKeys(http, said.issuer, said.keys_url)
        verifier = JwtVerifier(keys, said.issuer, algorithms=said.algorithms or ALGORITHMS, strict=said.strict)
    return Vouching(Remembering(verifier), settings)


def check_people(settings: Settings) -> None:
    """Raise `ConfigurationError` where nobody could tell who asks from who approves: one claim must name both."""
    several = [rule.name for rule in settings.policy.rules if rule.needed > 1]
    asks, approves = settings.http.identity, settings.console.identity
    if several and settings.http.issuer and settings.console.issuer and asks != approves:
        raise ConfigurationError(
            f"rule {several[0]!r} wants several people, and whoever asks must not be one of them: set the identity of "
            f"[http] ({asks}) and of [console] ({approves}) to the same claim."
        )
