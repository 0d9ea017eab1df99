"""Google Calendar: calendars, events and free time, over REST (v3).

`provider` holds the facts and `rules` the errors; each other module is one toolset.
"""

from . import changes, events, free
from .provider import google_calendar

__all__ = ["changes", "events", "free", "google_calendar"]
