"""Public keys in the forms that providers show them, and signatures by them. Imports `cryptography` when first used."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from clew.core.errors import ConfigurationError
from clew.core.fields import as_list, as_object
from clew.core.webhooks.delivery import Refused, RefusedError
from clew.core.webhooks.secrets import decoded_key, remembered, unpadded

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

Algorithm = Literal[
    "ed25519", "ecdsa-p256-sha256", "ecdsa-p384-sha384", "rsa-sha1", "rsa-sha256", "rsa-sha512", "rsa-pss-sha256"
]
ALGORITHMS = (
    "ed25519", "ecdsa-p256-sha256", "ecdsa-p384-sha384", "rsa-sha1", "rsa-sha256", "rsa-sha384", "rsa-sha512",
    "rsa-pss-sha256", "rsa-pss-sha384", "rsa-pss-sha512", "ecdsa-p521-sha512",
)  # fmt: skip
_SMALLEST_RSA = 2048
Verifier = Callable[[bytes, bytes], bool]
"""Takes a signature and the content that it is of."""


@remembered
def public_keys(text: str, algorithm: str) -> "tuple[tuple[str, PublicKeyTypes], ...]":
    """The keys in a text that fit an algorithm, each with its key id or an empty one.

    Reads PEM (public keys and certificates), DER in base64, raw Ed25519 keys in hex or base64 (`whpk_…`), JWK and
    JWKS. Raises `RefusedError` when there is none.
    """
    try:
        found = _jwks(text, algorithm) if text.lstrip()[:1] == "{" else (("", _key(text.strip(), algorithm)),)
        fitting = tuple((name, key) for name, key in found if _fits(key, algorithm))
    except Exception:  # what a library says of a damaged key may quote it
        fitting = ()
    if not fitting:
        raise RefusedError(Refused.BAD_SECRET, f"the configured key is no public key for {algorithm}")
    return fitting


def _key(text: str, algorithm: str) -> "PublicKeyTypes":
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key

    if text.startswith("-----BEGIN CERTIFICATE"):
        return x509.load_pem_x509_certificate(text.encode()).public_key()
    if text.startswith("-----BEGIN"):
        return load_pem_public_key(text.encode())
    if algorithm == "ed25519" and len(text) == 64:
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex(text))
    content = decoded_key("".join(text.removeprefix("whpk_").split()), "base64")
    if algorithm == "ed25519" and len(content) == 32:
        return Ed25519PublicKey.from_public_bytes(content)
    return load_der_public_key(content)


def _jwks(text: str, algorithm: str) -> "list[tuple[str, PublicKeyTypes]]":
    document = as_object(json.loads(text)) or {}
    keys = as_list(document.get("keys")) if "keys" in document else [document]
    found: list[tuple[str, PublicKeyTypes]] = []
    for each in keys or []:
        jwk = as_object(each) or {}
        if jwk.get("use", "sig") == "sig" and jwk.get("alg", algorithm) in (algorithm, *_NAMES.get(algorithm, ())):
            try:
                found.append((str(jwk.get("kid", "")), _jwk(jwk)))
            except Exception:  # noqa: S112 - a set may hold keys of kinds that nobody asked for
                continue
    return found


_NAMES = {
    "rsa-sha256": ("RS256",), "rsa-sha384": ("RS384",), "rsa-sha512": ("RS512",), "rsa-pss-sha256": ("PS256",),
    "rsa-pss-sha384": ("PS384",), "rsa-pss-sha512": ("PS512",), "ecdsa-p256-sha256": ("ES256",),
    "ecdsa-p384-sha384": ("ES384",), "ecdsa-p521-sha512": ("ES512",), "ed25519": ("EdDSA", "Ed25519"),
}  # fmt: skip
_CURVES = {"P-256": "SECP256R1", "P-384": "SECP384R1", "P-521": "SECP521R1"}


def _jwk(jwk: dict[str, Any]) -> "PublicKeyTypes":
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    def number(name: str) -> int:
        return int.from_bytes(unpadded(str(jwk[name]).rstrip("=")))

    match jwk.get("kty"):
        case "RSA":
            return rsa.RSAPublicNumbers(number("e"), number("n")).public_key()
        case "EC":
            curve: ec.EllipticCurve = getattr(ec, _CURVES[jwk["crv"]])()
            return ec.EllipticCurvePublicNumbers(number("x"), number("y"), curve).public_key()
        case "OKP":
            return ed25519.Ed25519PublicKey.from_public_bytes(unpadded(str(jwk["x"]).rstrip("=")))
        case _:
            raise ValueError("a key of another kind")


def _fits(key: "PublicKeyTypes", algorithm: str) -> bool:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    if algorithm == "ed25519":
        return isinstance(key, Ed25519PublicKey)
    if algorithm.startswith("ecdsa"):
        size = int(algorithm.split("-")[1][1:])
        return isinstance(key, EllipticCurvePublicKey) and key.curve.key_size == size
    return isinstance(key, RSAPublicKey) and key.key_size >= _SMALLEST_RSA


def is_signed_by(key: Any, algorithm: str, signature: bytes, content: bytes, *, raw: bool = False) -> bool:
    """Did `key`, which fits `algorithm`, sign `content`? `raw`: ECDSA signatures are two numbers, not DER."""
    return verifier(key, algorithm, raw=raw)(signature, content)


def verifier(key: Any, algorithm: str, *, raw: bool = False) -> Verifier:
    """What tells whether `key`, which fits `algorithm`, made a signature of a content."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15

    if algorithm == "ed25519":
        return _ed25519(key)
    digest = _hash(algorithm)
    if algorithm.startswith("ecdsa"):
        more: tuple[Any, ...] = (ECDSA(digest),)
    elif algorithm.startswith("rsa-pss"):
        more = (PSS(MGF1(digest), digest.digest_size), digest)
    else:
        more = (PKCS1v15(), digest)
    bits = key.curve.key_size if raw and algorithm.startswith("ecdsa") else 0

    def is_signed(signature: bytes, content: bytes) -> bool:
        try:
            key.verify(_der(signature, bits) if bits else signature, content, *more)
        except (InvalidSignature, ValueError):
            return False
        return True

    return is_signed


