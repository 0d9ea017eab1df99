"""Messages, meetings, chats."""

from clew import webhooks

SLACK = webhooks.Scheme(
    name="slack",
    title="Slack",
    proof=webhooks.Hmac(
        signature="X-Slack-Signature",
        prefix="v0=",
        signed="v0:{ts}:{body}",
        timestamp=webhooks.Timestamp("X-Slack-Request-Timestamp"),
    ),
    delivery_id="json:event_id",
    event_type=("json:event.type", "json:type"),
    handshakes=(
        webhooks.Handshake(
            name="url_verification",
            when={"json:type": "url_verification"},
            value="json:challenge",
            body="{value}",
        ),
    ),
    secret="the app's signing secret",
    source="docs.slack.dev/authentication/verifying-requests-from-slack, slack_sdk 3.47.0",
)
DISCORD = webhooks.Scheme(
    name="discord",
    title="Discord",
    proof=webhooks.PublicKey(
        algorithm="ed25519",
        signature="X-Signature-Ed25519",
        signed="{ts}{body}",
        timestamp=webhooks.Timestamp("X-Signature-Timestamp"),
    ),
    delivery_id="json:id",
    event_type=("json:event.type", "json:type"),
    # Discord sends wrong signatures on purpose and wants 401 for them.
    handshakes=(
        webhooks.Handshake(
            name="interaction ping",
            when={"json:type": "1"},
            body='{"type":1}',
            media="application/json",
        ),
        webhooks.Handshake(name="event ping", when={"json:type": "0"}, status=204),
    ),
    secret="the application's public key, in hex",
    source="discord.com/developers/docs (interactions, webhook events), discord-interactions 0.4.0",
)
_URL_TWICE: tuple[webhooks.UrlForm, ...] = ("ports",)
_TWILIO = "twilio.com/docs/usage/security, twilio 9.13.0 for Python"
_SETTINGS = "X-Twilio-Webhooks-Signature-Settings"
_SHA256 = r"(?:.*,)?\s*algorithm=HMAC_SHA256\s*(?:,.*)?"
_SHA1 = r"(?!.*algorithm=).*|(?:.*,)?\s*algorithm=HMAC_SHA1\s*(?:,.*)?"


def _form(hash: webhooks.Hash, when: str) -> webhooks.Hmac:
    return webhooks.Hmac(
        signature="X-Twilio-Signature",
        encoding="base64",
        signed="{url}{sorted_form}",
        hash=hash,
        urls=_URL_TWICE,
        when={_SETTINGS: when, "query:bodySHA256": ""},
    )


def _json(hash: webhooks.Hash, when: str) -> webhooks.Hmac:
    return webhooks.Hmac(
        signature="X-Twilio-Signature",
        encoding="base64",
        signed="{url}",
        hash=hash,
        urls=_URL_TWICE,
        body_hash=webhooks.BodyHash("query:bodySHA256"),
        when={_SETTINGS: when, "query:bodySHA256": ".+"},
    )


_IDS = ("I-Twilio-Idempotency-Token",)
_AUTH = "the account's auth token"
TWILIO = webhooks.Scheme(
    name="twilio",
    title="Twilio",
    proof=(_form("sha1", _SHA1), _json("sha1", _SHA1), _form("sha256", _SHA256), _json("sha256", _SHA256)),
    delivery_id=_IDS,
    event_type=("form:MessageStatus", "form:CallStatus"),
    secret="the account's auth token, or the secret of a shared key",
    source=_TWILIO,
)
META = webhooks.Scheme(
    name="meta",
    title="Meta (WhatsApp, Messenger, Instagram)",
    proof=webhooks.Hmac(signature="X-Hub-Signature-256", prefix="sha256="),
    event_type="json:object",
    handshakes=(
        webhooks.Handshake(
            name="hub.challenge",
            method="GET",
            when={"query:hub.mode": "subscribe"},
            trust="anybody",
            equals={"query:hub.verify_token": "verify_token"},
            value="query:hub.challenge",
            pattern=r"[A-Za-z0-9_-]{1,200}",
            body="{value}",
        ),
    ),
    secret='the app secret; {"verify_token": "…"} beside it for the handshake',
    source="developers.facebook.com/docs/graph-api/webhooks (memory)",
)
TELEGRAM = webhooks.Scheme(
    name="telegram",
    title="Telegram bots",
    proof=webhooks.SharedSecret(place="X-Telegram-Bot-Api-Secret-Token"),
    delivery_id="json:update_id",
    secret="the secret_token of setWebhook",
    source="core.telegram.org/bots/api#setwebhook (memory)",
)
ZOOM = webhooks.Scheme(
    name="zoom",
    title="Zoom",
    proof=webhooks.Hmac(
        signature="x-zm-signature",
        prefix="v0=",
        signed="v0:{ts}:{body}",
        timestamp=webhooks.Timestamp("x-zm-request-timestamp"),
    ),
    event_type="json:event",
    # Signed, and of plain letters: the answer is an HMAC with the very secret, and a free choice of its text would let
    # anybody have deliveries signed.
    handshakes=(
        webhooks.Handshake(
            name="endpoint.url_validation",
            when={"json:event": r"endpoint\.url_validation"},
            value="json:payload.plainToken",
            pattern=r"[A-Za-z0-9_+/=-]{1,200}",
            body='{"plainToken":"{value}","encryptedToken":"{hmac}"}',
            media="application/json",
        ),
    ),
    secret="the app's secret token",
    source="developers.zoom.us/docs/api/webhooks",
)

