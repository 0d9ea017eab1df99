"""What GitHub's refusals mean. The first rule that fits counts, so the words of a refusal come before its status.

Sources: https://docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api, rate-limits-for-the-rest-api,
best-practices-for-using-the-rest-api and, for single sign-on, authenticating-to-the-rest-api.
"""

import re

from clew import ErrorMap, Reset, Response, Rule, Verdict

WRITES = ("POST", "PUT", "PATCH", "DELETE")
MINUTE = 60.0
"""The least to wait when GitHub does not say how long (seconds)."""

LOGIN = (
    Rule(
        code="auth_revoked",
        status=401,
        headers={"x-github-otp": "required.*"},
        message="{provider} wants a one-time password with this kind of login.",
        next_step="Ask the person to store a personal access token: clew auth set github",
    ),
    Rule(code="auth_expired", status=401),
    Rule(
        code="auth_revoked",
        status=403,
        text="maximum number of login attempts exceeded",
        message="{provider} refuses all logins for a while, after too many with bad credentials.",
        next_step="Stop calling. Ask the person to check the token: clew auth set github",
    ),
)

LIMITS = (
    Rule(
        code="rate_limited",
        status=(403, 429),
        text="secondary rate limit|abuse detection mechanism|submitted too quickly",
        message="{provider} says the calls come too fast (secondary rate limit).",
        retry_after=MINUTE,
    ),
    Rule(code="rate_limited", status=(403, 429), text="API rate limit exceeded", retry_after=MINUTE),
    Rule(
        code="rate_limited",
        status=(200, 422),
        body={"errors[*].message": ".*submitted too quickly.*"},
        message="{provider} says content is created too fast (secondary rate limit).",
        retry_after=MINUTE,
        not_applied=True,
    ),
)

FORBIDDEN = (
    Rule(
        code="action_required",
        status=403,
        headers={"x-github-sso": "required.*"},
        url="x-github-sso",
        message="an organization at {provider} wants its single sign-on for this token.",
        next_step="Give the link to the person: there they authorize the token for the organization. Then call again.",
    ),
    Rule(
        code="invalid_input",
        status=403,
        body={"errors[*].code": "too_large"},
        message="the file is too large for {provider}'s API.",
        next_step="Ask for another file, or tell the person to clone the repository.",
    ),
    # Not invalid_input: we always send the header, so no other argument can help.
    Rule(
        code="internal",
        status=403,
        text="request has a User-Agent header|forbidden by administrative rules",
        message="{provider} got the request without a User-Agent header.",
        next_step="Report this to the person who runs the server: a proxy on the way removes the header.",
    ),
    Rule(
        code="permission",
        status=403,
        text="access blocked|account (?:was|is|has been) suspended",
        message="{provider} has blocked this repository or account.",
        next_step="Tell the person: only GitHub support can lift the block.",
    ),
    # Other words on an empty budget. Late, because the last call of a window can be refused for other reasons too.
    Rule(code="rate_limited", status=(403, 429), headers={"x-ratelimit-remaining": "0"}, retry_after=MINUTE),
    Rule(
        code="permission",
        status=451,
        message="{provider} has blocked this for legal reasons.",
        next_step="Tell the person; no account can get it.",
    ),
)

STATE = (
    Rule(
        code="not_found",
        status=404,
        message="{provider} does not know this object, or hides it from this account.",
        next_step="Check owner, repo and number. If they are right, ask the person to give the account access: "
        "GitHub answers the same for private objects.",
    ),
    Rule(
        code="not_found",
        status=(301, 302, 307, 308),
        methods=WRITES,
        message="the repository has moved; {provider} did nothing.",
        next_step="Read the object: its url shows the new owner and name. Then call again with these.",
    ),
    Rule(
        code="invalid_input",
        status=405,
        text="not allowed on this repository",
        next_step="Call again with another merge method.",
    ),
    Rule(
        code="conflict",
        status=405,
        message="{provider} cannot merge the pull request in its present state.",
        next_step="Read it with get_pull_request: mergeable_state and the checks say what is missing.",
    ),
    Rule(code="conflict", status=409),
    Rule(
        code="conflict",
        status=410,
        text="issues (?:are|has been|have been) disabled",
        message="the repository has its issues turned off.",
        next_step="Use another repository, or ask a person who administers this one to turn issues on.",
    ),
    Rule(code="not_found", status=410, text="was deleted", message="this was deleted at {provider}."),
    Rule(
        code="contract_changed",
        status=(400, 410),
        # The message alone: addresses of the documentation can hold these words.
        body={"message": "(?s).*(?:version|deprecated|retired|no longer (?:supported|available)).*"},
        message="{provider} no longer supports the API version this connector speaks.",
    ),
)

