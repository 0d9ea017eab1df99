"""Jira Cloud: issues, comments, workflow and projects, over REST (v3), with texts as Markdown.

`provider` holds the facts, `rules` the errors and `hooks` the webhooks; each of the other modules is one toolset.
"""

from . import changes, hooks, issues, projects
from .provider import jira

__all__ = ["changes", "hooks", "issues", "jira", "projects"]
