"""Tokens of class E: there is no refresh token, but a new token can be asked for at any time, and asking burns nothing.

Client credentials, assertions (RFC 7523), token exchange (RFC 8693), logins of a provider's own shape, and AWS.
"""

import time
from collections.abc import Mapping
from dataclasses import replace

import httpx

from clew.auth.answers import Grant, Refusal
from clew.auth.assertions import sign_assertion
from clew.auth.clients import Material, stored_client
from clew.auth.endpoints import expand, fill
from clew.auth.exchange import exchange
from clew.auth.oauth import JWT_GRANT, Client, TokenRequest, token_request
from clew.auth.schemes import (
    AwsWebIdentity,
    ClientCredentials,
    JwtBearer,
    Minted,
    OAuth2,
    SessionLogin,
    TokenExchange,
    TokenScheme,
)
from clew.auth.workload import identity_token
from clew.core.credentials import Scheme
from clew.core.errors import ConfigurationError
from clew.core.secret import Secret

EXCHANGE_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"


async def mint(
    http: httpx.AsyncClient,
    record: Material,
    scheme: Scheme,
    *,
    base_url: str,
    seconds: float,
    send_before: float | None = None,
) -> Grant | Refusal:
    """Ask for a token within `seconds`, sending nothing after `send_before` (monotonic clock).

    What is wrong with our own key, certificate, file or address is a `Refusal` of verdict `misconfigured`.
    """
    try:
        if isinstance(scheme, AwsWebIdentity):
            from clew.auth.aws import assume_role

            return await assume_role(http, record, scheme, base_url=base_url, seconds=seconds)
        assert isinstance(scheme, Minted | OAuth2)
        started = time.monotonic()
        request = await _request(http, record, scheme, base_url, seconds)
        if isinstance(request, Refusal):
            return request
        left = seconds - (time.monotonic() - started)
        answer = await exchange(http, scheme, request, seconds=left, send_before=send_before)
    except ConfigurationError as error:
        return Refusal("misconfigured", "configuration", str(error))
    # A refresh token beside a token that we can ask for again is one more secret to lose.
    return replace(answer, refresh_token=None) if isinstance(answer, Grant) else answer


MINTERS = dict.fromkeys(
    (scheme.kind for scheme in (ClientCredentials, JwtBearer, SessionLogin, TokenExchange, AwsWebIdentity)), mint
)
"""The minter of each kind, for the refresher."""


async def _request(
    http: httpx.AsyncClient, record: Material, scheme: TokenScheme, base_url: str, seconds: float
) -> TokenRequest | Refusal:
    variables = record.facts.variables
    assert isinstance(scheme, ClientCredentials | JwtBearer | SessionLogin | TokenExchange)
    url = expand(scheme.token_url, base_url=base_url, variables=variables, declared=scheme.variables)
    client = stored_client(record, scheme)
    asked = record.facts.asked or tuple(scheme.scopes)
    scopes = {"scope": scheme.scope_separator.join(asked)} if asked else {}
    values = _values(scheme, variables, client, url, base_url)
    match scheme:
        case ClientCredentials():
            return token_request(scheme, url, client, {"grant_type": "client_credentials", **scopes})
        case JwtBearer():
            signed = _assertion(scheme, record, client, values, scopes.get("scope", ""))
            scopes = {} if scheme.assertion.scope_claim else scopes
            return token_request(scheme, url, client, {"grant_type": JWT_GRANT, "assertion": signed, **scopes})
        case SessionLogin():
            return _session_request(scheme, record, client, url, values)
        case TokenExchange():
            token = await identity_token(http, variables, seconds=seconds)
            if isinstance(token, Refusal):
                return token
            return token_request(scheme, url, client, _exchange_fields(scheme, token, values) | scopes)


def _exchange_fields(scheme: TokenExchange, token: Secret, values: Mapping[str, str]) -> dict[str, str]:
    fields = {
        "grant_type": EXCHANGE_GRANT,
        "subject_token": token.reveal(),
        "subject_token_type": scheme.subject_token_type,
        "requested_token_type": scheme.requested_token_type,
        "audience": fill(scheme.audience, values),
        "resource": fill(scheme.resource, values),
    }
    return {name: value for name, value in fields.items() if value}


def _session_request(
    scheme: SessionLogin, record: Material, client: Client, url: str, values: Mapping[str, str]
) -> TokenRequest:
    """The first call of two, filled from variables and secrets; `assertion` is signed with the field `private_key`."""
    opened = {name: secret.reveal() for name in scheme.secrets if (secret := record.secret(name)) is not None}
    known = {**values, **opened}
    if "private_key" in scheme.secrets:
        known["assertion"] = _assertion(scheme, record, client, values, "")
    filled = replace(
        scheme,
        token_parameters={name: fill(text, known) for name, text in scheme.token_parameters.items()},
        token_headers={name: fill(text, known) for name, text in scheme.token_headers.items()},
    )
    request = token_request(filled, url, replace(client, id=""), {})
    if scheme.basic is None:
        return request
    import base64

    pair = ":".join(opened.get(name) or values.get(name, "") for name in scheme.basic)
    basic = base64.b64encode(pair.encode()).decode()
    return replace(request, headers={**request.headers, "Authorization": f"Basic {basic}"})


def _assertion(scheme: TokenScheme, record: Material, client: Client, values: Mapping[str, str], scopes: str) -> str:
    key = record.secret("private_key")
    if key is None:
        raise ConfigurationError("The private key that signs the assertion is not stored.")
    return sign_assertion(scheme.assertion, key, values, scopes=scopes, certificate=client.certificate)


def _values(
    scheme: TokenScheme, variables: Mapping[str, str], client: Client, url: str, base_url: str
) -> dict[str, str]:
    defaults = {name: each.default for name, each in scheme.variables.items() if each.default}
    parts = base_url.split("/")
    known = {"client_id": client.id, "token_url": url, "base_url": base_url, "origin": "/".join(parts[:3])}
    return {**defaults, **variables, **known}
