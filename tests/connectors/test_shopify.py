"""Shopify: every request is held against the provider's schema before it is answered; and what is made of answers."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from graphql import build_schema, parse, validate
from graphql.execution.values import get_variable_values
from graphql.language import OperationDefinitionNode
from tests.connectors.calling import Calling
from tests.people import Person

from clew.connectors.shopify import shopify
from clew.core import webhooks
from clew.core.api import Api
from clew.core.connection import Connection
from clew.core.connector import Effect
from clew.core.deadline import Deadline
from clew.core.errors import CallError, Code, Outcome
from clew.core.events import Wish
from clew.core.exchange import Trail
from clew.core.host import SilentHost
from clew.core.journal import Journal, State
from clew.core.secret import Secret

pytestmark = pytest.mark.anyio

SCHEMA = build_schema((Path(__file__).parent / "data" / "shopify" / "schema.graphql").read_text())
BASE = "https://acme.myshopify.com/admin/api/2026-07"
ORDER, LINE, SALE = "gid://shopify/Order/1", "gid://shopify/LineItem/2", "gid://shopify/OrderTransaction/3"
DRAFT, ITEM, PLACE = "gid://shopify/DraftOrder/4", "gid://shopify/InventoryItem/5", "gid://shopify/Location/6"
LOST = httpx.ReadTimeout("slow")


def money(amount: str, currency: str = "EUR") -> dict[str, Any]:
    return {"presentmentMoney": {"amount": amount, "currencyCode": currency}}


def page(*nodes: Any, following: str | None = None) -> dict[str, Any]:
    return {"nodes": list(nodes), "pageInfo": {"hasNextPage": following is not None, "endCursor": following}}


TRANSACTION = {
    "id": SALE, "kind": "SALE", "status": "SUCCESS", "gateway": "shopify_payments",
    "formattedGateway": "Shopify Payments", "errorCode": None, "amountSet": money("30.0"),
}  # fmt: skip
SHORT: dict[str, Any] = {
    "id": ORDER, "name": "#1001", "createdAt": "2026-01-01T00:00:00Z", "cancelledAt": None,
    "displayFinancialStatus": "PAID", "displayFulfillmentStatus": "UNFULFILLED", "totalPriceSet": money("30.0"),
    "customer": {"id": "gid://shopify/Customer/9", "displayName": "Ada"},
}  # fmt: skip
WHOLE: dict[str, Any] = {
    **SHORT, "cancelReason": None, "presentmentCurrencyCode": "EUR", "totalRefundedSet": money("0.0"),
    "totalOutstandingSet": money("0.0"), "email": "ada@example.com", "shippingAddress": None, "note": "x" * 2000,
    "tags": [], "transactions": [TRANSACTION], "fulfillments": [],
    "lineItems": page({"id": LINE, "name": "Cup", "sku": None, "quantity": 2, "currentQuantity": 2,
                       "refundableQuantity": 2, "originalUnitPriceSet": money("15.0")}),
}  # fmt: skip
STANDING = {**WHOLE, "suggestedRefund": {"amountSet": money("15.0"), "maximumRefundableSet": money("30.0")}}
REFUND: dict[str, Any] = {
    "id": "gid://shopify/Refund/7", "createdAt": "2100-01-01T00:00:00Z", "note": None,
    "totalRefundedSet": money("12.5"), "transactions": {"nodes": [{**TRANSACTION, "kind": "REFUND"}]},
}  # fmt: skip
DRAFTED = {
    "id": DRAFT, "name": "#D1", "status": "OPEN", "totalPriceSet": money("30.0"), "email": None, "customer": None,
    "lineItems": {"nodes": [{"name": "Cup"}]}, "invoiceUrl": "https://acme.example/invoice", "invoiceSentAt": None,
    "order": None, "note2": "",
}  # fmt: skip
GIVE: dict[str, Any] = {"order": ORDER, "amount": "12.50", "currency": "EUR"}


def refused_by(mutation: str, code: str | None, name: str = "userErrors", message: str = "no") -> dict[str, Any]:
    return {mutation: {name: [{"code": code, "field": ["input", "x"], "message": message}]}}


def fault(code: str, **more: Any) -> httpx.Response:
    errors = [{"message": "m", "extensions": {"code": code}}]
    return httpx.Response(200, json={"errors": errors, **more})


class Provider:
    """Answers operations by name, one after the other; the last answer stays. Refuses what Shopify's schema refuses."""

    def __init__(self, connected: Calling) -> None:
        self.connected, self.agrees = connected, Person()
        self.answers: dict[str, list[Any]] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def says(self, name: str, *answers: Any) -> None:
        self.answers[name] = list(answers)

    def asked_for(self, name: str) -> list[dict[str, Any]]:
        return [variables for asked, variables in self.asked if asked == name]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        document = parse(body["query"])
        assert validate(SCHEMA, document) == []
        (operation,) = document.definitions
        assert isinstance(operation, OperationDefinitionNode)
        coerced = get_variable_values(SCHEMA, operation.variable_definitions or (), body["variables"])
        assert not isinstance(coerced, list), coerced
        declared = {each.variable.name.value for each in operation.variable_definitions or ()}
        assert set(body["variables"]) <= declared
        assert operation.name is not None
        self.asked.append((operation.name.value, body["variables"]))
        answers = self.answers[operation.name.value]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json={"data": answer})

    async def tool(self, name: str, /, **arguments: Any) -> dict[str, Any]:
        found: dict[str, Any] = await self.connected(shopify, name, arguments, host=self.agrees, base_url=BASE)
        return found

    async def refused(self, name: str, /, **arguments: Any) -> CallError:
        with pytest.raises(CallError) as caught:
            await self.tool(name, **arguments)
        return caught.value


