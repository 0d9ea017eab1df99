"""What gives money back or ends an income: refunds and cancellations, shown to a person before they happen."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from clew import Api, From, errors

from .money import Amount, Currency, Money, decimal_text, units_in, units_of
from .payments import Payment, read_payment
from .provider import KEY, Flag, Moment, PaymentId, SubscriptionId, Text, stripe

Part = Annotated[
    Amount | None, Field(description='A part of the payment, such as "12.50"; without it all that is left.')
]
Reason = Literal["duplicate", "fraudulent", "requested_by_customer"]
When = Annotated[Literal["now", "period_end"], Field(description="period_end: it runs on for what is paid already.")]

SUBSCRIPTION = "/v1/subscriptions/{}"


class RefundPreview(BaseModel):
    """What a refund will do."""

    payment: str
    customer: Text = None
    description: Text = None
    status: str
    currency: str
    paid: str
    refunded_before: str
    refund: str
    warning: str | None = None


class Refund(BaseModel):
    """A refund. `pending` and `requires_action` are not the end of it."""

    id: str
    status: str | None = None
    currency: str
    amount: Money
    charge: Text = None
    payment: Annotated[Text, From("payment_intent")] = None
    error: Annotated[Text, From("failure_reason")] = None


class CancellationPreview(BaseModel):
    """What cancelling a subscription will do."""

    id: str
    status: str
    customer: Text = None
    cancel_at_period_end: Flag = None
    plans: Annotated[list[str | None], From("items.data[*].price.nickname")] = []
    period_end: Annotated[Moment | None, From("items.data[0].current_period_end", "current_period_end")] = None
    ends: str | None = None


class Cancellation(BaseModel):
    """A subscription that ends, or has ended."""

    id: str
    status: str
    cancel_at_period_end: Flag = None
    cancel_at: Moment | None = None
    canceled_at: Moment | None = None


@stripe.read(toolset="payments")
async def preview_refund(
    api: Api, payment_id: PaymentId, amount: Part = None, currency: Currency | None = None, reason: Reason | None = None
) -> RefundPreview:
    """Show what refund_payment would refund; refunds nothing."""
    payment = await read_payment(api, payment_id)
    units = _checked(payment, amount, currency)
    paid, gone = _units(payment.paid, payment.currency), _units(payment.refunded, payment.currency)
    left = paid - gone
    wanted = left if units is None else units
    if paid <= 0:
        raise errors.ConflictError(f"nothing was paid yet: the payment's status is {payment.status}.")
    # No refusal: a repetition of a refund that has happened must come through to the answer it got.
    short = left <= 0 or wanted > left
    warning = f"only {decimal_text(left, payment.currency)} is left to refund" if short else None
    return RefundPreview(
        payment=payment.id,
        customer=payment.customer,
        description=payment.description,
        status=payment.status,
        currency=payment.currency,
        paid=decimal_text(paid, payment.currency),
        refunded_before=decimal_text(gone, payment.currency),
        refund=decimal_text(wanted, payment.currency),
        warning=warning,
    )


@stripe.destructive(preview=preview_refund, toolset="payments", once=KEY)
async def refund_payment(
    api: Api, payment_id: PaymentId, amount: Part = None, currency: Currency | None = None, reason: Reason | None = None
) -> Refund:
    """Refund a payment, whole or in part. The money leaves the account's balance."""
    units = None
    if amount is not None:  # Stripe takes a number and asks for no currency: it must be the payment's own
        units = _checked(await read_payment(api, payment_id), amount, currency)
    target = "payment_intent" if payment_id.startswith("pi_") else "charge"
    form = {target: payment_id, "amount": units, "reason": reason}
    return await api.post("/v1/refunds", form=form, into=Refund)


def _checked(payment: Payment, amount: str | None, currency: str | None) -> int | None:
    """The amount in the smallest unit, refused when it can never be refunded.

    What is left is Stripe's to judge: a repetition of a refund that has happened must reach its idempotency key.
    """
    if amount is None:
        return None
    if currency is None or currency.lower() != payment.currency:
        raise _wrong("currency", f"must be given with amount, and is {payment.currency}")
    units = units_of(amount, payment.currency)
    if units > _units(payment.paid, payment.currency):
        raise _wrong("amount", f"is more than was paid: {payment.paid or '0'} {payment.currency}")
    return units


def _units(amount: str | None, currency: str) -> int:
    return units_in(amount or "0", currency)


def _wrong(name: str, why: str) -> errors.InvalidInputError:
    return errors.InvalidInputError(f"{name} {why}.", fields={name: why})


@stripe.read(toolset="subscriptions")
async def preview_cancellation(
    api: Api, subscription_id: SubscriptionId, when: When = "period_end"
) -> CancellationPreview:
    """Show what cancel_subscription would end, and when; cancels nothing."""
    found = await api.get(SUBSCRIPTION, subscription_id, into=CancellationPreview)
    if found.status in {"canceled", "incomplete_expired"}:
        return found.model_copy(update={"ends": "it has ended already"})
    return found.model_copy(update={"ends": "at once" if when == "now" else found.period_end})


async def find_cancellation(api: Api, subscription_id: str, when: str) -> Cancellation | None:
    """The subscription, when it ends as it was wanted."""
    found = await api.get(SUBSCRIPTION, subscription_id, into=Cancellation)
    return found if found.status == "canceled" or (when != "now" and found.cancel_at_period_end) else None


# A DELETE takes no key: a second one finds nothing to end, and says so.
@stripe.destructive(
    preview=preview_cancellation,
    toolset="subscriptions",
    once=KEY,
    verify=find_cancellation,
)
async def cancel_subscription(api: Api, subscription_id: SubscriptionId, when: When = "period_end") -> Cancellation:
    """Cancel a subscription, at the end of the paid period or now. What is paid is not refunded."""
    if when == "now":
        return await _end_now(api, subscription_id)
    return await api.post(SUBSCRIPTION, subscription_id, form={"cancel_at_period_end": True}, into=Cancellation)


async def _end_now(api: Api, subscription_id: str) -> Cancellation:
    try:
        answer = await api.request("DELETE", SUBSCRIPTION, subscription_id)
    except errors.NotFoundError as missing:  # also what Stripe says of one that has ended
        if await find_cancellation(api, subscription_id, "now") is None:
            raise
        raise errors.AlreadyDoneError("the subscription has ended already.", status=missing.status) from missing
    return Cancellation(id=subscription_id, status=answer.field("status") or "canceled")
