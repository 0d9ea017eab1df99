"""Acme: the fictitious SaaS of our sandbox (`clew sandbox`), and the subject of the tutorial.

The facts stand first, then the functions; everything else an agent needs in production is the framework's.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from clew import (
    Api,
    Bearer,
    Connector,
    CursorPages,
    ErrorMap,
    Flow,
    From,
    OAuth2,
    Page,
    RateLimitHeaders,
    Rule,
    Secret,
    Version,
    errors,
    events,
    once,
)

from .webhooks.standards import STANDARD

acme = Connector(
    "acme",
    title="Acme",
    base_url="http://127.0.0.1:8765",
    auth=[
        OAuth2(
            authorize_url="{base_url}/oauth/authorize",
            token_url="{base_url}/oauth/token",
            revoke_url="{base_url}/oauth/revoke",
            device_url="{base_url}/oauth/device_authorization",
            client_id="clew-demo",
            client_auth="none",
            scopes=(
                "contacts:read",
                "contacts:write",
                "tickets:read",
                "tickets:write",
                "messages:write",
                "payments:read",
                "payments:write",
                "webhooks:read",
                "webhooks:write",
            ),
            refresh_class="C",
        ),
        Bearer(help="Acme, Settings, API tokens"),
    ],
    version=Version("2026-07-01", header="Acme-Version"),
    pages=CursorPages(items="data"),
    rate_limits=RateLimitHeaders(remaining="x-ratelimit-remaining", reset="x-ratelimit-reset", unit="epoch_s"),
    errors=ErrorMap(
        message=("error.message", "error"),
        provider_code=("error.code", "error"),
        rules=(
            Rule(code="auth_revoked", status=401, body={"error.code": "token_invalid"}),
            Rule(code="rate_limited", status=403, body={"error.code": "quota"}),
            Rule(code="already_done", status=409, body={"error.code": "already_closed"}),
            Rule(code="already_done", status=409, body={"error.code": "already_refunded"}),
            Rule(code="invalid_input", status=200, body={"ok": "false", "error": "unknown_sender"}),
        ),
    ),
    webhooks=STANDARD,
    events=events.Events(
        type="type",
        reference="data.id",
        occurred="timestamp",
        object="data",
        states={
            "message.delivered": "delivered",
            "message.bounced": "bounced",
            "payment.succeeded": "succeeded",
            "payment.failed": "failed",
            "payment.requires_action": "requires_action",
        },
    ),
    docs="docs/tutorial.md",
)


@acme.identity
async def whoami(api: Api) -> str:
    """The e-mail address of the account."""
    return str((await api.get("/api/me"))["email"])


async def _subscribe(api: Api, wish: events.Wish) -> events.Subscribed:
    made = await api.post("/api/webhooks", json={"url": wish.url, "events": list(wish.types) or ["*"]})
    return events.Subscribed(id=made["id"], secret=Secret(made["secret"]))


async def _subscribed(api: Api, id: str, where: Mapping[str, str]) -> events.Subscribed | None:
    try:
        found = await api.get("/api/webhooks/{}", id)
    except errors.NotFoundError:
        return None
    return events.Subscribed(id=id, active=not found["disabled"], why="disabled" if found["disabled"] else "")


async def _unsubscribe(api: Api, id: str, where: Mapping[str, str]) -> None:
    await api.delete("/api/webhooks/{}", id)


acme.subscription = events.Subscription(create=_subscribe, check=_subscribed, remove=_unsubscribe)


class Contact(BaseModel):
    """A person or company Acme knows."""

    id: str
    name: Annotated[str, From("name.given")]
    family_name: Annotated[str, From("name.family")]
    email: str
    company: str | None = None


class Ticket(BaseModel):
    """A request for help."""

    id: str
    subject: str
    status: Literal["open", "pending", "closed"]
    priority: str
    contact_id: str | None = None
    comments: Annotated[int, From("comments_count")]
    created_at: str


class Comment(BaseModel):
    """A remark on a ticket."""

    id: str
    author: str
    text: str
    created_at: str


class Message(BaseModel):
    """A message on its way: `accepted` is not yet `delivered`."""

    id: str
    status: Literal["accepted", "delivered", "bounced"]


class Payment(BaseModel):
    """Money that came in; amounts are minor units (cents)."""

    id: str
    amount: int
    refunded_amount: int
    currency: str
    status: str
    contact_id: str | None = None
    confirm_url: Annotated[str | None, From("next_action.url")] = None


class Refund(BaseModel):
    """Money that went back, in minor units."""

    id: str
    payment_id: str
    amount: int
    currency: str


class Refunded(BaseModel):
    """What refund_and_notify did."""

    refund: Refund
    message: Message
    note: Comment


Status = Literal["open", "pending", "closed"]

GONE = once.NaturalKey(done=("already_done", "not_found"))
"""A deletion: what is gone already needs no second one."""
KEY = once.ProviderKey(
    header="Idempotency-Key",
    replayed="Idempotent-Replayed",
    doubtful=("idempotency_key_in_use", "idempotency_key_reused"),
)
"""Acme keeps the key of a payment, a refund or a message for a day."""


@acme.read(toolset="contacts")
async def search_contacts(api: Api, text: str = "", cursor: str | None = None) -> Page[Contact]:
    """Find contacts by name, e-mail address or company; without text, list them all."""
    return await api.page("/api/contacts", into=Contact, cursor=cursor, query={"q": text or None})


@acme.read(toolset="contacts")
async def get_contact(api: Api, contact_id: str) -> Contact:
    """Read one contact."""
    return await api.get("/api/contacts/{}", contact_id, into=Contact)


async def _contact_with(api: Api, email: str) -> Contact | None:
    found = await api.page("/api/contacts", into=Contact, query={"email": email})
    return found.items[0] if found.items else None


@acme.write(toolset="contacts", once=once.NaturalKey(), verify=_contact_with)
async def create_contact(api: Api, name: str, family_name: str, email: str, company: str | None = None) -> Contact:
    """Add a contact. An e-mail address can belong to one contact only."""
    person = {"name": {"given": name, "family": family_name}, "email": email, "company": company}
    return await api.post("/api/contacts", json=person, into=Contact)


@acme.destructive(preview=get_contact, toolset="contacts", once=GONE)
async def delete_contact(api: Api, contact_id: str) -> None:
    """Delete a contact and its history. It cannot be restored."""
    await api.delete("/api/contacts/{}", contact_id)


@acme.read(toolset="tickets")
async def list_tickets(api: Api, status: Status | None = None, cursor: str | None = None) -> Page[Ticket]:
    """List tickets, oldest first."""
    return await api.page("/api/tickets", into=Ticket, cursor=cursor, query={"status": status})


async def _ticket_with(api: Api, key: str) -> Ticket | None:
    found = await api.page("/api/tickets", into=Ticket, query={"external_id": key})
    return found.items[0] if found.items else None


@acme.write(toolset="tickets", once=once.NaturalKey(field="external_id"), verify=_ticket_with)
async def create_ticket(
    api: Api,
    subject: str,
    body: str = "",
    contact_id: str | None = None,
    priority: Literal["low", "normal", "high"] = "normal",
) -> Ticket:
    """Open a ticket."""
    ticket = {"subject": subject, "body": body, "priority": priority, "contact_id": contact_id}
    return await api.post("/api/tickets", json={key: value for key, value in ticket.items() if value}, into=Ticket)


async def _comment_with(api: Api, ticket_id: str, marker: str) -> Comment | None:
    cursor: str | None = None
    while True:
        page = await api.page("/api/tickets/{}/comments", ticket_id, into=Comment, cursor=cursor, query={"limit": 100})
        mine = next((each for each in page.items if marker in each.text), None)
        if mine is not None or page.next_cursor is None:
            return mine
        cursor = page.next_cursor


@acme.write(toolset="tickets", once=once.Marker(field="text", text="\n\n({marker})"), verify=_comment_with)
async def add_comment(api: Api, ticket_id: str, text: str) -> Comment:
    """Comment on a ticket."""
    return await api.post("/api/tickets/{}/comments", ticket_id, json={"text": text}, into=Comment)


@acme.write(toolset="tickets", once=once.NaturalKey())
async def close_ticket(api: Api, ticket_id: str) -> Ticket:
    """Close a ticket."""
    return await api.post("/api/tickets/{}/close", ticket_id, into=Ticket)


@acme.write(
    toolset="payments",
    once=KEY,
)
async def create_payment(
    api: Api,
    amount: Annotated[int, Field(ge=1, description="Minor units: 1250 is 12.50.")],
    currency: Annotated[str, Field(pattern="^[A-Za-z]{3}$")],
    card: Annotated[Literal["4242", "4000", "3220"], Field(description="A test card: 3220 asks for 3-D Secure.")],
    reference: str | None = None,
) -> Payment:
    """Charge a card. The cardholder may have to confirm at a link first."""
    wanted = {"amount": amount, "currency": currency, "card": card, "reference": reference}
    given = {name: value for name, value in wanted.items() if value is not None}
    payment = await api.post("/api/payments", json=given, into=Payment)
    api.reference(payment.id)
    if payment.status == "requires_action":
        raise errors.ActionRequiredError(
            f"the cardholder has to confirm payment {payment.id} first.", url=payment.confirm_url
        )
    return payment


@acme.write(toolset="messages", once=KEY)
async def send_message(
    api: Api,
    sender: Annotated[str, Field(description="support@acme.example or billing@acme.example")],
    to: str,
    subject: str,
    text: str,
) -> Message:
    """Send an e-mail message to one address. Accepted is not yet delivered."""
    message = {"from": sender, "to": to, "subject": subject, "text": text}
    accepted = await api.post("/api/messages", json=message, into=Message)
    api.accepted(
        f"Whether it is delivered comes later: wait_for_event with reference {accepted.id}", reference=accepted.id
    )
    return accepted


@acme.read(toolset="payments")
async def find_payment(api: Api, payment_id: str, amount: int | None = None) -> Payment:
    """Read a payment; with an amount in minor units, check that so much of it is left to refund."""
    payment = await api.get("/api/payments/{}", payment_id, into=Payment)
    left = payment.amount - payment.refunded_amount
    if amount is not None and amount > left:
        raise errors.InvalidInputError(f"only {left} is left to refund.", fields={"amount": f"at most {left}"})
    return payment


@acme.destructive(
    preview=find_payment,
    toolset="payments",
    once=KEY,
)
async def refund_payment(api: Api, payment_id: str, amount: int | None = None) -> Refund:
    """Refund a payment, or an amount of it in minor units. Money that is sent back does not return."""
    body = {} if amount is None else {"amount": amount}
    refund = await api.post("/api/payments/{}/refunds", payment_id, json=body, into=Refund)
    api.reference(refund.id)
    return refund


@acme.workflow(preview=find_payment, toolset="payments")
async def refund_and_notify(
    flow: Flow, payment_id: str, ticket_id: str, to: str, amount: int | None = None
) -> Refunded:
    """Refund a payment, tell the customer by e-mail, and note it on the ticket."""
    payment = await flow.step(find_payment, payment_id=payment_id)
    refund = await flow.step(refund_payment, payment_id=payment.id, amount=amount)
    said = f"We have refunded {refund.amount / 100:.2f} {refund.currency} of your payment {payment.id}."
    message = await flow.step(
        send_message, sender="billing@acme.example", to=to, subject=f"Your refund {refund.id}", text=said
    )
    note = await flow.step(
        add_comment, ticket_id=ticket_id, text=f"Refunded: {refund.id}. Customer told: {message.id}."
    )
    return Refunded(refund=refund, message=message, note=note)
