"""Values of Jira's fields as a model can use them: documents as Markdown, people and choices as their names."""

from collections.abc import Sequence
from typing import Annotated, Any, cast

from pydantic import AfterValidator, BeforeValidator, Field

from clew.connectors.text.adf import markdown_of

LENGTH = Field(description="Characters of the whole text. Present only when it was cut.")
_LONGEST = 2000
_MOST = 20


def _text(value: Any) -> str | None:
    """Markdown of a document; a plain text, as a few fields are, stays."""
    text = value if isinstance(value, str) else markdown_of(value)
    return text or None


def _cut(limit: int) -> AfterValidator:
    def shorten(text: str | None) -> str | None:
        return text if text is None or len(text) <= limit else text[:limit] + "…"

    return AfterValidator(shorten)


def _length_over(limit: int) -> BeforeValidator:
    def measure(value: Any) -> int | None:
        text = _text(value) or ""
        return len(text) if len(text) > limit else None

    return BeforeValidator(measure)


MARKDOWN = BeforeValidator(_text)
LongText = Annotated[str | None, _cut(6000), MARKDOWN]
LongLength = Annotated[int | None, _length_over(6000), LENGTH]
ShortText = Annotated[str | None, _cut(1500), MARKDOWN]
ShortLength = Annotated[int | None, _length_over(1500), LENGTH]


def plain(value: Any, depth: int = 0) -> Any:
    """A value of any field without what only a program needs: a person is a name, a choice its value."""
    if isinstance(value, str):
        return value[:_LONGEST]
    if isinstance(value, list):
        rows = cast(Sequence[Any], value)
        return [plain(each, depth + 1) for each in rows[:_MOST]]
    if not isinstance(value, dict):
        return value
    facts = cast(dict[str, Any], value)
    if facts.get("type") == "doc":
        return markdown_of(facts)[:_LONGEST]
    for name in ("displayName", "key", "name", "value"):
        if isinstance(facts.get(name), str):
            return facts[name]
    return {name: plain(each, depth + 1) for name, each in list(facts.items())[:_MOST]} if depth < 3 else "…"


def look(value: Any, path: str) -> Any:
    """What stands at a dotted path; nothing where the way to it ends."""
    for name in path.split("."):
        value = cast(dict[str, Any], value).get(name) if isinstance(value, dict) else None
    return value
