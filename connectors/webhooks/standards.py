"""Standard Webhooks and the providers that follow it, and ways that belong to no provider.

Sources: the specification at github.com/standard-webhooks/standard-webhooks, and the libraries standardwebhooks 1.1.0
and svix 2.9.1 for Python, which agree with it.
"""

from clew import webhooks

SECRET = "the endpoint's secret, whsec_… (base64 behind the prefix)"


def proof(family: str = "webhook", *, text: bool = False) -> webhooks.Hmac:
    """The HMAC of the specification, with one family of header names; `text`: the secret is used as it is."""
    return webhooks.Hmac(
        signature=f"{family}-signature",
        prefix="v1,",
        separator=" ",
        encoding="base64",
        signed="{id}.{ts}.{body}",
        id=f"{family}-id",
        timestamp=webhooks.Timestamp(f"{family}-timestamp"),
        key="text" if text else "base64",
        key_prefix="" if text else "whsec_",
    )


ED25519 = webhooks.PublicKey(
    algorithm="ed25519",
    signature="webhook-signature",
    prefix="v1a,",
    separator=" ",
    encoding="base64",
    signed="{id}.{ts}.{body}",
    id="webhook-id",
    timestamp=webhooks.Timestamp("webhook-timestamp"),
    key_prefix="whpk_",
)
HMAC, SVIX = proof(), proof("svix")


def follower(name: str, title: str, source: str, *, secret: str = SECRET, svix: bool = False) -> webhooks.Scheme:
    """A provider that follows the specification; `svix`: it sends by Svix, whose headers have two names."""
    return webhooks.Scheme(
        name=name,
        title=title,
        proof=(SVIX, HMAC) if svix else HMAC,
        delivery_id=("svix-id", "webhook-id") if svix else "webhook-id",
        event_type=("json:type", "json:event"),
        secret=secret,
        source=source,
    )


STANDARD = webhooks.Scheme(
    name="standard-webhooks",
    title="Standard Webhooks",
    proof=(HMAC, SVIX, ED25519),
    delivery_id=("webhook-id", "svix-id"),
    event_type="json:type",
    secret="whsec_… (base64 behind the prefix), or the sender's public key whpk_… for v1a",
    source="github.com/standard-webhooks/standard-webhooks",
)

SCHEMES = (
    STANDARD,
    follower("svix", "Svix", "svix 2.9.1 for Python", svix=True),
    follower("resend", "Resend", "resend.com/docs (memory)", svix=True),
    follower("clerk", "Clerk", "clerk.com/docs (memory)", svix=True),
    follower("incident-io", "incident.io", "api-docs.incident.io (memory)", svix=True),
    webhooks.Scheme(
        name="openai",
        title="OpenAI",
        proof=(HMAC, proof(text=True)),
        delivery_id="webhook-id",
        event_type="json:type",
        secret=f"{SECRET}; one without the prefix is used as it is",
        source="openai 3 for Python",
    ),
    follower("replicate", "Replicate", "replicate.com/docs (memory)"),
    follower("lithic", "Lithic", "docs.lithic.com (memory)"),
    follower("render", "Render", "render.com/docs (memory)"),
    webhooks.Scheme(
        name="client-certificate",
        title="mutual TLS behind a proxy",
        proof=webhooks.ClientCertificate(subject="X-SSL-Client-S-DN", verified="X-SSL-Client-Verify"),
        secret="the certificate's common name, or parts of its subject: CN=…,O=…",
        source="nginx ssl_client_s_dn and ssl_client_verify, forwarded by your proxy",
    ),
)
