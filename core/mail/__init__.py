"""Mail for connectors: messages built and read, mailboxes, delivery reports, and the delivery states they all share."""

from clew.core.mail.addresses import checked_address, checked_id, checked_line, domain_of, new_message_id
from clew.core.mail.compose import Attachment, Draft, Letter, compose, stored_letter
from clew.core.mail.delivery import Cause, Finding, State, judge_status, latest
from clew.core.mail.mailbox import Folder, Mailbox, Query, Stored
from clew.core.mail.reading import Enclosure, Opened, enclosed, open_message, text_of_html
from clew.core.mail.reports import Form, Recipient, Report, read_report, verp_address, verp_token
from clew.core.mail.servers import PATTERN

__all__ = [
    "PATTERN",
    "Attachment",
    "Cause",
    "Draft",
    "Enclosure",
    "Finding",
    "Folder",
    "Form",
    "Letter",
    "Mailbox",
    "Opened",
    "Query",
    "Recipient",
    "Report",
    "State",
    "Stored",
    "checked_address",
    "checked_id",
    "checked_line",
    "compose",
    "domain_of",
    "enclosed",
    "judge_status",
    "latest",
    "new_message_id",
    "open_message",
    "read_report",
    "stored_letter",
    "text_of_html",
    "verp_address",
    "verp_token",
]