@pytest.fixture
def api(call: Calling) -> Iterator[Provider]:
    provider = Provider(call)
    with respx.mock(base_url=BASE, assert_all_called=False) as router:
        router.post("/graphql.json").mock(side_effect=provider)
        yield provider


# Reading.


async def test_orders_are_searched_to_the_end_and_the_same_page_twice_is_a_fault(api: Provider) -> None:
    api.says("SearchOrders", {"orders": page(SHORT, following="a")}, {"orders": page(SHORT)})
    first = await api.tool("search_orders", query="email:a@b.c OR name:1", state="open")
    last = await api.tool("search_orders", query="email:a@b.c OR name:1", state="open", cursor=first["next_cursor"])
    assert (first["items"][0]["total"], first["items"][0]["customer"]) == ("30.0 EUR", "Ada")
    assert "next_cursor" not in last
    asked = api.asked_for("SearchOrders")
    assert asked[0] == {"query": "(email:a@b.c OR name:1) AND status:open", "first": 25}
    assert asked[1]["after"] == "a"
    api.says("SearchOrders", {"orders": page(SHORT, following="a")})
    assert (await api.refused("search_orders", cursor=first["next_cursor"])).code is Code.CONTRACT_CHANGED


async def test_one_order_is_shown_with_its_money_and_its_texts_cut(api: Provider) -> None:
    api.says("GetOrder", {"order": WHOLE})
    order = await api.tool("get_order", order="1")
    assert api.asked_for("GetOrder") == [{"id": ORDER}]
    assert (len(order["note"]), order["currency"], order["refunded"]) == (1001, "EUR", "0.0 EUR")
    assert order["items"] == [
        {"id": LINE, "title": "Cup", "quantity": 2, "left": 2, "refundable": 2, "unit_price": "15.0 EUR"}
    ]
    assert order["transactions"][0]["gateway"] == "Shopify Payments"


async def test_products_show_the_stock_at_each_place(api: Provider) -> None:
    stock = {"id": ITEM, "tracked": True, "inventoryLevels": {"nodes": [
        {"location": {"id": PLACE, "name": "Berlin"}, "quantities": [{"name": "available", "quantity": 3}]},
    ]}}  # fmt: skip
    variant = {"id": "gid://shopify/ProductVariant/8", "title": "Default", "sku": "C1", "price": "15.0",
               "inventoryQuantity": 3, "inventoryItem": stock}  # fmt: skip
    line = {"id": "gid://shopify/Product/1", "title": "Cup", "status": "ACTIVE", "vendor": "Acme"}
    api.says("SearchProducts", {"products": page({**line, "totalInventory": 3, "updatedAt": "2026-01-01T00:00:00Z"})})
    whole: dict[str, Any] = {
        **line,
        "handle": "cup",
        "productType": "",
        "description": "",
        "tags": [],
        "onlineStoreUrl": None,
    }
    api.says("GetProduct", {"product": {**whole, "variants": page(variant)}})
    found = (await api.tool("search_products", query="sku:C1"))["items"][0]
    product = await api.tool("get_product", product=found["id"])
    (only,) = product["variants"]
    assert (only["price"], only["inventory_item_id"]) == ("15.0", ITEM)
    assert only["places"] == [
        {"location_id": PLACE, "location": "Berlin", "quantities": [{"name": "available", "quantity": 3}]}
    ]


