"""What a provider announces about the end of what we use."""

import logging

import pytest

from clew.core.versions import Notices, Version


def test_standard_and_vendor_headers_and_the_warning_about_deprecation_are_announcements() -> None:
    version = Version("1", announced=("x-api-end",))
    headers = {"deprecation": "@1", "sunset": "soon", "x-api-end": "2027", "warning": '299 - "use v2"', "x-other": "1"}
    found = Notices().observe("acme", headers, version)
    assert dict(found) == {"deprecation": "@1", "sunset": "soon", "x-api-end": "2027", "warning": '299 - "use v2"'}
    assert Notices().observe("acme", {"warning": '110 - "stale"', "x-api-end": "2027"}) == ()


def test_the_latest_is_kept_and_only_the_first_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    notices = Notices()
    with caplog.at_level(logging.WARNING):
        notices.observe("acme", {})
        for number in range(5):
            notices.observe("acme", {"sunset": f"soon {number}"})
        notices.observe("github", {"deprecation": "true"})
    assert notices.seen == {"acme": {"sunset": "soon 4"}, "github": {"deprecation": "true"}}
    assert [record.getMessage() for record in caplog.records] == [
        "acme announces the end of the API version in use: sunset soon 0",
        "github announces the end of the API version in use: deprecation true",
    ]


def test_a_hostile_header_cannot_draw_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        Notices().observe("acme", {"sunset": "x\x9b2J" + "y" * 500})
    (line,) = (record.getMessage() for record in caplog.records)
    assert line.isprintable()
    assert len(line) < 250


def test_a_version_says_where_it_travels() -> None:
    assert Version("2026-01-01", header="Acme-Version").parameter is None
