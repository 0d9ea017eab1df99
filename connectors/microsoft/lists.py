"""Graph's lists: pages by `@odata.nextLink`, and changes by the tokens of `delta`.

A link's parameters are used whole, on the path that the tool asked for: Graph writes the path in other ways
(`mailFolders('inbox')`), and a link must not lead anywhere else.
https://learn.microsoft.com/graph/paging, https://learn.microsoft.com/graph/delta-query-overview
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from clew import NextUrlPages, errors


class SamePath(NextUrlPages):
    """The parameters of the next link, on the tool's own path."""

    __slots__ = ()

    def next(self, answer: Any) -> Any:
        """The place of the next page; None on the last one."""
        place = super().next(answer)
        return None if place is None else replace(place, path=None)


PAGES = SamePath(items="value", next_url="['@odata.nextLink']")


def following(changes: str, cursor: str | None, first: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of one request of a round: its first one, a further page of it, or the first of the next round.
    Graph has what was asked first in its tokens, and wants nothing beside them."""
    if cursor is not None:
        return {"$skiptoken": cursor}
    return dict(first) if changes == "new" else {"$deltatoken": changes}


def token_of(link: str | None, name: str) -> str | None:
    """The `$skiptoken` or `$deltatoken` of a link. Raises `ContractChangedError` for a link without one."""
    if link is None:
        return None
    found = {key.lower(): value for key, value in parse_qsl(urlsplit(link).query)}.get(name)
    if not found:
        raise errors.ContractChangedError(f"Graph's answer changed its shape: a link has no {name}.")
    return found


def moved_on(token: str | None, cursor: str | None) -> str | None:
    """The next page's token. Raises `ContractChangedError` when it is the one that was just used."""
    if token is not None and token == cursor:
        raise errors.ContractChangedError("Graph's next page is the same page again; stopped.")
    return token


def quoted(text: str) -> str:
    """A text in a filter."""
    return "'" + text.replace("'", "''") + "'"
