"""Recorded exchanges without what is secret or about a person.

Names, addresses and opaque identifiers become others of the same kind, the same everywhere in one recording, so that it
still fits together. What has the shape of a credential is not replaced but refused: somebody has to look at it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any
from urllib.parse import quote

from clew.core.errors import ConfigurationError
from clew.core.fields import as_list, as_object
from clew.core.redaction import PERSONAL, SECRET
from clew.core.values import dataclass

_TOKEN = re.compile(
    r"(?<![A-Za-z0-9])(?:sk|pk|rk|whsec)_(?:live|test)?_?[A-Za-z0-9]{16,}|gh[opsu]_[A-Za-z0-9]{16,}|github_pat_\w{16,}"
    r"|glpat-[\w-]{16,}|xox[a-z]-[\w-]{10,}|AKIA[A-Z0-9]{12,}|eyJ[\w-]{8,}\.[\w-]{8,}|SG\.[\w-]{16,}|ya29\.[\w-]{16,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY|(?i:bearer|basic) [A-Za-z0-9+/=._-]{16,}|acme_(?:pat|at|rt)_\w{6,}"
)
"""What credentials look like."""
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]+@(?!example\.(?:com|org|net)\b)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_PHONE = re.compile(r"(?<![\w.])\+\d[\d ().-]{7,17}\d(?!\w)")
_OPAQUE = re.compile(r"(?<![A-Za-z0-9_-])(?=[A-Za-z_-]*\d)(?=[\d_-]*[A-Za-z])[A-Za-z0-9_-]{28,}(?![A-Za-z0-9_-])")
_PLAIN = re.compile(r"[0-9a-f]{40}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[a-z]+(?:[-_][a-z0-9]+)+")
_NOT_PERSONAL = frozenset({"from", "to", "per", "account", "contact", "customer", "member", "zip", "pin", "session"})
"""Words that make an argument personal but mostly name an object, an identifier or a time in a payload."""


@dataclass(slots=True)
class Scrubber:
    """Takes out of one recording what must not be kept. `secrets` are the credentials that were used,
    `keep` the words that a schema lists."""

    secrets: tuple[str, ...] = ()
    keep: frozenset[str] = frozenset()
    known: dict[str, str] = field(default_factory=dict[str, str])

    def learn(self, data: Any, name: str = "") -> None:
        """Find what has to be replaced in `data`, and with what."""
        table, items = as_object(data), as_list(data)
        if table is not None:
            for key, value in table.items():
                self.learn(value, key)
        elif items is not None:
            for each in items:
                self.learn(each, name)
        elif isinstance(data, str) and data and data not in self.keep:
            self._learn_text(data, name)

    def _learn_text(self, text: str, name: str) -> None:
        for found in _EMAIL.findall(text):
            self.known.setdefault(found, f"person{len(self.known) + 1}@example.com")
        for found in _PHONE.findall(text):
            self.known.setdefault(found, f"+1555{len(self.known):07d}")
        for found in _OPAQUE.findall(text):
            if not _PLAIN.fullmatch(found) and not _TOKEN.search(found):
                self.known.setdefault(found, f"opaque{len(self.known) + 1}")
        if len(text) > 2 and _is_personal(name) and "@" not in text and "://" not in text:
            self.known.setdefault(
                text, f"{name} {len(self.known) + 1}" if " " in text else f"{name}{len(self.known) + 1}"
            )

    def clean(self, data: Any, name: str = "") -> Any:
        """A copy of `data` with everything replaced."""
        table, items = as_object(data), as_list(data)
        if table is not None:
            return {self.text(key): self.clean(value, key) for key, value in table.items()}
        if items is not None:
            return [self.clean(each, name) for each in items]
        if isinstance(data, str):
            return "scrubbed" if data and _words(name) & (SECRET - {"session", "cursor"}) else self.text(data)
        return data

    def text(self, text: str) -> str:
        """One text with everything replaced, as it is and as it stands in addresses."""
        for original, other in sorted(self.known.items(), key=lambda pair: -len(pair[0])):
            if original in text:
                text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(original)}(?![A-Za-z0-9])", other, text)
            encoded = quote(original, safe="")
            if encoded != original and encoded in text:
                text = text.replace(encoded, quote(other, safe=""))
        return text

    def refuse(self, data: Any) -> None:
        """Raise `ConfigurationError` when something in `data` still looks like a credential; it is not repeated."""
        for place, text in texts(data):
            if any(secret and secret in text for secret in self.secrets):
                raise ConfigurationError(f"the credential itself stands at {place}; nothing was written.")
            found = _TOKEN.search(text)
            if found is not None:
                raise ConfigurationError(
                    f"what stands at {place} looks like a credential ({found[0][:4]}…); nothing was written. "
                    "Record a call whose answer holds none."
                )


def texts(data: Any, place: str = "") -> Iterable[tuple[str, str]]:
    """Every text in `data` with its place, names included."""
    table, items = as_object(data), as_list(data)
    if table is not None:
        for key, value in table.items():
            yield f"{place}.{key}"[:100], key
            yield from texts(value, f"{place}.{key}".removeprefix("."))
    elif items is not None:
        for number, each in enumerate(items):
            yield from texts(each, f"{place}[{number}]")
    elif isinstance(data, str):
        yield place or "the text", data


def _words(name: str) -> frozenset[str]:
    return frozenset(re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()))


def _is_personal(name: str) -> bool:
    words = _words(name)
    return bool(words & (PERSONAL - _NOT_PERSONAL)) and not words & {"id", "ids", "url", "type", "at"}


def kept_headers(headers: Mapping[str, str], more: Iterable[str] = ()) -> dict[str, str]:
    """The headers of an answer that mean something to us."""
    names = {
        "content-type",
        "link",
        "retry-after",
        "deprecation",
        "sunset",
        "warning",
        *(each.lower() for each in more),
    }
    return {name.lower(): value for name, value in headers.items() if name.lower() in names}
