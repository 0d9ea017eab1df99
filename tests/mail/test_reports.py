"""Reports as servers write them, and as nobody should."""

# ruff: noqa: E501

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.core.mail.delivery import Cause, State
from clew.core.mail.reports import Form, Report, read_report, verp_address, verp_token

ID = "<3f5242fc.clew@home.example>"


def dsn(fields: str, *, status_type: str = "message/delivery-status", returned: str = "") -> bytes:
    returned = returned or f"Content-Type: text/rfc822-headers\n\nFrom: a@home.example\nMessage-ID: {ID}\nSubject: x\n"
    return (
        "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example\nTo: a+tok_1@home.example\nSubject: Undelivered\n"
        'MIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary="b1"\n\n'
        "--b1\nContent-Type: text/plain\n\nSorry.\n"
        f"--b1\nContent-Type: {status_type}\n\n{fields}\n--b1\n{returned}\n--b1--\n"
    ).encode()


POSTFIX = """Reporting-MTA: dns; mail.home.example
X-Postfix-Queue-ID: C0BFA2501D8
Arrival-Date: Sun, 22 Nov 2026 14:15:56 +0000 (UTC)
Original-Envelope-Id: 3f5242fc.clew@home.example

Final-Recipient: rfc822; gone@away.example
Original-Recipient: rfc822;Gone+2Btag@away.example
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.away.example
Diagnostic-Code: smtp; 550 5.1.1 <gone@away.example>: Recipient address
    rejected: User unknown

Final-Recipient: rfc822; slow@away.example
Action: delayed
Status: 4.4.1
Diagnostic-Code: X-Postfix; connect to mx.away.example[192.0.2.1]:25: Connection timed out
Will-Retry-Until: Fri, 27 Nov 2026 14:15:56 +0000 (UTC)
"""


def read(raw: bytes) -> Report:
    report = read_report(raw)
    assert report is not None
    return report


def test_a_standard_report_says_what_became_of_each_recipient() -> None:
    report = read(dsn(POSTFIX))
    gone, slow = report.recipients
    assert (report.form, report.message_ids, report.sent_to) == (Form.DSN, (ID,), ("a+tok_1@home.example",))
    assert (gone.address, gone.state, gone.cause, gone.status) == (
        "Gone+tag@away.example",
        State.BOUNCED,
        Cause.HARD,
        "5.1.1",
    )
    assert gone.diagnostic == "550 5.1.1 <gone@away.example>: Recipient address rejected: User unknown"
    assert (gone.server, gone.suppress) == ("mx.away.example", True)
    assert (slow.state, slow.cause, slow.suppress) == (State.DEFERRED, Cause.SOFT, False)


def test_a_report_is_joined_by_message_id_envelope_id_or_verp() -> None:
    report = read(dsn(POSTFIX))
    assert report.is_about(ID)
    assert report.is_about("<other@x>", token="tok_1")
    assert not report.is_about("<other@x>")
    assert not report.is_about("<other@x>", token="tok_2")
    bare = read(dsn(POSTFIX, returned="Content-Type: text/plain\n\nnothing came back\n"))
    assert (bare.message_ids, bare.is_about(ID)) == ((), True)


def test_a_whole_message_that_came_back_names_itself() -> None:
    returned = f"Content-Type: message/rfc822\n\nFrom: a@home.example\nMessage-ID: {ID}\n\nthe text\n"
    assert read(dsn(POSTFIX, returned=returned)).message_ids == (ID,)


@pytest.mark.parametrize(
    ("fields", "address", "state", "cause"),
    [
        ("Final-Recipient: x@y.example\nAction: error\nStatus: 5.0.0 (user unknown)", "x@y.example", "bounced", "unknown"),
        ("Final-Recipient: <x@y.example>\nAction: failed (permanently)\nStatus: 5.2.2", "x@y.example", "bounced", "full"),
        ("Final-Recipient: rfc822; x@y.example\nAction: delivered\nStatus: 2.0.0", "x@y.example", "delivered", None),
        ("Final-Recipient: rfc822; x@y.example\nAction: relayed\nStatus: 2.0.0", "x@y.example", "accepted", None),
        ("Original-Recipient: rfc822; x@y.example\nStatus: 2.1.5", "x@y.example", "delivered", None),
        ("Final-Recipient: rfc822; x@y.example\nStatus: 4.2.2", "x@y.example", "deferred", "full"),
        ("Final-Recipient: rfc822; x@y.example\nStatus: 5.7.1\nDiagnostic-Code: smtp; spam", "x@y.example", "bounced", "spam"),
        ("Final-Recipient: rfc822; x@y.example\nAction: failed\nStatus: 4.4.7", "x@y.example", "bounced", "soft"),
    ],
)  # fmt: skip
def test_reports_of_practice(fields: str, address: str, state: str, cause: str | None) -> None:
    (found,) = read(dsn(f"Reporting-MTA: dns; mx.example\n\n{fields}\n")).recipients
    assert (found.address, found.state.value, found.cause and found.cause.value) == (address, state, cause)


