"""One answer of a provider, read whole and decoded, as rules and hooks see it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clew.core.fields import MISSING, as_text, look


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
