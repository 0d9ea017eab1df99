"""Texts that people wrote, cut to what a result can afford; a second field says how long the whole text is."""

from typing import Any

from pydantic import AfterValidator, BeforeValidator, Field

BODY_LENGTH = Field(description="Characters of the whole body. Present only when body was cut.")


def cut(limit: int) -> AfterValidator:
    """Cut a text to `limit` characters."""

    def shorten(text: str | None) -> str | None:
        return text if text is None or len(text) <= limit else text[:limit] + "…"

    return AfterValidator(shorten)


def length_over(limit: int) -> BeforeValidator:
    """The length of a text in characters, if it is over `limit`."""

    def measure(text: Any) -> Any:
        return (len(text) if len(text) > limit else None) if isinstance(text, str) else text

    return BeforeValidator(measure)
