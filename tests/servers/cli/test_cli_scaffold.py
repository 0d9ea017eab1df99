"""`clew new NAME`: a package that passes its own checks from the first minute, wherever it is installed."""

import itertools
import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from clew.servers.cli.scaffolding import Answers, write_package
from clew.testing import check

Place = Any
ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("auth", "pages"), list(itertools.product(["bearer", "api_key:X-Key", "none"], ["cursor", "number"]))
)
def test_what_is_written_is_fit_whatever_was_answered(tmp_path: Path, auth: str, pages: str) -> None:
    given = Answers("Billing & Co", "https://api.billing.example/v1", auth, pages, "ticket_entry")
    files = write_package("billing", given, tmp_path)
    assert {"pyproject.toml", "AGENTS.md", ".github/workflows/check.yml", "tests/test_connector.py"} <= set(files)
    card = check(str(tmp_path / "src/clew_billing/__init__.py"))
    assert [name for name, seen in card.seen.items() if not seen.passed] == ["snapshot"]  # which the command writes


def test_the_command_writes_it_checks_it_and_does_not_write_over_it(place: Place) -> None:
    folder = place.folder / "made"
    ran = place.run("new", "billing", "--yes", "--output", str(folder), "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["fit"] is True
    assert place.run("check", json.loads(ran.out)["module"]).code == 0
    again = place.run("new", "billing", "--yes", "--output", str(folder))
    assert again.code == 2
    assert "is there already" in again.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["Billing"], "lower-case"),
        (["billing", "--base-url", "ftp://x"], "http(s) URL"),
        (["billing", "--base-url", 'https://x"; import os'], "http(s) URL"),
        (["billing", "--auth", "magic"], "--auth is"),
        (["billing", "--auth", "api_key:"], "api_key:X-Api-Key"),
        (["billing", "--pages", "book"], "--pages is one of"),
        (["billing", "--resource", "Two Words"], "one word"),
    ],
)
def test_what_cannot_be_written_is_said_and_nothing_is_written(place: Place, words: list[str], said: str) -> None:
    ran = place.run("new", *words, "--yes", "--output", str(place.folder / "made"))
    assert ran.code == 2
    assert said in ran.err
    assert not (place.folder / "made").exists()


def test_on_a_terminal_it_asks_and_takes_a_default_for_an_empty_answer(place: Place) -> None:
    folder = place.folder / "asked"
    terminal = place.terminal("new", "billing", "--output", str(folder))
    for question, answer in (
        ("call the provider?", "Big Bills"), ("Where is its API?", ""), ("authenticate", "basic"), ("page", ""),
        ("first thing", "invoice"),
    ):  # fmt: skip
        terminal.see(question)
        terminal.type(answer)
    terminal.see("it is fit")
    assert terminal.end() == 0
    text = (folder / "src/clew_billing/__init__.py").read_text()
    assert 'title="Big Bills"' in text
    assert "async def list_invoices" in text
    assert "auth=Basic(" in text


@pytest.mark.packaging
def test_the_package_installs_and_its_own_tests_and_types_are_green(tmp_path: Path) -> None:
    folder = tmp_path / "clew-billing"
    env = {**os.environ, "CLEW_HOME": str(tmp_path / "home")}

    def run(*command: str, cwd: Path = tmp_path) -> str:
        done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(sys.executable, "-m", "clew.servers.cli", "new", "billing", "--yes", "--output", str(folder))
    venv.create(tmp_path / "venv", with_pip=True)
    binaries = tmp_path / "venv" / "bin"
    run(str(binaries / "pip"), "install", "-q", "-c", str(ROOT / "constraints.txt"), str(ROOT), f"{folder}[test]")
    assert '"billing"' in run(str(binaries / "clew"), "list", "--json")
    assert "billing: fit" in run(str(binaries / "clew"), "check", "billing")
    assert "13 passed" in run(str(binaries / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=folder)
    assert "Success" in run(str(binaries / "mypy"), cwd=folder)
