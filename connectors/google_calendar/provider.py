"""The facts of Google's Calendar API: addresses, login, scopes, paging.

Sources: google-api-python-client's discovery documents (calendar v3, oauth2 v2); developers.google.com/identity
(OAuth 2.0 for installed apps), developers.google.com/workspace/calendar/api (auth, errors, sync).
"""

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from clew import Api, Connector, CursorPages, Limit
from clew.connectors.google import LOGIN
from clew.connectors.webhooks.platforms import GOOGLE_CHANNEL

from .rules import ERRORS

SCOPE = "https://www.googleapis.com/auth/"

EMAIL = f"{SCOPE}userinfo.email"


def scopes(*names: str) -> str:
    """One scope or a choice: any of `names` will do, the first, which allows least, is asked for."""
    return "|".join(f"{SCOPE}{name}" for name in names)


LIST = scopes("calendar.calendarlist.readonly", "calendar.calendarlist", "calendar.readonly", "calendar")
READ = scopes("calendar.events.readonly", "calendar.events", "calendar.readonly", "calendar")
BUSY = scopes("calendar.freebusy", "calendar.events.freebusy", "calendar.readonly", "calendar")
WRITE = scopes("calendar.events", "calendar")

google_calendar = Connector(
    "google_calendar",
    title="Google Calendar",
    base_url="https://www.googleapis.com",
    # The long name of the scope: Google answers with it where `email` was asked, and what it grants is compared with
    # what was asked. A person can untick the boxes of the other scopes, not this one.
    auth=replace(LOGIN, scopes=(EMAIL,)),
    pages=CursorPages(
        cursor="nextPageToken", parameter="pageToken", items="items", size=50, size_parameter="maxResults"
    ),
    # By the minute in a sliding window, for each user and for the project; these are the numbers a project starts with
    # (memory), its console may show others. https://developers.google.com/workspace/calendar/api/guides/quota
    rate_limits=(
        Limit(name="user", amount=600, per=60),
        Limit(name="project", amount=10_000, per=60, by="app"),
    ),
    errors=ERRORS,
    webhooks=GOOGLE_CHANNEL,
    docs="https://developers.google.com/workspace/calendar/api/v3/reference",
)

CalendarId = Annotated[str, Field(description="An id of list_calendars.")]
Cursor = Annotated[str | None, Field(description="next_cursor of the previous page.")]


@google_calendar.identity
async def email(api: Api) -> str:
    """The e-mail address of the account."""
    return str(await api.get("/oauth2/v2/userinfo", at="email"))
