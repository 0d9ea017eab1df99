"""Shopify: ten orders, products and customers of a shop. Fields: types Order, Product and Customer of the Admin API,
shopify.dev/docs/api/admin-graphql. A query is answered with what it selects; what the shop has not is null.
"""

from collections.abc import Mapping
from typing import Any

from bench.tokens_client import node
from bench.tokens_pairs import NOTE, TOKEN, Known, Pair, Tasks
from bench.tokens_upstream import Site

from .graph import answering
from .shared import PEOPLE, Object, address, day

SHOP = "acme-reports.myshopify.com"
COUNT = 10
THINGS = ("Brass gear", "Punched cards", "Difference wheel", "Analytical mill", "Store column")


def gid(kind: str, number: int) -> str:
    """An id as Shopify writes it."""
    return f"gid://shopify/{kind}/{6120394875000 + number * 32768}"


def listed(nodes: list[Object]) -> Object:
    """A connection, both as nodes and as edges."""
    end = {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None}
    edges = [{"node": each, "cursor": f"eyJsYXN0X2lkIjo{number}"} for number, each in enumerate(nodes)]
    return {"nodes": nodes, "edges": edges, "pageInfo": end}


def money(amount: str) -> Object:
    """A sum."""
    return {"amount": amount, "currencyCode": "EUR"}


def both(amount: str) -> Object:
    """A sum in the shop's money and in the customer's."""
    return {"shopMoney": money(amount), "presentmentMoney": money(amount)}


def place(number: int) -> Object:
    """An address."""
    return {
        "address1": f"Invalidenstr. {number + 1}",
        "address2": None,
        "city": "Berlin",
        "provinceCode": None,
        "zip": "10115",
        "country": "Germany",
        "countryCodeV2": "DE",
        "phone": f"+4930555{number:04}",
    }


def customer(number: int) -> Object:
    """A customer."""
    name = PEOPLE[number % 3]
    first, _, last = name.partition(" ")
    return {
        "id": gid("Customer", number),
        "displayName": name,
        "firstName": first,
        "lastName": last,
        "email": address(name),
        "phone": f"+4930555{number:04}",
        "defaultEmailAddress": {"emailAddress": address(name)},
        "defaultPhoneNumber": {"phoneNumber": f"+4930555{number:04}"},
        "createdAt": f"{day(number)}T09:30:00Z",
        "updatedAt": f"{day(number + 3)}T16:05:00Z",
        "tags": ["newsletter"],
        "defaultAddress": place(number),
        "addresses": [place(number)],
        "amountSpent": money("684.0"),
        "numberOfOrders": "4",
        "state": "ENABLED",
        "note": None,
    }


def variant(number: int, size: str) -> Object:
    """A variant of a product."""
    stock = {
        "location": {"id": gid("Location", 1), "name": "Berlin"},
        "quantities": [{"name": "available", "quantity": 12}, {"name": "on_hand", "quantity": 14}],
    }
    return {
        "id": gid("ProductVariant", number * 2 + (size == "Large")),
        "title": size,
        "price": "57.00",
        "inventoryQuantity": 12,
        "sku": f"GEAR-{number}-{size[0]}",
        "selectedOptions": [{"name": "Size", "value": size}],
        "inventoryItem": {"id": gid("InventoryItem", number), "tracked": True, "inventoryLevels": listed([stock])},
    }


def product(number: int) -> Object:
    """A product of two variants."""
    title = f"{THINGS[number % 5]} {number + 1}"
    picture = {"id": gid("ProductImage", number), "url": f"https://cdn.shopify.com/s/files/1/0612/3948/gear-{number}.jpg",
               "altText": title, "width": 1200, "height": 900}  # fmt: skip
    return {
        "id": gid("Product", number),
        "title": title,
        "description": NOTE[:300],
        "handle": title.lower().replace(" ", "-"),
        "status": "ACTIVE",
        "createdAt": f"{day(number)}T09:30:00Z",
        "updatedAt": f"{day(number + 3)}T16:05:00Z",
        "totalInventory": 24,
        "priceRangeV2": {"minVariantPrice": money("57.0"), "maxVariantPrice": money("57.0")},
        "images": listed([picture]),
        "variants": listed([variant(number, "Small"), variant(number, "Large")]),
        "collections": listed([{"id": gid("Collection", 1), "title": "Engines"}]),
        "tags": ["brass", "engine"],
        "vendor": "Acme",
        "productType": "Parts",
        "onlineStoreUrl": f"https://acme.example.com/products/{title.lower().replace(' ', '-')}",
    }


