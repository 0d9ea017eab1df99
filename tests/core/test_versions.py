"""What a provider announces about the end of what we use."""

import logging

import pytest

from clew.core.versions import Notice, Notices, Version, notice


def test_either_header_is_an_announcement_and_none_is_none() -> None:
    assert notice({"deprecation": "@1688169599"}) == Notice("@1688169599", None)
    assert notice({"sunset": "Sat, 1 Aug 2026 00:00:00 GMT"}) == Notice(None, "Sat, 1 Aug 2026 00:00:00 GMT")
    assert notice({}) is None


def test_the_latest_is_kept_and_only_the_first_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    notices = Notices()
    with caplog.at_level(logging.WARNING):
        notices.observe("acme", {})
        for number in range(5):
            notices.observe("acme", {"sunset": f"soon {number}"})
        notices.observe("github", {"deprecation": "true"})
    assert notices.seen == {"acme": Notice(None, "soon 4"), "github": Notice("true", None)}
    assert [record.getMessage() for record in caplog.records] == [
        "acme announces the end of the API version in use: deprecation -, sunset soon 0",
        "github announces the end of the API version in use: deprecation true, sunset -",
    ]


def test_a_hostile_header_cannot_draw_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        Notices().observe("acme", {"sunset": "x\x9b2J" + "y" * 500})
    (line,) = (record.getMessage() for record in caplog.records)
    assert line.isprintable()
    assert len(line) < 250


def test_a_version_says_where_it_travels() -> None:
    assert Version("2026-01-01", header="Acme-Version").parameter is None
