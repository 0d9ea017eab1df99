"""`clew serve`: what the process says, and how it ends. What it serves is tested with the servers."""

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

Place = Any
Sandbox = Any
Remember = Callable[["subprocess.Popen[str]"], "subprocess.Popen[str]"]

HELLO = json.dumps(
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    }
)


def test_standard_output_carries_the_protocol_alone(place: Place, processes: Remember) -> None:
    server = processes(place.start("serve", "acme"))
    out, err = server.communicate(HELLO + "\n", timeout=30)
    (line,) = out.splitlines()
    assert json.loads(line)["result"]["serverInfo"]["name"] == "acme"
    assert server.returncode == 0
    assert err == ""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_a_server_that_waits_for_its_host(
    place: Place, processes: Remember, number: signal.Signals, code: int
) -> None:
    server = processes(place.start("serve", "acme"))
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(HELLO + "\n")
    server.stdin.flush()
    assert "serverInfo" in server.stdout.readline()
    server.send_signal(number)
    assert server.wait(10) == code
    assert server.stderr is not None
    assert server.stderr.read() == ""


def test_a_person_who_starts_it_is_told_what_it_is(place: Place) -> None:
    terminal = place.terminal("serve", "acme", "--read-only")
    terminal.see("clew: serving acme (4 tools) on standard input and output, for an MCP host. Ctrl-C stops it.")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130
    assert "Traceback" not in terminal.seen


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_http_says_where_and_ends_cleanly(place: Place, processes: Remember, number: signal.Signals, code: int) -> None:
    server = processes(place.start("serve", "acme", "--http", "127.0.0.1:0", "--tools", "tickets"))
    assert server.stderr is not None
    line = server.stderr.readline()
    url = next(word for word in line.split() if word.startswith("http://127.0.0.1:"))
    assert "serving acme (4 tools) at" in line
    with urllib.request.urlopen(url.removesuffix("/mcp") + "/health") as answer:
        assert json.load(answer)["tools"] == 4
    server.send_signal(number)
    out, err = server.communicate(timeout=20)
    assert (server.returncode, out, err) == (code, "", "")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("acme", "--http", "0.0.0.0:80"), "only loopback addresses are served"),
        (("acme", "--http", "nonsense"), "give HOST:PORT"),
        (("acme", "--http", "127.0.0.1:99999"), "give HOST:PORT"),
        (("acm", "--http", "127.0.0.1:0"), "there is no connector 'acm'. Did you mean 'acme'?"),
        (("acme", "--http", "127.0.0.1:0", "--tools", "contcts"), "no tool or toolset is called contcts"),
        ((), "the following arguments are required: NAME"),
        (("acme", "--port", "8000"), "unrecognised arguments: --port 8000"),
    ],
)
def test_what_cannot_be_served_is_one_sentence(place: Place, words: tuple[str, ...], why: str) -> None:
    ran = place.run("serve", *words)
    assert (ran.code, ran.out) == (2, "")
    assert why in ran.err
    assert ran.err.count("\n") == 1


def test_a_port_in_use_is_one_sentence(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = place.run("serve", "acme", "--http", f"127.0.0.1:{taken.getsockname()[1]}")
    assert ran.code == 2
    assert "Address already in use. Choose another port." in ran.err


def test_a_closed_standard_input_is_one_sentence(place: Place) -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", sys.executable, "-m", "clew.servers.cli", "serve", "acme"],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("clew: standard input or output is closed")
    assert done.stderr.count("\n") == 1


def test_the_audit_is_in_the_log_at_info(
    place: Place, connected: Sandbox, processes: Remember, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEW_LOG_LEVEL", "info")
    server = processes(place.start("serve", "acme"))
    call = {"name": "get_contact", "arguments": {"contact_id": "con_000001"}}
    assert server.stdin is not None
    assert server.stdout is not None
    for message in (
        HELLO,
        json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json.dumps({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call}),
    ):
        server.stdin.write(message + "\n")
        server.stdin.flush()
        if '"id"' in message:
            server.stdout.readline()
    _, err = server.communicate(timeout=20)
    assert '"tool":"get_contact"' in err
    assert "lovelace" not in err
    assert connected.pat not in err
