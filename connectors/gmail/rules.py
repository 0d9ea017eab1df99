"""What Gmail's refusals mean: by reason first, for a 403 can be a limit, an allowance, a scope or an API switched off.

Sources: https://developers.google.com/workspace/gmail/api/guides/handle-errors, .../guides/sync,
google-api-python-client (`http._should_retry_response`).
"""

from dataclasses import replace

from clew import Response, Rule, Verdict
from clew.connectors import google
from clew.connectors.google import FAULTS, LIMITS

LOGIN = "Ask the person to run: clew auth login gmail --account {account}"
EXPIRED = "the history id is too old: {provider} cannot say what changed since."
RESYNC = (
    "Call list_changes with history_id=new and keep what it answers; then read anew with search_messages what you need."
)


def classify(response: Response) -> Verdict | None:
    """A history that is too old is a 404 on its address alone."""
    if response.status == 404 and response.url.partition("?")[0].endswith("/history"):
        return Verdict("conflict", EXPIRED, RESYNC)
    return None


RULES = (
    Rule(
        code="quota_exhausted",
        status=(400, 403, 429),
        text="sending limit",
        message="this account has sent as much mail as Google allows in a day.",
        next_step="Nothing was sent. Tell the person; sending works again within a day.",
    ),
    *LIMITS,
    Rule(
        code="permission",
        codes="accessNotConfigured SERVICE_DISABLED",
        message="the Gmail API is switched off in the project of this OAuth client.",
        next_step="Ask the person who runs the server to enable the Gmail API in the project's console.",
    ),
    Rule(
        code="permission",
        codes="insufficientPermissions insufficientScopes ACCESS_TOKEN_SCOPE_INSUFFICIENT",
        message="the login does not cover this part of the mailbox.",
        next_step=f"{LOGIN} (and to leave all boxes ticked).",
    ),
    Rule(
        code="permission",
        status=400,
        text="Mail service not enabled",
        message="this Google account has no Gmail mailbox.",
        next_step="Ask the person for the account that has one, and to connect it.",
    ),
    Rule(code="permission", status=403, codes="forbidden domainPolicy delegationDenied"),
    Rule(code="conflict", status=(409, 412)),
    Rule(
        code="not_found",
        status=404,
        message="{provider} does not have this message, thread or draft (any more).",
        next_step="Find others with search_messages. A draft that is gone may have been sent: search in:sent.",
    ),
    Rule(
        code="invalid_input",
        status=413,
        message="the message is larger than {provider} takes.",
        next_step="Send less: put large files where the recipients can fetch them, and send the link.",
    ),
    *FAULTS,
)

ERRORS = replace(google.ERRORS, rules=RULES, hook=classify)
