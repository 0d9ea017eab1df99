"""The facts of Gmail's API: addresses, login, scopes, prices, paging.

Sources: google-api-python-client's discovery document (gmail v1, 20261005); developers.google.com/workspace/gmail/api
(auth/scopes, reference/quota, guides/drafts, guides/sync, guides/push).
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, TypeVar

from pydantic import Field

from clew import Api, Bounds, Connector, CursorPages, Limit
from clew.connectors.google import LOGIN
from clew.connectors.webhooks.platforms import PUBSUB

from .rules import ERRORS

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")
R = TypeVar("R")

SCOPE = "https://www.googleapis.com/auth/"
FULL = "https://mail.google.com/"
READ = f"{SCOPE}gmail.readonly|{SCOPE}gmail.modify|{FULL}"
COMPOSE = f"{SCOPE}gmail.compose|{SCOPE}gmail.modify|{FULL}"
MODIFY = f"{SCOPE}gmail.modify|{FULL}"
"""One scope or a choice: any will do, the first, which allows least, is asked for."""

_UNITS = (
    (r"/(messages|drafts)/send", 100.0),
    (r"/watch", 100.0),
    (r"/stop", 50.0),
    (r"/messages/batchModify", 50.0),
    (r"/drafts", 10.0),
    (r"/threads/[^/]+", 10.0),
    (r"/history", 2.0),
    (r"/labels|/profile", 1.0),
)
"""What a request costs; what is not named costs 5. developers.google.com/workspace/gmail/api/reference/quota"""


def units(request: "httpx.Request") -> float:
    """The price of one request in Gmail's quota units."""
    path = request.url.path
    return next((price for pattern, price in _UNITS if re.search(f"{pattern}$", path)), 5.0)


gmail = Connector(
    "gmail",
    title="Gmail",
    base_url="https://gmail.googleapis.com",
    # The OAuth client of the person's Google project, the same one as Google Calendar's; each connector asks for the
    # scopes of its enabled tools alone.
    auth=replace(LOGIN, scopes=()),
    pages=CursorPages(
        cursor="nextPageToken", parameter="pageToken", items="messages", size=15, size_parameter="maxResults"
    ),
    # Projects made before May 2026 may use 15 000 units a minute and user.
    rate_limits=(
        Limit(name="user", amount=6000, per=60, cost=units),
        Limit(name="project", amount=1_200_000, per=60, by="app", cost=units),
    ),
    # Gmail takes attachments of 25 MB, which are a third more in base64.
    bounds=Bounds(body=36_000_000),
    errors=ERRORS,
    webhooks=PUBSUB,
    docs="https://developers.google.com/workspace/gmail/api/reference/rest",
)

MESSAGES = "/gmail/v1/users/me/messages"
MESSAGE = "/gmail/v1/users/me/messages/{}"
DRAFTS = "/gmail/v1/users/me/drafts"
DRAFT = "/gmail/v1/users/me/drafts/{}"
PROFILE = "/gmail/v1/users/me/profile"

_ID = r"^[A-Za-z0-9_-]{1,100}$"
MessageId = Annotated[str, Field(pattern=_ID, description="id of a message, not its Message-ID.")]
ThreadId = Annotated[str, Field(pattern=_ID, description="thread_id of a message; where none is shown, its id.")]
DraftId = Annotated[str, Field(pattern=_ID, description="draft_id of create_draft.")]
Cursor = Annotated[str | None, Field(description="next_cursor of the previous page.")]

AT_ONCE = 5
"""Requests for one list at a time; Gmail refuses too many at once from one user."""


async def each(values: Sequence[T], get: Callable[[T], Awaitable[R]]) -> list[R]:
    """What `get` answers for each value, in their order, a few at a time. The first failure ends them all."""
    few = asyncio.Semaphore(AT_ONCE)

    async def one(value: T) -> R:
        async with few:
            return await get(value)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(value)) for value in values]
    except ExceptionGroup as faults:
        raise faults.exceptions[0] from None
    return [task.result() for task in tasks]


async def address_of(api: Api) -> str:
    """The account's own address."""
    return str(await api.get(PROFILE, at="emailAddress", query={"fields": "emailAddress"}))


@gmail.identity
async def address(api: Api) -> str:
    """The e-mail address of the account."""
    return await address_of(api)
