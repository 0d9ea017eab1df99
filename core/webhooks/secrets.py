"""What an operator gives to verify with: texts of secrets and keys, and settings beside them.

An entry that is a JSON object is settings (`{"audience": "…"}`), a JWK or a JWKS; everything else is a secret or a
key as the provider shows it.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Literal

from clew.core.errors import ConfigurationError
from clew.core.fields import as_object, as_text
from clew.core.secret import Secret
from clew.core.values import dataclass
from clew.core.webhooks.delivery import Refused, RefusedError

KeyEncoding = Literal["text", "base64", "base64url", "hex", "md5", "sha1", "sha256", "sha512"]
"""How a secret becomes the bytes of a key; the name of a hash: the key is the hash of the secret."""
_KEY_HASHES = ("md5", "sha1", "sha256", "sha512")
PUBLIC = ("-----BEGIN", "whpk_")
"""How public keys begin. As the key of an HMAC they would let everybody sign."""


@dataclass(slots=True)
class Given:
    """The entries, sorted: `texts` (never empty ones), `settings`."""

    texts: tuple[str, ...]
    settings: Mapping[str, str]


def sort(secrets: Iterable[Secret]) -> Given:
    """Tell settings from secrets; empty entries count for nothing."""
    texts: list[str] = []
    settings: dict[str, str] = {}
    for each in secrets:  # this runs for every delivery
        text = each.reveal()
        found = _settings(text) if "{" in text and text.lstrip()[:1] == "{" else None
        if found is not None:
            settings |= found
        elif text.strip():
            texts.append(text)
    return Given(tuple(texts), settings)


def _settings(text: str) -> dict[str, str] | None:
    try:
        found = as_object(json.loads(text))
    except (ValueError, RecursionError):
        return None
    if found is None or "keys" in found or "kty" in found:
        return None
    return {name: as_text(value) for name, value in found.items()}


def shared_key(text: str, encoding: KeyEncoding, prefix: str) -> bytes:
    """The bytes of a shared secret as the provider shows it. Raises `RefusedError` when it cannot be one."""
    if text.lstrip().startswith(PUBLIC):
        raise RefusedError(Refused.BAD_SECRET, "a public key is configured where a secret belongs")
    if encoding == "text" and not prefix:
        return text.encode("utf-8", "surrogatepass")
    return decoded_key(text.removeprefix(prefix), encoding)


def decoded_key(text: str, encoding: KeyEncoding) -> bytes:
    """The same without a prefix. Missing padding is forgiven."""
    try:
        match encoding:
            case "text":
                key = text.encode("utf-8", "surrogatepass")
            case "hex":
                key = bytes.fromhex(text.strip())
            case "base64url":
                key = unpadded(text.strip().rstrip("="))
            case "md5" | "sha1" | "sha256" | "sha512":
                key = hashlib.new(encoding, text.encode("utf-8", "surrogatepass"), usedforsecurity=False).digest()
            case _:
                bare = text.strip().rstrip("=")
                key = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except ValueError:
        raise RefusedError(Refused.BAD_SECRET, f"the secret is not {encoding}; was it copied whole?") from None
    if not key:
        raise RefusedError(Refused.BAD_SECRET, "the secret is empty")
    return key


def is_key(text: str) -> bool:
    """Is this a public key rather than a name?"""
    return text.lstrip().startswith(("-----BEGIN", "{"))


def unpadded(text: str) -> bytes:
    """Base64url without padding, as in JSON Web Tokens, and nothing else. Raises `ValueError`."""
    if not text.isascii() or "=" in text or "+" in text or "/" in text:
        raise ValueError("not base64url")
    found = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if base64.urlsafe_b64encode(found).rstrip(b"=") != text.encode():
        raise ValueError("not canonical")
    return found


Encoding = Literal["hex", "base64", "base64url", "base64_unpadded", "base64url_padded", "base64_hex"]
_ENCODINGS = ("hex", "base64", "base64url", "base64_unpadded", "base64url_padded", "base64_hex")


def encoded(content: bytes, encoding: Encoding) -> str:
    """A signature as text."""
    if encoding == "hex":
        return content.hex()
    if encoding == "base64":
        return binascii.b2a_base64(content, newline=False).decode()
    if encoding == "base64_unpadded":
        return base64.b64encode(content).rstrip(b"=").decode()
    if encoding == "base64_hex":
        return base64.b64encode(content.hex().encode()).decode()
    url = base64.urlsafe_b64encode(content)
    return (url if encoding == "base64url_padded" else url.rstrip(b"=")).decode()


def decoded(text: str, encoding: Encoding) -> bytes:
    """Text as a signature. Raises `RefusedError` when it is none."""
    try:
        if encoding == "hex":
            return bytes.fromhex(text) if text.isalnum() else _no()
        if encoding == "base64":
            found = base64.b64decode(text, validate=True)
            return found if base64.b64encode(found) == text.encode() else _no()
        if encoding in ("base64_unpadded", "base64_hex"):
            found = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
            found = found if encoding == "base64_unpadded" else bytes.fromhex(found.decode("ascii"))
            return found if encoded(found, encoding) == text else _no()
        return unpadded(text.rstrip("="))
    except ValueError:
        raise RefusedError(Refused.MALFORMED, f"the signature is not {encoding}") from None


def _no() -> bytes:
    raise ValueError


def check_encodings(key: str, encoding: str) -> None:
    """Raise `ConfigurationError` when an author names an encoding that there is not."""
    if key not in ("text", "base64", "base64url", "hex", *_KEY_HASHES):
        names = ", ".join(("text", "base64", "base64url", "hex", *_KEY_HASHES))
        raise ConfigurationError(f"a key has no encoding {key!r}; use {names}.")
    if encoding not in _ENCODINGS:
        raise ConfigurationError(f"a signature has no encoding {encoding!r}; use {', '.join(_ENCODINGS)}.")


remembered = lru_cache(maxsize=256)
"""For what is public and costly to read again: public keys, certificates."""
