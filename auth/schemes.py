"""Ways to authenticate, declared by connectors as data.

A connector may accept several (`auth=[OAuth2(…), Bearer()]`): the stored credential's kind says which one is used.
The names of the secret fields are `fields`; `apply` puts them on a request and is the only place where they leave the
vault. `help` is a sentence or address that tells a person where to get such a credential. `variables` declare the names
that templates of addresses use.

| kind | scheme | the person gives | a token comes from |
| --- | --- | --- | --- |
| `bearer`, `api_key`, `basic` | `Bearer`, `ApiKey`, `Basic` | the secret | |
| `oauth1`, `aws` | `OAuth1`, `AwsKeys` | keys that sign each request | |
| `wsse` | `UsernameToken` | the secret, for SOAP messages | |
| `oauth2` | `OAuth2` | consent in a browser or by device code | the token endpoint, then refreshes |
| `client_credentials` | `ClientCredentials` | a client id and its secret or key | the token endpoint |
| `jwt_bearer` | `JwtBearer` | a private key | an assertion that we sign (RFC 7523) |
| `session` | `SessionLogin` | a user name and password, or a key | a first call of the provider's own shape |
| `token_exchange` | `TokenExchange` | the place of an identity token | RFC 8693 |
| `aws_web_identity` | `AwsWebIdentity` | the place of an identity token | AssumeRoleWithWebIdentity |
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

from clew.auth.endpoints import (
    Assertion,
    ClientAuth,
    RefreshClass,
    Revocation,
    TokenAnswer,
    TokenRule,
    Variable,
    Verdict,
    expand,
)
from clew.auth.wsse import UsernameToken
from clew.core.errors import ConfigurationError
from clew.core.secret import Secret

if TYPE_CHECKING:
    import httpx

__all__ = [
    "AnyScheme",
    "ApiKey",
    "Assertion",
    "AwsKeys",
    "AwsWebIdentity",
    "Basic",
    "Bearer",
    "ClientCredentials",
    "JwtBearer",
    "Minted",
    "OAuth1",
    "OAuth2",
    "RefreshClass",
    "Revocation",
    "SessionLogin",
    "TokenAnswer",
    "TokenExchange",
    "TokenRule",
    "TokenScheme",
    "Typed",
    "UsernameToken",
    "Variable",
    "Verdict",
    "expand",
]

Opener = Callable[[str], Secret]
"""Opens one secret field by name."""


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token in a header: `Authorization: Bearer …`. With `prefix=""` the header is the bare token."""

    prefix: str = "Bearer"
    header: str = "Authorization"
    variables: Mapping[str, Variable] = field(default_factory=dict[str, Variable])
    help: str = ""
    kind: ClassVar[str] = "bearer"

    @property
    def fields(self) -> tuple[str, ...]:
        """The one field is `token`."""
        return ("token",)

    def apply(self, request: "httpx.Request", secret: Opener) -> None:
        """Set the header."""
        request.headers[self.header] = f"{self.prefix} {secret('token').reveal()}".strip()


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key in a header or, where the provider knows no better, in the query: name exactly one of the two."""

    header: str | None = None
    query: str | None = None
    prefix: str = ""
    variables: Mapping[str, Variable] = field(default_factory=dict[str, Variable])
    help: str = ""
    kind: ClassVar[str] = "api_key"

    def __post_init__(self) -> None:
        if (self.header is None) == (self.query is None):
            raise ConfigurationError("ApiKey wants either header= or query=.")

    @property
    def fields(self) -> tuple[str, ...]:
        """The one field is `key`."""
        return ("key",)

    def apply(self, request: "httpx.Request", secret: Opener) -> None:
        """Set the header (`prefix` stands right before the key: `Token token=`), or the query parameter."""
        key = f"{self.prefix}{secret('key').reveal()}"
        if self.header is not None:
            request.headers[self.header] = key
        elif self.query is not None:
            request.url = request.url.copy_set_param(self.query, key)


@dataclass(frozen=True, slots=True)
class Basic:
    """A user name and a password. `suffix` is added to every user name (Zendesk: `/token`).

    With a fixed `password` only the user name is secret and asked for (Stripe: the key and an empty password).
    """

    suffix: str = ""
    password: str | None = None
    variables: Mapping[str, Variable] = field(default_factory=dict[str, Variable])
    help: str = ""
    kind: ClassVar[str] = "basic"

    @property
    def fields(self) -> tuple[str, ...]:
        """`username`, and `password` unless it is fixed."""
        return ("username", "password") if self.password is None else ("username",)

    def apply(self, request: "httpx.Request", secret: Opener) -> None:
        """Set the header, encoded as UTF-8."""
        password = secret("password").reveal() if self.password is None else self.password
        pair = f"{secret('username').reveal()}{self.suffix}:{password}"
        request.headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"


@dataclass(frozen=True, slots=True)
class OAuth1:
    """OAuth 1.0a (RFC 5849): four secrets sign each request. With `realm` the account's realm is asked for too.

    NetSuite's token-based authentication is `OAuth1("HMAC-SHA256", realm=True)`.
    """

    algorithm: Literal["HMAC-SHA1", "HMAC-SHA256"] = "HMAC-SHA1"
    realm: bool = False
    variables: Mapping[str, Variable] = field(default_factory=dict[str, Variable])
    help: str = ""
    kind: ClassVar[str] = "oauth1"

    @property
    def fields(self) -> tuple[str, ...]:
        """Consumer and token, each with its secret, and the realm."""
        keys = ("consumer_key", "consumer_secret", "token", "token_secret")
        return (*keys, "realm") if self.realm else keys

    def apply(self, request: "httpx.Request", secret: Opener) -> None:
        """Sign this one request."""
        from clew.auth.oauth1 import sign_request

        sign_request(request, {name: secret(name) for name in self.fields}, algorithm=self.algorithm)


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """Access keys that sign each request with AWS Signature Version 4. Without `region` it is asked for."""

    service: str
    region: str | None = None
    variables: Mapping[str, Variable] = field(default_factory=dict[str, Variable])
    help: str = ""
    kind: ClassVar[str] = "aws"

    @property
    def fields(self) -> tuple[str, ...]:
        """`access_key_id`, `secret_access_key`, and `region` where the connector does not fix it."""
        keys = ("access_key_id", "secret_access_key")
        return keys if self.region else (*keys, "region")

    def apply(self, request: "httpx.Request", secret: Opener) -> None:
        """Sign this one request."""
        from clew.auth.aws import sign_request

        sign_request(request, secret, service=self.service, region=self.region)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenScheme:
    """What all schemes share whose access token comes from a token endpoint.

    `client_auth` is how the client proves itself; `assertion` shapes the JWT of `private_key_jwt`. `token_parameters`
    and `token_headers` go with every token request.
    `expires_in` (seconds) is used when an answer has none; `early_seconds` before its end a token is replaced.
    `scope_separator` stands between scopes, and is empty for a provider that knows none.
    With `dpop` tokens are bound to a key of ours (RFC 9449), with `certificate_bound` to the client's certificate,
    which API calls then show as well (RFC 8705 §3).
    """

    scopes: Sequence[str] = ()
    client_id: str | None = None
    client_auth: ClientAuth = "post"
    assertion: Assertion = field(default_factory=Assertion)
    dpop: bool = False
    certificate_bound: bool = False
    scope_separator: str = " "
    body_format: Literal["form", "json", "query"] = "form"
    token_method: Literal["POST", "GET"] = "POST"
    token_headers: Mapping[str, str] = field(default_factory=dict[str, str])
    token_parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    variables: Mapping[str, Variable] = field(default_factory=dict[str, Variable])
    answer: TokenAnswer = field(default_factory=TokenAnswer)
    expires_in: float | None = None
    early_seconds: float = 60.0
    token_errors: Sequence[TokenRule] = ()
    revocation: Revocation | None = None
    prefix: str = "Bearer"
    header: str = "Authorization"
    help: str = ""

    def apply(self, request: "httpx.Request", secret: Opener) -> None:
        """Set the header; with `dpop` also the proof for this one request."""
        token = secret("access_token")
        if self.dpop:
            from clew.auth.dpop import sign_request

            sign_request(request, token, secret("dpop_key"))
        else:
            request.headers[self.header] = f"{self.prefix} {token.reveal()}".strip()


@dataclass(frozen=True, slots=True)
class OAuth2(TokenScheme):
    """A person's consent: authorization code with PKCE, or a device code; then refreshes.

    `refresh_class` is how refresh tokens behave: A there are none, B reusable, C single use and the old one dies at
    once, D single use with a grace of `grace_seconds`, E none but the grant can be repeated. `idle_seconds` is how long
    an unused refresh token lives. `issuer`, when set, must come back with the code (RFC 9207) where the server promises
    it (`issuer_required`). With `discovery_url` the addresses that are empty here are read from the server's own
    metadata (RFC 8414, OpenID Connect Discovery). `more_scopes` are further scope parameters (Slack: `user_scope`).
    Facts for single legs: `authorize_parameters`, `code_parameters`, `refresh_parameters`, `device_parameters`;
    `refresh_redirect_uri` sends the redirect URI with a refresh again (GitLab). `loopback_host` and `loopback_port` are
    for providers that compare the redirect URI letter by letter.
    """

    authorize_url: str = ""
    token_url: str = ""
    refresh_url: str | None = None
    revoke_url: str | None = None
    device_url: str | None = None
    introspect_url: str | None = None
    discovery_url: str | None = None
    more_scopes: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    pkce: Literal["S256", "off"] = "S256"
    issuer: str | None = None
    issuer_required: bool = False
    authorize_parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    code_parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    refresh_parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    device_parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    refresh_redirect_uri: bool = False
    loopback_host: Literal["127.0.0.1", "localhost"] = "127.0.0.1"
    loopback_port: int = 0
    refresh_class: RefreshClass = "C"
    grace_seconds: float = 600.0
    idle_seconds: float | None = None
    kind: ClassVar[str] = "oauth2"

    @property
    def fields(self) -> tuple[str, ...]:
        """`access_token` and `refresh_token`; a login provides them, nobody types them."""
        return ("access_token", "refresh_token")


@dataclass(frozen=True, slots=True)
class ClientCredentials(TokenScheme):
    """The client itself is the account (RFC 6749 §4.4). A token that ends is asked for anew: class E."""

    token_url: str = ""
    kind: ClassVar[str] = "client_credentials"

    @property
    def fields(self) -> tuple[str, ...]:
        """What proves the client: `client_secret`, or `private_key`, or `certificate` and `private_key`."""
        return CLIENT_FIELDS[self.client_auth]


@dataclass(frozen=True, slots=True)
class JwtBearer(TokenScheme):
    """An assertion that we sign is the grant (RFC 7523 §2.1): service accounts, server-to-server logins. Class E.

    `key_file` says where a provider's key file (JSON) holds what: field or variable name to path.
    """

    token_url: str = ""
    key_file: Mapping[str, str] = field(default_factory=dict[str, str])
    client_auth: ClientAuth = "none"
    kind: ClassVar[str] = "jwt_bearer"

    @property
    def fields(self) -> tuple[str, ...]:
        """`private_key` (PEM; for HS256 the shared secret), and what the client authentication needs."""
        return tuple(dict.fromkeys(("private_key", *CLIENT_FIELDS[self.client_auth])))


@dataclass(frozen=True, slots=True)
class SessionLogin(TokenScheme):
    """Two steps: a first call of the provider's own shape gives the token. Class E.

    `token_headers` and `token_parameters` are templates over the variables, the secret `fields` and `assertion` (a JWT
    signed with the field `private_key`): `{"Authorization": "Bearer {assertion}"}` is GitHub's installation token.
    `basic` sends two fields by HTTP Basic.
    """

    token_url: str = ""
    secrets: Sequence[str] = ("username", "password")
    basic: tuple[str, str] | None = None
    client_auth: ClientAuth = "none"
    kind: ClassVar[str] = "session"

    @property
    def fields(self) -> tuple[str, ...]:
        """The declared secrets."""
        return tuple(self.secrets)


@dataclass(frozen=True, slots=True)
class TokenExchange(TokenScheme):
    """An identity token of this workload is exchanged for the provider's (RFC 8693). Class E, nothing secret is stored.

    The identity token is read, each time anew, from the variable `identity_file` or `identity_url` of the connection.
    """

    token_url: str = ""
    audience: str = ""
    resource: str = ""
    subject_token_type: str = "urn:ietf:params:oauth:token-type:jwt"
    requested_token_type: str = "urn:ietf:params:oauth:token-type:access_token"
    client_auth: ClientAuth = "none"
    kind: ClassVar[str] = "token_exchange"

    @property
    def fields(self) -> tuple[str, ...]:
        """What the client authentication needs; usually nothing."""
        return CLIENT_FIELDS[self.client_auth]


@dataclass(frozen=True, slots=True)
class AwsWebIdentity(TokenScheme):
    """An identity token of this workload is exchanged for short-lived AWS keys that sign each request. Class E.

    Variables of the connection: `role` (its ARN) and `identity_file` or `identity_url`.
    """

    service: str = ""
    region: str = "us-east-1"
    token_url: str = "https://sts.{region}.amazonaws.com/"
    session_seconds: int = 3600
    client_auth: ClientAuth = "none"
    kind: ClassVar[str] = "aws_web_identity"

    @property
    def fields(self) -> tuple[str, ...]:
        """Nothing secret is asked for."""
        return ()

    def apply(self, request: "httpx.Request", secret: Opener) -> None:
        """Sign this one request with the session's keys."""
        from clew.auth.aws import sign_request

        sign_request(request, secret, service=self.service, region=self.region, session=True)


CLIENT_FIELDS: Mapping[str, tuple[str, ...]] = {
    "post": ("client_secret",),
    "basic": ("client_secret",),
    "none": (),
    "private_key_jwt": ("private_key",),
    "mtls": ("certificate", "private_key"),
}
"""The secret fields that each way of client authentication needs."""

Typed = Bearer | ApiKey | Basic | OAuth1 | AwsKeys | UsernameToken
"""A scheme whose secrets a person types in and that never change by themselves."""

Minted = ClientCredentials | JwtBearer | SessionLogin | TokenExchange | AwsWebIdentity
"""A scheme that can ask for a new token at any time (class E), see `clew.auth.minting`."""

AnyScheme = Typed | OAuth2 | Minted
"""Every scheme this package knows."""
