"""Microsoft 365: mail and calendar of one person, over Microsoft Graph (v1.0).

`provider` holds the facts, `rules` the errors, `lists` how Graph's lists and changes are followed, `messages` how mail
is read and `letters` how it is written; `hooks` says what change notifications mean, the other modules are the tools.
"""

from . import changes, drafts, events, hooks, mail
from .provider import microsoft

__all__ = ["changes", "drafts", "events", "hooks", "mail", "microsoft"]
