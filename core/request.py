"""What a tool may say about a request, and the request that is made of it.

Every connector imports this by `core.api`, so what speaks HTTP is imported by the first request.
"""

import json as json_module
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from clew.core.errors import ConfigurationError, InvalidInputError
from clew.core.forms import Form, Query, encoded, pairs

if TYPE_CHECKING:
    import httpx


class Reading(TypedDict, total=False):
    """What every request may carry besides its path."""

    query: Query | None
    headers: Mapping[str, str] | None


class Sending(Reading, total=False):
    """And what a request with a body may carry: JSON data, or form fields (`core.forms`: mappings and lists in them
    are written with brackets), or `content` as it is, with its `content_type`.

    `safe=True` in a write tool says that this request alone changes nothing that anybody could see (it asks for an
    address, or searches): it may be repeated, and a call that ends after it has changed nothing yet.
    """

    json: Any
    form: Form | None
    content: bytes | None
    content_type: str
    safe: bool


def build(method: str, url: str, more: Sending) -> "httpx.Request":
    """The request. Raises `InvalidInputError` for what no request can carry."""
    import httpx

    try:
        content, kind = _body(more)
        headers: httpx.Headers | dict[str, str] = kind
        if more.get("headers"):
            headers = httpx.Headers(kind)
            headers.update(more.get("headers"))
        return httpx.Request(method, url, params=pairs(more.get("query")) or None, headers=headers, content=content)
    except (httpx.InvalidURL, ValueError) as error:
        raise InvalidInputError(
            "the arguments do not fit into a request: too long for a URL, no valid text, or no finite number."
        ) from error


def _body(more: Sending) -> tuple[bytes | None, dict[str, str]]:
    json, form, content = more.get("json"), more.get("form"), more.get("content")
    if sum(each is not None for each in (json, form, content)) > 1:
        raise ConfigurationError("a request has one body: json=, form= or content=.")
    if content is not None:
        return content, {"content-type": more.get("content_type", "application/octet-stream")}
    if form is not None:
        return encoded(form), {"content-type": "application/x-www-form-urlencoded"}
    if json is None:
        return None, {}
    text = json_module.dumps(json, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode(), {"content-type": "application/json"}


def trusted(url: str, base_url: str, hosts: Sequence[str]) -> bool:
    """Parsed by the library that will send it: another parser could see another host in the same text."""
    import httpx

    try:
        target, own = httpx.URL(url), httpx.URL(base_url)
    except httpx.InvalidURL:
        return False
    if target.userinfo:
        return False
    if (target.scheme, target.host, target.port) == (own.scheme, own.host, own.port):
        return True
    plain = re.fullmatch(r"[a-z0-9.-]+", target.host) is not None
    known = plain and any(target.host == host or target.host.endswith(f".{host}") for host in hosts)
    return known and target.scheme == "https" and target.port is None
