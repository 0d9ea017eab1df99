"""Microsoft Graph: facts that mail, calendar and directory share. The deepest `innerError.code` says most.

Sources: microsoft-graph-docs (throttling, errors), msal-python 1.39.0, microsoft-kiota-http 1.16.0. Numbers of AADSTS
codes: (memory).
"""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from clew import (
    Api,
    Bearer,
    Connector,
    ErrorMap,
    Limit,
    NextUrlPages,
    Response,
    Rule,
    Verdict,
    errors,
    events,
    schemes,
)

from .webhooks.platforms import GRAPH


def classify(response: Response) -> Verdict | None:
    """A claims challenge: continuous access evaluation wants another login, a plain refresh would loop."""
    if response.status == 401 and "insufficient_claims" in response.headers.get("www-authenticate", ""):
        step = "Ask the person to connect the account again; their organization wants a fresh login."
        return Verdict("auth_revoked", "{provider} wants a new login for this account.", step)
    return None


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
            codes="Authorization_RequestDenied ErrorAccessDenied accessDenied Forbidden ErrorSendAsDenied "
            "notAllowed MailboxNotEnabledForRESTAPI ErrorSendOnBehalfOfDenied ErrorMailboxMoveInProgress "
            "Authentication_MissingOrMalformed AccountDisabled ErrorDelegateNoUser",
        ),
        Rule(
            code="not_found",
            codes="ErrorItemNotFound Request_ResourceNotFound itemNotFound ResourceNotFound ErrorFolderNotFound "
            "ErrorNonExistentMailbox MailboxNotFound ErrorInvalidUser",
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

OUTLOOK = tuple(
    f"/{owner}/{kind}*"
    for owner in ("me", "users/{}")
    for kind in ("messages", "mailFolders", "sendMail", "events", "calendar", "contacts")
)
"""Paths of one mailbox."""

microsoft = Connector(
    "microsoft",
    title="Microsoft Graph",
    base_url="https://graph.microsoft.com/v1.0",
    auth=(
        schemes.OAuth2(
            authorize_url="https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize",
            token_url="https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token",
            device_url="https://login.microsoftonline.com/{tenant}/oauth2/v2.0/devicecode",
            variables={"tenant": schemes.Variable(default="common", help="a tenant's id or domain")},
            scopes=("offline_access", "User.Read"),
            # The old refresh token keeps working (memory).
            refresh_class="D",
            idle_seconds=90 * 86_400.0,
            token_errors=(
                schemes.TokenRule("outage", code="temporarily_unavailable"),
                schemes.TokenRule("outage", text=r"AADSTS(?:90033|50196)\b"),
                schemes.TokenRule("dead", code="invalid_grant|interaction_required|login_required|consent_required"),
                schemes.TokenRule(
                    "misconfigured",
                    code="invalid_client|unauthorized_client|invalid_scope|invalid_request|invalid_resource",
                ),
            ),
        ),
        Bearer(help="an access token, for trying things out; it lives about an hour"),
    ),
    pages=NextUrlPages(items="value", next_url="['@odata.nextLink']"),
    # https://learn.microsoft.com/graph/throttling-limits: an app and a mailbox; 4 at once.
    rate_limits=(
        Limit(name="mailbox", amount=10_000, per=600, paths=OUTLOOK),
        Limit(name="mailbox at once", amount=4, kind="concurrency", paths=OUTLOOK),
    ),
    errors=ERRORS,
    webhooks=GRAPH,
    docs="https://learn.microsoft.com/graph",
)


_LIFE = 4200 * 60.0
"""Seconds that a subscription is asked for: most resources allow 4230 minutes, some longer, chats an hour (memory)."""


async def _create(api: Api, wish: events.Wish) -> events.Subscribed:
    body = {
        "changeType": ",".join(wish.types) or "created,updated,deleted",
        "notificationUrl": wish.url,
        "resource": wish.where["resource"],
        "clientState": wish.secret.reveal(),
        "expirationDateTime": _moment(time.time() + _LIFE),
    }
    return _subscribed(await api.post("/subscriptions", json=body))


async def _check(api: Api, subscription: str, where: Mapping[str, str]) -> events.Subscribed | None:
    try:
        return _subscribed(await api.get("/subscriptions/{}", subscription))
    except errors.NotFoundError:
        return None


async def _renew(api: Api, subscription: str, where: Mapping[str, str]) -> events.Subscribed:
    body = {"expirationDateTime": _moment(time.time() + _LIFE)}
    return _subscribed(await api.patch("/subscriptions/{}", subscription, json=body))


async def _remove(api: Api, subscription: str, where: Mapping[str, str]) -> None:
    await api.delete("/subscriptions/{}", subscription)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _subscribed(found: dict[str, Any]) -> events.Subscribed:
    ends_at = datetime.fromisoformat(str(found["expirationDateTime"])).timestamp()
    return events.Subscribed(id=str(found["id"]), ends_at=ends_at, active=ends_at > time.time())


# https://learn.microsoft.com/graph/api/resources/subscription
microsoft.events = events.Events(
    items="value", type="changeType", reference=("resourceData.id", "resource"), order="resource"
)
microsoft.subscription = events.Subscription(
    create=_create, check=_check, renew=_renew, remove=_remove, where={"resource": "what to watch, such as me/messages"}
)
