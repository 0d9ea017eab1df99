"""What a CalDAV server's refusals mean. The machine code is the name of an element in `DAV:error`.

Sources: RFC 4791 (1.3), 6578 (3.2), 6638 (7.3); caldav 3.6.0 `lib/error`, `compatibility_hints`.
"""

from clew import ErrorMap, Rule

READ_AGAIN = "Read it again with get_event, decide anew, and pass its new etag."

ERRORS = ErrorMap(
    provider_code=("error",),
    rules=(
        Rule(code="rate_limited", status=429, retry_after=60),
        Rule(code="rate_limited", status=503, headers={"retry-after": ".+"}),
        Rule(code="auth_expired", status=401),
        # One meaning, three statuses: Radicale 409, Xandikos and Stalwart 412, Cyrus 403.
        Rule(
            code="already_done",
            status=(403, 409, 412),
            codes="no-uid-conflict unique-scheduling-object-resource",
            message="{provider} already has an event with this UID.",
        ),
        Rule(
            code="conflict",
            status=(400, 403, 409, 410, 412, 507),
            codes="valid-sync-token",
            message="{provider} no longer knows this sync token.",
            next_step='Call list_changes with sync_token "new", then list the events again.',
        ),
        Rule(code="permission", status=(403, 409), codes="need-privileges privilege"),
        Rule(
            code="permission",
            status=(403, 409, 412),
            codes="allowed-organizer-scheduling-object-change allowed-attendee-scheduling-object-change "
            "same-organizer-in-all-components organizer-allowed",
            message="the server does not let this account change the event so: only its organizer may.",
            next_step="get_event shows the organizer. To answer an invitation use reply_to_invitation.",
        ),
        Rule(
            code="invalid_input",
            status=(403, 409, 412, 415),
            codes="valid-calendar-data supported-calendar-data supported-calendar-component "
            "calendar-collection-location-ok valid-calendar-object-resource valid-filter supported-filter "
            "min-date-time max-date-time max-attendees-per-instance max-instances",
        ),
        Rule(
            code="invalid_input",
            status=(400, 403, 405, 415, 501),
            codes="supported-report sync-traversal-supported",
            message="{provider} cannot say what changed in this calendar.",
            next_step="Use list_events for the time that matters.",
        ),
        Rule(code="quota_exhausted", codes="quota-not-exceeded sufficient-disk-space max-resource-size"),
        Rule(
            code="invalid_input",
            codes="number-of-matches-within-limits",
            next_step="Ask for a shorter range.",
        ),
        Rule(code="quota_exhausted", status=507),
        Rule(code="already_done", status=405, methods=("MKCALENDAR", "MKCOL")),
        Rule(
            code="conflict",
            status=412,
            message="the event has changed since it was read.",
            next_step=READ_AGAIN,
        ),
        Rule(code="conflict", status=(409, 423)),
        Rule(code="already_done", status=(404, 410), methods=("DELETE",), message="it is not there any more."),
        Rule(
            code="not_found",
            status=(404, 410),
            message="{provider} does not know this calendar or event, or hides it from this account.",
            next_step="Check the ids with list_calendars and list_events.",
        ),
    ),
)
