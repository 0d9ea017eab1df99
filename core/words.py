"""What machine codes and sentences mean that many providers share: gRPC and HTTP words, OAuth's, GraphQL servers'.

A connector's own table comes first; these are for what it does not name. A word is compared without case, spaces and
punctuation, so `RATE_LIMITED`, `rateLimited` and `rate-limited` are one. How much a word may say depends on the status:
a permission that is refused with 403 does not become a fault of the arguments because of a careless word.
"""

import re
from collections.abc import Iterable, Mapping

from clew.core.errors import Code

_MEANINGS: Mapping[Code, str] = {
    Code.RATE_LIMITED: """
        ratelimit ratelimited ratelimits ratelimiterror ratelimitexceeded ratelimitreached toomanyrequests throttled
        throttling throttlingerror throttlingexception throttlederror requestlimitexceeded resourceexhausted
        userratelimitexceeded activitylimitreached applicationthrottled slowdown concurrencylimitexceeded
        toomanyconcurrentrequests enhanceyourcalm requestthrottled serverbusy limitexceededexception
        apiratelimitexceeded provisionedthroughputexceededexception toomanyrequestsexception
        requestthrottledexception overquerylimit
    """,
    Code.QUOTA_EXHAUSTED: """
        quotaexceeded quotaexhausted dailylimitexceeded insufficientquota usagelimitexceeded creditsexhausted
        billinglimitexceeded monthlylimitexceeded storagelimitexceeded storagequotaexceeded planlimitreached
        planlimitexceeded usagelimitreached overdailylimit usagecapexceeded quotalimitreached insufficientstorage
        outofcredits paymentrequired
    """,
    Code.AUTH_EXPIRED: """
        tokenexpired expiredtoken accesstokenexpired unauthenticated invalidtoken invalidaccesstoken
        expiredaccesstoken sessionexpired invalidsessionid expiredauthentication unauthorized authenticationrequired
        authenticationerror autherror invalidsession authenticationfailed notauthenticated jwtexpired
        expiredtokenexception authtokenexpired tokennotvalid credentialsexpired notloggedin sessiontimedout
    """,
    Code.AUTH_REVOKED: """
        tokenrevoked accountinactive accountdisabled invalidapikey apikeyinvalid apikeyexpired badcredentials
        invalidcredentials revokedtoken accountsuspended userdisabled invalidclientcredentials invalidgrant
        invalidaccesskey missingaccesskey unrecognizedclientexception wrongpassword invalidlogin badapikey apikeyrevoked
    """,
    Code.PERMISSION: """
        permissiondenied forbidden accessdenied insufficientscope insufficientscopes insufficientpermission
        insufficientpermissions missingscope missingscopes missingpermission missingpermissions notallowed
        unauthorizedaction forbiddenaction accessforbidden operationnotpermitted notpermitted nopermission
        insufficientprivileges insufficientaccess featurenotenabled featurenotavailable authorizationerror
        authorizationfailed notentitled accessdeniedexception requestdenied
    """,
    Code.NOT_FOUND: """
        notfound resourcenotfound objectnotfound entitynotfound recordnotfound itemnotfound resourcemissing
        nosuchkey nosuchbucket doesnotexist usernotfound projectnotfound documentnotfound unknownobject resourcegone
        resourcenotfoundexception
    """,
    Code.CONFLICT: """
        conflict conflicterror aborted failedprecondition preconditionfailed versionconflict editconflict
        optimisticlockexception stale staleobject staledata resourcelocked locked objectlocked locktimeout
        conflictexception updateconflict invalidstate idempotencyerror idempotencykeyinuse concurrentmodification
        concurrentupdate resourceinuse conditionalcheckfailedexception conditionalrequestfailed
    """,
    Code.ALREADY_DONE: """
        alreadyexists duplicate duplicaterecord duplicatevalue objectalreadyexists resourcealreadyexists
        entityalreadyexists uniqueviolation alreadydone alreadyclosed alreadyprocessed
    """,
    Code.INVALID_INPUT: """
        invalidargument validationerror badrequest baduserinput invalidinput invalidrequest invalid outofrange
        missingfield missingparameter invalidparameter parametermissing parameterinvalid unprocessableentity
        invalidvalue malformedrequest requiredfieldmissing inputerror usererror validationfailed invalidparameters
        invaliddata requestvalidationfailed typemismatch missingrequiredparameter missingrequiredfield invalidformat
        jsonparseerror parseerror malformedjson requesttoolarge payloadtoolarge maxcostexceeded querytoocomplex
        maxcomplexityexceeded validationexception invalidjson
    """,
    Code.CONTRACT_CHANGED: """
        unimplemented graphqlvalidationfailed graphqlparsefailed undefinedfield unknownfield versionnotsupported
        unsupportedapiversion apiversionnotsupported methoddeprecated endpointdeprecated notimplemented
        persistedquerynotfound deprecatedendpoint unsupportedversion
    """,
    Code.TRANSIENT: """
        internal internalerror internalservererror internalfailure servererror unavailable serviceunavailable
        deadlineexceeded timeout gatewaytimeout requesttimeout temporarilyunavailable backenderror unexpectederror
        unknownerror dataloss badgateway generalexception serviceoverload overloaded overloadederror fatalerror
        locktimeoutexceeded
    """,
    Code.PROVIDER_DOWN: """
        maintenance maintenancemode undermaintenance servicedisabledtemporarily readonlymode
    """,
    Code.ACTION_REQUIRED: """
        actionrequired authenticationrequiredbyissuer requiresaction consentrequired interactionrequired mfarequired
        stepuprequired insufficientclaims insufficientuserauthentication ssorequired termsnotaccepted
        reauthenticationrequired
    """,
}
_MEANING = {word: code for code, words in _MEANINGS.items() for word in words.split()}