async def test_customers_are_found_and_protected_ones_are_a_matter_for_a_person(api: Provider) -> None:
    ada = {"id": "gid://shopify/Customer/9", "displayName": "Ada", "defaultEmailAddress": None, "note": None,
           "defaultPhoneNumber": None, "state": "ENABLED", "numberOfOrders": "3",
           "amountSpent": {"amount": "30.0", "currencyCode": "EUR"}}  # fmt: skip
    api.says("SearchCustomers", {"customers": page(ada)}, fault("ACCESS_DENIED", data={"customers": None}))
    assert (await api.tool("search_customers", query="Ada"))["items"][0]["spent"] == "30.0 EUR"
    assert (await api.refused("search_customers")).code is Code.PERMISSION


@pytest.mark.parametrize(
    ("tool", "arguments", "operation", "field"),
    [
        ("get_order", {"order": "1"}, "GetOrder", "order"),
        ("get_product", {"product": "1"}, "GetProduct", "product"),
        ("get_draft_order", {"draft_order": "1"}, "GetDraftOrder", "draftOrder"),
    ],
)
async def test_what_is_not_there_is_null_and_means_not_found(
    api: Provider, tool: str, arguments: dict[str, Any], operation: str, field: str
) -> None:
    cost = {"cost": {"requestedQueryCost": 1, "actualQueryCost": 1}}
    api.says(operation, httpx.Response(200, json={"data": {field: None}, "extensions": cost}))
    assert (await api.refused(tool, **arguments)).code is Code.NOT_FOUND


async def test_points_that_are_used_up_are_waited_for_as_long_as_they_take(api: Provider) -> None:
    status = {"maximumAvailable": 2000, "currentlyAvailable": 100, "restoreRate": 100}
    cost = {"requestedQueryCost": 500, "actualQueryCost": None, "throttleStatus": status}
    api.says("GetOrder", fault("THROTTLED", extensions={"cost": cost}), {"order": WHOLE})
    api.connected.seconds = 2
    error = await api.refused("get_order", order="1")
    assert (error.code, error.outcome) == (Code.RATE_LIMITED, Outcome.NOT_APPLIED)
    assert error.retry_after == pytest.approx(4, abs=0.5)


@pytest.mark.parametrize(
    ("code", "becomes"),
    [
        ("MAX_COST_EXCEEDED", Code.INVALID_INPUT),
        ("SHOP_INACTIVE", Code.PERMISSION),
        ("INTERNAL_SERVER_ERROR", Code.TRANSIENT),
        ("undefinedField", Code.CONTRACT_CHANGED),
    ],
)
async def test_faults_behind_200(api: Provider, code: str, becomes: Code) -> None:
    api.says("GetOrder", fault(code))
    assert (await api.refused("get_order", order="1")).code is becomes


async def test_a_shop_that_was_left_while_paging(api: Provider) -> None:
    gone = httpx.Response(401, json={"errors": "[API] Invalid API key or access token"})
    api.says("SearchOrders", {"orders": page(SHORT, following="a")}, gone)
    first = await api.tool("search_orders")
    error = await api.refused("search_orders", cursor=first["next_cursor"])
    assert error.code in (Code.AUTH_REVOKED, Code.AUTH_EXPIRED)


# Money.


async def test_a_refund_is_shown_asked_about_and_sent_under_a_key(api: Provider, journal: Journal) -> None:
    api.says("Standing", {"order": STANDING})
    api.says("RefundOrder", {"refundCreate": {"refund": REFUND, "userErrors": []}})
    items = [{"line_item_id": LINE, "quantity": 1, "location_id": PLACE}]
    refund = await api.tool("refund_order", **GIVE, items=items, notify_customer=True, note="broken")
    assert (refund["total"], refund["id"]) == ("12.5 EUR", "gid://shopify/Refund/7")
    shown = str(api.agrees.asked[0].preview)
    for word in ("#1001", "12.50 EUR", "15.0 EUR", "Shopify Payments", "'mails_customer': True"):
        assert word in shown
    (sent,) = api.asked_for("RefundOrder")
    assert len(sent["key"]) == 36
    assert sent["input"] == {
        "orderId": ORDER, "currency": "EUR", "notify": True, "note": "broken",
        "transactions": [{"orderId": ORDER, "parentId": SALE, "gateway": "shopify_payments", "kind": "REFUND",
                          "amount": "12.50"}],
        "refundLineItems": [{"lineItemId": LINE, "quantity": 1, "restockType": "RETURN", "locationId": PLACE}],
    }  # fmt: skip


