"""An authorization server's own description of itself: RFC 8414, OpenID Connect Discovery.

What is read decides where secrets go, so it is read with care: only from the issuer that was named, which must name
itself the same; no redirects, a small answer, and addresses that lead no deeper into a network than the issuer itself.
"""

import asyncio
import ipaddress
import json
import socket
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import httpx

from clew.auth.answers import Refusal
from clew.auth.endpoints import checked_address
from clew.auth.exchange import Answer, send
from clew.auth.oauth import TokenRequest
from clew.auth.schemes import OAuth2
from clew.core.errors import ConfigurationError
from clew.core.fields import as_list, as_object
from clew.core.values import dataclass

STORED = {
    "authorize_url": "authorization_endpoint",
    "token_url": "token_endpoint",
    "device_url": "device_authorization_endpoint",
    "revoke_url": "revocation_endpoint",
    "introspect_url": "introspection_endpoint",
}
"""Our name of each address and the metadata's."""

_MARK = "server:"
_WELL_KNOWN = ".well-known/"


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a server says about itself; absent addresses are not in `addresses` (by our names)."""

    issuer: str
    addresses: Mapping[str, str]
    userinfo_url: str | None = None
    keys_url: str | None = None
    sends_issuer: bool = False
    scopes: tuple[str, ...] = ()
    client_auth: tuple[str, ...] = ()
    dpop: bool = False


async def discover(http: httpx.AsyncClient, issuer: str, *, seconds: float = 10.0) -> Metadata:
    """Read the metadata of `issuer` (or of a whole `…/.well-known/…` address).

    Raises `ConfigurationError` when there is none, when it names another issuer, or when it points to places that an
    answer from there has no business to point to.
    """
    issuer = issuer.rstrip("/") if _WELL_KNOWN not in issuer else issuer
    checked_address(issuer)
    tried: list[str] = []
    for address in _places(issuer):
        answer = await send(http, TokenRequest(address, {"Accept": "application/json"}, b"", "GET"), seconds=seconds)
        content = _members(answer)
        if content is not None:
            return await _checked(content, issuer)
        why = answer.code if isinstance(answer, Refusal) else f"answered {answer.status}"
        tried.append(f"{address} ({why})")
    raise ConfigurationError(f"No authorization server describes itself at {issuer}. Tried: {', '.join(tried)}.")


def _places(issuer: str) -> list[str]:
    if _WELL_KNOWN in issuer:
        return [issuer]
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    found = [
        f"{issuer}/.well-known/openid-configuration",
        f"{origin}/.well-known/oauth-authorization-server{path}",
        f"{origin}/.well-known/openid-configuration{path}",
    ]
    return list(dict.fromkeys(found))


def _members(answer: Answer | Refusal) -> dict[str, Any] | None:
    if isinstance(answer, Refusal) or answer.status != 200:
        return None
    try:
        content = as_object(json.loads(answer.body))
    except (ValueError, RecursionError):
        return None
    return content if content and isinstance(content.get("token_endpoint"), str) else None


async def _checked(content: Mapping[str, Any], issuer: str) -> Metadata:
    named = content.get("issuer")
    expected = issuer.partition("/" + _WELL_KNOWN)[0]
    if not isinstance(named, str) or named.rstrip("/") != expected.rstrip("/"):
        raise ConfigurationError(f"The server at {expected} says that it is another issuer. It is not trusted.")
    # The metadata's spelling counts: it is what comes back in `iss`.
    addresses = {ours: value for ours, theirs in STORED.items() if isinstance(value := content.get(theirs), str)}
    userinfo, keys = content.get("userinfo_endpoint"), content.get("jwks_uri")
    named_hosts = [*addresses.values(), *(each for each in (userinfo, keys) if isinstance(each, str))]
    for address in named_hosts:
        checked_address(address)
    await check_depth(issuer, named_hosts)
    return Metadata(
        named,
        addresses,
        userinfo if isinstance(userinfo, str) else None,
        keys if isinstance(keys, str) else None,
        content.get("authorization_response_iss_parameter_supported") is True,
        _texts(content.get("scopes_supported")),
        _texts(content.get("token_endpoint_auth_methods_supported")),
        bool(_texts(content.get("dpop_signing_alg_values_supported"))),
    )


async def check_depth(issuer: str, addresses: list[str]) -> None:
    """Refuse addresses on this machine or in a private network when the issuer is not there itself (SSRF)."""
    home = urlsplit(issuer).hostname or ""
    if await _is_inside(home):
        return
    for host in {urlsplit(address).hostname or "" for address in addresses} - {home}:
        if await _is_inside(host):
            raise ConfigurationError(f"The server at {home} points to {host}, an internal address. It is not trusted.")


async def _is_inside(host: str) -> bool:
    """Does a name lead to this machine or a private network? A name that leads nowhere does not."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return any(not ipaddress.ip_address(str(address[4][0]).partition("%")[0]).is_global for address in found)


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(item for item in as_list(value) or () if isinstance(item, str))


def settled(scheme: OAuth2, metadata: Metadata) -> OAuth2:
    """The scheme with the addresses that it left open, and the issuer that must come back with the code."""
    filled = {name: address for name, address in metadata.addresses.items() if not getattr(scheme, name)}
    return replace(
        scheme,
        **filled,  # type: ignore[arg-type]  # names of address fields, see STORED
        issuer=metadata.issuer,
        issuer_required=scheme.issuer_required or metadata.sends_issuer,
        client_auth=_client_auth(scheme, metadata),
    )


def without_addresses(scheme: OAuth2) -> OAuth2:
    """The scheme for a server that a person named: none of the declared addresses belongs to it."""
    return replace(
        scheme,
        authorize_url="",
        token_url="",
        refresh_url=None,
        revoke_url=None,
        device_url=None,
        introspect_url=None,
        revocation=None,
    )


def _client_auth(scheme: OAuth2, metadata: Metadata) -> Any:
    """The declared way of client authentication, or the one that the server takes when it does not take that."""
    names = {"post": "client_secret_post", "basic": "client_secret_basic"}
    taken = metadata.client_auth
    if taken and names.get(scheme.client_auth, scheme.client_auth) not in taken:
        return next((ours for ours, theirs in names.items() if theirs in taken), scheme.client_auth)
    return scheme.client_auth


def remembered(scheme: OAuth2) -> dict[str, str]:
    """What a connection keeps of a discovery, as variables, so that a refresh asks nobody."""
    kept = {f"{_MARK}{name}": getattr(scheme, name) for name in STORED}
    kept |= {f"{_MARK}issuer": scheme.issuer, f"{_MARK}client_auth": scheme.client_auth}
    return {name: value for name, value in kept.items() if value}


def recalled(scheme: OAuth2, variables: Mapping[str, str]) -> OAuth2:
    """The scheme as it was settled at login; the same scheme when there was no discovery."""
    if scheme.discovery_url is None or f"{_MARK}token_url" not in variables:
        return scheme
    if scheme.discovery_url == "{issuer}":
        scheme = without_addresses(scheme)
    names = (*STORED, "issuer", "client_auth")
    kept: dict[str, Any] = {name: variables[f"{_MARK}{name}"] for name in names if f"{_MARK}{name}" in variables}
    return replace(scheme, **{name: value for name, value in kept.items() if name == "client_auth" or value})
