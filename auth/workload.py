"""Identity tokens of this workload: from a file that something keeps fresh (Kubernetes), or from an address."""

import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from clew.auth.answers import Refusal, is_token
from clew.auth.exchange import send
from clew.auth.oauth import TokenRequest
from clew.core.fields import as_object
from clew.core.secret import Secret

_LARGEST = 64 * 1024
_METADATA = ("169.254.169.254", "metadata.google.internal", "127.0.0.1", "::1", "localhost")
"""Hosts that give out identities over plain HTTP: they can be reached from this machine only."""


async def identity_token(http: httpx.AsyncClient, variables: Mapping[str, str], *, seconds: float) -> Secret | Refusal:
    """Read the token anew from `identity_file`, or from `identity_url` with the header in `identity_header`.

    The file is never remembered, so a token that was replaced is used at once. What is not there, unreadable or has
    ended is a `Refusal`: for the operator, or an outage where it may come back by itself.
    """
    if file := variables.get("identity_file"):
        return _from_file(Path(file))
    if url := variables.get("identity_url"):
        return await _from_address(http, url, variables.get("identity_header", ""), seconds)
    return Refusal("misconfigured", "no_identity", "neither identity_file nor identity_url is set")


def _from_file(path: Path) -> Secret | Refusal:
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(_LARGEST + 1).strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        return Refusal("misconfigured", "identity_file", f"{path} cannot be read: {why}")
    return _checked(text, str(path))


async def _from_address(http: httpx.AsyncClient, url: str, header: str, seconds: float) -> Secret | Refusal:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _METADATA):
        return Refusal("misconfigured", "identity_url", "it must be an https address")
    name, _, value = header.partition(":")
    headers = {name.strip(): value.strip()} if value else {}
    answer = await send(http, TokenRequest(url, headers, b"", "GET"), seconds=seconds)
    if isinstance(answer, Refusal):
        return answer
    if answer.status != 200:
        return Refusal("outage", "identity_url", f"it answered {answer.status}", answer.status)
    return _checked(_unpacked(answer.body.decode("utf-8", "replace").strip()), parts.netloc)


def _unpacked(text: str) -> str:
    """The token itself, where the answer is JSON (`value`: GitHub Actions, `access_token`: Azure, `id_token`)."""
    if not text.startswith("{"):
        return text
    try:
        content: dict[str, Any] = as_object(json.loads(text)) or {}
    except (ValueError, RecursionError):
        return ""
    return next(
        (str(content[name]) for name in ("value", "id_token", "access_token", "token") if content.get(name)), ""
    )


def _checked(text: str, where: str) -> Secret | Refusal:
    if not is_token(text):
        return Refusal("outage", "no_identity_token", f"{where} holds no token")
    ends = expiry(text)
    if ends is not None and ends <= time.time():
        return Refusal("outage", "identity_token_ended", f"the token in {where} has ended and was not replaced")
    return Secret(text)


def expiry(token: str) -> float | None:
    """When a JWT ends, in UTC seconds; None for what is no JWT or does not say. Nothing is verified: it is ours."""
    try:
        payload = token.split(".")[1]
        claims = as_object(json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))
        ends = (claims or {}).get("exp")
        return float(ends) if isinstance(ends, int | float) else None
    except (IndexError, ValueError, RecursionError):
        return None
