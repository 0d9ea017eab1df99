"""The public URL as different senders write it before they sign it."""

import re
from typing import Literal
from urllib.parse import urlsplit

from clew.core.webhooks.delivery import Refused, RefusedError

UrlForm = Literal["exact", "ports", "decoded", "no_query"]
_PORTS = {"https": "443", "http": "80"}
# What HubSpot decodes in the URI before it signs it; everything else stays percent-encoded.
_DECODED = {
    "%3A": ":", "%2F": "/", "%3F": "?", "%40": "@", "%21": "!", "%24": "$", "%27": "'", "%28": "(", "%29": ")",
    "%2A": "*", "%2C": ",", "%3B": ";",
}  # fmt: skip
_TRIPLET = re.compile("%(?:3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)


def forms(url: str, ways: tuple[UrlForm, ...]) -> list[str]:
    """The ways to write `url`, each once. Raises `RefusedError` when there is no URL."""
    if not url:
        raise RefusedError(Refused.MALFORMED, "the public URL is not known, and it is signed")
    found: list[str] = []
    for way in ways:
        match way:
            case "ports":
                found += [url, *_with_and_without_port(url)]
            case "decoded":
                found += [url, _TRIPLET.sub(lambda match: _DECODED[match[0].upper()], url)]
            case "no_query":
                found.append(url.partition("?")[0])
            case _:
                found.append(url)
    return list(dict.fromkeys(found))


def _with_and_without_port(url: str) -> list[str]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return []
    if port is not None:
        return [parts._replace(netloc=parts.netloc.removesuffix(f":{port}")).geturl()]
    standard = _PORTS.get(parts.scheme)
    return [parts._replace(netloc=f"{parts.netloc}:{standard}").geturl()] if standard else []
