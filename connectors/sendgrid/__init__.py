"""SendGrid: sending mail, what became of it, and whom it does not write to.

`provider` holds the facts and the tools, `hooks` says what events mean and asks for them.
"""

from . import hooks
from .provider import belongs_to, outcome_of, sendgrid

__all__ = ["belongs_to", "hooks", "outcome_of", "sendgrid"]
