"""What an operator gives to verify with: texts of secrets and keys, and settings beside them.

An entry that is a JSON object is settings (`{"audience": "…"}`), a JWK or a JWKS; everything else is a secret or a
key as the provider shows it.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from clew.core.errors import ConfigurationError
from clew.core.fields import as_object, as_text
from clew.core.secret import Secret
from clew.core.webhooks.delivery import Refused, RefusedError

KeyEncoding = Literal["text", "base64", "base64url", "hex"]
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


Encoding = Literal["hex", "base64", "base64url"]


def encoded(content: bytes, encoding: Encoding) -> str:
    """A signature as text."""
    if encoding == "hex":
        return content.hex()
    if encoding == "base64":
        return binascii.b2a_base64(content, newline=False).decode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def decoded(text: str, encoding: Encoding) -> bytes:
    """Text as a signature. Raises `RefusedError` when it is none."""
    try:
        if encoding == "hex":
            return bytes.fromhex(text) if text.isalnum() else _no()
        if encoding == "base64":
            found = base64.b64decode(text, validate=True)
            return found if base64.b64encode(found) == text.encode() else _no()
        return unpadded(text.rstrip("="))
    except ValueError:
        raise RefusedError(Refused.MALFORMED, f"the signature is not {encoding}") from None


def _no() -> bytes:
    raise ValueError


def check_encodings(key: str, encoding: str) -> None:
    """Raise `ConfigurationError` when an author names an encoding that there is not."""
    if key not in ("text", "base64", "base64url", "hex"):
        raise ConfigurationError(f"a key has no encoding {key!r}; use text, base64, base64url or hex.")
    if encoding not in ("hex", "base64", "base64url"):
        raise ConfigurationError(f"a signature has no encoding {encoding!r}; use hex, base64 or base64url.")


remembered = lru_cache(maxsize=256)
"""For what is public and costly to read again: public keys, certificates."""
