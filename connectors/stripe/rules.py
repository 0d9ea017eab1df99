"""What Stripe's refusals mean, of API v1 and v2. `Stripe-Should-Retry` overrides every rule about repeating.

Sources: stripe-python 16.1.0, docs.stripe.com (rate-limits, api/idempotent_requests, error-codes). "(memory)" marks
what was not read again.
"""

import re

from clew import ErrorMap, Response, Rule, Verdict


def classify(response: Response) -> Verdict | None:
    """A confirmed payment that wants the cardholder is a 200 with `requires_action`, and 402 in older flows."""
    if response.method != "POST" or response.status not in (200, 201, 402):
        return None
    prefix = "error.payment_intent." if response.status == 402 else ""
    wants = response.field(f"{prefix}status") in ("requires_action", "requires_source_action")
    kind = response.field(f"{prefix}object") in ("payment_intent", "setup_intent")
    if response.status == 402 and response.field("error.code") in ("card_declined", "expired_card", "incorrect_cvc"):
        return None
    if not (wants and kind):
        return None
    url = response.field(f"{prefix}next_action.redirect_to_url.url")
    link = url if url is not None and re.fullmatch(r"https://[!-~]{1,2000}", url) else None
    known = re.fullmatch(r"(?:pi|seti)_\w{1,240}", response.field(f"{prefix}id") or "")
    return Verdict(
        "action_required",
        "{provider} wants the cardholder to confirm this payment (3-D Secure).",
        _confirming(known[0] if known else "", linked=link is not None),
        url=link,
        object_id=known[0] if known else None,
    )


def _confirming(payment: str, *, linked: bool) -> str:
    """The next step. Without a link (`use_stripe_sdk`) only the shop's own page can ask the cardholder."""
    who = "Give the link to the person." if linked else "The cardholder must confirm on the shop's own page."
    where = f"get_payment with {payment} says how it ends" if payment else "It ends later"
    return f"{who} {where}; do not create a second payment."


ERRORS = ErrorMap(
    message=("error.message",),
    provider_code=("error.decline_code", "error.code", "error.type"),
    request_id=("request-id",),
    buckets=("stripe-rate-limited-reason",),
    advice="stripe-should-retry",
    hook=classify,
    rules=(
        # Another request holds the object; that is not volume, so the same object is to be used serially.
        Rule(code="conflict", codes="lock_timeout", retry_after=1),
        Rule(
            code="conflict",
            status=409,
            codes="idempotency_key_in_use",
            message="{provider} is still busy with the first request of this action.",
            next_step="Wait, then make the same call again: it gets the first one's answer.",
            retry_after=1,
        ),
        Rule(
            code="conflict",
            status=400,
            codes="idempotency_error",
            message="{provider} knows this action with other arguments.",
            next_step="For a new action use a new request_id; to repeat the first one, its arguments.",
        ),
        Rule(code="rate_limited", status=(400, 429), codes="rate_limit", retry_after=1),
        Rule(
            code="action_required",
            codes="authentication_required subscription_payment_intent_requires_action "
            "invoice_payment_intent_requires_action payment_intent_action_required authentication_not_handled",
            message="{provider} wants the cardholder to confirm this payment (3-D Secure).",
            next_step="Send the person to the hosted payment page or invoice. Do not create a second payment.",
        ),
        Rule(code="auth_revoked", codes="api_key_expired platform_api_key_expired account_invalid"),
        Rule(code="auth_revoked", status=401),
        Rule(code="auth_expired", codes="temporary_session_expired"),
        Rule(
            code="permission",
            codes="more_permissions_required* secret_key_required livemode_mismatch testmode_charges_only "
            "blocked_by_stripe capability_not_enabled feature_not_enabled account_closed "
            "platform_account_required not_allowed_on_standard_account",
        ),
        Rule(code="permission", status=403),
        Rule(code="not_found", codes="resource_missing", next_step="Check the id, the account, and test or live mode."),
        Rule(
            code="already_done",
            codes="charge_already_refunded charge_already_captured already_canceled invoice_already_paid "
            "charge_already_reversed invalid_canceled_subscription_fields",
        ),
        Rule(
            code="conflict",
            codes="payment_intent_unexpected_state setup_intent_unexpected_state not_cancelable cannot_proceed "
            "fx_quote_needs_refresh idempotency_key_in_use resource_already_exists "
            "payment_intent_incompatible_payment_method invoice_not_editable charge_disputed",
        ),
        Rule(code="quota_exhausted", codes="quota_exceeded balance_insufficient insufficient_funds_balance"),
        # The bank or the processor had a fault of its own: the card was not charged, and one more try may help.
        Rule(code="transient", status=402, codes="processing_error", not_applied=True, retry=None),
        Rule(
            code="invalid_input",
            status=402,
            message="the card was declined.",
            next_step="Ask the person for another card. Do not charge the same card again.",
        ),
        Rule(
            code="invalid_input",
            codes="card_declined insufficient_funds expired_card incorrect_* invalid_number "
            "invalid_cvc invalid_expiry_*",
        ),
        Rule(
            code="invalid_input",
            status=400,
            text="greater than unrefunded amount",
            message="that is more than is left of the payment; {provider} refunded nothing.",
            next_step="get_payment shows what was paid and what was refunded before. Refund at most the rest.",
        ),
        Rule(
            code="already_done",
            status=400,
            text="invoice is already finalized",
            message="the invoice is finalized already.",
        ),
        Rule(
            code="conflict",
            status=400,
            text="only pass in open invoices|payments cannot be voided",
            message="the invoice is not open; {provider} did not void it.",
            next_step="Read it with get_invoice. A draft needs no voiding, and what is paid is refunded instead.",
        ),
        Rule(
            code="invalid_input",
            status=400,
            codes="amount_too_small",
            message="the amount is below the least that {provider} takes in this currency.",
            next_step="Ask for at least the worth of 0.50 usd; docs.stripe.com/currencies has the least amounts.",
        ),
        Rule(
            code="invalid_input",
            status=400,
            codes="parameter_* url_invalid amount_too_large email_invalid",
        ),
        Rule(code="conflict", status=409, retry_after=1),
        Rule(code="transient", status=424),
        Rule(code="rate_limited", status=429, retry_after=1),
        # What began is stored with its answer, also a 500: only the same idempotency key may repeat it.
        Rule(code="transient", codes="api_error", status=(500, 502, 503, 504)),
        Rule(code="transient", status=(500, 502, 503, 504)),
    ),
)