_REFUSALS = frozenset({Code.RATE_LIMITED, Code.QUOTA_EXHAUSTED})
_PERSON = frozenset({Code.AUTH_EXPIRED, Code.AUTH_REVOKED, Code.PERMISSION, Code.ACTION_REQUIRED})
_ALLOWED: Mapping[int, frozenset[Code]] = {
    401: _REFUSALS | _PERSON,
    402: _REFUSALS | {Code.PERMISSION, Code.ACTION_REQUIRED},
    403: _REFUSALS | _PERSON,
    404: frozenset({Code.NOT_FOUND, Code.RATE_LIMITED, Code.AUTH_REVOKED, Code.CONTRACT_CHANGED}),
    409: _REFUSALS | {Code.CONFLICT, Code.ALREADY_DONE},
    410: frozenset({Code.NOT_FOUND, Code.CONTRACT_CHANGED, Code.CONFLICT}),
    412: frozenset({Code.CONFLICT, Code.ALREADY_DONE}),
    429: _REFUSALS | {Code.CONFLICT},
}

_LIMIT = re.compile(
    r"\b(?:rate|request|call|concurren\w*)[\s-]*limits?\b[^.]{0,40}\b(?:exceeded|reached|hit|surpassed)"
    r"|\b(?:exceeded|reached|hit)\b[^.]{0,40}\b(?:rate|request|call|concurren\w*)[\s-]*limit"
    r"|too many (?:concurrent )?(?:requests|calls|attempts)|\bthrottl(?:ed|ing)\b|requested too many times"
    r"|\brate[\s-]*limited\b|\brate limit quota violation|spike arrest|\brate exceeded\b|enhance your calm"
    r"|\b(?:account|developer) over (?:rate|quer(?:y|ies) per second|qps)\b|exceeding our rate limits"
    r"|request trigger frequency limit",
    re.IGNORECASE,
)
_SHORT = re.compile(
    r"\blimit per (?:second|minute)\b|\bper[- ](?:second|minute) (?:rate )?limit|\bhourly\b[^.]{0,40}\bexceeded",
    re.IGNORECASE,
)
_QUOTA = re.compile(
    r"\b(?:daily|monthly|weekly|per[- ]day|plan|billing|credits?|subscription|storage)\b[^.]{0,60}"
    r"\b(?:exceeded|exhausted|reached|used up|depleted)"
    r"|\b(?:exceeded|exhausted|reached|out of)\b[^.]{0,40}\b(?:daily|monthly|credits?|plan|billing|storage)\b"
    r"|maximum credits exceeded|insufficient credits?|credit balance is too low|out of call volume quota"
    r"|\b(?:daily|monthly)\b[^.]{0,20}\bquota limit",
    re.IGNORECASE,
)
_FAULT = re.compile(r"something went wrong|timed?[\s-]*out|internal (?:server )?error|try again", re.IGNORECASE)
_EXPIRED = re.compile(
    r"\b(?:access|auth|authentication|authorization|security|bearer|id) ?token\b[^.]{0,40}\bexpired"
    r"|\bexpired access token|\bsession (?:has |is )?expired|\bjwt (?:has |is )?expired",
    re.IGNORECASE,
)
_UNKNOWN_KEY = re.compile(
    r"\b(?:invalid|incorrect|unknown|missing)\b[^.]{0,20}\b(?:api|access|subscription)[ _-]?key"
    r"|\bapi[ _-]?key\b[^.]{0,30}\b(?:is |was )?(?:invalid|incorrect|missing|revoked)|\binvalid credential",
    re.IGNORECASE,
)
_SCHEMA = re.compile(
    r"cannot query field|doesn't exist on type|does not exist on type|unknown (?:argument|type|field)\b|undefinedField"
    r"|doesn't accept argument|api version .{0,40}(?:not supported|no longer|retired|unsupported)",
    re.IGNORECASE,
)