def item(number: int) -> Object:
    """A line of an order."""
    own = variant(number, "Small")
    return {
        "id": gid("LineItem", number),
        "title": THINGS[number % 5],
        "name": f"{THINGS[number % 5]} - Small",
        "sku": own["sku"],
        "quantity": 2,
        "currentQuantity": 2,
        "refundableQuantity": 2,
        "originalTotalSet": both("114.0"),
        "originalUnitPriceSet": both("57.0"),
        "variant": own,
    }


def order(number: int) -> Object:
    """An order of two lines, paid and sent."""
    paid = {"id": gid("OrderTransaction", number), "kind": "SALE", "status": "SUCCESS", "formattedGateway": "Card"}
    tracked = [{"url": f"https://parcels.example.com/track/JD0146000{number:04}"}]
    return {
        "id": gid("Order", number),
        "name": f"#{1001 + number}",
        "createdAt": f"{day(number)}T09:30:00Z",
        "cancelledAt": None,
        "cancelReason": None,
        "displayFinancialStatus": "PAID",
        "displayFulfillmentStatus": "FULFILLED",
        "presentmentCurrencyCode": "EUR",
        "totalPriceSet": both("232.9"),
        "subtotalPriceSet": both("228.0"),
        "totalShippingPriceSet": both("4.9"),
        "totalTaxSet": both("37.19"),
        "totalRefundedSet": both("0.0"),
        "totalOutstandingSet": both("0.0"),
        "customer": customer(number),
        "email": customer(number)["email"],
        "shippingAddress": place(number),
        "lineItems": listed([item(number), item(number + 1)]),
        "transactions": [{**paid, "errorCode": None, "amountSet": both("232.9")}],
        "fulfillments": [{"status": "SUCCESS", "displayStatus": "DELIVERED", "trackingInfo": tracked}],
        "tags": ["online"],
        "note": None,
        "metafields": listed([]),
    }


def site() -> tuple[Site, Known]:
    """The shop."""
    made = {"order": order, "product": product, "customer": customer}

    def root(name: str, given: Mapping[str, Any]) -> Any:
        one = made.get(name.removesuffix("s"))
        if one is None:
            return None
        found = list(map(one, range(COUNT)))
        return listed(found) if name.endswith("s") else next(each for each in found if each["id"] == given["id"])

    return answering(root), {"order": gid("Order", 3), "product": gid("Product", 3)}


def _tasks(known: Known) -> Tasks:
    return (
        ("find an order", [("get-orders", {"limit": 25})], [("search_orders", {})]),
        ("read it", [("get-order-by-id", {"orderId": known["order"]})], [("get_order", {"order": known["order"]})]),
        ("find a product", [("get-products", {"limit": 25})], [("search_products", {})]),
        (
            "read that",
            [("get-product-by-id", {"productId": known["product"]})],
            [("get_product", {"product": known["product"]})],
        ),
        ("find a customer", [("get-customers", {"limit": 25})], [("search_customers", {})]),
    )


PAIR = Pair(
    "shopify",
    "shopify-mcp 1.0.8",
    node("shopify-mcp"),
    {"SHOPIFY_ACCESS_TOKEN": TOKEN, "MYSHOPIFY_DOMAIN": SHOP},
    [SHOP],
    "",
    _tasks,
    site=site,
    scopes=["read_orders", "read_products", "read_customers", "read_inventory", "read_locations"],
)
