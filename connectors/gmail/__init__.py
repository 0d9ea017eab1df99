"""Gmail: search, threads, labels, changes, drafts and sending, over REST (v1).

`provider` holds the facts, `rules` the errors and `messages` how Gmail's messages are read; each other module is one
toolset, and `hooks` says what its notifications mean.
"""

from . import changes, drafts, hooks, labels, reading, sending
from .provider import gmail

__all__ = ["changes", "drafts", "gmail", "hooks", "labels", "reading", "sending"]
