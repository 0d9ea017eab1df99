"""Where a delivery says that its key is, pinned to hosts of the provider. Nothing is fetched here."""

import re
from dataclasses import field
from urllib.parse import urlsplit

from clew.core.errors import ConfigurationError
from clew.core.values import dataclass
from clew.core.webhooks.attempts import Attempt
from clew.core.webhooks.delivery import Reader, Refused, RefusedError, reader


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUrl:
    """The place of the URL of a certificate or key; `host` and `path` are patterns that must match whole.

    Keys that the operator configured (PEM) are used instead of fetching. Only https, only the standard port.
    """

    place: str
    host: str
    path: str = r"/.+"
    _read: Reader = field(default=lambda delivery: None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for pattern in (self.host, self.path):
            try:
                re.compile(pattern)
            except re.error as error:
                raise ConfigurationError(f"the pattern {pattern!r} does not compile: {error}.") from None
        object.__setattr__(self, "_read", reader(self.place))

    def keys(self, attempt: Attempt) -> tuple[str, ...]:
        """The texts of the keys. Raises `RefusedError`: for a foreign URL, or with the URL that must be fetched."""
        url = self._read(attempt.delivery)
        if url is None:
            raise RefusedError(Refused.MALFORMED, f"there is no {self.place}")
        if not self.allows(url):
            raise RefusedError(Refused.FOREIGN_HOST, f"{self.place} is not an address of the provider")
        given = tuple(each for each in attempt.given.texts if each.lstrip().startswith("-----BEGIN"))
        return given or (fetched(url, attempt),)

    def allows(self, url: str) -> bool:
        """Is this an address of the provider?"""
        return is_pinned(url, self.host, self.path)


def is_pinned(url: str, host: str, path: str) -> bool:
    """Is `url` https on the standard port, without user or fragment, on such a host, with such a path?"""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    # Another parser may read a backslash or white space differently.
    plain = url.isascii() and url.isprintable() and not re.search(r"[\s\\@#]", url)
    return (
        plain
        and parts.scheme == "https"
        and port in (None, 443)
        and re.fullmatch(host, parts.hostname or "", re.ASCII) is not None
        and re.fullmatch(path, parts.path, re.ASCII) is not None
    )


def fetched(url: str, attempt: Attempt) -> str:
    """What stands at `url`, if it is known. Raises `RefusedError` with the URL when it is not."""
    content = attempt.known(url)
    if content is None:
        raise RefusedError(Refused.KEY_NEEDED, "the key of the sender is not known yet", url)
    return content.decode("utf-8", "replace")
