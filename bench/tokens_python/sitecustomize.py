"""Sends what a Python program asks of a fixed host to a server on loopback; tokens_results.py puts it on the path.

TOKENS_HOSTS is a JSON object {"site.atlassian.net": "http://127.0.0.1:4001"}; any other host but loopback is refused.
"""

import importlib
import json
import os
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

HOSTS: dict[str, str] = json.loads(os.environ.get("TOKENS_HOSTS", "{}"))


def place(address: str) -> str:
    """Where an address is here. Raises `OSError` for a host that is not known."""
    parts = urlsplit(address)
    if parts.hostname in ("127.0.0.1", "localhost"):
        return address
    if parts.hostname not in HOSTS:
        raise OSError(f"sitecustomize: {parts.hostname} is not known")
    base = urlsplit(HOSTS[parts.hostname])
    return parts._replace(scheme=base.scheme, netloc=base.netloc).geturl()


def _of_requests(adapter: Any) -> None:
    send: Callable[..., Any] = adapter.send
    plain = adapter()  # a program may have an adapter that wants public addresses, which loopback is none of

    def sent(self: Any, request: Any, **more: Any) -> Any:
        request.url = place(request.url)
        return send(plain, request, **more)

    adapter.send = sent


def _of_httpx(transport: Any) -> None:
    send: Callable[..., Any] = transport.handle_request

    def sent(self: Any, request: Any) -> Any:
        request.url = type(request.url)(place(str(request.url)))
        return send(self, request)

    transport.handle_request = sent


def _patch(module: str, name: str, change: Callable[[Any], None]) -> None:
    try:
        found = importlib.import_module(module)
    except ImportError:
        return
    change(getattr(found, name))


if HOSTS:
    _patch("requests.adapters", "HTTPAdapter", _of_requests)
    _patch("httpx", "HTTPTransport", _of_httpx)