def test_an_international_report_is_read_too() -> None:
    (found, _) = read(dsn(POSTFIX, status_type="message/global-delivery-status")).recipients
    assert found.state is State.BOUNCED


def test_a_report_that_says_it_holds_a_message_is_read_too() -> None:
    fields = "Final-Recipient: rfc822; x@y.example\nAction: failed\nStatus: 5.1.1\nContent-Type: message/rfc822"
    (found,) = read(dsn(f"Reporting-MTA: dns; mx.example\n\n{fields}\n")).recipients
    assert (found.address, found.state, found.cause) == ("x@y.example", State.BOUNCED, Cause.HARD)


def arf(feedback: str, original: str = f"Message-ID: {ID}\nTo: Bob <bob@away.example>\n") -> bytes:
    return (
        "From: fbl@isp.example\nTo: abuse@home.example\nSubject: complaint\n"
        'Content-Type: multipart/report; report-type=feedback-report; boundary="b1"\n\n'
        "--b1\nContent-Type: text/plain\n\nA complaint.\n"
        f"--b1\nContent-Type: message/feedback-report\n\n{feedback}\n"
        f"--b1\nContent-Type: message/rfc822\n\n{original}\nbuy\n--b1--\n"
    ).encode()


def test_a_complaint_names_who_complained() -> None:
    told = "Feedback-Type: abuse\nUser-Agent: X/1\nVersion: 1\nOriginal-Rcpt-To: <ann@away.example>\n"
    told += "Original-Rcpt-To: <ben@away.example>\n"
    report = read(arf(told))
    assert (report.form, report.message_ids) == (Form.ARF, (ID,))
    assert [(each.address, each.state, each.suppress) for each in report.recipients] == [
        ("ann@away.example", State.COMPLAINED, True),
        ("ben@away.example", State.COMPLAINED, True),
    ]


def test_a_complaint_without_a_name_is_about_who_got_the_message() -> None:
    (found,) = read(arf("Feedback-Type: abuse\nVersion: 1\n")).recipients
    assert found.address == "bob@away.example"


@pytest.mark.parametrize("kind", ["not-spam", "auth-failure"])
def test_a_word_in_our_favour_is_no_complaint(kind: str) -> None:
    assert read_report(arf(f"Feedback-Type: {kind}\nOriginal-Rcpt-To: <ann@away.example>\n")) is None


def test_a_complaint_about_nobody_is_none() -> None:
    assert read_report(arf("Feedback-Type: abuse\n", "Subject: x\n")) is None


QMAIL = f"""From: MAILER-DAEMON@mx.example
To: a@home.example
Subject: failure notice

Hi. This is the qmail-send program at mx.example.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<gone@away.example>:
192.0.2.1 does not like recipient.
Remote host said: 550 5.1.1 unknown user
Giving up on 192.0.2.1.

--- Below this line is a copy of the message.

Return-Path: <a@home.example>
Message-ID: {ID}
Subject: x
"""
EXIM = f"""From: Mail Delivery System <Mailer-Daemon@mx.example>
To: a@home.example
X-Failed-Recipients: gone@away.example
Auto-Submitted: auto-replied
Subject: Mail delivery failed: returning message to sender

This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  gone@away.example
    host mx.away.example [192.0.2.1]
    SMTP error from remote mail server after RCPT TO:<gone@away.example>:
    550 5.1.1 Unknown recipient

------ This is a copy of the message, including all the headers. ------

Message-Id: {ID}
"""
DELAYED = """From: postmaster@mx.example
To: a@home.example
In-Reply-To: <3f5242fc.clew@home.example>
Subject: Delivery delayed: warning: message still not delivered, delivery status

<gone@away.example>: connection timed out; try again later
"""