SCHEMES = (
    SLACK,
    DISCORD,
    TWILIO,
    META,
    TELEGRAM,
    ZOOM,
    webhooks.Scheme(
        name="twilio-form",
        title="Twilio, form",
        proof=_form("sha1", _SHA1),
        delivery_id=_IDS,
        secret=_AUTH,
        source=_TWILIO,
    ),
    webhooks.Scheme(
        name="twilio-json",
        title="Twilio, other bodies",
        proof=_json("sha1", _SHA1),
        delivery_id=_IDS,
        secret=_AUTH,
        source=_TWILIO,
    ),
    webhooks.Scheme(
        name="twilio-shared-key",
        title="Twilio, SHA-256 with a shared key",
        proof=(_form("sha256", _SHA256), _json("sha256", _SHA256)),
        delivery_id=_IDS,
        secret="the secret of the shared key",
        source=_TWILIO,
    ),
    webhooks.Scheme(
        name="line",
        title="LINE",
        proof=webhooks.Hmac(signature="x-line-signature", encoding="base64"),
        delivery_id="json:events[0].webhookEventId",
        secret="the channel secret",
        source="developers.line.biz/en/docs/messaging-api/verify-webhook-signature (memory)",
    ),
    webhooks.Scheme(
        name="microsoft-teams",
        title="Microsoft Teams, outgoing webhooks",
        proof=webhooks.Hmac(signature="Authorization", prefix="HMAC ", encoding="base64", key="base64"),
        delivery_id="json:id",
        secret="the security token, base64",
        source="learn.microsoft.com/microsoftteams (add outgoing webhook) (memory)",
    ),
    webhooks.Scheme(
        name="telnyx",
        title="Telnyx",
        proof=webhooks.PublicKey(
            algorithm="ed25519",
            signature="telnyx-signature-ed25519",
            encoding="base64",
            signed="{ts}|{body}",
            timestamp=webhooks.Timestamp("telnyx-timestamp"),
        ),
        delivery_id="json:data.id",
        event_type="json:data.event_type",
        secret="the account's public key, base64",
        source="developers.telnyx.com/docs/voice/programmable-voice/receiving-webhooks (memory)",
    ),
    webhooks.Scheme(
        name="vonage",
        title="Vonage",
        proof=webhooks.Jwt(
            prefix="Bearer ",
            algorithms=("HS256",),
            audience="any",
            require=("iat",),
            body_hash="payload_hash",
            max_age=300,
        ),
        secret="the account's signature secret",
        source="developer.vonage.com/getting-started/concepts/webhooks (memory)",
    ),
    webhooks.Scheme(
        name="twitch",
        title="Twitch EventSub",
        proof=webhooks.Hmac(
            signature="Twitch-Eventsub-Message-Signature",
            prefix="sha256=",
            signed="{id}{ts}{body}",
            id="Twitch-Eventsub-Message-Id",
            timestamp=webhooks.Timestamp("Twitch-Eventsub-Message-Timestamp", unit="iso", tolerance=600),
        ),
        delivery_id="Twitch-Eventsub-Message-Id",
        event_type="Twitch-Eventsub-Subscription-Type",
        handshakes=(
            webhooks.Handshake(
                name="webhook_callback_verification",
                when={"Twitch-Eventsub-Message-Type": "webhook_callback_verification"},
                value="json:challenge",
                body="{value}",
            ),
        ),
        source="dev.twitch.tv/docs/eventsub/handling-webhook-events (memory)",
    ),
    webhooks.Scheme(
        name="twitter",
        title="X (Twitter)",
        proof=webhooks.Hmac(signature="x-twitter-webhooks-signature", prefix="sha256=", encoding="base64"),
        # The answer is an HMAC with the very key that signs bodies, for whoever asks: only texts that are no body.
        handshakes=(
            webhooks.Handshake(
                name="crc_token",
                method="GET",
                when={"query:crc_token": ".+"},
                trust="anybody",
                value="query:crc_token",
                pattern=r"[A-Za-z0-9_-]{1,200}",
                body='{"response_token":"{hmac}"}',
                media="application/json",
                hmac_prefix="sha256=",
                hmac_encoding="base64",
            ),
        ),
        secret="the app's consumer secret",
        source="docs.x.com/x-api/webhooks (memory)",
    ),
)
