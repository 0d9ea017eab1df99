"""clew against software that nobody here wrote, through the script that also writes docs/tested-with.md.

`pytest -m testbed` runs the test beds; they are skipped when their software is not installed. The other tests here
are about the script itself and need nothing.
"""

import json
import os
import platform
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPT = ROOT / "scripts" / "tested-with"
PAGE = ROOT / "docs" / "tested-with.md"
BEDS = (
    "github",
    "google",
    "slack",
    "prism",
    "stripe",
    "inspector",
    "conformance",
    "claude",
    "install",
    "hosts",
    "consent",
)


def run_script(*words: str, seconds: float = 30) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)


def skip_when_missing(done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode == 2 and "not installed" in done.stderr:
        pytest.skip(done.stderr.strip())


@pytest.mark.testbed
@pytest.mark.parametrize("bed", BEDS)
def test_every_check_of_the_test_bed_holds(bed: str) -> None:
    if bed == "stripe":
        pytest.importorskip("stripe", reason="Stripe's Python library is not installed: pip install 'clew[testbed]'")
    done = run_script("--only", bed, "--json", "--no-install", seconds=280)
    skip_when_missing(done)
    found = json.loads(done.stdout)
    failed = [f"{row['way']}: {row['check']}: {row['detail']}" for row in found["rows"] if not row["ok"]]
    assert found["rows"], done.stderr
    assert failed == []
    assert done.returncode == 0, done.stderr


@pytest.mark.testbed
@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="there is no /proc to look for what is left over")
def test_what_the_script_started_is_stopped_when_it_is_interrupted(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, str(SCRIPT), "--only", "github", "--no-install"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as script:
        assert script.stdout is not None
        first = script.stdout.readline()
        if first.startswith("ok"):
            assert running_below(tmp_path), "the test bed should be up by now"
        script.send_signal(signal.SIGINT)
        _, said = script.communicate(timeout=60)
    skip_when_missing(subprocess.CompletedProcess(command, script.returncode, first, said))
    assert script.returncode == 130, said
    assert running_below(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def running_below(folder: Path) -> list[str]:
    """The processes whose working directory is in `folder`."""
    found: list[str] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue  # it has ended, or belongs to somebody else
    return found


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--only", "jira"), "there is no test bed 'jira'"),
        (("--only", ","), "there is no test bed"),
        (("--only", "github", "--write"), "--write needs all test beds"),
    ],
)
def test_wrong_options_are_refused_in_a_sentence(words: tuple[str, ...], sentence: str) -> None:
    done = run_script(*words)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_the_page_tells_what_was_run_and_what_that_does_not_prove() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert re.search(r"^Run on \d{4}-\d{2}-\d{2}: \d+ checks, none failed\.$", page, re.MULTILINE)
    titles = ("Is my host", "A person's approval", "GitHub with state", "GitHub's own description", "MCP Inspector")
    for title in (*titles, "official conformance suite", "Claude Code", "Not proven here"):
        assert re.search(rf"^## .*{title}", page, re.MULTILINE), title
    assert page.count("| ok |") > 50
    assert "**failed**" not in page


def test_the_page_names_nothing_of_the_machine_it_was_written_on() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert not re.search(r"(?<![\w./])/(tmp|home|root|Users|var|work|opt|usr|private)/", page)
    assert not re.search(r"(127\.0\.0\.1|localhost):\d", page)
    assert not re.search(rf"\b{re.escape(platform.node())}\b", page)
