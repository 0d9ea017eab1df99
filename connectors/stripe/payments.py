"""Payments, the charges behind them, payment links, and the account's balance."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field

from clew import Api, From, Page, errors

from .money import Amount, Currency, MaybeMoney, Money, units_of
from .provider import KEY, SIZE, Cursor, CustomerId, Flag, Moment, PaymentId, Short, Text, following, known, stripe

INTENT = "/v1/payment_intents/{}"
CHARGE = "/v1/charges/{}"


class Payment(BaseModel):
    """One payment. `paid` is what has arrived, `refunded` what has gone back of it."""

    id: str
    status: str
    currency: str
    amount: Money
    paid: Annotated[MaybeMoney, From("amount_received", "amount_captured")] = None
    refunded: Annotated[MaybeMoney, From("latest_charge.amount_refunded", "amount_refunded")] = None
    customer: Text = None
    description: Text = None
    charge: Annotated[Text, From("latest_charge.id", "latest_charge")] = None
    disputed: Annotated[Flag, From("latest_charge.disputed", "disputed")] = None
    error: Annotated[
        Text,
        From("last_payment_error.decline_code", "last_payment_error.code", "failure_code"),
        Field(description="Why the last try failed."),
    ] = None
    confirm_url: Annotated[
        Text, From("next_action.redirect_to_url.url"), Field(description="Where the cardholder confirms (3-D Secure).")
    ] = None
    created: Moment


class ChargeLine(BaseModel):
    """A charge in a list: one movement of money, of the payment `payment`."""

    id: str
    payment: Annotated[Text, From("payment_intent")] = None
    status: str
    currency: str
    amount: Money
    refunded: Annotated[MaybeMoney, From("amount_refunded")] = None
    customer: Text = None
    description: Short = None
    card: Annotated[Text, From("payment_method_details.card.last4"), Field(description="Last four digits.")] = None
    error: Annotated[Text, From("failure_code")] = None
    created: Moment


class Listed(BaseModel):
    """One answer of the list of charges."""

    data: list[ChargeLine]
    has_more: bool


class Sum(BaseModel):
    """An amount in one currency."""

    currency: str
    amount: Money


class Balance(BaseModel):
    """What can be paid out now, and what is on its way to the account."""

    available: list[Sum]
    pending: list[Sum]
    livemode: Annotated[bool, Field(description="False: a sandbox, no real money.")]


class PaymentLink(BaseModel):
    """A page of Stripe's where anybody who has the address can pay."""

    id: str
    url: str
    active: bool


@stripe.read(toolset="payments")
async def get_payment(api: Api, payment_id: PaymentId) -> Payment:
    """Read one payment: its status, what was refunded, why it failed."""
    return await read_payment(api, payment_id)


async def read_payment(api: Api, payment_id: str) -> Payment:
    """A payment with its latest charge, or a charge that has none above it."""
    if not payment_id.startswith("pi_"):
        return await api.get(CHARGE, payment_id, into=Payment)
    return await api.get(INTENT, payment_id, query={"expand[]": "latest_charge"}, into=Payment)


@stripe.read(toolset="payments")
async def list_charges(
    api: Api,
    *,
    customer_id: CustomerId | None = None,
    payment_id: Annotated[str | None, known("pi", "All tries of one payment: pi_….")] = None,
    cursor: Cursor = None,
) -> Page[ChargeLine]:
    """List charges, newest first."""
    asked = {"customer": customer_id, "payment_intent": payment_id, "limit": SIZE, "starting_after": cursor}
    found = await api.get("/v1/charges", query=asked, into=Listed)
    last = found.data[-1].id if found.data else None
    return Page[ChargeLine](items=found.data, next_cursor=following(last, found.has_more, cursor))


@stripe.read(toolset="payments")
async def get_balance(api: Api) -> Balance:
    """Read the account's balance, a sum for each currency."""
    return await api.get("/v1/balance", into=Balance)


@stripe.write(toolset="payments", once=KEY)
async def create_payment_link(
    api: Api,
    name: Annotated[str, Field(min_length=1, max_length=250, description="What is sold, as the buyer reads it.")],
    amount: Amount,
    currency: Currency,
    quantity: Annotated[int, Field(ge=1, le=999_999)] = 1,
) -> PaymentLink:
    """Create a page where anybody with the link can pay, any number of times. `amount` is for one piece."""
    unit = currency.lower()
    price = {"currency": unit, "unit_amount": units_of(amount, unit), "product_data": {"name": name}}
    form = {"line_items": [{"price_data": price, "quantity": quantity}]}
    return await api.post("/v1/payment_links", form=form, into=PaymentLink)


@stripe.write(toolset="payments", once=KEY)
async def create_payment(
    api: Api,
    amount: Amount,
    currency: Currency,
    payment_method: Annotated[str, known("pm|card|src", "A saved payment method: pm_….")],
    return_url: Annotated[
        str, Field(pattern="^https://", max_length=2000, description="Where the bank sends the cardholder afterwards.")
    ],
    *,
    customer_id: CustomerId | None = None,
    description: Annotated[str | None, Field(max_length=1000)] = None,
) -> Payment:
    """Charge a saved payment method. May end with action_required and a link for the cardholder (3-D Secure)."""
    unit = currency.lower()
    form = {
        "amount": units_of(amount, unit),
        "currency": unit,
        "payment_method": payment_method,
        "customer": customer_id,
        "description": description,
        "confirm": True,
        "return_url": return_url,
        "automatic_payment_methods": {"enabled": True},
        "expand[]": "latest_charge",
    }
    try:
        payment = await api.post("/v1/payment_intents", form=form, into=Payment)
    except errors.ActionRequiredError as waiting:
        if waiting.object_id:
            api.reference(waiting.object_id)  # by which the event of its end finds this call
        raise
    api.reference(payment.id)
    return payment


@stripe.asks_when(create_payment)
def always(arguments: Mapping[str, Any]) -> bool:
    """Somebody's money moves."""
    return True
