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


def test_live_checks_show_what_a_provider_has_changed_since(place: Place, connected: Sandbox) -> None:
    folder = place.folder / "examples"
    look = ("check", "acme", "--live", "--examples", str(folder))
    assert place.run("record", "acme", "list_tickets", "status=open", "--into", str(folder)).code == 0
    same = place.run(*look)
    assert same.code == 0, same.out
    assert same.out.startswith("same  list_tickets")
    (file,) = folder.rglob("*.json")
    kept = json.loads(file.read_text())
    for item in kept["exchanges"][0]["response"]["body"]["data"]:
        item["id"] = 5
        item["gone_since"] = "x"
        del item["subject"]
    file.write_text(json.dumps(kept))
    changed = place.run(*look)
    assert changed.code == 1
    lines = {line.strip().partition(": ")[2] for line in changed.out.splitlines()[1:]}
    assert lines == {
        "data[].id: is string, and was number",
        "data[].gone_since: is gone, and was string",
        "data[].subject: is new: string",
    }
    told = json.loads(place.run(*look, "--json").out)
    assert [each["breaking"] for each in told[0]["changes"]].count(True) == 2
    assert place.run(*look, "--update").code == 1
    assert place.run(*look).code == 0


def test_live_checks_make_no_writes_and_say_what_fails(place: Place, connected: Sandbox) -> None:
    folder = place.folder / "examples"
    assert place.run("record", "acme", "list_tickets", "--into", str(folder)).code == 0
    (file,) = folder.rglob("*.json")
    kept = json.loads(file.read_text())
    file.with_name("create_ticket.json").write_text(json.dumps({**kept, "tool": "create_ticket"}))
    file.with_name("get_contact.json").write_text(
        json.dumps({**kept, "tool": "get_contact", "arguments": {"contact_id": "con_0"}})
    )
    ran = place.run("check", "acme", "--live", "--examples", str(folder))
    assert ran.code == 1
    assert "only reads are made again" in ran.out
    assert "not_found" in ran.out
    assert place.run("check", "acme", "--live", "--examples", str(place.folder)).code == 2
