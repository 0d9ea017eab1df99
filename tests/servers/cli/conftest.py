"""The command line in a place of its own: another home, another configuration, nothing of the user's."""

import io
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import pytest

from clew.servers.cli import main
from clew.servers.sandbox import Sandbox

PROGRAM = [sys.executable, "-m", "clew.servers.cli"]


def hear_interrupts() -> None:
    """In a child: take Ctrl-C even when these tests run in the background of a script, which ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass(frozen=True, slots=True)
class Ran:
    """What one command left."""

    code: int
    out: str
    err: str


@dataclass
class Place:
    """Runs `clew` here: in this process (`run`), in its own (`start`), or on a terminal (`terminal`)."""

    folder: Path
    capture: pytest.CaptureFixture[str]
    patch: pytest.MonkeyPatch

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def configure(self, text: str) -> None:
        (self.folder / "clew.toml").write_text(text)

    def run(self, *words: str, stdin: str | None = "") -> Ran:
        self.patch.setattr(sys, "stdin", None if stdin is None else io.StringIO(stdin))
        self.capture.readouterr()
        code = main(words)
        captured = self.capture.readouterr()
        assert "Traceback" not in captured.err
        return Ran(code, captured.out, captured.err)

    def start(self, *words: str, **options: object) -> "subprocess.Popen[str]":
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        pipes["preexec_fn"] = hear_interrupts
        return subprocess.Popen([*PROGRAM, *words], text=True, **pipes)  # type: ignore[call-overload, no-any-return]

    def terminal(self, *words: str) -> "Terminal":
        return Terminal([*PROGRAM, *words])


class Terminal:
    """A program on a pseudo-terminal: `see` waits for words, `type` answers."""

    def __init__(self, command: list[str]) -> None:
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=hear_interrupts,  # noqa: PLW1509 - it only sets a signal
        )
        os.close(slave)
        self.seen = ""

    def see(self, words: str, seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while words not in self.seen:
            left = deadline - time.monotonic()
            assert left > 0, f"{words!r} did not appear: {self.seen}"
            if not self._read(left):
                break
        assert words in self.seen, self.seen

    def type(self, line: str) -> None:
        os.write(self._master, line.encode() + b"\n")

    def end(self) -> int:
        while self._read(20):
            pass
        code = self.process.wait(20)
        os.close(self._master)
        return code

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], seconds)
        try:
            text = os.read(self._master, 65536) if ready else b""
        except OSError:  # Linux says so when the last writer is gone
            return False
        self.seen += text.decode(errors="replace").replace("\r\n", "\n")
        return bool(text)


@pytest.fixture
def place(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Place:
    for name in [
        name for name in os.environ if name.startswith("CLEW_") or name in {"DISPLAY", "WAYLAND_DISPLAY", "NO_COLOR"}
    ]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("CLEW_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CLEW_KEY_PROVIDER", "file")
    monkeypatch.chdir(tmp_path)
    return Place(tmp_path, capsys, monkeypatch)


@pytest.fixture
def acme(place: Place, sandbox: Sandbox) -> Sandbox:
    """A running Acme that connector acme is configured for; no account is connected."""
    place.configure(f'[connectors.acme]\nbase_url = "{sandbox.url}"\n')
    return sandbox


@pytest.fixture
def connected(place: Place, acme: Sandbox) -> Sandbox:
    """The same with an account."""
    assert place.run("auth", "set", "acme", stdin=acme.pat).code == 0
    return acme


@pytest.fixture
def processes() -> Generator[Callable[["subprocess.Popen[str]"], "subprocess.Popen[str]"]]:
    """Remembers processes and ends those that still run."""
    started: list[subprocess.Popen[str]] = []

    def remember(process: "subprocess.Popen[str]") -> "subprocess.Popen[str]":
        started.append(process)
        return process

    yield remember
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()
