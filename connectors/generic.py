"""An API that nobody has described: what shared shapes and statuses alone say. Also the start for OpenAPI documents.

The table is the one that RFC 9110 and common practice give; no fact of any provider is in it.
"""

from clew import ApiKey, Basic, Bearer, Connector, ErrorMap, Reset, Rule, schemes

_HEADERS = (
    "x-ratelimit-reset", "x-rate-limit-reset", "ratelimit-reset", "x-ratelimit-reset-requests",
    "x-ratelimit-reset-after",
)  # fmt: skip
_LEFT = {
    "x-ratelimit-reset": "x-ratelimit-remaining",
    "x-rate-limit-reset": "x-rate-limit-remaining",
    "ratelimit-reset": "ratelimit-remaining",
}

_IN_SECONDS = r"(?i)(?:try again|retry|available|wait)\D{0,20}?(\d{1,5}(?:\.\d{1,3})?) ?s(?:ec|econds?)?\b"

ERRORS = ErrorMap(
    message=(
        "message",
        "error.message",
        "error_description",
        "detail",
        "errors[0].message",
        "errors[0].detail",
        "title",
        "description",
        "error",
        "reason",
        "msg",
        "[0].message",
        "fault.faultstring",
        "errors[0]",
        "detail[0].msg",
    ),
    provider_code=(
        "errors[*].extensions.code",
        "errors[*].code",
        "error.errors[*].reason",
        "error.code",
        "error.type",
        "error.status",
        "errorCode",
        "error_code",
        "code",
        "error",
        "[*].errorCode",
        "type",
        "__type",
        "detail[*].type",
        "fault.detail.errorcode",
    ),
    request_id=(
        "x-request-id",
        "request-id",
        "x-correlation-id",
        "x-amzn-requestid",
        "x-trace-id",
        "cf-ray",
    ),
    # Units are not known here, so numbers are read by their size, and a wait is never believed beyond its clamp.
    resets=(
        Reset(body="retry_after"),
        Reset(body="error.retry_after"),
        Reset(body="parameters.retry_after"),
        Reset(header="ratelimit", pattern=r"\br=0\s*;\s*t=(\d{1,6})"),
        Reset(header="ratelimit", pattern=r"\bremaining=0\b.*?\breset=(\d{1,6})"),
        *(Reset(body=path, pattern=_IN_SECONDS) for path in ("message", "detail", "error.message", "error")),
        *(Reset(header=name, remaining=_LEFT.get(name)) for name in _HEADERS),
    ),
    buckets=("ratelimit-reason", "x-ratelimit-resource", "x-ratelimit-bucket", "ratelimit-name"),
    rules=(
        # Limits that come as a permission, as an overload, or as a page of a gateway (Kong, Apigee, Mashery, AWS).
        Rule(
            code="rate_limited",
            status=(403, 420, 500, 503),
            codes="slowdown throttl* ratelimit* rate_limit* toomanyrequests* requestlimitexceeded policies.ratelimit.*",
        ),
        Rule(
            code="rate_limited",
            status=(403, 420),
            text=r"(?:account|developer) over (?:rate|qps|queries per second)|being rate limited|enhance your calm",
        ),
        Rule(code="auth_expired", status=403, headers={"x-amzn-errortype": "ExpiredToken.*"}),
        # With Retry-After it is a pause, not a refusal: whether a change was made stays open.
        Rule(code="transient", status=503, headers={"retry-after": ".+"}),
        Rule(code="provider_down", status=503),
        Rule(code="invalid_input", status=(405, 406, 415)),
    ),
)

generic = Connector(
    "generic",
    title="Any HTTP API",
    base_url="https://localhost",
    auth=(
        Bearer(help="an access token"),
        ApiKey(header="X-API-Key", help="an API key"),
        Basic(help="user name and password"),
        schemes.OAuth2(
            discovery_url="{issuer}",
            scopes=("openid",),
            variables={"issuer": schemes.Variable(pattern=r"https?://[^\s?#]{1,500}", help="its address, https://…")},
            # What the server does with used refresh tokens is not in its description; the careful way fits all.
            refresh_class="C",
        ),
    ),
    errors=ERRORS,
    docs="https://www.rfc-editor.org/rfc/rfc9110",
)
