"""Payments, banks, shops."""

from clew import webhooks

STRIPE = webhooks.Scheme(
    name="stripe",
    title="Stripe",
    proof=webhooks.Hmac(
        signature="Stripe-Signature",
        prefix="v1=",
        separator=",",
        signed="{ts}.{body}",
        timestamp=webhooks.Timestamp("Stripe-Signature", prefix="t=", separator=","),
    ),
    delivery_id="json:id",
    event_type="json:type",
    secret="the endpoint's secret, whsec_… (used as it is)",
    source="docs.stripe.com/webhooks#verify-manually, stripe 16.1.0 for Python",
)
SHOPIFY = webhooks.Scheme(
    name="shopify",
    title="Shopify",
    proof=(
        webhooks.Hmac(signature="X-Shopify-Hmac-Sha256", encoding="base64"),
        webhooks.Hmac(signature="shopify-hmac-sha256", encoding="base64"),
    ),
    delivery_id=("X-Shopify-Webhook-Id", "shopify-webhook-id"),
    event_type=("X-Shopify-Topic", "shopify-topic"),
    secret="the app's client secret",
    source="shopify.dev/docs/apps/build/webhooks/subscribe/https",
)
_PAYPAL_HOST = r"api(?:-m)?(?:\.sandbox)?\.paypal\.com"
PAYPAL = webhooks.Scheme(
    name="paypal",
    title="PayPal",
    proof=webhooks.PublicKey(
        algorithm="rsa-sha256",
        signature="PAYPAL-TRANSMISSION-SIG",
        encoding="base64",
        signed="{id}|{ts}|{setting:webhook_id}|{crc32}",
        id="PAYPAL-TRANSMISSION-ID",
        # It repeats a delivery for three days, and nobody says whether with a new time.
        timestamp=webhooks.Timestamp("PAYPAL-TRANSMISSION-TIME", unit="iso", tolerance=3 * 86400.0 + 300),
        certificate=webhooks.KeyUrl(
            place="PAYPAL-CERT-URL", host=_PAYPAL_HOST, path=r"/v1/notifications/certs/[A-Za-z0-9._-]+"
        ),
        text_setting="webhook_id",
        when={"PAYPAL-AUTH-ALGO": "(?:SHA256withRSA)?"},
    ),
    delivery_id=("PAYPAL-TRANSMISSION-ID", "json:id"),
    event_type="json:event_type",
    secret="the webhook's id; the certificate (PEM) beside it to work offline",
    source="developer.paypal.com/api/rest/webhooks (self verification)",
)
SQUARE = webhooks.Scheme(
    name="square",
    title="Square",
    proof=webhooks.Hmac(signature="x-square-hmacsha256-signature", encoding="base64", signed="{url}{body}"),
    delivery_id="json:event_id",
    event_type="json:type",
    secret="the subscription's signature key",
    source="developer.squareup.com/docs/webhooks/step3validate, squareup 46.0.0 for Python",
)
ADYEN = "json:notificationItems[0].NotificationRequestItem"
_ITEM = ADYEN.removeprefix("json:")

