"""SMTP submission: what reply codes and enhanced status codes mean. A 250 is accepted, not delivered.

The reply code stands where HTTP has its status, the reply's text in the body. Sources: RFC 5321 and 3463 (memory),
aiosmtplib 5.1.3, flufl.bounce 6.0.0; the vendors' codes as their pages give them (memory).
"""

import re

from clew import Basic, Connector, ErrorMap, Response, Rule, Verdict, errors

_LATER = "Try again after the time given, with the same sender and recipient; a receiver may know them then."

_ENHANCED: tuple[tuple[str, str, float | None], ...] = (
    # Pattern over "reply enhanced text", code, wait in seconds.
    (
        r"4\.7\.(?:28|500|0-rate)|4\.5\.3\b|^45[012]\b.*\b(?:rate|too many|throttl|limit exceeded)|^421 4\.7",
        "rate_limited",
        300,
    ),
    (r"^45[01]\b.*(?:greylist|graylist|try again later|4\.7\.1\b)", "greylisted", 600),
    (r"daily (?:user )?sending (?:limit|quota)|5\.4\.5\b.*limit|sending limit exceeded", "quota_exhausted", None),
    (r"[45]\.2\.2\b|mailbox (?:is )?full|over quota", "quota_exhausted", None),
    (r"^454\b|4\.7\.0\b.*auth", "transient", 60),
    (r"^535\b|^534\b|^530\b|5\.7\.8\b|5\.7\.9\b|authentication (?:required|failed)", "auth_expired", None),
    (r"^5(?:38|23)\b.*5\.7\.11|5\.7\.11\b|encryption (?:required|needed)|must issue a starttls", "internal", None),
    (r"5\.1\.(?:0|1|2|3|6|10)\b|^551\b|^556\b|user unknown|no such user|does not exist", "invalid_input", None),
    (r"5\.7\.\d+|spam|blocked|block ?list|blacklist|denied|policy", "permission", None),
    (r"5\.4\.\d+|5\.3\.4\b|5\.6\.\d+|5\.5\.\d+|too (?:big|large)|^50\d\b", "invalid_input", None),
    (r"^552\b|^523\b", "invalid_input", None),
)


def classify(response: Response) -> Verdict | None:
    """Reply code, enhanced code and words together decide; whatever refused did not take the message."""
    status = response.status
    if 200 <= status < 300:
        return Verdict("accepted", next_step="Accepted is not delivered: bounces arrive as mail.")
    if not 400 <= status < 600:
        return None
    text = response.text.strip().strip('"')[:1000]
    line = text if text.startswith(str(status)) else f"{status} {text}"
    flat = re.sub(r"[-\s]+", " ", line, count=1) if line[3:4] == "-" else line
    for pattern, code, wait in _ENHANCED:
        if re.search(pattern, flat, re.IGNORECASE):
            if code == "greylisted":
                why = "the receiver wants to see this sender again later."
                return Verdict("transient", why, _LATER, wait, outcome=errors.Outcome.NOT_APPLIED)
            return Verdict(code, retry_after=wait, outcome=errors.Outcome.NOT_APPLIED)
    return None


ERRORS = ErrorMap(
    message=("message", "text", "error"),
    provider_code=("enhanced_code", "enhanced", "code"),
    hook=classify,
    rules=(
        Rule(code="transient", status=421, retry_after=60, not_applied=True, name="service is closing the connection"),
        Rule(code="transient", status=(450, 451, 452, 454, 455), retry_after=600, not_applied=True, name="later"),
        Rule(code="invalid_input", status=(500, 501, 502, 503, 504, 555), name="a command the server refuses"),
        Rule(code="permission", status=(521, 550, 554, 571), name="refused by policy"),
        Rule(code="invalid_input", status=(551, 552, 553, 556), name="a bad address or message"),
        Rule(code="permission", status=tuple(range(505, 600)), name="refused for good"),
        Rule(
            code="transient", status=tuple(range(400, 500)), retry_after=600, not_applied=True, name="refused for now"
        ),
    ),
)

smtp = Connector(
    "smtp",
    title="SMTP submission",
    base_url="https://localhost",
    auth=Basic(help="user name and password, or an app password, of the mail account"),
    errors=ERRORS,
    docs="https://www.rfc-editor.org/rfc/rfc3463",
)
