"""What Graph's refusals mean. The deepest `innerError.code` says most, the status least.

Sources: microsoft-graph-docs (errors, throttling, event cancel), microsoft-kiota-http 1.16.0; a used `transactionId`
as programs that meet it show it.
"""

import re
from collections.abc import Mapping
from typing import Any, cast

from clew import ErrorMap, Response, Rule, Verdict

LOGIN = "Ask the person to run: clew auth login microsoft --account {account}"
RESYNC = "Forget what was kept, and call the same tool again with changes=new."


def classify(response: Response) -> Verdict | None:
    """What rules cannot say: a challenge in a header, a batch, a dead token of changes, an event made before."""
    path = response.url.partition("?")[0]
    if response.status == 200 and path.endswith("/$batch"):
        # When a part went well the tool says which did not; when none did, it is an error like any other.
        return Verdict(None) if _partly_done(response.data) else None
    if response.status == 401 and _challenged(response.headers.get("www-authenticate", "")):
        # Continuous access evaluation wants a login that is newer than what happened; a plain refresh would loop.
        message = "{provider} wants a new login for this account; its organization asks for it."
        return Verdict("auth_revoked", message, LOGIN)
    if path.endswith("/delta") and (response.status == 410 or _says(response, "resync|syncstate")):
        return Verdict("conflict", "{provider} can no longer say what has changed since.", RESYNC)
    if _says(response, "errorduplicatetransactionid"):
        known = response.field("error['@event.existingEventId']") or ""
        made = known if re.fullmatch(r"[A-Za-z0-9_=-]{1,500}", known) else None
        return Verdict("already_done", "{provider} has made this event before.", object_id=made)
    return None


def _partly_done(data: Any) -> bool:
    rows: list[Any] = _object(data).get("responses") or []
    return any(_object(row).get("status") in range(200, 300) for row in rows)


def _object(value: Any) -> Mapping[str, Any]:
    return cast(Mapping[str, Any], value) if isinstance(value, dict) else {}


def _challenged(header: str) -> bool:
    return re.search(r"\binsufficient_claims\b|\bclaims=", header) is not None


def _says(response: Response, start: str) -> bool:
    return response.status >= 400 and any(re.match(start, code) for code in ERRORS.codes(response))


ERRORS = ErrorMap(
    message=("error.message", "error_description", "message"),
    provider_code=(
        "error.innerError.innerError.innerError.code",
        "error.innerError.innerError.code",
        "error.innerError.code",
        "error.innererror.innererror.code",
        "error.innererror.code",
        "error.details[*].code",
        "error.code",
        "error",
        "code",
    ),
    request_id=("request-id", "client-request-id"),
    buckets=("x-ms-throttle-scope", "x-ms-throttle-information"),
    hook=classify,
    rules=(
        Rule(
            code="quota_exhausted",
            codes="quotaLimitReached ErrorQuotaExceeded ErrorMailboxFull ErrorMessageQuotaExceeded insufficientStorage "
            "Directory_QuotaExceeded ErrorExceededMessageLimit",
        ),
        Rule(
            code="quota_exhausted",
            status=403,
            text="subscription quota|quota (?:has been |is )?exceeded|limit of .{0,40}subscriptions",
        ),
        Rule(code="quota_exhausted", status=507),
        Rule(
            code="rate_limited",
            status=(400, 403, 409, 429, 500, 503, 504, 509),
            codes="TooManyRequests activityLimitReached ApplicationThrottled ErrorServerBusy MailboxConcurrency "
            "throttledRequest tooManyRetries ErrorTooManyObjectsOpened Request_ThrottledTemporarily",
            retry_after=10,
        ),
        Rule(code="rate_limited", status=(429, 509), retry_after=10),
        # Not 504: a gateway that gave up waiting does not know what happened behind it.
        Rule(code="rate_limited", status=503, headers={"retry-after": ".+"}),
        Rule(code="auth_expired", status=401),
        Rule(
            code="conflict",
            codes="resyncRequired syncStateNotFound SyncStateInvalid resyncChangesApplyDifferences "
            "resyncChangesUploadDifferences",
            next_step="Drop the delta link and list everything again.",
        ),
        Rule(code="conflict", status=423, retry_after=5),  # "notAllowed" outside, resourceLocked within
        Rule(
            code="permission",
            codes="MailboxNotEnabledForRESTAPI MailboxNotSupportedForRESTAPI",
            message="this account has no mailbox that {provider} can open.",
            next_step="Ask the person for the account that has one in Microsoft 365 or Outlook.com, and to connect it.",
        ),
        Rule(
            code="permission",
            status=400,
            text="need to be an organizer",
            message="only the organizer of this event can do that.",
            next_step="Tell the person who the organizer is: get_event shows it.",
        ),
        Rule(
            code="permission",
            codes="Authorization_RequestDenied ErrorAccessDenied accessDenied Forbidden ErrorSendAsDenied "
            "notAllowed ErrorSendOnBehalfOfDenied ErrorMailboxMoveInProgress "
            "Authentication_MissingOrMalformed AccountDisabled ErrorDelegateNoUser",
        ),
        Rule(
            code="not_found",
            codes="ErrorItemNotFound Request_ResourceNotFound itemNotFound ResourceNotFound ErrorFolderNotFound "
            "ErrorNonExistentMailbox MailboxNotFound ErrorInvalidUser",
            message="{provider} does not have this message, event or folder (any more).",
            next_step="Find others with search_messages or list_events. A draft that is gone may have been sent.",
        ),
        Rule(
            code="conflict",
            status=412,
            message="it has changed since it was read; nothing was changed.",
            next_step="Read it again, decide anew, and pass its new change_key.",
        ),
        Rule(
            code="conflict",
            codes="nameAlreadyExists Conflict ErrorCreateItemAccessDenied ErrorIrresolvableConflict resourceModified "
            "editConflict ErrorItemSave Request_MultipleObjectsWithSameKeyValue ErrorFolderExists",
        ),
        Rule(code="contract_changed", codes="notSupported UnsupportedApiVersion Request_UnsupportedQuery"),
        Rule(code="contract_changed", status=(405, 501)),
        Rule(
            code="invalid_input",
            codes="BadRequest ErrorInvalidIdMalformed RequestBroker--ParseUri invalidRequest ErrorInvalidRecipients "
            "ErrorInvalidArgument Request_BadRequest invalidRange malformedEntityTag ErrorMessageSizeExceeded "
            "ErrorInvalidPropertySet ErrorSchemaValidation ErrorPropertyValidationFailure",
        ),
        # A dependent of a part that failed: nothing was done.
        Rule(code="transient", status=424, not_applied=True),
        Rule(
            code="transient",
            status=(500, 502, 503, 504),
            codes="serviceNotAvailable ErrorInternalServerTransientError UnknownError generalException "
            "ErrorInternalServerError ErrorMailboxStoreUnavailable internalServerError",
        ),
    ),
)
