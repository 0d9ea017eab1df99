"""`clew webhooks subscribe, status, renew, send` and `dead`, with a running Acme and a receiver of its own process."""

import asyncio
import json
import re
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from tests.servers.cli.conftest import Place

from clew.core.database import Transaction
from clew.core.inbox import StoredEvent
from clew.core.inbox_work import Worker
from clew.servers.sandbox import Sandbox
from clew.servers.settings import Settings
from clew.servers.store import open_events, open_store

MESSAGE = ("sender=support@acme.example", "to=ada@bounce.example", "subject=Hi", "text=Hello")


@contextmanager
def receiving(place: Place) -> Generator[str]:
    """`clew webhooks serve`; its address."""
    process = place.start("webhooks", "serve", "acme", "--http", "127.0.0.1:0", stdin=subprocess.DEVNULL)
    try:
        assert process.stderr is not None
        found = next(filter(None, (re.search(r"receiving at (http://[^/]+)", line) for line in process.stderr)))
        yield found[1]
    finally:
        process.terminate()
        process.communicate()


def events(place: Place) -> dict[str, Any]:
    """How many events of each status there are."""

    async def count() -> dict[str, Any]:
        async with open_store(Settings(home=place.home, key_provider="file")) as store:
            return {status.value: number for status, number in (await (await open_events(store)).count()).items()}

    return asyncio.run(count())


def wait_for(place: Place, **wanted: int) -> None:
    """Until so many events of these statuses are there."""
    give_up_at = time.monotonic() + 20
    while any(events(place)[name] < number for name, number in wanted.items()):
        assert time.monotonic() < give_up_at, events(place)
        time.sleep(0.1)


def shown(place: Place, *words: str, code: int = 0) -> Any:
    ran = place.run("webhooks", *words, "--json")
    assert ran.code == code, ran
    return json.loads(ran.out)


def test_a_subscription_is_made_watched_and_made_anew(place: Place, connected: Sandbox) -> None:
    place.patch.setenv("CLEW_ALLOW_WRITES", "1")
    with receiving(place) as root:
        made = shown(place, "subscribe", "acme", "--url", root)
        (status,) = shown(place, "status", "--check")
        assert (status["id"], status["checked"], status["trouble"]) == (made["id"], True, "")
        assert place.run("call", "acme", "send_message", *MESSAGE).code == 0
        wait_for(place, done=1)

        hook = next(row for row in connected.state.store.webhooks if row["id"] == made["id"])
        hook["disabled"] = True  # as a provider does after too many refusals, without a word
        (status,) = shown(place, "status", "--check", code=1)
        assert "stopped delivering" in status["trouble"]
        (kept,) = shown(place, "status", code=1)  # and it is remembered
        assert kept["trouble"] == status["trouble"]

        (renewed,) = shown(place, "renew", "acme")
        assert (renewed["trouble"], renewed["id"] != made["id"]) == ("", True)
        assert place.run("call", "acme", "send_message", *MESSAGE[:-1], "text=Again").code == 0
        wait_for(place, done=2)
    connected.state.store.webhooks.remove(renewed["id"])
    (gone,) = shown(place, "status", "--check", code=1)
    assert "no such" in gone["trouble"]
    table = place.run("webhooks", "status")
    assert "acme" in table.out


def test_a_sample_is_signed_with_the_stored_secret(place: Place, connected: Sandbox) -> None:
    missing = place.run("webhooks", "send", "acme", "--to", "http://127.0.0.1:9/x")
    assert missing.code != 0
    assert "clew webhooks set" in missing.err
    with receiving(place) as root:
        made = shown(place, "subscribe", "acme", "--url", root)
        sent = shown(place, "send", "acme", "--event", "payment.succeeded", "--to", made["url"])
        assert sent["status"] == 200
        wait_for(place, done=1)
        assert place.run("webhooks", "send", "acme", "--to", f"{root}/webhooks/acme/nobody").code == 1


def test_a_dead_letter_is_tried_again(place: Place, connected: Sandbox) -> None:
    assert place.run("webhooks", "set", "acme", stdin="whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0").code == 0
    asyncio.run(_one_dead_letter(place))
    (dead,) = shown(place, "dead")
    assert (dead["type"], dead["attempts"]) == ("payment.succeeded", 1)
    assert "evt_" in place.run("webhooks", "dead").out
    assert place.run("webhooks", "dead", "--replay", "evt_1").code != 0
    assert shown(place, "dead", "--replay", dead["id"]) == {"replayed": 1}
    assert shown(place, "dead") == []
    with receiving(place):
        wait_for(place, done=1)


async def _one_dead_letter(place: Place) -> None:
    """An event whose processing has failed for good."""
    from clew.core.connection import LOCAL_TENANT, Connection
    from clew.core.inbox import Incoming

    async def fail(event: StoredEvent, payload: str, tx: Transaction) -> None:
        raise ValueError("a fault of ours")

    async with open_store(Settings(home=place.home, key_provider="file")) as store:
        inbox = await open_events(store)
        await inbox.store([Incoming(Connection(LOCAL_TENANT, "acme", "main"), ("k",), "payment.succeeded", "{}")])
        await Worker(inbox, fail, attempts=1).work()
