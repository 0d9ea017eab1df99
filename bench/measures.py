"""What is measured, phase by phase; every round asks every subject, so that ratios are made of neighbours in time."""

import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench import wire
from bench.wire import Process

HERE = Path(__file__).resolve().parent
CACHE = HERE.parent / ".cache" / "bench"
OWN, FASTMCP = CACHE / "own", CACHE / "fastmcp"
TEN = ("acme", "airtable", "asana", "github", "gitlab", "jira", "notion", "slack", "stripe", "zendesk")
SUBJECTS = ("bare", "mcpserver", "fastmcp_hand", "fastmcp_openapi", "clew")

Values = dict[str, dict[str, list[float]]]
"""By measure and subject: a figure for each round."""


@dataclass(slots=True)
class Bench:
    """One run: the folder of clew's state, where the upstream is, and the figures so far."""

    folder: Path
    upstream: str
    values: Values = field(default_factory=Values)
    tell: Callable[[str], None] = print

    def put(self, measure: str, subject: str, value: float) -> None:
        self.values.setdefault(measure, {}).setdefault(subject, []).append(value)
        self.tell(f"  {subject:16} {measure:44} {value:10.4g}")

    @property
    def environment(self) -> Mapping[str, str]:
        """The same for every subject; clew's state is its own folder, with the token in the vault."""
        return {
            "PATH": os.environ.get("PATH", ""), "HOME": str(self.folder), "LANG": "C.UTF-8",
            "BENCH_UPSTREAM": self.upstream, "CLEW_HOME": str(self.folder / "state"), "CLEW_KEY_PROVIDER": "file",
            "CLEW_CONFIG": str(self.folder / "clew.toml"), "CLEW_LOG_LEVEL": "error",
        }  # fmt: skip

    def set_up(self) -> None:
        """Put clew's token into its vault; whoever starts first has compiled everything, so every subject starts
        once."""
        (self.folder / "clew.toml").write_text(f'[connectors.issues]\nbase_url = "{self.upstream}"\n')
        command = [str(OWN / "bin" / "clew"), "auth", "set", _connector(), "--account", "bench"]
        done = subprocess.run(command, env=self.environment, input=b"bench\n", capture_output=True, check=False)
        if done.returncode:
            raise SystemExit(f"clew auth set: {done.stderr.decode()}")
        for subject in SUBJECTS:
            server = self.start(subject)
            listed(server)
            server.end()

    def start(self, subject: str, *, http: int = 0, pinned: bool = True) -> Process:
        return Process.start(command_of(subject, http), self.environment, pinned=pinned)


def _connector() -> str:
    return str(HERE / "subjects" / "clew_issues.py")


def command_of(subject: str, http: int = 0) -> list[str]:
    """How a subject is started over a pipe, or over HTTP on a port."""
    if subject == "clew":
        more = ["--http", f"127.0.0.1:{http}"] if http else []
        return [str(OWN / "bin" / "clew"), "serve", _connector(), *more]
    python = (FASTMCP if subject.startswith("fastmcp") else OWN) / "bin" / "python"
    return [str(python), str(HERE / "subjects" / f"{subject}.py"), *(["http", str(http)] if http else ["stdio"])]


def listed(server: Process) -> float:
    """Seconds from its start to its list of tools."""
    server.send(wire.frame(1, "server/discover"))
    server.send(wire.frame(2, "tools/list"))
    server.answer(2)
    return time.perf_counter() - server.began


def first_call(server: Process) -> float:
    """The same to the first answered call, asked for as soon as the tools are listed."""
    listed(server)
    server.send(wire.call(3, "list_issues"))
    server.answer(3)
    return time.perf_counter() - server.began


