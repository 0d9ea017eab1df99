"""Customers: searching, reading, changing."""

import re
from typing import Annotated, Any

from pydantic import BaseModel, Field

from clew import Api, From, Page, errors

from .money import MaybeMoney
from .provider import KEY, CustomerId, Flag, Moment, Short, Text, stripe


class CustomerLine(BaseModel):
    """A customer in a search."""

    id: str
    name: Short = None
    email: Text = None
    delinquent: Flag = None
    created: Moment


class Subscription(BaseModel):
    """A subscription of a customer."""

    id: str
    status: str
    cancel_at_period_end: Flag = None


class Customer(BaseModel):
    """One customer. A `balance` below 0 is credit: the next invoice is that much smaller."""

    id: str
    deleted: Flag = None
    name: Text = None
    email: Text = None
    phone: Text = None
    description: Text = None
    currency: Text = None
    balance: MaybeMoney = None
    delinquent: Annotated[bool | None, Field(description="True: the last invoice is overdue.")] = None
    payment_method: Annotated[Text, From("invoice_settings.default_payment_method")] = None
    subscriptions: Annotated[
        list[Subscription] | None, From("subscriptions.data"), Field(description="The first 10 that have not ended.")
    ] = None
    created: Moment | None = None


class ChangedCustomer(BaseModel):
    """A customer after a change."""

    id: str
    name: Text = None
    email: Text = None
    phone: Text = None
    description: Text = None
    metadata: dict[str, str] | None = None


@stripe.read(toolset="customers")
async def search_customers(
    api: Api,
    query: Annotated[
        str,
        Field(
            min_length=2,
            max_length=500,
            description="Part of a name or e-mail address, or Stripe's search language: "
            "email:\"a@b.example\", metadata['key']:'value', created>1767225600.",
        ),
    ],
    cursor: Annotated[str | None, Field(description="next_cursor of the previous page.")] = None,
) -> Page[CustomerLine]:
    """Find customers. What was changed in the last minute may be missing."""
    asked = {"query": _query(query)}
    return await api.page("/v1/customers/search", into=CustomerLine, query=asked, cursor=cursor)


def _query(text: str) -> str:
    """Stripe wants a field for each word; plain words are looked for in name and e-mail address."""
    if re.search(r"[:~<>]", text):
        return text
    plain = text.strip().replace("\\", "\\\\").replace('"', '\\"')
    if len(plain) < 3:
        return f'name:"{plain}" OR email:"{plain}"'
    return f'name~"{plain}" OR email~"{plain}"'


@stripe.read(toolset="customers")
async def get_customer(api: Api, customer_id: CustomerId) -> Customer:
    """Read one customer with its subscriptions."""
    return await api.get("/v1/customers/{}", customer_id, query={"expand[]": "subscriptions"}, into=Customer)


@stripe.write(toolset="customers", once=KEY)
async def update_customer(
    api: Api,
    customer_id: CustomerId,
    *,
    name: str | None = None,
    email: str | None = None,
    phone: str | None = None,
    description: str | None = None,
    metadata: Annotated[
        dict[str, str] | None, Field(description="Keys to set; an empty value removes the key.")
    ] = None,
) -> ChangedCustomer:
    """Change a customer. What is not given stays; an empty text clears a field."""
    given: dict[str, Any] = {"name": name, "email": email, "phone": phone, "description": description}
    changes = {field: value for field, value in {**given, "metadata": metadata or None}.items() if value is not None}
    if not changes:
        raise errors.InvalidInputError("there is nothing to change.", next_step="Give at least one field to change.")
    return await api.post("/v1/customers/{}", customer_id, form=changes, into=ChangedCustomer)
