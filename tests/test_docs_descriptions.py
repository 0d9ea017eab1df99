"""The pages about descriptions say what is true: every command in them is run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from clew.servers.sandbox import Sandbox

ROOT = Path(__file__).parents[1]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def workshop(tmp_path: Path) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CLEW_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    return {**environment, "PATH": path, "CLEW_HOME": str(tmp_path / "home"), "CLEW_KEY_PROVIDER": "file"}


def run_page(page: Path, folder: Path, environment: dict[str, str]) -> str:
    """Run every `$` line of the page's console blocks; the lines after it must be in what it printed."""
    steps = [line for block in blocks(page, "console") for line in block.splitlines()]
    assert len([line for line in steps if line.startswith("$ ")]) >= 3
    seen = everything = ""
    for line in steps:
        if line.startswith("$ "):
            command = ["bash", "-c", line[2:]]
            done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
            seen = done.stdout + done.stderr
            everything += seen
            assert "Traceback" not in seen
        else:
            assert line in seen, f"{line!r} is not in what the command printed:\n{seen}"
    return everything


def test_the_page_about_openapi_works_as_written(tmp_path: Path, workshop: dict[str, str]) -> None:
    page = ROOT / "docs" / "openapi.md"
    (tmp_path / "helpdesk.yaml").write_text(blocks(page, "yaml")[0])
    with Sandbox() as sandbox:
        places = "".join(f'[connectors.{name}]\nbase_url = "{sandbox.url}"\n' for name in ("help_desk", "helpdesk"))
        (tmp_path / "clew.toml").write_text(places)
        seen = run_page(page, tmp_path, workshop)
    assert "acme_pat_sandbox" not in seen
    shown = blocks(page, "text")[0]
    assert shown in (tmp_path / "helpdesk.py").read_text()
