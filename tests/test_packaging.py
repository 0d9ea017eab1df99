"""The package as others get it: public names, links, and the wheel that comes out of the sdist."""

import os
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

import clew

ROOT = Path(__file__).parents[1]
FOLDERS = ("auth", "connectors", "core", "servers", "testing")


def test_the_public_names_are_sorted_resolve_and_are_at_most_thirty() -> None:
    assert clew.__all__ == sorted(clew.__all__)
    assert len(clew.__all__) <= 30
    for name in clew.__all__:
        assert getattr(clew, name) is not None
    assert set(dir(clew)) == {*clew.__all__, "__version__"}


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = clew.Nothing


def test_every_public_name_says_what_it_is() -> None:
    assert [name for name in clew.__all__ if not (getattr(clew, name).__doc__ or "").strip()] == []


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert clew.__version__ == project["version"]


def test_src_holds_one_relative_link_for_each_folder() -> None:
    links = {path.name: str(path.readlink()) for path in (ROOT / "src/clew").iterdir() if path.is_symlink()}
    assert links == {name: f"../../{name}" for name in FOLDERS}


def test_importing_clew_imports_nothing_heavy() -> None:
    code = "import sys, clew; print([m for m in ('httpx', 'httpx2', 'pydantic', 'mcp', 'authlib') if m in sys.modules])"
    assert _run(sys.executable, "-c", code).strip() == "[]"


def test_the_constraints_name_no_host_and_cover_every_dependency() -> None:
    text = (ROOT / "constraints.txt").read_text()
    assert "://" not in text
    assert "@" not in text
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in text.splitlines() if "==" in line}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {each.partition(">")[0].partition("[")[0].strip().lower() for each in project["dependencies"]}
    assert needed <= pinned


@pytest.mark.packaging
def test_the_wheel_built_from_the_sdist_installs_alone_and_lists_the_connectors(tmp_path: Path) -> None:
    _run(sys.executable, "-m", "build", "--outdir", str(tmp_path), str(ROOT))  # sdist, then the wheel from it
    (wheel,) = tmp_path.glob("*.whl")
    names = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"clew"}

    venv.create(tmp_path / "venv", with_pip=True)
    binaries = tmp_path / "venv" / "bin"
    _run(str(binaries / "pip"), "install", "-q", "-c", str(ROOT / "constraints.txt"), str(wheel))
    listed = _run(str(binaries / "clew"), "list", "--json", cwd=tmp_path, CLEW_HOME=str(tmp_path / "home"))
    assert '"github"' in listed
    assert '"acme"' in listed
    assert list((binaries.parent / "lib").rglob("clew/py.typed"))


def _run(*command: str, cwd: Path | None = None, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
