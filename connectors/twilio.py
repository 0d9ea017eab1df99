"""Twilio: facts of the Messaging, Voice, Verify and Lookup APIs. Integer codes; delivery fails later, in callbacks.

Sources: twilio-python 9.13.0, airbyte-source-twilio 0.16.0; the numbers are the public error dictionary's (memory).
"""

from clew import Basic, Connector, ErrorMap, NextUrlPages, Rule, schemes

from .webhooks.messages import TWILIO

ANY = (200, 201, *range(400, 600))

ERRORS = ErrorMap(
    message=("message", "detail", "title", "error_message"),
    provider_code=("code", "error_code"),
    request_id=("twilio-request-id",),
    rules=(
        # `error_code` of a message that is read says how its delivery ended; the read itself went well.
        Rule(code="ok", status=200, methods=("GET",), body={"sid": ".+", "error_code": r"\d+"}),
        Rule(code="rate_limited", codes="20429 14107", retry_after=1),
        Rule(code="rate_limited", codes="21611 63018", retry_after=60),
        Rule(code="quota_exhausted", codes="63038"),
        Rule(code="rate_limited", status=ANY, codes="30001", retry_after=600),
        # Verify: five sends, five checks, in ten minutes.
        Rule(code="rate_limited", codes="60202 60203 60207 60212", retry_after=600),
        Rule(code="rate_limited", status=429, retry_after=1),
        Rule(code="auth_revoked", codes="20003"),
        Rule(code="auth_revoked", status=401),
        Rule(
            code="permission",
            codes="21610",
            message="the recipient has opted out (STOP).",
            next_step="Never write to this number again; the person behind it said no.",
        ),
        Rule(
            code="permission",
            status=ANY,
            codes="20005 20006 20008 21408 21606 21608 21659 21660 30004 30007 30034 10001 10002 90010 21612",
        ),
        Rule(code="not_found", codes="20404"),
        Rule(code="already_done", codes="54301"),
        Rule(
            code="invalid_input",
            status=ANY,
            codes="20001 21201 21211 21212 21214 21217 21602 21604 21614 21617 21619 30003 30005 30006 63016 "
            "60200 60205 21205",
        ),
        Rule(
            code="outcome_unknown",
            status=ANY,
            codes="30008",
            message="the carrier gave no reason why the message was not delivered.",
            next_step="Read the message's status before sending anything again.",
        ),
        Rule(code="internal", codes="11200 11205 11206", message="{provider} could not reach this server's webhook."),
        Rule(code="transient", codes="20500 20503"),
        # Queued is not delivered.
        Rule(
            code="accepted", status=(200, 201), methods=("POST",), body={"status": "queued|accepted|sending|scheduled"}
        ),
    ),
)

twilio = Connector(
    "twilio",
    title="Twilio",
    base_url="https://api.twilio.com/2010-04-01",
    auth=(
        Basic(help="https://console.twilio.com (user name: account SID or API key SID, password: its token or secret)"),
        schemes.ClientCredentials(token_url="https://oauth.twilio.com/v2/token"),
    ),
    pages=NextUrlPages(items="messages", next_url="next_page_uri", size_parameter="PageSize"),
    errors=ERRORS,
    webhooks=TWILIO,
    docs="https://www.twilio.com/docs/usage/api",
)
