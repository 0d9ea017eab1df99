"""The table `[webhooks]` of `clew.toml`: how the outside reaches the receiver."""

import ipaddress
from collections.abc import Mapping
from dataclasses import fields
from typing import Any
from urllib.parse import urlsplit

from clew.core.errors import ConfigurationError
from clew.core.fields import as_list, as_object
from clew.core.values import dataclass

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
MOST_BODY = 5 * 1024 * 1024
"""Bytes of one body when nothing else is set. GitHub sends up to 25 MB, everybody else far less."""
_SMALLEST, _LARGEST = 1024, 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """`public_url` is where providers send to, up to the path (`https://hooks.example.com`); some sign it.

    `trusted_proxies` are addresses or networks whose `X-Forwarded-Proto` and `-Host` are believed; nobody else's are.
    `most_body` is the largest body in bytes.
    """

    public_url: str = ""
    trusted_proxies: tuple[str, ...] = ()
    most_body: int = MOST_BODY

    @property
    def networks(self) -> tuple[Network, ...]:
        """The trusted proxies, to look an address up in."""
        return tuple(ipaddress.ip_network(each) for each in self.trusted_proxies)


def read_webhooks(name: str, value: Any, where: str) -> WebhookSettings:
    """The table, checked. Raises `ConfigurationError`."""
    if isinstance(value, WebhookSettings):
        return value
    table = as_object(value)
    if table is None:
        raise ConfigurationError(f"{where}: {name} must be a table, [webhooks].")
    known = [each.name for each in fields(WebhookSettings)]
    unknown = [key for key in table if key not in known]
    if unknown:
        raise ConfigurationError(f"{where}: [webhooks] has no setting {unknown[0]!r}. There are: {', '.join(known)}.")
    return WebhookSettings(**_checked(table, where))


def _checked(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    url = table.get("public_url", "")
    parts = urlsplit(url) if isinstance(url, str) else urlsplit("")
    if url and (parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment):
        raise ConfigurationError(f"{where}: webhooks.public_url must be like https://hooks.example.com.")
    found["public_url"] = url.rstrip("/")
    proxies = as_list(table.get("trusted_proxies", []))
    try:
        found["trusted_proxies"] = tuple(str(ipaddress.ip_network(each)) for each in proxies or [])
    except ValueError:
        proxies = None
    if proxies is None:
        raise ConfigurationError(f"{where}: webhooks.trusted_proxies must be a list of addresses or networks.")
    size = table.get("most_body", MOST_BODY)
    if not isinstance(size, int) or isinstance(size, bool) or not _SMALLEST <= size <= _LARGEST:
        raise ConfigurationError(f"{where}: webhooks.most_body must be bytes from {_SMALLEST} to {_LARGEST}.")
    found["most_body"] = size
    return found
