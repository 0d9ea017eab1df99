"""Reading orders and the people who placed them. Every query names the fields it shows, so nothing else is paid for.

Amounts are in the currency that the customer paid in. Customers and addresses are protected data: an app needs a right
of its own to see them. https://shopify.dev/docs/apps/launch/protected-customer-data
"""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field

from clew import Api, From, GraphQLPages, Page

from .provider import MONEY, Cursor, Money, OrderId, cut, gid, shopify

SIZE, LINES = 25, 50
PAGE = "pageInfo { hasNextPage endCursor }"
Search = Annotated[
    str | None,
    Field(max_length=500, description="name:#1001, email:a@b.c, financial_status:paid, created_at:>2026-01-01."),
]


class OrderLine(BaseModel):
    """An order in a list."""

    id: str
    name: str
    created_at: Annotated[str, From("createdAt")]
    cancelled_at: Annotated[str | None, From("cancelledAt")] = None
    payment: Annotated[str | None, From("displayFinancialStatus")] = None
    fulfillment: Annotated[str, From("displayFulfillmentStatus")]
    total: Annotated[Money, From("totalPriceSet.presentmentMoney")]
    customer: Annotated[str | None, From("customer.displayName")] = None


class Item(BaseModel):
    """What was ordered of one thing."""

    id: str
    title: Annotated[str, From("name")]
    sku: str | None = None
    quantity: int
    left: Annotated[int, From("currentQuantity"), Field(description="Without what was removed or refunded.")]
    refundable: Annotated[int, From("refundableQuantity")]
    unit_price: Annotated[Money, From("originalUnitPriceSet.presentmentMoney")]


class Transaction(BaseModel):
    """One movement of money."""

    id: str
    kind: str
    status: str
    gateway: Annotated[str | None, From("formattedGateway")] = None
    amount: Annotated[Money, From("amountSet.presentmentMoney")]
    error: Annotated[str | None, From("errorCode")] = None


class Fulfillment(BaseModel):
    """One parcel."""

    status: Annotated[str | None, From("displayStatus", "status")] = None
    tracking: Annotated[list[str | None], From("trackingInfo[*].url")] = []


class Order(BaseModel):
    """One order with its first items and its money."""

    id: str
    name: str
    created_at: Annotated[str, From("createdAt")]
    cancelled_at: Annotated[str | None, From("cancelledAt")] = None
    cancel_reason: Annotated[str | None, From("cancelReason")] = None
    payment: Annotated[str | None, From("displayFinancialStatus")] = None
    fulfillment: Annotated[str, From("displayFulfillmentStatus")]
    currency: Annotated[str, From("presentmentCurrencyCode")]
    total: Annotated[Money, From("totalPriceSet.presentmentMoney")]
    refunded: Annotated[Money, From("totalRefundedSet.presentmentMoney")]
    outstanding: Annotated[Money, From("totalOutstandingSet.presentmentMoney")]
    customer: Annotated[str | None, From("customer.displayName")] = None
    customer_id: Annotated[str | None, From("customer.id")] = None
    email: str | None = None
    country: Annotated[str | None, From("shippingAddress.countryCodeV2")] = None
    note: Annotated[str | None, cut(1000)] = None
    tags: list[str] = []
    items: Annotated[list[Item], From("lineItems.nodes")]
    more_items: Annotated[bool, From("lineItems.pageInfo.hasNextPage")]
    transactions: list[Transaction]
    fulfillments: list[Fulfillment] = []


class Customer(BaseModel):
    """A customer."""

    id: str
    name: Annotated[str, From("displayName")]
    email: Annotated[str | None, From("defaultEmailAddress.emailAddress")] = None
    phone: Annotated[str | None, From("defaultPhoneNumber.phoneNumber")] = None
    state: str
    orders: Annotated[str, From("numberOfOrders"), BeforeValidator(str)]
    spent: Annotated[Money, From("amountSpent")]
    note: Annotated[str | None, cut(300)] = None


LIST = f"""
query SearchOrders($query: String, $first: Int, $after: String) {{
  orders(query: $query, first: $first, after: $after, sortKey: CREATED_AT, reverse: true) {{
    nodes {{
      id name createdAt cancelledAt displayFinancialStatus displayFulfillmentStatus totalPriceSet {{ {MONEY} }}
      customer {{ displayName }}
    }}
    {PAGE}
  }}
}}"""
TRANSACTION = f"id kind status formattedGateway errorCode amountSet {{ {MONEY} }}"
GET = f"""
query GetOrder($id: ID!) {{
  order(id: $id) {{
    id name createdAt cancelledAt cancelReason displayFinancialStatus displayFulfillmentStatus presentmentCurrencyCode
    totalPriceSet {{ {MONEY} }} totalRefundedSet {{ {MONEY} }} totalOutstandingSet {{ {MONEY} }}
    customer {{ id displayName }} email shippingAddress {{ countryCodeV2 }} note tags
    lineItems(first: {LINES}) {{
      nodes {{
        id name sku quantity currentQuantity refundableQuantity originalUnitPriceSet {{ {MONEY} }}
      }}
      {PAGE}
    }}
    transactions(first: 20) {{ {TRANSACTION} }}
    fulfillments(first: 10) {{ status displayStatus trackingInfo(first: 5) {{ url }} }}
  }}
}}"""
CUSTOMERS = f"""
query SearchCustomers($query: String, $first: Int, $after: String) {{
  customers(query: $query, first: $first, after: $after) {{
    nodes {{
      id displayName defaultEmailAddress {{ emailAddress }} defaultPhoneNumber {{ phoneNumber }} state numberOfOrders
      amountSpent {{ amount currencyCode }} note
    }}
    {PAGE}
  }}
}}"""


@shopify.read(toolset="orders", scopes=["read_orders"])
async def search_orders(
    api: Api,
    query: Search = None,
    *,
    state: Literal["open", "closed", "cancelled", "any"] = "any",
    cursor: Cursor = None,
) -> Page[OrderLine]:
    """Search orders, the newest first. Orders older than 60 days need the scope read_all_orders."""
    words = [f"({query})"] if query else []
    if state != "any":
        words.append(f"status:{state}")
    pages = GraphQLPages("orders", size=SIZE)
    given = {"query": " AND ".join(words) or None}
    return await api.graphql_page(LIST, into=OrderLine, pages=pages, variables=given, cursor=cursor)


@shopify.read(toolset="orders", scopes=["read_orders"])
async def get_order(api: Api, order: OrderId) -> Order:
    """Read one order: items, money, parcels."""
    return await api.graphql(GET, into=Order, at="order", variables={"id": gid("Order", order, "order")})


@shopify.read(toolset="orders", scopes=["read_customers"])
async def search_customers(
    api: Api,
    query: Annotated[str | None, Field(max_length=500, description="A name, email:a@b.c, orders_count:>5.")] = None,
    cursor: Cursor = None,
) -> Page[Customer]:
    """Search customers."""
    pages = GraphQLPages("customers", size=SIZE)
    return await api.graphql_page(CUSTOMERS, into=Customer, pages=pages, variables={"query": query}, cursor=cursor)
