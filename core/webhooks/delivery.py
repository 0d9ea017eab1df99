"""One webhook request as it arrived, and where in it a value stands.

A place is a short text: `X-Signature` (a header), `query:name`, `form:name`, `json:path.to.value`, `body`.
Nothing here trusts the sender: what is there twice is refused, because two readers could choose differently.
"""

import re
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

from pydantic_core import from_json

from clew.core.errors import ConfigurationError
from clew.core.fields import MISSING, as_text, look, look_all, steps

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_MOST_FIELDS = 1000
FORM = "application/x-www-form-urlencoded"


class Refused(StrEnum):
    """Why a delivery is not an event. The values are part of the interface; sentences are not."""

    NO_SECRET = "no_secret"  # noqa: S105 - a name
    BAD_SECRET = "bad_secret"  # noqa: S105
    NO_SIGNATURE = "no_signature"
    AMBIGUOUS = "ambiguous"
    MALFORMED = "malformed"
    MISMATCH = "mismatch"
    TOO_OLD = "too_old"
    IN_FUTURE = "in_future"
    BODY_CHANGED = "body_changed"
    ALGORITHM = "algorithm"
    CLAIM = "claim"
    FOREIGN_HOST = "foreign_host"
    KEY_NEEDED = "key_needed"
    INTERNAL = "internal"


class RefusedError(Exception):
    """Ends a verification from within; `verify` turns it into a `Refusal`. `url` is where a missing key is."""

    def __init__(self, code: Refused, reason: str, url: str | None = None) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.url = url


_NONE: frozenset[Any] = frozenset()
_UNREAD = object()
_LISTS = (list, tuple)


class Delivery:
    """One request: headers in their order, the raw body, the method, and the public URL as the sender saw it.

    Headers are pairs of text or of bytes (ISO 8859-1), as servers give them; names are compared without case.
    """

    __slots__ = ("_form", "_headers", "_json", "_query", "_twice", "body", "method", "once", "raw", "url")

    def __init__(
        self,
        headers: Iterable[tuple[str, str] | tuple[bytes, bytes]],
        body: bytes,
        *,
        method: str = "POST",
        url: str = "",
    ) -> None:
        pairs: Any = headers if isinstance(headers, _LISTS) else list(headers)
        self.raw = raw = isinstance(pairs[0][0], bytes) if pairs else False
        found: dict[Any, Any] = dict(pairs)
        names = (b"" if raw else "").join(found)
        self._twice = _NONE
        # Servers give names in lower case; a name at a time costs twice as much as all of them.
        if len(found) < len(pairs) or names.lower() != names:
            found = {name.lower(): value for name, value in pairs}
            if len(found) < len(pairs):
                self._twice = _repeated(pairs)
        self._headers = found
        self.once: dict[Any, Any] = {} if self._twice else found
        """The headers by lower-case name, as they came; nothing when any is there twice."""
        self.body = body
        self.method = method
        self.url = url
        self._json: Any = _UNREAD
        self._form: list[tuple[str, str]] | None = None
        self._query: list[tuple[str, str]] | None = None

    @property
    def repeats(self) -> bool:
        """Is any header there more than once?"""
        return bool(self._twice)

    def header(self, name: str) -> str | None:
        """The value of a header, whose name is given in lower case. Raises `RefusedError` when it is there twice."""
        wanted: Any = name.encode() if self.raw else name
        if self._twice and wanted in self._twice:
            raise RefusedError(Refused.AMBIGUOUS, f"the header {name} is there more than once")
        value = self._headers.get(wanted)
        return value.decode("latin-1") if self.raw and value is not None else value

    @property
    def headers(self) -> dict[str, str]:
        """The headers by lower-case name; of one that is there several times, the last."""
        if not self.raw:
            return dict(self._headers)
        return {name.decode("latin-1"): value.decode("latin-1") for name, value in self._headers.items()}

    @property
    def json(self) -> Any:
        """The body as JSON, or `MISSING` when it is none."""
        if self._json is _UNREAD:
            try:
                self._json = from_json(self.body, allow_inf_nan=False)
            except ValueError:
                self._json = MISSING
        return self._json

    @property
    def is_form(self) -> bool:
        """Is the body labelled as a form? One without a label may be one, too."""
        label = self.header("content-type")
        return label is None or label.partition(";")[0].strip().lower() == FORM

    @property
    def form(self) -> list[tuple[str, str]]:
        """The fields of a form; bytes that are not UTF-8 are kept apart. Raises `RefusedError` for too many."""
        if self._form is None:
            self._form = _fields(self.body.decode("latin-1"), "form")
        return self._form

    @property
    def parts(self) -> SplitResult:
        """The URL in parts. Raises `RefusedError` when it is none."""
        try:
            return urlsplit(self.url)
        except ValueError:
            raise RefusedError(Refused.MALFORMED, "the URL cannot be read") from None

    @property
    def query(self) -> list[tuple[str, str]]:
        """The fields of the URL's query."""
        if self._query is None:
            self._query = _fields(self.parts.query, "query")
        return self._query