@pytest.mark.parametrize(
    ("raw", "state", "cause"), [(QMAIL, State.BOUNCED, Cause.HARD), (EXIM, State.BOUNCED, Cause.HARD),
                                (DELAYED, State.DEFERRED, Cause.SOFT)], ids=["qmail", "exim", "delayed"]
)  # fmt: skip
def test_bounces_in_words_are_read(raw: str, state: State, cause: Cause) -> None:
    report = read(raw.encode())
    (found,) = report.recipients
    assert (report.form, report.message_ids) == (Form.TEXT, (ID,))
    assert (found.address, found.state, found.cause) == ("gone@away.example", state, cause)


@pytest.mark.parametrize(
    "raw",
    [
        b"From: ann@away.example\nSubject: Re: lunch\n\nYes, 550 5.1.1 is the room.\n<b@c.example>: fine\n",
        b"From: ann@away.example\nSubject: Away\nAuto-Submitted: auto-replied\n\nI am not here.\n",
        b"From: MAILER-DAEMON@mx.example\nSubject: Undelivered mail\n\nNothing useful.\n",
        b"From: MAILER-DAEMON@mx.example\nSubject: Undelivered mail\n\n<b@c.example>: hm\n",
        b"",
        b"\x00\xff",
        dsn("Reporting-MTA: dns; mx.example\n"),
        dsn("Reporting-MTA: dns; mx.example\n\nFinal-Recipient: rfc822; not an address\nAction: failed\n"),
    ],
)
def test_other_mail_is_no_report(raw: bytes) -> None:
    assert read_report(raw) is None


def test_a_verp_token_comes_back_as_it_went() -> None:
    assert verp_token(verp_address("me@home.example", "a1-b_2=")) == "a1-b_2="
    assert verp_token("me@home.example") == verp_token("me+a b@home.example") == ""


def nested(depth: int) -> bytes:
    head = b"From: MAILER-DAEMON@x\nSubject: Undelivered\n"
    for level in range(depth):
        head += b'Content-Type: multipart/report; boundary="b%d"\n\n--b%d\n' % (level, level)
    return head + b"Content-Type: text/plain\n\n<a@b.example>: 550 5.1.1 unknown\n"


HOSTILE = {
    "nested 5000 deep": nested(5000),
    "nested 25 deep with many lines": nested(25) + b"x\n" * 300_000,
    "messages in messages": b"Content-Type: message/rfc822\n\n" * 3000,
    "one boundary for all": b'Content-Type: multipart/report; boundary="b"\n\n' + b'--b\nContent-Type: multipart/mixed; boundary="b"\n\n' * 2000,
    "no end of headers": b"X-Long: " + b"a" * 5_000_000,
    "folded without end": b"Subject: a\n" + b" b\n" * 300_000,
    "encoded words": b"From: mailer-daemon\nSubject: " + b"=?utf-8?q?undeliver=?=" * 20_000,
    "quotes in a parameter": b"Content-Type: multipart/report; " + b'a="' * 20_000 + b"\n\nx",
    "addresses": b"From: mailer-daemon@x\nSubject: undelivered\nTo: " + b"(" * 50_000 + b"<a@b>," * 20_000 + b"\n\nx",
    "a wall of complaints": b"From: mailer-daemon@x\nSubject: undelivered\n\n" + b"<a@b.example>: 550 5.1.1\n" * 50_000,
    "no codec": dsn(POSTFIX).replace(b"Content-Type: text/plain", b"Content-Type: text/plain; charset=\xff\x00"),
    "a codec that is none": b"From: mailer-daemon@x\nSubject: undelivered\nContent-Type: text/plain; charset=base64\n\nx",
    "a surrogate": dsn(POSTFIX.replace("gone", "g\xf6ne")).decode().encode("latin-1"),
    "base64 that is none": dsn(POSTFIX).replace(b"delivery-status\n\n", b"delivery-status\nContent-Transfer-Encoding: base64\n\n"),
    "many recipients": dsn("Reporting-MTA: dns; x\n\n" + "Final-Recipient: rfc822; a@b.example\nAction: failed\nStatus: 5.1.1\n\n" * 5000),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_mail_is_read_in_bounded_time_and_never_raises(name: str) -> None:
    started = time.perf_counter()
    report = read_report(HOSTILE[name])
    assert time.perf_counter() - started < 3.0
    assert report is None or len(report.recipients) <= 500


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400), st.integers(0, 1200), st.integers(0, 60))
def test_no_damage_makes_it_raise(noise: bytes, place: int, gone: int) -> None:
    for whole in (dsn(POSTFIX), arf("Feedback-Type: abuse\n"), EXIM.encode()):
        read_report(whole[:place] + noise + whole[place + gone :])
