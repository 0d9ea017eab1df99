"""The named schemes: vectors that providers and specifications publish, and the page that lists them."""

import re
from pathlib import Path

import pytest

from clew.connectors.webhooks.catalog import ALIASES, SCHEMES
from clew.core.secret import Secret
from clew.core.webhooks import Delivery, Event, verify
from clew.servers.cli.listing_schemes import markdown

PAGE = Path(__file__).parents[2] / "docs/events.md"
SLACK_BODY = (
    "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar"
    "&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com"
    "%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121"
    ".803a0bc887a14d10d2c447fce8b6703c"
)
VECTORS = [
    # docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
    ("github", [("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")],
     "Hello, World!", "It's a Secret to Everybody", "", 0),
    # docs.slack.dev/authentication/verifying-requests-from-slack
    ("slack", [("X-Slack-Request-Timestamp", "1531420618"),
               ("X-Slack-Signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503")],
     SLACK_BODY, "8f742231b10e8888abcd99yyyzzz85a5", "", 1531420618),
    # the tests of the libraries of github.com/standard-webhooks/standard-webhooks, and docs.svix.com
    ("standard-webhooks", [("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"), ("webhook-timestamp", "1614265330"),
                           ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")],
     '{"test": 2432232314}', "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "", 1614265330),
    # twilio.com/docs/usage/security
    ("twilio", [("X-Twilio-Signature", "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
                ("Content-Type", "application/x-www-form-urlencoded")],
     "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212",
     "12345", "https://mycompany.com/myapp.php?foo=1&bar=2", 0),
]  # fmt: skip


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector[0])
def test_the_published_example_of_a_provider_is_accepted(
    vector: tuple[str, list[tuple[str, str]], str, str, str, int],
) -> None:
    name, headers, body, secret, url, now = vector
    found = verify(SCHEMES[name], Delivery(headers, body.encode(), url=url), [Secret(secret)], now=now)
    assert isinstance(found, Event), found.reason


def test_every_scheme_says_where_its_facts_are_from_and_what_the_secret_is() -> None:
    for scheme in SCHEMES.values():
        assert scheme.source, scheme.name
        assert scheme.secret, scheme.name
        assert scheme.title, scheme.name


def test_aliases_lead_to_schemes_and_hide_none() -> None:
    assert set(ALIASES.values()) <= set(SCHEMES)
    assert not set(ALIASES) & set(SCHEMES)


def test_the_table_of_the_page_is_current() -> None:
    found = re.search(r"<!-- schemes: .*? -->\n(.*?)\n<!-- /schemes -->", PAGE.read_text(), re.DOTALL)
    assert found is not None
    assert found[1] == markdown(), "run: clew webhooks schemes --markdown"