async def test_a_refund_whose_answer_is_lost_is_the_same_request_under_the_same_key(
    api: Provider, journal: Journal
) -> None:
    later = {**STANDING, "totalRefundedSet": money("12.5"), "displayFinancialStatus": "PARTIALLY_REFUNDED",
             "transactions": [TRANSACTION, {**TRANSACTION, "id": SALE + "1", "kind": "REFUND"}]}  # fmt: skip
    api.says("Standing", {"order": STANDING}, {"order": STANDING}, {"order": later})
    api.says("RefundOrder", LOST, {"refundCreate": {"refund": REFUND, "userErrors": []}})
    assert (await api.tool("refund_order", **GIVE))["id"] == REFUND["id"]
    first, second = api.asked_for("RefundOrder")
    assert first == second


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED", ""),
        ("IDEMPOTENCY_KEY_PARAMETER_MISMATCH", ""),
        ("IDEMPOTENCY_CONCURRENT_REQUEST", ""),
        (None, "The idempotency key was used with other parameters"),
    ],
)
@pytest.mark.parametrize("seen", [0, 1, 2])
async def test_a_repeat_that_says_nothing_is_settled_by_looking_at_the_refunds(
    api: Provider, journal: Journal, code: str | None, words: str, seen: int
) -> None:
    api.says("Standing", {"order": STANDING})
    again = refused_by("refundCreate", code, message=words)
    again["refundCreate"]["refund"] = None
    api.says("RefundOrder", LOST, again)
    api.says("Refunds", {"order": {"refunds": [{**REFUND, "id": f"{REFUND['id']}{n}"} for n in range(seen)]}})
    if seen == 1:
        assert (await api.tool("refund_order", **GIVE))["id"] == f"{REFUND['id']}0"
    else:
        error = await api.refused("refund_order", **GIVE)
        assert error.outcome is (Outcome.NOT_APPLIED if seen == 0 else Outcome.UNKNOWN)
    assert len({each["key"] for each in api.asked_for("RefundOrder")}) == 1


@pytest.mark.parametrize(
    ("change", "transactions", "code", "field"),
    [
        ({"currency": "USD"}, [TRANSACTION], Code.INVALID_INPUT, "currency"),
        ({}, [TRANSACTION, {**TRANSACTION, "id": SALE + "1"}], Code.INVALID_INPUT, "payment_id"),
        ({}, [{**TRANSACTION, "kind": "AUTHORIZATION"}], Code.CONFLICT, None),
        ({"payment_id": "99"}, [TRANSACTION], Code.CONFLICT, None),
        ({"order": "gid://shopify/Product/1"}, [TRANSACTION], Code.INVALID_INPUT, "order"),
        ({"amount": "12,50"}, [TRANSACTION], Code.INVALID_INPUT, "amount"),
    ],
)
async def test_a_refund_that_cannot_be_meant_is_refused_before_anything_is_sent(
    api: Provider, change: dict[str, str], transactions: list[Any], code: Code, field: str | None
) -> None:
    api.says("Standing", {"order": {**STANDING, "transactions": transactions}})
    error = await api.refused("refund_order", **{**GIVE, **change})
    assert (error.code, error.outcome, next(iter(error.fields), None)) == (code, Outcome.NOT_APPLIED, field)
    assert api.asked_for("RefundOrder") == []


async def test_more_than_is_left_is_said_in_the_preview_and_refused_by_shopify(api: Provider) -> None:
    api.says("Standing", {"order": STANDING})
    api.says("RefundOrder", refused_by("refundCreate", None, message="Refund amount exceeds"))
    api.answers["RefundOrder"][0]["refundCreate"]["refund"] = None
    error = await api.refused("refund_order", **{**GIVE, "amount": "99.00"})
    assert "only 30.0 EUR is left to refund" in str(api.agrees.asked[0].preview)
    assert (error.code, error.fields) == (Code.INVALID_INPUT, {"input.x": "Refund amount exceeds"})


