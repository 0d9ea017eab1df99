"""Mailbox names on the wire: IMAP's own form of UTF-7 (RFC 3501 5.1.3), and quoted strings."""

import base64
import re

from clew.core.errors import InvalidInputError


def encode_name(name: str) -> bytes:
    """A mailbox name as the server knows it, quoted. Raises `InvalidInputError` for what is no name."""
    if not name or len(name) > 500 or not name.isprintable():
        raise InvalidInputError("a folder's name must be one line of at most 500 characters.")
    encoded = re.sub(r"[^ -~]+|&", lambda match: _shifted(match[0]), name)
    return quoted(encoded)


def decode_name(raw: bytes) -> str:
    """A mailbox name as a person reads it; what is no UTF-7 stays as it is."""
    text = raw.decode("utf-8", "replace")
    try:
        name = re.sub(r"&([A-Za-z0-9+,]*)-", lambda match: _unshifted(match[1]), text)
    except ValueError:
        return text
    return name if name.isprintable() else text


def quoted(text: str) -> bytes:
    """A quoted string of printable ASCII. Raises `InvalidInputError` for anything else."""
    if not text.isascii() or not text.isprintable():
        raise InvalidInputError("a value for the mail server must be one line of plain text.")
    return b'"' + text.replace("\\", "\\\\").replace('"', '\\"').encode() + b'"'


def _shifted(text: str) -> str:
    if text == "&":
        return "&-"
    packed = base64.b64encode(text.encode("utf-16-be", "surrogatepass")).decode().rstrip("=")
    return f"&{packed.replace('/', ',')}-"


def _unshifted(text: str) -> str:
    if not text:
        return "&"
    packed = text.replace(",", "/")
    return base64.b64decode(packed + "=" * (-len(packed) % 4)).decode("utf-16-be")
