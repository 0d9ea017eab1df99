"""Slack: messages, channels, people and files, over the Web API.

`provider` holds the facts, `rules` the errors and `blocks` turns Slack's layout into text; each of the other modules
is one toolset.
"""

from . import channels, files, messages, users
from .provider import slack

__all__ = ["channels", "files", "messages", "slack", "users"]
