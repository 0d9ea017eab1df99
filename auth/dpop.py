"""Tokens bound to a key of ours (RFC 9449): a proof for each request, and the nonces that servers ask to see in it."""

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from clew.auth.assertions import encode, encoded
from clew.core.secret import Secret

if TYPE_CHECKING:
    import httpx

_REMEMBERED = 1024
_nonces: "OrderedDict[str, str]" = OrderedDict()
"""The last nonce of each server, by origin; a nonce is not secret."""


def new_key() -> Secret:
    """A fresh P-256 key, as PEM."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = ec.generate_private_key(ec.SECP256R1())
    return Secret(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


def proof(key: Secret, method: str, url: str, *, token: Secret | None = None, now: float | None = None) -> str:
    """The proof for one request; with `token` also that we hold the key of that access token."""
    from joserfc.jwk import ECKey

    public: Mapping[str, Any] = ECKey.import_key(key.reveal()).as_dict(private=False)
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": {name: public[name] for name in ("kty", "crv", "x", "y")}}
    claims = {
        "jti": secrets.token_urlsafe(16),
        "htm": method,
        "htu": url.partition("?")[0].partition("#")[0],
        "iat": int(time.time() if now is None else now),
    }
    if nonce := _nonces.get(origin(url)):
        claims["nonce"] = nonce
    if token is not None:
        claims["ath"] = encoded(hashlib.sha256(token.reveal().encode()).digest())
    return encode(header, claims, key)


def sign_request(request: "httpx.Request", token: Secret, key: Secret) -> None:
    """Put a bound token and its proof on a request."""
    request.headers["Authorization"] = f"DPoP {token.reveal()}"
    request.headers["DPoP"] = proof(key, request.method, str(request.url), token=token)


def learn(url: str, headers: Mapping[str, str]) -> bool:
    """Remember the nonce a server gave; True when it is another one than before."""
    nonce = headers.get("dpop-nonce") or headers.get("DPoP-Nonce")
    if not nonce or len(nonce) > 500 or not nonce.isprintable():
        return False
    place = origin(url)
    changed = _nonces.get(place) != nonce
    _nonces[place] = nonce
    _nonces.move_to_end(place)
    while len(_nonces) > _REMEMBERED:
        _nonces.popitem(last=False)
    return changed


async def hear(response: "httpx.Response") -> None:
    """Remember the nonce in an answer of an API: a hook for the HTTP client."""
    if "dpop-nonce" in response.headers:
        learn(str(response.url), response.headers)


def known_nonce(url: str) -> str | None:
    """The last nonce that the server at `url` gave."""
    return _nonces.get(origin(url))


def forget() -> None:
    """Forget all nonces, as a new process would."""
    _nonces.clear()


def origin(url: str) -> str:
    """Scheme and host of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
