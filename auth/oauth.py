"""The OAuth 2 messages without any network: what to send to which endpoint.

RFC 6749 (grants), RFC 7636 (PKCE), RFC 7523 (assertions), RFC 8628 (device codes). authlib and joserfc build and sign;
they never send.
"""

import importlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from clew.auth.answers import DEFAULT_RULES, Grant, Refusal, judge
from clew.auth.schemes import OAuth2, TokenScheme
from clew.core.errors import ConfigurationError
from clew.core.secret import Secret
from clew.core.values import dataclass

__all__ = [
    "DEFAULT_RULES",
    "DEVICE_GRANT",
    "JWT_GRANT",
    "Client",
    "Grant",
    "Refusal",
    "TokenRequest",
    "authorization_url",
    "code_request",
    "judge",
    "new_verifier",
    "refresh_request",
    "token_request",
]

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@dataclass(frozen=True, slots=True)
class Client:
    """The OAuth client we are at one provider; a public client has no secret.

    `key` (PEM) signs `private_key_jwt`; `certificate` (PEM) with `key` is shown in TLS. `dpop_key` is the key that
    tokens are bound to. `values` fill the templates of assertions.
    """

    id: str
    secret: Secret | None = None
    key: Secret | None = None
    certificate: Secret | None = None
    dpop_key: Secret | None = None
    values: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A request to a token endpoint, ready to send; its body holds secrets.

    `dpop_key` signs the proof, `identity` (certificate, key) is shown in TLS. `fields` are what it was made of, so that
    it can be made anew where a signed part may be used only once.
    """

    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    method: str = "POST"
    dpop_key: Secret | None = None
    identity: tuple[Secret, Secret] | None = None
    made_of: "tuple[TokenScheme, str, Client, Mapping[str, str]] | None" = field(default=None, repr=False)

    def anew(self) -> "TokenRequest":
        """The same request with a fresh client assertion."""
        return self if self.made_of is None else token_request(*self.made_of)


def authorization_url(
    scheme: OAuth2,
    url: str,
    client: Client,
    *,
    redirect_uri: str,
    state: str,
    verifier: str,
    scopes: Sequence[str],
    nonce: str | None = None,
) -> str:
    """The address a person opens to grant access; `verifier` is the PKCE code verifier, kept by us."""
    extra = dict(scheme.authorize_parameters)
    if scheme.pkce == "S256":
        extra |= {"code_challenge": _challenge(verifier), "code_challenge_method": "S256"}
    if nonce is not None:
        extra["nonce"] = nonce
    extra |= {name: scheme.scope_separator.join(more) for name, more in scheme.more_scopes.items() if more}
    scope = scheme.scope_separator.join(scopes) or None
    prepare = _authlib("oauth2.rfc6749.parameters").prepare_grant_uri
    return str(prepare(url, client.id, "code", redirect_uri, scope, state, **extra))


def new_verifier() -> str:
    """A PKCE code verifier with 256 random bits."""
    return secrets.token_urlsafe(48)


def _challenge(verifier: str) -> str:
    return str(_authlib("oauth2.rfc7636").create_s256_code_challenge(verifier))


def _authlib(module: str) -> Any:
    """One of authlib's modules: loaded when a login or a refresh needs it, and without types (it has none)."""
    return importlib.import_module(f"authlib.{module}")


def code_request(
    scheme: OAuth2, url: str, client: Client, *, code: Secret, redirect_uri: str, verifier: str
) -> TokenRequest:
    """Exchange an authorization code for tokens."""
    fields = {"grant_type": "authorization_code", "code": code.reveal(), "redirect_uri": redirect_uri}
    if scheme.pkce == "S256":
        fields["code_verifier"] = verifier
    return token_request(scheme, url, client, {**fields, **scheme.code_parameters})


def refresh_request(
    scheme: OAuth2, url: str, client: Client, *, refresh_token: Secret, redirect_uri: str | None = None
) -> TokenRequest:
    """Exchange a refresh token for new tokens; `redirect_uri` is the login's, for providers that want it again."""
    fields = {"grant_type": "refresh_token", "refresh_token": refresh_token.reveal()}
    if scheme.refresh_redirect_uri and redirect_uri:
        fields["redirect_uri"] = redirect_uri
    return token_request(scheme, url, client, {**fields, **scheme.refresh_parameters})


def token_request(scheme: TokenScheme, url: str, client: Client, fields: Mapping[str, str]) -> TokenRequest:
    """Any grant: `fields` with the client's proof of itself, in the form that this endpoint wants.

    Raises `ConfigurationError` when the client lacks what its way of authentication needs.
    """
    sent = {**fields, **scheme.token_parameters}
    headers = {"Accept": "application/json", **scheme.token_headers}
    method, secret = _client_method(scheme, client)
    if scheme.client_auth == "private_key_jwt":
        sent |= _assertion_fields(scheme, url, client)
    grant = sent.pop("grant_type", "")
    body = _authlib("oauth2.rfc6749.parameters").prepare_token_request(grant, **sent) if grant else urlencode(sent)
    address, prepared, text = url, headers, body
    if client.id:
        authenticate = _authlib("oauth2.auth").ClientAuth(client.id, secret, method).prepare
        address, prepared, text = authenticate("POST", url, headers, body)
    return replace(
        _shaped(scheme, address, prepared, text),
        dpop_key=client.dpop_key if scheme.dpop else None,
        identity=_identity(scheme, client),
        made_of=(scheme, url, client, fields) if scheme.client_auth == "private_key_jwt" else None,
    )


def _client_method(scheme: TokenScheme, client: Client) -> tuple[str, str | None]:
    """The method's name in authlib's words and the secret; a client without a secret only names itself."""
    methods = {"post": "client_secret_post", "basic": "client_secret_basic"}
    secret = client.secret.reveal() if client.secret else None
    method = "none" if secret is None else methods.get(scheme.client_auth, "none")
    return method, None if method == "none" else secret


def _assertion_fields(scheme: TokenScheme, url: str, client: Client) -> dict[str, str]:
    from clew.auth.assertions import ASSERTION_TYPE, sign_assertion

    if client.key is None:
        raise ConfigurationError("This OAuth client proves itself with a private key, and none is stored.")
    values = {**client.values, "client_id": client.id, "token_url": url}
    signed = sign_assertion(scheme.assertion, client.key, values, certificate=client.certificate)
    return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": signed}


def _identity(scheme: TokenScheme, client: Client) -> tuple[Secret, Secret] | None:
    return shown_identity(client) if scheme.client_auth == "mtls" else None


def shown_identity(client: Client) -> tuple[Secret, Secret]:
    """The certificate and the key that this client shows in TLS. Raises `ConfigurationError` when there is none."""
    if client.certificate is None or client.key is None:
        raise ConfigurationError("This OAuth client proves itself with a certificate, and none is stored.")
    return client.certificate, client.key


def _shaped(scheme: TokenScheme, url: str, headers: Mapping[str, str], body: str) -> TokenRequest:
    if scheme.token_method == "GET" or scheme.body_format == "query":
        address = f"{url}{'&' if '?' in url else '?'}{body}" if body else url
        return TokenRequest(address, dict(headers), b"", scheme.token_method)
    if scheme.body_format == "json":
        content = json.dumps(dict(parse_qsl(body, keep_blank_values=True)))
        return TokenRequest(url, {**headers, "Content-Type": "application/json"}, content.encode())
    return TokenRequest(url, {**headers, "Content-Type": "application/x-www-form-urlencoded"}, body.encode())
