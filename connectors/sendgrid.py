"""SendGrid: facts of v3. No codes: status, field and text; used-up credits look like a refused key.

Sources: sendgrid-python 6.12.5, airbyte-source-sendgrid 1.1.5, sendgrid/docs. Limits and the credits answer: (memory).
"""

from clew import Bearer, Connector, ErrorMap, NumberPages, Reset, Rule

from .webhooks.mail import SENDGRID

ERRORS = ErrorMap(
    message=("errors[0].message", "message", "error"),
    provider_code=("errors[0].error_id", "errors[0].field", "error"),
    request_id=("x-message-id", "x-request-id"),
    resets=(Reset(header="x-ratelimit-reset", unit="epoch_s", remaining="x-ratelimit-remaining"),),
    rules=(
        Rule(
            code="quota_exhausted",
            status=(400, 401, 402, 403, 429),
            text="maximum credits exceeded|credit limit|exceeded your messaging limits",
            message="the {provider} account has no credits left.",
        ),
        Rule(
            code="permission",
            status=403,
            text="verified Sender Identity",
            message="this sender is not verified at {provider}.",
            next_step="Ask the person to verify the sender's address or domain, or use another sender.",
        ),
        Rule(code="auth_revoked", status=401),
        Rule(code="permission", status=403),
        Rule(code="rate_limited", status=429, retry_after=10),
        Rule(code="invalid_input", status=(400, 405, 413)),
        Rule(code="accepted", status=202),
        # Queued or not: nobody knows, and a mail that is sent twice cannot be taken back.
        Rule(code="transient", status=(500, 502, 503, 504)),
    ),
)

sendgrid = Connector(
    "sendgrid",
    title="SendGrid",
    # EU: https://api.eu.sendgrid.com/v3, set by the operator.
    base_url="https://api.sendgrid.com/v3",
    auth=Bearer(help="https://app.sendgrid.com/settings/api_keys"),
    pages=NumberPages(parameter="offset", start=0, step="items", items=None, size_parameter="limit"),
    errors=ERRORS,
    webhooks=SENDGRID,
    docs="https://www.twilio.com/docs/sendgrid/api-reference",
)