INPUT = (
    Rule(code="invalid_input", status=400, text="problems parsing JSON|body should be a JSON"),
    Rule(code="already_done", status=422, body={"errors[*].code": "already_exists"}),
    Rule(
        code="already_done",
        status=422,
        text="reference already exists",
        message="{provider} already has a branch or tag of this name; it may point elsewhere.",
        next_step="Read it before anything is built on it.",
    ),
    Rule(
        code="already_done",
        status=422,
        text="a pull request already exists",
        message="{provider} already has an open pull request for this head and base.",
        next_step='Find it: search_issues with kind=pull_request and a query like "repo:octo/app head:my-branch".',
    ),
    Rule(
        code="invalid_input",
        status=422,
        text="only the first 1000 search results",
        message="{provider} shows no more than the first 1000 results of a search.",
        next_step="Narrow the query, for example with created:>2026-01-01.",
    ),
)

# Also 503 with Retry-After: GitHub does not say that nothing happened.
FAULTS = (Rule(code="transient", status=(500, 502, 503, 504)),)

GRAPHQL = tuple(
    Rule(code=code, status=200, methods=("POST",), body={"errors[*].type": kind}, retry_after=wait)
    for kind, code, wait in (
        ("RATE_LIMIT(?:ED)?", "rate_limited", MINUTE),
        ("FORBIDDEN|INSUFFICIENT_SCOPES", "permission", None),
        ("NOT_FOUND", "not_found", None),
        ("MAX_NODE_LIMIT_EXCEEDED", "invalid_input", None),
    )
)


def classify(response: Response) -> Verdict | None:
    """What rules cannot say: which rights are missing, and which fields are wrong."""
    if response.status == 403 and re.search(r"resource not accessible by|must have \w+ ", response.text, re.IGNORECASE):
        return Verdict("permission", next_step=_grant(response))
    faults = _faults(response) if response.status == 422 else []
    if faults and any(code != "already_exists" for _, code in faults) and not _known(response):
        named = ", ".join(f"{field} ({code})" if field else code for field, code in faults)
        return Verdict("invalid_input", "{provider} rejected the arguments: " + named + ".")
    return None


def _known(response: Response) -> bool:
    return any(rule.matches(response) for rule in INPUT if rule.text)


def _faults(response: Response) -> list[tuple[str, str]]:
    """Field and code of the first faults; anything that does not look like a name is not repeated."""
    faults: list[tuple[str, str]] = []
    for position in range(10):
        code = response.field(f"errors[{position}].code")
        if code is None or not re.fullmatch(r"[\w-]{1,40}", code):
            break
        field = response.field(f"errors[{position}].field") or ""
        faults.append((field if re.fullmatch(r"[\w.-]{1,40}", field) else "", code))
    return faults


def _grant(response: Response) -> str | None:
    """The next step with the rights' names, when GitHub names them."""
    permissions = _listed(response, "x-accepted-github-permissions")
    scopes, held = _listed(response, "x-accepted-oauth-scopes"), _listed(response, "x-oauth-scopes")
    if permissions:
        return f"Ask the person to give the token this permission: {permissions}. Or use another account."
    if scopes:
        has = f"; it has: {held}" if held else ""
        return f"Ask the person for a token with one of these scopes: {scopes}{has}. Or use another account."
    return None


def _listed(response: Response, header: str) -> str:
    value = response.headers.get(header, "").strip()
    return value if re.fullmatch(r"[\w=,;: -]{1,200}", value) else ""


ERRORS = ErrorMap(
    message=("errors[0].message", "errors[0]", "message"),
    provider_code=("errors[0].code", "errors[0].type"),
    request_id=("x-github-request-id",),
    resets=(Reset(header="x-ratelimit-reset", unit="epoch_s", remaining="x-ratelimit-remaining"),),
    buckets=("x-ratelimit-resource",),
    rules=(*LOGIN, *LIMITS, *FORBIDDEN, *STATE, *INPUT, *FAULTS, *GRAPHQL),
    hook=classify,
)
