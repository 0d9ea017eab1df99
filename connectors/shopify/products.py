"""Reading products with their stock, and adjusting stock."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from clew import Api, From, GraphQLPages, Page

from .orders import PAGE
from .provider import KEY, Cursor, cut, gid, shopify

SIZE, VARIANTS, PLACES = 25, 25, 10
STOCK = f"""inventoryItem {{
  id tracked
  inventoryLevels(first: {PLACES}) {{
    nodes {{ location {{ id name }} quantities(names: ["available", "on_hand"]) {{ name quantity }} }}
  }}
}}"""


class ProductLine(BaseModel):
    """A product in a list."""

    id: str
    title: str
    status: str
    vendor: str
    stock: Annotated[int, From("totalInventory"), Field(description="Of all variants and places.")]
    updated_at: Annotated[str, From("updatedAt")]


class Quantity(BaseModel):
    """How much of something there is."""

    name: str
    quantity: int


class Stock(BaseModel):
    """Stock at one place."""

    location_id: Annotated[str, From("location.id")]
    location: Annotated[str, From("location.name")]
    quantities: list[Quantity]


class Variant(BaseModel):
    """One form in which a product is sold."""

    id: str
    title: str
    sku: str | None = None
    price: str
    stock: Annotated[int | None, From("inventoryQuantity")] = None
    inventory_item_id: Annotated[str, From("inventoryItem.id")]
    tracked: Annotated[bool, From("inventoryItem.tracked"), Field(description="False: nobody counts its stock.")]
    places: Annotated[list[Stock], From("inventoryItem.inventoryLevels.nodes")] = []


class Product(BaseModel):
    """One product with its variants. Prices are in the shop's own currency."""

    id: str
    title: str
    status: str
    handle: str
    vendor: str
    kind: Annotated[str | None, From("productType"), cut(100)] = None
    description: Annotated[str | None, cut(2000)] = None
    tags: list[str] = []
    url: Annotated[str | None, From("onlineStoreUrl")] = None
    variants: Annotated[list[Variant], From("variants.nodes")]
    more_variants: Annotated[bool, From("variants.pageInfo.hasNextPage")]


class Adjusted(BaseModel):
    """A change of stock."""

    delta: int
    after: Annotated[int | None, From("quantityAfterChange")] = None


LIST = f"""
query SearchProducts($query: String, $first: Int, $after: String) {{
  products(query: $query, first: $first, after: $after, sortKey: UPDATED_AT, reverse: true) {{
    nodes {{ id title status vendor totalInventory updatedAt }}
    {PAGE}
  }}
}}"""
GET = f"""
query GetProduct($id: ID!) {{
  product(id: $id) {{
    id title status handle vendor productType description tags onlineStoreUrl
    variants(first: {VARIANTS}) {{
      nodes {{ id title sku price inventoryQuantity {STOCK} }}
      {PAGE}
    }}
  }}
}}"""
ADJUST = """
mutation UpdateStock($input: InventoryAdjustQuantitiesInput!, $key: String!) {
  inventoryAdjustQuantities(input: $input) @idempotent(key: $key) {
    inventoryAdjustmentGroup { changes { delta quantityAfterChange } }
    userErrors { code field message }
  }
}"""


@shopify.read(toolset="products", scopes=["read_products"])
async def search_products(
    api: Api,
    query: Annotated[
        str | None,
        Field(max_length=500, description="Words, sku:AB-1, vendor:Acme, inventory_total:<5."),
    ] = None,
    cursor: Cursor = None,
) -> Page[ProductLine]:
    """Search products, last changed first."""
    pages = GraphQLPages("products", size=SIZE)
    return await api.graphql_page(LIST, into=ProductLine, pages=pages, variables={"query": query}, cursor=cursor)


@shopify.read(toolset="products", scopes=["read_products", "read_inventory"])
async def get_product(
    api: Api, product: Annotated[str, Field(max_length=80, description="id of search_products.")]
) -> Product:
    """Read one product: variants, prices, and the stock at each place."""
    return await api.graphql(GET, into=Product, at="product", variables={"id": gid("Product", product, "product")})


@shopify.write(toolset="products", scopes=["write_inventory"], once=KEY)
async def update_stock(
    api: Api,
    inventory_item_id: Annotated[str, Field(max_length=80, description="inventory_item_id of get_product.")],
    location_id: Annotated[str, Field(max_length=80, description="location_id of get_product.")],
    delta: Annotated[int, Field(ge=-100_000, le=100_000, description="3 more, -2 less.")],
    *,
    expected: Annotated[
        int | None, Field(description="The quantity as you read it: refuses if it is another by now.")
    ] = None,
    reason: Literal["correction", "cycle_count_available", "damaged", "received", "restock", "shrinkage", "other"] = (
        "correction"
    ),
) -> Adjusted:
    """Change the available stock of one variant at one place."""
    change = {
        "inventoryItemId": gid("InventoryItem", inventory_item_id, "inventory_item_id"),
        "locationId": gid("Location", location_id, "location_id"),
        "delta": delta,
        "changeFromQuantity": expected,
    }
    given = {"input": {"name": "available", "reason": reason, "changes": [change]}}
    at = "inventoryAdjustQuantities.inventoryAdjustmentGroup.changes[0]"
    return await api.graphql(ADJUST, into=Adjusted, at=at, variables=given)
