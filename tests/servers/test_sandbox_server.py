"""Acme as a program: started, stopped, on its own, and independent of the project that ships it."""

import ast
import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

import clew.servers.sandbox
from clew.servers.sandbox import Sandbox, State, create_app
from clew.servers.sandbox.__main__ import main
from clew.servers.sandbox.server import bind

PACKAGE = Path(clew.servers.sandbox.__file__).parent


def test_it_runs_for_the_length_of_a_with_block() -> None:
    with Sandbox() as sandbox:
        url = sandbox.url
        assert httpx.get(f"{url}/_sandbox/state").status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)
    assert not [thread for thread in threading.enumerate() if thread.name == "acme-sandbox"]


def test_it_runs_in_an_async_with_block_beside_its_client() -> None:
    async def use() -> int:
        async with Sandbox() as sandbox, httpx.AsyncClient(base_url=sandbox.url) as client:
            asked = asyncio.create_task(client.get("/_sandbox/state"))
            await sandbox.wait_until(asked.done)
            with pytest.raises(TimeoutError):
                await sandbox.wait_until(lambda: False, timeout_seconds=0.01)
            return asked.result().status_code

    assert asyncio.run(use()) == 200


def test_it_stops_while_answers_are_held_back_and_deliveries_wait() -> None:
    with Sandbox(webhook_retry_seconds=(60,)) as sandbox:
        headers = {"Authorization": f"Bearer {sandbox.pat}"}
        httpx.post(f"{sandbox.url}/api/webhooks", json={"url": "http://127.0.0.1:1/"}, headers=headers)
        held = sandbox.fault("slow", method="POST", seconds=None)
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{sandbox.url}/api/tickets", json={"subject": "x"}, headers=headers, timeout=0.2)
        assert held.hits == 1
        assert sandbox.state.deliveries[0].status == "pending"


def test_a_taken_port_is_an_error_of_the_caller() -> None:
    with Sandbox() as sandbox:
        taken = Sandbox(port=int(sandbox.url.rpartition(":")[2]))
        with pytest.raises(OSError, match="in use"):
            taken.start()


def test_answers_do_not_wait_for_the_delayed_acknowledgement() -> None:
    with bind(0) as listener:
        assert listener.proto == socket.IPPROTO_TCP  # what asyncio looks at before it sets TCP_NODELAY
        assert listener.getsockname()[0] == "127.0.0.1"


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(TypeError, match="rate_limits"):
        Sandbox(rate_limits=3)


def test_two_of_them_share_nothing() -> None:
    with Sandbox() as first, Sandbox() as second:
        first.mint_pat()
        first.fault("html")
        assert second.state.faults.show() == []
        assert first.url != second.url


def test_it_is_a_process_that_says_where_it_is_and_ends_on_sigterm() -> None:
    command = [sys.executable, "-W", "error", "-m", "clew.servers.sandbox", "--port", "0", "--set", "rate_limit=2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        url = json.loads(process.stdout.readline())["url"]
        answer = httpx.get(f"{url}/api/me", headers={"Authorization": "Bearer acme_pat_sandbox"})
        assert answer.headers["x-ratelimit-limit"] == "2"
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
        complaints = process.stderr.read()
    assert (rest, complaints) == ("", "")


@pytest.mark.parametrize("given", ["rate_limits=3", "rate_limit", "rate_algorithm=leaky"])
def test_a_wrong_setting_on_the_command_line_is_one_sentence(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--set", given])
    assert stopped.value.code == 2
    assert "rate_algorithm" in capsys.readouterr().err


def test_without_a_server_a_dropped_connection_is_an_exception() -> None:
    async def use() -> None:
        state = State(url="http://127.0.0.1")
        state.faults.set("drop_after_commit", {})
        transport = httpx.ASGITransport(create_app(state))  # pyright: ignore[reportArgumentType]
        async with httpx.AsyncClient(transport=transport, base_url=state.url) as client:
            with pytest.raises(ConnectionResetError):
                await client.get("/api/me")
            assert (await client.get("/api/me")).status_code == 401

    asyncio.run(use())


def test_it_imports_nothing_of_the_project_and_nothing_heavy() -> None:
    allowed = set(sys.stdlib_module_names) | {"starlette", "uvicorn", "cryptography"}
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert {alias.name.partition(".")[0] for alias in node.names} <= allowed, path.name
            if isinstance(node, ast.ImportFrom):
                assert node.level == 1 or (node.module or "").partition(".")[0] in allowed, path.name


def test_its_docstring_names_every_route_setting_and_fault() -> None:
    from dataclasses import fields

    from clew.servers.sandbox import Settings
    from clew.servers.sandbox.faults import IMMEDIATE_FAULTS, REQUEST_FAULTS, WEBHOOK_FAULTS

    text = clew.servers.sandbox.__doc__ or ""
    names = {item.name for item in fields(Settings)} | REQUEST_FAULTS | WEBHOOK_FAULTS | IMMEDIATE_FAULTS
    assert {name for name in names if name not in text} == set()
