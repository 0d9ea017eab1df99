"""Invoices: drafts, which can still be changed, and what they become."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from clew import Api, From, Page, errors

from .money import Amount, Currency, Money, decimal_text, units_of
from .provider import KEY, SIZE, Cursor, CustomerId, Flag, InvoiceId, Moment, SubscriptionId, Text, following, stripe


class InvoiceLine(BaseModel):
    """An invoice in a list; `number` is there once it is no draft any more."""

    id: str
    number: Text = None
    status: str
    currency: str
    total: Money
    left: Annotated[Money, From("amount_remaining", "amount_due"), Field(description="Still to be paid.")]
    customer: Text = None
    due: Annotated[Moment | None, From("due_date")] = None
    created: Moment


class Listed(BaseModel):
    """One answer of the list of invoices."""

    data: list[InvoiceLine]
    has_more: bool


class Position(BaseModel):
    """A line on an invoice."""

    currency: Annotated[str, Field(exclude=True)]
    description: Text = None
    amount: Money
    quantity: int | None = None


class Invoice(BaseModel):
    """One invoice. With `auto_advance` Stripe sends, charges and reminds by itself."""

    id: str
    number: Text = None
    status: str
    currency: str
    total: Money
    paid: Annotated[Money, From("amount_paid")]
    left: Annotated[Money, From("amount_remaining", "amount_due"), Field(description="Still to be paid.")]
    customer: Text = None
    customer_name: Text = None
    customer_email: Text = None
    subscription: Annotated[Text, From("parent.subscription_details.subscription", "subscription")] = None
    collection_method: str | None = None
    auto_advance: Flag = None
    due: Annotated[Moment | None, From("due_date")] = None
    created: Moment
    lines: Annotated[list[Position], From("lines.data"), Field(description="The first 10.")] = []
    more_lines: Annotated[Flag, From("lines.has_more")] = None
    url: Annotated[Text, From("hosted_invoice_url"), Field(description="Where the customer pays.")] = None


class Opened(BaseModel):
    """An empty draft."""

    id: str
    status: str
    currency: str


class Draft(BaseModel):
    """A draft that was made; nobody has seen it."""

    id: str
    status: str
    currency: str
    lines: int
    subtotal: Annotated[str, Field(description="Before taxes.")]


class Finalized(BaseModel):
    """An invoice after a step of its life."""

    id: str
    number: Text = None
    status: str
    currency: str
    total: Money
    left: Annotated[Money, From("amount_remaining", "amount_due")]
    url: Annotated[Text, From("hosted_invoice_url"), Field(description="Where the customer pays.")] = None


class NewLine(BaseModel):
    """A line to put on an invoice."""

    description: Annotated[str, Field(min_length=1, max_length=500)]
    amount: Amount
    quantity: Annotated[int, Field(ge=1, le=1_000_000)] = 1


@stripe.read(toolset="invoices")
async def list_invoices(
    api: Api,
    *,
    customer_id: CustomerId | None = None,
    subscription_id: SubscriptionId | None = None,
    status: Literal["draft", "open", "paid", "uncollectible", "void"] | None = None,
    cursor: Cursor = None,
) -> Page[InvoiceLine]:
    """List invoices, newest first."""
    asked = {
        "customer": customer_id,
        "subscription": subscription_id,
        "status": status,
        "limit": SIZE,
        "starting_after": cursor,
    }
    found = await api.get("/v1/invoices", query=asked, into=Listed)
    last = found.data[-1].id if found.data else None
    return Page[InvoiceLine](items=found.data, next_cursor=following(last, found.has_more, cursor))


@stripe.read(toolset="invoices")
async def get_invoice(api: Api, invoice_id: InvoiceId) -> Invoice:
    """Read one invoice with its lines."""
    return await api.get("/v1/invoices/{}", invoice_id, into=Invoice)


@stripe.write(toolset="invoices", once=KEY)
async def create_invoice(
    api: Api,
    customer_id: CustomerId,
    currency: Currency,
    lines: Annotated[list[NewLine], Field(min_length=1, max_length=10)],
    *,
    memo: Annotated[str | None, Field(max_length=1000, description="Shown to the customer.")] = None,
    days_until_due: Annotated[int, Field(ge=1, le=365)] = 30,
) -> Draft:
    """Make a draft invoice. Nobody sees it before finalize_invoice. `amount` of a line is for one piece."""
    unit = currency.lower()
    priced = [(line, units_of(line.amount, unit, name="lines.amount")) for line in lines]  # refused before anything is
    form = {
        "customer": customer_id,
        "currency": unit,
        "description": memo,
        "collection_method": "send_invoice",
        "days_until_due": days_until_due,
        "auto_advance": False,
        "pending_invoice_items_behavior": "exclude",  # what somebody else has prepared stays out of this one
    }
    draft = await api.post("/v1/invoices", form=form, into=Opened)
    api.reference(draft.id)
    for number, (line, units) in enumerate(priced):
        item = {"invoice": draft.id, "customer": customer_id, "currency": unit, "description": line.description}
        price = {"unit_amount_decimal": str(units), "quantity": line.quantity}
        try:
            await api.post("/v1/invoiceitems", form={**item, **price})
        except errors.CallError as error:
            _tell_what_is_there(error, draft.id, number, len(priced))
            raise
    subtotal = decimal_text(sum(units * line.quantity for line, units in priced), unit)
    return Draft(id=draft.id, status=draft.status, currency=unit, lines=len(priced), subtotal=subtotal)


def _tell_what_is_there(error: errors.CallError, draft: str, done: int, count: int) -> None:
    """The truth about the whole in the error of a part: there is a draft now, and not all is on it."""
    error.outcome = errors.Outcome.UNKNOWN
    error.message = f"{error.message.rstrip('.')}; the draft {draft} is there with {done} of {count} lines."
    error.next_step = "Read it with get_invoice. Do not finalize it; a new draft can take its place."


async def find_finalized(api: Api, invoice_id: str) -> Finalized | None:
    """The invoice, when it is no draft any more."""
    found = await api.get("/v1/invoices/{}", invoice_id, into=Finalized)
    return None if found.status == "draft" else found


async def find_void(api: Api, invoice_id: str) -> Finalized | None:
    """The invoice, when it is void."""
    found = await api.get("/v1/invoices/{}", invoice_id, into=Finalized)
    return found if found.status == "void" else None


@stripe.write(toolset="invoices", once=KEY, verify=find_finalized)
async def finalize_invoice(
    api: Api,
    invoice_id: InvoiceId,
    auto_advance: Annotated[
        bool, Field(description="Stripe then sends it, or charges the customer, by itself. Needs a person's yes.")
    ] = False,
) -> Finalized:
    """Turn a draft into an invoice that can be paid; it cannot be changed any more, only voided."""
    path = "/v1/invoices/{}/finalize"
    return await api.post(path, invoice_id, form={"auto_advance": auto_advance}, into=Finalized)


@stripe.asks_when(finalize_invoice, preview=get_invoice)
def reaches_the_customer(arguments: Mapping[str, Any]) -> bool:
    """Mail leaves, or money moves."""
    return bool(arguments["auto_advance"])


@stripe.destructive(preview=get_invoice, toolset="invoices", once=KEY, verify=find_void)
async def void_invoice(api: Api, invoice_id: InvoiceId) -> Finalized:
    """Void an open invoice: it counts as never issued, for good."""
    return await api.post("/v1/invoices/{}/void", invoice_id, into=Finalized)
