"""The demo's acts about events: a card that asks for its holder, and a message that comes back.

The receiver runs in the demo's process, on the store that the server under demonstration uses too.
"""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from clew.core.connection import Connection
from clew.core.fields import as_object
from clew.servers.chores import chores
from clew.servers.demo_tour import Step, Tour
from clew.servers.receiving import serve_deliveries
from clew.servers.runtime import Runtime
from clew.servers.sandbox import Sandbox
from clew.servers.settings import ConnectorSettings, Settings
from clew.servers.subscriptions import subscribe


@asynccontextmanager
async def receiving(sandbox: Sandbox, folder: Path, connection: Connection) -> AsyncGenerator[None]:
    """Receive Acme's deliveries, with a subscription that `clew webhooks subscribe acme` would have made."""
    connectors = {"acme": ConnectorSettings(base_url=sandbox.url)}
    settings = Settings(home=folder, key_provider="file", connectors=connectors)
    async with Runtime.open(settings, ["acme"]) as runtime, chores(runtime) as mailroom:
        address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(serve_deliveries(mailroom, "127.0.0.1:0", address.set_result))
        try:
            await subscribe(runtime, runtime.connectors[0], connection, await address)
            yield
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


async def confirm(url: str) -> None:
    """The cardholder in a browser."""
    async with httpx.AsyncClient() as browser:
        page = await browser.get(url)
        token = re.search(r'name="token" value="([^"]+)"', page.text)
        await browser.post(url.partition("?")[0], data={"token": token[1] if token else "", "decision": "confirm"})


async def pay(tour: Tour) -> Step:
    """3-D Secure: one call, one payment."""
    arguments = {"amount": 1250, "currency": "EUR", "card": "3220"}
    step = Step("Charge a card whose bank wants its holder to confirm (3-D Secure)", "create_payment", arguments)
    payment = await tour.call(step)
    made = tour.sandbox.state.requests["POST /api/payments"]
    ended = as_object(payment.get("confirmed")) or {}
    step.said = (
        f"The host opened {tour.opened[-1].partition('?')[0] if tour.opened else 'nothing'}; the person confirmed.\n"
        f"Acme's webhook was verified, stored, and ended the call: payment {payment.get('id')} {ended.get('state')},\n"
        f"{step.seconds} s after it began, with {made} request to charge the card."
    )
    step.ok = payment.get("status") == "succeeded" and made == 1
    return step


async def bounce(tour: Tour) -> Step:
    """Accepted is not delivered."""
    message = {
        "sender": "support@acme.example",
        "to": "ada@bounce.example",
        "subject": "Hello",
        "text": "Are you there?",
    }
    sending = Step("Send a message to an address that does not exist", "send_message", message)
    sent = await tour.call(sending)
    waiting = Step("", "wait_for_event", {"reference": sent.get("id", ""), "seconds": 10})
    event = as_object((await tour.call(waiting)).get("event")) or {}
    sending.said = (
        f"Acme answered 202: {sent.get('status')}. Accepted is not delivered, so the agent waited:\n"
        f"> wait_for_event reference={sent.get('id')!r}\n"
        f"  | {event.get('type')}: {event.get('state')} ({event.get('id')}), {waiting.seconds} s later"
    )
    sending.ok = sent.get("status") == "accepted" and event.get("state") == "bounced"
    return sending