def start(bench: Bench, rounds: int) -> None:
    """Cold starts over a pipe."""

    def timed(subject: str, what: Callable[[Process], float]) -> float:
        server = bench.start(subject, pinned=False)
        try:
            return what(server)
        finally:
            server.end()

    for _ in range(rounds):
        for subject in SUBJECTS:
            bench.put("start to tools/list, s", subject, timed(subject, listed))
            bench.put("start to first call done, s", subject, timed(subject, first_call))
        shutil.rmtree(bench.folder / "state" / "starts", ignore_errors=True)
        bench.put("first start ever to tools/list, s", "bare", timed("bare", listed))
        bench.put("first start ever to tools/list, s", "clew", timed("clew", listed))
    for _ in range(max(rounds // 2, 1)):
        for subject in SUBJECTS:
            began = time.perf_counter()
            servers = [bench.start(subject, pinned=False) for _ in range(10)]
            for each in servers:
                listed(each)
            bench.put("ten starts at once, all listed, s", subject, time.perf_counter() - began)
            for each in servers:
                each.end()


def stdio(bench: Bench, rounds: int, *, sequential: int = 500, wide: int = 4450) -> None:
    """Calls over a pipe: latency, throughput, processor time and memory."""
    for _ in range(rounds):
        for subject in SUBJECTS:
            server = bench.start(subject)
            try:
                first_call(server)
                bench.put("memory after start, MiB", subject, server.rss)
                bench.put("CPU of the start, s", subject, server.cpu)
                wire.one_by_one(server, "list_issues", 50)
                took = sorted(wire.one_by_one(server, "list_issues", sequential))
                bench.put("stdio, one by one, p50 ms", subject, statistics.median(took) * 1000)
                bench.put("stdio, one by one, p99 ms", subject, took[int(len(took) * 0.99)] * 1000)
                before = server.cpu
                seconds = wire.in_flight(server, "list_issues", wide, 32)
                bench.put("stdio, 32 in flight, calls/s", subject, wide / seconds)
                bench.put("stdio, CPU per 1000 calls, s", subject, (server.cpu - before) / wide * 1000)
                bench.put("memory after 5000 calls, MiB", subject, server.rss)
            finally:
                server.end()


def http(bench: Bench, rounds: int, *, narrow: int = 1200, wide: int = 1500) -> None:
    """Calls over HTTP, the client with as many connections as calls in flight."""
    for _ in range(rounds):
        for subject in SUBJECTS:
            port = wire.free_port()
            server = bench.start(subject, http=port)
            try:
                wire.wait_for_port(port, server.popen.poll)
                wire.over_http(port, "list_issues", 100, 8)
                before = server.cpu
                seconds = wire.over_http(port, "list_issues", narrow, 32)
                bench.put("HTTP, 32 in flight, calls/s", subject, narrow / seconds)
                bench.put("HTTP, CPU per 1000 calls at 32, s", subject, (server.cpu - before) / narrow * 1000)
                bench.put(
                    "HTTP, 256 in flight, calls/s", subject, wide / wire.over_http(port, "list_issues", wide, 256)
                )
            finally:
                server.end()


def many(bench: Bench, rounds: int) -> None:
    """Ten connectors in one process beside one, and the commands that only look."""
    clew = str(OWN / "bin" / "clew")
    for _ in range(rounds):
        for label, names in (("one connector", TEN[3:4]), ("ten connectors", TEN)):
            server = Process.start([clew, "serve", *names, "--discover"], bench.environment, pinned=True)
            try:
                listed(server)
                server.send(wire.frame(3, "resources/list"))  # only the whole server answers that
                server.answer(3)
                bench.put("memory of connectors in one process, MiB", label, server.rss)
            finally:
                server.end()
        for words in (["list"], ["auth", "status"]):
            began = time.perf_counter()
            subprocess.run([clew, *words], env=bench.environment, capture_output=True, check=True)
            bench.put("commands, ms", f"clew {' '.join(words)}", (time.perf_counter() - began) * 1000)


def growth(bench: Bench, rounds: int, *, calls: int = 100_000) -> None:
    """Memory at tenths of 100 000 calls."""
    for subject in ("clew", "bare"):
        server = bench.start(subject)
        try:
            first_call(server)
            for _ in range(10):
                wire.in_flight(server, "list_issues", calls // 10, 32)
                bench.put(f"memory over {calls} calls, MiB", subject, server.rss)
        finally:
            server.end()


PHASES: Mapping[str, Callable[[Bench, int], None]] = {
    "start": start, "stdio": stdio, "http": http, "many": many, "growth": growth,
}  # fmt: skip
