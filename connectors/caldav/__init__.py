"""CalDAV: calendars and events of any server that speaks RFC 4791 (iCloud, Fastmail, Nextcloud, Radicale, Zimbra …).

`provider` holds the facts, `rules` the errors, `dav` the requests and answers in XML, `ical` what an event is, `times`
how moments are read and written; each other module is a part of the tools.
"""

from . import calendars, changes, endings, events, free
from .provider import caldav

__all__ = ["caldav", "calendars", "changes", "endings", "events", "free"]
