"""`clew install` from an empty home, proven by the hosts' own checks. `CLEW_TEST_HOSTS` is a folder with their
programs: npm i @anthropic-ai/claude-code @openai/codex @google/gemini-cli opencode-ai, then its node_modules/.bin."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from clew.servers.hosts.entries import program

pytestmark = pytest.mark.testbed
HOSTS = {"claude-code": "claude", "gemini": "gemini", "codex": "codex", "opencode": "opencode"}


@pytest.mark.parametrize("host", HOSTS)
def test_a_real_host_finds_what_was_installed_from_an_empty_home(host: str, tmp_path: Path) -> None:
    folder = os.environ.get("CLEW_TEST_HOSTS", "")
    if not (Path(folder) / HOSTS[host]).exists():
        pytest.skip(f"no {HOSTS[host]} in CLEW_TEST_HOSTS")
    trusted = tmp_path / ".gemini" / "trustedFolders.json"
    trusted.parent.mkdir()
    trusted.write_text(json.dumps({str(tmp_path): "TRUST_FOLDER"}))
    environment = {
        "HOME": str(tmp_path),
        "PATH": f"{folder}:{os.environ['PATH']}",
        "CLEW_HOME": str(tmp_path / "state"),
        "CLEW_KEY_PROVIDER": "file",
    }

    def clew(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program(), *words], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
        )

    ran = clew("install", host, "acme", "github", "--check", "--json")
    (row,) = json.loads(ran.stdout)
    assert (ran.returncode, row["host_check"]) == (0, "ran"), row
    by_host = {each["server"]: each["ok"] for each in row["checks"] if each["by"] != "clew"}
    assert by_host == {"acme": True, "github": True}
    assert clew("uninstall", host, "--all").returncode == 0
    assert clew("install", host, "--check").returncode == 1
