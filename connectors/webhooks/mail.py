"""Mail and what becomes of it."""

from clew import webhooks

SENDGRID = webhooks.Scheme(
    name="sendgrid",
    title="SendGrid",
    proof=webhooks.PublicKey(
        algorithm="ecdsa-p256-sha256",
        signature="X-Twilio-Email-Event-Webhook-Signature",
        encoding="base64",
        signed="{ts}{body}",
        timestamp=webhooks.Timestamp("X-Twilio-Email-Event-Webhook-Timestamp", tolerance=600),
    ),
    secret="the verification key of the mail settings (base64 DER or PEM)",
    source="docs.sendgrid.com (event webhook security features), sendgrid 6.12.5 for Python",
)
_MAILGUN_TIME = 9 * 3600.0
MAILGUN = webhooks.Scheme(
    name="mailgun",
    title="Mailgun",
    # Signs a time and a token, not the body. It repeats a delivery for eight hours.
    proof=(
        webhooks.Hmac(
            signature="json:signature.signature",
            signed="{ts}{json:signature.token}",
            timestamp=webhooks.Timestamp("json:signature.timestamp", tolerance=_MAILGUN_TIME),
        ),
        webhooks.Hmac(
            signature="form:signature",
            signed="{ts}{form:token}",
            timestamp=webhooks.Timestamp("form:timestamp", tolerance=_MAILGUN_TIME),
        ),
    ),
    delivery_id=("json:signature.token", "form:token"),
    event_type=("json:event-data.event", "form:event"),
    secret="the HTTP webhook signing key",
    source="documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks (memory)",
)

SCHEMES = (
    SENDGRID,
    MAILGUN,
    webhooks.Scheme(
        name="mandrill",
        title="Mailchimp Transactional (Mandrill)",
        proof=webhooks.Hmac(
            signature="X-Mandrill-Signature", hash="sha1", encoding="base64", signed="{url}{sorted_form}"
        ),
        handshakes=(webhooks.Handshake(name="head", method="HEAD", when={}, trust="anybody"),),
        secret="the webhook's authentication key",
        source="mailchimp.com/developer/transactional/guides/track-respond-activity-webhooks (memory)",
    ),
    webhooks.Scheme(
        name="postmark",
        title="Postmark",
        proof=webhooks.SharedSecret(place="Authorization", basic=True),
        delivery_id="json:MessageID",
        event_type="json:RecordType",
        secret="user:password, as in the webhook's URL or settings",
        source="postmarkapp.com/developer/webhooks/webhooks-overview (memory)",
    ),
    webhooks.Scheme(
        name="customer-io",
        title="Customer.io",
        proof=webhooks.Hmac(
            signature="X-CIO-Signature",
            signed="v0:{ts}:{body}",
            timestamp=webhooks.Timestamp("X-CIO-Timestamp"),
        ),
        delivery_id="json:event_id",
        event_type="json:metric",
        source="docs.customer.io/journeys/webhooks (memory)",
    ),
)
