"""SOAP and other XML services: what faults mean. Every fault of SOAP 1.1 has status 500, also a client's mistake.

Shapes are the framework's (`core/shapes.py`): it reads the fault's detail, subcodes and codes in that order. Sources:
zeep 4.3.3, jsforce 3.10.16; SOAP and WS-Security: (memory).
"""

from clew import Basic, Bearer, Connector, ErrorMap, Limit, Rule

ANY = (200, *range(400, 600))

ERRORS = ErrorMap(
    rules=(
        Rule(
            code="rate_limited",
            status=ANY,
            codes="ExceededConcurrentRequestLimitFault ExceededRequestLimitFault WS_REQUEST_BLOCKED "
            "WS_CONCUR_SESSION_DISALLWD REQUEST_LIMIT_EXCEEDED EXCEEDED_CONCURRENT_REQUEST_LIMIT TooManyRequests",
            retry_after=5,
        ),
        Rule(
            code="auth_expired",
            status=ANY,
            codes="FailedAuthentication InvalidSecurityToken InvalidSecurity INVALID_SESSION_ID SESSION_TIMED_OUT "
            "SecurityTokenUnavailable invalidSessionFault",
        ),
        Rule(code="auth_expired", status=(401, 500), text="session (?:has )?(?:timed out|expired)"),
        Rule(
            code="auth_expired",
            status=ANY,
            codes="MessageExpired",
            message="{provider} says the message is too old or too new; this machine's clock may be wrong.",
        ),
        Rule(code="auth_revoked", status=ANY, codes="INVALID_LOGIN INVALID_LOGIN_CREDENTIALS invalidCredentialsFault"),
        Rule(
            code="permission",
            status=ANY,
            codes="AccessDenied Client.AccessDenied Sender.AccessDenied INSUFFICIENT_PERMISSION "
            "insufficientPermissionFault",
        ),
        Rule(code="permission", status=500, text="(?:access|permission) (?:is |was )?denied|not authori[sz]ed"),
        Rule(code="already_done", status=ANY, codes="DUP_RCRD DUPLICATE_VALUE DUP_ENTITY"),
        Rule(
            code="not_found",
            status=ANY,
            codes="RCRD_DSNT_EXIST NONEXISTENT_ID NotFound Client.NotFound Sender.NotFound ObjectNotFound",
        ),
        Rule(
            code="contract_changed",
            status=ANY,
            codes="MustUnderstand VersionMismatch ActionNotSupported DataEncodingUnknown",
        ),
        Rule(code="contract_changed", status=(404, 405), message="{provider} has no service at this address."),
        Rule(
            code="transient",
            status=ANY,
            codes="Server Receiver Server.*",
            text="timeout|timed out|unavailable|try again",
        ),
        Rule(code="invalid_input", status=ANY, codes="Client* Sender* soapenv:Client* env:Sender"),
    ),
)

soap = Connector(
    "soap",
    title="SOAP and XML services",
    base_url="https://localhost",
    auth=(Basic(help="user name and password of the service"), Bearer(help="an access token")),
    # Many services serve one request of a session at a time.
    rate_limits=Limit(name="at once", amount=1, kind="concurrency"),
    errors=ERRORS,
    docs="https://www.w3.org/TR/soap12-part1/#soapfault",
)
