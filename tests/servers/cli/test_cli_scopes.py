"""Which scopes a login asks for, when tools can make do with different ones."""

from pathlib import Path

from clew.connectors.google_calendar import google_calendar
from clew.servers.cli.choices import wanted_scopes
from clew.servers.settings import Settings

SCOPE = "https://www.googleapis.com/auth/"


def names(settings: Settings) -> list[str]:
    return [each.removeprefix(SCOPE) for each in wanted_scopes(google_calendar, settings, None) or ()]


def test_a_scope_that_another_asked_one_includes_is_not_asked(tmp_path: Path) -> None:
    assert names(Settings(tmp_path)) == [
        "userinfo.email",
        "calendar.calendarlist.readonly",
        "calendar.events",
        "calendar.freebusy",
    ]


def test_only_what_the_offered_tools_need_is_asked(tmp_path: Path) -> None:
    assert names(Settings(tmp_path, tools=("list_events",))) == ["userinfo.email", "calendar.events.readonly"]
    assert names(Settings(tmp_path, tools=("free",))) == ["userinfo.email", "calendar.freebusy"]
