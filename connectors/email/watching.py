"""What becomes of sent mail, without being asked: reports in the inbox end the calls that sent the messages.

A report is believed as far as it names a message of ours, see `outcomes`. Answers say nothing here: people write them
to more than one message.
"""

from collections.abc import Sequence

from clew import Api, events, mail

from .outcomes import REPORT, report_uids
from .provider import cut, email

_DAYS, _MOST = 6, 100


async def watch(api: Api, references: Sequence[str]) -> list[events.Sighting]:
    """The reports of the last days about the messages with these Message-IDs."""
    wanted = list(dict.fromkeys(references))

    def look(box: mail.Mailbox) -> list[events.Sighting]:
        box.select("INBOX")
        found: list[events.Sighting] = []
        for stored in box.fetch(report_uids(box, _DAYS)[:_MOST], most=REPORT):
            report = mail.read_report(stored.content)
            about = [each for each in wanted if report is not None and report.is_about(each)]
            for recipient in report.recipients if report is not None and about else ():
                found += [_sighting(each, recipient) for each in about]
        return found

    return await api.mail.read("delivery reports", look)


def _sighting(message: str, found: mail.Recipient) -> events.Sighting:
    detail = {
        "cause": found.cause.value if found.cause else "",
        "status": found.status or "",
        "diagnostic": cut(found.diagnostic, 300),
    }
    address = cut(found.address, 200).lower()
    return events.Sighting(
        id=f"{message} {address} {found.state.value}",
        reference=message,
        state=found.state.value,
        recipient=address,
        detail={name: text for name, text in detail.items() if text},
    )


email.events = events.Events(reference="reference", recipient="recipient")
email.watch = watch
