"""The late-loading start is invisible: a host gets the same answers, once, whatever happened to the manifest."""

import json
import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from clew.servers import early
from clew.servers.early import Greeting

PROGRAM = [sys.executable, "-c", "import sys; from clew.servers.early import main; sys.exit(main())"]
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
INITIALIZE = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
pytestmark = pytest.mark.skipif(os.name != "posix", reason="the usual start is used there")


class Served:
    """A server process and the frames that came from it."""

    def __init__(self, home: Path, *words: str) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "CLEW_HOME": str(home),
            "CLEW_KEY_PROVIDER": "file",
        }
        self.process = subprocess.Popen(
            [*PROGRAM, "serve", "acme", *words],
            env=environment, cwd=home, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.frames: list[dict[str, Any]] = []

    def send(self, method: str, identity: int | None = None, **params: Any) -> None:
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
        if identity is not None:
            message["id"] = identity
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def frame(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read().decode() if self.process.stderr else ""
        self.frames.append(json.loads(line))
        return self.frames[-1]

    def ask(self, method: str, identity: int, **params: Any) -> dict[str, Any]:
        self.send(method, identity, **params)
        while (frame := self.frame()).get("id") != identity:
            pass
        return frame

    def listed(self, era: str) -> list[dict[str, Any]]:
        """Handshake and tools, as a host of that era asks for them."""
        if era == "modern":
            return [self.ask("server/discover", 1, _meta=META), self.ask("tools/list", 2, _meta=META)]
        first = self.ask("initialize", 1, **INITIALIZE)
        self.send("notifications/initialized")
        return [first, self.ask("tools/list", 2), self.ask("ping", 3)]

    def end(self) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.frames += [json.loads(line) for line in self.process.stdout]
        return self.process.wait(timeout=60)

    @property
    def loaded(self) -> bool:
        """Has this process imported the SDK? Its memory says so."""
        return "pydantic_core" in Path(f"/proc/{self.process.pid}/maps").read_text()


@pytest.fixture
def served(tmp_path: Path) -> Generator[Any]:
    started: list[Served] = []

    def start(*words: str) -> Served:
        started.append(Served(tmp_path, *words))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.wait()
        for stream in (each.process.stdin, each.process.stdout, each.process.stderr):
            if stream is not None:
                stream.close()


def manifest(home: Path) -> Path:
    (found,) = (home / "starts").glob("*.json")
    return found


@pytest.mark.parametrize("era", ["modern", "legacy"])
def test_a_second_start_answers_the_same_before_anything_is_loaded(served: Any, tmp_path: Path, era: str) -> None:
    first = served()
    usual = first.listed(era)
    assert first.end() == 0
    assert manifest(tmp_path).stat().st_mode & 0o777 == 0o600
    second = served()
    assert second.listed(era) == usual
    if sys.platform == "linux":
        assert not second.loaded
    meta = {"_meta": META} if era == "modern" else {}
    called = second.ask("tools/call", 9, name="list_tickets", arguments={}, **meta)
    assert called["result"]["structuredContent"]["error"]["code"] == "auth_revoked"
    assert (
        second.listed(era)[1] == usual[1]
        if era == "modern"
        else second.ask("tools/list", 4)["result"] == usual[1]["result"]
    )
    assert second.end() == 0
    answers = [frame["id"] for frame in second.frames if "id" in frame]
    assert len(answers) == len(usual) + 1 + (len(usual) if era == "modern" else 1)
    assert not [frame for frame in second.frames if "method" in frame]


@pytest.mark.parametrize("era", ["modern", "legacy"])
def test_tools_that_are_different_now_are_announced_and_kept(served: Any, tmp_path: Path, era: str) -> None:
    first = served()
    usual = first.listed(era)
    first.end()
    path = manifest(tmp_path)
    answers = json.loads(path.read_text())
    key = next(key for key in answers if "tools/list" in key)
    stale = json.loads(answers[key])
    gone = stale["tools"].pop()["name"]
    path.write_text(json.dumps({**answers, key: json.dumps(stale)}))
    second = served()
    assert gone not in json.dumps(second.listed(era)[1])
    if era == "modern":
        second.send("subscriptions/listen", 5, _meta=META, notifications={"toolsListChanged": True})
        while "list_changed" not in second.frame().get("method", ""):
            pass
    else:
        while second.frame().get("method") != "notifications/tools/list_changed":
            pass
    meta = {"_meta": META} if era == "modern" else {}
    assert second.ask("tools/list", 7, **meta)["result"] == usual[1]["result"]
    assert json.loads(path.read_text()) == answers


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process looks for manifests here."""
    monkeypatch.setenv("CLEW_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "3", '{"x": 1}', '{"x": "{"}', "\udcff", '{"x": "null"}', '{"a": ' + "[" * 100_000]
)
def test_a_damaged_manifest_is_no_manifest(home: Path, content: str) -> None:
    greeting = early.load(["acme"])
    assert greeting.answers == {}
    early.save(early.Greeting(greeting.path, {"key": '{"tools":[]}'}))
    assert early.load(["acme"]).answers == {"key": '{"tools":[]}'}
    Path(greeting.path).write_bytes(content.encode("utf-8", "surrogateescape"))
    assert early.load(["acme"]).answers == {}


def test_a_damaged_manifest_means_the_usual_start(served: Any, tmp_path: Path) -> None:
    first = served()
    usual = first.listed("modern")
    first.end()
    path = manifest(tmp_path)
    good = path.read_text()
    path.write_text("{")
    second = served()
    assert second.listed("modern") == usual
    second.end()
    assert json.loads(path.read_text()) == json.loads(good)


def test_all_that_the_answers_depend_on_is_in_the_key(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = [early.load(["acme"]).path]

    def differs(*words: str) -> None:
        path = early.load([*(words or ("acme",))]).path
        assert path not in seen
        assert early.load([*(words or ("acme",))]).path == path
        seen.append(path)

    differs("github")
    differs("acme", "--read-only")
    (home / "clew.toml").write_text("read_only = true")
    differs()
    (home / "clew.toml").write_text("read_only = false")
    differs()
    monkeypatch.setenv("CLEW_TOOLS", "tickets")
    differs()
    (home / "mine.py").write_text("x = 1")
    differs("mine.py")
    (home / "mine.py").write_text("x = 22")
    differs("mine.py")
    monkeypatch.chdir("/")
    differs()
    with_project = len(seen)
    monkeypatch.chdir("/usr")  # another folder with nothing in it that is read: hosts start in whatever project is open
    assert early.load(["acme"]).path == seen[-1]
    differs("sql:sqlite:///here.db")
    monkeypatch.chdir("/")
    differs("sql:sqlite:///here.db")
    del seen[with_project:]
    monkeypatch.setenv("CLEW_MASTER_KEY", "a secret that no digest is made of")
    assert early.load(["acme"]).path == seen[-1]


def test_a_folder_that_cannot_be_written_only_costs_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    early.save(early.Greeting(str(tmp_path / "file" / "starts" / "x.json"), {"a": "1"}))
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_host_that_only_looks_costs_nothing_and_one_that_leaves_ends_it(served: Any) -> None:
    first = served()
    first.listed("legacy")
    first.end()
    looking = served()
    looking.listed("legacy")
    assert looking.end() == 0
    silent = served()
    assert silent.end() == 0
    assert silent.frames == []


def test_what_is_no_question_of_the_start_is_never_answered_early() -> None:
    greeting = Greeting("", {})
    strange = [
        b"",
        b"{",
        b'"tools/list"',
        b'{"method": "tools/list"}',
        b'{"id": 1, "method": "tools/list"}',
        b'{"id": true, "method": "ping"}',
        b'{"id": null, "method": "initialize", "params": {"protocolVersion": "1"}}',
        b'{"id": 1, "method": "tools/list", "params": {"cursor": "x"}}',
        b'{"id": 1, "method": "tools/list", "params": []}',
        b'{"id": 1, "method": "tools/list", "params": {"_meta": 3}}',
        b'{"id": 1, "method": ["tools/list"]}',
        b'{"id": 1, "method": "tools/call", "params": {"name": "tools/list"}}',
        b'{"id":1,"method":"initialize","x":"' + b"[" * 100_000,
    ]
    for line in strange:
        assert greeting.recognise(line)[0] == "", line
        assert greeting.answer(line) is None