def _repeated(pairs: Any) -> frozenset[Any]:
    names = [name.lower() for name, _ in pairs]
    return frozenset(name for name in names if names.count(name) > 1)


def _fields(text: str, what: str) -> list[tuple[str, str]]:
    try:
        # Latin-1 in and out keeps every byte, percent-encoded or not: two bodies never read as the same fields.
        found = parse_qsl(text, keep_blank_values=True, encoding="latin-1", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise RefusedError(Refused.MALFORMED, f"the {what} has more than {_MOST_FIELDS} fields") from None
    return [(_utf8(name), _utf8(value)) for name, value in found]


def _utf8(text: str) -> str:
    try:
        return text.encode("latin-1").decode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a query that was given as text, beyond ASCII
        return text


def to_bytes(text: str) -> bytes:
    """Text from a delivery as the bytes it was made of."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a pair, from JSON
        return text.encode("utf-8", "surrogatepass")


Reader = Callable[[Delivery], str | None]
JOIN = " + "
"""Between places whose values together are one: an id that is unique only beside another."""


def reader(place: str) -> Reader:
    """What reads the text at a place; `None` when nothing is there. Raises `ConfigurationError` for no such place.

    Of `X-One + json:two` the texts are read joined by a colon; `None` unless all are there.
    """
    if JOIN in place:
        readers = [reader(each) for each in place.split(JOIN)]
        return lambda delivery: _joined([read(delivery) for read in readers])
    kind, name = _split(place)
    match kind:
        case "body":
            return lambda delivery: delivery.body.decode("utf-8", "surrogateescape") or None
        case "header":
            return _header(name.lower())
        case "query":
            return lambda delivery: _only(delivery.query, name, "query")
        case "form":
            return lambda delivery: _only(delivery.form, name, "form") if delivery.is_form else None
        case _:
            return lambda delivery: _text(look(delivery.json, name))


def _header(name: str) -> Reader:
    def read(delivery: Delivery) -> str | None:
        once = delivery.once
        return delivery.header(name) if delivery.raw or not once else once.get(name)

    return read


def _joined(texts: list[str | None]) -> str | None:
    found = [text for text in texts if text]
    return ":".join(found) if len(found) == len(texts) else None


def lister(place: str) -> Callable[[Delivery], list[str]]:
    """What reads every text at a place: several where a path branches (`json:value[*].token`), else one or none."""
    kind, name = _split(place)
    if kind == "json" and "[*]" in name:
        listed, _, rest = name.rpartition("[*]")
        rest = rest.removeprefix(".")
        # An item without the value counts as one whose value is empty: nothing slips through beside the others.
        return lambda delivery: [
            _text(look(each, rest) if rest else each) or "" for each in look_all(delivery.json, f"{listed}[*]")
        ]
    one = reader(place)
    return lambda delivery: [each for each in (one(delivery),) if each is not None]


def _split(place: str) -> tuple[str, str]:
    if place == "body":
        return "body", "body"
    kind, colon, name = place.partition(":")
    if not colon:
        kind, name = "header", place
    if kind not in ("header", "query", "form", "json") or not name:
        raise ConfigurationError(f"{place!r} is no place: write X-Header, query:name, form:name or json:path.")
    if kind == "json":
        steps(name)
    if kind == "header" and not _TOKEN.fullmatch(name):
        raise ConfigurationError(f"{name!r} is not the name of a header.")
    return kind, name


def _only(fields: list[tuple[str, str]], name: str, what: str) -> str | None:
    found = [value for key, value in fields if key == name]
    if len(found) > 1:
        raise RefusedError(Refused.AMBIGUOUS, f"the {what} has the field {name} more than once")
    return found[0] if found else None


def _text(value: Any) -> str | None:
    return None if value is MISSING or value is None else as_text(value)
