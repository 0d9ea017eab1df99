"""Several workers behind nginx, with the very configuration that docs/http.md shows, on PostgreSQL and Redis."""

import contextlib
import re
import signal
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.attacks.http_site import ALAN, GRACE, Site, answer, ask, free_port, serving_site, shared
from tests.attacks.http_world import ACCEPT, HELLO
from tests.attacks.nginx import marks, nginx

from clew.servers.sandbox import Sandbox

pytestmark = marks
ENGINES = ["postgres"]
DOCS = Path(__file__).parents[2] / "docs" / "http.md"
HOST = "mcp.example.com"


def shown(ports: list[int], listening: int, *, keeping: bool = False) -> str:
    """The configuration of the docs with our ports and without TLS; `keeping` sessions as they say it is done."""
    text = DOCS.read_text()
    found = re.search(r"```nginx\n(.*?)```", text, re.DOTALL)
    assert found
    said = found[1]
    for shown_port, port in zip(("8000", "8001"), ports, strict=True):
        assert f"127.0.0.1:{shown_port}" in said
        said = said.replace(f"127.0.0.1:{shown_port}", f"127.0.0.1:{port}")
    if keeping:
        kept = re.search(r"`(hash [^`]*;)`", text)
        assert kept
        said = said.replace("upstream clew {", f"upstream clew {{ {kept[1]}", 1)
    assert "listen 443 ssl" in said
    return said.replace("listen 443 ssl", f"listen 127.0.0.1:{listening}")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as made:
        yield made


@contextlib.asynccontextmanager
async def behind(
    folder: Path, sandbox: Sandbox, address: str, patch: pytest.MonkeyPatch, *, sessions: bool
) -> AsyncGenerator[tuple[Site, str]]:
    """Two workers, and where the proxy listens."""
    port = free_port()
    with shared("postgres", address, folder, patch) as sharing:
        url = f"https://{HOST}"
        async with serving_site(folder, sandbox, url=url, sharing=sharing, sessions=sessions) as site:
            ports = [free_port(), free_port()]
            for each in ports:
                await site.start(each)
            async with nginx(folder, shown(ports, port, keeping=sessions), port=port):
                yield site, f"http://127.0.0.1:{port}"


async def test_a_worker_is_killed_between_the_rounds_and_the_proxy_finds_another(
    tmp_path: Path, sandbox: Sandbox, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with behind(tmp_path, sandbox, address, monkeypatch, sessions=False) as (site, base):
        states: list[tuple[dict[str, str], str]] = []
        for arguments in (ALAN, GRACE):  # one question of each worker
            async with site.client(site.workers[len(states)].url) as client:
                states.append((arguments, await ask(client, arguments)))
        await site.workers[0].kill()
        for arguments, state in states:
            async with site.client(base, host=HOST) as client:
                done = await answer(client, arguments, state)
                assert not done.is_error, done
        assert sandbox.state.committed("contact", "delete") == 2
        async with site.client(base, host=HOST) as client:
            again = await answer(client, *states[0])
        assert again.is_error, "a replay"
        assert sandbox.state.committed("contact", "delete") == 2


async def test_sessions_of_the_older_era_stay_with_their_caller(
    tmp_path: Path, sandbox: Sandbox, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with behind(tmp_path, sandbox, address, monkeypatch, sessions=True) as (site, base):
        for who in ("ann", "bob", "cleo", "dora"):
            token = site.token(sub=who)
            session = await opened(base, token)
            assert {await used(base, token, session) for _ in range(6)} == {200}, "each time on another connection"
        renewed = [await used(base, site.token(sub="dora"), session) for _ in range(12)]
        assert set(renewed) == {200, 404}, "where a renewed token leads elsewhere the host is told to begin again"


async def test_a_worker_is_replaced_and_no_host_of_the_older_era_sees_it(
    tmp_path: Path, sandbox: Sandbox, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with behind(tmp_path, sandbox, address, monkeypatch, sessions=False) as (site, base):
        ending = site.workers[0].process
        ending.send_signal(signal.SIGTERM)
        after = 0
        while after < 4:
            after += ending.returncode is not None
            async with site.client(base, era="legacy", host=HOST) as client:
                found = await client.call_tool("get_contact", {"contact_id": "con_000001"})
            assert not found.is_error, found
            assert "lovelace1@customer.example" in str(found.content)


async def opened(base: str, token: str) -> str:
    answer = await post(base, token, HELLO)
    assert answer.status_code == 200, answer.text
    return answer.headers["mcp-session-id"]


async def used(base: str, token: str, session: str) -> int:
    listed = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    return (await post(base, token, listed, **{"mcp-session-id": session})).status_code


async def post(base: str, token: str, body: Any, **headers: str) -> httpx.Response:
    shown = {"host": HOST, "authorization": f"Bearer {token}", "mcp-protocol-version": "2025-11-25", **ACCEPT}
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        return await http.post(f"{base}/mcp", json=body, headers={**shown, **headers})
