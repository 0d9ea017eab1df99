"""OAuth 1.0a (RFC 5849): one signature for each request, nothing to refresh."""

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qsl, quote, urlsplit

from clew.core.secret import Secret

if TYPE_CHECKING:
    import httpx

Algorithm = Literal["HMAC-SHA1", "HMAC-SHA256"]
_DIGESTS = {"HMAC-SHA1": hashlib.sha1, "HMAC-SHA256": hashlib.sha256}
_PORTS = {"http": "80", "https": "443"}
_FORM = "application/x-www-form-urlencoded"


def sign_request(
    request: "httpx.Request",
    keys: Mapping[str, Secret],
    *,
    algorithm: Algorithm,
    nonce: str | None = None,
    now: float | None = None,
) -> None:
    """Set the Authorization header. `keys` are consumer_key, consumer_secret, token, token_secret and perhaps realm."""
    parameters = {
        "oauth_consumer_key": keys["consumer_key"].reveal(),
        "oauth_token": keys["token"].reveal(),
        "oauth_signature_method": algorithm,
        "oauth_timestamp": str(int(time.time() if now is None else now)),
        "oauth_nonce": nonce or secrets.token_hex(16),
        "oauth_version": "1.0",
    }
    form = request.headers.get("content-type", "").partition(";")[0].strip() == _FORM
    body = parse_qsl(request.content.decode(), keep_blank_values=True) if form else []
    base = base_string(request.method, str(request.url), [*parameters.items(), *body])
    signed = signature(base, keys["consumer_secret"], keys["token_secret"], algorithm)
    shown = {**({"realm": keys["realm"].reveal()} if "realm" in keys else {}), **parameters, "oauth_signature": signed}
    request.headers["Authorization"] = "OAuth " + ", ".join(f'{name}="{_escape(v)}"' for name, v in shown.items())


def base_string(method: str, url: str, parameters: Sequence[tuple[str, str]]) -> str:
    """The text that is signed (§3.4.1); `parameters` are those of the header and of a form body, decoded."""
    parts = urlsplit(url)
    scheme, host = parts.scheme.lower(), (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    port = "" if parts.port is None or str(parts.port) == _PORTS.get(scheme) else f":{parts.port}"
    pairs = [*parse_qsl(parts.query, keep_blank_values=True), *parameters]
    escaped = sorted((_escape(name), _escape(value)) for name, value in pairs)
    normalised = "&".join(f"{name}={value}" for name, value in escaped)
    return "&".join(map(_escape, (method.upper(), f"{scheme}://{host}{port}{parts.path or '/'}", normalised)))


def signature(base: str, consumer_secret: Secret, token_secret: Secret, algorithm: Algorithm) -> str:
    """The signature over the base string (§3.4.2), as base64."""
    key = f"{_escape(consumer_secret.reveal())}&{_escape(token_secret.reveal())}"
    return base64.b64encode(hmac.new(key.encode(), base.encode(), _DIGESTS[algorithm]).digest()).decode()


def _escape(text: str) -> str:
    return quote(text, safe="-._~")
