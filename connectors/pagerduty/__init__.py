"""PagerDuty: incidents, their notes, services and who is on call.

`provider` holds the facts, `rules` the errors and `incidents` and `people` the tools; `hooks` asks for events.
"""

from . import hooks, incidents, people
from .provider import pagerduty

__all__ = ["hooks", "incidents", "pagerduty", "people"]
