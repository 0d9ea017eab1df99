"""What HubSpot's refusals mean. The machine code is `category`; `policyName` says which limit was met.

Sources: HubSpot public API spec collection 2026-08, @hubspot/api-client 13.5.0, airbyte-source-hubspot 5.7.0,
developers.hubspot.com (usage guidelines, changelog). "(memory)" marks what was not read again.
"""

import re

from clew import ErrorMap, Response, Rule, Verdict

_TAKEN = re.compile(r"Existing ID: ?([0-9]{1,20})\b", re.IGNORECASE)


def classify(response: Response) -> Verdict | None:
    """What rules cannot say: which right is missing, and which record has the unique value already.

    The names and numbers are the provider's, so they are checked before they are repeated.
    """
    if response.status == 403 and response.field("category") == "MISSING_SCOPES":
        named = response.field("errors[0].context.requiredGranularScopes[0]") or ""
        known = re.fullmatch(r"[\w.-]{1,80}", named)
        step = f"Ask the person to connect HubSpot again with the scope {named}." if known else None
        return Verdict("permission", next_step=step)
    taken = _TAKEN.search(response.text) if response.status in (400, 409) else None
    if taken is None:
        return None
    if response.method == "POST":
        step = f"Nothing was changed. Read the record {taken[1]}, and update it instead."
        return Verdict("already_done", "{provider} has this record already.", step, object_id=taken[1])
    message = "another record at {provider} has this value, which must be unique; nothing was changed."
    return Verdict("conflict", message, f"Read the record {taken[1]}; a person can merge the two.", object_id=taken[1])


ERRORS = ErrorMap(
    message=("message", "errors[0].message", "error_description", "error"),
    provider_code=(
        "subCategory",
        "errors[*].code",
        "category",
        "errorType",
        "errors[*].subCategory",
        "errors[*].category",
        "status",
        "error",
    ),
    request_id=("x-hubspot-correlation-id", "x-request-id"),
    buckets=("policyName",),
    hook=classify,
    rules=(
        Rule(code="quota_exhausted", body={"policyName": "DAILY"}),
        Rule(code="rate_limited", status=429, body={"policyName": "SECONDLY"}, retry_after=1),
        Rule(code="rate_limited", status=429, retry_after=10),
        Rule(code="auth_expired", codes="EXPIRED_AUTHENTICATION"),
        Rule(code="auth_revoked", codes="INVALID_AUTHENTICATION BAD_REFRESH_TOKEN"),
        Rule(code="permission", codes="MISSING_SCOPES BANNED ACCOUNT_SUSPENDED FORBIDDEN"),
        Rule(code="permission", status=530),
        Rule(
            code="not_found",
            codes="OBJECT_NOT_FOUND RESOURCE_NOT_FOUND",
            methods=("PATCH",),
            next_step="Read it by its id: one that is archived shows archived_at, and a person can restore it.",
        ),
        Rule(code="not_found", codes="OBJECT_NOT_FOUND RESOURCE_NOT_FOUND"),
        Rule(code="contract_changed", status=404, headers={"content-type": "text/html.*"}),
        Rule(code="contract_changed", status=410),
        # The names in our own projections are never refused, only left out: what is refused came from the caller.
        Rule(
            code="invalid_input",
            status=400,
            text="PROPERTY_DOESNT_EXIST|Property \\S+ does not exist",
            message="the account at {provider} has no property of this name.",
            next_step="Use internal names. Read a record with the names in `show`: it tells which the account knows.",
        ),
        Rule(
            code="conflict",
            status=400,
            text="CONFLICTING_UNIQUE_VALUE|already has that value",
            message="another record at {provider} has this value, which must be unique; nothing was changed.",
        ),
        Rule(
            code="already_done",
            status=409,
            methods=("POST",),
            codes="OBJECT_ALREADY_EXISTS",
            next_step="Read the existing object; the provider's message holds its id.",
        ),
        Rule(
            code="already_done",
            status=409,
            methods=("POST",),
            text="already exists",
            next_step="Read the existing object; the provider's message holds its id.",
        ),
        Rule(code="conflict", status=409),
        Rule(code="conflict", status=423, retry_after=2),
        Rule(
            code="invalid_input",
            status=(400, 413, 414, 422, 431),
            codes="VALIDATION_ERROR INVALID_OPTION INVALID_EMAIL INVALID_PARAMS",
        ),
        Rule(code="invalid_input", status=(413, 414, 431)),
        # The account moves to another data centre; hours (memory).
        Rule(code="provider_down", status=477),
        Rule(code="provider_down", status=(521, 522, 523, 524, 525, 526)),
        # Processing limits: a few seconds.
        Rule(code="transient", status=(502, 504), retry_after=5),
    ),
)