def plain(word: str) -> str:
    """A machine code in lower case, without anything but letters and digits; of an address the last part, of a
    qualified name (`service#Error`) the name."""
    tail = word.rstrip("/").rpartition("/")[2] if "://" in word else word.rpartition("#")[2]
    return re.sub(r"[^a-z0-9]", "", tail.lower())


def meaning(codes: Iterable[str], status: int, *, fault: bool = False) -> tuple[Code, str] | None:
    """What the first known machine code means, and that code; `None` when none is known or may say so at `status`.

    `fault` says that the shape sends every error with 500 (SOAP), so that the status says nothing.
    """
    for code in codes:
        found = _MEANING.get(plain(code)[:60])
        if found is not None and _may_say(found, plain(code), status, fault):
            return found, code
    return None


def _may_say(code: Code, word: str, status: int, fault: bool) -> bool:
    if status >= 500 and not fault:
        return code in (Code.RATE_LIMITED, Code.PROVIDER_DOWN)
    if status == 401 and code is Code.PERMISSION:
        return "scope" in word  # other words for "no" say no more than the status
    if status == 403 and code is Code.AUTH_EXPIRED:
        return re.search("expired|token|session|unauthenticated", word) is not None
    return code in _ALLOWED.get(status, (code,))


_IMPLIED: tuple[tuple[re.Pattern[str], Code, tuple[int, ...]], ...] = (
    (_SHORT, Code.RATE_LIMITED, ()),
    (_QUOTA, Code.QUOTA_EXHAUSTED, ()),
    (_LIMIT, Code.RATE_LIMITED, ()),
    (_FAULT, Code.TRANSIENT, (200,)),
    (_EXPIRED, Code.AUTH_EXPIRED, (200, 400, 403)),
    (_UNKNOWN_KEY, Code.AUTH_REVOKED, (200,)),
    (_SCHEMA, Code.CONTRACT_CHANGED, (200, 400, 410, 422)),
)
"""What sentences say, at these statuses (empty: at any below 500 but 404 and 405)."""


def implied(message: str, status: int) -> Code | None:
    """What a sentence of the provider's says beyond its status: a limit, an allowance, an interface that changed."""
    if not message or status in (404, 405) or status >= 500:
        return None
    found = next((code for said, code, at in _IMPLIED if (not at or status in at) and said.search(message)), None)
    return None if status == 429 and found is Code.RATE_LIMITED else found
