"""Google Calendar: calendars, events and free time, over REST (v3).

`provider` holds the facts, `rules` the errors and `hooks` the notifications; each other module is one toolset.
"""

from . import changes, events, free, hooks
from .provider import google_calendar

__all__ = ["changes", "events", "free", "google_calendar", "hooks"]
