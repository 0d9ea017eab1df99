"""What the upstreams have in common: the words, and how a request is taken apart."""

import json
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import unquote

import httpx

Object = dict[str, Any]
Route = tuple[str, str, Callable[..., Any]]
"""Method, path as a pattern, and what answers: with the request, its body and the pattern's groups."""

SUBJECTS = (
    "Export stops after the first page",
    "Filter is lost when the report is printed",
    "Totals differ between screen and file",
    "Import refuses dates before 1970",
    "Column widths are not kept",
    "Report of the finance team is empty",
    "Search ignores umlauts",
    "Schedule sends two mails",
    "Chart has no legend",
    "Archive takes an hour",
)
PEOPLE = ("Ada Lovelace", "Grace Hopper", "Alan Turing")


def address(name: str) -> str:
    """The e-mail address of a person."""
    return f"{name.split(maxsplit=1)[0].lower()}@example.com"


def day(number: int) -> str:
    """A day, by number."""
    return f"2026-11-{number % 28 + 1:02}"


def body_of(request: httpx.Request) -> Any:
    """The JSON that was sent; an empty object when there is none."""
    return json.loads(request.content) if request.content else {}


def routed(routes: Sequence[Route]) -> Callable[[httpx.Request], httpx.Response]:
    """A site of these routes; the first that fits answers, and none is 404."""

    def site(request: httpx.Request) -> httpx.Response:
        for method, pattern, answer in routes:
            found = re.fullmatch(pattern, unquote(request.url.path))
            if request.method == method and found:
                said = answer(request, body_of(request), *found.groups())
                return said if isinstance(said, httpx.Response) else httpx.Response(200, json=said)
        print(f"no {request.method} {request.url} here", file=sys.stderr)
        return httpx.Response(404, json={"message": f"no {request.method} {request.url.path} here"})

    return site
