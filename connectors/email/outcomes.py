"""What became of mail that was sent: delivery reports and complaints in the mailbox, joined by Message-ID.

Anybody can write a report. One is believed only when it names a message of which the folder for sent mail has a copy,
or whose Message-ID the caller gives: our ids cannot be guessed, only those who got the message know them.
"""

from collections.abc import Iterable
from typing import Annotated

from pydantic import BaseModel, Field

from clew import Api, mail

from .provider import MessageId, bare, cut, email, id_of, in_sent
from .reading import days_ago

REPORT = 200_000
"""Bytes of a report that are read: what servers return of a message comes last."""
MOST_REPORTS = 25
Days = Annotated[int, Field(ge=1, le=90, description="How far back.")]


class RecipientLine(BaseModel):
    """Where a message stands at one address, and why. `diagnostic` is what the other server said."""

    address: str
    state: Annotated[str, Field(description="accepted, deferred, delivered, bounced or complained.")]
    cause: Annotated[str | None, Field(description="hard, full, spam, policy, content, soft or unknown.")] = None
    status: str | None = None
    diagnostic: str | None = None
    suppress: Annotated[bool | None, Field(description="Do not write to this address again.")] = None


class ReportLine(BaseModel):
    """A report in the inbox. `ours` says that the message it is about is in the folder for sent mail."""

    id: str
    date: str | None = None
    form: Annotated[str, Field(description="dsn, arf, or text for what is no standard report.")]
    message_id: str | None = None
    ours: bool
    recipients: list[RecipientLine]


class Status(BaseModel):
    """What is known about a message. `state` is the worst of its recipients', or unknown when nobody knows of it."""

    message_id: str
    state: str
    sent: Annotated[bool | None, Field(description="true: a copy is in the folder for sent mail.")] = None
    answered_by: list[str] | None = None
    recipients: list[RecipientLine]
    next: str


def _line(found: mail.Recipient) -> RecipientLine:
    return RecipientLine(
        address=cut(found.address, 200),
        state=found.state.value,
        cause=found.cause.value if found.cause else None,
        status=found.status,
        diagnostic=cut(found.diagnostic, 200) or None,
        suppress=True if found.suppress else None,
    )


@email.read(toolset="outcomes")
async def get_delivery_status(api: Api, message_id: MessageId) -> Status:
    """Find out what became of a message: looks for it in the sent mail, and for reports, complaints and answers."""
    wanted = mail.checked_id(message_id)

    def look(box: mail.Mailbox) -> tuple[bool, list[mail.Report], list[str]]:
        sent = in_sent(box, wanted) is not None
        answers: list[str] = []
        reports: list[mail.Report] = []
        for folder in dict.fromkeys(["INBOX", box.special("junk") or "INBOX"]):
            box.select(folder)
            answered = box.search(mail.Query(header=("In-Reply-To", wanted)))[:MOST_REPORTS]
            uids = dict.fromkeys([*box.search(mail.Query(text=bare(wanted)))[:MOST_REPORTS], *answered])
            for stored in box.fetch(list(uids), most=REPORT):
                report = mail.read_report(stored.content)
                if report is not None and report.is_about(wanted):
                    reports.append(report)
                elif report is None and stored.uid in answered:
                    opened = mail.open_message(stored.content)
                    answers += [] if opened.automatic else [cut(opened.sender, 120)]
        return sent, reports, answers

    sent, reports, answers = await api.mail.read("delivery status", look)
    people = _latest(each for report in reports for each in report.recipients)
    states = [each.state for each in people]
    if answers:
        states.append(mail.State.DELIVERED)
    known = sent or bool(states)
    return Status(
        message_id=wanted,
        state=mail.latest(states).value if known else "unknown",
        sent=True if sent else None,
        answered_by=answers[:10] or None,
        recipients=[_line(each) for each in people[:50]],
        next=_advice(known, people),
    )


def _latest(found: Iterable[mail.Recipient]) -> list[mail.Recipient]:
    """For each address what counts of several reports."""
    people: dict[str, mail.Recipient] = {}
    for each in found:
        before = people.get(each.address.lower())
        if before is None or mail.latest([before.state, each.state]) is each.state:
            people[each.address.lower()] = each
    return list(people.values())


def _advice(known: bool, people: list[mail.Recipient]) -> str:
    if not known:
        return (
            "Nobody knows of this message. If its sending ended with outcome unknown, it may still be on its way: look "
            "again in a few minutes, and ask the person before sending it anew."
        )
    if any(each.suppress for each in people):
        return "Do not write to the addresses marked suppress again; ask the person for another way to reach them."
    if any(each.state is mail.State.DEFERRED for each in people):
        return "The servers keep trying, for up to five days. Do not send it again; look later."
    if any(each.state is mail.State.BOUNCED for each in people):
        return "Read the diagnostic: the address may be good, and the message or the sender not welcome."
    return "No bad news. Most servers report failures only, minutes to days later."


@email.read(toolset="outcomes")
async def list_delivery_reports(api: Api, days: Days = 7) -> list[ReportLine]:
    """List delivery reports and complaints in the inbox, newest first."""

    def look(box: mail.Mailbox) -> list[ReportLine]:
        box.select("INBOX")
        uids = report_uids(box, days)[:MOST_REPORTS]
        found: list[ReportLine] = []
        for stored in box.fetch(uids, most=REPORT):
            report = mail.read_report(stored.content)
            if report is not None:
                found.append(_report(id_of(box.validity, stored.uid), stored, report))
        for line in found:
            line.ours = line.message_id is not None and in_sent(box, line.message_id) is not None
        return found

    return await api.mail.read("delivery reports", look)


def report_uids(box: mail.Mailbox, days: int) -> list[int]:
    """What may be a report in the selected folder, newest first."""
    since = days_ago(days)
    queries = (
        mail.Query(header=("Content-Type", "report"), since=since),
        mail.Query(sender="mailer-daemon", since=since),
        mail.Query(sender="postmaster", since=since),
    )
    return sorted({uid for query in queries for uid in box.search(query)}, reverse=True)


def _report(name: str, stored: mail.Stored, report: mail.Report) -> ReportLine:
    ids = [each for each in report.message_ids if each.isascii()]
    return ReportLine(
        id=name,
        date=mail.open_message(stored.content).date or None,
        form=report.form.value,
        message_id=ids[0] if ids else None,
        ours=False,
        recipients=[_line(each) for each in report.recipients[:10]],
    )
