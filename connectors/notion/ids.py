"""Ids of Notion: 32 hexadecimal digits, with or without dashes, or at the end of an address that a person copied."""

import re
from urllib.parse import parse_qs, urlsplit

_ID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE)
_AT_THE_END = re.compile(r"(?:^|[/-])([0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/?$", re.IGNORECASE)


def id_of(text: str) -> str:
    """An id as Notion writes it. Raises `ValueError` for what is neither an id nor the address of a page."""
    found = text.strip()
    if not _ID.fullmatch(found):
        try:
            address = urlsplit(found)
        except ValueError:
            address = urlsplit("")
        host = address.hostname or ""
        if address.scheme != "https" or not any(host == each or host.endswith(f".{each}") for each in _HOSTS):
            raise ValueError("is neither an id of Notion nor the address of a page there")
        peeked = parse_qs(address.query).get("p", [""])[0]  # a page that is open beside a list
        match = _AT_THE_END.search(peeked) or _AT_THE_END.search(address.path)
        if match is None:
            raise ValueError("is an address of Notion without an id at its end")
        found = match[1]
    plain = found.replace("-", "").lower()
    return "-".join((plain[:8], plain[8:12], plain[12:16], plain[16:20], plain[20:]))


_HOSTS = ("notion.so", "notion.site", "notion.com")


def address_of(known: str) -> str:
    """An address that opens a page for a person."""
    return f"https://www.notion.so/{known.replace('-', '')}"
