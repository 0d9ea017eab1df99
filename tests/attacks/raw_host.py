"""A host that speaks MCP over a pipe to a real `clew serve`, agrees to every question, and can be rude."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any


def environment(home: Path) -> dict[str, str]:
    """That of a process which serves Acme from this place."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("CLEW_")}
    more = {"CLEW_HOME": str(home), "CLEW_KEY_PROVIDER": "file", "CLEW_ALLOW_WRITES": "1", "HOME": str(home.parent)}
    return {**own, **more, "XDG_CONFIG_HOME": str(home.parent / "config")}


def clew(home: Path, *words: str, text: str = "") -> "subprocess.CompletedProcess[str]":
    """One command, to its end."""
    command = [sys.executable, "-m", "clew.servers.cli", *words]
    return subprocess.run(
        command,
        check=False,
        input=text,
        text=True,
        capture_output=True,
        timeout=60,
        cwd=home.parent,
        env=environment(home),
    )


class RawHost:
    """One server process and the conversation with it."""

    def __init__(self, home: Path, *words: str) -> None:
        command = [sys.executable, "-m", "clew.servers.cli", "serve", "acme", *words]
        self.process = subprocess.Popen(
            command,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=home.parent,
            env=environment(home),
        )
        self._count = 0
        self._said: dict[Any, dict[str, Any]] = {}

    def __enter__(self) -> "RawHost":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()

    def greet(self) -> "RawHost":
        """Shake hands in the older era."""
        client = {"name": "raw", "version": "1"}
        hello: dict[str, Any] = {
            "protocolVersion": "2025-06-18",
            "capabilities": {"elicitation": {}},
            "clientInfo": client,
        }
        self.wait(self.send("initialize", hello))
        self._write({"method": "notifications/initialized"})
        return self

    def call(self, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The structured half of a call's result."""
        return self.structured(self.wait(self.begin(tool, arguments)))

    def begin(self, tool: str, arguments: Mapping[str, Any]) -> int:
        """Make a call and do not wait for it."""
        return self.send("tools/call", {"name": tool, "arguments": dict(arguments)})

    @staticmethod
    def structured(answer: Mapping[str, Any]) -> dict[str, Any]:
        """That half of an answer."""
        found: dict[str, Any] = answer["result"]["structuredContent"]
        return found

    def send(self, method: str, params: Mapping[str, Any]) -> int:
        """A request; its id."""
        self._count += 1
        self._write({"id": self._count, "method": method, "params": dict(params)})
        return self._count

    def cancel(self, number: int) -> None:
        """Take a request back."""
        self._write({"method": "notifications/cancelled", "params": {"requestId": number, "reason": "the person"}})

    def wait(self, number: int) -> dict[str, Any]:
        """The answer to a request; questions on the way get a yes."""
        while number not in self._said:
            assert self.listen(), f"the server has gone: {self.process.communicate()[1]}"
        return self._said.pop(number)

    def listen(self) -> bool:
        """Take one line from the server; False at the end."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            return False
        said: dict[str, Any] = json.loads(line)
        if said.get("method") == "elicitation/create":
            self._write({"id": said["id"], "result": {"action": "accept", "content": {"approve": True}}})
        elif "id" in said and "method" not in said:
            self._said[said["id"]] = said
        return True

    def kill(self) -> None:
        """As an operating system does that needs the memory."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def _write(self, message: Mapping[str, Any]) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
            self.process.stdin.flush()
