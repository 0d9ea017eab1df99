"""Work, support, incidents, customers. Sources that are not links were opened for the provider's connector."""

from clew import webhooks

LINEAR = webhooks.Scheme(
    name="linear",
    title="Linear",
    # The time in the signed body counts; the header is not signed and stands in where the body has none.
    proof=webhooks.Hmac(
        signature="Linear-Signature",
        timestamp=webhooks.Timestamp(
            ("json:webhookTimestamp", "Linear-Timestamp"), unit="ms", tolerance=60, optional=True
        ),
    ),
    delivery_id="Linear-Delivery",
    event_type=("Linear-Event", "json:type"),
    source="linear.app/developers/webhooks, @linear/sdk",
)
NOTION = webhooks.Scheme(
    name="notion",
    title="Notion",
    proof=webhooks.Hmac(signature="X-Notion-Signature", prefix="sha256=", any_case=True),
    delivery_id="json:id",
    event_type="json:type",
    # Unsigned, and the token in it signs everything later: taken only while somebody registers.
    handshakes=(
        webhooks.Handshake(
            name="verification_token",
            when={"json:verification_token": ".+", "json:type": "", "X-Notion-Signature": "|.*"},
            trust="expected",
            store="json:verification_token",
        ),
    ),
    secret="the verification token, secret_…",
    source="developers.notion.com/reference/webhooks",
)
ASANA = webhooks.Scheme(
    name="asana",
    title="Asana",
    proof=webhooks.Hmac(signature="X-Hook-Signature"),
    # Arrives while the call that creates the webhook is still open.
    handshakes=(
        webhooks.Handshake(
            name="x-hook-secret",
            when={"X-Hook-Secret": ".+", "X-Hook-Signature": ""},
            trust="expected",
            value="X-Hook-Secret",
            headers={"X-Hook-Secret": "{value}"},
            store="X-Hook-Secret",
        ),
    ),
    secret="the X-Hook-Secret of the handshake",
    source="developers.asana.com/docs/webhooks-guide",
)
AIRTABLE = webhooks.Scheme(
    name="airtable",
    title="Airtable",
    proof=webhooks.Hmac(signature="X-Airtable-Content-MAC", prefix="hmac-sha256=", key="base64"),
    secret="macSecretBase64 of the webhook's creation",
    source="airtable.com/developers/web/api/webhooks-overview",
)
PAGERDUTY = webhooks.Scheme(
    name="pagerduty",
    title="PagerDuty",
    proof=webhooks.Hmac(signature="X-PagerDuty-Signature", prefix="v1=", separator=","),
    delivery_id=("json:event.id", "X-Webhook-Id"),
    event_type="json:event.event_type",
    handshakes=(
        webhooks.Handshake(name="pagey.ping", when={"json:event.event_type": r"pagey\.ping"}, status=202, event=True),
    ),
    secret="the subscription's secret, shown once",
    source="developer.pagerduty.com/docs/webhooks-overview",
)
ZENDESK = webhooks.Scheme(
    name="zendesk",
    title="Zendesk",
    proof=webhooks.Hmac(
        signature="X-Zendesk-Webhook-Signature",
        encoding="base64",
        signed="{ts}{body}",
        timestamp=webhooks.Timestamp("X-Zendesk-Webhook-Signature-Timestamp", unit="iso"),
    ),
    delivery_id=("X-Zendesk-Webhook-Invocation-Id", "json:id"),
    event_type="json:type",
    secret="the webhook's signing secret",
    source="developer.zendesk.com/documentation/webhooks/verifying",
)
ATLASSIAN = webhooks.Scheme(
    name="atlassian",
    title="Jira, Confluence",
    proof=webhooks.Hmac(signature="X-Hub-Signature", prefix="sha256="),
    delivery_id="X-Atlassian-Webhook-Identifier",
    event_type=("json:webhookEvent", "json:event"),
    source="developer.atlassian.com/cloud/jira/platform/webhooks",
)
_CONNECT = ("exp", "iat", "qsh")
HUBSPOT_V3 = webhooks.Hmac(
    signature="X-HubSpot-Signature-v3",
    encoding="base64",
    signed="{method}{url}{body}{ts}",
    timestamp=webhooks.Timestamp("X-HubSpot-Request-Timestamp", unit="ms"),
    urls=("exact", "decoded"),
)


def _hubspot(version: str, signed: str, *, alone: bool) -> webhooks.Hmac:
    """The older plain hashes. `alone`: there is no newer signature beside it."""
    when = {"X-HubSpot-Signature-Version": f"(?:{version})?"} | ({"X-HubSpot-Signature-v3": ""} if alone else {})
    return webhooks.Hmac(signature="X-HubSpot-Signature", signed=signed, keyed=False, when=when)


V1, V2 = "{secret}{body}", "{secret}{method}{url}{body}"
_APP = "the app's client secret"
_HUBSPOT = "developers.hubspot.com/docs (validating-requests), hubspot-api-client 12.0.0"
HUBSPOT = webhooks.Scheme(
    name="hubspot",
    title="HubSpot",
    proof=(HUBSPOT_V3, _hubspot("v2", V2, alone=True), _hubspot("v1", V1, alone=True)),
    secret=_APP,
    source=_HUBSPOT,
)

