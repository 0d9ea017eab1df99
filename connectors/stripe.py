"""Stripe: facts of API v1 and v2. `Stripe-Should-Retry` overrides every rule about repeating.

Sources: stripe-python 16.1.0, docs.stripe.com (rate-limits, api/idempotent_requests, error-codes). "(memory)" marks
what was not read again.
"""

from clew import Bearer, Connector, ErrorMap, Response, Rule, Verdict, Version, schemes

from .webhooks.money import STRIPE


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
    return Verdict(
        "action_required",
        "{provider} wants the cardholder to confirm this payment (3-D Secure).",
        "Give the link to the person. The result arrives as an event; do not create a second payment.",
        url=url if url is not None and url.startswith("https://") else None,
    )


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
        Rule(code="conflict", status=409, codes="idempotency_key_in_use", retry_after=1),
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
            "charge_already_reversed",
        ),
        Rule(
            code="conflict",
            codes="payment_intent_unexpected_state setup_intent_unexpected_state not_cancelable cannot_proceed "
            "fx_quote_needs_refresh idempotency_error idempotency_key_in_use resource_already_exists "
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
            codes="parameter_* url_invalid amount_too_small amount_too_large email_invalid",
        ),
        Rule(code="conflict", status=409, retry_after=1),
        Rule(code="transient", status=424),
        Rule(code="rate_limited", status=429, retry_after=1),
        # What began is stored with its answer, also a 500: only the same idempotency key may repeat it.
        Rule(code="transient", codes="api_error", status=(500, 502, 503, 504)),
        Rule(code="transient", status=(500, 502, 503, 504)),
    ),
)

stripe = Connector(
    "stripe",
    title="Stripe",
    base_url="https://api.stripe.com",
    version=Version("2026-10-28.endive", header="Stripe-Version"),
    auth=(
        Bearer(help="https://dashboard.stripe.com/apikeys (a restricted key, rk_…, is enough)"),
        # Connect: the token never ends (class A); client_secret is the platform's secret key.
        schemes.OAuth2(
            authorize_url="https://connect.stripe.com/oauth/authorize",
            token_url="https://connect.stripe.com/oauth/token",
            scopes=("read_write",),
            pkce="off",
            refresh_class="A",
            token_errors=(
                schemes.TokenRule("dead", code="invalid_grant"),
                schemes.TokenRule(
                    "misconfigured",
                    code="invalid_client|invalid_scope|invalid_request|unsupported_grant_type|invalid_redirect_uri",
                ),
                schemes.TokenRule("outage", code="rate_limit|api_error|temporarily_unavailable"),
            ),
        ),
    ),
    errors=ERRORS,
    webhooks=STRIPE,
    docs="https://docs.stripe.com/api",
)
