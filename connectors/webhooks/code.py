"""Where code is kept, built and run."""

from clew import webhooks

from .standards import HMAC

GITHUB = webhooks.Scheme(
    name="github",
    title="GitHub",
    proof=webhooks.Hmac(signature="X-Hub-Signature-256", prefix="sha256="),
    delivery_id="X-GitHub-Delivery",
    event_type="X-GitHub-Event",
    handshakes=(webhooks.Handshake(name="ping", when={"X-GitHub-Event": "ping"}, event=True),),
    secret="the webhook's secret, as it was typed in",
    source="docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries",
)

_TOKEN = webhooks.SharedSecret(place="X-Gitlab-Token")
_GITLAB_IDS = ("webhook-id", "X-Gitlab-Event-UUID")
GITLAB = webhooks.Scheme(
    name="gitlab",
    title="GitLab",
    # A delivery that is signed is judged by its signature alone.
    proof=(HMAC, webhooks.SharedSecret(place="X-Gitlab-Token", when={"webhook-signature": ""})),
    delivery_id=_GITLAB_IDS,
    event_type="X-Gitlab-Event",
    secret="the signing token whsec_…, or the older secret token as it was typed in",
    source="docs.gitlab.com/user/project/integrations/webhooks",
)

SCHEMES = (
    GITHUB,
    GITLAB,
    webhooks.Scheme(
        name="gitlab-token",
        title="GitLab, secret token",
        proof=_TOKEN,
        delivery_id=_GITLAB_IDS,
        event_type="X-Gitlab-Event",
        secret="the secret token",
        source=GITLAB.source,
    ),
    webhooks.Scheme(
        name="gitlab-signature",
        title="GitLab, signing token",
        proof=HMAC,
        delivery_id="webhook-id",
        event_type="X-Gitlab-Event",
        secret="the signing token whsec_…",
        source=GITLAB.source,
    ),
    webhooks.Scheme(
        name="bitbucket",
        title="Bitbucket",
        proof=webhooks.Hmac(signature="X-Hub-Signature", prefix="sha256="),
        delivery_id=("X-Request-UUID", "X-Request-Id"),
        event_type="X-Event-Key",
        source="support.atlassian.com/bitbucket-cloud/docs/manage-webhooks (memory)",
    ),
    webhooks.Scheme(
        name="gitea",
        title="Gitea, Forgejo",
        proof=webhooks.Hmac(signature="X-Gitea-Signature"),
        delivery_id="X-Gitea-Delivery",
        event_type="X-Gitea-Event",
        source="docs.gitea.com/usage/webhooks (memory)",
    ),
    webhooks.Scheme(
        name="circleci",
        title="CircleCI",
        proof=webhooks.Hmac(signature="circleci-signature", prefix="v1=", separator=","),
        delivery_id="json:id",
        event_type="json:type",
        source="circleci.com/docs/webhooks (memory)",
    ),
    webhooks.Scheme(
        name="buildkite",
        title="Buildkite",
        proof=webhooks.Hmac(
            signature="X-Buildkite-Signature",
            prefix="signature=",
            separator=",",
            signed="{ts}.{body}",
            timestamp=webhooks.Timestamp("X-Buildkite-Signature", prefix="timestamp=", separator=","),
        ),
        event_type="X-Buildkite-Event",
        secret="the webhook's token",
        source="buildkite.com/docs/apis/webhooks (memory)",
    ),
    webhooks.Scheme(
        name="vercel",
        title="Vercel",
        proof=webhooks.Hmac(signature="x-vercel-signature", hash="sha1"),
        delivery_id="json:id",
        event_type="json:type",
        secret="the webhook's secret, or the integration's client secret",
        source="vercel.com/docs/webhooks/webhooks-api (memory)",
    ),
    webhooks.Scheme(
        name="netlify",
        title="Netlify",
        proof=webhooks.Jwt(
            place="X-Webhook-Signature",
            algorithms=("HS256",),
            issuer="netlify",
            audience="any",
            require=(),
            body_hash="sha256",
        ),
        source="docs.netlify.com/site-deploys/notifications (memory)",
    ),
    webhooks.Scheme(
        name="heroku",
        title="Heroku",
        proof=webhooks.Hmac(signature="Heroku-Webhook-Hmac-SHA256", encoding="base64"),
        delivery_id="json:id",
        event_type="json:action",
        source="devcenter.heroku.com/articles/app-webhooks (memory)",
    ),
    webhooks.Scheme(
        name="terraform",
        title="HCP Terraform",
        proof=webhooks.Hmac(signature="X-TFE-Notification-Signature", hash="sha512"),
        secret="the notification's token",
        source="developer.hashicorp.com/terraform/cloud-docs/api-docs/notification-configurations (memory)",
    ),
    webhooks.Scheme(
        name="sentry",
        title="Sentry",
        proof=webhooks.Hmac(signature="Sentry-Hook-Signature"),
        delivery_id="Request-ID",
        event_type="Sentry-Hook-Resource",
        secret="the integration's client secret",
        source="docs.sentry.io/organization/integrations/integration-platform/webhooks (memory)",
    ),
    webhooks.Scheme(
        name="launchdarkly",
        title="LaunchDarkly",
        proof=webhooks.Hmac(signature="X-LD-Signature"),
        delivery_id="json:_id",
        event_type="json:kind",
        source="launchdarkly.com/docs/home/connecting/webhooks (memory)",
    ),
    webhooks.Scheme(
        name="snyk",
        title="Snyk",
        proof=webhooks.Hmac(signature="X-Hub-Signature", prefix="sha256="),
        event_type="X-Snyk-Event",
        source="docs.snyk.io/snyk-api/snyk-webhooks (memory)",
    ),
    webhooks.Scheme(
        name="expo",
        title="Expo EAS",
        proof=webhooks.Hmac(signature="expo-signature", prefix="sha1=", hash="sha1"),
        delivery_id="json:id",
        source="docs.expo.dev/eas/webhooks (memory)",
    ),
)
