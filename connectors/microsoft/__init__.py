"""Microsoft 365: mail and calendar of one person, over Microsoft Graph (v1.0).

`provider` holds the facts, `rules` the errors, `lists` how Graph's lists and changes are followed, and `messages` how
mail is read and written down; each other module is one toolset, and `hooks` says what change notifications mean.
"""

from . import changes, drafts, events, hooks, mail
from .provider import microsoft

__all__ = ["changes", "drafts", "events", "hooks", "mail", "microsoft"]
