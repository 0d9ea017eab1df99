"""The documents say what is true: code blocks run, links lead somewhere."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clew import Connector
from clew.servers.sandbox import Sandbox
from clew.testing.judging import judge_recording
from clew.testing.recordings import read_document

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "AGENTS.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def workshop(tmp_path: Path) -> dict[str, str]:
    """An environment with `clew` on the path and a home of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CLEW_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    return {**environment, "PATH": path, "CLEW_HOME": str(tmp_path / "home"), "CLEW_KEY_PROVIDER": "file"}


def test_the_tutorial_works_as_written(tmp_path: Path, workshop: dict[str, str]) -> None:
    page = (ROOT / "docs/tutorial.md").read_text()
    found = re.findall(r"^```(console|python|text)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    steps = [line for kind, block in found for line in ([block] if kind == "python" else block.splitlines())]
    # Acme runs already, at another port; what the other terminals are for is run here
    steps = [line.replace("curl ", "$ curl -s ", 1) for line in steps if not line.startswith("clew sandbox")]
    module = tmp_path / "clew-helpdesk/src/clew_helpdesk/__init__.py"
    assert len([line for line in steps if line.startswith("$ ")]) >= 5
    with Sandbox() as sandbox:
        (tmp_path / "clew.toml").write_text(f'[connectors.helpdesk]\nbase_url = "{sandbox.url}"\n')
        seen = ""
        for line in steps:
            if line.startswith("$ "):
                done = subprocess.run(
                    ["bash", "-c", line[2:].replace("http://127.0.0.1:8765/_", f"{sandbox.url}/_")],
                    cwd=tmp_path,
                    env=workshop,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                seen = done.stdout + done.stderr
                assert "Traceback" not in seen
                assert "invalid_request_error" not in seen, seen
            elif line.startswith("from "):
                module.write_text(line)
            else:
                assert line in seen, f"{line!r} is not in what the command printed:\n{seen}"
    assert "acme_pat_sandbox" not in seen


@pytest.mark.parametrize("page", ["errors.md", "paging.md"])
def test_the_examples_of_the_how_to_pages_run(page: str) -> None:
    found = blocks(ROOT / "docs" / page, "python")
    assert found
    for example in found:
        exec(compile(example, page, "exec"), {"__name__": "builtins"})


def test_the_answer_that_errors_md_shows_is_judged_as_it_says() -> None:
    names: dict[str, Any] = {}
    exec(blocks(ROOT / "docs/errors.md", "python")[0], names)
    (line,) = blocks(ROOT / "docs/errors.md", "json")
    document = json.loads(line)
    judged = judge_recording(read_document(document), Connector("acme", "https://acme.example", errors=names["ERRORS"]))
    assert {name: judged[name] for name in document["expect"]} == document["expect"]


def test_the_first_example_of_the_readme_is_a_connector_in_at_most_twelve_lines() -> None:
    example = blocks(ROOT / "README.md", "python")[0]
    assert len(example.strip().splitlines()) <= 12
    names: dict[str, object] = {}
    exec(compile(example, "README.md", "exec"), names)
    assert "list_issues" in names["github"].tools  # type: ignore[attr-defined]


def test_the_first_two_shell_blocks_are_the_demo_and_the_tests() -> None:
    demo, tests = blocks(ROOT / "README.md", "sh")[:2]
    assert demo.strip().splitlines()[-1].endswith("clew demo")
    assert "pytest" in tests
    for block in (demo, tests):
        assert shlex.split(block)[:3] == ["python3", "-m", "venv"]
        assert "uv " not in block


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
