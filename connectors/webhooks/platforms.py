"""Clouds, and the suites of their owners."""

from dataclasses import replace

from clew import webhooks

_SNS_HOST = r"sns\.[a-z0-9-]{3,32}\.amazonaws\.com(?:\.cn)?"


def _sns(kinds: str, fields: str, version: str, algorithm: str) -> webhooks.PublicKey:
    # Subject alone may be missing; every field is its name and its value, a line each.
    template = "".join(f"{{line{'?' if name == 'Subject' else ''}:json:{name}}}" for name in fields.split())
    return webhooks.PublicKey(
        algorithm=algorithm,
        signature="json:Signature",
        encoding="base64",
        signed=template,
        # It repeats a delivery for an hour at most.
        timestamp=webhooks.Timestamp("json:Timestamp", unit="iso", tolerance=3900),
        certificate=webhooks.KeyUrl(
            place="json:SigningCertURL", host=_SNS_HOST, path=r"/SimpleNotificationService-[A-Za-z0-9]+\.pem"
        ),
        names="json:TopicArn",
        when={"json:Type": kinds, "json:SignatureVersion": version},
    )


_NOTICE = ("Notification", "Message MessageId Subject Timestamp TopicArn Type")
_CONFIRM = (
    "SubscriptionConfirmation|UnsubscribeConfirmation",
    "Message MessageId SubscribeURL Timestamp Token TopicArn Type",
)
SNS = webhooks.Scheme(
    name="aws-sns",
    title="Amazon SNS",
    proof=(
        _sns(*_NOTICE, "1", "rsa-sha1"),
        _sns(*_NOTICE, "2", "rsa-sha256"),
        _sns(*_CONFIRM, "1", "rsa-sha1"),
        _sns(*_CONFIRM, "2", "rsa-sha256"),
    ),
    delivery_id="json:MessageId",
    event_type="json:Type",
    handshakes=(
        webhooks.Handshake(
            name="SubscriptionConfirmation",
            when={"json:Type": "SubscriptionConfirmation"},
            visit="json:SubscribeURL",
            visit_host=_SNS_HOST,
        ),
    ),
    # Anybody can have SNS sign, for a topic of their own.
    secret="the topic's ARN; the certificate (PEM) beside it to work offline",
    source="docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html",
)
PUBSUB = webhooks.Scheme(
    name="google-pubsub",
    title="Google Pub/Sub push (Gmail)",
    proof=webhooks.Jwt(
        prefix="Bearer ",
        algorithms=("RS256",),
        keys_url="https://www.googleapis.com/oauth2/v3/certs",
        issuer=r"(?:https://)?accounts\.google\.com",
        audience="url",
        claims={"email": "{email}"},
        # Any Google service account can get a token for any audience: the address decides.
        pins=("email",),
    ),
    delivery_id=("json:message.messageId", "json:message.message_id"),
    secret="the push service account's address, and the audience if it is not the URL; a JWKS or PEM to work offline",
    source="cloud.google.com/pubsub/docs/authenticate-push-subscriptions",
)
GOOGLE_CHANNEL = webhooks.Scheme(
    name="google-channel",
    title="Google Calendar, Drive (watch channels)",
    proof=webhooks.SharedSecret(place="X-Goog-Channel-Token"),
    delivery_id="X-Goog-Channel-ID + X-Goog-Message-Number",  # each channel counts from 1
    event_type="X-Goog-Resource-State",
    handshakes=(webhooks.Handshake(name="sync", when={"X-Goog-Resource-State": "sync"}),),
    secret="the token that was given when the channel was opened",
    source="developers.google.com/workspace/calendar/api/guides/push",
)
_TOKENS = webhooks.Jwt(
    place="json:validationTokens[*]",
    algorithms=("RS256",),
    keys_url="https://login.microsoftonline.com/common/discovery/v2.0/keys",
    issuer=r"https://sts\.windows\.net/[0-9a-f-]+/|https://login\.microsoftonline\.com/[0-9a-f-]+/v2\.0",
    claims={"azp|appid": "0bf30f3b-4a52-48df-9a82-234910c4a086"},
)
_BESIDE = replace(_TOKENS, named=False)
_VALIDATION = webhooks.Handshake(
    name="validationToken",
    when={"query:validationToken": ".+"},
    trust="anybody",
    value="query:validationToken",
    pattern=r"[^\x00-\x1f\x7f]{1,2000}",
    body="{value}",
)
GRAPH = webhooks.Scheme(
    name="microsoft-graph",
    title="Microsoft Graph",
    # Notifications with data bring tokens, and are judged by them alone. An application's id is no secret: it must not
    # count as a clientState, so here only a setting names it.
    proof=(
        webhooks.SharedSecret(place="json:value[*].clientState", when={"json:validationTokens[0]": ""}),
        _BESIDE,
    ),
    event_type=("json:value[0].changeType", "json:value[0].lifecycleEvent"),
    handshakes=(_VALIDATION,),
    secret='the subscription\'s clientState; {"audience": "the application\'s id"} for notifications with data',
    source="learn.microsoft.com/graph/change-notifications-delivery-webhooks",
)
OKTA = webhooks.Scheme(
    name="okta",
    title="Okta event hooks",
    proof=webhooks.SharedSecret(place="Authorization"),
    delivery_id="json:eventId",
    event_type="json:data.events[0].eventType",
    handshakes=(
        webhooks.Handshake(
            name="verification",
            method="GET",
            when={"x-okta-verification-challenge": ".+"},
            trust="anybody",
            value="x-okta-verification-challenge",
            body='{"verification":"{value}"}',
            media="application/json",
        ),
    ),
    secret="the authentication secret of the hook, the whole header's value",
    source="developer.okta.com/docs/concepts/event-hooks (memory)",
)

SCHEMES = (
    SNS,
    PUBSUB,
    GOOGLE_CHANNEL,
    GRAPH,
    webhooks.Scheme(
        name="microsoft-graph-tokens",
        title="Microsoft Graph, notifications with data",
        proof=_TOKENS,
        handshakes=(_VALIDATION,),
        secret="the application's id, which is the tokens' audience; a JWKS or PEM to work offline",
        source=GRAPH.source,
    ),
    OKTA,
    webhooks.Scheme(
        name="workos",
        title="WorkOS",
        proof=webhooks.Hmac(
            signature="WorkOS-Signature",
            prefix="v1=",
            separator=", ",
            signed="{ts}.{body}",
            timestamp=webhooks.Timestamp("WorkOS-Signature", prefix="t=", separator=", ", unit="ms", tolerance=180),
        ),
        delivery_id="json:id",
        event_type="json:event",
        source="workos.com/docs/events/data-syncing/webhooks (memory)",
    ),
    webhooks.Scheme(
        name="segment",
        title="Segment",
        proof=webhooks.Hmac(signature="X-Signature", hash="sha1"),
        delivery_id="json:messageId",
        event_type="json:type",
        source="segment.com/docs/connections/destinations/catalog/webhooks (memory)",
    ),
    webhooks.Scheme(
        name="pusher",
        title="Pusher Channels",
        proof=webhooks.Hmac(signature="X-Pusher-Signature"),
        secret="the app's secret",
        source="pusher.com/docs/channels/server_api/webhooks (memory)",
    ),
)
