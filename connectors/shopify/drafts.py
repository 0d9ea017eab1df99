"""Draft orders: an order for somebody who has not paid yet, and the invoice that asks them to."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from clew import Api, From, errors, once

from .provider import MONEY, Amount, Currency, Money, cut, gid, shopify

DraftId = Annotated[str, Field(max_length=80, description="id of create_draft_order.")]
TAG = "clew-"
"""Drafts of ours carry a tag with the journal's mark, by which one is found whose answer was lost."""


class Wanted(BaseModel):
    """What is ordered: a variant, or something that the shop does not list, with a title and a price."""

    variant_id: Annotated[str | None, Field(max_length=80)] = None
    title: Annotated[str | None, Field(max_length=200)] = None
    unit_price: Amount | None = None
    quantity: Annotated[int, Field(ge=1, le=10_000)] = 1


class Draft(BaseModel):
    """A draft order."""

    id: str
    name: str
    status: str
    total: Annotated[Money, From("totalPriceSet.presentmentMoney")]
    email: str | None = None
    customer: Annotated[str | None, From("customer.displayName")] = None
    items: Annotated[list[str], From("lineItems.nodes[*].name")]
    invoice_url: Annotated[str | None, From("invoiceUrl")] = None
    invoice_sent_at: Annotated[str | None, From("invoiceSentAt")] = None
    order_id: Annotated[str | None, From("order.id"), Field(description="The order it has become.")] = None
    note: Annotated[str | None, From("note2"), cut(500)] = None


FIELDS = f"""id name status totalPriceSet {{ {MONEY} }} email customer {{ displayName }}
  lineItems(first: 20) {{ nodes {{ name }} }} invoiceUrl invoiceSentAt order {{ id }} note2"""
CREATE = f"""
mutation CreateDraftOrder($input: DraftOrderInput!) {{
  draftOrderCreate(input: $input) {{ draftOrder {{ {FIELDS} }} userErrors {{ field message }} }}
}}"""
GET = f"query GetDraftOrder($id: ID!) {{ draftOrder(id: $id) {{ {FIELDS} }} }}"
FIND = f"query FindDraftOrder($query: String!) {{ draftOrders(first: 2, query: $query) {{ nodes {{ {FIELDS} }} }} }}"
SEND = f"""
mutation SendDraftInvoice($id: ID!, $email: EmailInput) {{
  draftOrderInvoiceSend(id: $id, email: $email) {{ draftOrder {{ {FIELDS} }} userErrors {{ field message }} }}
}}"""


async def _made(api: Api, marker: str) -> Draft | None:
    given = {"query": f"tag:{TAG}{marker}"}
    found = await api.graphql(FIND, into=list[Draft], at="draftOrders.nodes", variables=given)
    return found[0] if found else None


@shopify.write(
    toolset="drafts",
    scopes=["write_draft_orders"],
    once=once.Marker(field="input.tags.0"),
    # A search shows what is new after a moment.
    verify=once.Look(_made, after=3.0, tries=4, every=3.0),
)
async def create_draft_order(
    api: Api,
    items: Annotated[list[Wanted], Field(min_length=1, max_length=50)],
    *,
    customer_id: Annotated[str | None, Field(max_length=80, description="id of search_customers.")] = None,
    email: Annotated[str | None, Field(max_length=254)] = None,
    currency: Currency | None = None,
    note: Annotated[str | None, Field(max_length=2000)] = None,
    tags: Annotated[list[str] | None, Field(max_length=20)] = None,
) -> Draft:
    """Draft an order. Nobody is told and nothing is charged; send_draft_invoice asks for the money."""
    given: dict[str, Any] = {
        "lineItems": [_line(each, number, currency) for number, each in enumerate(items)],
        "tags": [TAG, *(tags or [])],
    }
    if customer_id is not None:
        given["customerId"] = gid("Customer", customer_id, "customer_id")
    plain = {"email": email, "note": note, "presentmentCurrencyCode": currency}
    given |= {name: value for name, value in plain.items() if value is not None}
    return await api.graphql(CREATE, into=Draft, at="draftOrderCreate.draftOrder", variables={"input": given})


def _line(wanted: Wanted, number: int, currency: str | None) -> dict[str, Any]:
    name = f"items[{number}]"
    if wanted.variant_id is not None:
        if wanted.title is not None or wanted.unit_price is not None:
            raise _wrong(name, "has a variant, whose title and price the shop knows")
        return {"variantId": gid("ProductVariant", wanted.variant_id, name), "quantity": wanted.quantity}
    if wanted.title is None or wanted.unit_price is None or currency is None:
        raise _wrong(name, "wants a variant_id, or title and unit_price, and then currency")
    price = {"amount": wanted.unit_price, "currencyCode": currency}
    return {"title": wanted.title, "originalUnitPriceWithCurrency": price, "quantity": wanted.quantity}


def _wrong(name: str, why: str) -> errors.InvalidInputError:
    return errors.InvalidInputError(f"{name} {why}.", fields={name: why})


@shopify.read(toolset="drafts", scopes=["read_draft_orders"])
async def get_draft_order(api: Api, draft_order: DraftId) -> Draft:
    """Read one draft order: who owes what, and whether it was paid."""
    given = {"id": gid("DraftOrder", draft_order, "draft_order")}
    return await api.graphql(GET, into=Draft, at="draftOrder", variables=given)


async def _sent(api: Api, draft_order: str, sent_at: float | None) -> Draft | None:
    draft = await get_draft_order(api, draft_order)
    when = datetime.fromisoformat(draft.invoice_sent_at).astimezone(UTC).timestamp() if draft.invoice_sent_at else 0.0
    return draft if when >= (sent_at or 0.0) - 60 else None


@shopify.write(toolset="drafts", scopes=["write_draft_orders"], verify=once.Look(_sent, after=2.0))
async def send_draft_invoice(
    api: Api,
    draft_order: DraftId,
    *,
    to: Annotated[str | None, Field(max_length=254, description="Without it the address of the draft.")] = None,
    subject: Annotated[str | None, Field(max_length=200)] = None,
    message: Annotated[str | None, Field(max_length=2000)] = None,
) -> Draft:
    """Mail the invoice of a draft order, with a link to pay it."""
    texts = {"to": to, "subject": subject, "customMessage": message}
    mail = {name: value for name, value in texts.items() if value is not None}
    given = {"id": gid("DraftOrder", draft_order, "draft_order"), "email": mail or None}
    draft = await api.graphql(SEND, into=Draft, at="draftOrderInvoiceSend.draftOrder", variables=given)
    api.reference(draft.id)
    return draft


@shopify.asks_when(send_draft_invoice, preview=get_draft_order)
def mails_the_customer(arguments: Mapping[str, Any]) -> bool:
    """Mail leaves, and asks for money."""
    return True
