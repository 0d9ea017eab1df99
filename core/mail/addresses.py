"""Addresses and header values as we send them: what could smuggle in a header or a second recipient is refused."""

import re
import uuid

from clew.core.errors import InvalidInputError

_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_ID = re.compile(r"<[^<>@\s\x00-\x20\x7f-\U0010ffff]{1,200}@[^<>@\s\x00-\x20\x7f-\U0010ffff]{1,200}>")


def checked_address(text: str, *, what: str = "address") -> str:
    """A bare address `me@host`, an international domain in its ASCII form. Raises `InvalidInputError`.

    Names (`Ada <ada@host>`), quoted local parts, groups and address literals are refused: parsers
    read them differently.
    """
    local, at, domain = text.strip().rpartition("@")
    if not at or len(local) > 64 or not _LOCAL.fullmatch(local):
        raise InvalidInputError(_wrong(what, text))
    try:
        ascii_domain = domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise InvalidInputError(_wrong(what, text)) from None
    labels = ascii_domain.split(".")
    if len(ascii_domain) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise InvalidInputError(_wrong(what, text))
    return f"{local}@{ascii_domain}"


def _wrong(what: str, text: str) -> str:
    shown = "".join(char if char.isprintable() else "?" for char in text[:80])
    return f"{what} {shown!r} is not a plain e-mail address; write it like ada@example.com."


def checked_line(text: str, *, what: str, longest: int = 900) -> str:
    """A header's value: one line without control characters. Raises `InvalidInputError`."""
    if any(char != "\t" and not char.isprintable() for char in text):
        raise InvalidInputError(f"{what} holds a line break or a control character; it must be one line of text.")
    if len(text) > longest:
        raise InvalidInputError(f"{what} is longer than {longest} characters.")
    return text.strip()


def checked_id(text: str) -> str:
    """A message id in its angle brackets. Raises `InvalidInputError`."""
    bare = text.strip()
    whole = bare if bare.startswith("<") else f"<{bare}>"
    if not _ID.fullmatch(whole):
        raise InvalidInputError("message_id must look like <left@right>; pass it unchanged.")
    return whole


def new_message_id(address: str) -> str:
    """A message id of our own, below the sender's domain. It is made before the message leaves, and is all there is to
    find it by when the server's answer is lost."""
    return f"<{uuid.uuid4().hex}.clew@{address.rpartition('@')[2]}>"


def domain_of(address: str) -> str:
    """The domain in lower case."""
    return address.rpartition("@")[2].strip("<> ").lower()
