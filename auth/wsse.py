"""WS-Security's UsernameToken: a user name and a password in the header of a SOAP message.

Source: OASIS, Web Services Security UsernameToken Profile 1.1, 3.1 (memory). A digest proves the password without
sending it; its nonce and moment are new for each request, for a server remembers both.
"""

import base64
import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar
from xml.sax.saxutils import escape

from clew.core.credentials import IN_BODY, InBody
from clew.core.errors import AuthRevokedError, InternalError
from clew.core.secret import Secret

if TYPE_CHECKING:
    import httpx

_OASIS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
_EXT, _UTILITY = f"{_OASIS}wssecurity-secext-1.0.xsd", f"{_OASIS}wssecurity-utility-1.0.xsd"
_PROFILE, _BASE64 = f"{_OASIS}username-token-profile-1.0#", f"{_OASIS}soap-message-security-1.0#Base64Binary"
_ENVELOPE = re.compile(rb"\s*(?:<\?xml[^>]*\?>\s*)?<(?:([\w.-]+):)?Envelope\b[^<>]*(?<!/)>")
_HEADER = re.compile(rb"\s*<(?:[\w.-]+:)?Header\b[^<>]*?(/?)>")
_NOT_XML = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
_LIFE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class UsernameToken:
    """A user name and a password in each SOAP message, by WS-Security.

    With `digest` the password itself is not sent, but a hash of it with a nonce and the time, which needs a clock that
    is right to five minutes. `timestamp` adds when the message was made and ends, which some services want.
    """

    digest: bool = False
    timestamp: bool = False
    help: str = ""
    kind: ClassVar[str] = "wsse"

    @property
    def fields(self) -> tuple[str, ...]:
        """`username` and `password`."""
        return ("username", "password")

    def apply(self, request: "httpx.Request", secret: Callable[[str], Secret]) -> None:
        """Write the token into the envelope. Raises `AuthRevokedError` for a secret that no XML can hold."""
        found = security(
            secret("username"), secret("password"), digest=self.digest, timestamp=self.timestamp, now=datetime.now(UTC)
        )
        written = with_header(request.content, found.encode())
        request.extensions[IN_BODY] = InBody(written, _hidden(secret("username"), secret("password"), found))


def security(
    username: Secret, password: Secret, *, digest: bool, timestamp: bool, now: datetime, nonce: bytes | None = None
) -> str:
    """The Security element, without the attribute that names the envelope's namespace."""
    created = _moment(now)
    parts: list[str] = []
    if timestamp:
        ends = _moment(now + _LIFE)
        parts.append(f"<u:Timestamp><u:Created>{created}</u:Created><u:Expires>{ends}</u:Expires></u:Timestamp>")
    parts.append(f"<s:UsernameToken><s:Username>{_text(username)}</s:Username>")
    if digest:
        salt = nonce or secrets.token_bytes(16)
        encoded = base64.b64encode(salt).decode()
        parts.append(
            f'<s:Password Type="{_PROFILE}PasswordDigest">{password_digest(salt, created, password)}</s:Password>'
        )
        parts.append(f'<s:Nonce EncodingType="{_BASE64}">{encoded}</s:Nonce><u:Created>{created}</u:Created>')
    else:
        parts.append(f'<s:Password Type="{_PROFILE}PasswordText">{_text(password)}</s:Password>')
    return f'<s:Security xmlns:s="{_EXT}" xmlns:u="{_UTILITY}">{"".join(parts)}</s:UsernameToken></s:Security>'


def password_digest(nonce: bytes, created: str, password: Secret) -> str:
    """Base64 of the SHA-1 of nonce, time and password."""
    whole = nonce + created.encode() + password.reveal().encode()
    return base64.b64encode(hashlib.sha1(whole, usedforsecurity=False).digest()).decode()


def with_header(envelope: bytes, element: bytes) -> bytes:
    """An envelope with `element` in its header. Raises `InternalError` when it is none."""
    opened = _ENVELOPE.match(envelope)
    if opened is None:
        raise InternalError(
            "WS-Security goes into a SOAP message, and this request is none.",
            next_step="Report this to the person who runs the server: this connector needs another auth=.",
        )
    rest = envelope[opened.end() :]
    header = _HEADER.match(rest)
    prefix = (opened[1] + b":") if opened[1] else b""
    must = b"<s:Security " + (prefix + b'mustUnderstand="1" ' if prefix else b"")
    element = element.replace(b"<s:Security ", must, 1)
    if header is None:
        return envelope[: opened.end()] + b"<%bHeader>%b</%bHeader>" % (prefix, element, prefix) + rest
    if header[1]:
        return envelope[: opened.end()] + b"<%bHeader>%b</%bHeader>" % (prefix, element, prefix) + rest[header.end() :]
    at = opened.end() + header.end()
    return envelope[:at] + element + envelope[at:]


def _hidden(username: Secret, password: Secret, sent: str) -> tuple[Secret, ...]:
    """What a provider may repeat: both as they are and as they stand in XML, and the digest."""
    digest = re.search('PasswordDigest">([^<]*)<', sent)
    shown = {username.reveal(), password.reveal(), _text(username), _text(password)}
    return tuple(Secret(each) for each in (*sorted(shown), *([digest[1]] if digest else [])) if each)


def _moment(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(secret: Secret) -> str:
    """A secret as text of XML."""
    value = secret.reveal()
    if _NOT_XML.search(value):
        raise AuthRevokedError("the user name or password holds a character that no XML can hold.")
    return escape(value, {"\r": "&#13;"})