SCHEMES = (
    STRIPE,
    SHOPIFY,
    PAYPAL,
    SQUARE,
    webhooks.Scheme(
        name="paddle",
        title="Paddle Billing",
        proof=webhooks.Hmac(
            signature="Paddle-Signature",
            prefix="h1=",
            separator=";",
            signed="{ts}:{body}",
            timestamp=webhooks.Timestamp("Paddle-Signature", prefix="ts=", separator=";"),
        ),
        delivery_id="json:event_id",
        event_type="json:event_type",
        secret="the notification destination's secret key",
        source="developer.paddle.com/webhooks/signature-verification (memory)",
    ),
    webhooks.Scheme(
        name="lemon-squeezy",
        title="Lemon Squeezy",
        proof=webhooks.Hmac(signature="X-Signature"),
        event_type=("X-Event-Name", "json:meta.event_name"),
        source="docs.lemonsqueezy.com/help/webhooks/signing-requests (memory)",
    ),
    webhooks.Scheme(
        name="adyen",
        title="Adyen, payments",
        # Signs eight fields of one item, so only deliveries of one item are accepted; they are all that JSON has.
        proof=webhooks.Hmac(
            signature=f"{ADYEN}.additionalData.hmacSignature",
            encoding="base64",
            key="hex",
            signed=":".join(
                f"{{json?:{_ITEM}.{name}}}"
                for name in (
                    "pspReference",
                    "originalReference",
                    "merchantAccountCode",
                    "merchantReference",
                    "amount.value",
                    "amount.currency",
                    "eventCode",
                    "success",
                )
            ),
            when={"json:notificationItems[1]": ""},
        ),
        delivery_id=f"{ADYEN}.pspReference",
        event_type=f"{ADYEN}.eventCode",
        secret="the HMAC key, in hex",
        source="docs.adyen.com/development-resources/webhooks/verify-hmac-signatures (memory)",
    ),
    webhooks.Scheme(
        name="adyen-platform",
        title="Adyen, platforms and management",
        proof=webhooks.Hmac(signature="HmacSignature", encoding="base64", key="hex"),
        event_type="json:type",
        secret="the HMAC key, in hex",
        source="docs.adyen.com/development-resources/webhooks/verify-hmac-signatures (memory)",
    ),
    webhooks.Scheme(
        name="coinbase-commerce",
        title="Coinbase Commerce",
        proof=webhooks.Hmac(signature="X-CC-Webhook-Signature"),
        delivery_id="json:event.id",
        event_type="json:event.type",
        source="docs.cdp.coinbase.com/commerce/docs/webhooks-security (memory)",
    ),
    webhooks.Scheme(
        name="plaid",
        title="Plaid",
        proof=webhooks.Jwt(
            place="Plaid-Verification",
            algorithms=("ES256",),
            audience="any",
            require=("iat",),
            body_hash="request_body_sha256",
            max_age=300,
        ),
        event_type="json:webhook_code",
        secret="the JWK of /webhook_verification_key/get for the token's kid",
        source="plaid.com/docs/api/webhooks/webhook-verification (memory)",
    ),
    webhooks.Scheme(
        name="razorpay",
        title="Razorpay",
        proof=webhooks.Hmac(signature="X-Razorpay-Signature"),
        delivery_id="x-razorpay-event-id",
        event_type="json:event",
        source="razorpay.com/docs/webhooks/validate-test (memory)",
    ),
    webhooks.Scheme(
        name="paystack",
        title="Paystack",
        proof=webhooks.Hmac(signature="x-paystack-signature", hash="sha512"),
        event_type="json:event",
        secret="the secret key",
        source="paystack.com/docs/payments/webhooks (memory)",
    ),
    webhooks.Scheme(
        name="flutterwave",
        title="Flutterwave",
        proof=webhooks.SharedSecret(place="verif-hash"),
        event_type="json:event",
        secret="the secret hash",
        source="developer.flutterwave.com/docs/webhooks (memory)",
    ),
    webhooks.Scheme(
        name="gocardless",
        title="GoCardless",
        proof=webhooks.Hmac(signature="Webhook-Signature"),
        delivery_id="json:meta.webhook_id",
        source="developer.gocardless.com/api-reference/#webhooks (memory)",
    ),
    webhooks.Scheme(
        name="dwolla",
        title="Dwolla",
        proof=webhooks.Hmac(signature="X-Request-Signature-SHA-256"),
        delivery_id="json:id",
        event_type="json:topic",
        source="developers.dwolla.com/docs/webhooks (memory)",
    ),
    webhooks.Scheme(
        name="wise",
        title="Wise",
        proof=webhooks.PublicKey(algorithm="rsa-sha256", signature="X-Signature-SHA256", encoding="base64"),
        delivery_id="X-Delivery-Id",
        event_type="json:event_type",
        secret="Wise's public key (PEM)",
        source="docs.wise.com/api-docs/features/webhooks-notifications (memory)",
    ),
    webhooks.Scheme(
        name="revolut",
        title="Revolut",
        proof=webhooks.Hmac(
            signature="Revolut-Signature",
            prefix="v1=",
            separator=",",
            signed="v1.{ts}.{body}",
            timestamp=webhooks.Timestamp("Revolut-Request-Timestamp", unit="ms"),
        ),
        event_type="json:event",
        secret="the webhook's signing secret, wsk_…",
        source="developer.revolut.com/docs/guides/manage-accounts/tutorials/work-with-webhooks (memory)",
    ),
    webhooks.Scheme(
        name="chargebee",
        title="Chargebee",
        proof=webhooks.SharedSecret(place="Authorization", basic=True),
        delivery_id="json:id",
        event_type="json:event_type",
        secret="user:password of the webhook's settings",
        source="chargebee.com/docs/2.0/webhook_settings.html (memory)",
    ),
    webhooks.Scheme(
        name="quickbooks",
        title="QuickBooks",
        proof=webhooks.Hmac(signature="intuit-signature", encoding="base64"),
        secret="the verifier token",
        source="developer.intuit.com/app/developer/qbo/docs/develop/webhooks (memory)",
    ),
    webhooks.Scheme(
        name="xero",
        title="Xero",
        # "Intent to receive" is an empty list of events: 200 when the signature is right, 401 when not.
        proof=webhooks.Hmac(signature="x-xero-signature", encoding="base64"),
        secret="the webhook's signing key",
        source="developer.xero.com/documentation/guides/webhooks/overview (memory)",
    ),
    webhooks.Scheme(
        name="woocommerce",
        title="WooCommerce",
        proof=webhooks.Hmac(signature="X-WC-Webhook-Signature", encoding="base64"),
        delivery_id="X-WC-Webhook-Delivery-ID",
        event_type="X-WC-Webhook-Topic",
        source="woocommerce.com/document/webhooks (memory)",
    ),
)
