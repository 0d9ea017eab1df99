"""OpenID Connect's ID token, as far as a login needs it: does it answer this login, and who is it?

It comes straight from the token endpoint over TLS, so its signature says nothing more (OpenID Connect Core 3.1.3.7,
number 6); issuer, audience, end and nonce do.
"""

import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from typing import Any

from clew.core.fields import as_list, as_object
from clew.core.secret import Secret

_LEEWAY_SECONDS = 300.0


class IdTokenError(ValueError):
    """The ID token does not belong to this login; the message says what is wrong with it."""


def check_id_token(token: Secret, *, issuer: str | None, client_id: str, nonce: str) -> Mapping[str, Any]:
    """The claims. Raises `IdTokenError` for a token of another issuer, client, login or time."""
    claims = _claims(token.reveal())
    audience = claims.get("aud")
    audiences = as_list(audience) if as_list(audience) is not None else [audience]
    if issuer is not None and claims.get("iss") != issuer:
        raise IdTokenError("it was issued by another server")
    if client_id not in (audiences or ()) or claims.get("azp", client_id) != client_id:
        raise IdTokenError("it was issued for another client")
    ends = claims.get("exp")
    if not isinstance(ends, int | float) or ends < time.time() - _LEEWAY_SECONDS:
        raise IdTokenError("it has ended")
    if claims.get("nonce") != nonce:
        raise IdTokenError("it answers another login")
    return claims


def who(claims: Mapping[str, Any]) -> str | None:
    """What to call the person: e-mail address, user name, subject."""
    names = ("email", "preferred_username", "sub")
    return next((str(claims[name])[:200] for name in names if claims.get(name)), None)


def _claims(token: str) -> dict[str, Any]:
    try:
        payload = token.split(".")[1]
        found = as_object(json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))
    except (IndexError, ValueError, RecursionError):
        found = None
    if found is None:
        raise IdTokenError("it cannot be read")
    return found