async def test_a_cancellation_is_accepted_and_ends_with_its_event(api: Provider, journal: Journal) -> None:
    api.says("GetOrder", {"order": WHOLE})
    api.says("Standing", {"order": STANDING})
    api.says("CancelOrder", {"orderCancel": {"job": {"id": "gid://shopify/Job/1", "done": False},
                                             "orderCancelUserErrors": []}})  # fmt: skip
    given = {"order": ORDER, "reason": "CUSTOMER", "refund": True, "restock": False}
    result = await api.tool("cancel_order", **given)
    assert "get_order" in result["accepted"]["next"]
    assert "30.0 EUR, less 0.0 EUR" in str(api.agrees.asked[0].preview)
    assert api.asked_for("CancelOrder")[0]["refund"] == {"originalPaymentMethodsRefund": True}
    (row,) = await journal.rows()
    assert (row.reference, row.pending) == (ORDER, "accepted")
    assert shopify.events is not None
    assert shopify.events.states["orders/cancelled"] == "succeeded"


async def test_a_cancellation_is_not_begun_twice(api: Provider, journal: Journal) -> None:
    done = {**STANDING, "cancelledAt": "2026-01-02T00:00:00Z"}
    api.says("GetOrder", {"order": WHOLE})
    api.says("Standing", {"order": STANDING}, {"order": done})
    api.says("CancelOrder", LOST)
    given = {"order": ORDER, "reason": "CUSTOMER", "refund": True, "restock": False}
    assert await api.tool("cancel_order", **given) == {"done": True}
    assert len(api.asked_for("CancelOrder")) == 1
    assert (await journal.rows())[0].state is State.APPLIED
    assert (await api.refused("cancel_order", **given, request_id="once-more")).code is Code.ALREADY_DONE


# Stock and drafts.


async def test_stock_is_changed_under_a_key_and_only_from_what_was_read(api: Provider) -> None:
    done: dict[str, Any] = {
        "inventoryAdjustmentGroup": {"changes": [{"delta": -2, "quantityAfterChange": 1}]},
        "userErrors": [],
    }
    stale = refused_by("inventoryAdjustQuantities", "CHANGE_FROM_QUANTITY_STALE")
    stale["inventoryAdjustQuantities"]["inventoryAdjustmentGroup"] = None
    api.says("UpdateStock", {"inventoryAdjustQuantities": done}, stale)
    given = {"inventory_item_id": "5", "location_id": "6", "delta": -2, "expected": 3}
    assert await api.tool("update_stock", **given) == {"delta": -2, "after": 1}
    (sent,) = api.asked_for("UpdateStock")
    assert sent["input"]["changes"] == [
        {"inventoryItemId": ITEM, "locationId": PLACE, "delta": -2, "changeFromQuantity": 3}
    ]
    error = await api.refused("update_stock", **given)
    assert (error.code, "get_product" in error.next_step) == (Code.CONFLICT, True)


async def test_a_draft_carries_a_mark_by_which_it_is_found_again(api: Provider, journal: Journal) -> None:
    api.says("CreateDraftOrder", LOST)
    api.says("FindDraftOrder", {"draftOrders": {"nodes": []}}, {"draftOrders": {"nodes": [DRAFTED]}})
    items = [{"variant_id": "8", "quantity": 2}, {"title": "Engraving", "unit_price": "5.00"}]
    draft = await api.tool("create_draft_order", items=items, currency="EUR", email="a@b.c", tags=["vip"])
    assert (draft["id"], draft["items"]) == (DRAFT, ["Cup"])
    (sent,) = api.asked_for("CreateDraftOrder")
    mark, vip = sent["input"]["tags"]
    assert (mark.startswith("clew-"), vip) == (True, "vip")
    assert api.asked_for("FindDraftOrder")[-1] == {"query": f"tag:{mark}"}
    assert sent["input"]["lineItems"] == [
        {"variantId": "gid://shopify/ProductVariant/8", "quantity": 2},
        {"title": "Engraving", "quantity": 1,
         "originalUnitPriceWithCurrency": {"amount": "5.00", "currencyCode": "EUR"}},
    ]  # fmt: skip


