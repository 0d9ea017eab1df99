"""What became of a message at one recipient, and why: the states that every mail connector tells in the same words.

`accepted` is the first thing a sender hears and says only that somebody will try. Then `deferred`, `delivered`,
`bounced`, `complained`; `suppressed` is a message that the service did not even try to deliver.

The cause of a failure is read from the enhanced status code (RFC 3463, registered details of RFC 7372 and 7505), and
from the words where there is no code, or one that says too little. Vendors' words: flufl.bounce 6.0.0 (memory).
"""

import re
from collections.abc import Iterable
from enum import StrEnum

from clew.core.values import dataclass


class State(StrEnum):
    """Where a message stands at one recipient."""

    ACCEPTED = "accepted"
    DEFERRED = "deferred"
    DELIVERED = "delivered"
    SUPPRESSED = "suppressed"
    BOUNCED = "bounced"
    COMPLAINED = "complained"


_RANKS = {state: rank for rank, state in enumerate(State)}


def latest(states: Iterable[State]) -> State:
    """What counts of several reports in any order: a later stage wins, and a failure wins over a success before it."""
    return max(states, key=_RANKS.__getitem__, default=State.ACCEPTED)


class Cause(StrEnum):
    """Why a message was not delivered. Only `hard` says that the address itself is bad."""

    HARD = "hard"
    FULL = "full"
    SPAM = "spam"
    POLICY = "policy"
    CONTENT = "content"
    SOFT = "soft"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a refusal means. `permanent` says that the message itself is given up; `status` is the enhanced code."""

    cause: Cause
    permanent: bool
    status: str | None = None

    @property
    def suppress(self) -> bool:
        """Should nothing be sent to this address any more?"""
        return self.permanent and self.cause is Cause.HARD


ENHANCED = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.]*\d)")
_REPLY = re.compile(r"(?<![\d.])([245])[0-5]\d(?=[\s-])")

_WORDS: tuple[tuple[Cause, re.Pattern[str]], ...] = tuple(
    (cause, re.compile(pattern, re.IGNORECASE))
    for cause, pattern in (
        (
            Cause.FULL,
            r"mailbox (?:is )?full|over ?quota|quota (?:is )?exceeded|exceeded (?:the |its )?(?:storage|quota)|out of "
            r"storage|insufficient (?:system )?storage|not enough space",
        ),
        (
            Cause.SPAM,
            r"\bspam\b|block ?list|black ?list|deny ?list|\brbl\b|spamhaus|spamcop|barracuda|bad reputation|poor reputa"
            r"tion|unsolicited|junk mail|listed (?:at|in|by|on) ",
        ),
        (
            Cause.HARD,
            r"user (?:is )?unknown|unknown (?:user|recipient|address|local)|no such (?:user|recipient|address|person|ma"
            r"ilbox)|(?:does not|doesn.t|did not) exist|(?:mailbox|recipient|account|address|user)[^.\n]{0,40} (?:not f"
            r"ound|unavailable|disabled|inactive|suspended)|invalid (?:recipient|address|mailbox)|recipient (?:address "
            r")?rejected: (?:user|undeliv)|bad destination|(?:domain|host)[^.\n]{0,30} not found|unrouteable address|no"
            r" mailbox here|null ?mx",
        ),
        (Cause.CONTENT, r"too (?:large|big)|size (?:limit|exceed)|exceeds[^.\n]{0,30} size|virus|malware|attachment"),
        (
            Cause.POLICY,
            r"\bpolicy\b|\bspf\b|\bdkim\b|\bdmarc\b|not authori[sz]ed|access denied|relay(?:ing)? (?:access )?denied|ad"
            r"ministrative(?:ly)? prohib|authentication[- ](?:results|required|failed)|blocked|refused",
        ),
        (Cause.SOFT, r"gr[ea]ylist|try again|temporar|rate ?limit|too many|deferred|timed? ?out|connection|expired"),
    )
)

_HARD_DETAILS = {"1.0", "1.1", "1.2", "1.3", "1.4", "1.6", "1.10", "2.0", "2.1", "4.1", "4.3", "4.4"}
_CONTENT_DETAILS = {"2.3", "3.4"}


def judge_status(text: str, *, status: str | None = None) -> Finding:
    """Judge a refusal by its enhanced code (`status`, else the first in `text`) and its words.

    `text` is an SMTP reply or a diagnostic of a report; it may be empty.
    """
    text = text[:4000]
    found = ENHANCED.search(status or "") or ENHANCED.search(text)
    worded = next((cause for cause, pattern in _WORDS if pattern.search(text)), Cause.UNKNOWN)
    if found is None:
        reply = _REPLY.search(text)
        permanent = reply[1] == "5" if reply else worded not in (Cause.SOFT, Cause.UNKNOWN)
        return Finding(_softened(worded, permanent), permanent)
    permanent, detail = found[1] == "5", f"{int(found[2])}.{int(found[3])}"
    return Finding(_softened(_of_detail(detail, worded), permanent), permanent, f"{found[1]}.{detail}")


def _of_detail(detail: str, worded: Cause) -> Cause:
    subject = detail.partition(".")[0]
    if detail in ("2.2", "3.1"):
        return Cause.FULL
    if subject == "7":  # 7.1 is said of spam, of policies and, by some, of unknown users
        return worded if worded in (Cause.SPAM, Cause.HARD) else Cause.POLICY
    if detail in _CONTENT_DETAILS or subject == "6":
        return worded if worded is Cause.SPAM else Cause.CONTENT
    if detail in _HARD_DETAILS:
        return worded if worded in (Cause.SPAM, Cause.FULL) else Cause.HARD
    return worded if worded is not Cause.UNKNOWN or subject == "0" else Cause.SOFT


def _softened(cause: Cause, permanent: bool) -> Cause:
    """An address is called bad only for good: a server that cannot look it up now says the same words with a 4."""
    return Cause.SOFT if cause is Cause.HARD and not permanent else cause