@remembered
def verifiers(text: str, algorithm: str, raw: bool) -> tuple[tuple[str, Verifier], ...]:
    """The same for the keys in a text, each with its key id or an empty one. Raises `RefusedError` for none."""
    return tuple((name, verifier(key, algorithm, raw=raw)) for name, key in public_keys(text, algorithm))


def _ed25519(key: Any) -> Verifier:
    try:
        # libsodium, where it is installed, takes a fifth of OpenSSL's time for this.
        from nacl.bindings import crypto_sign_open
        from nacl.exceptions import CryptoError
    except ImportError:
        from cryptography.exceptions import InvalidSignature

        def is_signed(signature: bytes, content: bytes) -> bool:
            try:
                key.verify(signature, content)
            except InvalidSignature:
                return False
            return True

        return is_signed
    public = key.public_bytes_raw()

    def is_signed_by_sodium(signature: bytes, content: bytes) -> bool:
        if len(signature) != 64:
            return False
        try:
            crypto_sign_open(signature + content, public)
        except (CryptoError, ValueError):
            return False
        return True

    return is_signed_by_sodium


def _hash(algorithm: str) -> Any:
    from cryptography.hazmat.primitives import hashes

    return getattr(hashes, algorithm.rpartition("-")[2].upper())()


def _der(signature: bytes, bits: int) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    size = (bits + 7) // 8
    if len(signature) != 2 * size:
        raise ValueError("not two numbers of the curve")
    return encode_dss_signature(int.from_bytes(signature[:size]), int.from_bytes(signature[size:]))


def check_algorithm(algorithm: str) -> None:
    """Raise `ConfigurationError` when an author names an algorithm that there is not."""
    if algorithm not in ALGORITHMS:
        raise ConfigurationError(f"there is no signature algorithm {algorithm!r}; use one of {', '.join(ALGORITHMS)}.")
