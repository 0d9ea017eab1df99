"""The facts of CalDAV: address, logins, budget. The standard is stable, the servers are not.

Sources: RFC 4791 (access), 6578 (sync), 6638 (scheduling), 6764 (discovery); caldav 3.6.0 `base_client`.
"""

from typing import Annotated

from pydantic import Field

from clew import Api, Basic, Bearer, Connector, Limit, schemes

from .rules import ERRORS

SERVER = {
    "server": schemes.Variable(
        pattern=r"(?:https://)?([A-Za-z0-9][A-Za-z0-9.-]{0,252})/?",
        help="the calendar server's host: caldav.fastmail.com, caldav.icloud.com, cloud.example.org",
    )
}

caldav = Connector(
    "caldav",
    title="CalDAV",
    base_url="https://{server}",
    auth=(
        Basic(variables=SERVER, help="the user name and an app-specific password of the calendar server"),
        Bearer(variables=SERVER, help="an access token of the calendar server"),
    ),
    # Some servers have JSON (jCal, RFC 7265) too, and send it to whoever seems to like it.
    headers={"accept": "text/calendar, application/xml, text/xml, */*;q=0.1"},
    # Nobody publishes numbers; iCloud and GMX slow down silently. Ten a second is our own measure of politeness.
    rate_limits=Limit(name="requests", amount=10, per=1, kind="bucket"),
    errors=ERRORS,
    docs="https://www.rfc-editor.org/rfc/rfc4791",
)

CalendarId = Annotated[str, Field(pattern="^/.+/$", max_length=500, description="An id of list_calendars.")]
EventId = Annotated[str, Field(pattern="^/.*[^/]$", max_length=500, description="id of list_events.")]
Etag = Annotated[str, Field(max_length=300, description="etag of get_event: refuses if the event has changed since.")]


@caldav.identity
async def account(api: Api) -> str:
    """The address of the calendar user, or what the server calls the principal."""
    from .calendars import find_principal

    person = await find_principal(api)
    return person.name or (person.addresses[0] if person.addresses else person.path)
