"""Shopify: orders, products, stock, customers and drafts of one shop, over the GraphQL Admin API.

`provider` holds the facts, `rules` the errors, `hooks` the events; each other module is one toolset.
"""

from . import drafts, endings, hooks, orders, products
from .provider import shopify

__all__ = ["drafts", "endings", "hooks", "orders", "products", "shopify"]
