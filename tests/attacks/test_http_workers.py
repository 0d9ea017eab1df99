"""Several workers behind a proxy that takes turns: one is killed between the rounds of a call, a yes is used once."""

import asyncio
import signal
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import httpx
import pytest
from tests.attacks.http_site import (
    ALAN,
    GRACE,
    Site,
    answer,
    ask,
    free_port,
    serving_site,
    shared,
    taking_turns,
    until,
)

from clew.servers.sandbox import Sandbox

pytestmark = pytest.mark.anyio
ENGINES = ["sqlite", "postgres"]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as made:
        yield made


@pytest.fixture
async def site(
    tmp_path: Path, sandbox: Sandbox, engine: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Site]:
    port = free_port()
    with shared(engine, address, tmp_path, monkeypatch) as sharing:
        url = f"http://127.0.0.1:{port}"
        async with serving_site(tmp_path, sandbox, url=url, sharing=sharing) as made, taking_turns(made, port):
            yield made


async def test_a_worker_killed_between_the_rounds_lets_another_finish_and_a_replay_is_refused(site: Site) -> None:
    first, second = await site.start(), await site.start()
    async with site.client(first.url) as client:
        state = await ask(client, ALAN)
    await first.kill()
    async with site.client(second.url) as client:
        done = await answer(client, ALAN, state)
        assert not done.is_error, done
    assert site.sandbox.state.committed("contact", "delete") == 1
    site.sandbox.reset(keep_tokens=True)  # the contact is there again, so only the used answer can stop the replay
    third = await site.start()
    for worker in (second, third):
        async with site.client(worker.url) as client:
            again = await answer(client, ALAN, state)
        error = again.structured_content["error"]
        assert (error["code"], error["outcome"]) == ("already_done", "unknown"), "who used it may not have acted"
    async with site.client(third.url, site.token(sub="bob")) as client:
        with pytest.raises(Exception, match="Invalid or expired requestState"):
            await answer(client, ALAN, state)
    assert site.sandbox.state.committed("contact", "delete") == 0


@pytest.mark.slow
async def test_an_answer_sent_to_all_workers_at_once_counts_once(site: Site) -> None:
    workers = [await site.start() for _ in range(2)]
    async with site.client(workers[0].url) as client:
        state = await ask(client, ALAN)
    async with site.client(workers[0].url) as one, site.client(workers[1].url) as two:
        results = await asyncio.gather(*(answer(client, ALAN, state) for client in (one, two) for _ in range(4)))
    assert [each.is_error for each in results].count(False) == 1
    assert site.sandbox.state.committed("contact", "delete") == 1


@pytest.mark.slow
async def test_a_worker_killed_while_it_acts_does_not_make_another_act_again(site: Site) -> None:
    first, second = await site.start(), await site.start()
    async with site.client(second.url) as client:
        state = await ask(client, ALAN)
    site.sandbox.fault("slow", seconds=None, when="after", method="DELETE")

    async def act() -> None:
        async with site.client(first.url) as client:
            await answer(client, ALAN, state)

    acting = asyncio.create_task(act())
    await asyncio.to_thread(until, lambda: site.sandbox.state.committed("contact", "delete") == 1)
    await first.kill()
    await asyncio.wait([acting])
    assert acting.exception() is not None, "the caller has heard nothing"
    async with site.client(second.url) as client:
        again = await answer(client, ALAN, state)
    assert again.is_error
    assert site.sandbox.state.committed("contact", "delete") == 1


@pytest.mark.slow
async def test_a_proxy_that_takes_turns_serves_every_round_in_both_eras(site: Site) -> None:
    for _ in range(2):
        await site.start()
    for arguments in (ALAN, GRACE):
        async with site.client(site.url) as client:
            state = await ask(client, arguments)
        async with site.client(site.url) as client:
            assert not (await answer(client, arguments, state)).is_error
    token = site.token()
    params = {"name": "get_contact", "arguments": {"contact_id": "con_000001"}}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {"authorization": f"Bearer {token}", "accept": "application/json, text/event-stream"}
    headers["mcp-protocol-version"] = "2025-06-18"
    for _ in range(4):  # each on a connection of its own, so on another worker
        async with httpx.AsyncClient(trust_env=False) as http:
            heard = await http.post(f"{site.url}/mcp", json=call, headers=headers)
        assert "lovelace1@customer.example" in heard.text


async def test_a_worker_that_drains_ends_what_is_under_way_and_takes_no_more(site: Site) -> None:
    worker = await site.start()
    site.sandbox.fault("slow", seconds=1.5, when="before")
    async with site.client(worker.url) as client, httpx.AsyncClient(trust_env=False) as http:
        await client.list_tools()  # clients look at the schemas when a result comes; by then nothing new is taken
        running_call = asyncio.create_task(client.call_tool("get_contact", {"contact_id": "con_000001"}))
        await asyncio.to_thread(until, lambda: sum(site.sandbox.state.requests.values()) == 1)
        worker.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(until, lambda: httpx.get(f"{worker.url}/readyz", trust_env=False).status_code == 503)
        late = await http.post(f"{worker.url}/mcp", json={}, headers={"authorization": "Bearer x"})
        assert (late.status_code, late.headers["connection"]) == (503, "close")
        assert not (await running_call).is_error
    async with asyncio.timeout(10):
        assert await worker.process.wait() == 0


@pytest.mark.slow
async def test_what_a_provider_said_to_one_worker_holds_back_all_of_them(site: Site) -> None:
    first, second = await site.start(), await site.start()
    site.sandbox.fault("rate_limit", seconds=60)
    for worker in (first, second):
        async with site.client(worker.url) as client:
            refused = await client.call_tool("get_contact", {"contact_id": "con_000001"})
        assert refused.structured_content is not None
        error = refused.structured_content["error"]
        assert (error["code"], error["outcome"]) == ("rate_limited", "not_applied")
        assert 50 < error["retry_after_seconds"] <= 60
    assert sum(site.sandbox.state.requests.values()) == 1, "the second worker knew without asking"
