"""The provider on loopback that `serve` and `reply` of conftest.py make, and what it was asked."""

import re
from collections.abc import Awaitable, Callable

Serve = Callable[..., Awaitable[tuple[str, list[bytes]]]]
"""From answers to where the provider is, and the requests that it gets, whole."""
Build = Callable[..., bytes]
"""From a status, a body and headers to an answer."""


def line(request: bytes) -> str:
    """Method and target."""
    return request.partition(b"\r\n")[0].decode().removesuffix(" HTTP/1.1")


def body(request: bytes) -> bytes:
    return request.partition(b"\r\n\r\n")[2]


def header(request: bytes, name: str) -> list[str]:
    return re.findall(rf"(?im)^{name}: (.*?)\r?$", request.partition(b"\r\n\r\n")[0].decode())
