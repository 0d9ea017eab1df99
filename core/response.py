"""One answer of a provider, read whole and decoded, as rules and hooks see it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar, overload

from clew.core.errors import ContractChangedError
from clew.core.fields import MISSING, as_text, look
from clew.core.formats import DecodeError
from clew.core.markup import Element, MarkupError, parse
from clew.core.values import dataclass

T = TypeVar("T")


class Headers(Mapping[str, str]):
    """The headers of one answer, decoded once: an answer is asked for a dozen that it mostly does not have.

    Names in any case of letters; a repeated header is one value, joined by commas.
    """

    __slots__ = ("_values",)

    def __init__(self, raw: Iterable[tuple[bytes, bytes]]) -> None:
        values: dict[str, str] = {}
        for name, content in raw:
            key, text = name.decode("latin-1").lower(), _text(content)
            values[key] = f"{values[key]}, {text}" if key in values else text
        self._values = values

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    @overload
    def get(self, key: str, /) -> str | None: ...
    @overload
    def get(self, key: str, /, default: str | T) -> str | T: ...
    def get(self, key: str, /, default: Any = None) -> Any:
        """The value, or `default`."""
        return self._values.get(key.lower(), default)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: status, headers (case-insensitive, lower case inside), raw content and decoded data.

    `data` is what `content` decodes to; when it does not decode, `damage` says why and `data` is `None`.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes
    data: Any
    damage: str | None
    method: str
    url: str

    @property
    def text(self) -> str:
        """The content as text, capped at 20 000 bytes, whatever its encoding; for rules that look for words."""
        return self.content[:20_000].decode("utf-8", "replace")

    def field(self, path: str) -> str | None:
        """The value at `path` of the decoded body as text; `None` when it is not there or null."""
        found = look(self.data, path)
        return None if found is MISSING or found is None else as_text(found)

    def rows(self) -> Iterator[Any]:
        """The rows of a CSV or NDJSON answer, read one by one (`core.tables`).

        Raises `ContractChangedError`, also while it is read, for a row that is damaged or too long.
        """
        from clew.core.tables import rows

        try:
            yield from rows(self.content, self.headers.get("content-type", ""))
        except DecodeError as error:
            raise ContractChangedError(f"the provider answered with {error}.", status=self.status) from error

    def markup(self) -> Element:
        """The content read as XML, whatever its label: no document type, no entities, bounded (`core.markup`).

        Raises `ContractChangedError` for what is no such XML.
        """
        try:
            return parse(self.content)
        except MarkupError as error:
            raise ContractChangedError(f"the provider answered with {error}.", status=self.status) from error
