"""Why a message was not delivered, from codes and words."""

import pytest

from clew.core.mail.delivery import Cause, State, judge_status, latest


@pytest.mark.parametrize(
    ("text", "status", "cause", "permanent", "suppress"),
    [
        ("550 5.1.1 User unknown", "", Cause.HARD, True, True),
        ("550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found", "5.1.10", Cause.HARD, True, True),
        ("", "5.1.2", Cause.HARD, True, True),
        ("", "4.1.1", Cause.SOFT, False, False),
        ("556 5.1.10 domain has null mx", "", Cause.HARD, True, True),
        ("452 4.2.2 The email account is over quota", "", Cause.FULL, False, False),
        ("552 5.2.2 Mailbox full", "", Cause.FULL, True, False),
        ("550 5.7.1 Our system has detected that this message is likely unsolicited mail", "", Cause.SPAM, True, False),
        ("554 5.7.1 Service unavailable; Client host blocked using zen.spamhaus.org", "", Cause.SPAM, True, False),
        ("550 5.7.1 Relaying denied", "", Cause.POLICY, True, False),
        ("550 5.7.26 unauthenticated email is not accepted due to the DMARC policy", "", Cause.POLICY, True, False),
        ("550 5.7.1 <x@y.example>... User unknown", "", Cause.HARD, True, True),
        ("552 5.3.4 Message size exceeds fixed limit", "", Cause.CONTENT, True, False),
        ("554 5.6.0 corrupt message", "", Cause.CONTENT, True, False),
        ("550 5.6.1 this looks like spam", "", Cause.SPAM, True, False),
        ("", "4.4.7", Cause.SOFT, False, False),
        ("", "5.4.7", Cause.SOFT, True, False),
        ("", "5.4.4", Cause.HARD, True, True),
        ("450 4.7.1 Greylisted, try again later", "", Cause.POLICY, False, False),
        ("550 No such user here", "", Cause.HARD, True, True),
        ("Sorry, no mailbox here by that name. (#5.1.1)", "", Cause.HARD, True, True),
        ("421 too many connections", "", Cause.SOFT, False, False),
        ("mailbox is full", "", Cause.FULL, True, False),
        ("something else", "", Cause.UNKNOWN, False, False),
        ("from 4.2.1.10 and 5.1.1.1: nothing", "", Cause.UNKNOWN, False, False),
        ("550 5.0.0 rejected as spam", "", Cause.SPAM, True, False),
        ("550 5.0.0 ?", "", Cause.UNKNOWN, True, False),
        ("", "5.3.1", Cause.FULL, True, False),
    ],
)
def test_a_refusal_is_judged(text: str, status: str, cause: Cause, permanent: bool, suppress: bool) -> None:
    found = judge_status(text, status=status)
    assert (found.cause, found.permanent, found.suppress) == (cause, permanent, suppress)


def test_an_address_is_never_called_bad_for_a_passing_refusal() -> None:
    for detail in ("1.0", "1.1", "1.2", "1.3", "1.10", "2.0", "2.1", "4.1", "4.4"):
        assert not judge_status("user unknown", status=f"4.{detail}").suppress


def test_the_latest_state_does_not_depend_on_the_order() -> None:
    assert latest([]) is State.ACCEPTED
    assert latest([State.DELIVERED, State.DEFERRED]) is State.DELIVERED
    assert latest([State.BOUNCED, State.DELIVERED, State.DEFERRED]) is State.BOUNCED
    assert latest([State.COMPLAINED, State.DELIVERED]) is State.COMPLAINED
