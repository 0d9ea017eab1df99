"""What can be said about an authorization server's endpoints, as data: addresses, answers, refusals, assertions.

Templates name values in braces. In addresses, `{base_url}` is the connector's, `{origin}` its scheme and host, any
other name a variable of the connection.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Literal
from urllib.parse import urlsplit

from clew.core.errors import ConfigurationError
from clew.core.fields import MISSING, as_text, look
from clew.core.values import dataclass

ClientAuth = Literal["post", "basic", "none", "private_key_jwt", "mtls"]
"""How a client proves itself to a token endpoint: RFC 6749 §2.3.1, RFC 7523 §2.2, RFC 8705 §2."""

RefreshClass = Literal["A", "B", "C", "D", "E"]

Verdict = Literal["dead", "misconfigured", "outage", "interaction"]
"""What a refusal of the token endpoint means: the grant is gone, our client is wrong, try again later, or a person has
to do something at the provider while the grant itself may live."""

Unit = Literal["s", "ms", "epoch_s", "epoch_ms", "date"]
"""How an answer writes an end: from now in seconds or milliseconds, since 1970, or as an ISO or HTTP date."""

Paths = str | Sequence[str]
"""Where a value stands in an answer; of several places the first that is there counts."""

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA", "HS256"]


@dataclass(frozen=True, slots=True)
class TokenRule:
    """One line of a provider's token-error table: an answer with this status, code and text has this meaning.

    `code` must match the error code whole, `text` anywhere in the description, each of `body` (path to expression)
    anywhere in what stands there; all are regular expressions. None fits everything.
    """

    verdict: Verdict
    code: str | None = None
    status: int | None = None
    text: str | None = None
    body: Mapping[str, str] = field(default_factory=dict[str, str])

    def fits(self, status: int, code: str, text: str, content: Any = None) -> bool:
        """Does this rule speak of that answer?"""
        return (
            self.status in (None, status)
            and (self.code is None or re.fullmatch(self.code, code) is not None)
            and (self.text is None or re.search(self.text, text, re.IGNORECASE) is not None)
            and all(
                (found := look(content, path)) is not MISSING and re.search(pattern, as_text(found)) is not None
                for path, pattern in self.body.items()
            )
        )


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """Where a token answer holds what. `error` are further places of the error code, for providers with own shapes.

    `keep` are values worth keeping in the open, as variables of the connection (name to path: `team`, `instance`,
    account ids); `secrets` are further values to store encrypted (name to path). `scope_prefix` stands before scopes in
    an answer, and not in the request; `offline_scope` is granted when a refresh token comes, and is never named.
    """

    access_token: Paths = "access_token"
    refresh_token: Paths = "refresh_token"
    expires: Paths = "expires_in"
    expires_unit: Unit = "s"
    refresh_expires: Paths = ("refresh_token_expires_in", "refresh_expires_in")
    refresh_expires_unit: Unit = "s"
    refresh_in: Paths = "refresh_in"
    scope: Paths = ("scope", "scopes")
    scope_prefix: str = ""
    offline_scope: str = ""
    error: Sequence[str] = ()
    keep: Mapping[str, str] = field(default_factory=dict[str, str])
    secrets: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Variable:
    """A value of one connection that fills templates: a shop, a tenant, a host.

    `pattern` must match the whole value; when it has a group, the group alone is kept, so that a host can be taken out
    of an address. `default` is used where nothing was given (the fallback host); without one a person is asked, with
    `help` saying where to find it. An `optional` one may stay empty.
    """

    pattern: str = r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}"
    default: str | None = None
    optional: bool = False
    help: str = ""

    def check(self, name: str, value: str) -> str:
        """The value to store. Raises `ConfigurationError` when it does not have the declared form."""
        match = re.fullmatch(self.pattern, value)
        if match is None:
            hint = f" ({self.help})" if self.help else ""
            raise ConfigurationError(f"{name} does not have the form this provider uses{hint}.")
        kept: str = match[1] if match.re.groups else value
        return kept


@dataclass(frozen=True, slots=True)
class Assertion:
    """A JWT that we sign (RFC 7523): whose, for whom, how long, with which algorithm.

    `issuer`, `subject`, `audience`, `key_id` and the values of `claims` are templates over the connection's variables,
    `client_id`, `token_url`, `base_url` and `origin`; a claim that comes out empty is left out. `seconds` is its life,
    `backdate_seconds` allows for a clock ahead of the provider's. `scope_claim` names the claim that has the scopes.
    With `thumbprint` the header has `x5t#S256` of the stored certificate. `unique` adds a `jti`.
    """

    algorithm: Algorithm = "RS256"
    issuer: str = "{client_id}"
    subject: str = "{client_id}"
    audience: str = "{token_url}"
    seconds: float = 300.0
    backdate_seconds: float = 0.0
    scope_claim: str | None = None
    claims: Mapping[str, str] = field(default_factory=dict[str, str])
    key_id: str = "{key_id}"
    thumbprint: bool = False
    unique: bool = True


@dataclass(frozen=True, slots=True)
class Revocation:
    """How a provider is told to forget a grant. The defaults are RFC 7009.

    `token` says which token is sent first (`refresh`, or `access` where only that is taken; `both` sends each). It
    stands in `parameter` of a form, JSON body or query, or nowhere (`send="none"`: the credential itself is meant).
    `auth` proves who asks: `client` as at the token endpoint, `basic` the client by HTTP Basic, `bearer` the token,
    `none`. `parameters` are templates over the connection's variables and `client_id`. `kills` is what dies: this
    `token`, the whole `grant`, or everything the `account` gave this client. `gone` are error codes or statuses that
    mean that it was dead already.
    """

    url: str
    method: Literal["POST", "DELETE", "GET"] = "POST"
    token: Literal["refresh", "access", "both"] = "refresh"
    send: Literal["form", "json", "query", "none"] = "form"
    parameter: str = "token"
    hint: bool = True
    auth: Literal["client", "basic", "bearer", "none"] = "client"
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    kills: Literal["token", "grant", "account"] = "grant"
    gone: Sequence[str] = ("invalid_token", "404")


_NAME = re.compile(r"\{([a-z_][a-z0-9_]*)\}")
_VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def expand(
    template: str,
    *,
    base_url: str,
    variables: Mapping[str, str] | None = None,
    declared: Mapping[str, Variable] | None = None,
) -> str:
    """Fill an address template and check the result: https, or http to this machine only.

    A variable may be one host or path segment and nothing else, so it cannot lead a secret to another host; where it is
    `declared` it must also have that form, and its default fills a gap. Raises `ConfigurationError`.
    """
    base = urlsplit(base_url)
    known = {"base_url": base_url.rstrip("/"), "origin": f"{base.scheme}://{base.netloc}"}

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name in known:
            return known[name]
        variable = (declared or {}).get(name)
        filled = (variables or {}).get(name) or (variable.default if variable else None) or ""
        if not _VALUE.fullmatch(filled) or ".." in filled:
            raise ConfigurationError(f"The address {template} wants a valid {name} for this connection.")
        return filled

    return checked_address(_NAME.sub(value, template))


def checked_address(address: str) -> str:
    """`address`, when credentials may be sent there: https, or http to this machine. Raises `ConfigurationError`."""
    parts = urlsplit(address)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise ConfigurationError(f"{address} is not an https address: credentials are not sent there.")
    if parts.username is not None or parts.password is not None or not parts.hostname:
        raise ConfigurationError(f"{parts.hostname or 'the address'} must be named without user name and password.")
    return address


def fill(template: str, values: Mapping[str, str]) -> str:
    """Fill a template that is not an address; an unknown name becomes nothing."""
    return _NAME.sub(lambda match: values.get(match[1], ""), template)


def names_in(*templates: str) -> list[str]:
    """The variables that templates name, in their order, without those that every connection has."""
    found = dict.fromkeys(match[1] for template in templates for match in _NAME.finditer(template))
    return [name for name in found if name not in ("base_url", "origin", "token_url", "client_id", "assertion")]
