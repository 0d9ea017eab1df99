"""Zendesk Support: tickets, their conversation, and the people in it.

`provider` holds the facts, `rules` the errors and `hooks` the webhooks; the others are one toolset each.
"""

from . import changes, hooks, people, reading
from .provider import zendesk

__all__ = ["changes", "hooks", "people", "reading", "zendesk"]
