"""`clew demo`, as a stranger runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path


def demo(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CLEW_")}
    folders = {"HOME": tmp_path, "XDG_DATA_HOME": tmp_path / "data", "XDG_CONFIG_HOME": tmp_path / "config"}
    environment |= {name: str(folder) for name, folder in folders.items()}
    command = [sys.executable, "-m", "clew.servers.cli", "demo", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_the_demo_shows_every_step_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = demo(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    for words in (
        "OAuth",
        "page by page",
        "It will hit:",
        "429",
        "refreshed",
        "Acme has it 1 time, after 2 requests to create",
        "3-D Secure",
        "bounced",
        "What to type next",
    ):
        assert words in done.stdout
    assert list(tmp_path.rglob("*")) == []
    assert "Traceback" not in done.stderr


def test_the_transcript_is_json_with_a_verdict_for_each_step(tmp_path: Path) -> None:
    done = demo(tmp_path, "--json")
    transcript = json.loads(done.stdout)
    assert transcript["ok"] is True
    assert len(transcript["steps"]) == 11
    assert all(step["ok"] for step in transcript["steps"])
    assert "acme_pat" not in done.stdout
    assert "Bearer" not in done.stdout
