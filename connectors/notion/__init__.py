"""Notion: pages as Markdown, databases and comments, over REST.

`provider` holds the facts and `rules` the errors. `texts`, `composing` and `rendering` turn Notion's blocks into
Markdown and back, `properties` its typed values into plain ones; `databases`, `pages` and `people` are the tools.
"""

from . import databases, hooks, pages, people
from .provider import notion

__all__ = ["databases", "hooks", "notion", "pages", "people"]
