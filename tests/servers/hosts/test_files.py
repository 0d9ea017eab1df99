"""A host's file on the disk: read-only, linked, written by others, half full disks. It is never damaged."""

import os
import threading
from pathlib import Path

import pytest

from clew.core.errors import ConfigurationError
from clew.servers.hosts import files


def test_a_copy_of_the_former_content_is_kept_and_private(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "mcp.json"
    first = files.change(path, lambda text: text + "one")
    assert (first.changed, first.backup, path.read_text()) == (True, None, "one")
    path.chmod(0o640)
    second = files.change(path, lambda text: text + " two")
    assert path.read_text() == "one two"
    assert path.stat().st_mode & 0o777 == 0o640
    assert second.backup is not None
    assert (second.backup.read_text(), second.backup.stat().st_mode & 0o777) == ("one", 0o600)
    third = files.change(path, lambda text: text + " three")
    assert third.backup not in (None, second.backup)
    assert files.change(path, lambda text: text) == files.Written(path, changed=False)
    assert len(list(path.parent.iterdir())) == 3


def test_what_a_link_points_to_is_changed_and_the_link_stays(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "mcp.json"
    real.parent.mkdir()
    real.write_text("a")
    link = tmp_path / "mcp.json"
    link.symlink_to(real)
    files.change(link, lambda text: text + "b")
    assert (link.is_symlink(), real.read_text()) == (True, "ab")
    circle = tmp_path / "circle"
    circle.symlink_to(circle)
    with pytest.raises(ConfigurationError):
        files.change(circle, str.upper)


def test_what_somebody_wrote_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("start")
    rounds = iter(range(2))

    def edit(text: str) -> str:
        if next(rounds, None) is not None:
            path.write_text(text + " theirs")  # the host writes between our look and our change
        return text + " ours"

    files.change(path, edit)
    assert path.read_text() == "start theirs theirs ours"
    with pytest.raises(ConfigurationError, match="another program"):
        files.change(path, lambda text: (path.write_text(text + "."), text + "x")[1])
    assert path.read_text().endswith(".....")


def test_many_writers_lose_nothing_but_their_patience(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    done: list[str] = []

    def write(name: str) -> None:
        for n in range(10):
            try:
                files.change(path, lambda text, n=n: text + f"{name}{n}\n")  # type: ignore[misc]
                done.append(f"{name}{n}")
            except ConfigurationError:
                continue

    threads = [threading.Thread(target=write, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = path.read_text().splitlines()
    assert len(lines) == len(set(lines))
    assert set(lines) <= set(done)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"\x80abc"])
def test_bytes_that_are_no_text_are_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mcp.json"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="UTF-8"):
        files.change(path, str.upper)
    assert path.read_bytes() == content


def test_what_is_no_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not a file"):
        files.change(tmp_path, str.upper)
    huge = tmp_path / "huge.json"
    with huge.open("wb") as stream:
        stream.truncate(files.LARGEST + 1)
    with pytest.raises(ConfigurationError, match="larger"):
        files.read(huge)


def test_a_file_that_cannot_be_written_stays_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    path = folder / "mcp.json"
    path.write_text("kept")
    path.chmod(0o444)
    folder.chmod(0o555)
    try:
        if os.geteuid() == 0:  # root may write anywhere: a folder that is a file stands for it
            inside = path / "mcp.json"
            with pytest.raises(ConfigurationError):
                files.change(inside, lambda text: text + "x")
        else:
            with pytest.raises(ConfigurationError, match="--print"):
                files.change(path, lambda text: text + "x")
    finally:
        folder.chmod(0o755)
    assert path.read_text() == "kept"


def test_an_edit_that_fails_leaves_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("kept")

    def broken(text: str) -> str:
        raise ConfigurationError("it is not valid JSON")

    with pytest.raises(ConfigurationError):
        files.change(path, broken)
    assert [each.name for each in tmp_path.iterdir()] == ["mcp.json"]
