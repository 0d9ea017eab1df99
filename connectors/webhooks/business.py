"""Files, signatures, identities."""

from clew import webhooks

BOX_TIME = webhooks.Timestamp("BOX-DELIVERY-TIMESTAMP", unit="iso", tolerance=600)


def _box(which: str) -> webhooks.Hmac:
    return webhooks.Hmac(signature=f"BOX-SIGNATURE-{which}", encoding="base64", signed="{body}{ts}", timestamp=BOX_TIME)


SCHEMES = (
    webhooks.Scheme(
        name="dropbox",
        title="Dropbox",
        proof=webhooks.Hmac(signature="X-Dropbox-Signature"),
        handshakes=(
            webhooks.Handshake(
                name="challenge",
                method="GET",
                when={"query:challenge": ".+"},
                trust="anybody",
                value="query:challenge",
                body="{value}",
            ),
        ),
        secret="the app secret",
        source="dropbox.com/developers/reference/webhooks (memory)",
    ),
    webhooks.Scheme(
        name="box",
        title="Box",
        proof=(_box("PRIMARY"), _box("SECONDARY")),
        delivery_id=("BOX-DELIVERY-ID", "json:id"),
        event_type="json:trigger",
        secret="the primary and the secondary signature key",
        source="developer.box.com/guides/webhooks/v2/signatures-v2 (memory)",
    ),
    webhooks.Scheme(
        name="docusign",
        title="DocuSign Connect",
        proof=tuple(webhooks.Hmac(signature=f"X-DocuSign-Signature-{n}", encoding="base64") for n in (1, 2, 3)),
        event_type="json:event",
        secret="the Connect HMAC keys",
        source="developers.docusign.com/platform/webhooks/connect/hmac (memory)",
    ),
    webhooks.Scheme(
        name="pandadoc",
        title="PandaDoc",
        proof=webhooks.Hmac(signature="query:signature"),
        secret="the webhook's shared key",
        source="developers.pandadoc.com/docs/webhook-verification (memory)",
    ),
    webhooks.Scheme(
        name="persona",
        title="Persona",
        proof=webhooks.Hmac(
            signature="Persona-Signature",
            prefix="v1=",
            separator=",",
            signed="{ts}.{body}",
            timestamp=webhooks.Timestamp("Persona-Signature", prefix="t=", separator=","),
        ),
        delivery_id="json:data.id",
        event_type="json:data.attributes.name",
        source="docs.withpersona.com/webhooks-best-practices (memory)",
    ),
    webhooks.Scheme(
        name="onfido",
        title="Onfido",
        proof=webhooks.Hmac(signature="X-SHA2-Signature"),
        event_type="json:payload.action",
        secret="the webhook's token",
        source="documentation.onfido.com/api/latest/#webhooks (memory)",
    ),
    webhooks.Scheme(
        name="checkr",
        title="Checkr",
        proof=webhooks.Hmac(signature="X-Checkr-Signature"),
        delivery_id="json:id",
        event_type="json:type",
        secret="the API key",
        source="docs.checkr.com/#tag/Webhooks (memory)",
    ),
    webhooks.Scheme(
        name="aftership",
        title="AfterShip",
        proof=webhooks.Hmac(signature="aftership-hmac-sha256", encoding="base64"),
        delivery_id="json:event_id",
        event_type="json:event",
        source="aftership.com/docs/tracking/webhook/webhook-signature (memory)",
    ),
    webhooks.Scheme(
        name="easypost",
        title="EasyPost",
        proof=webhooks.Hmac(signature="X-Hmac-Signature", prefix="hmac-sha256-hex="),
        delivery_id="json:id",
        event_type="json:description",
        source="docs.easypost.com/guides/webhooks-guide (memory)",
    ),
    webhooks.Scheme(
        name="aircall",
        title="Aircall",
        proof=webhooks.SharedSecret(place="json:token"),
        event_type="json:event",
        secret="the webhook's token",
        source="developer.aircall.io/api-references/#webhooks (memory)",
    ),
    webhooks.Scheme(
        name="cal-com",
        title="Cal.com",
        proof=webhooks.Hmac(signature="X-Cal-Signature-256"),
        event_type="json:triggerEvent",
        source="cal.com/docs/developing/guides/automation/webhooks (memory)",
    ),
)
