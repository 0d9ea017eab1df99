"""Sites, media, forms, fans."""

from clew import webhooks

SCHEMES = (
    webhooks.Scheme(
        name="webflow",
        title="Webflow",
        proof=webhooks.Hmac(
            signature="x-webflow-signature",
            signed="{ts}:{body}",
            timestamp=webhooks.Timestamp("x-webflow-timestamp", unit="ms"),
        ),
        event_type="json:triggerType",
        secret="the app's client secret, or the webhook's secret",
        source="developers.webflow.com/data/docs/working-with-webhooks (memory)",
    ),
    webhooks.Scheme(
        name="sanity",
        title="Sanity",
        proof=webhooks.Hmac(
            signature="sanity-webhook-signature",
            prefix="v1=",
            separator=",",
            encoding="base64url",
            signed="{ts}.{body}",
            timestamp=webhooks.Timestamp("sanity-webhook-signature", prefix="t=", separator=",", unit="ms"),
        ),
        delivery_id="idempotency-key",
        source="sanity.io/docs/webhooks, @sanity/webhook (memory)",
    ),
    webhooks.Scheme(
        name="storyblok",
        title="Storyblok",
        proof=webhooks.Hmac(signature="webhook-signature", hash="sha1"),
        event_type="json:action",
        source="storyblok.com/docs/concepts/webhooks (memory)",
    ),
    webhooks.Scheme(
        name="mux",
        title="Mux",
        proof=webhooks.Hmac(
            signature="Mux-Signature",
            prefix="v1=",
            separator=",",
            signed="{ts}.{body}",
            timestamp=webhooks.Timestamp("Mux-Signature", prefix="t=", separator=","),
        ),
        delivery_id="json:id",
        event_type="json:type",
        source="mux.com/docs/core/verify-webhook-signatures (memory)",
    ),
    webhooks.Scheme(
        name="cloudinary",
        title="Cloudinary",
        proof=webhooks.Hmac(
            signature="X-Cld-Signature",
            hash="sha1",
            keyed=False,
            signed="{body}{ts}{secret}",
            timestamp=webhooks.Timestamp("X-Cld-Timestamp", tolerance=7200),
        ),
        event_type="json:notification_type",
        secret="the API secret",
        source="cloudinary.com/documentation/notification_signatures (memory)",
    ),
    webhooks.Scheme(
        name="patreon",
        title="Patreon",
        proof=webhooks.Hmac(signature="X-Patreon-Signature", hash="md5"),
        event_type="X-Patreon-Event",
        source="docs.patreon.com/#webhooks (memory)",
    ),
    webhooks.Scheme(
        name="formstack",
        title="Formstack",
        proof=webhooks.Hmac(signature="X-FS-Signature", prefix="sha256="),
        source="help.formstack.com (webhook HMAC) (memory)",
    ),
)
