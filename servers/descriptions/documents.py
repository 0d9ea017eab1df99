"""One OpenAPI document: `$ref` is followed inside it and nowhere else, and never in a circle."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any
from urllib.parse import unquote

from clew.core.errors import ConfigurationError, quote
from clew.core.fields import as_list, as_object

Node = Mapping[str, Any]
_HOPS = 30


class UnsupportedError(ConfigurationError):
    """One operation cannot become a tool; the message says why. The others still can."""


class Document:
    """The decoded document. Whatever is asked of it, a node that is not what it should be is an empty one."""

    def __init__(self, root: Node) -> None:
        self.root = root
        self._known: dict[str, Any] = {}

    def follow(self, value: Any) -> Node:
        """The object that `value` is or leads to; empty for anything else. Raises `UnsupportedError`."""
        return self.named(value)[0]

    def named(self, value: Any) -> tuple[Node, str]:
        """The object, and the last reference on the way to it. Raises `UnsupportedError`."""
        node, name = as_object(value) or {}, ""
        for _ in range(_HOPS):
            reference = node.get("$ref")
            if not isinstance(reference, str):
                return node, name
            name = reference
            node = as_object(self._at(reference)) or {}
        raise UnsupportedError("a $ref that leads to itself")

    def _at(self, reference: str) -> Any:
        if reference in self._known:
            return self._known[reference]
        if not reference.startswith("#"):
            raise UnsupportedError(
                f"a $ref to another document ({quote(reference, 80)}): bundle them into one file first"
            )
        found: Any = self.root
        for part in reference[1:].split("/")[1:]:
            key = unquote(part).replace("~1", "/").replace("~0", "~")
            found = (as_object(found) or {}).get(key)
        self._known[reference] = found
        return found

    @cached_property
    def is_old(self) -> bool:
        """Swagger 2?"""
        return str(self.root.get("swagger", "")).startswith("2")


def objects(value: Any) -> list[Node]:
    """The objects in a list; nothing for anything else."""
    return [found for each in as_list(value) or () if (found := as_object(each)) is not None]


def texts(value: Any) -> list[str]:
    """The texts in a list; nothing for anything else."""
    return [each for each in as_list(value) or () if isinstance(each, str)]
