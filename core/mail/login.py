"""How a credential logs in to SMTP and IMAP (SASL): a password by PLAIN, an access token by XOAUTH2 or OAUTHBEARER."""

import base64
from collections.abc import Sequence

from clew.core.credentials import Credential
from clew.core.errors import InternalError, PermissionDeniedError
from clew.core.secret import Secret


def sasl(credential: Credential, user: str, offered: Sequence[str]) -> tuple[str, list[Secret]]:
    """The mechanism to use of those `offered`, and its messages in base64 in their order; empty when none fits.

    `user` is the mailbox's address; a password has a user name of its own. RFC 4616, RFC 7628, Google's XOAUTH2, and
    LOGIN, the only way with a password that Exchange offers.
    """
    ways = {each.upper() for each in offered}
    if "password" in credential.fields:
        name, password = (credential.fields[each].reveal() for each in ("username", "password"))
        if "PLAIN" in ways:
            return "PLAIN", [_packed(f"\0{name}\0{password}")]
        return ("LOGIN", [_packed(name), _packed(password)]) if "LOGIN" in ways else ("", [])
    token = credential.fields.get("access_token") or credential.fields.get("token")
    if token is None:
        raise InternalError(f"a credential of kind {credential.kind!r} cannot log in to a mail server.")
    if "XOAUTH2" in ways:
        return "XOAUTH2", [_packed(f"user={user}\x01auth=Bearer {token.reveal()}\x01\x01"), _packed("")]
    if "OAUTHBEARER" in ways:
        return "OAUTHBEARER", [_packed(f"n,a={user},\x01auth=Bearer {token.reveal()}\x01\x01"), _packed("\x01")]
    return "", []


def _packed(text: str) -> Secret:
    return Secret(base64.b64encode(text.encode()).decode())


def no_way_in(offered: str) -> PermissionDeniedError:
    """The server takes no login of this kind."""
    return PermissionDeniedError(
        "the mail server takes no login of the kind that is stored.",
        next_step="Ask the person to connect the account in another way: an app password, or OAuth.",
        provider_message=f"offered: {offered}",
    )
