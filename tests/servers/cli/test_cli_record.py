"""`clew record` against a running provider, and the replay of what it wrote."""

import json
from typing import Any

import pytest

from clew.servers.sandbox import Sandbox

Place = Any


def test_a_real_call_becomes_an_example_that_replays(place: Place, connected: Sandbox) -> None:
    folder = place.folder / "examples"
    ran = place.run("record", "acme", "list_tickets", "status=open", "--into", str(folder))
    assert ran.code == 0, ran.err
    (file,) = folder.rglob("*.json")
    assert file.relative_to(folder).as_posix() == "acme/2026-07-01/list_tickets.json"
    text = file.read_text()
    assert connected.pat not in text
    assert json.loads(text)["exchanges"][0]["request"]["query"]
    checked = place.run("check", "acme", "--only", "examples", "--examples", str(folder), "--json")
    assert checked.code == 0, checked.out
    assert json.loads(checked.out)["checks"][0]["looked_at"] == 1


def test_people_do_not_stay_in_an_example(place: Place, connected: Sandbox) -> None:
    folder = place.folder / "examples"
    assert place.run("record", "acme", "search_contacts", "--into", str(folder), "--label", "all").code == 0
    text = next(folder.rglob("search_contacts-all.json")).read_text()
    assert "@" in text
    assert {word.partition('"')[0] for word in text.split("@")[1:]} == {"example.com"}


@pytest.mark.parametrize("words", [["refund_and_notify"], ["list_tickets", "--label", "../x"]])
def test_what_cannot_be_recorded_is_said_before_anything_is_sent(
    place: Place, connected: Sandbox, words: list[str]
) -> None:
    ran = place.run("record", "acme", *words, "--into", str(place.folder))
    assert ran.code == 2
    assert not list(place.folder.rglob("*.json"))
