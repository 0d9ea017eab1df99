"""Linear: issues, comments, teams and projects, over GraphQL.

`provider` holds the facts and `rules` the errors; `names` turns what people call things into ids; `hooks` is the
webhooks; `issues`, `writes` and `places` are the tools.
"""

from . import hooks, issues, places, writes
from .provider import linear

__all__ = ["hooks", "issues", "linear", "places", "writes"]
