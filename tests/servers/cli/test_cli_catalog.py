"""`clew list` and `clew show`."""

import json
from pathlib import Path
from typing import Any

import pytest

Place = Any
Sandbox = Any


def test_list_names_every_connector_and_how_to_connect_it(place: Place) -> None:
    ran = place.run("list")
    lines = {line.split()[0]: line for line in ran.out.splitlines()}
    assert ran.code == 0
    assert "4 read" in lines["acme"]
    assert lines["github"].endswith("not connected: clew auth set github")


def test_list_creates_nothing(place: Place) -> None:
    place.run("list")
    assert not place.home.exists()


def test_list_shows_a_connected_account_as_ready(place: Place, connected: Sandbox) -> None:
    entry = next(each for each in json.loads(place.run("list", "--json").out) if each["name"] == "acme")
    assert entry["state"] == "ready"
    assert [each["account"] for each in entry["accounts"]] == ["ada@acme.example"]


def test_list_survives_a_connector_that_cannot_be_loaded(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import EntryPoint

    from clew.core import registry

    broken = EntryPoint("broken", "clew_no_such_module:broken", registry.GROUP)

    def entry_points(group: str) -> list[EntryPoint]:
        return [broken]

    monkeypatch.setattr(registry, "entry_points", entry_points)
    ran = place.run("list")
    assert ran.code == 0
    assert "cannot be loaded" in ran.out


def test_an_empty_choice_of_connectors_is_said_in_words(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEW_CONNECTORS", "")
    ran = place.run("list")
    assert (ran.code, ran.out) == (0, "")
    assert "No connector" in ran.err


def test_show_prints_facts_and_the_tools_table(place: Place) -> None:
    ran = place.run("show", "acme")
    assert ran.code == 0
    row = next(line for line in ran.out.splitlines() if line.startswith("delete_contact"))
    assert row.split()[1:4] == ["destructive", "always", "contacts"]
    for fact in ("http://127.0.0.1:8765", "2026-07-01 (Acme-Version)", "clew auth set acme", "x-ratelimit-remaining"):
        assert fact in ran.out
    assert "judge" not in ran.out


def test_show_says_that_the_address_is_configured(place: Place) -> None:
    place.configure('[connectors.acme]\nbase_url = "http://127.0.0.1:1"\n')
    assert "http://127.0.0.1:1 (configured; declared: http://127.0.0.1:8765)" in place.run("show", "acme").out


def test_show_prints_the_stages_in_their_order(place: Place) -> None:
    stages = json.loads(place.run("show", "acme", "--stages", "--json").out)["stages"]
    assert [stage.strip() for stage in stages][:6] == ["record", "check", "consent", "journal", "run", "pin"]


def test_show_gives_the_schema_of_every_tool_as_json(place: Place) -> None:
    shown = json.loads(place.run("show", "acme", "--json").out)
    tool = next(each for each in shown["tools"] if each["name"] == "delete_contact")
    assert tool["preview"] == "get_contact"
    assert tool["input_schema"]["required"] == ["contact_id"]


def test_show_takes_a_python_file(place: Place, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        'from clew import Connector\nmine = Connector("mine", base_url="https://m.example")\n'
    )
    ran = place.run("show", "./mine.py")
    assert ran.code == 0
    assert "none needed" in ran.out


def test_an_unknown_connector_is_one_sentence_with_the_nearest_name(place: Place) -> None:
    ran = place.run("show", "gihub")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "clew: there is no connector 'gihub'. Did you mean 'github'?\n"


def test_an_error_is_json_when_json_was_asked_for(place: Place) -> None:
    ran = place.run("show", "gihub", "--json")
    assert ran.code == 2
    assert json.loads(ran.out)["error"]["code"] == "configuration"


@pytest.mark.parametrize("colour", [True, False])
def test_colours_are_for_terminals_that_want_them(place: Place, monkeypatch: pytest.MonkeyPatch, colour: bool) -> None:
    monkeypatch.setenv("TERM", "xterm")
    if not colour:
        monkeypatch.setenv("NO_COLOR", "1")
    terminal = place.terminal("list")
    assert terminal.end() == 0
    assert ("\x1b[" in terminal.seen) is colour
    assert "\x1b[" not in place.run("list").out


@pytest.mark.parametrize(
    ("name", "budget", "told"),
    [
        ("salesforce", "25 at once (at once); 100000 in 86400 s (day)", "sforce-limit-info"),
        ("github", "900 in 60 s (points)", "x-ratelimit-remaining, x-ratelimit-reset (epoch_s)"),
    ],
)
def test_show_says_which_budgets_are_kept_and_where_the_provider_tells_them(
    place: Place, name: str, budget: str, told: str
) -> None:
    lines = place.run("show", name).out.splitlines()
    assert budget in next(line for line in lines if line.startswith("rate limit:"))
    assert next(line for line in lines if line.startswith("told in:")).split(":", 1)[1].strip() == told


def test_show_lists_what_of_a_description_is_no_tool_and_why(place: Place, tmp_path: Path) -> None:
    paths = {
        f"/things/{number}{{id}}": {
            "delete": {
                "operationId": f"delete{number}",
                "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
                "responses": {"204": {"description": "Gone"}},
            }
        }
        for number in range(25)
    }
    paths["/names"] = {"get": {"operationId": "listNames", "responses": {"200": {"description": "Names"}}}}
    file = tmp_path / "things.json"
    file.write_text(
        json.dumps({"openapi": "3.0.0", "info": {"title": "Things", "version": "1"},
                    "servers": [{"url": "https://things.example.com"}], "paths": paths})
    )  # fmt: skip
    shown = place.run("show", f"openapi:{file}")
    assert "No tools, of the description's operations: 25." in shown.out
    assert "no read operation shows what it would hit" in shown.out
    assert "and 5 more" in shown.out
    left = json.loads(place.run("show", f"openapi:{file}", "--json").out)["left_out"]
    assert len(left) == 25
    assert set(left.values()) == {"no read operation shows what it would hit"}


def test_show_lists_what_is_left_out_without_obeying_its_name(place: Place, tmp_path: Path) -> None:
    nothing = {"responses": {"204": {"description": "x"}}}
    paths = {
        "/a\x1b[31m\u202e{id}": {"delete": {"operationId": "del\x1b]0;pwn\x07ete", **nothing}},
        "/ok": {"get": {"operationId": "listOk", **nothing}},
    }
    file = tmp_path / "evil.json"
    facts = {"openapi": "3.0.0", "info": {"title": "T", "version": "1"}, "servers": [{"url": "https://t.example.com"}]}
    file.write_text(json.dumps({**facts, "paths": paths}))
    shown = place.run("show", f"openapi:{file}")
    assert "operations: 1." in shown.out
    assert not {"\x1b", "\x07", "\u202e"} & set(shown.out)
