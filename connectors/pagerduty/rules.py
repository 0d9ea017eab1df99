"""What PagerDuty's refusals mean. Integer codes; some 429 have neither headers nor body.

Sources: PagerDuty/developer-docs (`14-Errors`, `04-Rate-Limits`), pagerduty (python) 7.2.0. An open incident with the
same key is refused as 2001 or 2002, as people posted it.
"""

from clew import ErrorMap, Reset, Rule

ERRORS = ErrorMap(
    message=("error.errors[0]", "error.message", "errors[0]", "message", "error_description", "error"),
    provider_code=("error.code", "error"),
    request_id=("x-request-id",),
    resets=(Reset(header="ratelimit-reset", unit="delta_s"),),
    rules=(
        Rule(code="rate_limited", codes="2020"),
        # Events are not taken in while it lasts; 30 s is the documented pause.
        Rule(code="rate_limited", status=429, retry_after=30),
        Rule(code="auth_expired", codes="2006"),
        Rule(code="auth_expired", status=401),
        Rule(code="permission", codes="2010 1018 2018 2014 2012 2008"),
        Rule(code="permission", status=402),
        Rule(code="quota_exhausted", codes="2019 2017"),
        Rule(code="not_found", codes="2100 5001 5002 6001 3004 4004 1014 1007 2013"),
        Rule(
            code="conflict",
            codes="1015",
            message="nobody is on call for this escalation policy at {provider}.",
            next_step="Give user_ids, or another service or policy; list_oncalls shows who is on call.",
        ),
        Rule(
            code="invalid_input",
            codes="1008 2011",
            message="{provider} does not know in whose name this login acts.",
            next_step="Pass from_email: the address of a user of the account.",
        ),
        # Whether that is what was wanted, the tool says: what is resolved was not reassigned by being so.
        Rule(code="conflict", codes="1001 1002 1019"),
        Rule(code="conflict", codes="2001 2002", text="already (?:been )?(?:resolved|acknowledged|merged)"),
        Rule(code="already_done", codes="2001 2002", text="dedup key already exists"),
        Rule(code="conflict", codes="1005 1006 1011 1012 1013 5003"),
        Rule(code="transient", codes="2016"),
        Rule(
            code="internal",
            codes="2009",
            message="{provider} wants HTTPS.",
            next_step="Report this to the person who runs the server: the base URL must begin with https.",
        ),
        Rule(code="invalid_input", codes="2001 2002 2003 2004 2005 1003 1004 3001"),
        Rule(code="transient", codes="2000"),
        Rule(code="provider_down", status=(502, 503, 504)),
        Rule(code="accepted", status=202),
    ),
)
