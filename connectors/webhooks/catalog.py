"""How providers sign their webhooks, as data: what `clew webhooks verify NAME` knows, and what connectors refer to.

Each scheme says where its facts were read; "(memory)" marks common knowledge that was not opened again.
"""

from collections.abc import Mapping

from clew import webhooks

from . import business, code, mail, messages, money, platforms, sites, standards, work

SCHEMES: Mapping[str, webhooks.Scheme] = {
    scheme.name: scheme
    for module in (standards, code, work, messages, mail, money, platforms, business, sites)
    for scheme in module.SCHEMES
}
"""Every named scheme."""

ALIASES: Mapping[str, str] = {
    "amazon-sns": "aws-sns", "sns": "aws-sns", "pubsub": "google-pubsub", "pub-sub": "google-pubsub",
    "gmail": "google-pubsub", "google": "google-channel", "google-calendar": "google-channel",
    "google-drive": "google-channel", "graph": "microsoft-graph", "ms-graph": "microsoft-graph",
    "microsoft": "microsoft-graph", "outlook": "microsoft-graph", "jira": "atlassian", "confluence": "atlassian",
    "connect": "atlassian-connect", "facebook": "meta", "instagram": "meta", "messenger": "meta", "whatsapp": "meta",
    "x": "twitter", "standard": "standard-webhooks", "gitlab-signing": "gitlab-signature",
    "acme": "standard-webhooks", "mailchimp-transactional": "mandrill", "coinbase": "coinbase-commerce",
    "twilio-sha256": "twilio-shared-key", "forgejo": "gitea", "intuit": "quickbooks",
}  # fmt: skip
"""Other names people use."""
