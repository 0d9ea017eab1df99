"""CalDAV: facts of RFC 4791, 6578 and 6638 and of the servers in use. The machine code is an element in `DAV:error`.

Sources: caldav 3.6.0 `lib/error`, `compatibility_hints`. RFC facts: (memory).
"""

from clew import Basic, Bearer, Connector, ErrorMap, Rule

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
            status=(403, 409, 412, 507),
            codes="valid-sync-token",
            next_step="Drop the sync token and list everything again.",
        ),
        Rule(code="permission", status=(403, 409), codes="need-privileges privilege"),
        Rule(
            code="invalid_input",
            status=(403, 409, 412, 415),
            codes="valid-calendar-data supported-calendar-data supported-calendar-component "
            "calendar-collection-location-ok valid-calendar-object-resource valid-filter supported-filter "
            "min-date-time max-date-time max-attendees-per-instance max-instances",
        ),
        Rule(code="quota_exhausted", codes="quota-not-exceeded sufficient-disk-space max-resource-size"),
        Rule(
            code="invalid_input",
            codes="number-of-matches-within-limits",
            next_step="Ask for a shorter range.",
        ),
        Rule(code="quota_exhausted", status=507),
        Rule(code="already_done", status=405, methods=("MKCALENDAR", "MKCOL")),
        Rule(code="conflict", status=(409, 412, 423)),
        Rule(code="already_done", status=404, methods=("DELETE",), message="it is not there any more."),
    ),
)

caldav = Connector(
    "caldav",
    title="CalDAV",
    # The operator sets the server; Fastmail's stands here because it needs no account in its address.
    base_url="https://caldav.fastmail.com",
    auth=(Basic(help="an app-specific password of the calendar server"), Bearer(help="an access token")),
    errors=ERRORS,
    docs="https://www.rfc-editor.org/rfc/rfc4791",
)
