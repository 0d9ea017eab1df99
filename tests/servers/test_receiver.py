"""The receiver over real HTTP: who gets in, what is refused and how little that says, and what survives."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncGenerator
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest
from tests.attacks.delivering import ACME, PATH, new_secret, payment, request

from clew.auth.webhook_secrets import add_secret, expect_secret
from clew.core.connection import LOCAL_TENANT, Connection
from clew.core.errors import ConfigurationError
from clew.core.inbox import Status
from clew.core.secret import Secret
from clew.servers import guard
from clew.servers.admission import Public
from clew.servers.chores import chores
from clew.servers.mailroom import Mailroom
from clew.servers.receiver import Request
from clew.servers.receiving import serve_deliveries
from clew.servers.runtime import Runtime
from clew.servers.settings import Settings, load_settings
from clew.servers.webhook_settings import WebhookSettings

pytestmark = pytest.mark.anyio


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", key_provider="file", webhooks=WebhookSettings(most_body=100_000))


@pytest.fixture
async def runtime(settings: Settings) -> AsyncGenerator[Runtime]:
    async with Runtime.open(settings, ["acme", "slack"]) as opened:
        yield opened


@pytest.fixture
async def mailroom(runtime: Runtime) -> AsyncGenerator[Mailroom]:
    async with chores(runtime) as opened:
        yield opened


@pytest.fixture
async def root(mailroom: Mailroom) -> AsyncGenerator[str]:
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve_deliveries(mailroom, "127.0.0.1:0", address.set_result))
    yield await address
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


@pytest.fixture
async def secret(runtime: Runtime) -> str:
    text = new_secret()
    await add_secret(runtime.vault, ACME, Secret(text))
    return text


async def deliver(root: str, content: bytes) -> tuple[int, bytes]:
    """Send the bytes of a request and read the answer."""
    host, _, port = root.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(content)
    try:
        async with asyncio.timeout(10):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or b"0")
            return int(head.split()[1]), await reader.readexactly(length)
    finally:
        writer.close()
        await writer.wait_closed()


async def test_a_good_delivery_is_stored_once_and_worked_on(root: str, secret: str, runtime: Runtime) -> None:
    for _ in range(3):
        assert await deliver(root, request(secret, "evt_1", payment(1))) == (200, b"")
    async with asyncio.timeout(10):
        while (await runtime.inbox.count())[Status.DONE] != 1:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    (stored,) = await runtime.inbox.list()
    assert (stored.connection, stored.type, stored.state, stored.reference) == (
        ACME, "payment.succeeded", "succeeded", "pay_1",
    )  # fmt: skip
    assert await runtime.inbox.payload(stored) == json.dumps(json.loads(payment(1)), separators=(",", ":"))


async def test_whatever_is_refused_is_told_nothing(root: str, secret: str, mailroom: Mailroom) -> None:
    good = request(secret, "evt_1", payment(1))
    refusals = {
        "no such connector": good.replace(b"/acme/", b"/nobody/"),
        "no secret": good.replace(b"/work ", b"/other "),
        "mismatch": request(new_secret(), "evt_1", payment(1)),
        "method": good.replace(b"POST", b"PUT", 1),
        "headers": good.replace(b"\r\n\r\n", b"\r\n" + b"x-a: b\r\n" * 120 + b"\r\n", 1),
        "large body": request(secret, "evt_1", b"x" * 200_000),
    }
    answers = {why: await deliver(root, content) for why, content in refusals.items()}
    assert {why: answer[0] for why, answer in answers.items()} == {
        "no such connector": 404,
        "no secret": 404,
        "mismatch": 401,
        "method": 405,
        "headers": 431,
        "large body": 413,
    }
    assert {answer[1] for answer in answers.values()} == {b"Refused.\n"}
    assert mailroom.receiver.refused == dict.fromkeys(refusals, 1)
    assert await mailroom.inbox.newest() == 0


async def test_a_body_in_chunks_is_measured_as_it_comes(root: str, secret: str) -> None:
    head = f"POST {PATH} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    body = b"8000\r\n" + b"x" * 0x8000 + b"\r\n" + b"18000\r\n" + b"x" * 0x18000
    assert (await deliver(root, head + body))[0] == 413


async def test_a_rotated_secret_loses_nothing(root: str, secret: str, runtime: Runtime) -> None:
    assert (await deliver(root, request(secret, "evt_1", payment(1))))[0] == 200
    newer = new_secret()
    await add_secret(runtime.vault, ACME, Secret(newer))
    async with asyncio.timeout(10):  # known within seconds, without a restart
        while (await deliver(root, request(newer, "evt_2", payment(2))))[0] != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    assert (await deliver(root, request(secret, "evt_3", payment(3))))[0] == 200


async def test_a_handshake_is_answered_and_is_no_event(root: str, runtime: Runtime) -> None:
    slack = Connection(LOCAL_TENANT, "slack", "main")
    await add_secret(runtime.vault, slack, Secret("a test signing secret"))
    await expect_secret(runtime.vault, slack)
    body = json.dumps({"type": "url_verification", "challenge": "3eZbrw1aB"}).encode()
    now = str(int(time.time()))
    digest = hmac.new(b"a test signing secret", f"v0:{now}:".encode() + body, hashlib.sha256).hexdigest()
    headers = {"X-Slack-Request-Timestamp": now, "X-Slack-Signature": f"v0={digest}"}
    async with httpx.AsyncClient(verify=False) as client:
        answer = await client.post(f"{root}/webhooks/slack/main", content=body, headers=headers)
    assert (answer.status_code, answer.text) == (200, "3eZbrw1aB")
    assert await runtime.inbox.newest() == 0


async def test_health_counts_and_names_nobody(root: str, secret: str) -> None:
    await deliver(root, request(new_secret(), "evt_1", payment(1)))
    async with httpx.AsyncClient(verify=False) as client:
        health = (await client.get(f"{root}/health")).json()
    assert health == {"status": "ok", "events": {"pending": 0, "done": 0, "dead": 0}, "refused": {"mismatch": 1}}


async def test_a_head_that_does_not_end_is_cut_off(root: str, secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "HEAD_SECONDS", 0.3)
    host, _, port = root.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /webhooks/acme/work HTTP/1.1\r\n")
    async with asyncio.timeout(5):
        with pytest.raises((ConnectionError, EOFError)):
            await reader.readexactly(1)
    writer.close()
    # And one on a kept connection, after a good delivery.
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request(secret, "evt_1", payment(1)))
    assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
    writer.write(b"POST ")
    async with asyncio.timeout(5):
        with pytest.raises((ConnectionError, EOFError)):
            await reader.readexactly(1)
    writer.close()


async def test_of_too_many_unfinished_heads_the_oldest_goes(
    root: str, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "most_waiting", lambda: 3)
    host, _, port = root.removeprefix("http://").partition(":")
    waiting = [await asyncio.open_connection(host, int(port)) for _ in range(6)]
    for _, writer in waiting:
        writer.write(b"POST ")
    assert (await deliver(root, request(secret, "evt_1", payment(1))))[0] == 200
    async with asyncio.timeout(5):
        with pytest.raises((ConnectionError, EOFError)):
            await waiting[0][0].readexactly(1)
    for _, writer in waiting:
        writer.close()


def test_the_public_url_is_the_configured_one_or_what_a_trusted_proxy_says() -> None:
    said = [(b"x-forwarded-proto", b"https"), (b"x-forwarded-host", b"a.example, b.example")]
    headers = [(b"host", b"inside:8080"), *said]
    asked = Request("acme", "work", "POST", "http://inside:8080/webhooks/acme/work?a=1", headers, b"", "10.1.2.3")
    assert Public().of(asked) == "http://inside:8080/webhooks/acme/work?a=1"
    assert Public("https://hooks.example.com").of(asked) == "https://hooks.example.com/webhooks/acme/work?a=1"
    assert Public(proxies=(ip_network("10.0.0.0/8"),)).of(asked) == "https://b.example/webhooks/acme/work?a=1"
    assert Public(proxies=(ip_network("192.168.0.0/16"),)).of(asked) == "http://inside:8080/webhooks/acme/work?a=1"


def test_the_settings_of_webhooks_are_checked(tmp_path: Path) -> None:
    file = tmp_path / "clew.toml"

    def loaded(text: str) -> WebhookSettings:
        file.write_text(f"[webhooks]\n{text}\n")
        return load_settings({"CLEW_CONFIG": str(file)}).webhooks

    proxies = 'trusted_proxies = ["10.0.0.0/8", "::1"]'
    found = loaded(f'public_url = "https://hooks.example.com/"\n{proxies}\nmost_body = 2048')
    assert (found.public_url, found.most_body, len(found.networks)) == ("https://hooks.example.com", 2048, 2)
    for wrong in ('public_url = "hooks"', 'trusted_proxies = ["everyone"]', "most_body = 1", "tunnel = true"):
        with pytest.raises(ConfigurationError):
            loaded(wrong)