SCHEMES = (
    LINEAR,
    NOTION,
    ASANA,
    AIRTABLE,
    PAGERDUTY,
    ZENDESK,
    ATLASSIAN,
    HUBSPOT,
    webhooks.Scheme(name="hubspot-v3", title="HubSpot v3", proof=HUBSPOT_V3, secret=_APP, source=_HUBSPOT),
    webhooks.Scheme(
        name="hubspot-v2", title="HubSpot v2", proof=_hubspot("v2", V2, alone=False), secret=_APP, source=_HUBSPOT
    ),
    webhooks.Scheme(
        name="hubspot-v1", title="HubSpot v1", proof=_hubspot("v1", V1, alone=False), secret=_APP, source=_HUBSPOT
    ),
    webhooks.Scheme(
        name="atlassian-connect",
        title="Atlassian Connect",
        proof=(
            webhooks.Jwt(
                prefix="JWT ",
                algorithms=("HS256",),
                audience="any",
                require=_CONNECT,
                claims={"iss": "{client_key}"},
                query_hash="qsh",
            ),
            webhooks.Jwt(
                place="query:jwt",
                algorithms=("HS256",),
                audience="any",
                require=_CONNECT,
                claims={"iss": "{client_key}"},
                query_hash="qsh",
            ),
        ),
        delivery_id="X-Atlassian-Webhook-Identifier",
        event_type=("json:webhookEvent", "json:eventType"),
        secret='the sharedSecret of the installation; {"client_key": "…", "base_url": "…"} beside it',
        source="developer.atlassian.com/cloud/jira/platform/understanding-jwt-for-connect-apps",
    ),
    webhooks.Scheme(
        name="atlassian-install",
        title="Atlassian Connect, install and uninstall",
        proof=webhooks.Jwt(
            prefix="JWT ",
            algorithms=("RS256",),
            keys_url="https://connect-install-keys.atlassian.com/{kid}",
            require=_CONNECT,
            query_hash="qsh",
        ),
        event_type="json:eventType",
        secret="the app's base URL, which is the token's audience",
        source="developer.atlassian.com/cloud/jira/platform/security-for-connect-apps (memory)",
    ),
    webhooks.Scheme(
        name="intercom",
        title="Intercom",
        proof=webhooks.Hmac(signature="X-Hub-Signature", prefix="sha1=", hash="sha1"),
        delivery_id="json:id",
        event_type="json:topic",
        secret=_APP,
        source="developers.intercom.com/docs/webhooks (memory)",
    ),
    webhooks.Scheme(
        name="clickup",
        title="ClickUp",
        proof=webhooks.Hmac(signature="X-Signature"),
        event_type="json:event",
        source="developer.clickup.com/docs/webhooksignature (memory)",
    ),
    webhooks.Scheme(
        name="todoist",
        title="Todoist",
        proof=webhooks.Hmac(signature="X-Todoist-Hmac-SHA256", encoding="base64"),
        delivery_id="X-Todoist-Delivery-ID",
        event_type="json:event_name",
        secret=_APP,
        source="developer.todoist.com (memory)",
    ),
    webhooks.Scheme(
        name="trello",
        title="Trello",
        proof=webhooks.Hmac(signature="X-Trello-Webhook", hash="sha1", encoding="base64", signed="{body}{url}"),
        delivery_id="json:action.id",
        event_type="json:action.type",
        handshakes=(webhooks.Handshake(name="head", method="HEAD", when={}, trust="anybody"),),
        secret="the application's secret",
        source="developer.atlassian.com/cloud/trello/guides/rest-api/webhooks (memory)",
    ),
    webhooks.Scheme(
        name="calendly",
        title="Calendly",
        proof=webhooks.Hmac(
            signature="Calendly-Webhook-Signature",
            prefix="v1=",
            separator=",",
            signed="{ts}.{body}",
            timestamp=webhooks.Timestamp("Calendly-Webhook-Signature", prefix="t=", separator=",", tolerance=180),
        ),
        event_type="json:event",
        secret="the webhook's signing key",
        source="developer.calendly.com/api-docs (webhook signatures) (memory)",
    ),
    webhooks.Scheme(
        name="typeform",
        title="Typeform",
        proof=webhooks.Hmac(signature="Typeform-Signature", prefix="sha256=", encoding="base64"),
        delivery_id="json:event_id",
        event_type="json:event_type",
        source="typeform.com/developers/webhooks/secure-your-webhooks (memory)",
    ),
    webhooks.Scheme(
        name="tally",
        title="Tally",
        proof=webhooks.Hmac(signature="Tally-Signature", encoding="base64"),
        delivery_id="json:eventId",
        event_type="json:eventType",
        source="tally.so/help/webhooks (memory)",
    ),
    webhooks.Scheme(
        name="figma",
        title="Figma",
        proof=webhooks.SharedSecret(place="json:passcode"),
        event_type="json:event_type",
        secret="the passcode that was given when the webhook was made",
        source="developers.figma.com/docs/rest-api/webhooks (memory)",
    ),
)
