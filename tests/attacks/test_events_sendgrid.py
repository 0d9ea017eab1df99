"""What became of mail at SendGrid: signed events find the call that sent it, for each recipient and in any order."""

import base64
import itertools
import json
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tests.attacks.hearing import Person, hearing, serving, worked

from clew.core.errors import OutcomeUnknownError
from clew.core.inbox import Status
from clew.core.journal import State
from clew.servers.runtime import Runtime

pytestmark = pytest.mark.anyio
ENGINES = ["sqlite", "postgres"]
LETTER = {
    "sender": "shop@home.example",
    "to": ["ann@away.example", "bob@away.example"],
    "subject": "Hi",
    "text": "Hello",
}


@dataclass
class StandIn:
    """SendGrid: takes mail, signs events. `silent` is how many acceptances are lost behind an error of a gateway."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    endpoint: str = ""
    signs: bool = False
    silent: int = 0
    taken: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    async def take(self, request: Request) -> Response:
        body = json.loads(await request.body())
        self.taken.append(
            {"id": f"{secrets.token_urlsafe(12).replace('-', '_')}.dfd", "mark": body["custom_args"]["clew"]}
        )
        if self.silent > 0:
            self.silent -= 1
            return Response("bad gateway", 502)
        return Response(status_code=202, headers={"x-message-id": self.taken[-1]["id"]})

    async def subscribe(self, request: Request) -> Response:
        self.endpoint = json.loads(await request.body())["url"]
        return JSONResponse({"id": "77", "enabled": True, "url": self.endpoint}, 201)

    async def sign(self, request: Request) -> Response:
        self.signs = json.loads(await request.body())["enabled"]
        kind = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return JSONResponse(
            {"id": "77", "public_key": base64.b64encode(self.key.public_key().public_bytes(*kind)).decode()}
        )

    async def find(self, request: Request) -> Response:
        return JSONResponse({"errors": [{"message": "the add-on is missing"}]}, 403)

    def event(self, number: int, name: str, email: str, **more: Any) -> dict[str, Any]:
        sent = self.taken[number]
        named = {"sg_event_id": secrets.token_urlsafe(9), "sg_message_id": f"{sent['id']}.recvd-5f4-q-{number}.0"}
        return {"email": email, "event": name, "timestamp": int(time.time()), "clew": sent["mark"], **named, **more}

    async def deliver(self, events: list[dict[str, Any]], *, forged: bool = False) -> int:
        body = json.dumps(events).encode() + b"\r\n"
        now = str(int(time.time()))
        key = ec.generate_private_key(ec.SECP256R1()) if forged else self.key
        signature = base64.b64encode(key.sign(now.encode() + body, ec.ECDSA(hashes.SHA256()))).decode()
        head = "X-Twilio-Email-Event-Webhook"
        headers = {f"{head}-Signature": signature, f"{head}-Timestamp": now, "content-type": "application/json"}
        async with httpx.AsyncClient(trust_env=False) as client:
            return (await client.post(self.endpoint, content=body, headers=headers)).status_code


@asynccontextmanager
async def connected(home: Path, database: str) -> AsyncGenerator[tuple[Runtime, StandIn]]:
    there = StandIn()
    settings = "/user/webhooks/event/settings"
    routes = [
        Route("/mail/send", there.take, methods=["POST"]),
        Route("/messages", there.find, methods=["GET"]),
        Route(settings, there.subscribe, methods=["POST"]),
        Route(f"{settings}/signed/77", there.sign, methods=["PATCH"]),
    ]
    async with serving(routes) as provider, hearing(home, database, "sendgrid", provider) as runtime:
        assert there.signs
        yield runtime, there


async def sent(runtime: Runtime, number: int) -> dict[str, Any]:
    return dict(await runtime.call("send_email", {**LETTER, "request_id": f"m{number}"}, host=Person()))


async def test_every_order_of_events_ends_with_the_same_story(tmp_path: Path, address: str) -> None:
    async with connected(tmp_path, address) as (runtime, there):
        stories = [("delivered", "ann"), ("deferred", "bob"), ("bounce", "bob"), ("spamreport", "ann")]
        orders = list(itertools.permutations(range(4)))[::4]
        for number, order in enumerate(orders):
            assert "accepted" in await sent(runtime, number)
            story = [there.event(number, name, f"{who}@away.example", status="5.1.1") for name, who in stories]
            assert await there.deliver([there.event(number, "bounce", "ann@away.example")], forged=True) == 401
            for position in order:
                assert await there.deliver([story[position], story[position]]) == 200
            assert await there.deliver(story) == 200
        await worked(runtime)
        for number in range(len(orders)):
            confirmed = (await sent(runtime, number))["confirmed"]
            assert confirmed["state"] == "complained"
            assert confirmed["recipients"] == {"ann@away.example": "complained", "bob@away.example": "bounced"}
        assert (await runtime.inbox.count())[Status.DONE] == 4 * len(orders)
        assert len(there.taken) == len(orders)


async def test_a_mail_whose_acceptance_was_lost_is_found_by_its_mark_and_not_sent_again(
    tmp_path: Path, address: str
) -> None:
    async with connected(tmp_path, address) as (runtime, there):
        there.silent = 1
        with pytest.raises(OutcomeUnknownError):
            await sent(runtime, 0)
        with pytest.raises(OutcomeUnknownError):
            await sent(runtime, 0)
        stranger = {**there.event(0, "delivered", "ann@away.example"), "clew": "clew-00000000000000000000"}
        await there.deliver([stranger])
        await worked(runtime)
        (write,) = await runtime.store.journal.rows()
        assert write.state is State.UNKNOWN
        await there.deliver([there.event(0, "delivered", "ann@away.example")])
        await worked(runtime)
        result = await sent(runtime, 0)
    assert result["confirmed"]["recipients"] == {"ann@away.example": "delivered"}
    assert len(there.taken) == 1


async def test_somebody_who_waits_hears_of_the_bounce(tmp_path: Path, address: str) -> None:
    async with connected(tmp_path, address) as (runtime, there):
        taken = await sent(runtime, 0)
        await there.deliver([there.event(0, "bounce", "ann@away.example", type="blocked")])
        async with Runtime.open(runtime.settings, ["sendgrid"]) as other:
            waited = await other.call("wait_for_event", {"reference": taken["message_id"], "seconds": 10})
    assert (waited["event"]["state"], waited["event"]["type"]) == ("bounced", "bounce")
