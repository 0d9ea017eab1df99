"""`clew auth set`, `auth status` and `auth remove`."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

Place = Any
Sandbox = Any


def test_a_token_on_standard_input_is_tried_and_kept_under_the_providers_name(place: Place, acme: Sandbox) -> None:
    ran = place.run("auth", "set", "acme", "--json", stdin=acme.pat + "\n")
    assert ran.code == 0
    kept = json.loads(ran.out)
    assert (kept["account"], kept["identity"], kept["tried"]) == ("ada@acme.example", "ada@acme.example", True)
    assert acme.state.requests["GET /api/me"] == 1
    assert acme.pat not in ran.out + ran.err


def test_a_refused_token_is_not_stored(place: Place, acme: Sandbox) -> None:
    ran = place.run("auth", "set", "acme", stdin="acme_pat_wrong")
    assert ran.code == 4
    assert "does not accept this credential; nothing was stored" in ran.err
    assert "acme_pat_wrong" not in ran.err
    assert json.loads(place.run("auth", "status", "--json").out) == []


def test_a_provider_that_is_down_does_not_lose_the_token(place: Place) -> None:
    place.configure('[connectors.acme]\nbase_url = "http://127.0.0.1:1"\n')
    ran = place.run("auth", "set", "acme", stdin="acme_pat_later")
    assert ran.code == 0
    assert "Stored without being tried" in ran.err
    assert [each["account"] for each in json.loads(place.run("auth", "status", "--json").out)] == ["main"]


def test_an_answer_that_makes_no_sense_does_not_lose_the_token(place: Place, acme: Sandbox) -> None:
    acme.fault("remove_field", field="email")
    ran = place.run("auth", "set", "acme", stdin=acme.pat)
    assert ran.code == 0
    assert "the answer could not be read" in ran.err


def test_replacing_a_credential_is_said(place: Place, connected: Sandbox) -> None:
    ran = place.run("auth", "set", "acme", stdin=connected.pat)
    assert "This replaces what account 'ada@acme.example' got" in ran.err
    assert len(json.loads(place.run("auth", "status", "--json").out)) == 1


def test_the_account_can_be_named(place: Place, acme: Sandbox) -> None:
    assert place.run("auth", "set", "acme", "--account", "work", stdin=acme.pat).code == 0
    (status,) = json.loads(place.run("auth", "status", "acme", "--json").out)
    assert (status["account"], status["identity"]) == ("work", "ada@acme.example")


def test_the_secret_can_come_from_a_file(place: Place, acme: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "token.txt").write_text(acme.pat + "\r\n")
    assert place.run("auth", "set", "acme", "--file", "token.txt", stdin=None).code == 0


def test_the_vault_holds_no_readable_token(place: Place, connected: Sandbox) -> None:
    stored = b"".join(path.read_bytes() for path in place.home.iterdir())
    assert connected.pat.encode() not in stored


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("", "holds nothing"),
        ("\n", "holds nothing"),
        ("   \n", "is empty"),
        ("two\nlines\n", "control character"),
        ("esc\x1b[2J", "control character"),
        ("two words", "copied whole"),
        (None, "standard input is closed"),
    ],
)
def test_what_cannot_be_a_secret_is_refused(place: Place, acme: Sandbox, given: str | None, why: str) -> None:
    ran = place.run("auth", "set", "acme", stdin=given)
    assert ran.code == 2
    assert why in ran.err
    assert ran.err.count("\n") == 1
    assert not acme.state.requests


@pytest.mark.parametrize(
    "words", [("ghp_Secret123",), ("--token", "ghp_Secret123"), ("--token=ghp_Secret123",), ("-tghp_Secret123",)]
)
def test_a_secret_on_the_command_line_is_refused_and_not_repeated(place: Place, words: tuple[str, ...]) -> None:
    ran = place.run("auth", "set", "github", *words)
    assert ran.code == 2
    assert "can be read by other programs" in ran.err
    assert "ghp_" not in ran.out + ran.err
    assert not place.home.exists()


def test_a_secret_where_the_name_belongs_is_not_repeated(place: Place) -> None:
    ran = place.run("auth", "set", "ghp_Secret123Secret123Secret123")
    assert ran.code == 2
    assert "ghp_" not in ran.err


def test_a_name_with_control_characters_is_no_account(place: Place, acme: Sandbox) -> None:
    ran = place.run("auth", "set", "acme", "--account", "a\x1bb", stdin=acme.pat)
    assert ran.code == 2
    assert "\x1b" not in ran.err


def test_a_kind_that_the_connector_does_not_take_is_refused(place: Place) -> None:
    ran = place.run("auth", "set", "acme", "--kind", "basic", stdin="x")
    assert (ran.code, ran.err) == (2, "clew: acme takes no basic; it takes bearer.\n")


def test_a_missing_file_is_one_sentence(place: Place) -> None:
    ran = place.run("auth", "set", "acme", "--file", "nowhere.txt")
    assert (ran.code, ran.err) == (2, "clew: nowhere.txt cannot be read: No such file or directory.\n")


def test_status_without_accounts_says_how_to_connect_one(place: Place) -> None:
    ran = place.run("auth", "status")
    assert (ran.code, ran.out) == (0, "")
    assert "clew auth set NAME" in ran.err


def test_status_of_a_connector_without_accounts_ends_with_4(place: Place) -> None:
    ran = place.run("auth", "status", "github")
    assert ran.code == 4
    assert "clew auth set github" in ran.err


def test_status_of_an_unknown_connector_is_a_usage_error(place: Place) -> None:
    assert place.run("auth", "status", "gihub").code == 2


def test_check_shows_a_revoked_token_and_how_to_repair_it(place: Place, acme: Sandbox) -> None:
    token = acme.mint_pat()
    place.run("auth", "set", "acme", "--account", "work", stdin=token)
    assert place.run("auth", "status", "--check").code == 0
    acme.reset()  # Acme forgets every token but its own
    ran = place.run("auth", "status", "--check")
    assert ran.code == 4
    assert re.search(r"work +refused +ada@acme.example +token", ran.out)
    assert "Repair it with: clew auth set acme --account work" in ran.out


def test_check_says_when_the_provider_cannot_be_asked(place: Place, connected: Sandbox) -> None:
    place.configure('[connectors.acme]\nbase_url = "http://127.0.0.1:1"\n')
    place.run("auth", "set", "acme", "--account", "ada@acme.example", stdin=connected.pat)
    ran = place.run("auth", "status", "--check")
    assert ran.code == 1
    assert "was not checked: acme could not be reached" in ran.out


def test_check_notes_the_identity_that_was_not_known(place: Place, acme: Sandbox) -> None:
    place.configure(f'[connectors.acme]\nbase_url = "{acme.url}/nowhere"\n')
    place.run("auth", "set", "acme", stdin=acme.pat)
    place.configure(f'tools = ["no_such_tool"]\n[connectors.acme]\nbase_url = "{acme.url}"\n')
    assert place.run("auth", "status", "--check").code == 0
    (status,) = json.loads(place.run("auth", "status", "--json").out)
    assert status["identity"] == "ada@acme.example"


def test_remove_forgets_the_only_account(place: Place, connected: Sandbox) -> None:
    ran = place.run("auth", "remove", "acme", "--json")
    assert ran.code == 0
    assert json.loads(ran.out) == {"connector": "acme", "account": "ada@acme.example", "removed": True}
    assert "revoke it there too" in ran.err
    assert json.loads(place.run("auth", "status", "--json").out) == []


def test_remove_does_not_guess_among_several_accounts(place: Place, connected: Sandbox) -> None:
    place.run("auth", "set", "acme", "--account", "work", stdin=connected.pat)
    ran = place.run("auth", "remove", "acme")
    assert ran.code == 2
    assert "ada@acme.example, work" in ran.err
    assert len(json.loads(place.run("auth", "status", "--json").out)) == 2


def test_remove_of_what_is_not_there_says_so(place: Place, connected: Sandbox) -> None:
    assert "There are: ada@acme.example" in place.run("auth", "remove", "acme", "--account", "work").err
    assert "nothing to remove" in place.run("auth", "remove", "github").err


def test_the_prompt_hides_what_is_typed(place: Place, acme: Sandbox) -> None:
    terminal = place.terminal("auth", "set", "acme")
    terminal.see("(nothing is shown): ")
    terminal.type(acme.pat)
    terminal.see("is connected")
    assert terminal.end() == 0
    assert acme.pat not in terminal.seen


def test_an_identity_is_shown_without_its_control_characters(place: Place, acme: Sandbox) -> None:
    acme.fault("set_field", field="email", value="ada\x1b[2J")
    ran = place.run("auth", "set", "acme", stdin=acme.pat)
    shown = place.run("auth", "status")
    assert "\x1b" not in ran.out + ran.err + shown.out
    assert "ada" in shown.out


def test_a_damaged_database_is_one_sentence(place: Place) -> None:
    place.home.mkdir()
    (place.home / "clew.db").write_bytes(os.urandom(8192))
    ran = place.run("auth", "status")
    assert ran.code == 2
    assert "is not a database" in ran.err
