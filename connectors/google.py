"""Google Workspace: facts that Calendar, Gmail and Drive share. 403 can be a permission, a limit or a daily quota.

Sources: google-api-python-client 2.202.0 (discovery documents, `http._should_retry_response`), google-auth 2.62.2,
developers.google.com/workspace (calendar errors, gmail quota). "(memory)" marks what was not read again.
"""

from clew import Bearer, Connector, CursorPages, ErrorMap, Reset, Response, Rule, Verdict, schemes

from .webhooks.platforms import GOOGLE_CHANNEL


def classify(response: Response) -> Verdict | None:
    """Gmail's history that is too old is a 404 on its address alone."""
    if response.status == 404 and "/history" in response.url.partition("?")[0]:
        step = "Read the mailbox anew instead of its changes."
        return Verdict("conflict", "the history id is too old for {provider}.", step)
    return None


LIMITS = (
    Rule(
        code="quota_exhausted",
        codes="quotaExceeded dailyLimitExceeded dailyLimitExceededUnreg variableTermLimitExceeded "
        "storageQuotaExceeded teamDriveFileLimitExceeded teamDriveHierarchyTooDeep activeItemCreationLimitExceeded "
        "numChildrenInNonRootLimitExceeded limitExceeded myDriveHierarchyDepthLimitExceeded",
    ),
    Rule(
        code="quota_exhausted",
        status=(403, 429),
        codes="RESOURCE_EXHAUSTED rateLimitExceeded RATE_LIMIT_EXCEEDED",
        text="per day|daily limit",
    ),
    Rule(
        code="rate_limited",
        status=(400, 403, 429, 503),
        codes="rateLimitExceeded userRateLimitExceeded sharingRateLimitExceeded RESOURCE_EXHAUSTED "
        "RATE_LIMIT_EXCEEDED concurrentLimitExceeded calendarUsageLimitsExceeded "
        "servingLimitExceeded uploadRateLimitExceeded",
        retry_after=2,
    ),
)
"""Limits and allowances, as every one of Google's interfaces names them."""

FAULTS = (
    Rule(code="auth_expired", status=401),
    Rule(
        code="invalid_input",
        status=400,
        codes="invalid required timeRangeEmpty badRequest invalidSharingRequest failedPrecondition "
        "FAILED_PRECONDITION invalidArgument INVALID_ARGUMENT parseError invalidParameter invalidQuery "
        "customRequesterFilterOrderIncompatible",
    ),
    Rule(code="transient", status=(500, 502, 503, 504), codes="backendError internalError UNAVAILABLE INTERNAL"),
)
"""What is wrong with the token, the arguments or the server, likewise."""

ERRORS = ErrorMap(
    message=("error.message", "error_description", "error"),
    provider_code=(
        "error.errors[*].reason",
        "error.details[*].reason",
        "error.status",
        "error.details[*].errorCode",
        "error",
    ),
    request_id=("x-request-id", "x-guploader-uploadid"),
    # Gmail's sending limit says when it ends only in its sentence.
    resets=(Reset(body="error.message", pattern=r"[Rr]etry after (\S+)", unit="iso"),),
    hook=classify,
    rules=(
        *LIMITS,
        Rule(
            code="permission",
            codes="accessNotConfigured SERVICE_DISABLED",
            message="this API is switched off in the {provider} project.",
            next_step="Ask the person who runs the server to enable the API in the project's console.",
        ),
        Rule(
            code="permission",
            codes="insufficientPermissions ACCESS_TOKEN_SCOPE_INSUFFICIENT",
            message="the login does not cover this {provider} service.",
            next_step="Ask the person to connect the account again and to leave all boxes ticked.",
        ),
        Rule(
            code="permission",
            status=403,
            codes="forbidden forbiddenForNonOrganizer insufficientFilePermissions domainPolicy appNotAuthorizedToFile "
            "cannotDownloadFile abusiveContent cannotShareTeamDriveTopFolderWithAnyoneOrDomains requiredAccessLevel "
            "insufficientParentPermissions fileOwnerNotMemberOfTeamDrive delegationDenied failedPrecondition "
            "publishOutNotPermitted shareOutNotPermitted",
        ),
        Rule(
            code="conflict",
            status=(400, 410),
            codes="fullSyncRequired updatedMinTooLongAgo",
            next_step="Drop the sync token and list everything again.",
        ),
        Rule(code="already_done", status=410, methods=("DELETE",)),
        Rule(code="not_found", status=410, codes="deleted gone"),
        Rule(code="already_done", status=409, codes="duplicate alreadyExists ALREADY_EXISTS"),
        Rule(code="conflict", status=(409, 412), codes="conditionNotMet conflict ABORTED"),
        Rule(code="not_found", status=404),
        *FAULTS,
    ),
)

TOKEN_ERRORS = (
    schemes.TokenRule("dead", code="invalid_grant|invalid_rapt"),
    schemes.TokenRule(
        "misconfigured",
        code="invalid_client|unauthorized_client|access_denied|admin_policy_enforced|org_internal"
        "|invalid_scope|deleted_client|disabled_client",
    ),
    schemes.TokenRule("outage", code="internal_failure|server_error|temporarily_unavailable|rate_limit_exceeded"),
)

LOGIN = schemes.OAuth2(
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
    # Without both there is a refresh token at the very first consent only. `include_granted_scopes` is not for
    # installed apps; a wider login asks for everything anew.
    authorize_parameters={"access_type": "offline", "prompt": "consent"},
    # The refresh token stays the same and does not come again. It dies when the person says so, after 6 months
    # without use, or after 7 days while the project's consent screen is in testing.
    refresh_class="B",
    idle_seconds=180 * 86_400.0,
    token_errors=TOKEN_ERRORS,
    help="https://console.cloud.google.com/auth/clients (desktop app)",
)
"""A person's consent to one of Google's services; the connector adds its scopes."""

google = Connector(
    "google",
    title="Google Workspace",
    base_url="https://www.googleapis.com",
    auth=(
        schemes.OAuth2(
            authorize_url="https://accounts.google.com/o/oauth2/v2/auth",
            token_url="https://oauth2.googleapis.com/token",
            revoke_url="https://oauth2.googleapis.com/revoke",
            device_url="https://oauth2.googleapis.com/device/code",
            authorize_parameters={"access_type": "offline", "prompt": "consent"},
            refresh_class="B",
            token_errors=TOKEN_ERRORS,
        ),
        Bearer(help="an access token, for trying things out; it lives an hour"),
    ),
    pages=CursorPages(items="items", cursor="nextPageToken", parameter="pageToken"),
    errors=ERRORS,
    webhooks=GOOGLE_CHANNEL,
    docs="https://developers.google.com/workspace",
)
