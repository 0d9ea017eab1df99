"""The facts of Google's Calendar API: addresses, login, scopes, paging.

Sources: google-api-python-client's discovery documents (calendar v3, oauth2 v2); developers.google.com/identity
(OAuth 2.0 for installed apps), developers.google.com/workspace/calendar/api (auth, errors, sync).
"""

from typing import Annotated

from pydantic import Field

from clew import Api, Connector, CursorPages, Limit, OAuth2, schemes
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
    auth=OAuth2(
        authorize_url="https://accounts.google.com/o/oauth2/v2/auth",
        token_url="https://oauth2.googleapis.com/token",
        revoke_url="https://oauth2.googleapis.com/revoke",
        # Empty but for a person who names another server with `clew auth login --issuer`: a stand-in, an own proxy.
        discovery_url="{issuer}",
        variables={
            "issuer": schemes.Variable(
                pattern=r"https?://[^\s?#]{1,500}", optional=True, help="another authorization server than Google's"
            )
        },
        issuer="https://accounts.google.com",
        # The long name: Google answers with it where `email` was asked, and what it grants is compared with what was
        # asked. A person can untick the boxes of the other scopes, not this one.
        scopes=(EMAIL,),
        # Without both there is a refresh token at the very first consent only. `include_granted_scopes` is not for
        # installed apps; a wider login asks for everything anew.
        authorize_parameters={"access_type": "offline", "prompt": "consent"},
        # The refresh token stays the same and does not come again. It dies when the person says so, after 6 months
        # without use, or after 7 days while the project's consent screen is in testing.
        refresh_class="B",
        idle_seconds=180 * 86_400.0,
        token_errors=(
            schemes.TokenRule("dead", code="invalid_grant|invalid_rapt"),
            schemes.TokenRule(
                "misconfigured",
                code="invalid_client|unauthorized_client|access_denied|admin_policy_enforced|org_internal"
                "|invalid_scope|deleted_client|disabled_client",
            ),
            schemes.TokenRule(
                "outage", code="internal_failure|server_error|temporarily_unavailable|rate_limit_exceeded"
            ),
        ),
        help="https://console.cloud.google.com/auth/clients (desktop app)",
    ),
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
