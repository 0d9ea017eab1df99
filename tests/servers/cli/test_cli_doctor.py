"""`clew doctor` names what is wrong and the command that helps, and changes nothing."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import respx

from clew.servers.health import SKEW_SECONDS
from clew.servers.sandbox import Sandbox

if TYPE_CHECKING:
    from .conftest import Place


@pytest.fixture(autouse=True)
def user(place: "Place", monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user with an empty home of their own."""
    home = place.folder / "user"
    home.mkdir()
    for name in ("XDG_CONFIG_HOME", "CODEX_HOME", "COPILOT_HOME", "CLAUDE_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", "/nowhere")
    return home


def findings(place: "Place", *words: str, code: int = 0) -> dict[str, dict[str, Any]]:
    ran = place.run("doctor", "--json", *words)
    assert ran.code == code, ran
    return {each["about"]: each for each in json.loads(ran.out)}


def test_a_fresh_machine_is_well_and_stays_untouched(place: "Place", user: Path) -> None:
    found = findings(place)
    assert {each["verdict"] for each in found.values()} == {"ok", "note"}
    assert "Everything is as it should be" in place.run("doctor").err
    assert not place.home.exists()
    assert not list(user.iterdir())


def test_a_connected_account_is_seen_with_its_provider(place: "Place", connected: Sandbox) -> None:
    found = findings(place)
    assert found["vault"]["said"] == "its key opens it, SQLite"
    assert found["accounts"]["said"] == "1 connected"
    assert "acme: 127.0.0.1 answered" in found["provider"]["said"]
    assert "provider" not in findings(place, "--offline")


def test_another_key_is_a_failure_in_words(place: "Place", connected: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    (place.home / "master.key").unlink()
    monkeypatch.setenv("CLEW_MASTER_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
    found = findings(place, "--offline", code=1)
    assert found["keys"]["verdict"] == "failure"
    assert "sealed with the key" in found["keys"]["said"]


def test_what_others_can_read_is_named_with_the_command(place: "Place", connected: Sandbox) -> None:
    place.home.chmod(0o755)
    (place.home / "master.key").chmod(0o644)
    found = findings(place, "--offline", code=1)
    assert found["home"]["fix"] == f"chmod 700 {place.home}"
    assert found["vault"]["fix"].startswith(f"chmod 600 {place.home}/master.key")


def test_a_host_that_starts_a_program_that_is_gone(place: "Place", user: Path) -> None:
    path = user / ".cursor" / "mcp.json"
    path.parent.mkdir()
    path.write_text('{"mcpServers": {"github": {"command": "/gone/bin/clew", "args": ["serve", "github"]}}}')
    found = findings(place, code=1)
    assert found["host"]["fix"] == "clew install cursor github"
    path.write_text("{")
    assert findings(place)["host"]["verdict"] == "warning"


def test_a_clock_that_is_wrong_is_found_by_the_provider_s(place: "Place", connected: Sandbox) -> None:
    with respx.mock(assert_all_called=False) as provider:
        provider.head(url__startswith=connected.url).respond(headers={"date": "Wed, 21 Oct 2015 07:28:00 GMT"})
        found = findings(place, code=1)
    assert found["clock"]["verdict"] == "failure"
    assert SKEW_SECONDS == 60
    with respx.mock(assert_all_called=False) as provider:
        provider.head(url__startswith=connected.url).mock(side_effect=ConnectionError)
        provider.head(url__startswith=connected.url).respond(503, headers={"date": "never"})
        assert findings(place)["provider"]["verdict"] == "ok"


def test_a_variable_that_nobody_knows_is_named(place: "Place", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEW_DEADLIN", "3")
    assert "CLEW_DEADLIN" in findings(place)["settings"]["said"]
