"""Where a description is: a file or an address, with options behind `#`, and its decoded content.

`spec.yaml#name=billing&auth=bearer`: the part behind `#` is for us and never sent. A description is read within
bounds; YAML that repeats or nests without end is refused by its parser.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import field
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from clew.core.errors import ConfigurationError, quote
from clew.core.fields import as_object
from clew.core.values import dataclass

LARGEST = 100_000_000
"""Bytes: the largest description that is published by a provider we know has 80 MB."""
_SECONDS = 60.0
_HOPS = 3


@dataclass(frozen=True, slots=True)
class Source:
    """A description's place, a path or an address, and what the operator says about it."""

    place: str
    options: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def is_remote(self) -> bool:
        """Does it come over the network?"""
        return self.place.startswith(("https://", "http://"))

    @property
    def host(self) -> str:
        """The host it comes from; empty for a file."""
        return urlsplit(self.place).hostname or "" if self.is_remote else ""


def read_source(text: str, known: Collection[str]) -> Source:
    """Split the place from its options. Raises `ConfigurationError` for an option that is not `known`."""
    place, _, tail = text.partition("#")
    options = dict(parse_qsl(tail, keep_blank_values=True))
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ConfigurationError(f"{place}#…: there is no option {unknown[0][:40]!r}; there are {', '.join(known)}.")
    if not place:
        raise ConfigurationError("name the description: a file, or an https:// address.")
    return Source(place, options)


def content_of(source: Source) -> bytes:
    """The bytes of a description. Raises `ConfigurationError`."""
    if source.is_remote:
        return _fetched(source.place)
    path = Path(source.place).expanduser()
    try:
        if path.stat().st_size > LARGEST:
            raise ConfigurationError(f"{path} is larger than {LARGEST // 1_000_000} MB.")
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from None


def _fetched(address: str) -> bytes:
    """GET, without credentials; a redirect is followed to https only."""
    import httpx

    check_address(address, "a description")
    try:
        with httpx.Client(timeout=_SECONDS, follow_redirects=False) as client:
            for _ in range(_HOPS):
                with client.stream("GET", address, headers={"accept": "*/*"}) as response:
                    if response.next_request is not None:
                        address = str(response.next_request.url)
                        check_address(address, "the description's new address")
                        continue
                    if response.status_code != 200:
                        raise ConfigurationError(f"{address} answered {response.status_code} instead of a description.")
                    whole = bytearray()
                    for part in response.iter_bytes():
                        whole += part
                        if len(whole) > LARGEST:
                            raise ConfigurationError(f"{address} sends more than {LARGEST // 1_000_000} MB.")
                    return bytes(whole)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ConfigurationError(f"{address} cannot be read: {type(error).__name__}.") from None
    raise ConfigurationError(f"{address} redirects more than {_HOPS} times.")


def check_address(address: str, what: str) -> None:
    """Raise `ConfigurationError` unless this is https, or http to this machine, without a user in it."""
    try:
        parts = urlsplit(address)
        host, user = parts.hostname or "", parts.username
    except ValueError:
        host, user, parts = "", None, urlsplit("")
    plain = re.fullmatch(r"[A-Za-z0-9._-]+|[0-9a-fA-F:.]+", host) is not None
    local = parts.scheme == "http" and is_this_machine(host)
    if not plain or user is not None or not (parts.scheme == "https" or local):
        raise ConfigurationError(f"{quote(address, 200)} is no place for {what}: use https.")


def is_this_machine(host: str) -> bool:
    """Is this an address of this machine, spelled plainly?"""
    return host in ("localhost", "127.0.0.1", "::1")


def is_private(host: str) -> bool:
    """Is this an address inside a network (or this machine), which a stranger's document should not lead to?"""
    if is_this_machine(host) or host.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        return not ip_address(host).is_global
    except ValueError:  # a name; but `0x7f.1` and `2130706433` are addresses to some resolvers
        last = host.rpartition(".")[2]
        return last.isdigit() or last.startswith("0x")


def document_of(content: bytes, place: str) -> dict[str, Any]:
    """JSON or YAML, as an object. Raises `ConfigurationError` saying what is wrong, without the content."""
    from pydantic_core import from_json

    where = quote(place, 200)
    text = content.removeprefix(b"\xef\xbb\xbf").lstrip()
    try:
        if text[:1] == b"{":
            found: Any = from_json(text, allow_inf_nan=False)
        else:
            import ryaml

            _check_nesting(text, where)
            # its stubs export nothing by name
            found = ryaml.loads(text.decode())  # type: ignore[attr-defined]  # pyright: ignore[reportPrivateImportUsage]
    except UnicodeDecodeError:
        raise ConfigurationError(f"{where} is neither JSON nor YAML in UTF-8.") from None
    except (ValueError, RecursionError) as error:
        kind = "JSON" if text[:1] == b"{" else "YAML"
        raise ConfigurationError(f"{where} is not {kind} that we read: {quote(str(error), 200)}.") from None
    data = as_object(found)
    if data is None:
        raise ConfigurationError(f"{where} holds no description.")
    return data


_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_NESTING = 1000


def _check_nesting(text: bytes, where: str) -> None:
    """Refuse YAML whose brackets nest too deep, before its parser looks: that takes time by the square of the depth."""
    depth = 0
    for char in text.translate(None, _NOT_BRACKETS):
        depth = depth + 1 if char in b"[{" else max(depth - 1, 0)
        if depth > _NESTING:
            raise ConfigurationError(f"{where} is nested too deep.")