@pytest.mark.parametrize(
    "item",
    [{}, {"title": "x"}, {"title": "x", "unit_price": "1"}, {"variant_id": "8", "title": "x"}, {"variant_id": "x"}],
)
async def test_a_draft_of_half_an_item_is_refused(api: Provider, item: dict[str, Any]) -> None:
    error = await api.refused("create_draft_order", items=[item])
    assert (error.code, next(iter(error.fields))[:8], api.asked) == (Code.INVALID_INPUT, "items[0]", [])


@pytest.mark.parametrize("sent", [True, False])
async def test_an_invoice_leaves_after_a_yes_and_a_lost_answer_is_looked_up(
    api: Provider, journal: Journal, sent: bool
) -> None:
    later = {**DRAFTED, "invoiceSentAt": "2100-01-01T00:00:00Z", "status": "INVOICE_SENT"}
    api.says("GetDraftOrder", {"draftOrder": DRAFTED}, {"draftOrder": later if sent else DRAFTED})
    api.says("SendDraftInvoice", LOST)
    if sent:
        assert (await api.tool("send_draft_invoice", draft_order="4", to="a@b.c"))["status"] == "INVOICE_SENT"
    else:
        assert (await api.refused("send_draft_invoice", draft_order="4")).outcome is Outcome.NOT_APPLIED
    assert "30.0 EUR" in str(api.agrees.asked[0].preview)
    assert len(api.asked_for("SendDraftInvoice")) == 1


# Events.


def test_a_delivery_is_verified_and_says_what_it_is_about() -> None:
    body = json.dumps({"id": 1, "admin_graphql_api_id": ORDER, "updated_at": "2026-01-01T00:00:00Z"}).encode()
    proof = base64.b64encode(hmac.new(b"hush" * 8, body, hashlib.sha256).digest()).decode()
    headers = {"X-Shopify-Hmac-Sha256": proof, "X-Shopify-Topic": "orders/cancelled", "X-Shopify-Webhook-Id": "d1"}
    found = webhooks.verify(
        shopify.webhook_schemes, webhooks.Delivery(list(headers.items()), body), [Secret("hush" * 8)]
    )
    assert isinstance(found, webhooks.Event)
    assert shopify.events is not None
    (event,) = shopify.events.read(Connection("local", "shopify", "work"), found)
    assert (event.type, event.reference, event.state) == ("orders/cancelled", ORDER, "succeeded")
    changed = webhooks.Delivery(list(headers.items()), body.replace(b"Order/1", b"Order/2"))
    assert isinstance(webhooks.verify(shopify.webhook_schemes, changed, [Secret("hush" * 8)]), webhooks.Refusal)


async def test_subscriptions_are_one_for_each_topic(api: Provider, call: Calling) -> None:
    made: list[Any] = [{"webhookSubscriptionCreate": {"webhookSubscription": {"id": f"gid://shopify/WebhookSubscription/{n}"},
                                           "userErrors": []}} for n in (1, 2)]  # fmt: skip
    api.says("Subscribe", *made)
    api.says("Subscription", {"webhookSubscription": {"id": "x", "uri": "u"}}, {"webhookSubscription": None})
    api.says("Unsubscribe", {"webhookSubscriptionDelete": {"deletedWebhookSubscriptionId": "x", "userErrors": []}})
    bound = Api(call.wire(shopify, BASE), Deadline.after(5), Trail(), Effect.WRITE, SilentHost())
    manage = shopify.subscription
    assert manage is not None
    wish = Wish(url="https://me.example/hook", secret=Secret("s" * 32), types=("orders/create", "orders/cancelled"))
    done = await manage.create(bound, wish)
    assert done.id == "1,2"
    assert [each["topic"] for each in api.asked_for("Subscribe")] == ["ORDERS_CREATE", "ORDERS_CANCELLED"]
    assert (await manage.check(bound, "1", {})) is not None
    assert (await manage.check(bound, "1", {})) is None
    await manage.remove(bound, "1,2", {})
    assert len(api.asked_for("Unsubscribe")) == 2


async def test_the_identity_is_the_shop(api: Provider, call: Calling) -> None:
    api.says("Shop", {"shop": {"name": "Tea", "myshopifyDomain": "tea.myshopify.com"}})
    bound = Api(call.wire(shopify, BASE), Deadline.after(5), Trail(), Effect.READ, SilentHost())
    assert shopify.identify is not None
    assert await shopify.identify(bound) == "Tea (tea.myshopify.com)"
