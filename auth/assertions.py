"""JWTs that we sign: client assertions and grants of RFC 7523, and the keys they are signed with."""

import base64
import hashlib
import secrets
import time
from collections.abc import Mapping
from typing import Any

from clew.auth.endpoints import Assertion, fill
from clew.core.errors import ConfigurationError
from clew.core.secret import Secret

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def sign_assertion(
    assertion: Assertion,
    key: Secret,
    values: Mapping[str, str],
    *,
    scopes: str = "",
    certificate: Secret | None = None,
    now: float | None = None,
) -> str:
    """The signed JWT. `values` fill the templates, `scopes` is the scope parameter as the provider writes it.

    Raises `ConfigurationError` when the key does not fit the algorithm.
    """
    moment = int(time.time() if now is None else now)
    issued = moment - int(assertion.backdate_seconds)
    claims: dict[str, Any] = {
        "iss": fill(assertion.issuer, values),
        "sub": fill(assertion.subject, values),
        "aud": fill(assertion.audience, values),
        **{name: fill(template, values) for name, template in assertion.claims.items()},
    }
    if assertion.scope_claim:
        claims[assertion.scope_claim] = scopes
    claims = {name: value for name, value in claims.items() if value}
    claims |= {"iat": issued, "exp": moment + int(assertion.seconds)}
    if assertion.unique:
        claims["jti"] = secrets.token_urlsafe(16)
    header: dict[str, str] = {"alg": assertion.algorithm}
    if key_id := fill(assertion.key_id, values):
        header["kid"] = key_id
    if assertion.thumbprint and certificate is not None:
        header["x5t#S256"] = thumbprint(certificate)
    return encode(header, claims, key)


def encode(header: Mapping[str, Any], claims: Mapping[str, Any], key: Secret) -> str:
    """Sign a JWT with a PEM key, or with a shared secret for the HS algorithms."""
    from joserfc import jwk, jwt
    from joserfc.errors import JoseError

    algorithm = str(header["alg"])
    kind: Any = "oct" if algorithm.startswith("HS") else _KEY_KINDS[algorithm[:2]]
    text = key.reveal() if kind == "oct" else pem(key)
    try:
        return str(jwt.encode(dict(header), dict(claims), jwk.import_key(text, kind), algorithms=[algorithm]))
    except (JoseError, ValueError, TypeError):
        # The library's message may hold the key.
        raise ConfigurationError(
            f"The private key cannot sign with {algorithm}: give the whole PEM file of a key of that kind."
        ) from None


_KEY_KINDS = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}


def pem(key: Secret) -> str:
    """The key's PEM text. Line breaks that were written as `\\n` on the way through JSON or a shell are repaired."""
    text = key.reveal().strip()
    return text.replace("\\n", "\n") if "\n" not in text else text


def thumbprint(certificate: Secret) -> str:
    """`x5t#S256` of the first certificate in a PEM chain."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        der = x509.load_pem_x509_certificate(pem(certificate).encode()).public_bytes(Encoding.DER)
    except ValueError:
        raise ConfigurationError("The certificate cannot be read: give the PEM file.") from None
    return encoded(hashlib.sha256(der).digest())


def encoded(content: bytes) -> str:
    """Base64 for addresses, without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
