"""Refunds and cancellations: money goes back and cannot be called back, so a person sees what will happen first."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from clew import Api, From, errors, once

from .orders import TRANSACTION, OrderLine, Transaction, get_order
from .provider import KEY, MONEY, Amount, Currency, MaybeMoney, Money, OrderId, gid, shopify

PAYMENTS = frozenset({"SALE", "CAPTURE"})
Reason = Literal["CUSTOMER", "DECLINED", "FRAUD", "INVENTORY", "OTHER", "STAFF"]


class Returned(BaseModel):
    """Items that come back."""

    line_item_id: Annotated[str, Field(max_length=80)]
    quantity: Annotated[int, Field(ge=1, le=10_000)]
    location_id: Annotated[
        str | None, Field(max_length=80, description="Where they are put back into stock; without it nowhere.")
    ] = None


Items = Annotated[list[Returned] | None, Field(max_length=50, description="What comes back; without it money alone.")]
Notify = Annotated[bool, Field(description="True: Shopify mails the customer.")]
PaymentId = Annotated[
    str | None, Field(max_length=80, description="Which payment of get_order, where there are several.")
]
Note = Annotated[str | None, Field(max_length=500, description="For the shop's staff.")]


class Standing(BaseModel):
    """The money of an order, as far as a refund needs it."""

    id: str
    name: str
    currency: Annotated[str, From("presentmentCurrencyCode")]
    total: Annotated[Money, From("totalPriceSet.presentmentMoney")]
    refunded: Annotated[Money, From("totalRefundedSet.presentmentMoney")]
    customer: Annotated[str | None, From("customer.displayName")] = None
    cancelled_at: Annotated[str | None, From("cancelledAt")] = None
    transactions: list[dict[str, Any]]
    suggested: Annotated[MaybeMoney, From("suggestedRefund.amountSet.presentmentMoney")] = None
    most: Annotated[MaybeMoney, From("suggestedRefund.maximumRefundableSet.presentmentMoney")] = None


class RefundPreview(BaseModel):
    """What a refund will do."""

    order: str
    customer: str | None = None
    total: str
    refunded_before: str
    refund: str
    can_be_refunded: str | None = None
    shopify_suggests: Annotated[str | None, Field(description="For these items.")] = None
    to_payment: str
    items: list[str] | None = None
    mails_customer: bool
    warning: str | None = None


class Refund(BaseModel):
    """A refund. Money arrives when its transaction is SUCCESS; PENDING is not the end."""

    id: str
    created_at: Annotated[str | None, From("createdAt")] = None
    total: Annotated[Money, From("totalRefundedSet.presentmentMoney")]
    transactions: Annotated[list[Transaction], From("transactions.nodes")] = []


class CancellationPreview(BaseModel):
    """What cancelling an order will do."""

    order: OrderLine
    refund: str
    restock: bool
    mails_customer: bool


class Cancellation(BaseModel):
    """A cancellation that Shopify has begun, or done."""

    job: Annotated[str | None, From("id")] = None
    done: bool


STANDING = f"""
query Standing($id: ID!, $items: [RefundLineItemInput!]) {{
  order(id: $id) {{
    id name presentmentCurrencyCode cancelledAt customer {{ displayName }}
    totalPriceSet {{ {MONEY} }} totalRefundedSet {{ {MONEY} }}
    transactions(first: 50) {{ id kind status gateway formattedGateway amountSet {{ {MONEY} }} }}
    suggestedRefund(refundLineItems: $items) {{ amountSet {{ {MONEY} }} maximumRefundableSet {{ {MONEY} }} }}
  }}
}}"""
REFUND = f"""
mutation RefundOrder($input: RefundInput!, $key: String!) {{
  refundCreate(input: $input) @idempotent(key: $key) {{
    refund {{
      id createdAt totalRefundedSet {{ {MONEY} }} transactions(first: 10) {{ nodes {{ {TRANSACTION} }} }}
    }}
    userErrors {{ field message }}
  }}
}}"""
REFUNDS = f"""
query Refunds($id: ID!) {{
  order(id: $id) {{
    refunds(first: 100) {{
      id createdAt note totalRefundedSet {{ {MONEY} }} transactions(first: 10) {{ nodes {{ {TRANSACTION} }} }}
    }}
  }}
}}"""
CANCEL = """
mutation CancelOrder(
  $id: ID!, $reason: OrderCancelReason!, $refund: OrderCancelRefundMethodInput, $restock: Boolean!, $notify: Boolean,
  $note: String
) {
  orderCancel(
    orderId: $id, reason: $reason, refundMethod: $refund, restock: $restock, notifyCustomer: $notify, staffNote: $note
  ) { job { id done } orderCancelUserErrors { code field message } }
}"""


@shopify.read(toolset="orders", scopes=["read_orders"])
async def preview_refund(
    api: Api,
    order: OrderId,
    amount: Amount,
    currency: Currency,
    *,
    payment_id: PaymentId = None,
    items: Items = None,
    notify_customer: Notify = False,
    note: Note = None,
) -> RefundPreview:
    """Show what refund_order would give back, and what Shopify suggests for these items; refunds nothing."""
    found = await _standing(api, order, items)
    payment = _payment(found, currency, payment_id)
    most = found.most.partition(" ")[0] if found.most else None
    # No refusal: a repetition of a refund that has happened must come through to the answer it got.
    short = most is not None and Decimal(amount) > Decimal(most)
    return RefundPreview(
        order=found.name,
        customer=found.customer,
        total=found.total,
        refunded_before=found.refunded,
        refund=f"{amount} {currency}",
        can_be_refunded=found.most,
        shopify_suggests=found.suggested if items else None,
        to_payment=str(payment.get("formattedGateway") or payment.get("gateway")),
        items=[f"{each.quantity} of {each.line_item_id}" for each in items] if items else None,
        mails_customer=notify_customer,
        warning=f"only {found.most} is left to refund" if short else None,
    )


async def _refunded(api: Api, order: str, amount: str, sent_at: float | None = None) -> Refund | None:
    """The one refund of this amount since the request left. Several, or none that can be told apart: nobody knows."""
    given = {"id": gid("Order", order, "order")}
    found = await api.graphql(REFUNDS, into=list[Refund], at="order.refunds", variables=given)
    since = (sent_at or 0.0) - 60
    same = [
        each
        for each in found
        if each.created_at is not None
        and datetime.fromisoformat(each.created_at).timestamp() >= since
        and Decimal(each.total.partition(" ")[0]) == Decimal(amount)
    ]
    if len(same) > 1:
        raise errors.ConflictError("several refunds of this amount were made at that time.")
    return same[0] if same else None


@shopify.destructive(
    preview=preview_refund, toolset="orders", scopes=["write_orders"], once=KEY, verify=once.Look(_refunded, after=2.0)
)
async def refund_order(
    api: Api,
    order: OrderId,
    amount: Amount,
    currency: Currency,
    *,
    payment_id: PaymentId = None,
    items: Items = None,
    notify_customer: Notify = False,
    note: Note = None,
) -> Refund:
    """Give back money of an order, by the payment that it came with. The amount is what goes back in all."""
    found = await _standing(api, order, None)
    payment = _payment(found, currency, payment_id)
    # Made of the arguments and of what never changes: a repeat must be the same request under the same key.
    body: dict[str, Any] = {
        "orderId": found.id,
        "currency": currency,
        "notify": notify_customer,
        "transactions": [
            {
                "orderId": found.id,
                "parentId": payment["id"],
                "gateway": payment["gateway"],
                "kind": "REFUND",
                "amount": amount,
            }
        ],
    }
    if note is not None:
        body["note"] = note
    if items:
        body["refundLineItems"] = _returned(items)
    refund = await api.graphql(REFUND, into=Refund, at="refundCreate.refund", variables={"input": body})
    api.reference(refund.id)
    return refund


async def _standing(api: Api, order: str, items: list[Returned] | None) -> Standing:
    given = {"id": gid("Order", order, "order"), "items": _returned(items) if items else None}
    return await api.graphql(STANDING, into=Standing, at="order", variables=given)


def _returned(items: list[Returned]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for number, each in enumerate(items):
        one: dict[str, Any] = {
            "lineItemId": gid("LineItem", each.line_item_id, f"items[{number}].line_item_id"),
            "quantity": each.quantity,
            "restockType": "NO_RESTOCK" if each.location_id is None else "RETURN",
        }
        if each.location_id is not None:
            one["locationId"] = gid("Location", each.location_id, f"items[{number}].location_id")
        found.append(one)
    return found


def _payment(found: Standing, currency: str, payment_id: str | None) -> dict[str, Any]:
    """The payment that the money goes back to. Raises `InvalidInputError`, `ConflictError`."""
    if currency != found.currency:
        raise errors.InvalidInputError(
            f"{found.name} was paid in {found.currency}.", fields={"currency": f"must be {found.currency}"}
        )
    paid = [each for each in found.transactions if each.get("kind") in PAYMENTS and each.get("status") == "SUCCESS"]
    if payment_id is not None:
        wanted = gid("OrderTransaction", payment_id, "payment_id")
        paid = [each for each in paid if each.get("id") == wanted]
    if not paid:
        raise errors.ConflictError(
            f"{found.name} has no such payment that could be given back.",
            next_step="get_order shows its transactions: only SALE and CAPTURE with SUCCESS can be refunded.",
        )
    if len(paid) > 1:
        raise errors.InvalidInputError(
            f"{found.name} was paid in {len(paid)} payments.",
            fields={"payment_id": "must be one of them"},
            next_step="get_order shows them; refund each by itself.",
        )
    return paid[0]


@shopify.read(toolset="orders", scopes=["read_orders"])
async def preview_cancellation(
    api: Api,
    order: OrderId,
    reason: Reason,
    *,
    refund: Annotated[bool, Field(description="True: all that was paid goes back the way it came.")],
    restock: Annotated[bool, Field(description="True: the items are put back into stock.")],
    notify_customer: Notify = False,
    note: Note = None,
) -> CancellationPreview:
    """Show what cancel_order would do; cancels nothing."""
    found = await get_order(api, order)
    line = OrderLine(**{name: getattr(found, name) for name in OrderLine.model_fields})
    money = f"{found.total}, less {found.refunded} refunded before" if refund else "nothing"
    return CancellationPreview(order=line, refund=money, restock=restock, mails_customer=notify_customer)


async def _cancelled(api: Api, order: str) -> Cancellation | None:
    found = await _standing(api, order, None)
    return None if found.cancelled_at is None else Cancellation(done=True)


@shopify.destructive(
    preview=preview_cancellation,
    toolset="orders",
    scopes=["write_orders"],
    once=once.NaturalKey(),
    verify=once.Look(_cancelled, after=3.0, tries=4, every=3.0),
)
async def cancel_order(
    api: Api,
    order: OrderId,
    reason: Reason,
    *,
    refund: Annotated[bool, Field(description="True: all that was paid goes back the way it came.")],
    restock: Annotated[bool, Field(description="True: the items are put back into stock.")],
    notify_customer: Notify = False,
    note: Note = None,
) -> Cancellation:
    """Cancel an order for good. A hold on money that was not taken yet is released."""
    found = await _standing(api, order, None)
    if found.cancelled_at is not None:
        raise errors.AlreadyDoneError(f"{found.name} was cancelled at {found.cancelled_at}.")
    given = {
        "id": found.id,
        "reason": reason,
        "refund": {"originalPaymentMethodsRefund": refund},
        "restock": restock,
        "notify": notify_customer,
        "note": note,
    }
    job = await api.graphql(CANCEL, into=Cancellation, at="orderCancel.job", variables=given)
    api.accepted("Read get_order in a moment: it is done when cancelled_at is there.", reference=found.id)
    return job
