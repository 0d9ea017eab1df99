"""GitHub: issues, pull requests, files and workflow runs, over REST.

`provider` holds the facts and `rules` the errors; each of the other modules is one toolset.
"""

from . import actions, files, hooks, issues, pulls
from .provider import github

__all__ = ["actions", "files", "github", "hooks", "issues", "pulls"]
