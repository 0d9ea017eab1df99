"""What mail servers' refusals mean: SMTP replies as `smtp` has them, IMAP's response codes of RFC 5530 as rows.

Over IMAP a yes is 200 and a no is 400, with the response code as the machine code. Sources: RFC 3501, 5530, 6154 and
8438; Gmail's `[ALERT]` texts and Exchange's `[UNAVAILABLE]` (memory).
"""

from typing import Any, cast

from clew import ErrorMap, Response, Rule, Verdict, errors
from clew.connectors.smtp import classify

IMAP = ("IMAP",)


def judge_reply(response: Response) -> Verdict | None:
    """SMTP: as `smtp` judges it, with what was said about single recipients. A refusal there is always an answer: what
    the server refused, it did not take."""
    if response.method != "SMTP":
        return None
    verdict = classify(response) or _by_code(response.status)
    refused = _refused(response.data)
    if verdict.success or not refused:
        return verdict
    message = "the mail server took none of the recipients; nothing was sent."
    return Verdict(
        verdict.code, message, verdict.next_step, verdict.retry_after, outcome=verdict.outcome, fields=refused
    )


def _by_code(status: int) -> Verdict:
    if status < 500:
        return Verdict("transient", retry_after=60 if status == 421 else 600, outcome=errors.Outcome.NOT_APPLIED)
    return Verdict("permission", outcome=errors.Outcome.NOT_APPLIED)


def _refused(data: Any) -> dict[str, str]:
    told = cast("dict[str, dict[str, str]]", data).get("refused") if isinstance(data, dict) else None
    return dict(told or {})


ERRORS = ErrorMap(
    message=("message",),
    provider_code=("code",),
    hook=judge_reply,
    rules=(
        Rule(
            code="auth_expired",
            methods=IMAP,
            codes="AUTHENTICATIONFAILED EXPIRED",
            name="the login was refused",
        ),
        Rule(
            code="permission",
            methods=IMAP,
            codes="AUTHORIZATIONFAILED NOPERM PRIVACYREQUIRED CONTACTADMIN",
            name="the account may not",
        ),
        Rule(code="not_found", methods=IMAP, codes="NONEXISTENT TRYCREATE UIDNOTSTICKY", name="no such folder"),
        Rule(code="already_done", methods=IMAP, codes="ALREADYEXISTS", name="the folder exists"),
        Rule(
            code="transient",
            methods=IMAP,
            codes="UNAVAILABLE INUSE SERVERBUG EXPUNGEISSUED",
            retry_after=30,
            not_applied=True,
            name="not now",
        ),
        Rule(code="quota_exhausted", methods=IMAP, codes="OVERQUOTA", name="the mailbox is full"),
        Rule(
            code="rate_limited",
            methods=IMAP,
            codes="LIMIT THROTTLED",
            retry_after=60,
            not_applied=True,
            name="too much",
        ),
        Rule(code="invalid_input", methods=IMAP, codes="CANNOT BADCHARSET TOOBIG", name="the server cannot do this"),
        Rule(
            code="auth_expired",
            methods=IMAP,
            text=r"authentication failed|invalid credentials|login failed|application-specific password",
            name="the login was refused, in words",
        ),
        Rule(code="not_found", methods=IMAP, text=r"(?:mailbox|folder).{0,80}(?:exist|unknown)", name="no such folder"),
        Rule(code="contract_changed", methods=IMAP, codes="BAD", name="a command the server does not know"),
        Rule(code="invalid_input", methods=IMAP, status=400, name="the server says no"),
    ),
)
