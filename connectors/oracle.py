"""Oracle: facts of NetSuite (REST, RESTlets, SOAP), Fusion Cloud REST, ORDS, and the codes of Oracle Database.

Sources: docs.oracle.com (NetSuite governance, OAuth), airbyte-source-netsuite 0.1.29, python-oracledb docs and
`errors.py` 26.1.0. "(memory)" marks what was not read again.
"""

import re

from clew import Basic, Connector, ErrorMap, Limit, NumberPages, Response, Rule, Verdict, errors, schemes

ANY = (200, *range(400, 600))

_DATABASE = (
    # Bad password, locked, expired: every further try locks the account.
    (r"ORA-0*(?:1017|28000|28001|28002)\b", "auth_revoked"),
    (r"ORA-0*(?:1031|1045|942|41900)\b", "permission"),
    (r"ORA-0*(?:904|6550)\b", "contract_changed"),
    (r"ORA-0*1\b", "already_done"),
    (r"ORA-0*(?:1400|1438|12899|2290|2291|2292|1722|936|933|900|1861|1858)\b", "invalid_input"),
    (r"ORA-0*(?:60|8177|54|30006|4021)\b", "conflict"),
    (r"ORA-0*(?:1652|1653|30036|2391|18|20)\b", "quota_exhausted"),
    (r"DPY-4005|ORA-24457", "rate_limited"),
    (r"ORA-0*(?:376|1033|1034|1090|1115|12514|12571|12757|12505|12528)\b", "provider_down"),
    (r"DPY-6005|DPY-6001|DPY-4000|ORA-12541|ORA-12154|ORA-12545", "unreachable"),
    (
        r"DPY-40(?:11|24)|DPY-1001|DPI-10[18]0|ORA-0*(?:28|31|1012|1089|1092|2396|3113|3114|3135|12537|12547|12570|3150"
        r"|2068)\b",
        "transient",
    ),
    (r"ORA-0*(?:4068|1555)\b", "transient"),
)


def classify(response: Response) -> Verdict | None:
    """Database codes stand in the text, in the driver's spelling or the server's."""
    if 200 <= response.status < 400 or not any(mark in response.text for mark in ("ORA-", "DPY-", "DPI-")):
        return None
    for pattern, code in _DATABASE:
        if re.search(pattern, response.text):
            if code == "unreachable":
                why = "the database cannot be reached; nothing was sent."
                return Verdict("transient", why, outcome=errors.Outcome.NOT_APPLIED)
            return Verdict(code)
    return None


ERRORS = ErrorMap(
    message=(
        "['o:errorDetails'][0].detail",
        "error.message",
        "detail",
        "message",
        "title",
        "error_description",
        "error",
    ),
    provider_code=("['o:errorDetails'][*]['o:errorCode']", "error.code", "code", "error"),
    request_id=("x-n-operationid", "x-oracle-dms-ecid", "ns_rtimer_composite"),
    hook=classify,
    rules=(
        Rule(
            code="rate_limited",
            status=ANY,
            codes="SSS_REQUEST_LIMIT_EXCEEDED WS_REQUEST_BLOCKED WS_CONCUR_SESSION_DISALLWD CONCURRENCY_LIMIT_EXCEEDED "
            "ExceededConcurrentRequestLimitFault ExceededRequestLimitFault EXCEEDED_CONCURRENT_REQUEST_LIMIT "
            "EXCEEDED_REQUEST_LIMIT",
            retry_after=5,
        ),
        Rule(code="rate_limited", status=429, retry_after=5),
        Rule(code="quota_exhausted", status=ANY, codes="SSS_USAGE_LIMIT_EXCEEDED EXCEEDED_MAX_RECORDS"),
        Rule(
            code="provider_down",
            status=503,
            text="maintenance",
            message="{provider} is under maintenance; that can take hours.",
        ),
        Rule(
            code="auth_revoked",
            status=ANY,
            codes="INVALID_LOGIN INVALID_LOGIN_ATTEMPT INVALID_LOGIN_CREDENTIALS USER_DISABLED invalidCredentialsFault",
        ),
        Rule(code="auth_expired", status=ANY, codes="SESSION_TIMED_OUT INVALID_SESSION invalidSessionFault"),
        Rule(code="auth_expired", status=401),
        Rule(
            code="permission",
            status=ANY,
            codes="INSUFFICIENT_PERMISSION INSUFFICIENT_PERMISSIONS FEATURE_DISABLED PERMISSION_VIOLATION "
            "insufficientPermissionFault",
        ),
        Rule(code="contract_changed", status=ANY, codes="NONEXISTENT_FIELD INVALID_VERSION"),
        Rule(code="not_found", status=ANY, codes="NONEXISTENT_ID RCRD_DSNT_EXIST INVALID_KEY_OR_REF"),
        Rule(code="conflict", status=ANY, codes="RCRD_HAS_BEEN_CHANGED RCRD_LOCKED_BY_WF"),
        Rule(code="already_done", status=ANY, codes="DUP_RCRD DUP_ENTITY DUP_ITEM"),
        Rule(
            code="invalid_input",
            status=ANY,
            codes="USER_ERROR INVALID_PARAMETER INVALID_CONTENT INVALID_VALUE SSS_MISSING_REQD_ARGUMENT "
            "SSS_TIME_LIMIT_EXCEEDED INVALID_REQUEST INVALID_SEARCH MISSING_REQD_ARGUMENT INVALID_ID",
        ),
        Rule(code="transient", codes="UNEXPECTED_ERROR"),
        # ORDS: the code behind the endpoint raised an error.
        Rule(code="invalid_input", status=555, message="the database code behind {provider} raised an error."),
    ),
)

oracle = Connector(
    "oracle",
    title="Oracle (NetSuite, Fusion, ORDS)",
    # Every account has its own host: https://{account}.suitetalk.api.netsuite.com, set by the operator.
    base_url="https://system.netsuite.com",
    auth=(
        schemes.OAuth2(
            authorize_url="https://{account}.app.netsuite.com/app/login/oauth2/authorize.nl",
            token_url="https://{account}.suitetalk.api.netsuite.com/services/rest/auth/oauth2/v1/token",
            revoke_url="https://{account}.suitetalk.api.netsuite.com/services/rest/auth/oauth2/v1/revoke",
            variables={"account": schemes.Variable(pattern=r"[a-z0-9]+(?:-[a-z0-9]+)*", help="1234567 or 1234567-sb1")},
            client_auth="basic",
            scopes=("rest_webservices",),
            # Confidential clients: reusable for seven days, then a new login.
            refresh_class="B",
            token_errors=(
                schemes.TokenRule(
                    "dead", code="invalid_grant|INVALID_LOGIN_ATTEMPT|INVALID_LOGIN_CREDENTIALS|invalid_token"
                ),
                schemes.TokenRule(
                    "misconfigured", code="invalid_client|invalid_request|unauthorized_client|invalid_scope"
                ),
            ),
        ),
        schemes.OAuth1("HMAC-SHA256", realm=True, help="NetSuite, Setup, Integration: token-based authentication"),
        Basic(help="Fusion Cloud: user name and password"),
    ),
    pages=NumberPages(parameter="offset", start=0, step="items", items="items", more="hasMore", size_parameter="limit"),
    # NetSuite counts requests at once for the whole account: 5 in the smallest tier. (concurrency governance)
    rate_limits=Limit(name="at once", amount=5, kind="concurrency", by="app"),
    errors=ERRORS,
    docs="https://docs.oracle.com/en/cloud/saas/netsuite/ns-online-help",
)
