"""What Salesforce's refusals mean. Error bodies are arrays; one code has two meanings, told apart by its message.

Sources: airbyte-source-salesforce 2.10.3, simple-salesforce 1.12.10, jsforce 3.10.16, developer.salesforce.com
(api_rest: conditional requests, upsert by external id). "(memory)" marks what was not read again.
"""

from clew import ErrorMap, Rule

ERRORS = ErrorMap(
    message=("[0].message", "[0].errors[0].message", "error_description", "message", "error", "errorMessage"),
    provider_code=(
        "[*].errorCode",
        "[*].statusCode",
        "[*].errors[*].statusCode",
        "errorCode",
        "exceptionCode",
        "error",
        "errors[*].statusCode",
    ),
    request_id=("sforce-request-id", "x-request-id"),
    rules=(
        # These loop for ever when refreshed.
        Rule(
            code="permission",
            status=(401, 403),
            text="session is not valid for use with the REST API|Connected app is not attached to Agent",
        ),
        Rule(code="auth_expired", codes="INVALID_SESSION_ID sf:INVALID_SESSION_ID"),
        Rule(code="auth_revoked", codes="INVALID_AUTH_HEADER INVALID_LOGIN INVALID_USER_ID INACTIVE_OWNER_OR_USER"),
        # Seconds: too many at once. Hours: the rolling day is used up.
        Rule(
            code="rate_limited",
            codes="REQUEST_LIMIT_EXCEEDED",
            text="Concurrent|LongTxn|too many (?:login|requests) .{0,20}(?:minute|second)",
            retry_after=10,
        ),
        Rule(code="quota_exhausted", codes="REQUEST_LIMIT_EXCEEDED"),
        Rule(
            code="quota_exhausted",
            codes="STORAGE_LIMIT_EXCEEDED LIMIT_EXCEEDED DUPLICATE_COMM_NICKNAME_LIMIT EMAIL_LIMIT_EXCEEDED "
            "MASS_MAIL_LIMIT_EXCEEDED SINGLE_EMAIL_LIMIT_EXCEEDED DAILY_LIMIT_EXCEEDED API_DAILY_LIMIT",
        ),
        Rule(
            code="permission",
            codes="API_DISABLED_FOR_ORG API_CURRENTLY_DISABLED FUNCTIONALITY_NOT_ENABLED INSUFFICIENT_ACCESS* "
            "TXN_SECURITY_METERING_ERROR TXN_SECURITY_NO_ACCESS CANNOT_EXECUTE_FLOW_TRIGGER_DENIED "
            "FIELD_INTEGRITY_NO_ACCESS OAUTH_APP_BLOCKED FORBIDDEN ILLEGAL_QUERY_PARAMETER_ACCESS",
        ),
        # A trigger or a lock: the text says whether time helps. Nothing was saved either way.
        Rule(
            code="transient",
            codes="CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
            text="UNABLE_TO_LOCK_ROW|Apex CPU",
            not_applied=True,
        ),
        Rule(code="transient", codes="UNABLE_TO_LOCK_ROW", not_applied=True),
        Rule(
            code="not_found",
            codes="NOT_FOUND ENTITY_IS_DELETED INVALID_CROSS_REFERENCE_KEY INVALID_ID_FIELD",
        ),
        Rule(code="contract_changed", codes="INVALID_FIELD INVALID_TYPE INVALID_FIELD_FOR_INSERT_UPDATE_SCHEMA"),
        Rule(code="contract_changed", codes="UNSUPPORTED_API_VERSION INVALID_API_VERSION"),
        Rule(code="contract_changed", status=410),
        Rule(code="conflict", codes="DUPLICATE_VALUE DUPLICATES_DETECTED DUPLICATE_EXTERNAL_ID ENTITY_IS_LOCKED"),
        Rule(
            code="conflict",
            status=300,
            message="several {provider} records have this external id.",
            next_step="Search for them, then use a record's own id.",
        ),
        Rule(
            code="conflict",
            status=412,
            message="the {provider} record has changed since it was read; nothing was changed.",
            next_step="Read it again with get_record, decide anew, and pass its new last_modified.",
        ),
        Rule(code="transient", codes="QUERY_TIMEOUT"),
        Rule(
            code="invalid_input",
            codes="MALFORMED_QUERY MALFORMED_ID JSON_PARSER_ERROR REQUIRED_FIELD_MISSING "
            "FIELD_CUSTOM_VALIDATION_EXCEPTION INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST STRING_TOO_LONG "
            "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY OPERATION_TOO_LARGE EXCEEDED_ID_LIMIT FIELD_INTEGRITY_EXCEPTION "
            "INVALID_EMAIL_ADDRESS NUMBER_OUTSIDE_VALID_RANGE INVALID_FIELD_FOR_INSERT_UPDATE MALFORMED_SEARCH "
            "INVALID_QUERY_FILTER_OPERATOR METHOD_NOT_ALLOWED NOT_ACCEPTABLE URL_NOT_RESET DEPENDENCY_EXISTS "
            "MISSING_ARGUMENT INVALID_QUERY_LOCATOR INVALID_BATCH_SIZE DELETE_FAILED PROCESSING_HALTED "
            "ALL_OR_NONE_OPERATION_ROLLED_BACK",
        ),
        # Edges of the platform, empty or HTML.
        Rule(code="transient", status=(406, 420)),
        Rule(code="transient", status=(500, 502), codes="UNKNOWN_EXCEPTION"),
        Rule(code="provider_down", status=503, codes="SERVER_UNAVAILABLE"),
        Rule(
            code="invalid_input",
            status=200,
            body={"state": "Failed", "object": ".+"},
            message="the {provider} bulk job failed.",
            next_step="Read the job's errorMessage and its failed results.",
        ),
    ),
)
