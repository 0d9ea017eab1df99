"""Paging: a tool that takes a cursor goes on to the next page, ends on the last, and does not run in circles.

The provider is played from the tool's own declaration (`pages=`), with empty pages where the style allows them.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import httpx

from clew.core.connector import Tool
from clew.core.fields import as_object, steps
from clew.core.pages import CursorPages, GraphQLPages, LinkPages, NextUrlPages, NumberPages, Paginator
from clew.testing.kit import Finding, Seen, Subject
from clew.testing.samples import FILE, arguments_for
from clew.testing.shapes import items_for
from clew.testing.stage import Answering, Ran, json_answer, perform


async def paging_ends(subject: Subject) -> Seen:
    """Each tool with a cursor is paged through three pages, and then by a provider that never ends."""
    seen = Seen()
    for tool in subject.tools:
        if tool.workflow or "cursor" not in tool.signature.parameters:
            continue
        arguments = arguments_for(tool, subject.arguments)
        why = f"give it arguments in {FILE}" if arguments is None else await _paged(subject, tool, arguments, seen)
        if why:
            seen.skipped.append(f"{tool.name}: {why}")
    return seen


async def _paged(subject: Subject, tool: Tool, arguments: Mapping[str, Any], seen: Seen) -> str:
    """Why it could not be looked at; empty when it was."""
    style = await _style(subject, tool, arguments)
    if style is None:
        return "it does not page by api.page or api.graphql_page"
    where, fix = subject.at(tool), "Return the page that api.page gives, with its next_cursor."
    cursor: str | None = None
    for number in (1, 2, 3):
        given = dict(arguments) if cursor is None else {**arguments, "cursor": cursor}
        ran = await perform(subject.connector, tool, given, _player(style, tool, last=number == 3, page=number))
        if ran.result is None:
            return f"pages cannot be played to it ({ran.code}); its recorded example is looked at instead"
        cursor = ran.result.get("next_cursor")
        if number < 3 and not cursor:
            seen.findings.append(Finding(f"{tool.name} ends after page {number} of three.", fix, where))
            return ""
        if number > 1 and not _went_on(style, ran, number):
            seen.findings.append(Finding(f"{tool.name} asks for the first page again with a cursor.", fix, where))
    seen.count += 1
    if cursor:
        seen.findings.append(Finding(f"{tool.name} goes on after the last page.", fix, where))
    await _circles(subject, tool, arguments, style, seen)
    return ""


async def _circles(subject: Subject, tool: Tool, arguments: Mapping[str, Any], style: Paginator, seen: Seen) -> None:
    """A provider whose next page is the same page again."""
    if isinstance(style, NumberPages):
        return  # its next number is ours
    same = _player(style, tool, last=False, page=2)
    first = await perform(subject.connector, tool, arguments, same)
    cursor = (first.result or {}).get("next_cursor")
    again = await perform(subject.connector, tool, {**arguments, "cursor": cursor}, same) if cursor else first
    if again.code != "contract_changed":
        what = f"{tool.name} runs in circles when the next page is the same page."
        seen.findings.append(Finding(what, "Leave the cursor to api.page.", subject.at(tool)))


async def _style(subject: Subject, tool: Tool, arguments: Mapping[str, Any]) -> Paginator | None:
    async def nothing(request: httpx.Request) -> httpx.Response:
        return json_answer({})

    ran = await perform(subject.connector, tool, arguments, nothing, attempts=1)
    return ran.paging[-1] if ran.paging else None


def _player(style: Paginator, tool: Tool, *, last: bool, page: int) -> Answering:
    async def answer(request: httpx.Request) -> httpx.Response:
        return page_of(style, request, items_for(tool), last=last, page=page)

    return answer


def page_of(style: Paginator, request: httpx.Request, item: list[Any], *, last: bool, page: int) -> httpx.Response:
    """One page of a provider that pages in this style. `item` is one item, or none when nobody can make one up."""
    body: dict[str, Any] = {"ok": True}
    headers: dict[str, str] = {}
    token = f"clew{page + 1}"
    match style:
        case GraphQLPages():
            info = {"hasNextPage": not last, "endCursor": None if last else token}
            inner: dict[str, Any] = {}
            put(inner, style.connection, {"nodes": [], "pageInfo": info})
            return json_answer({"data": inner})
        case NumberPages():
            several = item * (0 if last else _asked(request, style))
            if style.items is None:
                return json_answer(several)
            put(body, style.items, several)
            put(body, style.more, not last)
        case CursorPages():
            put(body, style.items, [])
            put(body, style.cursor, None if last else token)
            put(body, style.more, not last)
        case NextUrlPages():
            put(body, style.items, [])
            put(body, style.next_url, None if last else str(request.url.copy_set_param("clewpage", token)))
        case LinkPages():
            put(body, style.items, [])
            if not last:
                headers["link"] = f'<{request.url.copy_set_param("clewpage", token)}>; rel="next"'
        case _:
            pass
    return json_answer(body if style.items is not None else [], 200, **headers)


def put(body: dict[str, Any], path: str | None, value: Any) -> None:
    """Put a value at a path of keys."""
    if path is None:
        return
    *way, name = [str(step) for step in steps(path)]
    for step in way:
        inner = as_object(body.setdefault(step, {}))
        body = body if inner is None else inner
    body[name] = value


def _asked(request: httpx.Request, style: NumberPages) -> int:
    value = request.url.params.get(style.size_parameter, "")
    return int(value) if value.isdecimal() and int(value) <= 1000 else style.size or 1


def _went_on(style: Paginator, ran: Ran, number: int) -> bool:
    """Did a request carry the place of its page?"""
    token = f"clew{number}"
    for request in ran.player.requests:
        if isinstance(style, NumberPages):
            values = parse_qs(request.url.query.decode()).get(style.parameter, [])
            if values and values[0] != str(style.start):
                return True
        elif token in str(request.url) or token in request.content.decode("utf-8", "replace"):
            return True
    return False
