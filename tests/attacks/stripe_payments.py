"""A stand-in for Stripe with payment intents, 3-D Secure, idempotency and signed events, as its documentation has them.

`lose` answers that many creations by cutting the line after the payment was made.
"""

import contextlib
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from tests.attacks.hearing import serving
from tests.connectors.stripe_objects import CREATED, intent

SECRET = "whsec_" + "stand_in"


def signed(body: bytes, secret: str = SECRET) -> str:
    """The Stripe-Signature of a body."""
    now = str(int(time.time()))
    proof = hmac.digest(secret.encode(), f"{now}.".encode() + body, hashlib.sha256).hex()
    return f"t={now},v1={proof},v0=ignored"


@dataclass
class StandIn:
    """Payments by id, what was answered under which key, and where events go."""

    address: str = ""
    endpoint: str = ""
    enabled: bool = True
    version: str = ""
    lose: int = 0
    intents: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    keys: dict[str, str] = field(default_factory=dict[str, str])
    answers: list[int] = field(default_factory=list[int])

    async def create(self, request: Request) -> Response:
        """A payment that wants its cardholder."""
        key = request.headers["idempotency-key"]
        form = parse_qs((await request.body()).decode())
        replayed = key in self.keys
        if not replayed:
            made = intent(
                id=f"pi_{secrets.token_hex(6)}", amount=int(form["amount"][0]), currency=form["currency"][0],
                status="requires_action", amount_received=0, latest_charge=None,
            )  # fmt: skip
            page = {"url": f"https://bank.example/{made['id']}"}
            made["next_action"] = {"type": "redirect_to_url", "redirect_to_url": page}
            self.intents[made["id"]], self.keys[key] = made, made["id"]
        if self.lose > 0:
            self.lose -= 1
            return StreamingResponse(_broken(), headers={"content-length": "5000"})
        return JSONResponse(self.intents[self.keys[key]], headers={"idempotent-replayed": str(replayed).lower()})

    async def subscribe(self, request: Request) -> JSONResponse:
        """An endpoint; its secret is shown this once."""
        form = parse_qs((await request.body()).decode())
        self.endpoint, self.version = form["url"][0], form["api_version"][0]
        return JSONResponse({"id": "we_1", "status": "enabled", "secret": SECRET, "url": self.endpoint})

    async def show(self, request: Request) -> JSONResponse:
        """The endpoint as it stands."""
        return JSONResponse({"id": "we_1", "status": "enabled" if self.enabled else "disabled", "url": self.endpoint})

    def settle(self, payment: str, status: str) -> dict[str, Any]:
        """What the bank has said; the payment as it stands then."""
        found = self.intents[payment]
        found |= {"status": status, "next_action": None}
        if status == "succeeded":
            found |= {"amount_received": found["amount"], "latest_charge": "ch_1"}
        return found

    def event(self, kind: str, payment: str, *, key: bool = False) -> bytes:
        """An event about a payment; `key`: it was caused by the request that created it."""
        own = next(name for name, each in self.keys.items() if each == payment)
        request = {"id": "req_1", "idempotency_key": own if key else None}
        body = {"id": f"evt_{secrets.token_hex(8)}", "object": "event", "type": kind, "created": CREATED}
        return json.dumps({**body, "data": {"object": self.intents[payment]}, "request": request}).encode()

    async def deliver(self, bodies: Sequence[bytes], *, secret: str = SECRET) -> list[int]:
        """Send events to the endpoint, in this order; the statuses."""
        async with httpx.AsyncClient(trust_env=False) as client:
            for body in bodies:
                answer = await client.post(
                    self.endpoint, content=body, headers={"stripe-signature": signed(body, secret)}
                )
                self.answers.append(answer.status_code)
        return self.answers[-len(bodies) :]


async def _broken() -> AsyncGenerator[bytes]:
    """The beginning of an answer, and then the line breaks."""
    yield b'{"id": "pi_'
    raise ConnectionResetError


@contextlib.asynccontextmanager
async def standing_in() -> AsyncGenerator[StandIn]:
    """The stand-in on a free port."""
    stripe = StandIn()
    routes = [
        Route("/v1/payment_intents", stripe.create, methods=["POST"]),
        Route("/v1/webhook_endpoints", stripe.subscribe, methods=["POST"]),
        Route("/v1/webhook_endpoints/we_1", stripe.show, methods=["GET"]),
        Route("/v1/webhook_endpoints/we_1", stripe.show, methods=["DELETE"]),
    ]
    async with serving(routes) as stripe.address:
        yield stripe
