"""A mailbox: search, read, draft, send and reply over IMAP and SMTP, and what became of what was sent.

`provider` holds the facts and `rules` the errors; each of the other modules is one toolset.
"""

from . import drafts, outcomes, reading, sending, watching
from .provider import email

__all__ = ["drafts", "email", "outcomes", "reading", "sending", "watching"]
