"""`clew install` and `clew uninstall`, as an operator uses them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from clew.servers.hosts.catalog import HOSTS
from clew.servers.hosts.entries import is_fleeting, program

if TYPE_CHECKING:
    from .conftest import Place

WITH_FILES = [name for name, host in HOSTS.items() if not host.manual]


@pytest.fixture(autouse=True)
def empty_home(place: "Place", monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without any host."""
    home = place.folder / "user"
    home.mkdir()
    for name in ("XDG_CONFIG_HOME", "CODEX_HOME", "COPILOT_HOME", "CLAUDE_CONFIG_DIR", "APPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", "/nowhere")
    return home


@pytest.mark.parametrize("host", WITH_FILES)
def test_every_host_takes_two_connectors_and_gives_them_back(place: "Place", host: str, empty_home: Path) -> None:
    (row,) = json.loads(place.run("install", host, "github", "slack", "--read-only", "--json").out)
    path = Path(row["file"])
    assert path.is_relative_to(empty_home)
    text = path.read_text()
    assert program() in text
    assert text.count("--read-only") == 2
    again = place.run("install", host, "github", "slack", "--read-only", "--json")
    assert [each["did"] for each in json.loads(again.out)[0]["entries"]] == ["unchanged", "unchanged"]
    listed = {each["host"]: each for each in json.loads(place.run("install", "--json").out)}
    assert (listed[host]["here"], listed[host]["servers"]) == (True, ["github", "slack"])
    assert place.run("uninstall", host, "--all").code == 0
    assert program() not in path.read_text()
    assert place.run("install", host, "acme", "--dry-run").code == 0
    assert "acme" not in path.read_text()


@pytest.mark.parametrize("host", WITH_FILES)
def test_what_is_printed_can_be_pasted(place: "Place", host: str, empty_home: Path) -> None:
    ran = place.run("install", host, "acme", "--print")
    assert ran.code == 0
    assert "acme" in ran.out
    assert not list(empty_home.rglob("*"))


def test_a_server_that_is_not_clew_s_is_never_overwritten_by_accident(place: "Place", empty_home: Path) -> None:
    path = empty_home / ".cursor" / "mcp.json"
    path.parent.mkdir()
    theirs = '{"mcpServers": {"github": {"command": "docker", "env": {"TOKEN": "canary"}}}}'
    path.write_text(theirs)
    refused = place.run("install", "cursor", "github")
    assert (refused.code, "not clew's" in refused.err, path.read_text()) == (1, True, theirs)
    assert "canary" not in refused.err + refused.out
    assert "not clew's" in place.run("uninstall", "cursor", "github").err
    assert place.run("install", "cursor", "github", "--as", "clew-github").code == 0
    assert place.run("install", "cursor", "github", "--replace").code == 0
    assert json.loads(path.read_text())["mcpServers"]["github"]["args"] == ["serve", "github"]
    assert any(each.read_text() == theirs for each in path.parent.glob("*.bak"))


def test_a_broken_file_is_named_and_left(place: "Place", empty_home: Path) -> None:
    path = empty_home / ".gemini" / "settings.json"
    path.parent.mkdir()
    path.write_text('{"theme": "x",\n  mcpServers: {')
    ran = place.run("install", "gemini", "github")
    assert ran.code == 1
    assert f"{path}: it is not valid JSON" in ran.err
    assert "line 2" in ran.err
    assert path.read_text() == '{"theme": "x",\n  mcpServers: {'


def test_no_secret_is_written_but_where_the_state_is(
    place: "Place", monkeypatch: pytest.MonkeyPatch, empty_home: Path
) -> None:
    monkeypatch.setenv("CLEW_MASTER_KEY", "canary-key")
    monkeypatch.setenv("CLEW_DATABASE", "postgresql://u:canary-password@127.0.0.1/x")
    place.run("install", "codex", "github", "--account", "work", "--tools", "issues")
    text = (empty_home / ".codex" / "config.toml").read_text()
    assert "canary" not in text
    assert f'CLEW_HOME = "{place.home}"' in text
    assert '"--tools", "issues", "--account", "work"' in text


def test_every_detected_host_is_written_and_a_bad_one_stops_no_other(place: "Place", empty_home: Path) -> None:
    assert "no host was found" in place.run("install", "--all-detected", "github").err
    for name in (".cursor", ".codex", ".gemini"):
        (empty_home / name).mkdir()
    (empty_home / ".gemini" / "settings.json").write_text("[")
    ran = place.run("install", "--all-detected", "github", "--json")
    rows = {row["name"]: row["ok"] for row in json.loads(ran.out)}
    assert (ran.code, rows) == (1, {"cursor": True, "gemini": False, "codex": True})


def test_a_project_has_a_file_of_its_own(place: "Place", empty_home: Path) -> None:
    folder = empty_home / "work"
    folder.mkdir()
    assert place.run("install", "vscode", "github", "--project", str(folder)).code == 0
    assert "servers" in json.loads((folder / ".vscode" / "mcp.json").read_text())
    assert "no configuration of a project" in place.run("install", "windsurf", "github", "--project").err


def test_an_address_instead_of_a_program(place: "Place", empty_home: Path) -> None:
    url = "https://mcp.example/github/mcp"
    assert place.run("install", "goose", "github", "--url", url).code == 0
    assert f"uri: {url}" in (empty_home / ".config" / "goose" / "config.yaml").read_text()
    assert "takes no address" in place.run("install", "claude-desktop", "github", "--url", url).err
    assert place.run("install", "goose", "github", "--url", "http://mcp.example/").code == 2


def test_links_names_and_mistakes(place: "Place", empty_home: Path) -> None:
    assert place.run("install", "cursor", "github", "--link").out.startswith("cursor://")
    assert place.run("install", "vscode", "github", "--link").out.startswith("vscode:mcp/install?")
    assert place.run("install", "goose", "github", "--link").out.startswith("goose://extension?cmd=uvx&arg=clew")
    assert "has no such links" in place.run("install", "codex", "github", "--link").err
    assert "Did you mean 'cursor'" in place.run("install", "curser", "github").err
    assert "Say which" in place.run("install", "claude", "github").err
    (empty_home / ".claude.json").write_text("{}")
    assert "Settings, Connectors" in place.run("install", "chatgpt", "github").err
    assert "say which connectors" in place.run("install", "cursor").err
    assert "say which" in place.run("uninstall").err
    assert "HOST" in place.run("install").out


def test_a_program_in_a_cache_is_called_fleeting() -> None:
    assert is_fleeting("/home/a/.cache/uv/archive-v0/xyz/bin/clew")
    assert not is_fleeting("/home/a/.local/share/pipx/venvs/clew/bin/clew")


def test_the_check_starts_each_server_as_the_host_would(
    place: "Place", monkeypatch: pytest.MonkeyPatch, empty_home: Path
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert place.run("install", "cursor", "acme").code == 0
    path = empty_home / ".cursor" / "mcp.json"
    data = json.loads(path.read_text())
    data["mcpServers"]["gone"] = {"command": "/nowhere/clew", "args": ["serve", "acme"]}
    data["mcpServers"]["mute"] = {"command": "/bin/true", "args": []}
    path.write_text(json.dumps(data))
    ran = place.run("install", "cursor", "--check", "--json")
    checks = {each["server"]: each for each in json.loads(ran.out)[0]["checks"]}
    assert ran.code == 1
    assert checks["acme"]["ok"], checks
    assert checks["acme"]["tools"] > 5
    assert checks["acme"]["era"] == "2026-07-28"
    assert not checks["gone"]["ok"]
    assert "mute" not in checks
