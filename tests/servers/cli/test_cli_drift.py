"""`clew drift`: what a running provider changed, seen by real calls of several processes' lives."""

import json
from typing import Any

from clew.servers.sandbox import Sandbox

Place = Any


def test_a_renamed_field_is_an_error_and_stands_in_the_list(place: Place, connected: Sandbox) -> None:
    assert place.run("drift").out.startswith("Nothing has changed")
    assert place.run("call", "acme", "list_tickets").code == 0
    assert json.loads(place.run("drift", "acme", "--json").out) == []
    connected.fault("rename_field", method="GET", path="/api/tickets", field="subject", to="title")
    assert "contract_changed" in place.run("call", "acme", "list_tickets").err
    (change,) = json.loads(place.run("drift", "acme", "--json").out)
    assert (change["change"], change["model"], change["path"]) == ("missing_required", "Ticket", "subject")
    assert "subject" in place.run("drift").out
    assert json.loads(place.run("drift", "github", "--json").out) == []


def test_without_a_database_nothing_is_made(place: Place) -> None:
    assert place.run("drift").code == 0
    assert not place.home.exists() or not list(place.home.glob("*.db"))
