"""What Shopify's refusals mean. Failures hide in 200 in two layers: `errors`, and a mutation's `userErrors`.

Sources: airbyte-source-shopify 4.3.0, shopify.dev (idempotency), the Admin schema of 2026-07 (codes of user errors).
"(memory)" marks what was not read again.
"""

import re
from typing import Any, cast

from clew import ErrorMap, Response, Rule, Verdict

ANY = (200, *range(400, 600))
_USER_ERRORS = {
    "TAKEN": "conflict",
    "CHANGE_FROM_QUANTITY_STALE": "conflict",
    "NOT_FOUND": "not_found",
    "PRODUCT_DOES_NOT_EXIST": "not_found",
    "INVALID_INVENTORY_ITEM": "not_found",
    "INVALID_LOCATION": "not_found",
    "ITEM_NOT_STOCKED_AT_LOCATION": "conflict",
    "NO_REFUND_PERMISSION": "permission",
    "NO_REFUND_TO_STORE_CREDIT_PERMISSION": "permission",
    "SERVICE_UNAVAILABLE": "transient",
    "INTERNAL_ERROR": "outcome_unknown",
    # Each says that a request under our key came before, and not how it ended.
    "IDEMPOTENCY_KEY_PARAMETER_MISMATCH": "outcome_unknown",
    "IDEMPOTENCY_CONCURRENT_REQUEST": "outcome_unknown",
    "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED": "outcome_unknown",
}
_WORDS = {
    "order": "order",
    "product": "product",
    "draftOrder": "draft order",
    "inventoryItem": "inventory item",
    "webhookSubscription": "subscription",
}
"""What our queries look up by an id."""
_STEPS = {
    "CHANGE_FROM_QUANTITY_STALE": "Read the quantity again with get_product, then decide.",
}


def classify(response: Response) -> Verdict | None:
    """The wait for cost points is computed; a mutation's `userErrors` are a failure under 200."""
    if response.status not in (200, 400, 429):
        return None
    if response.field("errors[0].extensions.code") == "THROTTLED":
        return Verdict("rate_limited", "the cost points of this shop are used up.", retry_after=_restore(response))
    missing = _missing(response)
    if missing is not None:
        return Verdict("not_found", f"the shop has no such {missing}.")
    for path in _user_errors(response):
        code = response.field(f"{path}[0].code") or _worded(response.field(f"{path}[0].message") or "")
        step = _STEPS.get(code)
        return Verdict(_USER_ERRORS.get(code, "invalid_input"), next_step=step, fields=_fields(response, path))
    return None


def _worded(message: str) -> str:
    """The code of a failure that has none, as those of a refund: a key that was used before says so in words."""
    return "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED" if re.search(r"idempoten", message, re.IGNORECASE) else ""


def _missing(response: Response) -> str | None:
    """What was asked for by its id and is not there: Shopify answers null, and with nothing else."""
    for name, word in _WORDS.items():
        if _only(response.data, name):
            return word
    return None


def _only(body: Any, name: str) -> bool:
    """Is this field the whole answer, and null? `extensions` (the cost) may stand beside it."""
    if not isinstance(body, dict):
        return False
    whole = cast("dict[str, Any]", body)
    return whole.keys() <= {"data", "extensions"} and whole.get("data") == {name: None}


def _user_errors(response: Response) -> list[str]:
    """The paths of the lists of business failures: `userErrors`, or with the mutation's own word before it."""
    found: list[str] = []
    for name in _names(response.data, "data"):
        for key in _names(response.data, "data", name):
            path = f"data['{name}']['{key}']"
            if key.lower().endswith("usererrors") and response.field(f"{path}[0]") is not None:
                found.append(path)
    return found


def _names(value: Any, *way: str) -> list[str]:
    """The first plain names of the object that stands at `way`."""
    for step in way:
        value = cast("dict[str, Any]", value).get(step) if isinstance(value, dict) else None
    names = list(cast("dict[str, Any]", value))[:50] if isinstance(value, dict) else []
    return [name for name in names if re.fullmatch(r"\w{1,80}", name)]


def _fields(response: Response, path: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for position in range(10):
        one = f"{path}[{position}]"
        parts = [response.field(f"{one}.field[{step}]") for step in range(6)]
        where = ".".join(part for part in parts if part)
        if where:
            found[where] = response.field(f"{one}.message") or "not accepted"
    return found


def _restore(response: Response) -> float:
    """(requested - available) / restore rate, as the bucket leaks."""
    cost = "extensions.cost."
    try:
        needed = float(response.field(cost + "requestedQueryCost") or 0)
        left = float(response.field(cost + "throttleStatus.currentlyAvailable") or 0)
        rate = float(response.field(cost + "throttleStatus.restoreRate") or 100)
    except ValueError:
        return 1.0
    return min(max((needed - left) / rate, 1.0), 60.0) if rate > 0 else 1.0


ERRORS = ErrorMap(
    message=("errors[0].message", "errors", "error_description", "error"),
    provider_code=("errors[*].extensions.code", "error"),
    request_id=("x-request-id",),
    hook=classify,
    rules=(
        Rule(code="rate_limited", status=429, retry_after=1),
        Rule(
            code="permission",
            status=430,
            message="{provider} refuses these requests for security reasons.",
            next_step="Stop calling. Ask the person who runs the server to look at the shop and the app.",
        ),
        Rule(
            code="invalid_input",
            status=ANY,
            codes="MAX_COST_EXCEEDED",
            next_step="Ask for fewer fields or a smaller page.",
        ),
        Rule(code="permission", status=ANY, codes="ACCESS_DENIED"),
        Rule(
            code="permission",
            status=ANY,
            codes="SHOP_INACTIVE",
            message="the shop is closed or frozen.",
        ),
        Rule(
            code="permission",
            status=402,
            message="the shop is frozen: its plan is not paid.",
            next_step="Tell the person: the owner of the shop has to settle the plan.",
        ),
        Rule(code="transient", status=ANY, codes="INTERNAL_SERVER_ERROR"),
        Rule(
            code="contract_changed",
            status=ANY,
            codes="undefinedField argumentLiteralsIncompatible undefinedType argumentNotAccepted "
            "missingRequiredArguments selectionMismatch variableMismatch parseError",
        ),
        Rule(code="auth_expired", status=401),
        Rule(code="permission", status=403),
        Rule(code="invalid_input", status=(406, 415, 422)),
        Rule(code="conflict", status=423, message="the shop is locked."),
    ),
)
