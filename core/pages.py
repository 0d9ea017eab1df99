"""Five ways in which providers page, as data, and the page that our tools return.

A paginator reads one answer and says where the next page is; the place travels to the agent as an opaque cursor and
back. A cursor can only ever lead to the tool's own resource: it never names another host or another path.
"""

import base64
import json
import re
from collections.abc import Collection, Mapping
from typing import Any, Generic, Literal, Protocol, TypeVar
from urllib.parse import SplitResult, parse_qs, urljoin, urlsplit

from pydantic import BaseModel, Field
from pydantic_core import from_json

from clew.core.errors import ContractChangedError, InvalidInputError
from clew.core.fields import MISSING, as_list, as_object, look, word_for
from clew.core.values import dataclass

T = TypeVar("T")
Parameters = Mapping[str, str | list[str]]
"""Query parameters; one that is repeated holds a list."""


class Page(BaseModel, Generic[T]):
    """One page of a list. `next_cursor` is absent on the last page."""

    items: list[T]
    next_cursor: str | None = Field(default=None, description="Pass it as `cursor` to get the next page.")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page is: query parameters on top of the tool's own, or another path of the same resource."""

    query: Parameters
    path: str | None = None

    def without(self, names: Collection[str]) -> "Place":
        """The same place without the parameters in `names`: what carries a credential must not travel to an agent."""
        return Place({name: value for name, value in self.query.items() if name not in names}, self.path)

    def cursor(self) -> str:
        """The opaque form for the agent."""
        text = json.dumps([self.query, self.path], separators=(",", ":"), sort_keys=True)
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def from_cursor(cls, cursor: str) -> "Place":
        """Read a cursor back. Raises `InvalidInputError` for anything that is not one of ours."""
        try:
            query, path = from_json(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        except (ValueError, TypeError):
            raise _not_ours() from None
        pairs = as_object(query)
        if pairs is None or not all(_is_plain(value) for value in pairs.values()):
            raise _not_ours()
        if path is not None and not isinstance(path, str):
            raise _not_ours()
        return cls(pairs, path)


def _is_plain(value: Any) -> bool:
    return all(isinstance(each, str) for each in as_list(value) or [value])


def _not_ours() -> InvalidInputError:
    return InvalidInputError(
        "the cursor is not one that this tool returned.",
        next_step="Pass next_cursor of the previous page unchanged, or no cursor for the first page.",
    )


def _changed(where: str, should: str, seen: Any) -> ContractChangedError:
    return ContractChangedError(
        f"the provider's answer changed its shape: {where} should be {should} and is {word_for(seen)}."
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """What a paginator may look at: the decoded body, the headers, and the URL that was asked."""

    data: Any
    headers: Mapping[str, str]
    url: str


class Paginator(Protocol):
    """A way of paging, declared by a connector or by one call."""

    @property
    def items(self) -> str | None:
        """Where the items stand in the body; `None` when the body is the list."""
        ...

    def first(self) -> Mapping[str, str]:
        """The query parameters that every page's request carries."""
        ...

    def next(self, answer: Answer) -> Place | None:
        """The place of the next page; `None` on the last one."""
        ...


def items_of(paginator: Paginator, data: Any) -> list[Any]:
    """The items of one answer. Raises `ContractChangedError` when they are not where they should be."""
    found = data if paginator.items is None else look(data, paginator.items)
    items = as_list(found)
    if items is not None:
        return items
    raise _changed(paginator.items or "the answer", "a list", found)


def place_of_url(link: str, asked: str) -> Place:
    """Turn a provider's next URL into a place, refusing any that leaves the origin that was asked."""
    try:
        target, origin = urlsplit(urljoin(asked, link)), urlsplit(asked)
        same = _origin(target) == _origin(origin)
    except ValueError:
        raise ContractChangedError("the provider's next page has an address that is no URL.") from None
    if not same:
        raise ContractChangedError("the provider's next page is on another host; it was not followed.")
    path = target.path if target.path != origin.path else None
    query = parse_qs(target.query, keep_blank_values=True)
    return Place({name: values[0] if len(values) == 1 else values for name, values in query.items()}, path)


def _origin(url: SplitResult) -> tuple[str, str, str | None, int | None]:
    """Scheme, user, host and port; a default port counts as none."""
    default = {"http": 80, "https": 443}.get(url.scheme)
    return url.scheme, url.netloc.rpartition("@")[0], url.hostname, None if url.port == default else url.port


_LINK = re.compile(r'<([^<>]*)>((?:"(?:[^"\\]|\\.)*"|[^",])*)')
_PARAMETER = re.compile(r';\s*([^\s=;",]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;",]*))')


def _next_link(header: str) -> str | None:
    """The target of the first link whose `rel` has `next` among its words (RFC 8288, 3.3)."""
    for link in _LINK.finditer(header):
        parameters = ((each[1].lower(), each[2] or each[3] or "") for each in _PARAMETER.finditer(link[2]))
        rel = next((value for name, value in parameters if name == "rel"), "")
        if "next" in rel.lower().split():
            return link[1]
    return None


@dataclass(frozen=True, slots=True)
class LinkPages:
    """RFC 8288 `Link: <…>; rel="next"`: GitHub, GitLab, Shopify REST.

    Only the query of the link is used, on the tool's own path: GitHub's links name repositories by number.
    """

    size: int = 30
    size_parameter: str = "per_page"
    items: str | None = None

    def first(self) -> Mapping[str, str]:
        """The page size."""
        return {self.size_parameter: str(self.size)}

    def next(self, answer: Answer) -> Place | None:
        """The `rel="next"` link."""
        link = _next_link(answer.headers.get("link", ""))
        return None if link is None else Place(place_of_url(link, answer.url).query)


@dataclass(frozen=True, slots=True)
class NextUrlPages:
    """The next URL stands in the body: Salesforce, Twilio, Microsoft Graph (`['@odata.nextLink']`).

    Its query and path are kept, below the tool's own path and on the same origin; what the tool itself asks for wins.
    """

    next_url: str = "next"
    items: str | None = "items"
    size: int | None = None
    size_parameter: str = "limit"

    def first(self) -> Mapping[str, str]:
        """The page size, where the provider takes one."""
        return {} if self.size is None else {self.size_parameter: str(self.size)}

    def next(self, answer: Answer) -> Place | None:
        """The URL in the body; null, empty and absent all mean the end."""
        link = look(answer.data, self.next_url)
        if link in (None, "", MISSING):
            return None
        if not isinstance(link, str):
            raise _changed(self.next_url, "a URL", link)
        return place_of_url(link, answer.url)


@dataclass(frozen=True, slots=True)
class CursorPages:
    """A cursor in the body goes back as a parameter: Slack, Notion, HubSpot, Airtable, Google (page token).

    Where the last page has a cursor too (Zendesk), `more` is the field that is false there.
    """

    cursor: str = "next_cursor"
    parameter: str = "cursor"
    items: str | None = "items"
    size: int | None = 30
    size_parameter: str = "limit"
    more: str | None = None

    def first(self) -> Mapping[str, str]:
        """The page size, where the provider takes one."""
        return {} if self.size is None else {self.size_parameter: str(self.size)}

    def next(self, answer: Answer) -> Place | None:
        """The cursor in the body; null, empty, absent and `false` all mean the end."""
        if self.more is not None and look(answer.data, self.more) is False:
            return None
        found = look(answer.data, self.cursor)
        if found is False or found in (None, "", MISSING):
            return None
        if not isinstance(found, str | int) or found is True:
            raise _changed(self.cursor, "a cursor", found)
        return Place({self.parameter: str(found)})


@dataclass(frozen=True, slots=True)
class NumberPages:
    """Page numbers, or offsets with `step="items"`: PagerDuty, Jira classic, NetSuite, SendGrid.

    Ends where `more` is false, else where a page is shorter than was asked for; without a `size`, where one is empty.
    """

    parameter: str = "page"
    start: int = 1
    step: Literal["page", "items"] = "page"
    items: str | None = "items"
    more: str | None = None
    size: int | None = 30
    size_parameter: str = "per_page"

    def first(self) -> Mapping[str, str]:
        """The page size, where the provider takes one, and the first number."""
        size = {} if self.size is None else {self.size_parameter: str(self.size)}
        return {**size, self.parameter: str(self.start)}

    def next(self, answer: Answer) -> Place | None:
        """The next number, counted from the one that was asked."""
        count = len(items_of(self, answer.data))
        if not count or not self._more(answer, count):
            return None
        number = _number(answer.url, self.parameter, self.start)
        return Place({self.parameter: str(number + (1 if self.step == "page" else count))})

    def _more(self, answer: Answer, count: int) -> bool:
        if self.more is None:
            return count >= _number(answer.url, self.size_parameter, self.size or 1)
        more = look(answer.data, self.more)
        if not isinstance(more, bool):
            raise _changed(self.more, "true or false", more)
        return more


def _number(url: str, parameter: str, default: int) -> int:
    """The number that was asked for: the tool's own value or a cursor's may differ from the declared one."""
    value = parse_qs(urlsplit(url).query).get(parameter, [""])[0]
    return int(value) if re.fullmatch(r"[0-9]{1,15}", value) else default


@dataclass(frozen=True, slots=True)
class GraphQLPages:
    """Relay connections: `nodes` beside `pageInfo{hasNextPage,endCursor}`; the cursor is the variable `after`."""

    connection: str
    size: int = 30
    size_variable: str = "first"
    variable: str = "after"

    @property
    def items(self) -> str | None:
        """The nodes of the connection."""
        return f"{self.connection}.nodes"

    def first(self) -> Mapping[str, str]:
        """The page size, a variable here."""
        return {self.size_variable: str(self.size)}

    def next(self, answer: Answer) -> Place | None:
        """`endCursor`, while `hasNextPage` is true."""
        info = as_object(look(answer.data, f"{self.connection}.pageInfo"))
        if info is None or not isinstance(info.get("hasNextPage"), bool):
            raise _changed(f"{self.connection}.pageInfo.hasNextPage", "true or false", (info or {}).get("hasNextPage"))
        if not info["hasNextPage"]:
            return None
        cursor = info.get("endCursor", MISSING)
        if not isinstance(cursor, str) or not cursor:
            raise _changed(f"{self.connection}.pageInfo.endCursor", "a cursor", cursor)
        return Place({self.variable: cursor})
